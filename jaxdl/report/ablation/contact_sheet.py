"""What each augmentation does to real images of the data set, and which labels it breaks."""

import pathlib
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from jaxdl.report.ablation import reading
from jaxdl.report.ablation.study import Study
from jaxdl.report.page import markup, plots, words
from jaxdl.report.page.blocks import Block, Items, Paragraph
from jaxdl.report.page.blocks import Figure as FigureBlock

ORIGINAL = ('original', 'none')  # names of the images as they are
SIDE = 64  # pixels of an image that a cell shows at most: larger ones are averaged down

DOES = {
    'original': 'the images as they are',
    'none': 'the images as they are',
    'rotation': 'turned about the centre, either way; the corners that come in are black',
    'translation': 'shifted along both axes; the edges that come in are black',
    'colour': 'brightness, contrast, saturation and hue changed',
    'flip': 'left and right swapped',
    'randaugment': 'two changes drawn from a list of geometry and colour, each as strong as `randaugment` says',
    'erasing': 'a box painted over in one colour; the label stays, even where the box covers what it was read from',
    'mixup': 'blended with another image, and the label with its label, by the same shares',
    'cutmix': 'a box taken from another image, and of the label the share of the pixels in it',
}
GREY_COLOUR = 'brightness and contrast changed: a grey image has no saturation and no hue to change'
BROKEN = (
    f'{markup.name("flip")} breaks labels here: a mirrored digit is another sign or none, yet it keeps its label, so '
    'the network is taught what is false.'
)
MAY_BREAK = (
    'These images are grey. Where they show digits or letters, a flip breaks labels: a mirrored sign is another one or '
    'none, yet it keeps its label.'
)
HARMLESS = (
    'To the label of a photograph a flip is harmless, unless the label is told by text in it.'
)
MIXED = 'Mixing (mixup, cutmix) changes the label along with the image: it becomes shares of two classes.'


def blocks(folder: pathlib.Path, study: Study, condition: str, figure: str) -> list[Block]:
    """The contact sheet in `folder` as a figure named `figure`, what its rows do.

    And which labels break.
    """
    sheet = _sheet(reading.arrays(folder / 'contact_sheet.npz'))
    if not sheet:
        return []
    grey = next(iter(sheet.values())).shape[-1] == 1
    does = DOES | dict(colour=GREY_COLOUR) if grey else DOES
    told = [f'{markup.name(name)}: {does[name]}.' for name in sheet if name in does]
    return [
        _figure(figure, sheet),
        *([Items(told)] if told else []),
        *_labels(sheet, grey, study.data[condition]['name'] == 'digits'),
    ]


def _sheet(found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The images of each augmentation, in [0, 1], the untouched first.

    Nothing where they are not of one shape.
    """
    shapes = {images.shape for images in found.values()}
    if len(shapes) != 1 or not all(
        np.issubdtype(images.dtype, np.floating) for images in found.values()
    ):
        return {}
    shape = shapes.pop()
    if (
        len(shape) != 4
        or 0 in shape
        or shape[-1] not in (1, 3)
        or not all(map(_finite, found.values()))
    ):
        return {}
    names = sorted(found, key=lambda name: name not in ORIGINAL)
    return {name: np.clip(found[name], 0, 1) for name in names}


def _finite(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all())


def _labels(sheet: Mapping[str, np.ndarray], grey: bool, digits: bool) -> list[Block]:
    found: list[Block] = []
    if 'flip' in sheet:
        found.append(Paragraph(BROKEN if digits else MAY_BREAK if grey else HARMLESS))
    if 'mixup' in sheet or 'cutmix' in sheet:
        found.append(Paragraph(MIXED))
    return found


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
        _names(axes, [plots.wrapped(row, 14 if wide else 11) for row in small], columns, tall)
        return drawn

    caption = (
        'Some training images, a column each (fewer on a phone), and what each augmentation makes of them, a row each. '
        'The strengths are those that show well: those trained with are among the settings of the options.'
    )
    return FigureBlock(name, plots.draw(plot), _said(sheet), caption)


def _small(images: np.ndarray) -> np.ndarray:
    """At most SIDE pixels a side and three channels: means of blocks of [n, height, width.

    Channel].
    """
    step = -(-max(images.shape[1:3]) // SIDE)
    height, width = (max(step, side - side % step) for side in images.shape[1:3])
    filled = np.pad(
        images, [(0, 0), *((0, max(0, step - side)) for side in images.shape[1:3]), (0, 0)], 'edge'
    )
    whole = filled[:, :height, :width]
    parts = whole.reshape(len(images), height // step, step, width // step, step, -1).mean((2, 4))
    return np.repeat(parts, 3, -1) if parts.shape[-1] == 1 else parts


def _cell(axes: Axes, image: np.ndarray, x: float, y: float, tall: float) -> None:
    """One image with a light frame; as `none` it reaches an SVG pixel by pixel.

    To be enlarged without blur.
    """
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


def _said(sheet: Mapping[str, np.ndarray]) -> str:
    count, height, width, _ = next(iter(sheet.values())).shape
    start = (
        f'{words.count(count, "training image")} of {words.product(height, width)} pixels, a row an augmentation: '
        f'{words.listing(markup.flat(name) for name in sheet)}.'
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
