"""All metrics of the evaluation runs: those that do not decide, as tables; all of them as CSV."""

import math
from collections.abc import Iterable

import numpy as np

from jaxdl import statistics
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import exports, markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.report.page.scale import Scale
from jaxdl.statistics import metrics
from jaxdl.workdir import tables
from jaxdl.workdir.tables import Row

INTERVAL = f'(95{words.SPACE}% interval)'
NOTES = (
    '{moment}, evaluation mode: means over seeds. Differences are paired: option '
    f'{words.MINUS} baseline on the same seed. Intervals are not corrected for several '
    'comparisons. {choices} depend on the {metric} only. A diverged run counts '
    'as chance. All metrics with intervals are in {file}.'
)


def blocks(study: AblationRun, condition: str) -> list[Block]:
    """Built-in metrics in one table, and a table per metric that the study names."""
    measured = list(dict.fromkeys(row['metric'] for row in study.metrics))
    others = [name for name in measured if name not in ('loss', study.metric.name)]
    named = [name for name in others if name in (study.design(condition).get('metrics') or [])]
    built_in = [name for name in metrics.BUILT_IN if name in others and name not in named]
    content: list[Block] = [_overview(study, condition, built_in)] if len(built_in) > 1 else []
    content += [_table(study, condition, name) for name in named]
    if not content:
        return []
    file = markup.code('tables/metrics.csv')
    choices = 'Verdicts' if study.base else 'Tuning and verdicts'
    moment = words.capital(study.moment.strip())
    note = NOTES.format(moment=moment, choices=choices, metric=study.scale.name, file=file)
    return [*content, Paragraph(note, 'note')]


def summarize(study: AblationRun) -> list[Row]:
    """Rows of tables/metrics.csv: mean and paired difference per condition, metric and option."""
    rows, measured = [], dict.fromkeys(row['metric'] for row in study.metrics)
    built_in = [name for name in metrics.BUILT_IN if name in measured]
    names = dict.fromkeys((*built_in, *(name for name in measured if name != 'loss')))
    for condition in study.conditions:
        for name in names:
            for option in study.options:
                row = _row(study, condition, option, name)
                rows += [row] if row['seeds'] else []
    return rows


def _row(study: AblationRun, condition: str, option: str, metric: str) -> Row:
    """One row; columns that cannot be computed are left out."""
    values, baseline = (
        _values(study, condition, name, 'test', metric) for name in (option, study.baseline)
    )
    validation = list(_values(study, condition, option, 'val', metric).values())
    row: Row = dict(
        condition=condition,
        metric=metric,
        lower_is_better=str(study.metric_of(metric).lower_is_better).lower(),
        option=option,
        baseline=study.baseline,
        seeds=len(values),
        validation=math.fsum(validation) / len(validation) if validation else None,
    )
    if len(values) == 1:
        row['mean'] = next(iter(values.values()))
    if len(values) > 1:
        mean, low, high = statistics.mean_interval(list(values.values()))
        row |= dict(mean=mean, sd=_deviation(values.values()), ci_low=low, ci_high=high)
    shared = sorted(values.keys() & baseline.keys())
    if option != study.baseline and len(shared) > 1:
        comparison = statistics.compare(
            [values[seed] for seed in shared],
            [baseline[seed] for seed in shared],
            test_train_ratio=study.test_train_ratio(condition),
        )
        low, high = comparison.interval
        deviation = _deviation(values[seed] - baseline[seed] for seed in shared)
        row |= dict(difference=comparison.difference, difference_sd=deviation)
        row |= dict(difference_low=low, difference_high=high)
    return row


def _deviation(values: Iterable[float]) -> float:
    """Standard deviation over seeds (divisor n - 1)."""
    return float(np.std(list(values), ddof=1))


def _overview(study: AblationRun, condition: str, names: list[str]) -> Table:
    """Mean of each metric on the test split, and the difference from the baseline."""
    rows = []
    for option in study.options:
        cells = [markup.name(option)]
        for name in names:
            row, unit = _row(study, condition, option, name), Scale(study.metric_of(name))
            difference = row.get('difference')
            second = '' if difference is None else f'\n({unit.points(difference)})'
            cells.append(f'{unit.number(row["mean"])}{second}' if row['seeds'] else words.DASH)
        rows.append(cells)
    scales = [Scale(study.metric_of(name)) for name in names]
    heads = [f'{unit.name[0].upper()}{unit.name[1:]}' + ', %' * unit.percent for unit in scales]
    caption = 'Other metrics on the test split; in brackets the difference from the baseline'
    return Table(caption, ('Option', *heads), rows, 'l' + 'r' * len(names))


def _table(study: AblationRun, condition: str, metric: str) -> Table:
    unit, rows = Scale(study.metric_of(metric)), []
    for option in study.options:
        row = _row(study, condition, option, metric)
        test = difference = words.DASH
        if row['seeds']:
            test = unit.number(row['mean'])
        if row.get('ci_low') is not None:
            test += f' ({unit.values(row["ci_low"], row["ci_high"])})'
        if row.get('difference') is not None:
            interval = unit.span(row['difference_low'], row['difference_high'])
            difference = f'{unit.points(row["difference"])} ({interval})'
        validation = row['validation']
        rows.append(
            [
                markup.name(option),
                words.DASH if validation is None else unit.number(validation),
                test,
                difference,
                str(row['seeds']),
            ]
        )
    per_cent = ', %' * unit.percent
    columns = (
        'Option',
        f'Validation{per_cent}',
        f'Test {INTERVAL}{per_cent}',
        unit.difference_head(f'Difference {INTERVAL}'),
        'Seeds',
    )
    lower = '; lower is better' if study.metric_of(metric).lower_is_better else ''
    return Table(f'{markup.name(unit.name)} per option{lower}', columns, rows, 'lrrrr')


def _values(
    study: AblationRun, condition: str, option: str, split: str, metric: str
) -> dict[int, float]:
    """Evaluation seed -> value."""
    return {
        row['seed']: row['value']
        for row in study.metrics
        if (row['condition'], row['option'], row['split'], row['metric'])
        == (condition, option, split, metric)
    }


def as_csv(study: AblationRun) -> str:
    """Content of tables/metrics.csv; no cell is a formula to a spreadsheet."""
    return tables.as_csv(tables.METRIC_SUMMARY, map(exports.disarmed, summarize(study)))
