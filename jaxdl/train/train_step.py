"""The training step, and all that reads a Variant in training and evaluation.

`train_step` is pure and the only place where training takes a gradient.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax import struct, traverse_util
from jax import lax

from jaxdl import augment
from jaxdl.augment import AUGMENTATIONS
from jaxdl.data.preprocess import normalize, to_float
from jaxdl.errors import InputError
from jaxdl.models import layers, make_module
from jaxdl.models.custom import CustomNetwork
from jaxdl.train import averaging, initial_weights, keys, losses, masks, metrics, optim
from jaxdl.train.metrics import Metrics
from jaxdl.train.settings import StepSettings, own_strengths
from jaxdl.train.variant import Variant

Scalar = jax.Array | np.integer | int

# Field of StepSettings -> its value at which a part of the step does nothing. A part that no member
# of a group uses is absent from the group's program.
NOISE: dict[str, float] = dict.fromkeys(('dropout', *AUGMENTATIONS, 'strength'), 0.0)
PARTS: dict[str, float] = NOISE | dict(
    crop_area=1.0, class_weights=0.0, logit_adjustment=0.0, clip=0.0, layer_decay=1.0, ema=0.0
)
# Parts that change images: of equal strength in all members, they are computed once per row.
ON_IMAGES = (*AUGMENTATIONS, 'strength', 'crop_area')


@struct.dataclass
class TrainState:
    """All that a run carries from one step to the next; arrays only.

    Attributes:
      step: int32 scalar, number of steps done.
      params: parameters of the network.
      batch_stats: running statistics of its batch norms.
      opt_state: state of the optimizer.
      ema: moving average of (params, batch_stats) before its bias is corrected; empty where unused.
      other: further collections of the network: name -> tree.
    """

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: Any
    ema: Any = ()
    other: Any = struct.field(default_factory=dict)


class Batch(NamedTuple):
    """Images as stored, their labels, and how to normalise them.

    Attributes:
      images: uint8 or float [batch, height, width, channel].
      labels: int [batch].
      mask: bool [batch], False for padding.
      mean: [channel], subtracted from the images after augmentation.
      std: [channel], divides the images after augmentation.
      class_shares: float [classes], shares of the classes among the training images; needed by
        class_weights and logit_adjustment only.
    """

    images: jax.Array
    labels: jax.Array
    mask: jax.Array
    mean: jax.Array
    std: jax.Array
    class_shares: jax.Array | None = None


class Timeline(NamedTuple):
    """The steps of a run, int32 scalars that may be traced: programs do not depend on them.

    Attributes:
      steps: length of the learning-rate schedule.
      start: the step at which the schedule begins.
    """

    steps: Scalar
    start: Scalar = 0

    def progress(self, step: jax.Array) -> jax.Array:
        """Share of the schedule that is done before `step`, in [0, 1]."""
        return jnp.clip((step - self.start) / jnp.asarray(self.steps), 0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class StepConfig:
    """Fixed settings of a program of training steps.

    Attributes:
      module: the network.
      parts: optional parts that the program has (`parts_of`).
      image_size: side in pixels that a crop is resized to; None: images keep their size.
      centre: share of the side that a crop of the centre keeps, in place of a random crop.
      learning: parts of the network that learn; empty: all but those that the settings freeze.
      norms: argument `norms` of the network's call: stages whose batch norms use the batch; None:
        the network has no such argument.
      unfreeze_steps: steps after which one stage more begins to learn; 0: all learn from the start.
      precision: type of the images that the network gets.
    """

    module: nn.Module
    parts: tuple[str, ...]
    image_size: int | None = None
    centre: float | None = None
    learning: tuple[str, ...] = ()
    norms: bool | tuple[str, ...] | None = None
    unfreeze_steps: float = 0.0
    precision: str = 'float32'


class StepMetrics(NamedTuple):
    """Metrics of one step.

    Attributes:
      sums: of the batch before the update, in training mode, after augmentation.
      gradient_norm: Euclidean norm of the gradient before it is clipped.
    """

    sums: Metrics
    gradient_norm: jax.Array


class _Examples(NamedTuple):
    """A batch as the loss takes it: leading axis [batch] everywhere; weights None: all 1."""

    images: jax.Array
    targets: jax.Array
    labels: jax.Array
    mask: jax.Array
    weights: jax.Array | None


def parts_of(variants: Sequence[StepSettings]) -> tuple[str, ...]:
    """The optional parts of the step that any of these settings uses, as names of fields."""
    return tuple(
        name
        for name, off in PARTS.items()
        if any(getattr(settings, name) != off for settings in variants)
    )


def strengths_of(settings: StepSettings, parts: Collection[str]) -> dict[str, jax.Array | float]:
    """Augmentation -> strength, of those augmentations that are among `parts`."""
    strengths = {name: getattr(settings, name) for name in AUGMENTATIONS if name in parts}
    return strengths | (own_strengths(settings) if 'strength' in parts else {})


def class_shares(labels: jax.Array | np.ndarray, num_classes: int) -> jax.Array:
    """Share of each class among `labels` int [n], float32 [classes]; each counts at least 1."""
    counts = jnp.maximum(jnp.bincount(labels, length=num_classes), 1)
    return counts / counts.sum()


def module_of(variant: Variant, num_classes: int, conv: str = 'auto') -> nn.Module:
    """The network of a variant, with convolutions by a row of `models.conv.LOWERINGS`."""
    settings = {name: getattr(variant, name) for name in variant.__dataclass_fields__}
    return make_module(settings.pop('model'), num_classes, conv=conv, **settings)


def apply(
    module: nn.Module, settings: StepSettings, variables: Any, images: jax.Array, **options: Any
) -> Any:
    """Apply a network, with the values of its traced fields.

    Args:
      module: the network.
      settings: of the run; may be traced.
      variables: parameters and other collections.
      images: normalised images [batch, height, width, channel].
      **options: of `module.apply`.
    """
    if isinstance(module, CustomNetwork):
        names = [name for name in module.traced if hasattr(settings, name)]
        options['numbers'] = {name: getattr(settings, name) for name in names}
        if options.get('train') and not options.get('rngs'):
            # Without a stream for dropout, `make_rng` falls back to this one: the noise is fixed.
            options['rngs'] = dict(params=keys.seed_key(0))
    return module.apply(variables, images, **options)


def optimizer_of(
    settings: StepSettings, height: jax.Array | float = 1.0
) -> optax.GradientTransformation:
    """The optimizer of some settings at one height of the schedule."""
    rate = settings.learning_rate * height
    return optim.make_optimizer(
        settings.optimizer, rate, settings.momentum, settings.beta2, settings.weight_decay
    )


def init_state(
    variant: Variant,
    seed: int,
    module: nn.Module,
    image_shape: tuple[int, ...],
    parts: Collection[str] = (),
) -> TrainState:
    """The state of a new network before its first step, on the host.

    Every kernel starts from the seed and *its own name*: a network with one more layer starts all
    others as before. A parameter that is not named `kernel` starts as the network declares it.
    With `init_from` all of them are those of a file.

    Args:
      variant: settings of the run.
      seed: seed of the initial weights, before the variant's offsets.
      module: the network.
      image_shape: height, width, channels.
      parts: optional parts of the step (`parts_of`): with `ema` the state holds an average.

    Raises:
      InputError: the variant freezes layers or scales rates that the network does not have, or the
        file of `init_from` does not fit the network.
    """
    key = keys.fold(keys.seed_key(seed + variant.seed_offset + variant.init_offset), 'init')
    shapes, declared, matrices = _variables(module, image_shape)
    with jax.enable_x64(False):  # the weights must not depend on the caller's precision
        values = declared(key, jnp.zeros((1, *image_shape)))
    if variant.init_from:
        values = values | initial_weights.read(variant.init_from, shapes)

    def start(
        path: tuple[Any, ...], shape: jax.ShapeDtypeStruct, value: jax.Array | None
    ) -> jax.Array:
        if value is not None:
            return value
        name = '/'.join(part.key for part in path)
        matrix = matrices.get(name, shape.shape)
        kernel = _kernel(variant.init, keys.fold(key, name), matrix)
        return variant.init_scale * kernel.reshape(shape.shape)

    params = jax.tree_util.tree_map_with_path(start, shapes['params'], values['params'])
    masks.mask_frozen(params, variant.frozen)
    if variant.layer_decay != 1:
        masks.rate_scales(params, variant.layer_decay)
    variables = {name: values[name] for name in _state_collections(values)} | dict(params=params)
    return state_of(variables, variant, parts)


def variables_of_arrays(
    module: nn.Module, image_shape: tuple[int, ...], arrays: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Variables of a network from arrays by path: `params/conv/kernel`.

    Args:
      module: the network. Names of its variables may have a `/` themselves.
      image_shape: height, width, channels.
      arrays: path -> array, of all variables.
    """
    shapes, _, _ = _variables(module, image_shape)
    declared = {name: shapes[name] for name in ('params', *_state_collections(shapes))}
    paths: dict[tuple[str, ...], Any] = dict(traverse_util.flatten_dict(declared))
    values = {path: arrays['/'.join(path)] for path in paths}
    return dict(params={}, batch_stats={}) | traverse_util.unflatten_dict(values)


