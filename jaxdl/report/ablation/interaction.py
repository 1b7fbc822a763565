"""Interaction of the options with a second factor, whose levels are the conditions."""

from collections.abc import Mapping

import numpy as np
from matplotlib import ticker
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxdl import statistics
from jaxdl.report.ablation import main_effects, queries
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import exports, markup, palette, plots, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.report.page.scale import Scale
from jaxdl.workdir import tables
from jaxdl.workdir.tables import Row

OPTION: plots.Line = dict(marker='D', markersize=5, linestyle='-', capsize=3)
REFERENCE: plots.Line = dict(marker='o', markersize=4, linestyle=':', capsize=3)

KEYS = ('mean', 'ci_high', 'ci_low')

Contrasts = dict[
    tuple[str, str], tuple[statistics.Comparison, float]
]  # (option, condition) -> comparison, p (Holm)
Intervals = dict[
    str, np.ndarray
]  # option -> mean and the two ends in the unit of the figure, [3, condition]


def blocks(study: AblationRun, figure: str) -> list[Block]:
    """Means, contrasts and a figure named `figure`; empty without a second factor."""
    interactions = contrasts(study) if has_second_factor(study) else {}
    if not interactions:
        return []
    first = study.conditions[0]
    n = words.count(
        min(len(queries.by_seed(study, c, study.baseline)) for c in study.conditions), 'seed'
    )
    factors = (
        f'{markup.name(study.config["factor"])} and {markup.name(study.config["second_factor"])}'
    )
    text = (
        f'Interaction: (option {words.MINUS} {markup.name(study.baseline)}) under the condition '
        f'{words.MINUS} (option {words.MINUS} {markup.name(study.baseline)}) under '
        f'{words.condition(first)}, on the same seed. 95{words.SPACE}% t intervals, n = {n}. Holm '
        f'over all {words.count(len(interactions), "contrast")}. Learning rates are tuned per '
        'option and condition.'
    )
    head = study.scale.difference_head('Interaction')
    return [
        Paragraph(_answer(interactions, study.scale)),
        _means(study),
        Table(
            f'Interaction of {factors}, relative to {words.condition(first)}',
            ('Option', 'Under', head, 'p', 'p (Holm)', 'Finding'),
            _rows(interactions, study.scale),
            'llrrrl',
        ),
        Paragraph(f'{text} All numbers: {markup.code("tables/interaction.csv")}.', 'note'),
        _figure(study, figure),
        *main_effects.blocks(study),
    ]


def has_second_factor(study: AblationRun) -> bool:
    """Whether the conditions of a study are the levels of a second factor."""
    named = bool(study.config.get('second_factor'))
    return named and study.repeated and len(study.options) > 1


def as_csv(study: AblationRun) -> str:
    """Content of tables/interaction.csv; no cell is a formula to a spreadsheet."""
    rows = [
        dict(
            condition=condition,
            option=option,
            baseline=study.baseline,
            reference=study.conditions[0],
            seeds=comparison.n,
            metric=study.metric.name,
            difference=comparison.difference,
            difference_low=comparison.interval[0],
            difference_high=comparison.interval[1],
            p_value=comparison.p_value,
            p_holm=p_holm,
            detectable=comparison.detectable,
            verdict=_finding(p_holm),
        )
        for (option, condition), (comparison, p_holm) in contrasts(study).items()
    ]
    return tables.as_csv(tables.INTERACTION, map(exports.disarmed, rows))


def contrasts(study: AblationRun) -> Contrasts:
    """Interaction of each option (without the baseline) with each condition after the first.

    Args:
      study: an ablation with several conditions.

    Returns:
      (option, condition) -> comparison paired over seeds, and p-value after Holm over all.
    """
    first, *others = study.conditions
    comparisons = {}
    for option in study.options[1:]:
        here = _effect(study, first, option)
        for condition in others:
            there = _effect(study, condition, option)
            seeds = sorted(set(here) & set(there))
            if len(seeds) > 1:
                sides = ([effect[seed] for seed in seeds] for effect in (there, here))
                ratio = study.test_train_ratio(first)
                comparisons[option, condition] = statistics.compare(*sides, test_train_ratio=ratio)
    adjusted = statistics.holm([comparison.p_value for comparison in comparisons.values()])
    return {
        key: (each, float(p)) for (key, each), p in zip(comparisons.items(), adjusted, strict=True)
    }


def _effect(study: AblationRun, condition: str, option: str) -> dict[int, float]:
    """Seed -> test metric of an option minus that of the baseline."""
    values = queries.differences(study, condition, option)
    return dict(zip(queries.by_seed(study, condition, option), values, strict=True))


