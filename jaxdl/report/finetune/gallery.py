"""Galleries of images with true and predicted class: worst mistakes, Grad-CAM."""

import math
import textwrap
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from jaxdl.report.finetune.reading import FineTuneRun
from jaxdl.report.page import markup, plots, words
from jaxdl.report.page.blocks import Block, Paragraph
from jaxdl.report.page.blocks import Figure as FigureBlock

MOST = dict(mistakes=(24, 12), gradcam=(16, 8))  # maximum images, on a page and on a phone
SIDE = 112  # maximum pixels per side
HEAT = 'inferno'  # dark to bright also in grey
MISTAKES_NOTE = (
    'Confident mistakes can be wrong labels, images with two objects, or classes with too few '
    'images.'
)
GRADCAM_NOTE = (
    'Grad-CAM (Selvaraju et al. 2017): contribution of each position of the last feature map to '
    'the predicted class, from dark (none) to bright. High values on the background suggest '
    'reliance on context.'
)


def mistakes(fitted: FineTuneRun, name: str) -> list[Block]:
    """The most confident mistakes as a figure; empty without mistakes."""
    images = fitted.mistakes
    if not images:
        return []
    order = np.argsort(-images['probability'], kind='stable')[: MOST['mistakes'][0]]
    pictures = [_small(images['images'][i]) for i in order]
    titles = [_title(fitted, images, int(i)) for i in order]
    caption = (
        f'The {words.count(len(order), "mistake")} of highest confidence, {fitted.part} images '
        '(fewer on a phone). Under each: probability and predicted class, then true class.'
    )
    listed = _listed(fitted, images, order)
    alt = f'{words.count(len(order), "mistake")}, highest confidence first: {listed}.'
    return [
        _figure(name, pictures, titles, MOST['mistakes'], (6, 2), alt, caption),
        Paragraph(MISTAKES_NOTE, 'note'),
    ]


def label_issues(fitted: FineTuneRun, name: str) -> list[Block]:
    """Images whose label is probably wrong as a figure; empty without such images."""
    images = fitted.issue_images
    if not images:
        return []
    order = np.arange(min(len(images['images']), MOST['mistakes'][0]))
    pictures = [_small(images['images'][i]) for i in order]
    titles = [_title(fitted, images, int(i), 'label') for i in order]
    count = words.count(len(order), 'image')
    caption = (
        f'The {count} with the most suspicious labels (fewer on a phone). Under each: probability '
        'and suggested class, then the label.'
    )
    listed = markup.flat('; '.join(', '.join(title) for title in titles))
    alt = f'{count}, most suspicious label first: {listed}.'
    return [_figure(name, pictures, titles, MOST['mistakes'], (6, 2), alt, caption)]


def gradcam(fitted: FineTuneRun, name: str) -> list[Block]:
    """Images next to their Grad-CAM maps as a figure; empty without maps."""
    images = fitted.gradcam
    if not images:
        return []
    order = np.arange(min(len(images['images']), MOST['gradcam'][0]))
    pictures = [_overlay(images['images'][i], images['maps'][i]) for i in order]
    titles = [_title(fitted, images, int(i)) for i in order]
    caption = (
        f'{words.count(len(order), "image")} (fewer on a phone), each next to its Grad-CAM map of '
        'the predicted class.'
    )
    alt = (
        f'{words.count(len(order), "image")} with Grad-CAM maps: {_listed(fitted, images, order)}.'
    )
    return [
        _figure(name, pictures, titles, MOST['gradcam'], (4, 2), alt, caption),
        Paragraph(GRADCAM_NOTE, 'note'),
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
    """A grid of images with `titles` under each; `most` and `columns` are for page and phone."""

    def plot(width: float) -> Figure:
        wide = width == plots.WIDE
        count = min(len(pictures), most[0 if wide else 1])
        across = columns[0 if wide else 1]
        cell = width / across
        letters = int(cell * 13.5)
        lines = [_lines(title, letters) for title in titles[:count]]
        rows = math.ceil(count / across)
        heights = [
            (cell - 0.12)
            * max(
                p.shape[0] / p.shape[1] for p in pictures[r * across : min((r + 1) * across, count)]
            )
            + 0.15 * max(len(title) for title in lines[r * across : (r + 1) * across])
            + 0.16
            for r in range(rows)
        ]
        drawn = Figure(figsize=(min(count, across) * cell, sum(heights)))
        top = sum(heights)
        for i in range(count):
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
    """Draw one image with its lines; lengths and positions are in inches."""
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


def _title(
    fitted: FineTuneRun, images: Mapping[str, np.ndarray], i: int, label_name: str = 'true'
) -> list[str]:
    """Lines under an image: `87 % Golden delicious`, then `true: Royal gala` or `correct`."""
    predicted, label = (int(images[key][i]) for key in ('predicted', 'labels'))
    first = f'{100 * float(images["probability"][i]):.0f}{words.SPACE}% {fitted.classes[predicted]}'
    if label < 0:
        return [first]
    return [first, 'correct' if label == predicted else f'{label_name}: {fitted.classes[label]}']


def _listed(fitted: FineTuneRun, images: Mapping[str, np.ndarray], order: np.ndarray) -> str:
    return markup.flat('; '.join(', '.join(_title(fitted, images, int(i))) for i in order))


def _small(image: np.ndarray) -> np.ndarray:
    """Image scaled down to at most SIDE pixels per side."""
    picture = Image.fromarray(image)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(picture)


def _overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """An image, a white gap, and the grey image under its map in colour."""
    small = _small(image)
    place = Image.fromarray(np.clip(np.nan_to_num(heat), 0, 1).astype(np.float32))
    strength = np.asarray(place.resize(small.shape[1::-1], Image.Resampling.BILINEAR))
    colour = matplotlib.colormaps[HEAT](strength)[..., :3] * 255
    grey = np.repeat(small.mean(-1, keepdims=True), 3, -1)
    share = 0.25 + 0.5 * strength[..., None]
    overlay = (grey * (1 - share) + colour * share).astype(np.uint8)
    gap = np.full((len(small), max(2, small.shape[1] // 24), 3), 255, np.uint8)
    return np.concatenate([small, gap, overlay], 1)
