"""Norm, activation and 2 x 2 pooling as one native operation with a gradient of its own.

Few passes over memory.

It stands for what `layers` spells out, where the native part is there and has the options: the same
parameters by the same names, the same numbers but for rounding.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.nn import initializers

from jaxdl import native
from jaxdl.models.norm import EPSILON, declare, move

SLOPES = dict(relu=0.0, leaky_relu=0.01)  # of the activation below 0
POOLINGS = dict(none=0, max=1, avg=2, avgmax=3, l2=4)  # numbers as in native/stage.cc
NORMS = ('none', 'batch')


class NormActivationPool(nn.Module):
    """What comes after a convolution, [batch, height, width, channel] -> pooled.

    With the parameters of the norm.
    """

    norm: str
    activation: str
    pooling: str

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        channels = images.shape[-1]
        settings = dict(
            pooling=POOLINGS[self.pooling], slope=SLOPES[self.activation], epsilon=EPSILON
        )
        if self.norm == 'none':
            bias = self.param('bias', initializers.zeros, (1, 1, 1, channels)).reshape(channels)
            return fused(images, jnp.ones(channels), bias, norm=0, **settings)[0]
        scale, bias, running = declare(self, (channels,))
        if not train:
            mean, variance = (variable.value for variable in running)
            factor = scale * jax.lax.rsqrt(variance + EPSILON)
            return fused(images, factor, bias - mean * factor, norm=0, **settings)[0]
        pooled, *statistics = fused(images, scale, bias, norm=1, **settings)
        move(self, running, statistics, images.size, unbiased=False)
        return pooled


def serves(norm: str, activation: str) -> bool:
    """Whether the native operation has these options; a pooling that it has not comes after it."""
    return norm in NORMS and activation in SLOPES


def fused(
    images: jax.Array, scale: jax.Array, bias: jax.Array, **settings: Any
) -> tuple[jax.Array, ...]:
    """pool(act(norm(images))).

    Mean and variance [channel] of the images (0 and 1 where `norm` is 0), as constants.
    """
    found: Any = _fused(tuple(settings.items()), images, scale, bias)
    pooled, *moments = found[0]
    return pooled, *map(jax.lax.stop_gradient, moments)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _fused(
    settings: tuple[tuple[str, Any], ...], images: jax.Array, scale: jax.Array, bias: jax.Array
) -> Any:
    options = dict(settings)
    batch, height, width, channels = images.shape
    pools = options['pooling'] != POOLINGS['none']
    down, right = (min(2, side) if pools else 1 for side in (height, width))
    pooled = (batch, height // down, width // right, channels)
    kept = pooled if options['pooling'] == POOLINGS['max'] else (0,)
    shapes = [pooled, kept, (channels,), (channels,)]
    out, kept, mean, variance = native.call('stage_forward', shapes, images, scale, bias, **options)
    return (out, mean, variance), kept


def _forward(settings: Any, images: jax.Array, scale: jax.Array, bias: jax.Array) -> Any:
    found: Any = _fused(settings, images, scale, bias)
    (_, *moments), kept = found
    return found, (images, scale, bias, kept, *moments)


def _backward(settings: Any, residuals: tuple[jax.Array, ...], gradients: Any) -> Any:
    images, scale, bias, *_ = residuals
    shapes = [images.shape, scale.shape, bias.shape]
    return tuple(
        native.call('stage_backward', shapes, *residuals, gradients[0][0], **dict(settings))
    )


_fused.defvjp(_forward, _backward)
