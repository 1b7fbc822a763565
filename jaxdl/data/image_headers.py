"""Headers of encoded images by Pillow: size limits, orientation, modes, and reasons of failure."""

import contextlib
import functools
import importlib
import io
import logging
import os
import pathlib
import stat
import threading
import warnings
from collections.abc import Iterator
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from jaxdl.data import jpeg_xl

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
    'AVIF',
    'JPEG2000',
    'HEIF',
    'JXL',
    'TGA',
)


class Plugin(NamedTuple):
    """A package that lets Pillow read a format.

    Attributes:
      package: its name.
      module: its module.
      register: its function that registers the format; empty where the import does.
      command: installs it.
    """

    package: str
    module: str
    register: str
    command: str


PLUGINS = {
    'HEIF': Plugin(
        'pillow-heif', 'pillow_heif', 'register_heif_opener', "pip install 'jaxdl[heif]'"
    ),
    'JXL': Plugin('pillow-jxl-plugin', 'pillow_jxl', '', 'pip install pillow-jxl-plugin'),
}
HEAD = 32  # bytes of a file that name its format
# Major brands of ISO media files that are images.
BRANDS = {
    **dict.fromkeys((b'avif', b'avis'), 'AVIF'),
    **dict.fromkeys((b'heic', b'heix', b'heim', b'heis', b'hevc', b'hevx', b'mif1'), 'HEIF'),
}

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
    if jpeg_xl.is_jpeg_xl(data):  # its plugin decodes the pixels to know their number
        _check_size(jpeg_xl.read_size(data))
    try:
        image = Image.open(io.BytesIO(data), formats=formats())
    except UnidentifiedImageError:
        kind = _recognise_head(data[:HEAD])
        if kind and kind not in formats():
            raise BadImage(f'{kind}, which needs: {reader_command(kind)}') from None
        raise
    _check_size(image.size)
    return image


def read_size(source: pathlib.Path | bytes) -> tuple[int, int] | None:
    """Width and height in pixels by the header of an image; None where it cannot be read."""
    try:
        with suppress_warnings():
            if isinstance(source, bytes):
                return open_image(source).size
            with source.open('rb') as file:
                head = file.read(HEAD)
                if jpeg_xl.is_jpeg_xl(head):
                    return jpeg_xl.read_size(head + file.read(BYTES))
                with Image.open(file, formats=formats()) as image:
                    return image.size
    except Exception:  # a decoder may raise anything on bytes that are no image
        return None


def recognise(path: pathlib.Path) -> str:
    """Format of an image by its content, whether or not it is read; empty for other files."""
    try:
        with path.open('rb') as file:
            if kind := _recognise_head(file.read(HEAD)):
                return kind
            file.seek(0)
            # A TGA has no signature, and almost any file could be one.
            names = [name for name in formats() if name not in ('TGA', 'JXL')]
            with suppress_warnings(), Image.open(file, formats=names) as image:
                return image.format or ''
    except Exception:  # a decoder may raise anything on bytes that are no image
        return ''


def _recognise_head(head: bytes) -> str:
    """Format by signatures of formats that may have no reader; empty for others."""
    if jpeg_xl.is_jpeg_xl(head):
        return 'JXL'
    if head[4:8] == b'ftyp':
        return BRANDS.get(head[8:12], '')
    return 'WEBP' if head[:4] == b'RIFF' and head[8:12] == b'WEBP' else ''


def _check_size(size: tuple[int, int]) -> None:
    width, height = size
    if width * height > PIXELS:
        raise BadImage(f'{width:,} x {height:,} pixels, more than {PIXELS:,} in all')
    if not width or not height:
        raise BadImage(f'{width} x {height} pixels')


@functools.cache
def formats() -> tuple[str, ...]:
    """The FORMATS that this Pillow and the installed PLUGINS read.

    Other formats start programs (EPS) or hold no photos.
    """
    with alone:
        Image.init()
        for plugin in PLUGINS.values():
            with contextlib.suppress(ImportError):
                module = importlib.import_module(plugin.module)
                if plugin.register:
                    getattr(module, plugin.register)()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def plugin_versions() -> list[str]:
    """Name and version of each plugin that reads a format, such as `pillow-heif 1.8.1`."""
    names = [plugin.package for name, plugin in PLUGINS.items() if name in formats()]
    return [f'{name} {metadata.version(name)}' for name in names]


def reader_command(kind: str) -> str:
    """The command that installs a reader of a format."""
    return PLUGINS[kind].command if kind in PLUGINS else 'pip install --upgrade pillow'


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
