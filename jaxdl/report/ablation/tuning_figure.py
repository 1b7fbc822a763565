"""Tuning figure: validation error or metric against learning rate, one panel per option."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jaxdl.report.ablation.queries import Tuning
from jaxdl.report.page import markup, palette, plots, words
from jaxdl.report.page.blocks import Chart, Curve
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.report.page.scale import DEFAULT, Scale

MEAN: plots.Line = dict(marker='o', markersize=3.5)
SEED: plots.Line = dict(color=plots.GREY, marker='.', markersize=5, linestyle='', alpha=0.6)
CHOSEN: plots.Line = dict(marker='D', markersize=7, linestyle='', mec=plots.INK, mew=1.3)


def figure(
    name: str, tunings: Mapping[str, Tuning], images: int, unit: Scale = DEFAULT
) -> FigureBlock:
    """Draw the tuning of every option; `images` is the size of the validation split."""
    rates = [rate for tuning in tunings.values() for rate in tuning.values]
    values = [
        value for tuning in tunings.values() for each in tuning.values.values() for value in each
    ]
    drawn_values = unit.drawn(np.array(values))
    floor = plots.floor(drawn_values, images) if unit.percent else 0.0
    colours = palette.colours(tunings)
    n = words.sample(_seeds(tunings), 'tuning seed')

    def plot(width: float) -> Figure:
        y = f'validation {unit.drawn_label} ({n})'
        drawn, grid = plots.panels(list(tunings), width, 'learning rate', y)
        plots.metric_axis(grid[0], drawn_values, floor, unit.percent)
        plots.rate_axis(grid[0], rates)
        for axes, (option, tuning) in zip(grid, tunings.items(), strict=True):
            _extension(axes, tuning)
            _panel(axes, tuning, floor, colours[option], unit)
        _legend(drawn, width, extended=any(tuning.added for tuning in tunings.values()))
        return drawn

    alt, caption = _alt(tunings, unit), _caption(n, floor > 0, unit)
    return FigureBlock(name, plots.draw(plot), alt, caption, _chart(tunings, floor, n, unit))


def _seeds(tunings: Mapping[str, Tuning]) -> int:
    return max(len(values) for tuning in tunings.values() for values in tuning.values.values())


def _chart(tunings: Mapping[str, Tuning], floor: float, n: str, unit: Scale) -> Chart:
    axis = unit.axis(floor, 'validation')
    curves = []
    for option, tuning in tunings.items():
        tried = sorted(tuning.values)
        spans = [unit.drawn(np.array(tuning.values[rate])) for rate in tried]
        mean = [float(unit.drawn(tuning.means[rate])) for rate in tried]
        low, high = ([float(end(span)) for span in spans] for end in (np.min, np.max))
        curves.append(Curve(option, 'mean', tried, mean, low, high, mark=tuning.chosen))
    spread = 'range over the tuning seeds'
    return Chart('learning rate', [axis], curves, spread, 'selected', logarithmic=True, n=n)


def _alt(tunings: Mapping[str, Tuning], unit: Scale) -> str:
    options = []
    for option, tuning in tunings.items():
        means = ', '.join(
            f'{unit.drawn_number(mean)} at {rate:g}' for rate, mean in tuning.means.items()
        )
        options.append(f'{markup.flat(option)}: {means}, selected {tuning.chosen:g}')
    per_cent = ' in %' if unit.percent else ''
    return f'Mean validation {unit.drawn_name}{per_cent} by learning rate. {"; ".join(options)}.'


def _caption(n: str, logarithmic: bool, unit: Scale) -> str:
    axis = ' The vertical axis is logarithmic.' if logarithmic else ''
    per_cent = ', %,' if unit.percent else ''
    return (
        f'Validation {unit.drawn_name} at the last epoch{per_cent} against learning rate. '
        f'Line: mean over {n}. Dots: one tuning seed each. Diamond: selected learning rate.{axis}'
    )


def _extension(axes: Axes, tuning: Tuning) -> None:
    """Shade the range by which the grid was extended."""
    planned = [rate for rate in tuning.means if rate not in tuning.added]
    low, high = axes.get_xlim()
    for start, end in ((low, min(planned) / 1.25), (max(planned) * 1.25, high)):
        if any(start < rate < end for rate in tuning.added):
            axes.axvspan(start, end, color=plots.SHADE, linewidth=0)


def _panel(axes: Axes, tuning: Tuning, floor: float, colour: str, unit: Scale) -> None:
    def place(values: Any) -> np.ndarray:
        drawn = unit.drawn(np.array(values))
        return np.maximum(drawn, floor) if floor else drawn

    for rate, values in tuning.values.items():
        axes.plot([rate] * len(values), place(values), **SEED)
    means = {rate: float(place(mean)) for rate, mean in tuning.means.items()}
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
