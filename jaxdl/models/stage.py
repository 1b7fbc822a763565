"""Norm, activation and 2 x 2 pooling as one native operation with its own gradient.

It replaces the layers of `layers`, where the native part is built and has the options: in fewer
passes over memory, with the same parameter names and the same numbers up to rounding.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.nn import initializers

from jaxdl import native
from jaxdl.models.norm import EPSILON, declare, move

SLOPES = dict(relu=0.0, leaky_relu=0.01)  # derivative of the activation below 0
POOLINGS = dict(none=0, max=1, avg=2, avgmax=3, l2=4)  # numbers as in native/stage.cc
NORMS = ('none', 'batch')


class NormActivationPool(nn.Module):
    """Norm, activation and pooling of images [batch, height, width, channel].

    Attributes:
      norm: one of NORMS.
      activation: one of SLOPES.
      pooling: one of POOLINGS.
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
            return norm_activation_pool(images, jnp.ones(channels), bias, norm=0, **settings)[0]
        scale, bias, running = declare(self, (channels,))
        if not train:
            mean, variance = (variable.value for variable in running)
            factor = scale * jax.lax.rsqrt(variance + EPSILON)
            return norm_activation_pool(images, factor, bias - mean * factor, norm=0, **settings)[0]
        pooled, *statistics = norm_activation_pool(images, scale, bias, norm=1, **settings)
        move(self, running, statistics, images.size, unbiased=False)
        return pooled


def is_supported(norm: str, activation: str) -> bool:
    """Whether the native operation has these options; another pooling follows as a layer."""
    return norm in NORMS and activation in SLOPES


def norm_activation_pool(
    images: jax.Array, scale: jax.Array, bias: jax.Array, **settings: Any
) -> tuple[jax.Array, ...]:
    """Compute pool(activation(norm(images))) natively.

    Returns:
      The result; mean and biased variance [channel] (0 and 1 where `norm` is 0), as constants.
    """
    outputs: Any = _apply_native(tuple(settings.items()), images, scale, bias)
    pooled, *moments = outputs[0]
    return pooled, *map(jax.lax.stop_gradient, moments)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _apply_native(
    settings: tuple[tuple[str, Any], ...], images: jax.Array, scale: jax.Array, bias: jax.Array
) -> Any:
    options = dict(settings)
    batch, height, width, channels = images.shape
    pools = options['pooling'] != POOLINGS['none']
    down, right = (min(2, side) if pools else 1 for side in (height, width))
    pooled = (batch, height // down, width // right, channels)
    places = pooled if options['pooling'] == POOLINGS['max'] else (0,)
    shapes = [pooled, places, (channels,), (channels,)]
    result, *residuals = native.call('stage_forward', shapes, images, scale, bias, **options)
    places, mean, variance = residuals
    return (result, mean, variance), places


def _forward(settings: Any, images: jax.Array, scale: jax.Array, bias: jax.Array) -> Any:
    outputs: Any = _apply_native(settings, images, scale, bias)
    (_, *moments), places = outputs
    return outputs, (images, scale, bias, places, *moments)


def _backward(settings: Any, residuals: tuple[jax.Array, ...], gradients: Any) -> Any:
    images, scale, bias, *_ = residuals
    shapes = [images.shape, scale.shape, bias.shape]
    return tuple(
        native.call('stage_backward', shapes, *residuals, gradients[0][0], **dict(settings))
    )


_apply_native.defvjp(_forward, _backward)
