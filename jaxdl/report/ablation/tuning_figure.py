"""Tuning figure: validation accuracy against learning rate, one panel per option."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jaxdl.report.ablation.queries import Tuning
from jaxdl.report.page import markup, plots, words
from jaxdl.report.page.blocks import Axis, Chart, Curve
from jaxdl.report.page.blocks import Figure as FigureBlock

MEAN: plots.Line = dict(color=plots.BLUE, marker='o', markersize=3.5)
SEED: plots.Line = dict(color=plots.GREY, marker='.', markersize=5, linestyle='', alpha=0.6)
CHOSEN: plots.Line = dict(color=plots.VERMILION, marker='D', markersize=7, linestyle='')


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
    floor = plots.floor(errors, images)

    def plot(width: float) -> Figure:
        drawn, grid = plots.panels(list(tunings), width, 'learning rate', 'validation accuracy, %')
        plots.error_axis(grid[0], errors, floor, accuracy=True)
        plots.rate_axis(grid[0], rates)
        for axes, tuning in zip(grid, tunings.values(), strict=True):
            _extension(axes, tuning)
            _panel(axes, tuning, floor)
        _legend(drawn, width, extended=any(tuning.added for tuning in tunings.values()))
        return drawn

    alt, caption = _alt(tunings), _caption(tunings, logarithmic=floor > 0)
    return FigureBlock(name, plots.draw(plot), alt, caption, _chart(tunings, floor))


def _chart(tunings: Mapping[str, Tuning], floor: float) -> Chart:
    axis = Axis('validation accuracy', '%', floor=floor, top=100 if floor else 0)
    curves = []
    for option, tuning in tunings.items():
        tried = sorted(tuning.values)
        mean, low, high = (
            [100 * value for value in values]
            for values in (
                [tuning.means[rate] for rate in tried],
                [min(tuning.values[rate]) for rate in tried],
                [max(tuning.values[rate]) for rate in tried],
            )
        )
        curves.append(Curve(option, 'mean', tried, mean, low, high, mark=tuning.chosen))
    spread = 'range over the tuning seeds'
    return Chart('learning rate', [axis], curves, spread, marked='selected', logarithmic=True)


def _alt(tunings: Mapping[str, Tuning]) -> str:
    options = []
    for option, tuning in tunings.items():
        means = ', '.join(f'{100 * mean:.2f} at {rate:g}' for rate, mean in tuning.means.items())
        options.append(f'{markup.flat(option)}: {means}, selected {tuning.chosen:g}')
    return f'Mean validation accuracy in % by learning rate. {"; ".join(options)}.'


def _caption(tunings: Mapping[str, Tuning], logarithmic: bool) -> str:
    scale = (
        f' The vertical axis is logarithmic in the error (100 {words.MINUS} accuracy).'
        if logarithmic
        else ''
    )
    seeds = max(len(values) for tuning in tunings.values() for values in tuning.values.values())
    return (
        'Validation accuracy at the last epoch, %, against learning rate. Line: mean over '
        f'n{words.SPACE}={words.SPACE}{words.count(seeds, "tuning seed")}. Dots: one tuning seed '
        f'each. Diamond: selected learning rate.{scale}'
    )


def _extension(axes: Axes, tuning: Tuning) -> None:
    """Shade the range by which the grid was extended."""
    planned = [rate for rate in tuning.means if rate not in tuning.added]
    low, high = axes.get_xlim()
    for start, end in ((low, min(planned) / 1.25), (max(planned) * 1.25, high)):
        if any(start < rate < end for rate in tuning.added):
            axes.axvspan(start, end, color=plots.SHADE, linewidth=0)


def _panel(axes: Axes, tuning: Tuning, floor: float) -> None:
    for rate, values in tuning.values.items():
        axes.plot([rate] * len(values), np.maximum(100 * (1 - np.array(values)), floor), **SEED)
    means = {rate: max(100 * (1 - mean), floor) for rate, mean in tuning.means.items()}
    axes.plot(list(means), list(means.values()), **MEAN)
    axes.axvline(tuning.chosen, color=plots.VERMILION, linewidth=1, linestyle=':')
    axes.plot(tuning.chosen, means[tuning.chosen], **CHOSEN)
    _label(axes, tuning.chosen)


def _label(axes: Axes, rate: float) -> None:
    """Write the selected rate at the foot of its line, on the side with more room."""
    left, right = np.log(axes.get_xlim())
    side = 1 if np.log(rate) < (left + right) / 2 else -1
    axes.annotate(
        f'{rate:g}',
        (rate, 0.04),
        xycoords=axes.get_xaxis_transform(),
        xytext=(4 * side, 0),
        textcoords='offset points',
        ha='left' if side > 0 else 'right',
        bbox=dict(facecolor='white', alpha=0.75, linewidth=0, pad=1),
    )


def _legend(figure: Figure, width: float, extended: bool) -> None:
    handles = [
        Line2D([], [], label='mean', **MEAN),
        Line2D([], [], label='one tuning seed', **SEED),
    ]
    handles += [Line2D([], [], label='selected', **CHOSEN)]
    plots.legend(
        figure,
        handles + ([Patch(color=plots.SHADE, label='extended grid')] if extended else []),
        width,
    )
