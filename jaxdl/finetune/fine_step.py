"""One step of a fine-tuning, pure: a batch as it was decoded, cut, augmented and learnt from.

On one device or many.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from jaxdl import augment
from jaxdl.config.recipe import Recipe
from jaxdl.models.resnet import ResNet
from jaxdl.train import averaging, keys, losses, masks, metrics, optim, train_step
from jaxdl.train.train_step import optimizer_of
from jaxdl.train.variant import Variant

Array = jax.Array | np.ndarray
FIXED = (
    'norm',
    'head',
)  # what learns in the last phase (Touvron et al. 2019, "Fixing the train-test resolution")


@struct.dataclass
class FineState:
    """All that a fine-tuning carries from one step to the next; arrays only.

    `average` is empty where there is none.
    """

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: Any
    average: Any


@struct.dataclass
class Emphasis:
    """What is done about rare classes, float32 [classes] each: weights of examples.

    And what logits are raised by.
    """

    weights: Array
    offsets: Array


class Examples(NamedTuple):
    """images uint8 [batch, height, width, 3] as decoded, labels int32 [batch]."""

    images: Array
    labels: Array


@dataclasses.dataclass(frozen=True)
class Phase:
    """Steps of one program: images of `size` pixels, and which layers learn: `all`.

    Or the last ones (`fixed`).
    """

    start: int
    stop: int
    size: int
    learns: str = 'all'


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is fixed while a program runs: `steps` of the schedule, `per_epoch` of them in an epoch.

    Kinds of noise.
    """

    module: ResNet
    recipe: Recipe
    phase: Phase
    steps: int
    per_epoch: int
    noise: tuple[str, ...] = ()