def state_of(
    variables: dict[str, Any], settings: StepSettings, parts: Collection[str] = ()
) -> TrainState:
    """The state before the first step, of a network with these variables."""
    params, stats = variables['params'], variables.get('batch_stats', {})
    other = {name: variables[name] for name in _state_collections(variables)}
    other.pop('batch_stats', None)
    ema = averaging.start_average((params, stats)) if 'ema' in parts else ()
    opt_state = optimizer_of(settings).init(params)
    return TrainState(jnp.zeros((), jnp.int32), params, stats, opt_state, ema, other)


def train_step(
    state: TrainState,
    batch: Batch,
    settings: StepSettings,
    key: jax.Array,
    timeline: Timeline,
    config: StepConfig,
) -> tuple[TrainState, StepMetrics]:
    """One step of gradient descent on a whole batch, on one device or on many.

    Args:
      state: the state before the step.
      batch: images and labels; batch norms and the loss are over all of them.
      settings: a Variant, or the settings of a fine-tuning; leaves may be traced.
      key: root key of the random streams `crop`, `augment` and `dropout`.
      timeline: position of the schedule.
      config: what is fixed in the program.

    Returns:
      The state after the step, and the metrics of the batch before the update.
    """
    images, targets = prepare_images(state.step, batch, settings, key, config)
    weights = _class_weights(targets, batch, settings, config)
    examples = _Examples(images, targets, batch.labels, batch.mask, weights)
    learning = _mask_learning(state.params, settings, config)
    dropout = _stream(key, 'dropout', state.step)
    gradient, collections, sums = _accumulated_gradient(
        state, examples, batch.class_shares, settings, dropout, learning, config
    )
    norm = optax.tree.norm(gradient)
    if 'clip' in config.parts:
        gradient = _clip(gradient, norm, settings.clip)
    params, opt_state = _update(state, gradient, settings, timeline, learning, config)
    ema, batch_stats = state.ema, collections.pop('batch_stats')
    if 'ema' in config.parts:
        ema = averaging.update_average(ema, (params, batch_stats), settings.ema, state.step)
    state = TrainState(state.step + 1, params, batch_stats, opt_state, ema, collections)
    return state, StepMetrics(sums, norm)


