"""Test images on which the options differ, with the number of correct seeds of each option."""

import dataclasses
import math
import pathlib
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from jaxdl.report.ablation import reading
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, palette, plots, words
from jaxdl.report.page.blocks import Block, Table
from jaxdl.report.page.blocks import Figure as FigureBlock

MOST = 24  # images
LARGEST_SIDE = 512  # pixels; a run writes smaller images
LETTERS, NARROW_LETTERS = 24, 18  # of a line, on a page and on a phone
GAP, HEAD, FOOT = 0.16, 0.34, 0.42  # inches between images, above an image and below
ELSEWHERE = f'{markup.code("correct.npz")} of the workdir has every run and image.'


@dataclasses.dataclass(frozen=True)
class DifferingImages:
    """Content of differing.npz for the options of a study.

    Attributes:
      images: uint8 [image, height, width, channel].
      ids: of the images.
      labels: class of each image.
      correct: option -> number of correct seeds, int [image].
      tested: number of seeds that test the image, int [image].
      differing: number of all images on which an option differs from the baseline.
    """

    images: np.ndarray
    ids: list[str]
    labels: list[str]
    correct: dict[str, np.ndarray]
    tested: np.ndarray
    differing: int


def blocks(folder: pathlib.Path, study: AblationRun, condition: str, figure: str) -> list[Block]:
    """The images as a figure named `figure`, and all counts as a table.

    Empty without the file, or if the file is damaged or does not fit the study.
    """
    differing = _read(reading.arrays(folder / 'differing.npz'), study)
    if differing is None:
        return []
    return [_figure(figure, differing, study), _table(differing, study)]


def _read(arrays: Mapping[str, np.ndarray], study: AblationRun) -> DifferingImages | None:
    names = ('images', 'id', 'label', 'option', 'correct', 'tested', 'differing')
    if any(name not in arrays for name in names) or len(study.options) < 2:
        return None
    images, counts = arrays['images'], (arrays['correct'], arrays['tested'])
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        return None
    if max(images.shape[1:3]) > LARGEST_SIDE:
        return None
    shapes = dict(id=(len(images),), label=(len(images),), option=(len(study.options),))
    if images.shape[-1] not in (1, 3) or any(
        arrays[name].shape != shape or arrays[name].dtype.kind != 'U'
        for name, shape in shapes.items()
    ):
        return None
    both = (len(study.options), len(images))
    if any(values.shape != both or values.dtype.kind not in 'iu' for values in counts):
        return None
    if arrays['differing'].shape or arrays['differing'].dtype.kind not in 'iu':
        return None
    place = {str(option): i for i, option in enumerate(arrays['option'])}
    if set(place) != set(study.options):
        return None
    correct = {option: arrays['correct'][place[option]][:MOST] for option in study.options}
    return DifferingImages(
        images[:MOST],
        [words.local(str(name)) for name in arrays['id'][:MOST]],
        [str(label) for label in arrays['label'][:MOST]],
        correct,
        arrays['tested'].max(0)[:MOST],
        int(arrays['differing']),
    )


def _strongest(differing: DifferingImages, image: int, study: AblationRun) -> str:
    """Option whose number of correct seeds differs most from that of the baseline."""
    base = int(differing.correct[study.baseline][image])
    return max(study.options[1:], key=lambda o: abs(int(differing.correct[o][image]) - base))


def _count(differing: DifferingImages, option: str, image: int) -> str:
    return f'{differing.correct[option][image]} of {differing.tested[image]}'


def _figure(name: str, differing: DifferingImages, study: AblationRun) -> FigureBlock:
    grey = differing.images.shape[-1] == 1
    pictures = differing.images[..., 0] if grey else differing.images
    tall = differing.images.shape[1] / differing.images.shape[2]
    colours = palette.colours(study.options)

    def plot(page: float) -> Figure:
        columns, letters = (6, LETTERS) if page == plots.WIDE else (3, NARROW_LETTERS)
        cell, side = page / columns, page / columns - GAP
        pitch = side * tall + HEAD + FOOT
        columns, rows = min(len(pictures), columns), math.ceil(len(pictures) / columns)
        drawn = Figure(figsize=(cell * columns, rows * pitch))
        axes = drawn.add_axes((0, 0, 1, 1))  # in inches, from the top left
        axes.set_axis_off()
        for i, picture in enumerate(pictures):
            left, top = i % columns * cell + GAP / 2, i // columns * pitch + HEAD
            extent = (left, left + side, top + side * tall, top)
            axes.imshow(picture, cmap='gray', vmin=0, vmax=255, interpolation='none', extent=extent)
            texts = _texts(differing, i, study, letters)
            places = (top - 0.18, top - 0.04, top + side * tall + 0.15, top + side * tall + 0.29)
            for (text, option), y in zip(texts, places, strict=True):
                colour = colours[option] if option else plots.INK
                axes.text(left + side / 2, y, text, ha='center', fontsize=8, color=colour)
        axes.set(xlim=(0, cell * columns), ylim=(rows * pitch, 0), aspect='auto')
        return drawn

    return FigureBlock(name, plots.draw(plot), _alt(differing, study), _caption(differing, study))


def _texts(
    differing: DifferingImages, image: int, study: AblationRun, letters: int
) -> list[tuple[str, str | None]]:
    """Lines of an image, each with its option: id, class, two counts."""
    names = (differing.ids[image], f'class {differing.labels[image]}')
    texts: list[tuple[str, str | None]] = [
        (_shorten(markup.flat(name), letters), None) for name in names
    ]
    for option in (study.baseline, _strongest(differing, image, study)):
        count = _count(differing, option, image)
        name = _shorten(markup.flat(option), letters - len(count) - 1)
        texts.append((f'{name} {count}', option))
    return texts


def _shorten(text: str, letters: int) -> str:
    """A text with its middle left out if it is too long: the ends of ids differ."""
    if len(text) <= letters:
        return text
    end = max(1, 2 * (letters - 1) // 3)
    return f'{text[: max(1, letters - 1 - end)]}…{text[-end:]}'


def _table(differing: DifferingImages, study: AblationRun) -> Table:
    rows = [
        [
            markup.name(differing.ids[i]),
            markup.flat(differing.labels[i]),
            *(_count(differing, option, i) for option in study.options),
        ]
        for i in range(len(differing.ids))
    ]
    columns = ('Image', 'Class', *(markup.name(option) for option in study.options))
    caption = f'Seeds with a correct prediction, {words.count(len(rows), "test image")}'
    return Table(caption, columns, rows, 'll' + 'r' * len(study.options), elsewhere=ELSEWHERE)


def _alt(differing: DifferingImages, study: AblationRun) -> str:
    texts = []
    for i, (image, label) in enumerate(zip(differing.ids, differing.labels, strict=True)):
        counts = ', '.join(
            f'{markup.flat(option)} {_count(differing, option, i)}'
            for option in (study.baseline, _strongest(differing, i, study))
        )
        texts.append(f'{markup.flat(image)} (class {markup.flat(label)}): {counts}')
    return f'{words.count(len(texts), "test image")}, correct seeds. {"; ".join(texts)}.'


def _caption(differing: DifferingImages, study: AblationRun) -> str:
    which = (
        f'the {len(differing.ids)} with the largest differences of {differing.differing:,}'
        if differing.differing > len(differing.ids)
        else f'{differing.differing:,} in all'
    )
    return (
        f'Test images on which an option and {markup.name(study.baseline)} differ in at least one '
        f'seed, {which}. Above: id and class. Below: number of seeds with a correct prediction, '
        f'of {markup.name(study.baseline)} and of the option that differs most from it.'
    )
