"""One training step, pure: the only place where a gradient is taken for training.

And where a Variant is unpacked.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import struct

from jaxdl.augment import AUGMENTATIONS, augment
from jaxdl.data.preprocess import normalize, to_float
from jaxdl.errors import InputError
from jaxdl.models import layers, make_module
from jaxdl.train import keys, losses, metrics, optim
from jaxdl.train.metrics import Metrics
from jaxdl.train.variant import Variant


@struct.dataclass
class TrainState:
    """All that a run carries from one step to the next; arrays only."""

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: Any


class Batch(NamedTuple):
    """images [batch, height, width, channel] as stored, labels int [batch], mask bool [batch].

    False for padding.

    mean and std [channel] are those that the images are normalised by, after augmentation.
    """

    images: jax.Array
    labels: jax.Array
    mask: jax.Array
    mean: jax.Array
    std: jax.Array


class Timeline(NamedTuple):
    """The steps of a run, int32 scalars that may be traced: programs do not depend on them.

    Attributes:
      steps: length of the learning-rate schedule.
      start: the step at which the schedule begins.
    """

    steps: jax.Array | int
    start: jax.Array | int = 0

    def progress(self, step: jax.Array) -> jax.Array:
        """Share of the schedule that is done before `step`, in [0, 1]."""
        return jnp.clip((step - self.start) / jnp.asarray(self.steps), 0.0, 1.0)


NOISE = (
    'dropout',
    *AUGMENTATIONS,
    'strength',
)  # fields of a variant that ask for random numbers in every step


def noise_of(variants: Sequence[Variant]) -> tuple[str, ...]:
    """The kinds of noise that any of these variants needs.

    One that nobody needs is not in the program.
    """
    return tuple(name for name in NOISE if any(getattr(variant, name) for variant in variants))


def strengths_of(variant: Variant, noise: Sequence[str]) -> dict[str, jax.Array | float]:
    """The augmentations among these kinds of noise and their strengths, as `augment` takes them."""
    found = {name: getattr(variant, name) for name in noise if name in AUGMENTATIONS}
    own = 'strength' in noise and variant.augmentation != 'none'
    return found | ({variant.augmentation: variant.strength} if own else {})


def module_of(variant: Variant, num_classes: int, conv: str = 'auto') -> nn.Module:
    """The network that a variant asks for.

    Its convolutions computed by a row of `models.conv.LOWERINGS`.
    """
    settings = {name: getattr(variant, name) for name in variant.__dataclass_fields__}
    return make_module(settings.pop('model'), num_classes, conv=conv, **settings)


def optimizer_of(variant: Variant, height: jax.Array | float = 1.0) -> optax.GradientTransformation:
    """The optimizer of a variant at one height of its schedule."""
    rate = variant.learning_rate * height
    return optim.make_optimizer(
        variant.optimizer, rate, variant.momentum, variant.beta2, variant.weight_decay
    )


def init_state(
    variant: Variant, seed: int, module: nn.Module, image_shape: tuple[int, ...]
) -> TrainState:
    """The state before the first step, on the host.

    Every kernel starts from the seed and *its own name*: a network with one layer more starts all
    others as before. What is not named `kernel` starts as the network declares it.
    """
    key = keys.fold(keys.seed_key(seed + variant.seed_offset + variant.init_offset), 'init')
    shapes, declared = _variables(module, image_shape)
    with jax.enable_x64(False):  # what is started must not depend on who asks
        values = declared(key, jnp.zeros((1, *image_shape)))

    def start(
        path: tuple[Any, ...], shape: jax.ShapeDtypeStruct, value: jax.Array | None
    ) -> jax.Array:
        if value is not None:
            return value
        name = '/'.join(part.key for part in path)
        return variant.init_scale * _kernel(variant.init, keys.fold(key, name), shape.shape)

    params = jax.tree_util.tree_map_with_path(start, shapes['params'], values['params'])
    stats = values.get('batch_stats', {})
    return TrainState(jnp.zeros((), jnp.int32), params, stats, optimizer_of(variant).init(params))


def train_step(
    state: TrainState,
    batch: Batch,
    variant: Variant,
    key: jax.Array,
    timeline: Timeline,
    *,
    module: nn.Module,
    noise: tuple[str, ...] = NOISE,
) -> tuple[TrainState, Metrics]:
    """One step of gradient descent.

    `key` is the root key of the noise.

    `noise` are the kinds that any member needs (`noise_of`). The metrics are those of the batch
    before the update, in training mode, its images augmented.
    """

    def stream(name: str) -> jax.Array:
        return jax.random.fold_in(keys.fold(key, name), state.step)

    strengths = strengths_of(variant, noise)
    images, targets = to_float(batch.images), _targets(batch, variant, module)
    if strengths:
        images, targets = augment(stream('augment'), images, targets, strengths)
    # A user's own network may have a dropout of its own, at a rate that is no knob: it always finds
    # its stream.
    dropout = variant.dropout if 'dropout' in noise else 0.0, stream('dropout')
    gradient, (found, batch_stats) = _gradient(
        state, batch._replace(images=images), targets, variant, module, dropout
    )
    height = optim.SCHEDULES[variant.schedule](timeline.progress(state.step))
    updates, opt_state = optimizer_of(variant, height).update(
        gradient, state.opt_state, state.params
    )
    params = optax.apply_updates(state.params, updates)
    return TrainState(state.step + 1, params, batch_stats, opt_state), found


def eval_step(
    state: TrainState, batch: Batch, variant: Variant, *, module: nn.Module
) -> tuple[Metrics, jax.Array]:
    """Metrics of one batch with the running statistics and no noise, and which images are right.

    Bool [batch].
    """
    logits = module.apply(variables_of(state), normalised(batch), train=False)
    return _measure(
        logits,
        batch,
        _targets(batch, dataclasses.replace(variant, label_smoothing=0.0), module),
        variant,
    )


def score_step(
    state: TrainState, batch: Batch, variant: Variant, *, module: nn.Module, names: Sequence[str]
) -> tuple[dict[str, Any], dict[str, jax.Array]]:
    """No sums, and of every image the value of each metric that a study registers, {name.

    [batch]}.
    """
    logits: Any = module.apply(variables_of(state), normalised(batch), train=False)
    return {}, {
        name: jnp.asarray(metrics.METRICS[name](logits, batch.labels), jnp.float32)
        for name in names
    }


def gradients(state: TrainState, batch: Batch, variant: Variant, *, module: nn.Module) -> Any:
    """Of the mean loss of a batch without noise, by the parameters: a tree like theirs."""
    return _gradient(state, batch, _targets(batch, variant, module), variant, module)[0]


def gradient(loss_of: Callable[[Any], tuple[jax.Array, Any]], params: Any) -> tuple[Any, Any]:
    """The gradient of a loss by the parameters, and whatever `loss_of` gives beside the loss."""
    return jax.grad(loss_of, has_aux=True)(params)


def variables_of(state: TrainState) -> dict[str, Any]:
    """What a module's `apply` takes."""
    return dict(params=state.params, batch_stats=state.batch_stats)


