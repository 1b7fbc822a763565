"""Colour, as torchvision's functional `adjust_*`.

Images are float [n, height, width, channel] in [0, 1], of 1 or 3 channels. A factor is a scalar or
[n]; the result is clipped to [0, 1]. With one channel, saturation and hue change nothing.
"""

import jax
import jax.numpy as jnp

from jaxdl.augment.geometry import Number, check_images, per_image
from jaxdl.errors import InputError

LUMA = (0.2989, 0.587, 0.114)  # ITU-R 601-2, with torchvision's digits


def adjust_brightness(images: jax.Array, factor: Number) -> jax.Array:
    """Multiply the brightness by a factor, as torchvision's `adjust_brightness`.

    Args:
      images: float [n, height, width, channel] in [0, 1], 1 or 3 channels.
      factor: scalar or [n]; 0 gives black, 1 changes nothing.

    Returns:
      Images of the same shape, clipped to [0, 1].

    Examples:
      >>> adjust_brightness(jnp.full((1, 1, 1, 3), 0.5), 1.5).ravel().tolist()
      [0.75, 0.75, 0.75]
    """
    return jitter(images, brightness=factor)


def adjust_contrast(images: jax.Array, factor: Number) -> jax.Array:
    """Blend each image with its mean grey value, as torchvision's `adjust_contrast`.

    Args:
      images: float [n, height, width, channel] in [0, 1], 1 or 3 channels.
      factor: scalar or [n]; 0 gives the mean grey, 1 changes nothing.

    Returns:
      Images of the same shape, clipped to [0, 1].
    """
    return jitter(images, contrast=factor)


def adjust_saturation(images: jax.Array, factor: Number) -> jax.Array:
    """Blend each pixel with its grey value, as torchvision's `adjust_saturation`.

    Args:
      images: float [n, height, width, channel] in [0, 1]; one channel is left unchanged.
      factor: scalar or [n]; 0 gives greyscale, 1 changes nothing.

    Returns:
      Images of the same shape, clipped to [0, 1].

    Examples:
      >>> grey = adjust_saturation(jnp.array([1.0, 0.0, 0.0]).reshape(1, 1, 1, 3), 0.0)
      >>> [round(value, 3) for value in grey.ravel().tolist()]
      [0.299, 0.299, 0.299]
    """
    return jitter(images, saturation=factor)


def adjust_hue(images: jax.Array, factor: Number) -> jax.Array:
    """Rotate the hue, as torchvision's `adjust_hue`.

    Args:
      images: float [n, height, width, channel] in [0, 1]; one channel is left unchanged.
      factor: scalar or [n] in [-0.5, 0.5], a share of the hue circle; 0 changes nothing, a third
        turns
        red into green.

    Returns:
      Images of the same shape, clipped to [0, 1].

    Examples:
      >>> red = jnp.array([1.0, 0.0, 0.0]).reshape(1, 1, 1, 3)
      >>> adjust_hue(red, 1 / 3).round(3).ravel().tolist()
      [0.0, 1.0, 0.0]
    """
    return jitter(images, hue=factor)


def jitter(
    images: jax.Array,
    brightness: Number | None = None,
    contrast: Number | None = None,
    saturation: Number | None = None,
    hue: Number | None = None,
) -> jax.Array:
    """Apply the given colour changes in the order of the arguments.

    Args:
      images: float [n, height, width, channel] in [0, 1], 1 or 3 channels.
      brightness: factor as in `adjust_brightness`; None leaves the operation out.
      contrast: factor as in `adjust_contrast`.
      saturation: factor as in `adjust_saturation`.
      hue: share of the circle as in `adjust_hue`.

    Returns:
      Images of the same shape and dtype.

    Raises:
      InputError: the images have neither 1 nor 3 channels.
    """
    if check_images(images).shape[-1] not in (1, 3):
        raise InputError(
            f'images have {images.shape[-1]} channels: colour changes need 1 (grey) or 3 (RGB)'
        )
    # Channels first: a loop over pixels, which the compiler turns into vectors; over three channels
    # it cannot.
    planes = images.transpose(3, 0, 1, 2)
    if brightness is not None:
        planes = _blend(planes, jnp.zeros((1, 1, 1, 1)), _factor(images, brightness))
    if contrast is not None:
        planes = _blend(planes, grey(planes).mean((2, 3), keepdims=True), _factor(images, contrast))
    if saturation is not None and len(planes) == 3:
        planes = _blend(planes, grey(planes), _factor(images, saturation))
    if hue is not None and len(planes) == 3:
        planes = _turn(planes, _factor(images, hue))
    return planes.transpose(1, 2, 3, 0).astype(images.dtype)


def _factor(images: jax.Array, value: Number) -> jax.Array:
    return per_image(images, value).reshape(1, -1, 1, 1)


def _blend(planes: jax.Array, other: jax.Array, factor: jax.Array) -> jax.Array:
    return jnp.clip(factor * planes + (1 - factor) * other, 0.0, 1.0)


def grey(planes: jax.Array) -> jax.Array:
    """Grey value of each pixel: [channel, n, height, width] -> [1, n, height, width]."""
    if len(planes) == 1:
        return planes
    return LUMA[0] * planes[:1] + LUMA[1] * planes[1:2] + LUMA[2] * planes[2:]


def _turn(planes: jax.Array, hue: jax.Array) -> jax.Array:
    red, green, blue = planes[:1], planes[1:2], planes[2:]
    largest = jnp.maximum(jnp.maximum(red, green), blue)
    spread = largest - jnp.minimum(jnp.minimum(red, green), blue)
    per = 1 / jnp.where(spread == 0, 1.0, spread)
    sixths = jnp.where(largest == green, 2 + (blue - red) * per, 4 + (red - green) * per)
    sixths = jnp.where(largest == red, (green - blue) * per, sixths) + 6 * hue
    # How far a channel lies below the largest is a trapezium over the circle, which starts
    # elsewhere for each.
    place = (sixths + jnp.asarray([5.0, 3.0, 1.0]).reshape(3, 1, 1, 1)) / 6
    place = 6 * (place - jnp.floor(place))
    turned = largest - spread * jnp.clip(jnp.minimum(place, 4 - place), 0.0, 1.0)
    return jnp.where(hue == 0, planes, turned)  # the way through the hue rounds