def prepare_images(
    step: jax.Array, batch: Batch, settings: StepSettings, key: jax.Array, config: StepConfig
) -> tuple[jax.Array, jax.Array]:
    """Crop, augment and normalise a batch as the network gets it in training.

    Returns:
      Images [batch, size, size, channel] of `config.precision`, and targets [batch, classes].
    """
    images = _crop(step, to_float(batch.images), settings, key, config)
    targets = _targets(batch.labels, settings, config.module)
    strengths = strengths_of(settings, config.parts)
    if strengths:
        images, targets = augment.augment(_stream(key, 'augment', step), images, targets, strengths)
    images = normalize(images, batch.mean, batch.std)
    return images.astype(jnp.dtype(config.precision)), targets


class Outputs(NamedTuple):
    """Outputs of a network for the images of a batch.

    Attributes:
      correct: whether each image is classified correctly, bool [batch].
      logits: float32 [batch, classes]; the largest is the prediction.
    """

    correct: jax.Array
    logits: jax.Array


def eval_step(
    state: TrainState, batch: Batch, variant: Variant, *, module: nn.Module
) -> tuple[Metrics, jax.Array]:
    """Metrics of one batch with running statistics, averaged weights where there are, no noise.

    Returns:
      Sums over the batch, and whether each image is classified correctly, bool [batch].
    """
    sums, outputs = predict_step(state, batch, variant, module=module)
    return sums, outputs.correct


