"""Pictures of the worst mistakes, and of where the network looks.

Each with its true and its predicted class.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from jaxdl.report.finetune.finetuned import Fitted
from jaxdl.report.page import markup, plots, words
from jaxdl.report.page.blocks import Block, Paragraph
from jaxdl.report.page.blocks import Figure as FigureBlock

MOST = dict(mistakes=(24, 12), gradcam=(16, 8))  # pictures, on a page and on a phone
SIDE = 112  # pixels of a picture at most
HEAT = 'inferno'  # dark to bright also in grey
CALM = (
    'A mistake that the network was sure of is a label that may be wrong, a picture that shows two things, or a class '
    'that needs more images: look before training longer.'
)
CAREFUL = (
    'Grad-CAM (Selvaraju et al. 2017): how much each place of the last map of features speaks for the predicted class, '
    'from dark (nothing) to bright. It shows where the evidence lies, not why it convinces; bright on the background '
    'hints at a network that learnt the place instead of the thing.'
)


def mistakes(fitted: Fitted, name: str) -> list[Block]:
    """The mistakes that the network was surest of, as pictures; nothing without them."""
    found = fitted.mistakes
    if not found:
        return []
    order = np.argsort(-found['probability'], kind='stable')[: MOST['mistakes'][0]]
    pictures = [_small(found['images'][i]) for i in order]
    titles = [_title(fitted, found, int(i)) for i in order]
    caption = (
        f'The {words.count(len(order), "mistake")} that the network was surest of ({fitted.part} images; fewer on a '
        'phone). Under each: what it was taken for, with the probability, and what it is.'
    )
    alt = f'{words.count(len(order), "picture")} named wrong, the surest first: {_listed(fitted, found, order)}.'
    return [
        _figure(name, pictures, titles, MOST['mistakes'], (6, 2), alt, caption),
        Paragraph(CALM, 'note'),
    ]


def gradcam(fitted: Fitted, name: str) -> list[Block]:
    """Each picture beside itself under the map of Grad-CAM; nothing without them."""
    found = fitted.gradcam
    if not found:
        return []
    order = np.arange(min(len(found['images']), MOST['gradcam'][0]))
    pictures = [_beside(found['images'][i], found['maps'][i]) for i in order]
    titles = [_title(fitted, found, int(i)) for i in order]
    caption = 'Pictures, and beside each the places that speak for the predicted class, bright (fewer on a phone).'
    alt = f'{words.count(len(order), "picture")} with a map of Grad-CAM: {_listed(fitted, found, order)}.'
    return [
        _figure(name, pictures, titles, MOST['gradcam'], (4, 2), alt, caption),
        Paragraph(CAREFUL, 'note'),
    ]


def _figure(
    name: str,
    pictures: Sequence[np.ndarray],
    titles: Sequence[Sequence[str]],
    most: tuple[int, int],
    columns: tuple[int, int],
    alt: str,
    caption: str,
) -> FigureBlock:
    """A grid of pictures, `titles` (lines, each with its own weight) under each.

    Pairs are for page and phone.
    """

    def plot(width: float) -> Figure:
        wide = width == plots.WIDE
        shown = min(len(pictures), most[0 if wide else 1])
        across = columns[0 if wide else 1]
        cell = width / across
        letters = int(cell * 13.5)
        lines = [_lines(own, letters) for own in titles[:shown]]
        rows = math.ceil(shown / across)
        heights = [
            (cell - 0.12)
            * max(
                p.shape[0] / p.shape[1] for p in pictures[r * across : min((r + 1) * across, shown)]
            )
            + 0.15 * max(len(own) for own in lines[r * across : (r + 1) * across])
            + 0.16
            for r in range(rows)
        ]
        drawn = Figure(figsize=(min(shown, across) * cell, sum(heights)))
        top = sum(heights)
        for i in range(shown):
            row, column = divmod(i, across)
            height = (cell - 0.12) * pictures[i].shape[0] / pictures[i].shape[1]
            _picture(
                drawn,
                pictures[i],
                lines[i],
                column * cell + 0.04,
                top - sum(heights[:row]),
                cell - 0.12,
                height,
            )
        return drawn

    return FigureBlock(name, plots.draw(plot), alt, caption)


def _picture(
    figure: Figure,
    picture: np.ndarray,
    lines: Sequence[str],
    left: float,
    top: float,
    width: float,
    height: float,
) -> None:
    """One picture with its lines under it, at a place of the figure in inches."""
    wide, tall = figure.get_size_inches()
    axes = figure.add_axes((left / wide, (top - height - 0.03) / tall, width / wide, height / tall))
    axes.imshow(picture, interpolation='none', aspect='auto')
    axes.set_axis_off()
    figure.text(
        left / wide,
        (top - height - 0.08) / tall,
        '\n'.join(lines),
        fontsize=8,
        va='top',
        ha='left',
        linespacing=1.2,
    )


def _lines(title: Sequence[str], letters: int) -> list[str]:
    return [
        line
        for part in title
        for line in textwrap.wrap(part, letters, max_lines=2, placeholder=' …')
    ]


def _title(fitted: Fitted, found: Mapping[str, np.ndarray], i: int) -> list[str]:
    """`87 % Golden delicious`, `is: Royal gala`; or `right`.

    Or nothing where the true class is not known.
    """
    predicted, label = (int(found[key][i]) for key in ('predicted', 'labels'))
    first = f'{100 * float(found["probability"][i]):.0f}{words.SPACE}% {fitted.classes[predicted]}'
    if label < 0:
        return [first]
    return [first, 'which is right' if label == predicted else f'is {fitted.classes[label]}']


def _listed(fitted: Fitted, found: Mapping[str, np.ndarray], order: np.ndarray) -> str:
    return markup.flat('; '.join(', '.join(_title(fitted, found, int(i))) for i in order))


def _small(image: np.ndarray) -> np.ndarray:
    """Of at most SIDE pixels a side."""
    picture = Image.fromarray(image)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(picture)


def _beside(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """An image, a white gap, and the image in grey under its map in colours."""
    small = _small(image)
    place = Image.fromarray(np.clip(np.nan_to_num(heat), 0, 1).astype(np.float32))
    strength = np.asarray(place.resize(small.shape[1::-1], Image.Resampling.BILINEAR))
    colour = matplotlib.colormaps[HEAT](strength)[..., :3] * 255
    grey = np.repeat(small.mean(-1, keepdims=True), 3, -1)
    share = 0.25 + 0.5 * strength[..., None]
    overlay = (grey * (1 - share) + colour * share).astype(np.uint8)
    gap = np.full((len(small), max(2, small.shape[1] // 24), 3), 255, np.uint8)
    return np.concatenate([small, gap, overlay], 1)
