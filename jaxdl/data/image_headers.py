"""What Pillow says of an encoded image before and while it is decoded: the limits, the modes.

And what is wrong.
"""

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

PIXELS = 178_000_000  # of the largest image that is decoded
LARGE = 2**25  # pixels of an image that has the memory for itself
BYTES = 2**30  # of the largest file that is read
ORIENTATION = 0x0112  # the tag of EXIF
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

logging.getLogger('PIL').addHandler(
    logging.NullHandler()
)  # else its complaints about broken files go to stderr


class BadImage(ValueError):
    """These bytes are no image that can be decoded; the message says why."""


def read(path: pathlib.Path) -> bytes:
    """The bytes of an image file; BadImage where there is no such file, or it cannot be one."""
    try:
        found = os.stat(path)  # noqa: PTH116 - half the time of pathlib's
        if not stat.S_ISREG(found.st_mode):
            raise BadImage('not a file')
        if found.st_size > BYTES:
            raise BadImage(f'a file of {found.st_size:,} bytes, more than {BYTES:,}')
        with open(path, 'rb', buffering=0) as file:  # noqa: PTH123
            return file.read()
    except FileNotFoundError:
        raise BadImage('no such file') from None
    except OSError as error:
        raise BadImage(f'cannot be read: {error.strerror}') from None


def opened(data: bytes) -> Image.Image:
    """The header of an image, its size checked before anything is decoded."""
    if not data:
        raise BadImage('an empty file')
    image = Image.open(io.BytesIO(data), formats=_formats())
    width, height = image.size
    if width * height > PIXELS:
        raise BadImage(f'{width:,} x {height:,} pixels, more than {PIXELS:,} in all')
    if not width or not height:
        raise BadImage(f'{width} x {height} pixels')
    return image


@functools.cache
def _formats() -> tuple[str, ...]:
    """Of FORMATS those that this Pillow reads: others start programs (EPS).

    Or hold no photographs.
    """
    with alone:
        Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def orientation(image: Image.Image) -> int:
    """As EXIF (or XMP) names it, 1 to 8; 1 where nothing does."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # what stands there is no EXIF
        return 1


def usual(image: Image.Image) -> Image.Image:
    """As RGB, or as RGBA where something is transparent."""
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


def reason(error: Exception) -> str:
    """What was wrong with an image that raised `error`, in a few words."""
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
def quiet() -> Iterator[None]:
    """No warnings.

    `warnings.catch_warnings` alone would restore one thread's filters while another still decodes.
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
