"""Contact sheet: training images under each augmentation, and labels that break."""

import pathlib
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from jaxdl.report.ablation import reading
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, plots, words
from jaxdl.report.page.blocks import Block, Items, Paragraph
from jaxdl.report.page.blocks import Figure as FigureBlock

ORIGINAL = ('original', 'none')  # names of the unchanged images
SIDE = 64  # maximum pixels per side of an image; larger images are averaged down

DOES = {
    'original': 'unchanged images',
    'none': 'unchanged images',
    'rotation': 'rotated about the centre in either direction; new corners are black',
    'translation': 'shifted along both axes; new edges are black',
    'colour': 'brightness, contrast, saturation and hue changed',
    'flip': 'left and right swapped',
    'randaugment': 'two random changes of geometry or colour, of strength `randaugment`',
    'erasing': 'a box of one colour; the label stays, even if the box covers the object',
    'mixup': 'blended with another image; labels are blended in the same proportion',
    'cutmix': 'a box from another image; its label has the weight of its share of the pixels',
}
GREY_COLOUR = 'brightness and contrast changed; grey images have no saturation or hue'
DIGITS = ('digits', 'hard_digits')
BROKEN = (
    f'{markup.name("flip")} breaks labels on this data set: a mirrored digit is another sign or '
    'none, but keeps its label.'
)
MAY_BREAK = (
    'These images are grey. If they show digits or letters, a flip breaks labels: a mirrored sign '
    'is another sign or none, but keeps its label.'
)
HARMLESS = (
    'A flip keeps the label of a photograph, unless the label depends on text in the photograph.'
)
MIXED = 'Mixing (mixup, cutmix) changes the labels as well: they become shares of two classes.'


def blocks(folder: pathlib.Path, study: AblationRun, condition: str, figure: str) -> list[Block]:
    """The contact sheet in `folder` as a figure named `figure`, with notes on rows and labels."""
    sheet = _sheet(reading.arrays(folder / 'contact_sheet.npz'))
    if not sheet:
        return []
    grey = next(iter(sheet.values())).shape[-1] == 1
    does = DOES | dict(colour=GREY_COLOUR) if grey else DOES
    notes = [f'{markup.name(name)}: {does[name]}.' for name in sheet if name in does]
    return [
        _figure(figure, sheet),
        *([Items(notes)] if notes else []),
        *_labels(sheet, grey, study.data[condition].name.partition(':')[0] in DIGITS),
    ]


def _sheet(rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Images of each augmentation in [0, 1], unchanged images first; empty if shapes differ."""
    shapes = {images.shape for images in rows.values()}
    if len(shapes) != 1 or not all(
        np.issubdtype(images.dtype, np.floating) for images in rows.values()
    ):
        return {}
    shape = shapes.pop()
    if (
        len(shape) != 4
        or 0 in shape
        or shape[-1] not in (1, 3)
        or not all(map(_finite, rows.values()))
    ):
        return {}
    names = sorted(rows, key=lambda name: name not in ORIGINAL)
    return {name: np.clip(rows[name], 0, 1) for name in names}


def _finite(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all())


def _labels(sheet: Mapping[str, np.ndarray], grey: bool, digits: bool) -> list[Block]:
    notes: list[Block] = []
    if 'flip' in sheet:
        notes.append(Paragraph(BROKEN if digits else MAY_BREAK if grey else HARMLESS))
    if 'mixup' in sheet or 'cutmix' in sheet:
        notes.append(Paragraph(MIXED))
    return notes


def _figure(name: str, sheet: Mapping[str, np.ndarray]) -> FigureBlock:
    small = {row: _small(images) for row, images in sheet.items()}
    count, height, width, _ = next(iter(small.values())).shape
    tall = height / width

    def plot(page: float) -> Figure:
        wide = page == plots.WIDE
        columns, margin = min(count, 8 if wide else 4), 1.3 if wide else 1.15
        cell = min((page - margin) / columns, 0.82)
        drawn = Figure(
            figsize=(margin + columns * cell, len(small) * cell * tall + 0.2), layout='constrained'
        )
        drawn.get_layout_engine().set(w_pad=0.05, h_pad=0.03)  # type: ignore[union-attr]
        axes = drawn.subplots()
        for y, images in enumerate(small.values()):
            for x, image in enumerate(images[:columns]):
                _cell(axes, image, x, y * tall, tall)
        _names(axes, [plots.wrap(row, 14 if wide else 11) for row in small], columns, tall)
        return drawn

    caption = (
        f'{words.count(count, "training image")} (columns, fewer on a phone) under each '
        'augmentation (rows). Strengths are chosen for visibility; the strengths in training are '
        'settings of the options.'
    )
    return FigureBlock(name, plots.draw(plot), _alt(sheet), caption)


def _small(images: np.ndarray) -> np.ndarray:
    """Block means of [n, height, width, channel]: at most SIDE pixels per side, 3 channels."""
    step = -(-max(images.shape[1:3]) // SIDE)
    height, width = (max(step, side - side % step) for side in images.shape[1:3])
    filled = np.pad(
        images, [(0, 0), *((0, max(0, step - side)) for side in images.shape[1:3]), (0, 0)], 'edge'
    )
    cropped = filled[:, :height, :width]
    parts = cropped.reshape(len(images), height // step, step, width // step, step, -1).mean((2, 4))
    return np.repeat(parts, 3, -1) if parts.shape[-1] == 1 else parts


def _cell(axes: Axes, image: np.ndarray, x: float, y: float, tall: float) -> None:
    """Draw one image with a light frame; interpolation `none` keeps its pixels in an SVG."""
    left, right, top, bottom = x + 0.04, x + 0.96, y + 0.04 * tall, y + 0.96 * tall
    axes.imshow(image, interpolation='none', extent=(left, right, bottom, top))
    frame = Rectangle(
        (left, top), right - left, bottom - top, fill=False, edgecolor='#c8c8c8', linewidth=0.8
    )
    axes.add_patch(frame)


def _names(axes: Axes, names: list[str], columns: int, tall: float) -> None:
    axes.set_xlim(0, columns)
    axes.set_ylim(len(names) * tall, 0)
    axes.set_yticks([(y + 0.5) * tall for y in range(len(names))], names)
    axes.set_xticks([])
    axes.tick_params(axis='y', length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _alt(sheet: Mapping[str, np.ndarray]) -> str:
    count, height, width, _ = next(iter(sheet.values())).shape
    start = (
        f'{words.count(count, "training image")} of {words.product(height, width)} pixels, one row '
        f'per augmentation: {words.listing(markup.flat(name) for name in sheet)}.'
    )
    original = next((sheet[name] for name in ORIGINAL if name in sheet), None)
    if original is None:
        return start
    changes = ', '.join(
        f'{markup.flat(name)} {100 * np.abs(images - original).mean():.1f}'
        for name, images in sheet.items()
        if name not in ORIGINAL
    )
    return start + (
        f' Mean change of a pixel in % of black to white: {changes}.' if changes else ''
    )