def _answer(interactions: Contrasts, unit: Scale) -> str:
    significant = [
        f'{markup.name(option)} under {words.condition(condition)} '
        f'({unit.points(comparison.difference)})'
        for (option, condition), (comparison, p_holm) in interactions.items()
        if p_holm < statistics.ALPHA
    ]
    if significant:
        return (
            f'The effect depends on the second factor. Interactions{unit.in_unit}: '
            f'{words.listing(significant)}.'
        )
    least, most = (
        unit.size(end(each.detectable for each, _ in interactions.values())) for end in (min, max)
    )
    size = least if least == most else f'{least} to {most}'
    return (
        f'No interaction found. Minimum detectable interaction: {unit.in_points(size)} '
        f'(80{words.SPACE}% power, single comparison at level 0.05).'
    )


def _rows(interactions: Contrasts, unit: Scale) -> list[list[str]]:
    return [
        [
            markup.name(option),
            words.condition(condition),
            f'{unit.points(comparison.difference)} ({unit.span(*comparison.interval)})',
            words.p_value(comparison.p_value),
            words.p_value(p_holm),
            _finding(p_holm),
        ]
        for (option, condition), (comparison, p_holm) in interactions.items()
    ]


def _finding(p_holm: float) -> str:
    return 'interaction' if p_holm < statistics.ALPHA else 'none found'


def _means(study: AblationRun) -> Table:
    means = {(row['condition'], row['option']): row for row in study.summary}
    rows = []
    for option in study.options:
        cells = (means[condition, option] for condition in study.conditions)
        rows.append([markup.name(option), *(_cell(study.scale, cell) for cell in cells)])
    columns = ('Option', *(words.condition(condition) for condition in study.conditions))
    factor = markup.name(study.config['second_factor'])
    caption = f'{study.scale.head("Test")}, under each level of {factor}'
    return Table(caption, columns, rows, 'l' + 'r' * len(study.conditions))


def _cell(unit: Scale, row: Row) -> str:
    return f'{unit.number(row["mean"])}\n({unit.values(row["ci_low"], row["ci_high"])})'


def _figure(study: AblationRun, name: str) -> FigureBlock:
    rows = {(row['condition'], row['option']): row for row in study.summary}
    unit = study.scale
    intervals: Intervals = {
        option: unit.drawn(
            np.array(
                [[rows[condition, option][key] for condition in study.conditions] for key in KEYS]
            )
        )
        for option in study.options
    }
    options, places = study.options[1:], np.arange(len(study.conditions))
    colours = palette.colours(study.options)
    reference = plots.in_colour(REFERENCE, colours[study.baseline])
    n = words.sample(min(row['seeds'] for row in study.summary), 'seed')

    def plot(width: float) -> Figure:
        drawn, grid = plots.panels(
            options,
            width,
            f'test {unit.drawn_label} ({n})',
            markup.flat(study.config['second_factor']),
        )
        for axes, option in zip(grid, options, strict=True):
            this = plots.in_colour(OPTION, colours[option])
            for who, style, shift in ((study.baseline, reference, -0.06), (option, this, 0.06)):
                mean, *ends = intervals[who]
                low, high = np.minimum(*ends), np.maximum(*ends)
                axes.errorbar(mean, places + shift, xerr=[mean - low, high - mean], **style)
            axes.xaxis.set_major_locator(
                ticker.MaxNLocator(4 if width == plots.WIDE else 2, steps=[1, 2, 5, 10])
            )
            axes.grid(axis='y', visible=False)
        grid[0].set_yticks(
            places, [plots.wrap(_plain(condition), 14) for condition in study.conditions]
        )
        grid[0].set_ylim(len(places) - 0.6, -0.4)
        _legend(drawn, width, reference)
        return drawn

    caption = (
        f'Test {unit.drawn_name} under each condition{", %" if unit.percent else ""}: mean over '
        f'{n} and 95 % interval. '
        'Parallel lines in a panel mean that the effect is the same under all conditions.'
    ).replace(' %', f'{words.SPACE}%')
    alt = _alt(study.conditions, intervals, unit)
    return FigureBlock(name, plots.draw(plot), alt, caption)


def _plain(condition: str) -> str:
    return markup.plain(words.condition(condition))


def _alt(conditions: list[str], intervals: Mapping[str, np.ndarray], unit: Scale) -> str:
    names, form = ', '.join(_plain(condition) for condition in conditions), unit.drawn_form
    rows = (
        f'{markup.flat(option)}: {", ".join(format(mean, form) for mean in values[0])}'
        for option, values in intervals.items()
    )
    per_cent = ' in %' if unit.percent else ''
    return f'Mean test {unit.drawn_name}{per_cent} under {names}. {"; ".join(rows)}.'


def _legend(figure: Figure, width: float, reference: plots.Line) -> None:
    styles = {'this option': plots.in_colour(OPTION, plots.INK), 'baseline': reference}
    lines = {
        label: {k: v for k, v in style.items() if k != 'capsize'} for label, style in styles.items()
    }
    plots.legend(
        figure, [Line2D([], [], label=label, **style) for label, style in lines.items()], width
    )
