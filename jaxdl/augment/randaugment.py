"""RandAugment (Cubuk et al. 2020): two random operations per image, both of one magnitude.

Of the paper's fourteen operations `equalize` is left out, because it needs a histogram per channel.
Every operation of both draws is computed once per batch: blends in one pass, geometric operations
as one matrix. Tonal operations therefore precede geometric ones, in whichever order they are drawn.
"""

import math

import jax
import jax.numpy as jnp

from jaxdl.augment import colour
from jaxdl.augment.geometry import check_images, compose
from jaxdl.errors import InputError

OPERATIONS = (
    'identity',
    'brightness',
    'contrast',
    'saturation',
    'sharpness',
    'autocontrast',
    'posterize',
    'solarize',
    'rotate',
    'shear_x',
    'shear_y',
    'translate_x',
    'translate_y',
)
DRAWS = 4  # an image: for either operation which it is, and its sign
# At full strength: change of a factor, bits that are lost, degrees, pixels across one, share of the
# side.
FACTOR, BITS, ANGLE, SHEAR, SHIFT = 0.9, 4, 30.0, 0.3, 150 / 331


def randaugment(
    images: jax.Array, strength: jax.Array, draws: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Apply the tonal operations and return the map of the geometric ones.

    The numbers are torchvision's. Two things differ: shears are about the centre, and
    `autocontrast`,
    which has no magnitude in torchvision, is blended in by the strength. Strength 0 is the
    identity.

    Args:
      images: float [n, height, width, channel], 1 or 3 channels.
      strength: the paper's magnitude divided by 10, in [0, 1].
      draws: float [4, n], uniform in [0, 1).

    Returns:
      The images, and the map float [n, 2, 3] that `geometry.warp` takes as `back`.

    Raises:
      InputError: the images have neither 1 nor 3 channels.
    """
    if check_images(images).shape[-1] not in (1, 3):
        raise InputError(
            f'images have {images.shape[-1]} channels: randaugment needs 1 (grey) or 3 (RGB)'
        )
    # The largest draw below 1 times 13 rounds to 13.
    kinds = jnp.minimum(jnp.floor(len(OPERATIONS) * draws[::2]), len(OPERATIONS) - 1)
    values = strength * jnp.where(draws[1::2] < 0.5, -1.0, 1.0)
    planes = images.transpose(3, 0, 1, 2)  # as in `colour`
    for kind, value in zip(kinds, values, strict=True):
        planes = _apply_tonal(
            planes, kind.reshape(1, -1, 1, 1), value.reshape(1, -1, 1, 1), strength
        )
    sides = images.shape[1:3]
    first, second = (
        _geometric_maps(sides, kind, value) for kind, value in zip(kinds, values, strict=True)
    )
    return planes.transpose(1, 2, 3, 0).astype(images.dtype), compose(first, second)


def _is(kind: jax.Array, name: str) -> jax.Array:
    return kind == OPERATIONS.index(name)


def _apply_tonal(
    planes: jax.Array, kind: jax.Array, value: jax.Array, strength: jax.Array
) -> jax.Array:
    """Tonal operation of each image; `planes` [channel, n, height, width]."""
    grey = colour.grey(planes)
    low, high = planes.min((2, 3), keepdims=True), planes.max((2, 3), keepdims=True)
    even = high - low < 0.5 / 255  # as bytes they are one value: what differs is noise
    others = dict(
        brightness=jnp.zeros_like(grey),
        contrast=grey.mean((2, 3), keepdims=True),
        saturation=grey,
        sharpness=_smooth(planes),
        autocontrast=jnp.where(even, planes, (planes - low) / jnp.where(even, 1.0, high - low)),
    )
    weight, other = jnp.ones_like(value), planes
    for name, picture in others.items():
        factor = 1 - strength if name == 'autocontrast' else 1 + FACTOR * value
        weight, other = (
            jnp.where(_is(kind, name), factor, weight),
            jnp.where(_is(kind, name), picture, other),
        )
    blended = jnp.clip(weight * planes + (1 - weight) * other, 0.0, 1.0)
    return jnp.where(
        _is(kind, 'posterize') | _is(kind, 'solarize'),
        _posterize_or_solarize(planes, kind, strength),
        blended,
    )


def _posterize_or_solarize(planes: jax.Array, kind: jax.Array, strength: jax.Array) -> jax.Array:
    """Posterised (the lowest bits of each byte removed) or solarised (bright pixels inverted)."""
    step = jnp.exp2(jnp.round(BITS * strength))
    levels = jnp.floor(jnp.round(255 * planes) / step) * step / 255
    coarse = jnp.where(step > 1, levels, planes)
    bright = jnp.round(255 * planes) >= 256 * (1 - strength)
    return jnp.where(_is(kind, 'posterize'), coarse, jnp.where(bright, 1 - planes, planes))


def _smooth(planes: jax.Array) -> jax.Array:
    """Pillow's filter SMOOTH: a 3 x 3 mean with weight 5 in the middle; the edges are kept."""
    rows = planes[:, :, :-2] + planes[:, :, 1:-1] + planes[:, :, 2:]
    inner = (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * planes[:, :, 1:-1, 1:-1]) / 13
    return planes.at[:, :, 1:-1, 1:-1].set(inner)


def _geometric_maps(sides: tuple[int, ...], kind: jax.Array, value: jax.Array) -> jax.Array:
    """Maps [n, 2, 3] of the geometric operations; the identity for the others."""

    def part(name: str, number: jax.Array) -> jax.Array:
        return jnp.where(_is(kind, name), number, 0.0)

    angle = part('rotate', math.pi / 180 * ANGLE * value)
    down, right = (
        part(f'translate_{axis}', SHIFT * side * value)
        for axis, side in zip('yx', sides, strict=True)
    )
    rows = jnp.stack([jnp.cos(angle), jnp.sin(angle) + part('shear_y', SHEAR * value), -down], -1)
    columns = jnp.stack(
        [-jnp.sin(angle) + part('shear_x', SHEAR * value), jnp.cos(angle), -right], -1
    )
    return jnp.stack([rows, columns], 1)
