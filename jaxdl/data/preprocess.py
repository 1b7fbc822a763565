"""Bytes to normalised floats, and the channel moments that normalise them."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

ArrayLike = np.ndarray | jax.Array
# Images at a time where moments are taken: an array on disk is never in memory as a whole.
PIECE = 1024


def to_float(images: ArrayLike) -> jax.Array:
    """Convert images to float32: bytes to the range [0, 1], other numbers unchanged.

    Args:
      images: uint8 or float [..., channel].

    Returns:
      float32 of the same shape.
    """
    return jnp.asarray(images).astype(jnp.float32) / _unit(images)


def normalize(
    images: jax.Array, mean: ArrayLike | Sequence[float], std: ArrayLike | Sequence[float]
) -> jax.Array:
    """Normalise each channel: `(images - mean) / std`.

    Args:
      images: float [..., channel], in the unit of the moments (`to_float`).
      mean: [channel].
      std: [channel], positive.

    Returns:
      The images' shape and type.
    """
    mean, std = (
        jnp.asarray(moment, images.dtype).reshape((1,) * (images.ndim - 1) + (-1,))
        for moment in (mean, std)
    )
    return (images - mean) / std


def channel_moments(images: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel over some images, in the unit of `to_float`.

    Args:
      images: uint8 or float [n, height, width, channel].
      indices: int [k], into `images`: those of the training split.

    Returns:
      Mean and standard deviation, float64 [channel] each. The standard deviation of a constant
      channel is 1.
    """
    sums = np.zeros((2, images.shape[-1]))
    for start in range(0, len(indices), PIECE):
        pixels = (
            images[indices[start : start + PIECE]].reshape(-1, images.shape[-1]).astype(np.float64)
        )
        sums += pixels.sum(0), np.square(pixels).sum(0)
    mean, square = sums / (len(indices) * images.shape[1] * images.shape[2]) / _unit(images)
    std = np.sqrt(np.maximum(square / _unit(images) - np.square(mean), 0))
    return mean, np.where(std > 1e-6 * (1 + abs(mean)), std, 1.0)


def _unit(images: ArrayLike) -> float:
    return 255.0 if images.dtype == np.uint8 else 1.0
