"""Tuning figure: validation error against learning rate, one panel per option."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jaxdl.report.ablation.queries import Tuning
from jaxdl.report.page import markup, palette, plots, words
from jaxdl.report.page.blocks import Axis, Chart, Curve
from jaxdl.report.page.blocks import Figure as FigureBlock

MEAN: plots.Line = dict(marker='o', markersize=3.5)
SEED: plots.Line = dict(color=plots.GREY, marker='.', markersize=5, linestyle='', alpha=0.6)
CHOSEN: plots.Line = dict(marker='D', markersize=7, linestyle='', mec=plots.INK, mew=1.3)


def figure(name: str, tunings: Mapping[str, Tuning], images: int) -> FigureBlock:
    """Draw the tuning of every option; `images` is the size of the validation split."""
    rates = [rate for tuning in tunings.values() for rate in tuning.values]
    accuracies = [
        value
        for tuning in tunings.values()
        for values in tuning.values.values()
        for value in values
    ]
    errors = 100 * (1 - np.array(accuracies))
    floor, colours = plots.floor(errors, images), palette.colours(tunings)
    n = words.sample(_seeds(tunings), 'tuning seed')

    def plot(width: float) -> Figure:
        y = f'validation error, % ({n})'
        drawn, grid = plots.panels(list(tunings), width, 'learning rate', y)
        plots.error_axis(grid[0], errors, floor)
        plots.rate_axis(grid[0], rates)
        for axes, (option, tuning) in zip(grid, tunings.items(), strict=True):
            _extension(axes, tuning)
            _panel(axes, tuning, floor, colours[option])
        _legend(drawn, width, extended=any(tuning.added for tuning in tunings.values()))
        return drawn

    alt, caption = _alt(tunings), _caption(n, logarithmic=floor > 0)
    return FigureBlock(name, plots.draw(plot), alt, caption, _chart(tunings, floor, n))


def _seeds(tunings: Mapping[str, Tuning]) -> int:
    return max(len(values) for tuning in tunings.values() for values in tuning.values.values())


def _chart(tunings: Mapping[str, Tuning], floor: float, n: str) -> Chart:
    axis = Axis('validation error', '%', floor=floor)
    curves = []
    for option, tuning in tunings.items():
        tried = sorted(tuning.values)
        mean, low, high = (
            [100 * (1 - value) for value in values]
            for values in (
                [tuning.means[rate] for rate in tried],
                [max(tuning.values[rate]) for rate in tried],
                [min(tuning.values[rate]) for rate in tried],
            )
        )
        curves.append(Curve(option, 'mean', tried, mean, low, high, mark=tuning.chosen))
    spread = 'range over the tuning seeds'
    return Chart('learning rate', [axis], curves, spread, 'selected', logarithmic=True, n=n)


def _alt(tunings: Mapping[str, Tuning]) -> str:
    options = []
    for option, tuning in tunings.items():
        errors = {rate: 100 * (1 - mean) for rate, mean in tuning.means.items()}
        means = ', '.join(f'{error:.2f} at {rate:g}' for rate, error in errors.items())
        options.append(f'{markup.flat(option)}: {means}, selected {tuning.chosen:g}')
    return f'Mean validation error in % by learning rate. {"; ".join(options)}.'


def _caption(n: str, logarithmic: bool) -> str:
    scale = ' The vertical axis is logarithmic.' if logarithmic else ''
    return (
        f'Validation error at the last epoch, %, against learning rate. Line: mean over {n}. '
        f'Dots: one tuning seed each. Diamond: selected learning rate.{scale}'
    )


def _extension(axes: Axes, tuning: Tuning) -> None:
    """Shade the range by which the grid was extended."""
    planned = [rate for rate in tuning.means if rate not in tuning.added]
    low, high = axes.get_xlim()
    for start, end in ((low, min(planned) / 1.25), (max(planned) * 1.25, high)):
        if any(start < rate < end for rate in tuning.added):
            axes.axvspan(start, end, color=plots.SHADE, linewidth=0)


def _panel(axes: Axes, tuning: Tuning, floor: float, colour: str) -> None:
    for rate, values in tuning.values.items():
        axes.plot([rate] * len(values), np.maximum(100 * (1 - np.array(values)), floor), **SEED)
    means = {rate: max(100 * (1 - mean), floor) for rate, mean in tuning.means.items()}
    axes.plot(list(means), list(means.values()), color=colour, **MEAN)
    axes.axvline(tuning.chosen, color=plots.INK, linewidth=1, linestyle=':')
    axes.plot(tuning.chosen, means[tuning.chosen], color=colour, **CHOSEN)
    _label(axes, tuning.chosen)


def _label(axes: Axes, rate: float) -> None:
    """Write the selected rate at the head of its line, on the side with more room."""
    left, right = np.log(axes.get_xlim())
    side = 1 if np.log(rate) < (left + right) / 2 else -1
    axes.annotate(
        f'{rate:g}',
        (rate, 0.97),
        xycoords=axes.get_xaxis_transform(),
        xytext=(4 * side, 0),
        textcoords='offset points',
        ha='left' if side > 0 else 'right',
        va='top',
        bbox=dict(facecolor='white', alpha=0.75, linewidth=0, pad=1),
    )


def _legend(figure: Figure, width: float, extended: bool) -> None:
    handles = [
        Line2D([], [], label='mean', color=plots.INK, **MEAN),
        Line2D([], [], label='one tuning seed', **SEED),
        Line2D([], [], label='selected', color='white', **CHOSEN),
    ]
    plots.legend(
        figure,
        handles + ([Patch(color=plots.SHADE, label='extended grid')] if extended else []),
        width,
    )
