"""Convolution, and the ways to compute it: `LOWERINGS`, of which the fastest is measured.

On a CPU XLA's own convolution is 13 to 24 times slower inside `lax.scan` than outside, and a
vmapped one becomes a grouped one, 5 times slower than one after another (BUILD_NOTES.md,
2026-11-23).
"""

import functools
from collections.abc import Callable
from typing import cast

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl import native
from jaxdl.native.vmap import count, over_members, repeat_per_member

Sides = tuple[int, ...]
Lowering = Callable[[jax.Array, jax.Array, int, int], jax.Array]
Gradient = Callable[[jax.Array, jax.Array, Sides, int, int], jax.Array]
CHUNK = 8  # members that `map` convolves at once


def conv(
    images: jax.Array, kernel: jax.Array, stride: int = 1, padding: int = 0, lowering: str = 'auto'
) -> jax.Array:
    """Cross-correlation, as the field calls a convolution.

    Args:
      images: [batch, height, width, channel].
      kernel: [kernel height, kernel width, channel, filter].
      stride: step of the window in pixels, both ways.
      padding: zeros added on each of the four sides, in pixels.
      lowering: a row of LOWERINGS, or `auto`: what this machine's platform usually does best.

    Returns:
      [batch, (height + 2 padding - kernel height) // stride + 1, likewise, filter].

    Raises:
      ValueError: ranks or channels that do not fit, or a window larger than the padded image.
    """
    _check(images.shape, kernel.shape, stride, padding)
    if kernel.shape[:2] == (1, 1) and padding == 0:
        return _dot(images[:, ::stride, ::stride], kernel[0, 0])
    return LOWERINGS[default_lowering() if lowering == 'auto' else lowering](
        images, kernel, stride, padding
    )


def conv_large(
    images: jax.Array, kernel: jax.Array, stride: int = 1, padding: int = 0, lowering: str = 'auto'
) -> jax.Array:
    """`conv` for one network of many channels, such as a ResNet.

    A kernel of fewer channels than the images convolves in groups. `auto` is oneDNN where it is
    built, else XLA: for one network outside a scan XLA's own convolution is never slower than
    patches.

    Args:
      images: [batch, height, width, channel].
      kernel: [height, width, in, out].
      stride: pixels, for both axes.
      padding: pixels at every side.
      lowering: a row of LOWERINGS, `auto`, or `convolution`: XLA's, also for a 1 x 1 kernel, which
        is a matrix product otherwise. Runtimes of ONNX fuse convolutions with what follows.

    Returns:
      [batch, rows, columns, out].
    """
    if kernel.shape[2] == images.shape[-1] and lowering != 'convolution':
        if lowering == 'auto':
            float32 = images.dtype == jnp.float32
            lowering = 'onednn' if float32 and not native.missing() else 'grouped'
        if lowering == 'onednn':
            return onednn_large(images, kernel, stride, padding)
        return conv(images, kernel, stride, padding, lowering)
    sides, axes = [(padding, padding)] * 2, ('NHWC', 'HWIO', 'NHWC')
    groups = images.shape[-1] // kernel.shape[2]
    return lax.conv_general_dilated(
        images, kernel, (stride,) * 2, sides, dimension_numbers=axes, feature_group_count=groups
    )


def default_lowering() -> str:
    """Row of LOWERINGS that is usually fastest on this platform, for many small networks."""
    if jax.default_backend() != 'cpu':
        return 'grouped'
    return 'patches' if native.missing() else 'onednn'


