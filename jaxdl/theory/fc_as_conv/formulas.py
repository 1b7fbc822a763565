"""Conversion of the weights of dense layers and convolutions into each other."""

import dataclasses

import numpy as np

from jaxdl import fields
from jaxdl.errors import InputError
from jaxdl.theory import shapes

Sides = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes of the checks: training, scene and timing."""

    epochs: int = fields.ruled(15, fields.at_least(1))
    digits: int = fields.ruled(12, fields.between(2, 16))  # in the scene
    rounds: int = fields.ruled(15, fields.at_least(1))  # of timing
    seed: int = fields.ruled(0, fields.at_least(0))


def kernel_of_dense(weights: np.ndarray, size: Sides) -> np.ndarray:
    """Reshape the weights of a dense layer on a flattened feature map into filters of its size.

    Args:
      weights: [height * width * channel, unit]; flattened row by row, channels last.
      size: (height, width) of the feature map; (1, 1) for a dense layer at each pixel.

    Returns:
      [height, width, channel, unit]: one filter per unit.

    Raises:
      InputError: the number of rows is not a multiple of height * width.

    Examples:
      >>> kernel_of_dense(np.zeros((7 * 7 * 512, 10)), (7, 7)).shape
      (7, 7, 512, 10)
    """
    if np.ndim(weights) != 2 or np.shape(weights)[0] % (size[0] * size[1]):
        right = f'must be [{size[0]} * {size[1]} * channel, unit]'
        raise InputError(f'weights of shape {np.shape(weights)}: {right}')
    return np.asarray(weights).reshape(*size, -1, np.shape(weights)[1])


def dense_of_kernel(
    kernel: np.ndarray, size: Sides, stride: int | Sides = 1, padding: int | Sides = 0
) -> np.ndarray:
    """Weights of the dense layer that equals a convolution: sparse and shared.

    Args:
      kernel: [M, N, channel, filter].
      size: (height, width) of the feature map, in pixels.
      stride: as in `shapes.conv_output_size`.
      padding: likewise.

    Returns:
      [height * width * channel, rows * columns * filter].

    Raises:
      InputError: the kernel has other axes, or as for `shapes.conv_output_size`.

    Examples:
      >>> dense_of_kernel(np.array([1, -1]).reshape(1, 2, 1, 1), (1, 4)).tolist()
      [[1, 0, 0], [-1, 1, 0], [0, -1, 1], [0, 0, -1]]
    """
    if np.ndim(kernel) != 4:
        raise InputError(
            f'kernel of shape {np.shape(kernel)}: must be [height, width, channel, filter]'
        )
    (down, right), channels, filters = kernel.shape[:2], *kernel.shape[2:]
    rows, columns = shapes.conv_output_size(size, (down, right), stride, padding)
    (above, left), (step, side) = (np.broadcast_to(pair, 2) for pair in (padding, stride))
    padded = np.zeros(
        (size[0] + 2 * above, size[1] + 2 * left, channels, rows, columns, filters), kernel.dtype
    )
    for i, j in np.ndindex(rows, columns):
        padded[i * step : i * step + down, j * side : j * side + right, :, i, j] = kernel
    inside = padded[above : above + size[0], left : left + size[1]]
    return inside.reshape(size[0] * size[1] * channels, rows * columns * filters)


def connections(
    kernel_shape: tuple[int, ...], size: Sides, stride: int, padding: int
) -> tuple[int, int, int]:
    """Numbers of entries, of connections and of different weights of `dense_of_kernel`.

    Position i of a filter reads M pixels from i * stride - padding on, within the feature map. Each
    weight counts as used and as different from all others.

    Args:
      kernel_shape: (M, N, channel, filter).
      size: (height, width) of the feature map, in pixels.
      stride: pixels, for both axes.
      padding: pixels, for both axes.

    Returns:
      (entries, connections, different weights).

    Examples:
      >>> connections((3, 3, 1, 8), (8, 8), stride=1, padding=1)
      (32768, 3872, 72)
    """
    outputs = shapes.conv_output_size(size, (kernel_shape[0], kernel_shape[1]), stride, padding)
    channels, filters = kernel_shape[2:]
    read = [
        sum(
            max(min(i * stride - padding + m, j) - max(i * stride - padding, 0), 0)
            for i in range(positions)
        )
        for j, m, positions in zip(size, kernel_shape, outputs, strict=False)
    ]
    entries = size[0] * size[1] * channels * outputs[0] * outputs[1] * filters
    return entries, read[0] * read[1] * channels * filters, int(np.prod(kernel_shape))
