"""The figure of tuning: validation accuracy against learning rate, one panel an option.

The chosen rate marked.
"""

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
    """Draws the tuning of every option; `images`: how many the validation split has."""
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
            _grown(axes, tuning)
            _panel(axes, tuning, floor)
        _legend(drawn, width, grown=any(tuning.added for tuning in tunings.values()))
        return drawn

    said, caption = _said(tunings), _caption(logarithmic=floor > 0)
    return FigureBlock(name, plots.draw(plot), said, caption, _chart(tunings, floor))


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
    return Chart('learning rate', [axis], curves, spread, marked='chosen', logarithmic=True)


def _said(tunings: Mapping[str, Tuning]) -> str:
    options = []
    for option, tuning in tunings.items():
        means = ', '.join(f'{100 * mean:.2f} at {rate:g}' for rate, mean in tuning.means.items())
        options.append(f'{markup.flat(option)}: {means}, chosen {tuning.chosen:g}')
    return f'Mean validation accuracy in % by learning rate. {"; ".join(options)}.'


def _caption(logarithmic: bool) -> str:
    scale = (
        f' The vertical axis is spaced by the logarithm of the error (100 {words.MINUS} accuracy).'
        if logarithmic
        else ''
    )
    return (
        'Validation accuracy at the last epoch against the learning rate. Line: mean over the tuning seeds. '
        f'In the panels, dots: one tuning seed each; diamond: the chosen rate.{scale}'
    )


def _grown(axes: Axes, tuning: Tuning) -> None:
    """Shades where the grid was added to."""
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
    _beside(axes, tuning.chosen)


def _beside(axes: Axes, rate: float) -> None:
    """Writes the chosen rate at the foot of its line, on the side where there is more room."""
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


def _legend(figure: Figure, width: float, grown: bool) -> None:
    handles = [
        Line2D([], [], label='mean', **MEAN),
        Line2D([], [], label='one tuning seed', **SEED),
    ]
    handles += [Line2D([], [], label='chosen', **CHOSEN)]
    plots.legend(
        figure, handles + ([Patch(color=plots.SHADE, label='grown grid')] if grown else []), width
    )