def normalised(batch: Batch) -> jax.Array:
    """The images as the network sees them: float32.

    Every channel by its mean and standard deviation.
    """
    return normalize(to_float(batch.images), batch.mean, batch.std)


def _gradient(
    state: TrainState,
    batch: Batch,
    targets: jax.Array,
    variant: Variant,
    module: nn.Module,
    dropout: tuple[jax.Array | float, jax.Array] | None = None,
) -> tuple[Any, tuple[Metrics, Any]]:
    rate, key = dropout or (0.0, None)

    def loss_of(params: Any) -> tuple[jax.Array, tuple[Metrics, Any]]:
        variables = dict(params=params, batch_stats=state.batch_stats)
        rngs = dict(dropout=key) if key is not None else {}
        logits, updated = module.apply(
            variables,
            normalised(batch),
            train=True,
            dropout=rate,
            rngs=rngs,
            mutable=['batch_stats'],
        )
        found, _ = _measure(logits, batch, targets, variant)
        return found.loss / found.count, (found, updated.get('batch_stats', {}))

    return gradient(loss_of, state.params)


def _targets(batch: Batch, variant: Variant, module: nn.Module) -> jax.Array:
    return losses.targets(batch.labels, module.num_classes, variant.label_smoothing)  # type: ignore[attr-defined]


def _measure(
    logits: Any, batch: Batch, targets: jax.Array, variant: Variant
) -> tuple[Metrics, jax.Array]:
    row = losses.find(variant.loss)
    correct = jnp.argmax(row.scores(logits), -1) == batch.labels
    return metrics.measure(row(logits, targets), correct, batch.mask), correct


@functools.lru_cache(maxsize=64)
def _variables(module: nn.Module, image_shape: tuple[int, ...]) -> tuple[Any, Callable[..., Any]]:
    """The shapes of all variables as the network declares them.

    And a function to the values of those but kernels.
    """

    def init(key: jax.Array, images: jax.Array) -> Any:
        return module.init(dict(params=key), images)

    def without_kernels(key: jax.Array, images: jax.Array) -> Any:
        # Drawing kernels only to replace them takes a second to compile.
        return jax.tree_util.tree_map_with_path(
            lambda p, x: None if p[-1].key == 'kernel' else x, init(key, images)
        )

    with jax.enable_x64(False):
        shapes = jax.eval_shape(init, keys.seed_key(0), jnp.zeros((1, *image_shape)))
    others = [name for name in shapes if name not in ('params', 'batch_stats', 'intermediates')]
    if others or 'params' not in shapes:
        raise InputError(
            f'a network has {", ".join(others) or "no parameters"}: must be params and batch_stats only'
        )
    return shapes, jax.jit(without_kernels)


@functools.partial(jax.jit, static_argnums=(0, 2))
def _kernel(init: str, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return layers.INITS[init](key, shape)
