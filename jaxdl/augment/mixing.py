"""Erasing a box of an image, and mixing two images: random erasing, mixup, CutMix.

Images are float [n, height, width, channel] in [0, 1]; targets float [n, classes]. The partner of
image i is image n - 1 - i: a batch is in random order already. The middle image of an odd batch is
its own partner.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.augment.geometry import Number, check_images, per_image


class Box(NamedTuple):
    """A box per image in whole pixels; empty where bottom <= top or right <= left.

    Attributes:
      top: first row, scalar or [n].
      left: first column.
      bottom: row after the last.
      right: column after the last.
    """

    top: Number
    left: Number
    bottom: Number
    right: Number


def erase(images: jax.Array, box: Box, fill: jax.Array) -> jax.Array:
    """Paint the box of every image in one colour (random erasing, Zhong et al. 2020).

    Args:
      images: float [n, height, width, channel].
      box: the boxes.
      fill: colours [n, channel].

    Returns:
      Images of the same shape.
    """
    return jnp.where(_box_mask(images, box), fill[:, None, None].astype(images.dtype), images)


def mixup(images: jax.Array, targets: jax.Array, share: Number) -> tuple[jax.Array, jax.Array]:
    """Mix every image and target with those of the partner (Zhang et al. 2018).

    Args:
      images: float [n, height, width, channel].
      targets: float [n, classes].
      share: share of the partner in [0, 1], scalar or [n].

    Returns:
      Images and targets of the same shapes.
    """
    share = per_image(check_images(images), share)[:, :, 0, 0]
    flat = images.reshape(
        len(images), -1
    )  # one long loop an image, not one a pixel: a third of the time
    return _mix(flat, share).reshape(images.shape), _mix(targets, share)


def cutmix(images: jax.Array, targets: jax.Array, box: Box) -> tuple[jax.Array, jax.Array]:
    """Paste the partner's box into every image and mix the targets by area (Yun et al. 2019).

    Args:
      images: float [n, height, width, channel].
      targets: float [n, classes].
      box: the boxes.

    Returns:
      Images and targets of the same shapes.
    """
    inside = _box_mask(images, box)
    share = inside.mean((1, 2, 3), dtype=jnp.float32, keepdims=True)
    return jnp.where(inside, _partner(images), images), _mix(targets, share[:, :, 0, 0])


def _mix(values: jax.Array, share: jax.Array) -> jax.Array:
    return ((1 - share) * values + share * _partner(values)).astype(values.dtype)


def _partner(values: jax.Array) -> jax.Array:
    return values[::-1]  # three times as fast as to roll them


def _box_mask(images: jax.Array, box: Box) -> jax.Array:
    """Mask of the box, bool [n, height, width, 1]."""
    top, left, bottom, right = (per_image(check_images(images), edge) for edge in box)
    down = jnp.arange(images.shape[1], dtype=jnp.float32).reshape(1, -1, 1, 1)
    across = jnp.arange(images.shape[2], dtype=jnp.float32).reshape(1, 1, -1, 1)
    return ((down >= top) & (down < bottom)) & ((across >= left) & (across < right))
