"""Check the rows of a table, and convert them to results.csv and correct.npz."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence

from jaxdl.ablation.analysis.columns import SHARE, AnalysisSettings, find_columns
from jaxdl.ablation.analysis.per_image import read_per_image
from jaxdl.ablation.analysis.runs import Runs
from jaxdl.ablation.analysis.source import Table
from jaxdl.ablation.analysis.values import (
    MEASURE,
    Value,
    check_direction,
    find_metric,
    last_steps,
    read_values,
    select_metric,
    select_rows,
    to_shares,
)
from jaxdl.errors import InputError, unknown
from jaxdl.statistics.metric_names import recognise
from jaxdl.statistics.metrics import ACCURACY, Metric
from jaxdl.workdir.correct import CorrectTable
from jaxdl.workdir.tables import Row


@dataclasses.dataclass(frozen=True)
class Measurements:
    """Checked results of a table.

    Attributes:
      rows: of results.csv, in the order of conditions, options, seeds and epochs.
      correct: of a table per image; None otherwise.
      baseline: the option that the others are compared with.
      options: all options, the baseline first.
      conditions: all conditions.
      metric: the metric that decides.
      split: split of the values; empty if the table does not name it.
      unit: SHARE, or PERCENT if the values were divided by 100.
      columns: role -> title of the column, `path` for one from path_pattern.
    """

    rows: Sequence[Row]
    correct: CorrectTable | None
    baseline: str
    options: Sequence[str]
    conditions: Sequence[str]
    metric: Metric
    split: str
    unit: str
    columns: Mapping[str, str]


def measure(table: Table, baseline: str, settings: AnalysisSettings) -> Measurements:
    """Read the measurements of a table.

    Args:
      table: the table.
      baseline: the option that the others are compared with.
      settings: columns, metric and split that the user names.

    Returns:
      The measurements.

    Raises:
      InputError: a column is missing or ambiguous, a cell is no value, runs are duplicate, an
        option has one seed, or the baseline is unknown.
    """
    columns = find_columns(table, settings)
    runs = Runs(table, columns, settings)
    rows, split = select_rows(table, columns, settings)
    if 'correct' in columns:
        _check_correct(table, columns['correct'], settings.metric)
        values, correct = read_per_image(table, columns, runs, rows)
        metric, split, unit = ACCURACY, split or 'test', SHARE
        check_direction(metric, settings, table)
    else:
        rows, columns, name = select_metric(table, columns, settings, rows)
        values = read_values(table, columns, runs, rows)
        values = last_steps(table, values, 'epoch' if 'epoch' in columns else 'step')
        metric = find_metric(name, values, settings, table)
        split, correct = split or name.split, None
        values, unit = to_shares(table, values, metric, settings.unit)
    options = list(dict.fromkeys(value.run[1] for value in values))
    if baseline not in options:
        raise unknown('baseline', baseline, options, f' of {table.name}')
    options.sort(key=lambda option: option != baseline)
    conditions = list(dict.fromkeys(value.run[0] for value in values))
    _check_seeds(table, values, baseline, options, conditions)
    return Measurements(
        rows=_rows(values, runs, options, conditions, metric, split),
        correct=correct,
        baseline=baseline,
        options=options,
        conditions=conditions,
        metric=metric,
        split=split,
        unit=unit,
        columns=columns | dict.fromkeys(runs.groups, 'path'),
    )


def _check_correct(table: Table, column: str, wanted: str) -> None:
    """InputError if a metric is wanted that correctness of images does not give."""
    metric = recognise(wanted).metric if wanted else ACCURACY
    if metric.name != ACCURACY.name:
        needs = 'the probabilities of the classes' if metric.probabilities else 'more'
        raise InputError(
            f'metric={wanted}: needs {needs}, and column {column!r} of {table.name} only has '
            'whether an image is correct: use metric=accuracy, or a table with a value per run'
        )


def _check_seeds(
    table: Table,
    values: Sequence[Value],
    baseline: str,
    options: Sequence[str],
    conditions: Sequence[str],
) -> None:
    if len(options) < 2:
        raise InputError(
            f'{table.name}: has only the option {baseline!r}; a comparison needs another one'
        )
    seeds = collections.defaultdict(set)
    for value in values:
        seeds[value.run[:2]].add(value.run[2])
    for condition in conditions:
        under = f' under {condition!r}' if condition else ''
        if (condition, baseline) not in seeds:
            raise InputError(
                f'{table.name}: has no results of the baseline {baseline!r}{under}; add them, or '
                'remove this condition'
            )
    for (condition, option), present in seeds.items():
        if len(present) < 2:
            under = f' under {condition!r}' if condition else ''
            raise InputError(
                f'{table.name}: option {option!r}{under} has one seed ({min(present)}); at least '
                '2 seeds per option are needed, or another column of options by '
                '--set=option_column=COLUMN'
            )


def _rows(
    values: Sequence[Value],
    runs: Runs,
    options: Sequence[str],
    conditions: Sequence[str],
    metric: Metric,
    split: str,
) -> list[Row]:
    """Rows of results.csv. Without a column of whole epochs only the last value of each run."""
    orders = [value.order for value in values] if 'epoch' in runs.columns else []
    epochs = bool(orders) and all(order and order[0].is_integer() for order in orders)
    if not epochs:
        values = list({value.run: value for value in values}.values())
    rates = collections.defaultdict(set)
    for value in values:
        rates[value.run[:2]].add(runs.learning_rate(value.row))
    ordered = sorted(
        values,
        key=lambda value: (
            conditions.index(value.run[0]),
            options.index(value.run[1]),
            value.run[2],
            value.order[:1],
        ),
    )
    rows = []
    for value in ordered:
        condition, option, seed = value.run
        rate = rates[condition, option]
        rows.append(
            dict(
                condition=condition,
                phase=MEASURE,
                option=option,
                learning_rate=next(iter(rate)) if len(rate) == 1 else None,
                seed=seed,
                epoch=int(value.order[0]) if epochs else None,
                split=split or 'test',
                metric=metric.name,
                value=value.value,
            )
        )
    return rows