def phases(recipe: Recipe, per_epoch: int) -> list[Phase]:
    """The programs of a run, one after another: progressive sizes take equal shares of its epochs.

    Rounded down.
    """
    sizes, total = (*recipe.sizes, recipe.train_size), recipe.epochs * per_epoch
    ends = [recipe.epochs * (i + 1) // len(sizes) * per_epoch for i in range(len(sizes))]
    found = [
        Phase(a, b, size) for a, b, size in zip([0, *ends], ends, sizes, strict=False) if a < b
    ]
    if recipe.fix_epochs:
        found.append(Phase(total, total + recipe.fix_epochs * per_epoch, recipe.eval_size, 'fixed'))
    return found


def init_state(variables: dict[str, Any], variant: Variant, recipe: Recipe) -> FineState:
    """The state before the first step."""
    params, stats = variables['params'], variables.get('batch_stats', {})
    average = averaging.start((params, stats)) if recipe.ema else ()
    return FineState(
        jnp.zeros((), jnp.int32), params, stats, optimizer_of(variant).init(params), average
    )


def served(state: FineState, recipe: Recipe) -> dict[str, Any]:
    """The variables that are evaluated and kept: the averaged ones where there are such."""
    params, stats = state.params, state.batch_stats
    if recipe.ema:
        params, stats = averaging.corrected(state.average, recipe.ema, state.step)
    return dict(params=params, batch_stats=stats)


def fine_step(
    state: FineState,
    batch: Examples,
    variant: Variant,
    key: jax.Array,
    emphasis: Emphasis,
    *,
    setting: Setting,
) -> tuple[FineState, dict[str, jax.Array]]:
    """One step of gradient descent on the whole batch, whose norms are over all of it.

    On however many devices.

    Gives the new state, and float32 scalars: the loss before the step, accuracy, and the norm of
    the gradient before it is clipped.
    """
    parts, learning = setting.recipe.accumulation, learning_of(state.params, setting)
    images, targets = prepared(state.step, batch, variant, key, setting)
    dropout = jax.random.split(_stream(key, 'dropout', state.step), parts)
    stats, found = state.batch_stats, []
    for i in range(parts):
        # Every `parts`-th row: of a batch that is cut over devices each part is cut likewise.
        loss = _loss(
            stats,
            images[i::parts],
            targets[i::parts],
            batch.labels[i::parts],
            variant,
            dropout[i],
            emphasis,
            setting,
        )
        gradient, (stats, sums) = train_step.gradient(
            lambda p, loss=loss: loss(_held(p, learning)), state.params
        )
        found.append((gradient, sums))
    gradient, sums = jax.tree.map(lambda *leaves: sum(leaves) / parts, *found)
    params, opt_state = _updated(state, gradient, variant, learning, setting)
    decay = setting.recipe.ema
    average = averaging.update(state.average, (params, stats), decay, state.step) if decay else ()
    means = sums.means() | dict(gradient_norm=optax.tree.norm(gradient))
    return FineState(state.step + 1, params, stats, opt_state, average), means


def prepared(
    step: jax.Array, batch: Examples, variant: Variant, key: jax.Array, setting: Setting
) -> tuple[jax.Array, jax.Array]:
    """Images [batch, size, size, 3], cut and augmented and normalised, and targets [batch.

    Classes].
    """
    module, recipe, phase = setting.module, setting.recipe, setting.phase
    images = jnp.asarray(batch.images).astype(jnp.float32) / 255
    targets = losses.targets(jnp.asarray(batch.labels), module.num_classes, variant.label_smoothing)
    if phase.learns == 'fixed':
        boxes = augment.centre_boxes(len(images), module.preprocessing.crop)
    else:
        boxes = augment.random_boxes(_stream(key, 'crop', step), len(images), recipe.crop_area)
    images = augment.resized_crop(images, boxes, phase.size)
    strengths = train_step.strengths_of(variant, setting.noise)
    images, targets = augment.augment(_stream(key, 'augment', step), images, targets, strengths)
    return normalised(images, module).astype(jnp.dtype(recipe.precision)), targets


def normalised(images: jax.Array, module: ResNet) -> jax.Array:
    """Images in [0, 1] as the network wants them."""
    moments = (module.preprocessing.mean, module.preprocessing.std)
    mean, std = (jnp.asarray(moment, images.dtype)[None, None, None] for moment in moments)
    return (images - mean) / std


def learning_of(params: Any, setting: Setting) -> Any:
    """Which parameters learn: a tree of bool, static."""
    if setting.phase.learns == 'fixed':
        return masks.only(params, FIXED)
    return jax.tree.map(lambda frozen: not frozen, masks.frozen(params, setting.recipe.frozen))


def moving_of(setting: Setting) -> bool | tuple[str, ...]:
    """The stages whose norms take the statistics of the batch.

    Those of frozen ones stay as they are.
    """
    if setting.recipe.norms != 'batch' or setting.phase.learns == 'fixed':
        return False
    stages = (
        'stem',
        *(f'layer{i}' for i in range(1, len(setting.module.architecture.stages) + 1)),
        'norm',
    )
    moving = tuple(stage for stage in stages if stage not in setting.recipe.frozen)
    return moving if setting.recipe.frozen else True


def _stream(key: jax.Array, name: str, step: jax.Array) -> jax.Array:
    return jax.random.fold_in(keys.fold(key, name), step)


def _loss(
    stats: Any,
    images: jax.Array,
    targets: jax.Array,
    labels: Array,
    variant: Variant,
    dropout: jax.Array,
    emphasis: Emphasis,
    setting: Setting,
) -> Callable[[Any], tuple[jax.Array, tuple[Any, metrics.Metrics]]]:
    moving = moving_of(setting)
    rate = variant.dropout if 'dropout' in setting.noise else 0.0

    def loss_of(params: Any) -> tuple[jax.Array, tuple[Any, metrics.Metrics]]:
        variables, module = dict(params=params, batch_stats=stats), setting.module
        features, changed = module.apply(
            variables, images, moving, method='features', mutable=['batch_stats']
        )
        logits: Any = module.apply(
            variables, features, True, rate, method='classify', rngs=dict(dropout=dropout)
        )
        row, weights = losses.find(variant.loss), targets @ emphasis.weights
        each = weights * row(logits + emphasis.offsets[None], targets)
        correct = jnp.argmax(row.scores(logits), -1) == labels
        sums = metrics.measure(each, correct, jnp.ones(len(labels), bool))
        return each.sum() / weights.sum(), (changed.get('batch_stats', stats), sums)

    return loss_of


def _updated(
    state: FineState, gradient: Any, variant: Variant, learning: Any, setting: Setting
) -> tuple[Any, Any]:
    """Parameters and optimizer after a step: each parameter by its own share of the rate."""
    recipe = setting.recipe
    if recipe.clip:
        gradient, _ = optax.clip_by_global_norm(recipe.clip).update(gradient, optax.EmptyState())
    height = optim.SCHEDULES[variant.schedule](_progress(state.step, setting))
    updates, opt_state = optimizer_of(variant, height).update(
        gradient, state.opt_state, state.params
    )
    scales = masks.rate_scales(state.params, recipe.layer_decay)
    if recipe.unfreeze_epochs:
        awake = masks.unfrozen(state.params, state.step / setting.per_epoch, recipe.unfreeze_epochs)
        scales = jax.tree.map(jnp.multiply, scales, awake)
    moved = jax.tree.map(
        lambda p, u, s, own: p + s * u if own else p, state.params, updates, scales, learning
    )
    return moved, opt_state


def _progress(step: jax.Array, setting: Setting) -> jax.Array:
    """How far the schedule is, in [0, 1]: the last phase goes through it once more, of its own."""
    phase = setting.phase
    if phase.learns == 'fixed':
        return jnp.clip((step - phase.start) / (phase.stop - phase.start), 0.0, 1.0)
    return jnp.minimum(step / setting.steps, 1.0)


def _held(params: Any, learning: Any) -> Any:
    return jax.tree.map(
        lambda leaf, own: leaf if own else jax.lax.stop_gradient(leaf), params, learning
    )
