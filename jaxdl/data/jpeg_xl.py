"""Number of pixels of a JPEG XL image by its header, before a plugin decodes it.

Source: ISO/IEC 18181-1, size header; ISO/IEC 18181-2, container.
"""

from collections.abc import Iterator

CODESTREAM, CONTAINER = b'\xff\x0a', b'\0\0\0\x0cJXL \r\n\x87\n'
RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width / height
BITS = (9, 13, 18, 30)  # of a side, by its selector


def is_jpeg_xl(data: bytes) -> bool:
    """Whether a file begins as JPEG XL does."""
    return data.startswith((CODESTREAM, CONTAINER))


def read_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels of a JPEG XL image.

    Args:
      data: the file, or at least its beginning up to the size header.

    Raises:
      ValueError: there is no size header.
    """
    start = data if data.startswith(CODESTREAM) else _find_codestream(data)
    bits = int.from_bytes(start[2:14], 'little')

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & ((1 << count) - 1), bits >> count
        return value

    small = take(1)

    def take_side() -> int:
        return 8 * (take(5) + 1) if small else take(BITS[take(2)]) + 1

    height = take_side()
    ratio = take(3)
    if not ratio:
        return take_side(), height
    numerator, denominator = RATIOS[ratio - 1]
    return height * numerator // denominator, height


def _find_codestream(data: bytes) -> bytes:
    """The beginning of the codestream in a container."""
    for kind, content in _boxes(data):
        start = content[4:] if kind == b'jxlp' else content  # behind the number of the piece
        if kind in (b'jxlc', b'jxlp') and start.startswith(CODESTREAM):
            return start
    raise ValueError('a JPEG XL container without an image')


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and beginning of the content of each box of an ISO media file."""
    place = 0
    while place + 8 <= len(data):
        size, kind, header = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8], 8
        if size == 1:
            size, header = int.from_bytes(data[place + 8 : place + 16]), 16
        yield kind, data[place + header : place + header + 32]
        if size < header:  # to the end of the file, or damaged
            return
        place += size
