"""Parts of images, brought to one size.

A box is (top, left, height, width), as shares of the image's sides.
"""

import math

import jax
import jax.numpy as jnp

from jaxdl.augment.geometry import Number, check
from jaxdl.errors import InputError


def resized_crop(images: jax.Array, boxes: jax.Array, size: int | tuple[int, int]) -> jax.Array:
    """The box of every image at one size: float [n, height, width, channel] -> [n, *size, channel].

    `boxes` [n, 4].

    Linear, with antialiasing where it shrinks, as Pillow's `resize(size, BILINEAR, box)`: a pixel
    at the edge of a box reads what lies beyond. Boxes may be traced, and lie in the image. The
    whole box at the same size changes no bit.
    """
    if boxes.shape != (len(check(images)), 4):
        raise InputError(
            f'boxes of shape {list(boxes.shape)} for {len(images)} images: must be [n, 4]'
        )
    (_, height, width, _), (rows, columns) = (
        images.shape,
        (size, size) if isinstance(size, int) else size,
    )
    boxes = boxes.astype(jnp.float32)
    down = _weights(boxes[:, 0], boxes[:, 2], height, rows)
    across = _weights(boxes[:, 1], boxes[:, 3], width, columns)
    pixels = images.astype(jnp.float32)
    # An image after another stays in the CPU's caches: half the time.
    found = jax.lax.platform_dependent(
        pixels, down, across, cpu=_in_turn, default=jax.vmap(_resized)
    )
    return found.astype(images.dtype)


def _in_turn(images: jax.Array, down: jax.Array, across: jax.Array) -> jax.Array:
    return jax.lax.map(lambda one: _resized(*one), (images, down, across))


def _resized(image: jax.Array, down: jax.Array, across: jax.Array) -> jax.Array:
    """Two products of matrices, mostly of zeros: far faster than to gather what little is not."""
    height, width, channels = image.shape
    lower = jnp.matmul(down, image.reshape(height, width * channels), precision='highest')
    return jnp.einsum(
        'cw,rwk->rck', across, lower.reshape(-1, width, channels), precision='highest'
    )


def centre_boxes(n: int, share: Number) -> jax.Array:
    """[n, 4]: the middle `share` (scalar or [n], in (0, 1]) of both sides."""
    share = jnp.broadcast_to(jnp.asarray(share, jnp.float32), (n,))
    return jnp.stack([(1 - share) / 2, (1 - share) / 2, share, share], -1)


def random_boxes(
    key: jax.Array,
    n: int,
    least_area: jax.Array | float,
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> jax.Array:
    """[n, 4]: Inception's random crops (Szegedy et al. 2015), as torchvision's `RandomResizedCrop`.

    Areas uniform in [least_area, 1], width / height log-uniform in `ratio`, places uniform; exactly
    the whole image at `least_area` 1, which may be traced. Instead of another try, a box that is
    too long becomes as long as the image, of the same area. Ratios are those of square images.
    """
    area, shape, down, right = jax.random.uniform(key, (4, n))
    area = 1 - (1 - least_area) * area
    low, high = map(math.log, ratio)
    shape = jnp.clip(low + (high - low) * shape, jnp.log(area), -jnp.log(area))
    height = jnp.minimum(jnp.sqrt(area * jnp.exp(-shape)), 1.0)
    width = jnp.minimum(jnp.sqrt(area * jnp.exp(shape)), 1.0)
    return jnp.stack([(1 - height) * down, (1 - width) * right, height, width], -1)


def _weights(first: jax.Array, share: jax.Array, size: int, count: int) -> jax.Array:
    """What each of `count` pixels takes from each of `size`: [n, count, size], rows of sum 1."""
    step = (share * (size / count)).reshape(
        -1, 1, 1
    )  # the quotient here, where that of equal sizes is exactly 1
    centres = (
        first.reshape(-1, 1, 1) * size
        + (jnp.arange(count, dtype=jnp.float32).reshape(1, -1, 1) + 0.5) * step
    )
    pixels = jnp.arange(size, dtype=jnp.float32).reshape(1, 1, -1) + 0.5
    weights = jnp.maximum(0.0, 1 - jnp.abs(pixels - centres) / jnp.maximum(step, 1.0))
    return weights / weights.sum(-1, keepdims=True)
