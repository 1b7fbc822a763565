"""Crops resized to one size.

A box is (top, left, height, width), as shares of the image's sides.
"""

import math

import jax
import jax.numpy as jnp

from jaxdl.augment.geometry import Number, check_images
from jaxdl.errors import InputError


def resized_crop(images: jax.Array, boxes: jax.Array, size: int | tuple[int, int]) -> jax.Array:
    """Resize a box of every image to one size, bilinear with antialiasing.

    Equals Pillow's `resize(size, BILINEAR, box)`: a pixel at the edge of a box reads beyond the
    box.
    The whole image at its own size is returned bit for bit.

    Args:
      images: float [n, height, width, channel].
      boxes: float [n, 4] (top, left, height, width) inside the image, as shares; may be traced.
      size: side, or (height, width), of the result in pixels.

    Returns:
      float [n, *size, channel].

    Raises:
      InputError: `boxes` has another shape.
    """
    if boxes.shape != (len(check_images(images)), 4):
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
    # Image by image, the data stay in the CPU's caches: half the time.
    resized = jax.lax.platform_dependent(
        pixels, down, across, cpu=_resize_one_by_one, default=jax.vmap(_resize)
    )
    return resized.astype(images.dtype)


def _resize_one_by_one(images: jax.Array, down: jax.Array, across: jax.Array) -> jax.Array:
    return jax.lax.map(lambda one: _resize(*one), (images, down, across))


def _resize(image: jax.Array, down: jax.Array, across: jax.Array) -> jax.Array:
    """Two matrix products with mostly zeros, far faster than gathering the non-zero weights."""
    height, width, channels = image.shape
    lower = jnp.matmul(down, image.reshape(height, width * channels), precision='highest')
    return jnp.einsum(
        'cw,rwk->rck', across, lower.reshape(-1, width, channels), precision='highest'
    )


def centre_boxes(n: int, share: Number) -> jax.Array:
    """Boxes of the middle of every image.

    Args:
      n: number of images.
      share: scalar or [n] in (0, 1], share of both sides.

    Returns:
      float [n, 4].
    """
    share = jnp.broadcast_to(jnp.asarray(share, jnp.float32), (n,))
    return jnp.stack([(1 - share) / 2, (1 - share) / 2, share, share], -1)


def random_boxes(
    key: jax.Array,
    n: int,
    least_area: jax.Array | float,
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> jax.Array:
    """Boxes of Inception's random crops (Szegedy et al. 2015, torchvision's `RandomResizedCrop`).

    Areas are uniform in [least_area, 1], width / height is log-uniform in `ratio`, places are
    uniform.
    Instead of another try, a box that is too long is cut to the image at the same area.

    Args:
      key: random key.
      n: number of images.
      least_area: smallest area as a share of the image; may be traced; 1 gives exactly the whole
        image.
      ratio: smallest and largest aspect ratio, for square images.

    Returns:
      float [n, 4].
    """
    area, shape, down, right = jax.random.uniform(key, (4, n))
    area = 1 - (1 - least_area) * area
    low, high = map(math.log, ratio)
    shape = jnp.clip(low + (high - low) * shape, jnp.log(area), -jnp.log(area))
    height = jnp.minimum(jnp.sqrt(area * jnp.exp(-shape)), 1.0)
    width = jnp.minimum(jnp.sqrt(area * jnp.exp(shape)), 1.0)
    return jnp.stack([(1 - height) * down, (1 - width) * right, height, width], -1)


def _weights(first: jax.Array, share: jax.Array, size: int, count: int) -> jax.Array:
    """Weight of each source pixel in each result pixel, [n, count, size]; rows sum to 1."""
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
