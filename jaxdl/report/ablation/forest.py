"""Forest plot of the result: paired differences from the baseline with their intervals."""

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
    """Draw the differences from the baseline, in percentage points.

    Args:
      name: file name of the figure.
      compared: rows of the summary, without the baseline.
      per_seed: option -> difference in accuracy of each seed.

    Returns:
      The figure with its caption and text alternative.
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
            range(len(compared)), [plots.wrap(row['option'], letters) for row in compared]
        )
        axes.set_ylim(len(compared) - 0.45, -0.55)
        axes.tick_params(axis='y', length=0)
        axes.set_xlabel('difference in test accuracy, percentage points')
        _legend(drawn, width)
        return drawn

    return FigureBlock(name, plots.draw(plot), _alt(compared), _caption(compared[0], uneven))


def _alt(compared: Sequence[Row]) -> str:
    baseline, seeds = (
        markup.flat(compared[0]['baseline']),
        words.count(compared[0]['seeds'], 'seed'),
    )
    rows = (
        f'{markup.flat(row["option"])} {_numbers(row)}, {verdicts.combined(row)}'
        for row in compared
    )
    return (
        f'Difference in test accuracy from the baseline {baseline} in percentage points, with 95 % '
        f'intervals, over {seeds}: {"; ".join(rows)}.'
    )


def _caption(row: Row, uneven: bool) -> str:
    scale = ' The axis is linear near 0 and logarithmic beyond.' if uneven else ''
    return (
        f'Difference in test accuracy from {markup.name(row["baseline"])} (line at 0), percentage '
        f'points, n{words.SPACE}={words.SPACE}{words.count(row["seeds"], "seed")}, '
        f'{words.count(row["images"], "test image")}. Diamond and '
        f'thick bar: mean and 95{words.SPACE}% interval over seeds. Thin bar: 95{words.SPACE}% '
        'interval over seeds and images. Dots: one seed each. Grey: differences below the minimum '
        f"detectable difference (80{words.SPACE}% power, first step of Holm's correction).{scale}"
    )


def _numbers(row: Row) -> str:
    return f'{words.points(row["difference"])} ({verdicts.interval(row)})'


def _extent(row: Row, per_seed: Sequence[float]) -> float:
    """Largest absolute value of a row, in percentage points."""
    reach = (
        *(row[name] for name in ('difference_low', 'difference_high')),
        *(row[name] for name in ('difference_low_images', 'difference_high_images')),
        row['corrected_detectable'],
        *per_seed,
    )
    return 100 * max(abs(value) for value in reach)


def _scale(axes: Axes, extents: Sequence[float]) -> None:
    """Scale x linearly near 0 and logarithmically beyond, so that one outlier hides no row."""
    most = float(np.median(extents)) or 1.0
    linear = next(step for step in plots.STEPS if step >= most)
    far = [10.0**power for power in range(-4, 3) if linear < 10.0**power <= 1.2 * max(extents)]
    ticks = [linear / 2, linear, *far]
    axes.set_xscale('symlog', linthresh=linear, linscale=2)
    axes.xaxis.set_major_locator(ticker.FixedLocator([*(-tick for tick in ticks), 0, *ticks]))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.xaxis.set_major_formatter(lambda tick, _: f'{tick:g}'.replace('-', words.MINUS))


def _difference(axes: Axes, y: int, row: Row, per_seed: Sequence[float], numbers: bool) -> None:
    mean, low, high = (
        100 * row[key] for key in ('difference', 'difference_low', 'difference_high')
    )
    detectable = 100 * row['corrected_detectable']
    axes.barh(y, 2 * detectable, left=-detectable, height=0.84, color=plots.SHADE, zorder=1)
    seeds = (
        y + 0.2 + 0.13 * np.linspace(-1, 1, len(per_seed))
    )  # spread, so that equal differences stay apart
    axes.plot(
        100 * np.array(per_seed), seeds, '.', color=plots.GREY, alpha=0.6, markersize=5, zorder=2
    )
    outer = [100 * row[f'difference_{end}_images'] for end in ('low', 'high')]
    axes.plot(outer, [y - 0.12] * 2, color=plots.BLUE, linewidth=1, zorder=3)
    axes.plot(
        [low, high],
        [y - 0.12] * 2,
        color=plots.BLUE,
        linewidth=3.6,
        solid_capstyle='butt',
        zorder=3,
    )
    axes.plot(mean, y - 0.12, 'D', color=plots.BLUE, markersize=7, zorder=4)
    if numbers:
        text = f'{_numbers(row)}\n{verdicts.combined(row)}'
        axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va='center')


def _legend(figure: Figure, width: float) -> None:
    handles = [
        Line2D([], [], color=plots.BLUE, marker='D', linewidth=3.6, label='mean, over seeds'),
        Line2D([], [], color=plots.BLUE, linewidth=1, label='over seeds and images'),
        Line2D([], [], color=plots.GREY, marker='.', linestyle='', label='one seed'),
        Patch(color=plots.SHADE, label='below minimum detectable difference'),
    ]
    plots.legend(figure, handles, width)
