"""Forest plot of the result: paired differences from the baseline with their intervals."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jaxdl.report.ablation import verdicts
from jaxdl.report.page import markup, palette, plots, scale, words
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.workdir.tables import Row


def figure(
    name: str,
    compared: Sequence[Row],
    per_seed: Mapping[str, Sequence[float]],
    options: Sequence[str],
) -> FigureBlock:
    """Draw the differences from the baseline.

    Args:
      name: file name of the figure.
      compared: rows of the summary, without the baseline; the largest improvement is on top.
      per_seed: option -> difference of each seed.
      options: all options of the study, for their colours.

    Returns:
      The figure with its caption and text alternative.
    """
    compared = sorted(compared, key=lambda row: -row['improvement'])
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
        axes.set_xlabel(_label(compared, wide))
        _legend(drawn, width, images=compared[0]['corrected_images'] is not None)
        return drawn

    return FigureBlock(name, plots.draw(plot), _alt(compared), _caption(compared, uneven))


def _alt(compared: Sequence[Row]) -> str:
    baseline = markup.flat(compared[0]['baseline'])
    seeds = words.counts(verdicts.seeds(compared), 'seed')
    rows = []
    for row in compared:
        text = f'{markup.flat(row["option"])} {_numbers(row)}, {_verdict(row)}'
        if row['corrected_images'] is not None:
            text += (
                f'; over seeds and images ({verdicts.interval_of_verdict(row, "_images")}), '
                f'new images: {row["verdict_images"]}'
            )
        rows.append(text)
    unit = scale.of(compared[0])
    return (
        f'Difference in {unit.compared} from the baseline {baseline}{unit.in_unit}, with '
        f'corrected intervals over {seeds}. {". ".join(rows)}.'
    )


def _label(compared: Sequence[Row], wide: bool) -> str:
    """Label of the horizontal axis, in two lines on a phone."""
    unit = scale.of(compared[0])
    label = unit.difference_head(f'difference in {unit.compared}')
    return f'{label}{" " if wide else chr(10)}({_sizes(compared)})'


def _sizes(compared: Sequence[Row]) -> str:
    images = compared[0].get('images')
    tested = f', {words.count(images, "test image")}' if images else ''
    return f'{words.samples(verdicts.seeds(compared), "seed")}{tested}'


def _caption(compared: Sequence[Row], uneven: bool) -> str:
    row, unpaired = compared[0], [row for row in compared if not row['paired']]
    axis = ' The axis is linear near 0 and logarithmic beyond.' if uneven else ''
    unit, images = scale.of(row), row['corrected_images'] is not None
    points = f', {scale.POINTS}' if unit.percent else ''
    bars = ' Thin bar: interval over seeds and images. Both are' if images else ' The interval is a'
    dots = f'; of unpaired seeds {words.MINUS} the mean of the baseline' if unpaired else ''
    kind = f'95{words.SPACE}% interval{"s" if images else ""} corrected'
    return (
        f'Difference in {unit.compared} from {markup.name(row["baseline"])} (line at 0){points}, '
        f'{_sizes(compared)}. Diamond and thick bar: mean and interval over seeds.{bars} {kind} '
        'for the number of comparisons (Holm): an interval excludes 0 exactly if the verdict is '
        f'better or worse. Dots: one seed each{dots}. Grey: '
        'differences below the minimum '
        f"detectable difference (80{words.SPACE}% power, first step of Holm's correction).{axis}"
    )


def _numbers(row: Row) -> str:
    difference = scale.of(row).points(row['difference'])
    return f'{difference} ({verdicts.interval_of_verdict(row)})'


def _verdict(row: Row) -> str:
    """The verdict over seeds, apart from that for new images where there is one."""
    these = 'these images: ' if row['corrected_images'] is not None else ''
    return f'{these}{row["verdict"]}'


def _extent(row: Row, per_seed: Sequence[float]) -> float:
    """Largest absolute value of a row, in the unit of the figure."""
    reach = (
        *verdicts.corrected_ends(row),
        *verdicts.corrected_ends(row, '_images'),
        row['corrected_detectable'],
        *per_seed,
    )
    return scale.of(row).factor * max(abs(value) for value in reach if value is not None)


def _scale(axes: Axes, extents: Sequence[float]) -> None:
    """Scale x linearly near 0 and logarithmically beyond: an outlier does not compress the rows."""
    most = float(np.median(extents)) or 1.0
    power = int(np.floor(np.log10(most)))
    linear = next(step for step in np.array([1, 2, 5, 10]) * 10.0**power if step >= most)
    powers = range(power, int(np.ceil(np.log10(max(extents)))) + 1)
    far = [10.0**power for power in powers if linear < 10.0**power <= 1.2 * max(extents)]
    ticks = [linear / 2, linear, *far]
    axes.set_xscale('symlog', linthresh=linear, linscale=2)
    axes.xaxis.set_major_locator(ticker.FixedLocator([*(-tick for tick in ticks), 0, *ticks]))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.xaxis.set_major_formatter(lambda tick, _: f'{tick:g}'.replace('-', words.MINUS))


def _difference(axes: Axes, y: int, row: Row, per_seed: Sequence[float], colour: str) -> None:
    factor = scale.of(row).factor
    low, high = (factor * end for end in verdicts.corrected_ends(row) if end is not None)
    mean, detectable = factor * row['difference'], factor * row['corrected_detectable']
    axes.barh(y, 2 * detectable, left=-detectable, height=0.84, color=plots.SHADE, zorder=1)
    seeds = (
        y + 0.2 + 0.13 * np.linspace(-1, 1, len(per_seed))
    )  # spread, so that equal differences stay apart
    axes.plot(
        factor * np.array(per_seed), seeds, '.', color=plots.GREY, alpha=0.6, markersize=5, zorder=2
    )
    outer = [factor * end for end in verdicts.corrected_ends(row, '_images') if end is not None]
    places = [y - 0.12] * 2
    line: plots.Line = dict(color=colour, solid_capstyle='butt', zorder=3)
    if outer:
        axes.plot(outer, places, linewidth=1.2, **line)
    axes.plot([low, high], places, linewidth=4, **line)
    axes.plot(mean, y - 0.12, 'D', color=colour, markersize=7, zorder=4)


def _write_numbers(axes: Axes, y: int, row: Row) -> None:
    """Write both intervals and both verdicts next to a row."""
    intervals, both_verdicts = _numbers(row), _verdict(row)
    if row['corrected_images'] is not None:
        intervals += f'\n({verdicts.interval_of_verdict(row, "_images")})'
        both_verdicts += f'\nnew images: {row["verdict_images"]}'
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


def _legend(figure: Figure, width: float, images: bool) -> None:
    below = ('below minimum', 'detectable', 'difference')
    handles = [
        Line2D([], [], color=plots.INK, marker='D', linewidth=4, label='mean, over seeds'),
        *(
            [Line2D([], [], color=plots.INK, linewidth=1.2, label='over seeds and images')]
            if images
            else []
        ),
        Line2D([], [], color=plots.GREY, marker='.', linestyle='', label='one seed'),
        Patch(color=plots.SHADE, label=(' ' if width == plots.WIDE else '\n').join(below)),
    ]
    plots.legend(figure, handles, width)