def predict_step(
    state: TrainState, batch: Batch, variant: Variant, *, module: nn.Module
) -> tuple[Metrics, Outputs]:
    """`eval_step` with the logits of the images."""
    logits = apply(
        module, variant, select_variables(state, variant.ema), normalize_batch(batch), train=False
    )
    targets = _targets(batch.labels, dataclasses.replace(variant, label_smoothing=0.0), module)
    row = losses.find(variant.loss)
    scores = row.scores(logits)
    correct = jnp.argmax(scores, -1) == batch.labels
    sums = metrics.measure(row(logits, targets), correct, batch.mask)
    return sums, Outputs(correct, scores.astype(jnp.float32))


def gradients(state: TrainState, batch: Batch, variant: Variant, *, module: nn.Module) -> Any:
    """Gradient of the mean loss of a batch without noise: a tree like the parameters."""
    targets = _targets(batch.labels, variant, module)
    examples = _Examples(normalize_batch(batch), targets, batch.labels, batch.mask, None)
    loss_of = _loss(
        _collections(state), examples, _sum_weights(examples), variant, StepConfig(module, ())
    )
    return _gradient(loss_of, state.params)[0]


def variables_of(state: TrainState) -> dict[str, Any]:
    """Variables for a module's `apply`, as they were after the last step."""
    return dict(params=state.params) | _collections(state)


def _collections(state: TrainState) -> dict[str, Any]:
    """Collections next to the parameters: running statistics, then those of the network."""
    return dict(state.other, batch_stats=state.batch_stats)


def _state_collections(variables: Mapping[str, Any]) -> list[str]:
    """Names of the collections that a state holds next to the parameters."""
    return [name for name in variables if name not in ('params', 'intermediates')]


def select_variables(state: TrainState, ema: jax.Array | float) -> dict[str, Any]:
    """Variables that are evaluated and saved: averaged with decay `ema` where the state has one.

    Before the first step they are the initial ones. Collections next to the parameters and the
    running statistics are not averaged.
    """
    if not jax.tree.leaves(state.ema):
        return variables_of(state)
    current = state.params, state.batch_stats
    average = averaging.correct_bias(state.ema, ema, jnp.maximum(state.step, 1))
    params, stats = jax.tree.map(
        lambda mean, leaf: jnp.where(state.step == 0, leaf, mean), average, current
    )
    return dict(state.other, params=params, batch_stats=stats)


def normalize_batch(batch: Batch) -> jax.Array:
    """Images of a batch as float32, each channel normalised by the batch's moments."""
    return normalize(to_float(batch.images), batch.mean, batch.std)


def _stream(key: jax.Array, name: str, step: jax.Array) -> jax.Array:
    return jax.random.fold_in(keys.fold(key, name), step)


