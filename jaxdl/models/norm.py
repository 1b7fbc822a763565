"""Batch norm, layer norm, and native operations: norm with ReLU and residual sum, max pooling.

Each native operation has its own gradient, in as few passes over memory as possible: in a residual
network on a CPU these passes, not the convolutions, take most of the time of XLA's own code
(BUILD_NOTES.md).
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.nn import initializers

from jaxdl import native

Settings = tuple[tuple[str, Any], ...]
MOMENTUM, EPSILON = 0.9, 1e-5  # PyTorch writes this momentum as 0.1
# After a norm or a convolution.
ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    '': lambda images: images,
    'relu': nn.relu,
    'relu6': nn.relu6,
    'silu': nn.silu,
    'hard_swish': nn.hard_swish,
}
NATIVE = {'': 0, 'relu': 1, 'relu6': 2}  # those that native operations apply, with their numbers


class BatchNorm(nn.Module):
    """Batch norm over all axes but the last, by the statistics of the batch or the running ones.

    The batch is normalised by its biased variance. Batch statistics are float32 at least, so that
    bfloat16 images make a bfloat16 network with float32 parameters.

    Attributes:
      unbiased: whether the running variance takes the unbiased variance, as PyTorch does; flax
        takes the biased one.
      lowering: `auto` or `onednn`: the native operation where it is built; else XLA.
      activation: a row of ACTIVATIONS, after the residual sum.
      epsilon: added to the variance.
    """

    unbiased: bool = False
    lowering: str = 'xla'
    activation: str = ''
    epsilon: float = EPSILON

    @nn.compact
    def __call__(self, images: jax.Array, train: bool, skip: jax.Array | None = None) -> jax.Array:
        """Normalise, add `skip`, apply the activation.

        Args:
          images: float [batch, ..., channel].
          train: whether the batch's statistics are used, and move the running ones.
          skip: residual branch of the same shape.
        """
        scale, bias, running = declare(self, images.shape[-1:])
        settings = dict(activation=NATIVE.get(self.activation, 0), epsilon=self.epsilon)
        after = self.activation if self.activation not in NATIVE else ''
        native_op = is_native(images, self.lowering)
        if native_op and train:
            outputs, *statistics = norm_relu(images, scale, bias, skip, norm=1, **settings)
            move(self, running, statistics, images.size, self.unbiased)
            return activate(outputs, after)
        if train:
            statistics = moments(images)
            move(self, running, statistics, images.size, self.unbiased)
        else:
            statistics = [variable.value for variable in running]
        mean, variance = statistics
        factor = lax.rsqrt(variance + self.epsilon) * scale
        if native_op:
            shift = bias - mean * factor
            return activate(norm_relu(images, factor, shift, skip, norm=0, **settings)[0], after)
        mean, factor, bias = (_row(values, images.ndim) for values in (mean, factor, bias))
        outputs = ((images - mean) * factor + bias).astype(images.dtype)
        outputs = outputs if skip is None else outputs + skip
        return activate(outputs, self.activation)


class LayerNorm(nn.Module):
    """Norm over the channels of each pixel or token; moments are float32 at least.

    Attributes:
      epsilon: added to the variance.
    """

    epsilon: float = 1e-6

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Normalise float [batch, ..., channel]."""
        scale, bias = (
            _row(self.param(name, initial, images.shape[-1:]), images.ndim)
            for name, initial in (('scale', initializers.ones), ('bias', initializers.zeros))
        )
        values = to_float32(images)
        centred = values - values.mean(-1, keepdims=True)
        variance = lax.square(centred).mean(-1, keepdims=True)
        outputs = centred * lax.rsqrt(variance + self.epsilon) * scale + bias
        return outputs.astype(images.dtype)


def activate(images: jax.Array, activation: str) -> jax.Array:
    """Apply a row of ACTIVATIONS."""
    return ACTIVATIONS[activation](images)


def declare(module: nn.Module, shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array, list[Any]]:
    """Declare scale and bias, and the variables of the running mean and variance, of a module."""
    scale = module.param('scale', initializers.ones, shape)
    bias = module.param('bias', initializers.zeros, shape)
    running = [
        module.variable('batch_stats', name, initial, shape)
        for name, initial in (('mean', jnp.zeros), ('var', jnp.ones))
    ]
    return scale, bias, running


