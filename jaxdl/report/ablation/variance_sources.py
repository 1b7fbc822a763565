"""Where the variance of one run comes from: initial weights, order of the data, noise and split.

Crossed.
"""

import math
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxdl.errors import InputError
from jaxdl.report.ablation.study import Study
from jaxdl.report.page import markup, plots, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.statistics import variance
from jaxdl.statistics.variance import Component
from jaxdl.workdir import tables
from jaxdl.workdir.tables import Row

FACTORS = dict(
    init='initial weights', order='order of the data', augmentation='noise', split='data split'
)
HEADS = ('Source', 'Share of the variance', 'Standard deviation, percentage points', 'p (F test)')


def blocks(study: Study, condition: str, figure: str) -> list[Block]:
    """The share of each source as a table and a figure named `figure`.

    Nothing where artifacts/ has no variance.csv.

    Raises:
      InputError: variance.csv is damaged, or its runs are not balanced.
    """
    path = study.artifacts / 'variance.csv'
    runs = _runs(path, condition) if path.exists() else []
    if not runs:
        return []
    accuracies = np.array([run['accuracy'] for run in runs])
    levels = {name: [run[factor] for run in runs] for factor, name in FACTORS.items()}
    try:
        found = variance.variance_components(accuracies, levels)
    except InputError as error:
        raise InputError(f'{path.parent.name}/{path.name}: {error}') from None
    caption = (
        f'Shares of the variance of test accuracy from run to run: {markup.name(study.baseline)}'
    )
    return [
        Paragraph(_answer(found)),
        Table(
            f'{caption}, {words.count(len(runs), "run")}',
            HEADS,
            [_row(each) for each in found],
            'lrrr',
        ),
        _figure(figure, found, accuracies, levels),
        Paragraph(_how_to_read(len(runs), len(set(levels['data split']))), 'note'),
    ]


def _runs(path: pathlib.Path, condition: str) -> list[Row]:
    runs = [
        run for run in tables.read_table(path, tables.VARIANCE) if run['condition'] == condition
    ]
    if any(run[column] is None for run in runs for column in tables.VARIANCE):
        raise InputError(f'{path} is damaged (an empty number): run the experiment again')
    return runs


def _answer(found: Sequence[Component]) -> str:
    *sources, rest = found
    if not any(each.variance for each in found):
        return 'Every run came out the same: there is no variance to share out.'
    largest = max(sources, key=lambda each: each.share)
    if not largest.variance:
        return 'No single source stands out from the rest.'
    deviation = words.number(math.sqrt(sum(each.variance for each in found)))
    return (
        f'The largest single source of variance is the {largest.source}, with {_percent(largest.share)}; '
        f'{_percent(rest.share)} are the rest. Runs with nothing in common but the configuration scatter with a '
        f'standard deviation of {deviation} percentage points.'
    )


def _row(each: Component) -> list[str]:
    p = words.DASH if each.p_value is None else words.p_value(each.p_value)
    return [each.source, _percent(each.share), words.number(math.sqrt(each.variance)), p]


def _percent(share: float) -> str:
    return f'{100 * share:.0f}{words.SPACE}%'


def _how_to_read(runs: int, levels: int) -> str:
    return (
        f'{words.count(levels, "level")} of each source, crossed in {runs} runs so that every two levels of any two '
        'sources meet once (an orthogonal array); random-effects analysis of variance, a negative component counting '
        'as 0. Noise is that of augmentation and dropout. The rest is what sources do only together. A share from '
        f'{words.count(levels, "level")} is rough: the F test says whether it is there at all.'
    )


def _figure(
    name: str,
    found: Sequence[Component],
    accuracies: np.ndarray,
    levels: Mapping[str, Sequence[int]],
) -> FigureBlock:
    def plot(width: float) -> Figure:
        wide = width == plots.WIDE
        drawn = Figure(figsize=(width, 3.4 if wide else 6.2), layout='constrained')
        shares, runs = drawn.subplots(*((1, 2) if wide else (2, 1)))
        _shares(shares, found)
        _dots(runs, accuracies, levels)
        return drawn

    said = '; '.join(f'{each.source} {100 * each.share:.0f} %' for each in found)
    caption = (
        'Left (above on a phone): the share of each source in the variance. Right: every run as a dot, once for each '
        'source, a row of dots for each of its levels; bars mark the mean of a level. The further apart the bars, the '
        'larger the share.'
    )
    return FigureBlock(
        name, plots.draw(plot), f'Share of the variance of test accuracy: {said}.', caption
    )


def _shares(axes: Axes, found: Sequence[Component]) -> None:
    shares = [100 * each.share for each in found]
    colours = [plots.BLUE] * (len(found) - 1) + [plots.GREY]
    axes.barh(range(len(found)), shares, height=0.6, color=colours)
    for y, share in enumerate(shares):
        axes.text(share, y, f' {share:.0f} %', va='center')
    axes.set_yticks(range(len(found)), [plots.wrapped(each.source, 14) for each in found])
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_xlim(0, max(shares) * 1.2 or 1)
    axes.set_xlabel('share of the variance, %')
    _bare(axes)


def _dots(axes: Axes, accuracies: np.ndarray, levels: Mapping[str, Sequence[int]]) -> None:
    for y, level in enumerate(levels.values()):
        codes = np.unique(level, return_inverse=True)[1]
        places = y + 0.32 * np.linspace(-1, 1, codes.max() + 1)
        axes.plot(100 * accuracies, places[codes], '.', color=plots.GREY, alpha=0.6, markersize=4)
        means = [100 * accuracies[codes == code].mean() for code in range(codes.max() + 1)]
        axes.plot(means, places, '|', color=plots.BLUE, markersize=9, markeredgewidth=2.2)
    axes.set_yticks(range(len(levels)), [plots.wrapped(source, 14) for source in levels])
    axes.set_ylim(len(levels) - 0.5, -0.5)
    axes.set_xlabel('test accuracy, %')
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.grid(axis='y', visible=False)
    axes.tick_params(axis='y', length=0)
