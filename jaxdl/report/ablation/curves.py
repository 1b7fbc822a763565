"""The figure of learning: training and validation error against epoch, one panel an option."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxdl.report.page import markup, plots, words
from jaxdl.report.page.blocks import Axis, Chart, Curve
from jaxdl.report.page.blocks import Figure as FigureBlock

Accuracies = tuple[np.ndarray, np.ndarray]  # of train and of val, each [seed, epoch]
Bands = tuple[
    tuple[np.ndarray, ...], ...
]  # of train and of val: mean error in per cent and its interval, [epoch]

TRAIN: plots.Line = dict(color=plots.VERMILION, linestyle=(0, (4, 1.5)))
VAL: plots.Line = dict(color=plots.BLUE, linestyle='-')
REFERENCE: plots.Line = dict(color=plots.INK, linestyle=':', linewidth=1.3)


def figure(
    name: str, curves: Mapping[str, Accuracies], baseline: str, lost: Counter[str], images: int
) -> FigureBlock:
    """Draws the curves of every option.

    With the validation error of the baseline in every panel for comparison.

    Args:
      lost: how many members of an option diverged.
      images: how many the validation split has.
    """
    bands = {
        option: tuple(tuple(100 * (1 - part) for part in plots.band(accuracy)) for accuracy in both)
        for option, both in curves.items()
    }
    titles = [f'{option} ({lost[option]} diverged)' if lost[option] else option for option in bands]
    means = np.concatenate([mean for both in bands.values() for mean, *_ in both])
    floor = plots.floor(means, images)

    def plot(width: float) -> Figure:
        drawn, grid = plots.panels(titles, width, 'epoch', 'error, %')
        for axes, (option, (train, val)) in zip(grid, bands.items(), strict=True):
            _curve(axes, train, floor, TRAIN)
            _curve(axes, val, floor, VAL)
            if option != baseline:
                reference = np.maximum(bands[baseline][1][0], floor)
                axes.plot(np.arange(1, len(reference) + 1), reference, **REFERENCE)
            axes.xaxis.set_major_locator(
                ticker.MaxNLocator(5, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
            )
        plots.error_axis(grid[0], means, floor)
        _legend(drawn, width, compared=len(bands) > 1)
        return drawn

    seeds = min(len(accuracy) for both in curves.values() for accuracy in both)
    chart = _chart(dict(zip(titles, bands.values(), strict=True)), floor, seeds)
    return FigureBlock(name, plots.draw(plot), _said(bands), _caption(floor), chart)


def _chart(bands: Mapping[str, Bands], floor: float, seeds: int) -> Chart:
    """Of several options first the validation errors alone: they are what is compared."""
    curves = []
    for option, both in bands.items():
        for part, band in zip(('validation', 'training'), reversed(both), strict=True):
            mean, high, low = (
                values.tolist() for values in band
            )  # of an accuracy the ends are the other way round
            ends = dict(low=low, high=high) if seeds > 1 else {}
            curves.append(Curve(option, part, range(1, len(mean) + 1), mean, **ends))
    hidden = ('training',) if len(bands) > 1 else ()
    return Chart(
        'epoch',
        [Axis('error', '%', floor=floor)],
        curves,
        f'95{words.SPACE}% interval',
        hidden=hidden,
    )


def _said(bands: Mapping[str, Bands]) -> str:
    options = (
        f'{markup.flat(option)}: training {train[0][0]:.2f} to {train[0][-1]:.2f}, '
        f'validation {val[0][0]:.2f} to {val[0][-1]:.2f}'
        for option, (train, val) in bands.items()
    )
    return f'Error in % against epoch, mean over seeds, first to last epoch. {"; ".join(options)}.'


def _caption(floor: float) -> str:
    edge = f'below {floor:.2g}{words.SPACE}% (half a validation image) it shows the edge'
    axis = f' The axis is logarithmic; {edge}.' if floor else ''
    return (
        f'Error (1 {words.MINUS} accuracy) while learning, at the chosen rate, mean over the measuring seeds; bands '
        f'are 95{words.SPACE}% intervals of that mean.{axis}'
    )


def _curve(axes: Axes, band: tuple[np.ndarray, ...], floor: float, style: plots.Line) -> None:
    mean, low, high = (np.maximum(part, floor) for part in band)
    epochs = np.arange(1, len(mean) + 1)
    axes.fill_between(epochs, low, high, color=style['color'], alpha=0.2, linewidth=0)
    axes.plot(epochs, mean, marker='o' if len(epochs) < 4 else '', markersize=4, **style)


def _legend(figure: Figure, width: float, compared: bool) -> None:
    handles = [Line2D([], [], label='training', **TRAIN), Line2D([], [], label='validation', **VAL)]
    if compared:
        handles.append(Line2D([], [], label='validation, baseline', **REFERENCE))
    plots.legend(figure, handles, width)
