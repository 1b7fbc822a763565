"""The lowering of convolutions, behind one function.

Patches and a matrix product: inside `lax.scan` XLA's own convolution is 13 to 24 times slower on a CPU, and a vmapped
one becomes a grouped convolution, 5 times slower than one after another (BUILD_NOTES.md, 2026-11-23). A batched kernel
turns the product into a batched one, and where members share their images the patches are taken once for all of them.
"""

import jax
import jax.numpy as jnp
from jax import lax

LOWERINGS = ('patches',)


def conv(images: jax.Array, kernel: jax.Array, stride: int = 1, padding: int = 0) -> jax.Array:
    """Cross-correlation, as the field calls a convolution.

    Args:
      images: [batch, height, width, channel].
      kernel: [kernel height, kernel width, channel, filter].
      stride: step of the window in pixels, both ways.
      padding: zeros added on each of the four sides, in pixels.

    Returns:
      [batch, (height + 2 padding - kernel height) // stride + 1, likewise, filter].

    Raises:
      ValueError: ranks or channels that do not fit, or a window larger than the padded image.
    """
    _check(images.shape, kernel.shape, stride, padding)
    height, width, channels, filters = kernel.shape
    patches = _patches(images, height, width, stride, padding)
    return lax.dot_general(patches, kernel.reshape(height * width * channels, filters), (((3,), (0,)), ((), ())))


def _patches(images: jax.Array, height: int, width: int, stride: int, padding: int) -> jax.Array:
    """[batch, rows, columns, height * width * channel]: the window under every output, its pixels row by row."""
    images = jnp.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    rows = (images.shape[1] - height) // stride + 1
    columns = (images.shape[2] - width) // stride + 1
    shifted = [
        images[:, i : i + (rows - 1) * stride + 1 : stride, j : j + (columns - 1) * stride + 1 : stride]
        for i in range(height)
        for j in range(width)
    ]
    return jnp.concatenate(shifted, axis=-1)


def _check(images: tuple[int, ...], kernel: tuple[int, ...], stride: int, padding: int) -> None:
    if len(images) != 4 or len(kernel) != 4 or images[3] != kernel[2]:
        raise ValueError(
            f'conv: images {images} [batch, height, width, channel] and kernel {kernel} [.., .., channel, ..]'
        )
    if stride < 1 or padding < 0 or min(images[1] - kernel[0], images[2] - kernel[1]) + 2 * padding < 0:
        raise ValueError(f'conv: kernel {kernel}, stride {stride}, padding {padding} do not fit images {images}')
