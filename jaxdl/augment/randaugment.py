"""RandAugment (Cubuk et al.

2020): two operations an image, drawn from a set and all of one magnitude.

Of the paper's fourteen, `equalize` is left out: a histogram of each channel, where the others are
sums and products. Every operation of both draws is computed once for the batch: what blends with
another picture in one pass, what moves pixels as one matrix. So what is tonal comes before what is
geometric, whichever was drawn first.
"""

import math

import jax
import jax.numpy as jnp

from jaxdl.augment import colour
from jaxdl.augment.geometry import check, compose
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
    """Images after the tonal operations, and the map of the geometric ones.

    To be done by `geometry.warp`.

    `strength` in [0, 1] is the paper's magnitude over 10; `draws` float [4, n], uniform in [0, 1).
    The map is float [n, 2, 3], `back` of `warp`. The numbers are torchvision's, but shears are
    about the centre, and `autocontrast`, which has no magnitude there, is blended in by the
    strength: at 0 all is exactly the identity.
    """
    if check(images).shape[-1] not in (1, 3):
        raise InputError(
            f'images of {images.shape[-1]} channels: randaugment is for 1 (grey) or 3 (red, green, blue)'
        )
    # The largest draw below 1 times 13 rounds to 13.
    kinds = jnp.minimum(jnp.floor(len(OPERATIONS) * draws[::2]), len(OPERATIONS) - 1)
    values = strength * jnp.where(draws[1::2] < 0.5, -1.0, 1.0)
    planes = images.transpose(3, 0, 1, 2)  # as in `colour`
    for kind, value in zip(kinds, values, strict=True):
        planes = _toned(planes, kind.reshape(1, -1, 1, 1), value.reshape(1, -1, 1, 1), strength)
    sides = images.shape[1:3]
    first, second = (_moved(sides, kind, value) for kind, value in zip(kinds, values, strict=True))
    return planes.transpose(1, 2, 3, 0).astype(images.dtype), compose(first, second)


def _is(kind: jax.Array, name: str) -> jax.Array:
    return kind == OPERATIONS.index(name)


def _toned(planes: jax.Array, kind: jax.Array, value: jax.Array, strength: jax.Array) -> jax.Array:
    """`planes` [channel, n, height, width] after an operation an image; `kind` and `value` [1, n.

    1, 1].
    """
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
    kept, other = jnp.ones_like(value), planes
    for name, picture in others.items():
        factor = 1 - strength if name == 'autocontrast' else 1 + FACTOR * value
        kept, other = (
            jnp.where(_is(kind, name), factor, kept),
            jnp.where(_is(kind, name), picture, other),
        )
    found = jnp.clip(kept * planes + (1 - kept) * other, 0.0, 1.0)
    return jnp.where(
        _is(kind, 'posterize') | _is(kind, 'solarize'), _stepped(planes, kind, strength), found
    )


def _stepped(planes: jax.Array, kind: jax.Array, strength: jax.Array) -> jax.Array:
    """Posterised (the lowest bits of each byte gone), or with what is bright inverted."""
    lost = jnp.exp2(jnp.round(BITS * strength))
    levels = jnp.floor(jnp.round(255 * planes) / lost) * lost / 255
    coarse = jnp.where(lost > 1, levels, planes)
    bright = jnp.round(255 * planes) >= 256 * (1 - strength)
    return jnp.where(_is(kind, 'posterize'), coarse, jnp.where(bright, 1 - planes, planes))


def _smooth(planes: jax.Array) -> jax.Array:
    """Pillow's filter SMOOTH: a mean of 3 x 3 in which the middle counts five times.

    The edges as they are.
    """
    rows = planes[:, :, :-2] + planes[:, :, 1:-1] + planes[:, :, 2:]
    inner = (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * planes[:, :, 1:-1, 1:-1]) / 13
    return planes.at[:, :, 1:-1, 1:-1].set(inner)


def _moved(sides: tuple[int, ...], kind: jax.Array, value: jax.Array) -> jax.Array:
    """[n, 2, 3] of the geometric operations; the identity for the rest."""

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
