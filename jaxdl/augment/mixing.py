"""What covers a part of an image, or mixes two of them.

Images are float [n, height, width, channel] in [0, 1].

The partner of an image is the one as far from the batch's other end, whose order is random already;
the middle one of an odd batch stays as it is. Targets are float [n, classes].
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.augment.geometry import Number, check, each


class Box(NamedTuple):
    """A part of an image, whole pixels, each edge a scalar or [n].

    Empty where bottom <= top or right <= left.
    """

    top: Number
    left: Number
    bottom: Number
    right: Number


def erase(images: jax.Array, box: Box, fill: jax.Array) -> jax.Array:
    """Paints the box of every image in one colour, `fill` [n, channel] (random erasing.

    Zhong et al. 2020).
    """
    return jnp.where(_inside(images, box), fill[:, None, None].astype(images.dtype), images)


def mixup(images: jax.Array, targets: jax.Array, share: Number) -> tuple[jax.Array, jax.Array]:
    """Takes `share`, in [0, 1], of image and target from the partner (Zhang et al. 2018)."""
    share = each(check(images), share)[:, :, 0, 0]
    flat = images.reshape(
        len(images), -1
    )  # one long loop an image, not one a pixel: a third of the time
    return _mixed(flat, share).reshape(images.shape), _mixed(targets, share)


def cutmix(images: jax.Array, targets: jax.Array, box: Box) -> tuple[jax.Array, jax.Array]:
    """Takes the box from the partner, and of the target the share of the pixels in it (Yun et al.

    2019).
    """
    inside = _inside(images, box)
    share = inside.mean((1, 2, 3), dtype=jnp.float32, keepdims=True)
    return jnp.where(inside, _partner(images), images), _mixed(targets, share[:, :, 0, 0])


def _mixed(values: jax.Array, share: jax.Array) -> jax.Array:
    return ((1 - share) * values + share * _partner(values)).astype(values.dtype)


def _partner(values: jax.Array) -> jax.Array:
    return values[::-1]  # three times as fast as to roll them


def _inside(images: jax.Array, box: Box) -> jax.Array:
    """bool [n, height, width, 1]."""
    top, left, bottom, right = (each(check(images), edge) for edge in box)
    down = jnp.arange(images.shape[1], dtype=jnp.float32).reshape(1, -1, 1, 1)
    across = jnp.arange(images.shape[2], dtype=jnp.float32).reshape(1, 1, -1, 1)
    return ((down >= top) & (down < bottom)) & ((across >= left) & (across < right))
