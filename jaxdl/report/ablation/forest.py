"""Forest plot of the result: paired differences from the baseline with their intervals."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jaxdl.report.ablation import verdicts
from jaxdl.report.page import markup, palette, plots, words
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.workdir.tables import Row


def figure(
    name: str,
    compared: Sequence[Row],
    per_seed: Mapping[str, Sequence[float]],
    options: Sequence[str],
) -> FigureBlock:
    """Draw the differences from the baseline, in percentage points.

    Args:
      name: file name of the figure.
      compared: rows of the summary, without the baseline; the largest difference is on top.
      per_seed: option -> difference in accuracy of each seed.
      options: all options of the study, for their colours.

    Returns:
      The figure with its caption and text alternative.
    """
    compared = sorted(compared, key=lambda row: -row['difference'])
    extents = [_extent(row, per_seed[row['option']]) for row in compared]
    uneven = max(extents) > 10 * float(np.median(extents))
    colours = palette.colours(options)

    def plot(width: float) -> Figure:
        wide = width == plots.WIDE
        drawn = Figure(figsize=(width, 0.62 * len(compared) + 1.15), layout='constrained')
        axes = drawn.subplots()
        for y, row in enumerate(compared):
            _difference(axes, y, row, per_seed[row['option']], colours[row['option']])
            if wide:
                _write_numbers(axes, y, row)
        if uneven:
            _scale(axes, extents)
        axes.axvline(0, color=plots.INK, linewidth=1)
        axes.grid(axis='y', visible=False)
        letters = 26 if wide else 12
        axes.set_yticks(
            range(len(compared)), [plots.wrap(row['option'], letters) for row in compared]
        )
        axes.set_ylim(len(compared) - 0.45, -0.55)
        axes.tick_params(axis='y', length=0)
        axes.set_xlabel(_label(compared[0], wide))
        _legend(drawn, width)
        return drawn

    return FigureBlock(name, plots.draw(plot), _alt(compared), _caption(compared[0], uneven))


def _alt(compared: Sequence[Row]) -> str:
    baseline, seeds = (
        markup.flat(compared[0]['baseline']),
        words.count(compared[0]['seeds'], 'seed'),
    )
    rows = (
        f'{markup.flat(row["option"])} {_numbers(row)}, these images: {row["verdict"]}; over seeds '
        f'and images ({verdicts.interval_of_verdict(row, "_images")}), '
        f'new images: {row["verdict_images"]}'
        for row in compared
    )
    return (
        f'Difference in test accuracy from the baseline {baseline} in percentage points, with '
        f'corrected intervals over {seeds}. {". ".join(rows)}.'
    )


def _label(row: Row, wide: bool) -> str:
    """Label of the horizontal axis, in two lines on a phone."""
    sizes = f'{words.sample(row["seeds"], "seed")}, {words.count(row["images"], "test image")}'
    return f'difference in test accuracy, percentage points{" " if wide else chr(10)}({sizes})'


def _caption(row: Row, uneven: bool) -> str:
    scale = ' The axis is linear near 0 and logarithmic beyond.' if uneven else ''
    return (
        f'Difference in test accuracy from {markup.name(row["baseline"])} (line at 0), percentage '
        f'points, {words.sample(row["seeds"], "seed")}, '
        f'{words.count(row["images"], "test image")}. Diamond and '
        f'thick bar: mean and interval over seeds. Thin bar: interval over seeds and images. Both '
        f'are 95{words.SPACE}% intervals corrected for the number of options (Holm): an interval '
        'excludes 0 exactly if the verdict is better or worse. Dots: one seed each. Grey: '
        'differences below the minimum '
        f"detectable difference (80{words.SPACE}% power, first step of Holm's correction).{scale}"
    )


def _numbers(row: Row) -> str:
    return f'{words.points(row["difference"])} ({verdicts.interval_of_verdict(row)})'


def _extent(row: Row, per_seed: Sequence[float]) -> float:
    """Largest absolute value of a row, in percentage points."""
    reach = (
        *verdicts.corrected_ends(row),
        *verdicts.corrected_ends(row, '_images'),
        row['corrected_detectable'],
        *per_seed,
    )
    return 100 * max(abs(value) for value in reach)


def _scale(axes: Axes, extents: Sequence[float]) -> None:
    """Scale x linearly near 0 and logarithmically beyond: an outlier does not compress the rows."""
    most = float(np.median(extents)) or 1.0
    linear = next(step for step in plots.STEPS if step >= most)
    far = [10.0**power for power in range(-4, 3) if linear < 10.0**power <= 1.2 * max(extents)]
    ticks = [linear / 2, linear, *far]
    axes.set_xscale('symlog', linthresh=linear, linscale=2)
    axes.xaxis.set_major_locator(ticker.FixedLocator([*(-tick for tick in ticks), 0, *ticks]))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.xaxis.set_major_formatter(lambda tick, _: f'{tick:g}'.replace('-', words.MINUS))


def _difference(axes: Axes, y: int, row: Row, per_seed: Sequence[float], colour: str) -> None:
    mean, low, high = (100 * end for end in (row['difference'], *verdicts.corrected_ends(row)))
    detectable = 100 * row['corrected_detectable']
    axes.barh(y, 2 * detectable, left=-detectable, height=0.84, color=plots.SHADE, zorder=1)
    seeds = (
        y + 0.2 + 0.13 * np.linspace(-1, 1, len(per_seed))
    )  # spread, so that equal differences stay apart
    axes.plot(
        100 * np.array(per_seed), seeds, '.', color=plots.GREY, alpha=0.6, markersize=5, zorder=2
    )
    outer = [100 * end for end in verdicts.corrected_ends(row, '_images')]
    places = [y - 0.12] * 2
    line: plots.Line = dict(color=colour, solid_capstyle='butt', zorder=3)
    axes.plot(outer, places, linewidth=1.2, **line)
    axes.plot([low, high], places, linewidth=4, **line)
    axes.plot(mean, y - 0.12, 'D', color=colour, markersize=7, zorder=4)


def _write_numbers(axes: Axes, y: int, row: Row) -> None:
    """Write both intervals and both verdicts next to a row."""
    intervals = f'{_numbers(row)}\n({verdicts.interval_of_verdict(row, "_images")})'
    both_verdicts = f'these images: {row["verdict"]}\nnew images: {row["verdict_images"]}'
    for text, points, side in ((intervals, 140, 'right'), (both_verdicts, 152, 'left')):
        axes.annotate(
            text,
            (1, y),
            xycoords=axes.get_yaxis_transform(),
            xytext=(points, 0),
            textcoords='offset points',
            ha=side,
            va='center',
            multialignment=side,
        )


def _legend(figure: Figure, width: float) -> None:
    below = ('below minimum', 'detectable', 'difference')
    handles = [
        Line2D([], [], color=plots.INK, marker='D', linewidth=4, label='mean, over seeds'),
        Line2D([], [], color=plots.INK, linewidth=1.2, label='over seeds and images'),
        Line2D([], [], color=plots.GREY, marker='.', linestyle='', label='one seed'),
        Patch(color=plots.SHADE, label=(' ' if width == plots.WIDE else '\n').join(below)),
    ]
    plots.legend(figure, handles, width)
