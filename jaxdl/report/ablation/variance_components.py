"""Sources of variance between runs: initial weights, data order, noise and data split."""

import math
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxdl.errors import InputError
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, plots, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.report.page.scale import Scale
from jaxdl.statistics import variance
from jaxdl.statistics.variance import Component
from jaxdl.workdir import tables
from jaxdl.workdir.tables import Row

FACTORS = dict(init='initial weights', order='data order', augmentation='noise', split='data split')


def blocks(study: AblationRun, condition: str, figure: str) -> list[Block]:
    """Share of each source as a table and a figure named `figure`; empty without variance.csv.

    Raises:
      InputError: variance.csv is damaged, or its runs are not balanced.
    """
    path = study.artifacts / 'variance.csv'
    runs = _runs(path, condition, study.metric.name) if path.exists() else []
    if not runs:
        return []
    values, unit = np.array([run[study.metric.name] for run in runs]), study.scale
    levels = {name: [run[factor] for run in runs] for factor, name in FACTORS.items()}
    try:
        components = variance.variance_components(values, levels)
    except InputError as error:
        raise InputError(f'{path.parent.name}/{path.name}: {error}') from None
    caption = (
        f'Shares of the variance of test {unit.name} between runs of {markup.name(study.baseline)}'
    )
    deviation = unit.difference_head('Standard deviation')
    return [
        Paragraph(_answer(components, unit)),
        Table(
            f'{caption}, {words.count(len(runs), "run")}',
            ('Source', 'Share of the variance', deviation, 'p (F test)'),
            [_row(component, unit) for component in components],
            'lrrr',
        ),
        _figure(figure, components, values, levels, unit),
        Paragraph(_note(len(runs), len(set(levels['data split']))), 'note'),
    ]


def _runs(path: pathlib.Path, condition: str, metric: str) -> list[Row]:
    columns = tables.variance_columns(metric)
    runs = [run for run in tables.read_table(path, columns) if run['condition'] == condition]
    if any(run[column] is None for run in runs for column in columns):
        raise InputError(f'{path} is damaged (an empty number): run the experiment again')
    return runs


def _answer(components: Sequence[Component], unit: Scale) -> str:
    *sources, residual = components
    if not any(component.variance for component in components):
        return f'All runs have the same test {unit.name}: there is no variance.'
    largest = max(sources, key=lambda each: each.share)
    if not largest.variance:
        return 'No single source has a variance above the residual.'
    deviation = unit.size(math.sqrt(sum(each.variance for each in components)))
    return (
        f'Largest single source of variance: {largest.source} ({_percent(largest.share)}). '
        f'Residual: {_percent(residual.share)}. Runs that share only the configuration have a '
        f'standard deviation of {unit.in_points(deviation)}.'
    )


def _row(component: Component, unit: Scale) -> list[str]:
    p = words.DASH if component.p_value is None else words.p_value(component.p_value)
    return [
        _source(component),
        _percent(component.share),
        unit.size(math.sqrt(component.variance)),
        p,
    ]


def _source(component: Component) -> str:
    return 'residual' if component.source == 'rest' else component.source


def _percent(share: float) -> str:
    return f'{100 * share:.0f}{words.SPACE}%'


def _note(runs: int, levels: int) -> str:
    return (
        f'{words.count(levels, "level")} of each source in {runs} runs: an orthogonal array, in '
        'which any two levels of two sources meet once. Random-effects analysis of variance; '
        'negative components count as 0. Noise: augmentation and dropout. Residual: interactions '
        f'of sources. Shares from {words.count(levels, "level")} are rough; the F test asks '
        'whether a component differs from 0.'
    )


def _figure(
    name: str,
    components: Sequence[Component],
    measured: np.ndarray,
    levels: Mapping[str, Sequence[int]],
    unit: Scale,
) -> FigureBlock:
    def plot(width: float) -> Figure:
        wide = width == plots.WIDE
        drawn = Figure(figsize=(width, 3.4 if wide else 6.2), layout='constrained')
        shares, runs = drawn.subplots(*((1, 2) if wide else (2, 1)))
        _shares(shares, components)
        _dots(runs, unit.drawn(measured), levels, unit)
        return drawn

    values = '; '.join(
        f'{_source(component)} {100 * component.share:.0f} %' for component in components
    )
    caption = (
        'Left (above on a phone): share of each source in the variance, %. Right: test '
        f'{unit.drawn_label}{"," if unit.percent else ""} '
        f'of {words.sample(len(measured), "run")} (dots), grouped by the levels of each source; '
        'bars are means of levels. A larger spread of the bars means a larger share.'
    )
    return FigureBlock(
        name, plots.draw(plot), f'Share of the variance of test {unit.name}: {values}.', caption
    )


def _shares(axes: Axes, components: Sequence[Component]) -> None:
    shares = [100 * component.share for component in components]
    colours = [plots.BLUE] * (len(components) - 1) + [plots.GREY]
    axes.barh(range(len(components)), shares, height=0.6, color=colours)
    for y, share in enumerate(shares):
        axes.text(share, y, f' {share:.0f} %', va='center')
    axes.set_yticks(range(len(components)), [plots.wrap(_source(each), 14) for each in components])
    axes.set_ylim(len(components) - 0.5, -0.5)
    axes.set_xlim(0, max(shares) * 1.2 or 1)
    axes.set_xlabel('share of the variance, %')
    _bare(axes)


def _dots(axes: Axes, drawn: np.ndarray, levels: Mapping[str, Sequence[int]], unit: Scale) -> None:
    for y, level in enumerate(levels.values()):
        codes = np.unique(level, return_inverse=True)[1]
        places = y + 0.32 * np.linspace(-1, 1, codes.max() + 1)
        axes.plot(drawn, places[codes], '.', color=plots.GREY, alpha=0.6, markersize=4)
        means = [drawn[codes == code].mean() for code in range(codes.max() + 1)]
        axes.plot(means, places, '|', color=plots.BLUE, markersize=9, markeredgewidth=2.2)
    axes.set_yticks(range(len(levels)), [plots.wrap(source, 14) for source in levels])
    axes.set_ylim(len(levels) - 0.5, -0.5)
    axes.set_xlabel(f'test {unit.drawn_label} ({words.sample(len(drawn), "run")})')
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.grid(axis='y', visible=False)
    axes.tick_params(axis='y', length=0)