def _targets(labels: jax.Array, settings: StepSettings, module: Any) -> jax.Array:
    return losses.targets(labels, module.num_classes, settings.label_smoothing)


def _crop(
    step: jax.Array, images: jax.Array, settings: StepSettings, key: jax.Array, config: StepConfig
) -> jax.Array:
    if config.image_size is None and 'crop_area' not in config.parts:
        return images
    if config.centre is not None:
        boxes = augment.centre_boxes(len(images), config.centre)
    else:
        boxes = augment.random_boxes(_stream(key, 'crop', step), len(images), settings.crop_area)
    return augment.resized_crop(
        images, boxes, config.image_size or (images.shape[1], images.shape[2])
    )


def _class_weights(
    targets: jax.Array, batch: Batch, settings: StepSettings, config: StepConfig
) -> jax.Array | None:
    """Weight of each example, float [batch]: mixed targets have mixed weights."""
    if 'class_weights' not in config.parts:
        return None
    assert batch.class_shares is not None
    frequencies = len(batch.class_shares) * batch.class_shares  # 1 where classes are balanced
    return targets @ frequencies**-settings.class_weights


def _sum_weights(examples: _Examples) -> jax.Array:
    """Sum of the weights, by which the loss of a whole batch is divided."""
    if examples.weights is None:
        return jnp.sum(examples.mask, dtype=jnp.float32)
    return jnp.sum(jnp.where(examples.mask, examples.weights, 0.0))


def _mask_learning(params: Any, settings: StepSettings, config: StepConfig) -> Any:
    """Tree of bool, True for parameters that learn; None: all learn."""
    if config.learning:
        return masks.mask_last_phase(params, config.learning)
    if settings.frozen:
        return jax.tree.map(lambda frozen: not frozen, masks.mask_frozen(params, settings.frozen))
    return None


def _accumulated_gradient(
    state: TrainState,
    examples: _Examples,
    shares: jax.Array | None,
    settings: StepSettings,
    dropout: jax.Array,
    learning: Any,
    config: StepConfig,
) -> tuple[Any, Any, Metrics]:
    """Gradient of the batch, its collections and metrics, of `accumulation` parts in turn.

    Every part is divided by the weight of the whole batch, so that parts add up to the batch.
    """
    count, total, stats = settings.accumulation, _sum_weights(examples), _collections(state)
    offsets = None
    if 'logit_adjustment' in config.parts:
        assert shares is not None
        offsets = settings.logit_adjustment * jnp.log(shares)
    parts = []
    for i in range(count):
        # Every `count`-th row: of a batch that is sharded over devices each part is sharded alike.
        part = examples if count == 1 else jax.tree.map(lambda rows, i=i: rows[i::count], examples)
        key = dropout if count == 1 else jax.random.fold_in(dropout, i)
        loss_of = _loss(stats, part, total, settings, config, key, offsets, learning)
        gradient, (sums, stats) = _gradient(loss_of, state.params)
        parts.append((gradient, sums))
    gradient, sums = jax.tree.map(lambda *leaves: sum(leaves[1:], leaves[0]), *parts)
    return gradient, stats, sums


