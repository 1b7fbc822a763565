"""Learning curves: training and validation error against epoch, one panel per option."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxdl.report.page import markup, palette, plots, words
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
    name: str, curves: Mapping[str, Accuracies], baseline: str, diverged: Counter[str], images: int
) -> FigureBlock:
    """Draw the curves of every option, each with the validation error of the baseline.

    Args:
      name: file name of the figure.
      curves: option -> accuracies of training and validation, each [seed, epoch].
      baseline: the option shown in every panel.
      diverged: option -> number of diverged runs.
      images: size of the validation split.

    Returns:
      The figure with caption, text alternative and chart.
    """
    bands = {
        option: tuple(tuple(100 * (1 - part) for part in plots.band(accuracy)) for accuracy in both)
        for option, both in curves.items()
    }
    titles = [
        f'{option} ({diverged[option]} diverged)' if diverged[option] else option
        for option in bands
    ]
    means = np.concatenate([mean for both in bands.values() for mean, *_ in both])
    floor, colours = plots.floor(means, images), palette.colours(bands)
    seeds = min(len(accuracy) for both in curves.values() for accuracy in both)
    reference = plots.in_colour(REFERENCE, colours[baseline])

    def plot(width: float) -> Figure:
        y = f'error, % ({words.sample(seeds, "seed")})'
        drawn, grid = plots.panels(titles, width, 'epoch', y)
        for axes, (option, (train, val)) in zip(grid, bands.items(), strict=True):
            _curve(axes, train, floor, plots.in_colour(TRAIN, colours[option]))
            _curve(axes, val, floor, plots.in_colour(VAL, colours[option]))
            if option != baseline:
                mean = np.maximum(bands[baseline][1][0], floor)
                axes.plot(np.arange(1, len(mean) + 1), mean, **reference)
            axes.xaxis.set_major_locator(
                ticker.MaxNLocator(5, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
            )
        plots.error_axis(grid[0], means, floor)
        _legend(drawn, width, reference if len(bands) > 1 else {})
        return drawn

    chart = _chart(dict(zip(titles, bands.values(), strict=True)), floor, seeds)
    return FigureBlock(name, plots.draw(plot), _alt(bands), _caption(floor, seeds), chart)


def _chart(bands: Mapping[str, Bands], floor: float, seeds: int) -> Chart:
    """Chart data; of several options only the validation errors are visible at first."""
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
        n=words.sample(seeds, 'seed'),
    )


def _alt(bands: Mapping[str, Bands]) -> str:
    options = (
        f'{markup.flat(option)}: training {train[0][0]:.2f} to {train[0][-1]:.2f}, '
        f'validation {val[0][0]:.2f} to {val[0][-1]:.2f}'
        for option, (train, val) in bands.items()
    )
    return f'Error in % against epoch, mean over seeds, first to last epoch. {"; ".join(options)}.'


def _caption(floor: float, seeds: int) -> str:
    edge = f'it ends at {floor:.2g}{words.SPACE}%, half a validation image'
    axis = f' The axis is logarithmic; {edge}.' if floor else ''
    return (
        f'Error (1 {words.MINUS} accuracy) against epoch, at the selected learning rate. Lines: '
        f'mean over {words.sample(seeds, "evaluation seed")}. Bands: '
        f'95{words.SPACE}% intervals. One colour per option in all figures.{axis}'
    )


def _curve(axes: Axes, band: tuple[np.ndarray, ...], floor: float, style: plots.Line) -> None:
    mean, low, high = (np.maximum(part, floor) for part in band)
    epochs = np.arange(1, len(mean) + 1)
    axes.fill_between(epochs, low, high, color=style['color'], alpha=0.2, linewidth=0)
    axes.plot(epochs, mean, marker='o' if len(epochs) < 4 else '', markersize=4, **style)


def _legend(figure: Figure, width: float, reference: plots.Line) -> None:
    parts = dict(training=TRAIN, validation=VAL)
    handles = [
        Line2D([], [], label=label, **plots.in_colour(style, plots.INK))
        for label, style in parts.items()
    ]
    if reference:
        handles.append(Line2D([], [], label='validation, baseline', **reference))
    plots.legend(figure, handles, width)
