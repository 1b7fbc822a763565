"""The figure of the result: paired differences to the baseline with their intervals.

One row an option.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jaxdl.report.ablation import verdicts
from jaxdl.report.page import markup, plots, words
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.workdir.tables import Row


def figure(
    name: str, compared: Sequence[Row], per_seed: Mapping[str, Sequence[float]]
) -> FigureBlock:
    """The rows of the summary that compare, with the difference on every seed.

    Drawn in percentage points.
    """
    extents = [_extent(row, per_seed[row['option']]) for row in compared]
    uneven = max(extents) > 10 * float(np.median(extents))

    def plot(width: float) -> Figure:
        drawn = Figure(figsize=(width, 0.62 * len(compared) + 1.15), layout='constrained')
        axes = drawn.subplots()
        for y, row in enumerate(compared):
            _difference(axes, y, row, per_seed[row['option']], numbers=width == plots.WIDE)
        if uneven:
            _scale(axes, extents)
        axes.axvline(0, color=plots.INK, linewidth=1)
        axes.grid(axis='y', visible=False)
        letters = 26 if width == plots.WIDE else 12
        axes.set_yticks(
            range(len(compared)), [plots.wrapped(row['option'], letters) for row in compared]
        )
        axes.set_ylim(len(compared) - 0.45, -0.55)
        axes.tick_params(axis='y', length=0)
        axes.set_xlabel('difference in test accuracy, percentage points')
        _legend(drawn, width)
        return drawn

    return FigureBlock(
        name, plots.draw(plot), _said(compared), _caption(compared[0]['baseline'], uneven)
    )


def _said(compared: Sequence[Row]) -> str:
    baseline, seeds = (
        markup.flat(compared[0]['baseline']),
        words.count(compared[0]['seeds'], 'seed'),
    )
    rows = (f'{markup.flat(row["option"])} {_numbers(row)}, {row["verdict"]}' for row in compared)
    return (
        f'Difference in test accuracy to the baseline {baseline} in percentage points, with 95 % intervals, over '
        f'{seeds}: {"; ".join(rows)}.'
    )


def _caption(baseline: str, uneven: bool) -> str:
    scale = (
        ' The axis is linear about 0 and logarithmic beyond, as some lie far from the others.'
        if uneven
        else ''
    )
    return (
        f'Difference in test accuracy to {markup.name(baseline)}, which is the line at 0. Diamond and bar: mean '
        'difference and its 95 % interval. Dots: one seed each. Grey: differences that this number of seeds would '
        f'have missed more often than one time in five.{scale}'
    )


def _numbers(row: Row) -> str:
    return f'{words.points(row["difference"])} ({verdicts.interval(row)})'


def _extent(row: Row, per_seed: Sequence[float]) -> float:
    """How far from 0 a row reaches, in percentage points."""
    reach = (row['difference_low'], row['difference_high'], row['detectable'], *per_seed)
    return 100 * max(abs(value) for value in reach)


def _scale(axes: Axes, extents: Sequence[float]) -> None:
    """Linear where most rows lie, logarithmic beyond.

    So that one row far off leaves the others legible.
    """
    most = float(np.median(extents)) or 1.0
    linear = next(step for step in plots.STEPS if step >= most)
    far = [10.0**power for power in range(-4, 3) if linear < 10.0**power <= 1.2 * max(extents)]
    beside = [linear / 2, linear, *far]
    axes.set_xscale('symlog', linthresh=linear, linscale=2)
    axes.xaxis.set_major_locator(ticker.FixedLocator([*(-tick for tick in beside), 0, *beside]))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.xaxis.set_major_formatter(lambda tick, _: f'{tick:g}'.replace('-', words.MINUS))


def _difference(axes: Axes, y: int, row: Row, per_seed: Sequence[float], numbers: bool) -> None:
    mean, low, high = (
        100 * row[key] for key in ('difference', 'difference_low', 'difference_high')
    )
    missed = 100 * row['detectable']
    axes.barh(y, 2 * missed, left=-missed, height=0.84, color=plots.SHADE, zorder=1)
    seeds = (
        y + 0.2 + 0.13 * np.linspace(-1, 1, len(per_seed))
    )  # spread, so that equal differences stay apart
    axes.plot(
        100 * np.array(per_seed), seeds, '.', color=plots.GREY, alpha=0.6, markersize=5, zorder=2
    )
    axes.plot(
        [low, high],
        [y - 0.12] * 2,
        color=plots.BLUE,
        linewidth=2.4,
        solid_capstyle='butt',
        zorder=3,
    )
    axes.plot(mean, y - 0.12, 'D', color=plots.BLUE, markersize=7, zorder=4)
    if numbers:
        text = f'{_numbers(row)}\n{row["verdict"]}'
        axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va='center')


def _legend(figure: Figure, width: float) -> None:
    handles = [
        Line2D([], [], color=plots.BLUE, marker='D', linewidth=2.4, label='mean, 95 % interval'),
        Line2D([], [], color=plots.GREY, marker='.', linestyle='', label='one seed'),
        Patch(color=plots.SHADE, label='too small to detect'),
    ]
    plots.legend(figure, handles, width)