def output_sides(images: Sides, kernel: Sides, stride: int, padding: int) -> tuple[int, int]:
    """Rows and columns of the output of a convolution.

    Args:
      images: shape [batch, height, width, channel].
      kernel: shape [height, width, in, out].
      stride: pixels, for both axes.
      padding: pixels at every side.

    Returns:
      (rows, columns).

    Examples:
      >>> output_sides((32, 28, 28, 1), (3, 3, 1, 16), stride=2, padding=1)
      (14, 14)
    """
    rows, columns = ((images[i] + 2 * padding - kernel[i - 1]) // stride + 1 for i in (1, 2))
    return rows, columns


def _dot(images: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.dot_general(images, kernel, (((3,), (0,)), ((), ())))


def _conv_by_patches(images: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    """Patches and a matrix product: where members share their images.

    The patches are taken once for all of them.
    """
    height, width, channels, filters = kernel.shape
    patches = _patches(images, height, width, stride, padding)
    return _dot(patches, kernel.reshape(height * width * channels, filters))


def _patches(images: jax.Array, height: int, width: int, stride: int, padding: int) -> jax.Array:
    """[batch, rows, columns, height * width * channel]: the window under every output.

    Its pixels row by row.
    """
    rows, columns = output_sides(images.shape, (height, width), stride, padding)
    images = jnp.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    shifted = [
        images[
            :, i : i + (rows - 1) * stride + 1 : stride, j : j + (columns - 1) * stride + 1 : stride
        ]
        for i in range(height)
        for j in range(width)
    ]
    return jnp.concatenate(shifted, axis=-1)


def _xla(images: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    """XLA's own convolution; over members it becomes one with a group for each of them."""
    sides = [(padding, padding)] * 2
    return lax.conv_general_dilated(
        images, kernel, (stride,) * 2, sides, dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )


def _differentiable(value: Lowering, of_images: Gradient, of_kernel: Gradient) -> Lowering:
    """Make a convolution with derivatives of every order in reverse mode.

    The three operations are linear in either argument, and the gradients of each are the other two.
    """

    @functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
    def lowering(images: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
        return value(images, kernel, stride, padding)

    @functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
    def images_of(
        gradient: jax.Array, kernel: jax.Array, shape: Sides, stride: int, padding: int
    ) -> jax.Array:
        return of_images(gradient, kernel, shape, stride, padding)

    @functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
    def kernel_of(
        images: jax.Array, gradient: jax.Array, shape: Sides, stride: int, padding: int
    ) -> jax.Array:
        return of_kernel(images, gradient, shape, stride, padding)

    lowering.defvjp(
        lambda x, w, *at: (lowering(x, w, *at), (x, w)),
        lambda stride, padding, residuals, g: (
            images_of(g, residuals[1], residuals[0].shape, stride, padding),
            kernel_of(residuals[0], g, residuals[1].shape, stride, padding),
        ),
    )

    images_of.defvjp(
        lambda g, w, *at: (images_of(g, w, *at), (g, w)),
        lambda _, stride, padding, residuals, x: (
            lowering(x, residuals[1], stride, padding),
            kernel_of(x, residuals[0], residuals[1].shape, stride, padding),
        ),
    )
    kernel_of.defvjp(
        lambda x, g, *at: (kernel_of(x, g, *at), (x, g)),
        lambda _, stride, padding, residuals, w: (
            images_of(residuals[1], w, residuals[0].shape, stride, padding),
            lowering(residuals[0], w, stride, padding),
        ),
    )
    return cast(Lowering, lowering)


def _onednn(images: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    shape = (
        len(images),
        *output_sides(images.shape, kernel.shape, stride, padding),
        kernel.shape[3],
    )
    return native.call('conv_forward', [shape], images, kernel, stride=stride, padding=padding)[0]


def _by_xla(run: Callable[..., jax.Array]) -> Lowering:
    """XLA's own convolution; `run(f, a, b)` computes `f` for every member: a, b [members, ...]."""

    def each(f: Callable[..., jax.Array], a: jax.Array, b: jax.Array) -> jax.Array:
        def members(a: jax.Array, b: jax.Array) -> list[jax.Array]:
            number = count(a, b)
            return [run(f, repeat_per_member(a, number), repeat_per_member(b, number))]

        return over_members(members, a, b)[0]

    def images_of(
        gradient: jax.Array, kernel: jax.Array, shape: Sides, stride: int, padding: int
    ) -> jax.Array:
        return each(
            lambda g, w: _apply_transpose(lambda x: _xla(x, w, stride, padding), shape, g),
            gradient,
            kernel,
        )

    def kernel_of(
        images: jax.Array, gradient: jax.Array, shape: Sides, stride: int, padding: int
    ) -> jax.Array:
        return each(
            lambda x, g: _apply_transpose(lambda w: _xla(x, w, stride, padding), shape, g),
            images,
            gradient,
        )

    return _differentiable(
        lambda x, w, *at: each(lambda x, w: _xla(x, w, *at), x, w), images_of, kernel_of
    )


def _apply_transpose(
    linear: Callable[[jax.Array], jax.Array], shape: Sides, gradient: jax.Array
) -> jax.Array:
    """The gradient by the argument, of that shape, of a linear function."""
    return jax.linear_transpose(linear, jax.ShapeDtypeStruct(shape, gradient.dtype))(gradient)[0]


def _data_by_onednn(
    gradient: jax.Array, kernel: jax.Array, shape: Sides, stride: int, padding: int
) -> jax.Array:
    return native.call('conv_data', [shape], gradient, kernel, stride=stride, padding=padding)[0]


def _kernel_by_onednn(
    images: jax.Array, gradient: jax.Array, shape: Sides, stride: int, padding: int
) -> jax.Array:
    return native.call('conv_kernel', [shape], images, gradient, stride=stride, padding=padding)[0]


def _kernel_of_large(
    images: jax.Array, gradient: jax.Array, shape: Sides, stride: int, padding: int
) -> jax.Array:
    """Gradient of the kernel by the faster of two ways.

    For 3 x 3 and many channels ours is 1.1 to 1.8 times as fast. For 1 x 1 its copies cost more
    than they save.
    """
    suits = shape[0] * shape[1] > 1 and shape[2] >= 12 and shape[3] % 16 == 0
    by = 'kernel_gradient' if suits else 'conv_kernel'
    return native.call(by, [shape], images, gradient, stride=stride, padding=padding)[0]


# name -> (images, kernel, stride, padding) -> images.
LOWERINGS: dict[str, Lowering] = {
    'onednn': _differentiable(
        _onednn, _data_by_onednn, _kernel_by_onednn
    ),  # the library's, on XLA's own threads
    'patches': _conv_by_patches,
    'grouped': _xla,  # vmap makes it one convolution with a group for every member
    'map': _by_xla(
        lambda f, a, b: lax.map(lambda ab: f(*ab), (a, b), batch_size=CHUNK)
    ),  # so many at a time
    'xla': _by_xla(
        lambda f, a, b: jnp.stack([f(x, y) for x, y in zip(a, b, strict=True)])
    ),  # each by itself, unrolled
}
# `onednn` for one network of many channels instead of many small ones.
onednn_large: Lowering = _differentiable(_onednn, _data_by_onednn, _kernel_of_large)


def _check(images: tuple[int, ...], kernel: tuple[int, ...], stride: int, padding: int) -> None:
    if len(images) != 4 or len(kernel) != 4 or images[3] != kernel[2]:
        raise ValueError(
            f'conv: images {images} [batch, height, width, channel] '
            f'and kernel {kernel} [.., .., channel, ..]'
        )
    if (
        stride < 1
        or padding < 0
        or min(images[1] - kernel[0], images[2] - kernel[1]) + 2 * padding < 0
    ):
        raise ValueError(
            f'conv: kernel {kernel}, stride {stride}, padding {padding} do not fit images {images}'
        )
