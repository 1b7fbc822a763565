"""Headers of encoded images by Pillow: size limits, orientation, modes, and reasons of failure."""

import contextlib
import functools
import io
import logging
import os
import pathlib
import stat
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

PIXELS = 178_000_000  # most pixels of an image that is decoded
LARGE = 2**25  # pixels above which only one image is decoded at a time
BYTES = 2**30  # most bytes of a file that is read
ORIENTATION = 0x0112  # EXIF tag
FORMATS = (
    'JPEG',
    'PNG',
    'WEBP',
    'GIF',
    'BMP',
    'DIB',
    'TIFF',
    'PPM',
    'MPO',
    'AVIF',
    'JPEG2000',
    'TGA',
)

# Without a handler its messages about broken files go to stderr.
logging.getLogger('PIL').addHandler(logging.NullHandler())


class BadImage(ValueError):
    """Bytes that cannot be decoded as an image; the message gives the reason."""


def read(path: pathlib.Path) -> bytes:
    """Read an image file.

    Raises:
      BadImage: there is no such file, it is too large or cannot be read.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - half the time of pathlib's
        if not stat.S_ISREG(status.st_mode):
            raise BadImage('not a file')
        if status.st_size > BYTES:
            raise BadImage(f'a file of {status.st_size:,} bytes, more than {BYTES:,}')
        with open(path, 'rb', buffering=0) as file:  # noqa: PTH123
            return file.read()
    except FileNotFoundError:
        raise BadImage('no such file') from None
    except OSError as error:
        raise BadImage(f'cannot be read: {error.strerror}') from None


def open_image(data: bytes) -> Image.Image:
    """Open an image and check its size; pixels are not decoded.

    Raises:
      BadImage: it is empty or too large.
      Exception: any of Pillow's, on bytes that are no image.
    """
    if not data:
        raise BadImage('an empty file')
    image = Image.open(io.BytesIO(data), formats=formats())
    width, height = image.size
    if width * height > PIXELS:
        raise BadImage(f'{width:,} x {height:,} pixels, more than {PIXELS:,} in all')
    if not width or not height:
        raise BadImage(f'{width} x {height} pixels')
    return image


@functools.cache
def formats() -> tuple[str, ...]:
    """The FORMATS that this Pillow reads. Other formats start programs (EPS) or hold no photos."""
    with alone:
        Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def orientation(image: Image.Image) -> int:
    """Orientation by EXIF or XMP, 1 to 8; 1 where none is named."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # no valid EXIF
        return 1


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert to RGB, or to RGBA where pixels are transparent.

    Raises:
      BadImage: the range of the values is unknown.
    """
    if image.mode[0] == 'I':
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise BadImage('grey values outside 16 bits')
        return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8)).convert(
            'RGB'
        )
    if image.mode == 'F':
        raise BadImage('pixels are floating point numbers, whose range is not known')
    return image.convert('RGBA' if image.has_transparency_data else 'RGB')


def describe_error(error: Exception) -> str:
    """Why an image that raised `error` cannot be decoded, in a few words."""
    if isinstance(error, BadImage):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        return 'not an image of a known format'
    if isinstance(error, Image.DecompressionBombError):
        return f'more than {PIXELS:,} pixels'
    words = str(error).split('\n')[0][:200] or type(error).__name__
    return 'cut short' if 'truncated' in words.lower() else words


alone = threading.RLock()
_entering = threading.Lock()
_inside: list[Any] = []


@contextlib.contextmanager
def suppress_warnings() -> Iterator[None]:
    """Suppress warnings in all threads that are in here.

    `warnings.catch_warnings` alone would restore the filters of one thread while another decodes.
    """
    with _entering:
        if not _inside:
            caught = warnings.catch_warnings()
            caught.__enter__()
            warnings.simplefilter('ignore')
            _inside.append(caught)
        _inside.append(None)
    try:
        yield
    finally:
        with _entering:
            _inside.pop()
            if len(_inside) == 1:
                _inside.pop().__exit__(None, None, None)
