"""One training step, pure: the only place where a gradient is taken for training, and where a Variant is unpacked."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax import struct

from jaxdl import keys, metrics, optim
from jaxdl.losses import LOSSES
from jaxdl.metrics import Metrics
from jaxdl.models import layers, make_module
from jaxdl.variant import Variant


@struct.dataclass
class TrainState:
    """All that a run carries from one step to the next; arrays only."""

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: Any


class Batch(NamedTuple):
    """float [batch, height, width, channel] normalised images, int [batch] labels, bool [batch]: False for padding."""

    images: jax.Array
    labels: jax.Array
    mask: jax.Array


STREAMS = ('dropout',)


def streams_of(variants: Variant) -> tuple[str, ...]:
    """The streams of noise that variants of concrete leaves need: one that nobody needs costs a second to compile."""
    return tuple(name for name in STREAMS if np.any(np.asarray(getattr(variants, name))))


def module_of(variant: Variant, num_classes: int, conv: str = 'auto') -> nn.Module:
    """The network that a variant asks for, its convolutions computed by a row of `models.conv.LOWERINGS`."""
    settings = {name: getattr(variant, name) for name in variant.__dataclass_fields__}
    return make_module(settings.pop('model'), num_classes, conv=conv, **settings)


def optimizer_of(variant: Variant, height: jax.Array | float = 1.0) -> optax.GradientTransformation:
    """The optimizer of a variant at one height of its schedule."""
    rate = variant.learning_rate * height
    return optim.make_optimizer(variant.optimizer, rate, variant.momentum, variant.weight_decay)


def init_state(variant: Variant, seed: int, module: nn.Module, image_shape: tuple[int, ...]) -> TrainState:
    """The state before the first step, on the host.

    Every kernel starts from the seed and *its own name*: a network with one layer more starts all others as before.
    """
    shapes, values = _variables(module, image_shape)
    key = keys.fold(keys.seed_key(seed + variant.seed_offset), 'init')

    def start(path: tuple[Any, ...], shape: jax.ShapeDtypeStruct, value: jax.Array | None) -> jax.Array:
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
    *,
    module: nn.Module,
    steps: int,
    streams: tuple[str, ...] = STREAMS,
) -> tuple[TrainState, Metrics]:
    """One step of gradient descent. `key` is the seed's root key, `steps` the length of the whole run.

    `streams` are the kinds of noise that any member needs (`streams_of`). The metrics are those of the batch before the
    update, in training mode.
    """
    noise = {name: jax.random.fold_in(keys.fold(key, name), state.step) for name in streams}
    dropout = variant.dropout if 'dropout' in streams else 0.0

    def loss_of(params: Any) -> tuple[jax.Array, tuple[Metrics, Any]]:
        variables = dict(params=params, batch_stats=state.batch_stats)
        logits, updated = module.apply(
            variables,
            batch.images,
            train=True,
            dropout=dropout,
            rngs=noise,
            mutable=['batch_stats'],
        )
        found, _ = _measure(logits, batch, variant, variant.label_smoothing)
        return found.loss / found.count, (found, updated.get('batch_stats', {}))

    gradients, (found, batch_stats) = jax.grad(loss_of, has_aux=True)(state.params)
    height = optim.SCHEDULES[variant.schedule](state.step / steps)
    updates, opt_state = optimizer_of(variant, height).update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    return TrainState(state.step + 1, params, batch_stats, opt_state), found


def eval_step(state: TrainState, batch: Batch, variant: Variant, *, module: nn.Module) -> tuple[Metrics, jax.Array]:
    """Metrics of one batch with the running statistics and no noise, and which images are right, bool [batch]."""
    variables = dict(params=state.params, batch_stats=state.batch_stats)
    return _measure(module.apply(variables, batch.images, train=False), batch, variant, 0.0)


def _measure(
    logits: Any, batch: Batch, variant: Variant, label_smoothing: jax.Array | float
) -> tuple[Metrics, jax.Array]:
    losses = LOSSES[variant.loss](logits, batch.labels, label_smoothing)
    correct = jnp.argmax(logits, -1) == batch.labels
    return metrics.measure(losses, correct, batch.mask), correct


@functools.lru_cache(maxsize=64)
def _variables(module: nn.Module, image_shape: tuple[int, ...]) -> tuple[Any, Any]:
    """The variables as the network declares them: the shapes of all, and the values of those that are no kernels."""

    def init(images: jax.Array) -> Any:
        return module.init(dict(params=keys.seed_key(0)), images)

    def without_kernels(images: jax.Array) -> Any:  # drawing kernels only to replace them takes a second to compile
        return jax.tree_util.tree_map_with_path(lambda p, x: None if p[-1].key == 'kernel' else x, init(images))

    images = jnp.zeros((1, *image_shape))
    return jax.eval_shape(init, images), jax.jit(without_kernels)(images)


@functools.partial(jax.jit, static_argnums=(0, 2))
def _kernel(init: str, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return layers.INITS[init](key, shape)
