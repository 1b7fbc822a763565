"""Main effects of the two factors of a study, whose second factor is its conditions."""

import functools
import math
from collections.abc import Callable, Mapping

from jaxdl import statistics
from jaxdl.report.ablation import queries
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import exports, markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.report.page.scale import Scale
from jaxdl.statistics import protocol
from jaxdl.workdir import tables
from jaxdl.workdir.tables import Row

NOTE = (
    f'Main effect of an option: its mean over all conditions {words.MINUS} that of the baseline, '
    'per seed. Main effect of a condition: its mean over all options '
    f'{words.MINUS} that of the first condition. Brackets: 95{words.SPACE}% t intervals over '
    'seeds. Holm over the levels of each factor. With an interaction a main effect is an average '
    'of unlike effects.'
)
Values = Mapping[tuple[str, str], Mapping[int, float]]  # (condition, option) -> seed -> metric


def blocks(study: AblationRun) -> list[Block]:
    """Means and main effects of the levels of both factors, as a table with a note."""
    unit, levels = study.scale, rows(study)
    if not levels:
        return []
    table = [[*_names(row), *_cells(row, unit)] for row in levels]
    columns = ('Factor', 'Level', unit.head(), unit.difference_head(), 'p', 'p (Holm)', 'Verdict')
    n = words.sample(levels[0]['seeds'], 'seed')
    file = markup.code('tables/main_effects.csv')
    return [
        Table(f'Main effects of both factors, {n}', columns, table, 'llrrrrw'),
        Paragraph(f'{NOTE} All numbers: {file}.', 'note'),
    ]


def rows(study: AblationRun) -> list[Row]:
    """Rows of tables/main_effects.csv: a row per option, then a row per condition.

    Args:
      study: an ablation with a second factor.

    Returns:
      Mean of each level over the levels of the other factor, and the difference from the first
      level; empty if fewer than two seeds are in all conditions.
    """
    values = {
        (condition, option): queries.by_seed(study, condition, option)
        for condition in study.conditions
        for option in study.options
    }
    seeds = sorted(set.intersection(*(set(of) for of in values.values())))
    if len(seeds) < 2:
        return []
    options = {
        option: _means(values, seeds, lambda key, option=option: key[1] == option)
        for option in study.options
    }
    conditions = {
        condition: _means(values, seeds, lambda key, condition=condition: key[0] == condition)
        for condition in study.conditions
    }
    return [
        *_compare(study, study.config['factor'], options),
        *_compare(study, study.config['second_factor'], conditions),
    ]


def as_csv(study: AblationRun) -> str:
    """Content of tables/main_effects.csv; no cell is a formula to a spreadsheet."""
    return tables.as_csv(tables.MAIN_EFFECTS, map(exports.disarmed, rows(study)))


def _means(
    values: Values, seeds: list[int], chosen: Callable[[tuple[str, str]], bool]
) -> list[float]:
    """Mean of the chosen combinations of both factors, per seed."""
    level = [of_seeds for key, of_seeds in values.items() if chosen(key)]
    return [math.fsum(of_seeds[seed] for of_seeds in level) / len(level) for seed in seeds]


def _compare(study: AblationRun, factor: str, levels: Mapping[str, list[float]]) -> list[Row]:
    """Rows of one factor; the first level is the baseline."""
    first, *others = levels
    compare = functools.partial(
        statistics.compare,
        test_train_ratio=study.test_train_ratio(study.conditions[0]),
        lower_is_better=study.metric.lower_is_better,
    )
    compared = {level: compare(levels[level], levels[first]) for level in others}
    adjusted = statistics.holm([comparison.p_value for comparison in compared.values()])
    p_holm = dict(zip(compared, map(float, adjusted), strict=True))
    result = []
    for level, values in levels.items():
        mean, low, high = statistics.mean_interval(values)
        row: Row = dict(factor=factor, level=level, baseline=first, seeds=len(values))
        row |= dict(metric=study.metric.name, mean=mean, ci_low=low, ci_high=high)
        if level in compared:
            row |= protocol.comparison_columns(compared[level])
            verdict = protocol.verdict_of(row['difference'], p_holm[level], study.metric)
            row |= dict(p_holm=p_holm[level], verdict=verdict)
        result.append(row)
    return result


def _names(row: Row) -> list[str]:
    return [markup.name(row['factor']), markup.name(row['level'])]


def _cells(row: Row, unit: Scale) -> list[str]:
    mean = f'{unit.number(row["mean"])}\n({unit.values(row["ci_low"], row["ci_high"])})'
    if 'p_holm' not in row:
        return [mean, *[words.DASH] * 3, 'baseline']
    difference = (
        f'{unit.points(row["difference"])}\n'
        f'({unit.span(row["difference_low"], row["difference_high"])})'
    )
    p_values = (words.p_value(row[name]) for name in ('p_value', 'p_holm'))
    return [mean, difference, *p_values, row['verdict']]
