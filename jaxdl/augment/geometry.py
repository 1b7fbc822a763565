"""Rotation, translation, scaling and flipping.

Images are float [n, height, width, channel] in [0, 1].

All of a rotation, translation and scaling is done in one interpolation: two would blur twice.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import native
from jaxdl.errors import InputError

Number = jax.Array | float  # a scalar, or [n]


def warp(
    images: jax.Array,
    radians: Number,
    shift: tuple[Number, Number],
    scale: Number = 1.0,
    lowering: str = 'jax',
    back: jax.Array | None = None,
) -> jax.Array:
    """Rotate and scale about the centre (size - 1) / 2, then shift; bilinear, zeros outside.

    Equals SciPy's `order=1, mode='grid-constant'`, and exactly the identity at 0, (0, 0), 1.

    Args:
      images: float [n, height, width, channel].
      radians: scalar or [n], counter-clockwise.
      shift: (down, right) in pixels, each a scalar or [n].
      scale: scalar or [n].
      lowering: row of `LOWERINGS`.
      back: a map applied before, in the same interpolation: float [n, 2, 3]; the source (y, x) of a
        pixel is the map times its own (y, x, 1), in pixels from the centre.

    Returns:
      Images of the same shape and dtype.

    Raises:
      InputError: the images are not float [n, height, width, channel].
    """
    places = _places(check_images(images), radians, shift, scale)
    if back is not None:
        centre = jnp.asarray([(size - 1) / 2 for size in images.shape[1:3]])[None]
        places = compose(back, places.at[:, :, 2].add(-centre)).at[:, :, 2].add(centre)
    return LOWERINGS[lowering](images, places).astype(images.dtype)


def compose(first: jax.Array, second: jax.Array) -> jax.Array:
    """The map of `first`, then `second`; each float [n, 2, 3] as `back` of `warp`."""
    turned = jnp.einsum('nij,njk->nik', first[:, :, :2], second, precision='highest')
    return turned.at[:, :, 2].add(first[:, :, 2])


def rotate(images: jax.Array, radians: Number) -> jax.Array:
    """Rotate counter-clockwise about the centre (size - 1) / 2; bilinear, zeros outside.

    Args:
      images: float [n, height, width, channel].
      radians: scalar or [n].

    Returns:
      Images of the same shape.

    Examples:
      >>> images = jnp.arange(9.0).reshape(1, 3, 3, 1) / 8
      >>> (8 * rotate(images, np.pi / 2)[0, :, :, 0]).round(2).tolist()
      [[2.0, 5.0, 8.0], [1.0, 4.0, 7.0], [0.0, 3.0, 6.0]]
    """
    return warp(images, radians, (0.0, 0.0))


def translate(images: jax.Array, shift: tuple[Number, Number]) -> jax.Array:
    """Shift by whole or fractional pixels; bilinear, zeros outside.

    Args:
      images: float [n, height, width, channel].
      shift: (down, right) in pixels, each a scalar or [n].

    Returns:
      Images of the same shape.

    Examples:
      >>> images = jnp.arange(1.0, 5.0).reshape(1, 1, 4, 1) / 4
      >>> (4 * translate(images, (0, 1.5))[0, 0, :, 0]).round(2).tolist()
      [0.0, 0.5, 1.5, 2.5]
    """
    return warp(images, 0.0, shift)


def flip(images: jax.Array, where: jax.Array | bool) -> jax.Array:
    """Swap left and right.

    Args:
      images: float [n, height, width, channel].
      where: bool, scalar or [n].

    Returns:
      Images of the same shape.

    Examples:
      >>> flip(jnp.array([1.0, 0.0]).reshape(1, 1, 2, 1), True).ravel().tolist()
      [0.0, 1.0]
    """
    return jnp.where(per_image(check_images(images), where, bool), images[:, :, ::-1], images)


def check_images(images: jax.Array) -> jax.Array:
    """Return `images`, or raise InputError if they are not float [n, height, width, channel]."""
    if images.ndim != 4 or not jnp.issubdtype(images.dtype, jnp.floating):
        raise InputError(
            f'images are {images.dtype} {list(images.shape)}: '
            'must be float [n, height, width, channel], in [0, 1]'
        )
    return images


def per_image(images: jax.Array, value: jax.Array | float, dtype: type = jnp.float32) -> jax.Array:
    """One value per image.

    Args:
      images: [n, height, width, channel].
      value: scalar or [n].
      dtype: type of the result.

    Returns:
      [n, 1, 1, 1].

    Raises:
      InputError: `value` has another shape.
    """
    value = jnp.asarray(value, dtype)
    if value.shape not in ((), images.shape[:1]):
        raise InputError(
            f'value of shape {list(value.shape)} for {len(images)} images: must be scalar or [n]'
        )
    return jnp.broadcast_to(value, images.shape[:1]).reshape(-1, 1, 1, 1)


def _places(
    images: jax.Array, radians: Number, shift: tuple[Number, Number], scale: Number
) -> jax.Array:
    """Affine maps [n, 2, 3] from a result pixel (y, x, 1) to its source (row, column)."""
    middle, centre = ((size - 1) / 2 for size in images.shape[1:3])
    angle, down, right, size = (
        per_image(images, value)[:, 0, 0, 0] for value in (radians, *shift, scale)
    )
    cos, sin = jnp.cos(angle) / size, jnp.sin(angle) / size
    rows = jnp.stack([cos, sin, middle - cos * down - sin * right], -1)
    columns = jnp.stack([-sin, cos, centre + sin * down - cos * right], -1)
    return jnp.stack([rows, columns], 1)


def _interpolate(images: jax.Array, places: jax.Array) -> jax.Array:
    count, height, width, channels = images.shape
    y, x = np.meshgrid(
        np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2, indexing='ij'
    )
    grid = jnp.asarray(np.stack([y.ravel(), x.ravel(), np.ones(y.size)]), jnp.float32)
    # A product of matrices, since XLA would fuse anything else into each of the readings below,
    # sine and cosine too.
    down, right = jnp.einsum('nja,ap->jnp', places, grid, precision='highest')
    # A border of zeros, and what is farther out brought onto it: every neighbour can be read, and
    # no mask is needed.
    down, right = jnp.clip(down, -1.0, height), jnp.clip(right, -1.0, width)
    top, left = (
        jnp.minimum(jnp.floor(down), height - 1.0),
        jnp.minimum(jnp.floor(right), width - 1.0),
    )
    below, beside = (down - top)[None], (right - left)[None]
    corner = ((top + 1) * (width + 2) + left + 1).astype(jnp.int32)
    # Channel by channel, flat: on the CPU faster than to gather pixels of three channels.
    planes = jnp.pad(images.transpose(3, 0, 1, 2), ((0, 0), (0, 0), (1, 1), (1, 1))).reshape(
        channels, count, -1
    )

    def neighbour(offset: int) -> jax.Array:
        read = jax.vmap(lambda plane, index: plane.at[index].get(mode='promise_in_bounds'))
        return jax.vmap(read, (0, None))(planes, corner + offset)

    above = neighbour(0) * (1 - beside) + neighbour(1) * beside
    under = neighbour(width + 2) * (1 - beside) + neighbour(width + 3) * beside
    result = above * (1 - below) + under * below
    # Channels last by a product, which is exact: after a transposition, XLA would recompute all
    # neighbours for each later use of the images.
    return jnp.einsum('cnp,cd->npd', result, jnp.eye(channels), precision='highest').reshape(
        images.shape
    )


def _interpolate_native(images: jax.Array, places: jax.Array) -> jax.Array:
    places = places.reshape(len(images), 6)
    return native.call('warp', [images.shape], images.astype(jnp.float32), places)[0]


LOWERINGS = {
    'jax': _interpolate,
    'native': _interpolate_native,
}  # the same to a rounding; the second has no gradient


def fastest_lowering() -> str:
    """Fastest row of LOWERINGS: `native` if the native operations are built, else `jax`."""
    return 'jax' if native.missing() else 'native'
