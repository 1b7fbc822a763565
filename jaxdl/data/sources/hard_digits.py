"""Handwritten digits that are shifted, rotated and tinted on a larger canvas."""

import dataclasses
from typing import Any

import numpy as np

from jaxdl.data.listing import Listing
from jaxdl.data.sources.columns import listing
from jaxdl.errors import InputError

NAME, TINTED = 'hard_digits', 'tinted'
SIDE = 12  # of the canvas, pixels
DRAWS = 2  # images per source digit
SEED = 0  # of all draws
SHIFT = 2.0  # largest shift down and to the right, pixels
ANGLE = 30.0  # largest rotation in both directions, degrees
CONTRAST = 0.85  # lowest factor about mid-grey; the highest is 1
SATURATION = 0.25  # of the tint
SPREAD = 1.5  # largest distance of a correlated tint from that of its class, in classes
FRACTIONS = (0.25, 0.25, 0.5)


def hard_digits(where: str = '') -> Listing:
    """Two draws of each of the digits at 12 x 12 pixels: shifted, rotated and tinted.

    The images are uint8 [n, 12, 12, 3]. Shift, rotation, contrast and tint of each image are drawn
    once, with a fixed seed. The images of one source digit are a group. The data set's own split
    takes 25 % of the source digits for training, 25 % for validation and 50 % for test.

    `hard_digits:tinted` has the same test images. In training and validation the tint depends on
    the class: ten hues around the circle, each with some spread. The listing has every image twice,
    with the tint of its class for training and validation and with a random tint for test.

    Args:
      where: empty, or `tinted`.

    Raises:
      InputError: `where` is something else.
    """
    if where not in ('', TINTED):
        raise InputError(
            f'--dataset={NAME}:{where}: no such form; use --dataset={NAME} or '
            f'--dataset={NAME}:{TINTED}'
        )
    from sklearn import datasets  # takes a second

    bunch: Any = datasets.load_digits()
    draws = np.random.default_rng(SEED).random((6, len(bunch.target), DRAWS))
    grey, hue = _canvas(bunch.images / 16, draws[:4]), draws[4]
    images = [_tint(grey, hue)]
    ids = [f'{source}/{draw}' for source, draw in np.ndindex(*hue.shape)]
    all_ids, note = ids, f'{DRAWS} draws of each of {len(hue):,} digits, {SIDE} x {SIDE} pixels'
    if where:
        by_class = (bunch.target[:, None] + SPREAD * (2 * draws[5] - 1)) / 10
        images.append(_tint(grey, by_class))
        all_ids = [*ids, *(f'{name}/{TINTED}' for name in ids)]
        note += '; each twice: randomly tinted for test, by class for the other splits'
    copies = len(images)
    listed = listing(
        f'{NAME}:{where}' if where else NAME,
        np.concatenate(images),
        [str(label) for label in np.repeat(bunch.target, DRAWS)] * copies,
        all_ids,
        class_order=[str(name) for name in bunch.target_names],
        groups=[name.partition('/')[0] for name in ids] * copies,
        note=note,
    )
    roles = ('test',) * len(ids) + ('fit',) * len(ids) if where else None
    return dataclasses.replace(listed, fractions=FRACTIONS, roles=roles)


def _canvas(ink: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Draw digits on the canvas, bilinear, zeros outside, with a contrast about mid-grey.

    Args:
      ink: float [source, height, width] in [0, 1].
      draws: float [4, source, draw] in [0, 1): rotation, shift down, shift right, contrast.

    Returns:
      float [source, draw, SIDE, SIDE] in [0, 1].
    """
    radians, down, right, contrast = draws[..., None, None]
    radians = np.deg2rad(ANGLE) * (2 * radians - 1)
    place = np.arange(SIDE) - (SIDE - 1) / 2
    y = place[:, None] - SHIFT * (2 * down - 1)
    x = place[None, :] - SHIFT * (2 * right - 1)
    sin, cos = np.sin(radians), np.cos(radians)
    height, width = ink.shape[1:]
    padded = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    top, low = _neighbours(cos * y + sin * x + (height + 1) / 2, height)
    left, far = _neighbours(cos * x - sin * y + (width + 1) / 2, width)
    source = np.arange(len(ink))[:, None, None, None]
    upper = padded[source, top, left] * (1 - far) + padded[source, top, left + 1] * far
    lower = padded[source, top + 1, left] * (1 - far) + padded[source, top + 1, left + 1] * far
    return 0.5 + (CONTRAST + (1 - CONTRAST) * contrast) * (upper * (1 - low) + lower * low - 0.5)


def _neighbours(place: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixel before each place on an axis with a zero at both ends, and the weight after it."""
    clipped = np.clip(place, 0, size + 1)
    before = np.minimum(clipped.astype(int), size)
    return before, clipped - before


def _tint(grey: np.ndarray, hue: np.ndarray) -> np.ndarray:
    """Multiply grey images [source, draw, side, side] by colours of a hue [source, draw] in turns.

    Returns:
      uint8 [source * draw, side, side, 3].
    """
    distance = np.abs((6 * hue[..., None] + np.array([0.0, 4.0, 2.0])) % 6 - 3)
    colours = 1 - SATURATION + SATURATION * np.clip(distance - 1, 0, 1)
    images = np.round(255 * grey[..., None] * colours[:, :, None, None]).astype(np.uint8)
    return images.reshape(-1, *images.shape[2:])
