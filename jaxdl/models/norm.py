"""Batch norm with the ReLU and the residual sum beside it, and 3 x 3 max pooling.

As native operations.

Each has a gradient of its own, in as few passes over memory as can be: in a residual network on a
CPU those passes, not the convolutions, are what XLA's own code spends most of its time on
(BUILD_NOTES.md).
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from jaxdl import native

Settings = tuple[tuple[str, Any], ...]


def served(images: jax.Array, lowering: str) -> bool:
    """Whether the native operations have these numbers, and are wanted."""
    return lowering in ('auto', 'onednn') and images.dtype == jnp.float32 and not native.missing()


def normed(
    images: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    skip: jax.Array | None = None,
    **settings: Any,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Norms over all axes but the last, natively: relu(norm(images) + skip).

    Args:
      images: [batch, height, width, channel], float32.
      scale: [channel], and `bias` likewise.
      skip: as images; or None, nothing.
      **settings: `norm` (1: by the moments of the batch; 0: scale and bias as they are), `relu` (0
      or 1), `epsilon`.

    Returns:
      The result; mean and biased variance [channel] (0 and 1 where `norm` is 0), as constants.
    """
    channels = images.shape[-1]
    beside = jnp.zeros(0) if skip is None else skip.reshape(-1, channels)
    found: Any = _normed(tuple(settings.items()), images.reshape(-1, channels), beside, scale, bias)
    mean, variance = map(jax.lax.stop_gradient, found[1:])
    return found[0].reshape(images.shape), mean, variance


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _normed(
    settings: Settings, rows: jax.Array, skip: jax.Array, scale: jax.Array, bias: jax.Array
) -> Any:
    shapes = [rows.shape, scale.shape, scale.shape]
    return tuple(native.call('norm_forward', shapes, rows, skip, scale, bias, **dict(settings)))


def _forward(
    settings: Settings, rows: jax.Array, skip: jax.Array, scale: jax.Array, bias: jax.Array
) -> Any:
    found: Any = _normed(settings, rows, skip, scale, bias)
    out, mean, variance = found
    return found, (rows, scale, bias, mean, variance, out if skip.size else skip)


def _backward(settings: Settings, residuals: tuple[jax.Array, ...], gradients: Any) -> Any:
    rows, scale, *_, out = residuals
    shapes = [rows.shape, out.shape, scale.shape, scale.shape]
    return tuple(native.call('norm_backward', shapes, *residuals, gradients[0], **dict(settings)))


_normed.defvjp(_forward, _backward)


@jax.custom_vjp
def pooled(images: jax.Array) -> jax.Array:
    """As `blocks.max_pooled`, natively: float32 only."""
    batch, height, width, channels = images.shape
    return native.call(
        'pool_forward', [(batch, (height + 1) // 2, (width + 1) // 2, channels)], images
    )[0]


def _pool_forward(images: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    found = pooled(images)
    return found, (images, found)


def _pool_backward(residuals: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array]:
    return (native.call('pool_backward', [residuals[0].shape], *residuals, gradient)[0],)


pooled.defvjp(_pool_forward, _pool_backward)
