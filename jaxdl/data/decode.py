"""Decode an image to the square of pixels that a network takes.

A JPEG is read by the fastest installed decoder (simplejpeg, else OpenCV, else Pillow), scaled by
the JPEG's own transform to just above the target size. Pillow reads all other formats. Then the
square is made by Pillow's triangle filter and turned by its EXIF orientation.
Transparent pixels are put over white, 16-bit grey is divided by 257, colour profiles are ignored,
an animation gives its first frame, and CMYK is converted as Pillow does (Adobe's inverted CMYK).
"""

import contextlib
import functools
import importlib
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import PIL
from PIL import Image

from jaxdl.data import image_headers
from jaxdl.data.image_headers import BadImage as BadImage

SCHEME = 1  # to be raised with every change that alters decoded bytes
# How an image becomes a square: the centred square is cut out, the whole image is put on a square
# of BACKGROUND, or its sides are scaled by different factors.
FITS = ('crop', 'pad', 'squash')
BACKGROUND = (124, 116, 104)  # ImageNet's mean, which a pretrained network sees as 0
# EXIF orientation -> function of pixels [size, size, 3].
TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a.transpose(1, 0, 2)[::-1],
}


def decode(
    source: pathlib.Path | bytes, size: int, jpeg: str | None = None, fit: str = 'crop'
) -> np.ndarray:
    """Decode an image to a square.

    Args:
      source: a file, or its bytes.
      size: side in pixels.
      jpeg: the decoder of JPEG, of `list_decoders()`; the first by default.
      fit: how the image becomes a square, a row of FITS.

    Returns:
      uint8 [size, size, 3].

    Raises:
      BadImage: it is incomplete, too large or no image.
    """
    data = source if isinstance(source, bytes) else image_headers.read(source)
    jpeg = jpeg or list_decoders()[0]
    try:
        pixels = _decode_by_simplejpeg(data, size, fit) if jpeg == 'simplejpeg' else None
        if pixels is None:
            with image_headers.suppress_warnings():
                pixels = _decode_by_pillow(data, size, jpeg, fit)
    except Exception as error:  # a decoder may raise anything on bytes like these
        raise BadImage(image_headers.describe_error(error)) from None
    return np.ascontiguousarray(pixels)


@functools.cache
def list_decoders() -> tuple[str, ...]:
    """Names of the installed decoders of JPEG, fastest first."""
    return (*(name for name in ('simplejpeg', 'cv2') if _module(name)), 'pillow')


def describe_decoder(fit: str = 'crop') -> str:
    """Names and versions that determine the decoded bytes, and another fit than `crop`.

    Such as `scheme 1, simplejpeg 1.9.0, pillow 13.0.0, fit pad`.
    """
    first = list_decoders()[0]
    jpeg = [] if first == 'pillow' else [f'{first} {_module(first).__version__}']
    names = [*jpeg, f'pillow {PIL.__version__}', *image_headers.plugin_versions()]
    return ', '.join((f'scheme {SCHEME}', *names, *([] if fit == 'crop' else [f'fit {fit}'])))


@functools.cache
def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _decode_by_simplejpeg(data: bytes, size: int, fit: str) -> np.ndarray | None:
    """Decode by simplejpeg; None for other formats, CMYK, large images and refused files."""
    if data[:2] != b'\xff\xd8':
        return None
    try:
        height, width, colours, _ = _module('simplejpeg').decode_jpeg_header(data)
        if colours not in ('YCbCr', 'RGB', 'Gray') or height * width > image_headers.LARGE:
            return None
        scale = _scale((width, height), size, fit)
        least = dict(min_height=-(-height // scale), min_width=-(-width // scale))
        pixels = _module('simplejpeg').decode_jpeg(data, 'RGB', **least)
    except ValueError:
        return None
    head = _head(data)
    turn = 1
    if b'Exif\0' in head or b'tiff:Orientation' in head:
        with image_headers.suppress_warnings():
            turn = image_headers.orientation(image_headers.open_image(data))
    return _finish(Image.fromarray(pixels), (width / scale, height / scale), size, turn, fit)


def _decode_by_pillow(data: bytes, size: int, jpeg: str, fit: str) -> np.ndarray:
    image = image_headers.open_image(data)
    width, height = image.size
    with image_headers.alone if width * height > image_headers.LARGE else contextlib.nullcontext():
        if image.format not in ('JPEG', 'MPO'):
            image.load()  # turns a TIFF itself and removes the tag
            turn = image_headers.orientation(image)
            return _finish(image_headers.to_rgb(image), image.size, size, turn, fit)
        scale, turn = _scale((width, height), size, fit), image_headers.orientation(image)
        pixels = (
            _decode_by_cv2(data, scale) if jpeg == 'cv2' and image.mode in ('RGB', 'L') else None
        )
        if pixels is None:
            drafted = image.draft(None, (max(1, width // scale), max(1, height // scale)))
            extent = drafted[1][2:] if drafted else image.size
            return _finish(image_headers.to_rgb(image), extent, size, turn, fit)
        return _finish(pixels, (width / scale, height / scale), size, turn, fit)


def _decode_by_cv2(data: bytes, scale: int) -> Image.Image | None:
    """Decode by OpenCV; None where it cannot, or where the file is cut short.

    OpenCV would fill the missing pixels without an error.
    """
    if data[-2:] != b'\xff\xd9':
        return None
    cv2 = _module('cv2')
    reduced = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}
    flags = reduced.get(scale, cv2.IMREAD_REDUCED_COLOR_8) | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    return None if pixels is None else Image.fromarray(np.ascontiguousarray(pixels[..., ::-1]))


def _scale(extent: tuple[int, int], size: int, fit: str) -> int:
    """Largest factor by which the JPEG's transform may shrink an image of (width, height)."""
    side = max(extent) if fit == 'pad' else min(extent)
    return next(scale for scale in (8, 4, 2, 1) if side // scale >= size or scale == 1)


def _head(data: bytes) -> bytes:
    """The part of a JPEG before its pixels."""
    at = 2
    while data[at : at + 1] == b'\xff' and data[at + 1] != 0xDA:
        at += 2 + int.from_bytes(data[at + 2 : at + 4]) if data[at + 1] != 0xFF else 1
    return data[:at]


def _finish(
    image: Image.Image, extent: tuple[float, float], size: int, turn: int, fit: str
) -> np.ndarray:
    """Make the square, and turn it.

    Args:
      image: pixels.
      extent: width and height of the image in its pixels; fractions where the JPEG's transform has
        cut the last pixel.
      size: side of the result.
      turn: EXIF orientation.
      fit: a row of FITS.
    """
    box, shape = (0.0, 0.0, *extent), (size, size)
    if fit == 'crop':
        side = min(extent)
        left, top = (extent[0] - side) / 2, (extent[1] - side) / 2
        box = (left, top, left + side, top + side)
    elif fit == 'pad':
        width, height = (max(1, round(size * side / max(extent))) for side in extent)
        shape = (width, height)
    small = image.resize(shape, Image.Resampling.BILINEAR, box, reducing_gap=2.0)
    if small.mode == 'RGBA':
        small = Image.alpha_composite(Image.new('RGBA', small.size, 'white'), small).convert('RGB')
    if shape != (size, size):
        square = Image.new('RGB', (size, size), BACKGROUND)
        square.paste(small, ((size - shape[0]) // 2, (size - shape[1]) // 2))
        small = square
    return TURNS.get(turn, lambda a: a)(np.asarray(small))
