"""Figures of images: pairs beside each other."""

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
    """Near-duplicates, `first` beside `second` (uint8 [pair, height, width, channel]).

    With part and id of each.
    """
    shown = examples[: len(first)]
    gap = np.full((*first.shape[:2], max(1, first.shape[2] // 16), first.shape[3]), 255, np.uint8)
    both = np.concatenate([first, gap, second], axis=2)
    both = both[..., :3] if both.shape[-1] >= 3 else both[..., 0]
    shape = both.shape[1] / both.shape[2]

    def plot(width: float) -> Figure:
        columns = min(len(shown), 4 if width == plots.WIDE else 2)
        rows, cell = math.ceil(len(shown) / columns), width / (4 if width == plots.WIDE else 2)
        figure = Figure(
            figsize=(cell * columns, rows * (cell * shape + 0.45)), layout='constrained'
        )
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, pair, picture in zip(grid, shown, both, strict=False):
            axes.imshow(picture, cmap='gray', vmin=0, vmax=255, interpolation='nearest')
            lines = (
                f'{part}: {_id(own)}' for part, own in zip(pair['parts'], pair['ids'], strict=True)
            )
            title = '\n'.join(
                line if len(line) <= 26 else line[:6] + ' … ' + line[-17:] for line in lines
            )
            axes.set_title(title, fontsize=8, weight='normal')
        return figure

    return FigureBlock(name, plots.draw(plot), _said(shown), _caption(shown))


def _said(shown: Sequence[Mapping[str, Any]]) -> str:
    each = (
        ' and '.join(f'{p} {_id(i)}' for p, i in zip(pair['parts'], pair['ids'], strict=True))
        for pair in shown
    )
    return (
        f'{words.count(len(shown), "pair")} of images that are nearly the same: {"; ".join(each)}.'
    )


def _caption(shown: Sequence[Mapping[str, Any]]) -> str:
    labels = dict.fromkeys(tuple(dict.fromkeys(pair['classes'])) for pair in shown)
    named = words.listing(' against '.join(map(markup.name, classes)) for classes in labels)
    return f'Near-duplicates on two sides of the split, with the part and the id of each. Classes: {named}.'


def _id(text: str) -> str:
    return markup.flat(words.local(text))
