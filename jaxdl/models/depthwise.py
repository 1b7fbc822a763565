"""Depthwise convolution, a kernel per channel: natively, by shifted products, or by XLA.

XLA's own grouped convolution is 10 times slower than the shifted products on a CPU (BUILD_NOTES.md,
2026-11-30).
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl import native
from jaxdl.models.norm import NATIVE, activate, is_native

Place = tuple[int, int, int]  # stride, top, left


def pad_before(side: int, window: int, stride: int, same: bool) -> int:
    """Zeros before the first pixel of a side, for windows of an odd size.

    The number of outputs is the side over the stride, rounded up, in both cases.

    Args:
      side: of the image in pixels.
      window: side of the kernel.
      stride: pixels.
      same: whether an odd number of zeros in total puts one more behind, as TensorFlow's SAME;
        otherwise half the window before, as PyTorch.

    Examples:
      >>> pad_before(224, 3, 2, same=True), pad_before(224, 3, 2, same=False)
      (0, 1)
    """
    outputs = -(-side // stride)
    return max(0, (outputs - 1) * stride + window - side) // 2 if same else window // 2


def depthwise(
    images: jax.Array,
    kernel: jax.Array,
    stride: int = 1,
    same: bool = False,
    lowering: str = 'auto',
    bias: jax.Array | None = None,
    activation: str = '',
) -> jax.Array:
    """Convolve each channel with a kernel of its own.

    Args:
      images: float [batch, height, width, channel].
      kernel: [rows, columns, 1, channel], of odd sides.
      stride: pixels, for both axes.
      same: as in `pad_before`.
      lowering: `auto` or `onednn`: the native operation where it is built. `auto` without it and
        `patches`: shifted products on a CPU; otherwise XLA's own convolution.
      bias: [channel], added before the activation.
      activation: a row of `norm.ACTIVATIONS`; with one, and with a bias, there is no gradient
        through the native operation.

    Returns:
      float [batch, ceil(height / stride), ceil(width / stride), channel].
    """
    sides = zip(images.shape[1:3], kernel.shape[:2], strict=True)
    top, left = (pad_before(side, window, stride, same) for side, window in sides)
    place, kernel = (stride, top, left), kernel[:, :, 0]
    if is_native(images, lowering):
        if bias is None and not activation:
            return _native(place, images, kernel)
        added = jnp.zeros(0) if bias is None else bias
        outputs = _forward(place, images, kernel, added, NATIVE.get(activation, 0))
        return outputs if activation in NATIVE else activate(outputs, activation)
    on_cpu = jax.default_backend() == 'cpu' and lowering in ('auto', 'onednn')
    compute = _shifted if on_cpu or lowering == 'patches' else _xla
    outputs = compute(images, kernel, place)
    outputs = outputs if bias is None else outputs + bias[None, None, None].astype(images.dtype)
    return activate(outputs, activation)


def _sides(images: jax.Array, stride: int) -> tuple[int, int]:
    return -(-images.shape[1] // stride), -(-images.shape[2] // stride)


def _padding(images: jax.Array, kernel: jax.Array, place: Place) -> list[tuple[int, int]]:
    """Zeros before and behind each side; behind, fewer than none where no window reaches."""
    stride, *before = place
    needed = [
        (outputs - 1) * stride + window - side
        for outputs, window, side in zip(
            _sides(images, stride), kernel.shape, images.shape[1:3], strict=False
        )
    ]
    return [(first, total - first) for first, total in zip(before, needed, strict=True)]


def _shifted(images: jax.Array, kernel: jax.Array, place: Place) -> jax.Array:
    """Sum over the kernel's taps of the shifted images times the tap: one fused pass."""
    stride, (rows, columns) = place[0], _sides(images, place[0])
    padding = [(first, max(0, last)) for first, last in _padding(images, kernel, place)]
    padded = jnp.pad(images, ((0, 0), *padding, (0, 0)))
    shifted = (
        padded[
            :, i : i + (rows - 1) * stride + 1 : stride, j : j + (columns - 1) * stride + 1 : stride
        ]
        * kernel[i, j][None, None, None]
        for i in range(kernel.shape[0])
        for j in range(kernel.shape[1])
    )
    return functools.reduce(jnp.add, shifted)


def _xla(images: jax.Array, kernel: jax.Array, place: Place) -> jax.Array:
    return lax.conv_general_dilated(
        images,
        kernel[:, :, None],
        (place[0],) * 2,
        _padding(images, kernel, place),
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        feature_group_count=images.shape[-1],
    )


def _call(name: str, place: Place, shape: tuple[int, ...], *arguments: Any, **more: Any) -> Any:
    settings = dict(zip(('stride', 'top', 'left'), place, strict=True)) | more
    return native.call(f'depthwise_{name}', [shape], *arguments, **settings)[0]


def _forward(
    place: Place, images: jax.Array, kernel: jax.Array, bias: jax.Array, activation: int
) -> jax.Array:
    shape = (len(images), *_sides(images, place[0]), images.shape[-1])
    return _call('forward', place, shape, images, kernel, bias, activation=activation)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _native(place: Place, images: jax.Array, kernel: jax.Array) -> jax.Array:
    return _forward(place, images, kernel, jnp.zeros(0), 0)


def _native_forward(place: Place, images: jax.Array, kernel: jax.Array) -> Any:
    outputs: Any = _native(place, images, kernel)
    return outputs, (images, kernel)


def _native_backward(
    place: Place, residuals: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    images, kernel = residuals
    by_images = _call('data', place, images.shape, gradient, kernel)
    return by_images, _call('kernel', place, kernel.shape, images, gradient)


_native.defvjp(_native_forward, _native_backward)
