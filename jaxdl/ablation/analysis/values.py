"""Values of the metric that decides: rows and column, last steps, direction, unit."""

import collections
import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

from jaxdl.ablation.analysis.cells import is_numeric, to_number
from jaxdl.ablation.analysis.columns import (
    PERCENT,
    SHARE,
    SPLITS,
    AnalysisSettings,
    choose_metric,
    plain,
)
from jaxdl.ablation.analysis.runs import Run, Runs, describe
from jaxdl.ablation.analysis.source import Table, is_empty, shorten
from jaxdl.errors import InputError
from jaxdl.statistics import metric_names, metrics
from jaxdl.statistics.metric_names import LOWER, MetricName
from jaxdl.statistics.metrics import ACCURACY, Metric

MEASURE = 'measure'  # the phase of jaxdl's own results.csv that is compared


@dataclasses.dataclass(frozen=True)
class Value:
    """A value of a run.

    Attributes:
      run: condition, option and seed.
      order: epoch and step; empty without such columns.
      value: the number; None for an empty cell.
      row: row of the table.
    """

    run: Run
    order: tuple[float, ...]
    value: float | None
    row: int


def select_rows(
    table: Table, columns: Mapping[str, str], settings: AnalysisSettings
) -> tuple[list[int], str]:
    """Rows of one split, and its name: the split that is set, else test, else the only one.

    Of jaxdl's own results.csv only the rows of the phase that is compared.
    """
    rows = list(range(len(table.lines)))
    phases = table.columns.get('phase', ())
    if MEASURE in phases:
        rows = [row for row in rows if phases[row] == MEASURE]
    if 'split' not in columns:
        return rows, settings.split
    title = columns['split']
    cells = [str(cell or '') for cell in table.columns[title]]
    splits = {row: metric_names.SPLITS.get(cells[row].lower(), cells[row]) for row in rows}
    present = list(dict.fromkeys(splits.values()))
    usual = 'test' if 'test' in present or len(present) > 1 else present[0]
    split = settings.split or usual
    if split not in present:
        known = [name for name in SPLITS if name in present]
        advice = f'choose --set=split={known[0]}' if known else 'call one of them test'
        raise InputError(
            f'{table.name}: column {title!r} has the splits {shorten(present)}, and not {split!r}: '
            f'{advice}'
        )
    return [row for row in rows if splits[row] == split], split if split in SPLITS else ''


def select_metric(
    table: Table, columns: Mapping[str, str], settings: AnalysisSettings, rows: Sequence[int]
) -> tuple[list[int], dict[str, str], MetricName]:
    """Rows, columns and name of the metric that decides.

    It is chosen among the names in the column of metrics of a long table, or among the columns of a
    wide table.
    """
    columns = dict(columns)
    long = 'value' in columns and (settings.metric_column or plain(columns['value']) == 'value')
    if not long:
        columns.pop('metric', None)
    if 'metric' in columns:
        title, cells = columns['metric'], table.columns[columns['metric']]
        names = dict.fromkeys(str(cells[row]) for row in rows)
        where = f'{table.name}, column {title!r}'
        chosen, name = choose_metric(names, settings, 'metric', where)
        return [row for row in rows if str(cells[row]) == chosen], columns, name
    if 'value' in columns:
        return list(rows), columns, metric_names.recognise(settings.metric or columns['value'])
    names = [
        title
        for title in table.columns
        if title not in columns.values() and is_numeric(table, title)
    ]
    column, name = choose_metric(names, settings, 'value_column', table.name)
    return list(rows), columns | dict(value=column), name


def read_values(
    table: Table, columns: Mapping[str, str], runs: Runs, rows: Iterable[int]
) -> list[Value]:
    """Values of the rows; None for an empty cell of a log, which has several kinds of rows."""
    title = columns['value']
    cells = table.columns[title]
    order = [columns[role] for role in ('epoch', 'step') if role in columns]
    log = bool(order) and 'metric' not in columns
    values, wrong = [], []
    for row in rows:
        cell = cells[row]
        number = to_number(cell)
        if number is None and not is_empty(cell):
            raise InputError(
                f'{table.place(row)}: {title} {cell!r} must be a number; another column is named '
                'by --set=value_column=COLUMN'
            )
        empty = cell is None or (is_empty(cell) and not table.paths[row])
        if not (empty and log) and (number is None or not math.isfinite(number)):
            wrong.append(row)
        values.append((row, None if empty else number))
    if wrong:
        raise InputError(
            f'{table.places(wrong)}: column {title!r} has no finite value; repeat these runs, or '
            'remove their options from the table'
        )
    return [
        Value(runs.run(row), tuple(_order(table, name, row) for name in order), value, row)
        for row, value in values
    ]


