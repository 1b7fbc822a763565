"""Figure of pairs of near-duplicates."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from jaxdl.report.page import markup, plots, words
from jaxdl.report.page.blocks import Figure as FigureBlock


def pairs(
    name: str, examples: Sequence[Mapping[str, Any]], first: np.ndarray, second: np.ndarray
) -> FigureBlock:
    """Draw near-duplicates next to each other, with split and id of each.

    Args:
      name: file name of the figure.
      examples: `parts`, `ids` and `classes` of each pair.
      first: uint8 [pair, height, width, channel].
      second: the other image of each pair, of the same shape.

    Returns:
      The figure.
    """
    drawn_pairs = examples[: len(first)]
    gap = np.full((*first.shape[:2], max(1, first.shape[2] // 16), first.shape[3]), 255, np.uint8)
    both = np.concatenate([first, gap, second], axis=2)
    both = both[..., :3] if both.shape[-1] >= 3 else both[..., 0]
    shape = both.shape[1] / both.shape[2]

    def plot(width: float) -> Figure:
        columns = min(len(drawn_pairs), 4 if width == plots.WIDE else 2)
        rows, cell = (
            math.ceil(len(drawn_pairs) / columns),
            width / (4 if width == plots.WIDE else 2),
        )
        figure = Figure(
            figsize=(cell * columns, rows * (cell * shape + 0.45)), layout='constrained'
        )
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, pair, picture in zip(grid, drawn_pairs, both, strict=False):
            axes.imshow(picture, cmap='gray', vmin=0, vmax=255, interpolation='nearest')
            lines = (
                f'{part}: {_id(image)}'
                for part, image in zip(pair['parts'], pair['ids'], strict=True)
            )
            title = '\n'.join(
                line if len(line) <= 26 else line[:6] + ' … ' + line[-17:] for line in lines
            )
            axes.set_title(title, fontsize=8, weight='normal')
        return figure

    return FigureBlock(name, plots.draw(plot), _alt(drawn_pairs), _caption(drawn_pairs))


def _alt(examples: Sequence[Mapping[str, Any]]) -> str:
    texts = (
        ' and '.join(f'{p} {_id(i)}' for p, i in zip(pair['parts'], pair['ids'], strict=True))
        for pair in examples
    )
    return f'{words.count(len(examples), "pair")} of possible near-duplicates: {"; ".join(texts)}.'


def _caption(examples: Sequence[Mapping[str, Any]]) -> str:
    labels = dict.fromkeys(tuple(dict.fromkeys(pair['classes'])) for pair in examples)
    named = words.listing(' against '.join(map(markup.name, classes)) for classes in labels)
    return (
        'Possible near-duplicates in different splits, with split and id of each image. '
        f'Classes: {named}.'
    )


def _id(text: str) -> str:
    return markup.flat(words.local(text))
