"""Output sizes of convolutions and poolings.

The formulas are those of Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep
learning".
"""

import dataclasses
from typing import Any

from jaxdl import fields
from jaxdl.errors import InputError

Pair = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Number of random cases, and their seed."""

    cases: int = fields.ruled(2000, fields.between(100, 20000))
    seed: int = fields.ruled(0, fields.at_least(0))


def conv_output_size(
    size: Pair, window: Pair, stride: int | Pair, padding: int | Pair, *, dilation: int | Pair = 1
) -> Pair:
    """Rows and columns after a convolution of a J x K feature map with M x N filters.

    Args:
      size: (J, K) of the input, in pixels.
      window: (M, N) of the filter, in pixels, before dilation.
      stride: pixels from one position to the next; an int for both axes, or (vertical, horizontal),
        as the next two.
      padding: pixels added on *each* side of an axis.
      dilation: pixels from one weight of the filter to the next; 1 is a filter without gaps.

    Returns:
      (rows, columns) of the output, in pixels.

    Raises:
      InputError: not whole numbers, too small, or a filter larger than the padded input.

    Examples:
      >>> conv_output_size((32, 30), (5, 3), 2, 1)
      (15, 15)
      >>> conv_output_size((32, 30), (5, 3), (2, 1), 0, dilation=2)
      (12, 26)
    """
    sizes, windows = _pair('size', size), _pair('window', window)
    strides, paddings, dilations = (
        _both('stride', stride),
        _both('padding', padding, 0),
        _both('dilation', dilation),
    )
    padded = [j + 2 * p for j, p in zip(sizes, paddings, strict=True)]
    spans = [span(m, d) for m, d in zip(windows, dilations, strict=True)]
    if any(m > j for m, j in zip(spans, padded, strict=True)):
        spread = f', dilated to {spans[0]} x {spans[1]}' if max(dilations) > 1 else ''
        raise _wrong('window', window, f'fit the padded input of {padded[0]} x {padded[1]}', spread)
    rows, columns = ((j - m) // s + 1 for j, m, s in zip(padded, spans, strides, strict=True))
    return rows, columns


def pool_output_size(size: Pair, window: int, stride: int | Pair) -> Pair:
    """Rows and columns after F x F pooling (maximum, mean, ...) without padding.

    Args:
      size: (height, width) of the feature map, in pixels; after a convolution, the result of
        `conv_output_size`.
      window: F, in pixels.
      stride: pixels from one window to the next; an int for both axes, or (vertical, horizontal).

    Returns:
      (rows, columns) of the output, in pixels.

    Raises:
      InputError: not whole numbers, too small, or a window larger than the feature map.

    Examples:
      >>> pool_output_size((15, 15), 2, 2)
      (7, 7)
    """
    if not _whole(window, 1):
        raise _wrong('window', window, 'be a whole number of at least 1')
    side = _plain(window)
    return conv_output_size(size, (side, side), stride, 0)


def same_padding(
    size: Pair, window: Pair, stride: int | Pair, *, dilation: int | Pair = 1
) -> tuple[Pair, Pair]:
    """Padding of `padding='SAME'`, which gives ceil(J / stride) rows.

    An odd total has its extra pixel at the bottom or on the right, as in TensorFlow and XLA;
    PyTorch and the formula above pad symmetrically. `VALID` adds nothing.

    Args:
      size: as in `conv_output_size`.
      window: as in `conv_output_size`.
      stride: as in `conv_output_size`.
      dilation: as in `conv_output_size`.

    Returns:
      ((top, bottom), (left, right)), in pixels.

    Raises:
      InputError: not whole numbers, or too small.

    Examples:
      >>> same_padding((32, 30), (3, 3), 2)
      ((0, 1), (0, 1))
    """
    numbers = zip(
        _pair('size', size),
        _pair('window', window),
        _both('stride', stride),
        _both('dilation', dilation),
        strict=True,
    )
    totals = [max((-(-j // s) - 1) * s + span(m, d) - j, 0) for j, m, s, d in numbers]
    vertical, horizontal = ((total // 2, total - total // 2) for total in totals)
    return vertical, horizontal


def span(window: int, dilation: int) -> int:
    """Pixels from the first to the last pixel that a dilated filter reads along one axis.

    Args:
      window: pixels of the filter before dilation.
      dilation: pixels from one weight to the next.

    Returns:
      dilation (window - 1) + 1.

    Examples:
      >>> span(3, dilation=2)
      5
    """
    return dilation * (window - 1) + 1


def _pair(name: str, value: Any) -> Pair:
    """Two whole numbers of 1 or more, (vertical, horizontal)."""
    items = _plain(value)
    if (
        not isinstance(items, (tuple, list))
        or len(items) != 2
        or not all(_whole(item, 1) for item in items)
    ):
        raise _wrong(name, value, 'be two whole numbers of at least 1, (vertical, horizontal)')
    vertical, horizontal = (_plain(item) for item in items)
    return vertical, horizontal


def _both(name: str, value: Any, least: int = 1) -> Pair:
    """One whole number of `least` or more for both axes, or one for each."""
    plain = _plain(value)
    items = tuple(plain) if isinstance(plain, (tuple, list)) else (plain, plain)
    if len(items) != 2 or not all(_whole(item, least) for item in items):
        raise _wrong(
            name,
            value,
            f'be a whole number of at least {least}, or two of them, (vertical, horizontal)',
        )
    vertical, horizontal = (_plain(item) for item in items)
    return vertical, horizontal


def _whole(value: Any, least: int) -> bool:
    """Whether `value` is an integer (also of NumPy) of `least` or more; bool is none."""
    value = _plain(value)
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _plain(value: Any) -> Any:
    """NumPy scalar or array as a Python value."""
    return value.tolist() if hasattr(value, 'tolist') else value


def _wrong(name: str, value: Any, right: str, more: str = '') -> InputError:
    return InputError(f'{name}={" ".join(repr(value).split())}{more}: must {right}')