def _loss(
    stats: Any,
    examples: _Examples,
    total: jax.Array,
    settings: StepSettings,
    config: StepConfig,
    dropout: jax.Array | None = None,
    offsets: jax.Array | None = None,
    learning: Any = None,
) -> Callable[[Any], tuple[jax.Array, tuple[Metrics, Any]]]:
    """The loss as a function of the parameters, with metrics and updated collections."""
    options: dict[str, Any] = {} if config.norms is None else dict(norms=config.norms)
    options['dropout'] = settings.dropout if 'dropout' in config.parts else 0.0
    # A user's own network may have a dropout of its own, at a fixed rate: it always has its stream.
    # Other streams of it fall back to `params`, as in Flax's own `init`.
    rngs = {}
    if dropout is not None:
        rngs = dict(dropout=dropout)
        if isinstance(config.module, CustomNetwork):
            rngs |= dict(params=keys.fold(dropout, 'other'))

    def loss_of(params: Any) -> tuple[jax.Array, tuple[Metrics, Any]]:
        if learning is not None:
            params = jax.tree.map(
                lambda leaf, learns: leaf if learns else lax.stop_gradient(leaf), params, learning
            )
        logits, updated = apply(
            config.module,
            settings,
            dict(stats, params=params),
            examples.images,
            train=True,
            rngs=rngs,
            mutable=list(stats),
            **options,
        )
        row, adjusted = losses.find(settings.loss), logits
        if offsets is not None:
            adjusted = logits + offsets[None]
        per_image = row(adjusted, examples.targets)
        if examples.weights is not None:
            per_image = examples.weights * per_image
        correct = jnp.argmax(row.scores(logits), -1) == examples.labels
        sums = metrics.measure(per_image, correct, examples.mask)
        return sums.loss / total, (sums, _update_collections(stats, updated))

    return loss_of


def _update_collections(before: dict[str, Any], updated: Mapping[str, Any]) -> dict[str, Any]:
    """Collections after a step, in the types that they had before."""
    as_before = lambda new, old: jnp.asarray(new, old.dtype)
    changed = {name: jax.tree.map(as_before, updated[name], before[name]) for name in updated}
    return before | changed


def _gradient(loss_of: Callable[[Any], tuple[jax.Array, Any]], params: Any) -> tuple[Any, Any]:
    """Gradient of a loss with respect to the parameters, and the other results of `loss_of`."""
    return jax.grad(loss_of, has_aux=True)(params)


def _clip(gradient: Any, norm: jax.Array, limit: jax.Array | float) -> Any:
    """The gradient at most `limit` long, as `optax.clip_by_global_norm`; limit 0: unchanged."""
    limit = jnp.asarray(limit)
    short = (limit == 0) | (norm < limit)
    return jax.tree.map(lambda leaf: jnp.where(short, leaf, leaf / norm * limit), gradient)


def _update(
    state: TrainState,
    gradient: Any,
    settings: StepSettings,
    timeline: Timeline,
    learning: Any,
    config: StepConfig,
) -> tuple[Any, Any]:
    """Parameters and optimizer after the step, each parameter at its share of the rate."""
    height = optim.SCHEDULES[settings.schedule](timeline.progress(state.step))
    updates, opt_state = optimizer_of(settings, height).update(
        gradient, state.opt_state, state.params
    )
    scales = []
    if 'layer_decay' in config.parts:
        scales.append(masks.rate_scales(state.params, settings.layer_decay))
    if config.unfreeze_steps:
        scales.append(masks.mask_unfrozen(state.params, state.step, config.unfreeze_steps))
    for scale in scales:
        updates = jax.tree.map(jnp.multiply, updates, scale)
    params = optax.apply_updates(state.params, updates)
    if learning is not None:
        params = jax.tree.map(
            lambda old, new, learns: new if learns else old, state.params, params, learning
        )
    return params, opt_state