def _order(table: Table, title: str, row: int) -> float:
    cell = table.columns[title][row]
    number = to_number(cell)
    if is_empty(cell):
        return -math.inf
    if number is None or not math.isfinite(number):
        raise InputError(f'{table.place(row)}: {title} {cell!r} must be a number')
    return number


def last_steps(table: Table, values: Sequence[Value], noun: str) -> list[Value]:
    """One value per run and epoch, in ascending order: that of the last step of the epoch.

    Raises:
      InputError: two rows are of one run and step, a run has no value, or a run has empty cells at
        its end where other runs have values.
    """
    seen: dict[tuple[Run, tuple[float, ...]], Value] = {}
    by_run: dict[Run, dict[float, Value]] = collections.defaultdict(dict)
    empty: dict[Run, list[Value]] = collections.defaultdict(list)
    for value in values:
        if value.value is None:
            empty[value.run].append(value)
            continue
        earlier = seen.setdefault((value.run, value.order), value)
        if earlier is not value:
            raise _duplicate(table, earlier, value)
        epoch = value.order[0] if value.order else 0.0
        last = by_run[value.run].get(epoch)
        if last is None or last.order < value.order:
            by_run[value.run][epoch] = value
    measured = {epoch for epochs in by_run.values() for epoch in epochs}
    for run, values_of_run in empty.items():
        if run not in by_run:
            row = values_of_run[0].row
            raise InputError(
                f'{table.place(row)}: {describe(run)} has no value in any row; remove it from '
                'the table, or name another column by --set=value_column=COLUMN'
            )
        last = max(by_run[run])
        late = [v for v in values_of_run if v.order[0] > last and v.order[0] in measured]
        if late:
            raise InputError(
                f'{table.place(late[0].row)}: {describe(run)} has no value at {noun} '
                f'{late[0].order[0]:g}, where other runs have one; repeat this run'
            )
    return [value for epochs in by_run.values() for _, value in sorted(epochs.items())]


def _duplicate(table: Table, one: Value, other: Value) -> InputError:
    different = [
        title
        for title, cells in table.columns.items()
        if str(cells[one.row]) != str(cells[other.row])
    ]
    advice = 'remove one of them'
    if different:
        advice += (
            f'; they differ in {shorten(different)}, and --set=condition_column=COLUMN or '
            '--set=epoch_column=COLUMN tells them apart'
        )
    return InputError(
        f'{table.place(one.row)} and {table.place(other.row)} are both {describe(one.run)}: '
        f'{advice}'
    )


def find_metric(
    name: MetricName, values: Sequence[Value], settings: AnalysisSettings, table: Table
) -> Metric:
    """The metric with its direction. Values from 0 to 1 that nothing names are accuracies."""
    metric = name.metric
    shares = all(0 <= (value.value or 0.0) <= 1 for value in values)
    if metric.name == 'value' and shares and settings.direction != LOWER:
        metric = ACCURACY
    if metric.name in metrics.BUILT_IN:
        check_direction(metric, settings, table)
        return metric
    lower = settings.direction == LOWER if settings.direction else metric.lower_is_better
    return metrics.named(metric.name, lower)


def check_direction(metric: Metric, settings: AnalysisSettings, table: Table) -> None:
    """Refuse a direction that contradicts that of a known metric."""
    known = LOWER if metric.lower_is_better else metric_names.HIGHER
    if settings.direction not in ('', known):
        raise InputError(
            f'direction={settings.direction}: {known} values of {metric.words} are better in '
            f'{table.name}; name another metric by --set=metric=NAME'
        )


def to_shares(
    table: Table, values: Sequence[Value], metric: Metric, unit: str
) -> tuple[list[Value], str]:
    """Values of a metric between 0 and 1 as shares; values above 1 are per cent.

    Args:
      table: the table.
      values: values of the runs.
      metric: the metric that decides.
      unit: unit that is set; empty for that of the last value of each run.

    Raises:
      InputError: values are outside of 0 to 1 or of 0 to 100, or the unit is not clear.
    """
    if metric.largest != 1:
        return list(values), SHARE
    if not unit:
        last = {value.run: (value.value or 0.0, value.row) for value in values}.values()
        large = [row for number, row in last if number > 1]
        small = [row for number, row in last if 0 < number <= 1]
        if large and small:
            raise InputError(
                f'{table.place(small[0])} has a value up to 1 and {table.place(large[0])} one '
                f'above 1: choose the unit of {metric.words} by --set=unit=percent or '
                '--set=unit=share'
            )
        unit = PERCENT if large else SHARE
    largest = 100 if unit == PERCENT else 1
    for value in values:
        if not 0 <= (value.value or 0.0) <= largest:
            raise InputError(
                f'{table.place(value.row)}: {metric.words} {value.value:g} must be from 0 to '
                f'{largest}; another metric is named by --set=metric=NAME'
            )
    if unit == SHARE:
        return list(values), unit
    return [dataclasses.replace(v, value=(v.value or 0.0) / 100) for v in values], unit