def move(
    module: nn.Module,
    running: Sequence[Any],
    statistics: Sequence[jax.Array],
    size: int,
    unbiased: bool,
) -> None:
    """Move the running mean and variance towards those of a batch; not during initialisation.

    Args:
      module: the module that declared `running`.
      running: variables of the running mean and variance.
      statistics: mean and biased variance [channel] of the batch.
      size: number of values in the batch, over all channels.
      unbiased: whether the running variance takes the unbiased variance.
    """
    if module.is_initializing():
        return
    mean, variance = statistics
    if unbiased:
        count = size // mean.size
        variance = variance * (count / max(count - 1, 1))
    for variable, value in zip(running, (mean, variance), strict=True):
        variable.value = MOMENTUM * variable.value + (1 - MOMENTUM) * value


def moments(images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and biased variance [channel] over all other axes, in one pass over the images."""
    images = to_float32(images)
    axes = tuple(range(images.ndim - 1))
    mean, square = images.mean(axes), lax.square(images).mean(axes)
    return mean, jnp.maximum(0.0, square - lax.square(mean))


def to_float32(images: jax.Array) -> jax.Array:
    """Images in float32 at least."""
    return images.astype(jnp.promote_types(images.dtype, jnp.float32))


def _row(values: jax.Array, axes: int) -> jax.Array:
    return values.reshape((1,) * (axes - 1) + (-1,))


def is_native(images: jax.Array, lowering: str) -> bool:
    """Whether the native operations are built, apply to float32 images, and are selected."""
    return lowering in ('auto', 'onednn') and images.dtype == jnp.float32 and not native.missing()


def norm_relu(
    images: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    skip: jax.Array | None = None,
    **settings: Any,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalise over all axes but the last, natively: activation(norm(images) + skip).

    Args:
      images: float32 [batch, height, width, channel].
      scale: [channel].
      bias: [channel].
      skip: residual branch of the images' shape.
      **settings: `norm` (1: by the moments of the batch; 0: only scale and bias), `activation`
        (a number of NATIVE), `epsilon`.

    Returns:
      The result; mean and biased variance [channel] (0 and 1 where `norm` is 0), as constants.
    """
    channels = images.shape[-1]
    added = jnp.zeros(0) if skip is None else skip.reshape(-1, channels)
    outputs: Any = _norm_relu(
        tuple(settings.items()), images.reshape(-1, channels), added, scale, bias
    )
    mean, variance = map(jax.lax.stop_gradient, outputs[1:])
    return outputs[0].reshape(images.shape), mean, variance


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _norm_relu(
    settings: Settings, rows: jax.Array, skip: jax.Array, scale: jax.Array, bias: jax.Array
) -> Any:
    shapes = [rows.shape, scale.shape, scale.shape]
    return tuple(native.call('norm_forward', shapes, rows, skip, scale, bias, **dict(settings)))


def _norm_forward(
    settings: Settings, rows: jax.Array, skip: jax.Array, scale: jax.Array, bias: jax.Array
) -> Any:
    outputs: Any = _norm_relu(settings, rows, skip, scale, bias)
    result, mean, variance = outputs
    return outputs, (rows, scale, bias, mean, variance, result if skip.size else skip)


def _norm_backward(settings: Settings, residuals: tuple[jax.Array, ...], gradients: Any) -> Any:
    rows, scale, *_, result = residuals
    shapes = [rows.shape, result.shape, scale.shape, scale.shape]
    return tuple(native.call('norm_backward', shapes, *residuals, gradients[0], **dict(settings)))


_norm_relu.defvjp(_norm_forward, _norm_backward)


@jax.custom_vjp
def max_pool_native(images: jax.Array) -> jax.Array:
    """As `blocks.max_pool`, natively: float32 only."""
    batch, height, width, channels = images.shape
    shape = (batch, (height + 1) // 2, (width + 1) // 2, channels)
    return native.call('pool_forward', [shape], images)[0]


def _pool_forward(images: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    pooled = max_pool_native(images)
    return pooled, (images, pooled)


def _pool_backward(residuals: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array]:
    return (native.call('pool_backward', [residuals[0].shape], *residuals, gradient)[0],)


max_pool_native.defvjp(_pool_forward, _pool_backward)