@functools.lru_cache(maxsize=64)
def _variables(
    module: nn.Module, image_shape: tuple[int, ...]
) -> tuple[Any, Callable[..., Any], dict[str, tuple[int, int]]]:
    """Shapes of all variables as the network declares them, and how to make their initial values.

    Returns:
      The shapes; a function (key, images) -> values without the kernels; name of a kernel with
      several axes of inputs or outputs, as those of attention -> its shape as a matrix.
    """
    matrices: dict[str, tuple[int, int]] = {}

    def init(key: jax.Array, images: jax.Array) -> Any:
        return module.init(dict(params=key), images)

    def without_kernels(key: jax.Array, images: jax.Array) -> Any:
        # Drawing kernels only to replace them takes a second to compile.
        return jax.tree_util.tree_map_with_path(
            lambda p, x: None if p[-1].key == 'kernel' else x, init(key, images)
        )

    def record(call: Callable[..., Any], arguments: Any, keywords: Any, context: Any) -> Any:
        result = call(*arguments, **keywords)
        layer = context.module
        if isinstance(layer, nn.DenseGeneral) and context.method_name == '__call__':
            outputs = len(layer.features) if isinstance(layer.features, Sequence) else 1
            shape = layer.get_variable('params', 'kernel').shape
            if not layer.batch_dims and len(shape) > 2:
                flat = math.prod(shape[:-outputs]), math.prod(shape[-outputs:])
                matrices['/'.join((*layer.path, 'kernel'))] = flat
        return result

    with jax.enable_x64(False), nn.intercept_methods(record):
        shapes = jax.eval_shape(init, keys.seed_key(0), jnp.zeros((1, *image_shape)))
    if 'params' not in shapes:
        raise InputError('a network has no parameters: must have at least one')
    if {*_state_collections(shapes)} - {'batch_stats'}:
        _check_collections(module, shapes, image_shape)
    if isinstance(module, CustomNetwork) and module.traced:
        _check_traced(module, shapes, image_shape)
    return shapes, jax.jit(without_kernels), matrices


def _check_traced(
    module: CustomNetwork, shapes: Mapping[str, Any], image_shape: tuple[int, ...]
) -> None:
    """Call a network in training with traced values of its fields, without computing.

    Raises:
      InputError: the network needs the values themselves, as for a choice by `if`.
    """

    def call(numbers: Any, variables: Any, images: jax.Array, key: jax.Array) -> Any:
        rngs = dict(params=key, dropout=key)
        mutable = list(_state_collections(variables))
        return module.apply(
            variables, images, train=True, numbers=numbers, rngs=rngs, mutable=mutable
        )

    numbers = {name: jnp.zeros(()) for name in module.traced if name != 'dropout'}
    variables = {name: shapes[name] for name in ('params', *_state_collections(shapes))}
    images = jnp.zeros((1, *image_shape))
    try:
        with jax.enable_x64(False):
            jax.eval_shape(call, numbers, variables, images, keys.seed_key(0))
    except InputError as error:
        if 'Tracer' in str(error) or 'traced' in str(error):
            raise InputError(
                f'{error}: the fields {", ".join(numbers)} are traced numbers, which no `if` may '
                'ask for; layers.dropout(features, rate, key) takes a traced rate'
            ) from None
        raise


def _check_collections(
    module: nn.Module, shapes: Mapping[str, Any], image_shape: tuple[int, ...]
) -> None:
    """Check that training keeps the form of the collections of a network, and evaluation works.

    Raises:
      InputError: a collection has another form after a step, or has random keys.
    """
    state = {name: shapes[name] for name in _state_collections(shapes)}

    def call(variables: Any, images: jax.Array, key: jax.Array, train: bool) -> Any:
        rngs = dict(params=key, dropout=key)
        mutable = list(state) if train else False
        return module.apply(variables, images, train=train, rngs=rngs, mutable=mutable)

    variables = dict(state, params=shapes['params'])
    arguments = variables, jnp.zeros((1, *image_shape)), keys.seed_key(0)
    with jax.enable_x64(False):
        _, updated = jax.eval_shape(functools.partial(call, train=True), *arguments)
        jax.eval_shape(functools.partial(call, train=False), *arguments)
    for name, before in state.items():
        if any(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in jax.tree.leaves(before)):
            raise InputError(
                f'the collection {name!r} of a network has random keys: must be arrays of numbers; '
                "use self.make_rng('dropout')"
            )
        forms = [
            jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)
            for tree in (before, updated.get(name, before))
        ]
        if forms[0] != forms[1]:
            raise InputError(
                f'the collection {name!r} of a network has another form after a step than before: '
                'shapes and types must stay; without a value from step to step use '
                "self.sow('intermediates', ...)"
            )


@functools.partial(jax.jit, static_argnums=(0, 2))
def _kernel(init: str, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return layers.INITS[init](key, shape)
