"""Check the rows of a table, and convert them to results.csv and correct.npz."""

import collections
import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl.ablation.analysis.columns import (
    PERCENT,
    SHARE,
    SPLITS,
    AnalysisSettings,
    choose_metric,
    find_columns,
    plain,
)
from jaxdl.ablation.analysis.source import Table, is_empty, shorten
from jaxdl.errors import InputError, unknown
from jaxdl.statistics import metric_names, metrics
from jaxdl.statistics.metric_names import LOWER, MetricName
from jaxdl.statistics.metrics import ACCURACY, Metric
from jaxdl.workdir.correct import CorrectTable
from jaxdl.workdir.tables import ALL, Row

MEASURE = 'measure'  # the phase of jaxdl's own results.csv that is compared
TRUTH = {'1': True, 'true': True, '0': False, 'false': False}
Run = tuple[str, str, int]  # condition, option, seed


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


@dataclasses.dataclass(frozen=True)
class _Value:
    run: Run
    order: tuple[float, ...]  # epoch and step; empty without such columns
    value: float | None
    row: int


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
    runs = _Runs(table, columns, settings)
    rows, split = _select_rows(table, columns, settings)
    if 'correct' in columns:
        values, correct = _per_image(table, columns, runs, rows)
        metric, split, unit = ACCURACY, split or 'test', SHARE
        _check_direction(metric, settings, table)
    else:
        rows, columns, name = _select_metric(table, columns, settings, rows)
        values = _values(table, columns, runs, rows)
        values = _last_steps(table, values, 'epoch' if 'epoch' in columns else 'step')
        metric, split, correct = _metric(name, values, settings, table), split or name.split, None
        values, unit = _in_shares(table, values, metric, settings.unit)
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


class _Runs:
    """Condition, option and seed of each row, from columns or from the path of its file."""

    def __init__(
        self, table: Table, columns: Mapping[str, str], settings: AnalysisSettings
    ) -> None:
        self.table, self.columns = table, columns
        self.pattern = re.compile(settings.path_pattern) if settings.path_pattern else None
        self.groups = tuple(self.pattern.groupindex) if self.pattern else ()
        self._matches: dict[str, dict[str, str]] = {}
        for role, noun in dict(seed='seeds', option='options').items():
            if role not in columns and role not in self.groups:
                titles = shorten(table.columns)
                raise InputError(
                    f'{table.name}: no column of {noun} is recognised among {titles}: name it by '
                    f'--set={role}_column=COLUMN, or take it from the path of each file by '
                    f'--set=path_pattern=REGEX with (?P<{role}>...)'
                )

    def run(self, row: int) -> Run:
        condition = self._text('condition', row) if self._has('condition') else ''
        condition = '' if condition == ALL else condition
        return condition, self._text('option', row), self._seed(row)

    def learning_rate(self, row: int) -> float | None:
        """The learning rate of a row; None without a number."""
        title = self.columns.get('learning_rate')
        return None if title is None else _number(self.table.columns[title][row])

    def _has(self, role: str) -> bool:
        return role in self.groups or role in self.columns

    def _text(self, role: str, row: int) -> str:
        if role in self.groups:
            return self._from_path(self.table.paths[row])[role]
        title = self.columns[role]
        cell = self.table.columns[title][row]
        if is_empty(cell):
            if role == 'condition':
                return ''
            raise InputError(
                f'{self.table.place(row)}: column {title!r} is empty; every row needs its {role}'
            )
        return str(cell)

    def _seed(self, row: int) -> int:
        text = self._text('seed', row)
        number = _whole(text)
        if number is None:
            raise InputError(
                f'{self.table.place(row)}: seed {text!r} must be a whole number of at most 18 '
                'digits; another column is named by --set=seed_column=COLUMN'
            )
        return number

    def _from_path(self, path: str) -> dict[str, str]:
        if path not in self._matches:
            assert self.pattern is not None
            match = self.pattern.search(path)
            groups = {} if match is None else match.groupdict()
            if not groups or not all(groups.values()):
                raise InputError(
                    f'path_pattern={self.pattern.pattern}: does not match '
                    f'{path or "a table without files"}; change the pattern or the glob'
                )
            self._matches[path] = groups
        return self._matches[path]


def _select_rows(
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
        raise InputError(
            f'{table.name}: column {title!r} has no split {split!r}: choose among '
            f'{shorten(present)} by --set=split={present[0]}'
        )
    return [row for row in rows if splits[row] == split], split if split in SPLITS else ''


def _select_metric(
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
        return (list(rows), columns, metric_names.recognise(settings.metric or columns['value']))
    names = [
        title
        for title in table.columns
        if title not in columns.values() and _is_numeric(table, title)
    ]
    column, name = choose_metric(names, settings, 'value_column', table.name)
    return list(rows), columns | dict(value=column), name


def _values(
    table: Table, columns: Mapping[str, str], runs: _Runs, rows: Iterable[int]
) -> list[_Value]:
    """Values of the rows; None for an empty cell of a log, which has several kinds of rows."""
    title = columns['value']
    cells = table.columns[title]
    order = [columns[role] for role in ('epoch', 'step') if role in columns]
    log = bool(order) and 'metric' not in columns
    values, wrong = [], []
    for row in rows:
        cell = cells[row]
        number = _number(cell)
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
        _Value(runs.run(row), tuple(_order(table, name, row) for name in order), value, row)
        for row, value in values
    ]


def _order(table: Table, title: str, row: int) -> float:
    cell = table.columns[title][row]
    number = _number(cell)
    if is_empty(cell):
        return -math.inf
    if number is None or not math.isfinite(number):
        raise InputError(f'{table.place(row)}: {title} {cell!r} must be a number')
    return number


def _last_steps(table: Table, values: Sequence[_Value], noun: str) -> list[_Value]:
    """One value per run and epoch, in ascending order: that of the last step of the epoch.

    Raises:
      InputError: two rows are of one run and step, a run has no value, or a run has empty cells at
        its end where other runs have values.
    """
    seen: dict[tuple[Run, tuple[float, ...]], _Value] = {}
    by_run: dict[Run, dict[float, _Value]] = collections.defaultdict(dict)
    empty: dict[Run, list[_Value]] = collections.defaultdict(list)
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
                f'{table.place(row)}: {_describe(run)} has no value in any row; remove it from '
                'the table, or name another column by --set=value_column=COLUMN'
            )
        last = max(by_run[run])
        late = [v for v in values_of_run if v.order[0] > last and v.order[0] in measured]
        if late:
            raise InputError(
                f'{table.place(late[0].row)}: {_describe(run)} has no value at {noun} '
                f'{late[0].order[0]:g}, where other runs have one; repeat this run'
            )
    return [value for epochs in by_run.values() for _, value in sorted(epochs.items())]


def _duplicate(table: Table, one: _Value, other: _Value) -> InputError:
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
        f'{table.place(one.row)} and {table.place(other.row)} are both {_describe(one.run)}: '
        f'{advice}'
    )


def _describe(run: Run) -> str:
    condition, option, seed = run
    under = f' under {condition!r}' if condition else ''
    return f'option {option!r} with seed {seed}{under}'


def _metric(
    name: MetricName, values: Sequence[_Value], settings: AnalysisSettings, table: Table
) -> Metric:
    """The metric with its direction. Values from 0 to 1 that nothing names are accuracies."""
    metric = name.metric
    shares = all(0 <= (value.value or 0.0) <= 1 for value in values)
    if metric.name == 'value' and shares and settings.direction != LOWER:
        metric = ACCURACY
    if metric.name in metrics.BUILT_IN:
        _check_direction(metric, settings, table)
        return metric
    lower = settings.direction == LOWER if settings.direction else metric.lower_is_better
    return metrics.named(metric.name, lower)


def _check_direction(metric: Metric, settings: AnalysisSettings, table: Table) -> None:
    known = LOWER if metric.lower_is_better else metric_names.HIGHER
    if settings.direction not in ('', known):
        raise InputError(
            f'direction={settings.direction}: {known} values of {metric.words} are better in '
            f'{table.name}; name another metric by --set=metric=NAME'
        )


def _in_shares(
    table: Table, values: Sequence[_Value], metric: Metric, unit: str
) -> tuple[list[_Value], str]:
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


def _check_seeds(
    table: Table,
    values: Sequence[_Value],
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
    values: Sequence[_Value],
    runs: _Runs,
    options: Sequence[str],
    conditions: Sequence[str],
    metric: Metric,
    split: str,
) -> list[Row]:
    """Rows of results.csv. Without whole epochs only the last value of each run."""
    epochs = [value.order[0] for value in values if value.order]
    if not epochs or not all(math.isfinite(epoch) and epoch == int(epoch) for epoch in epochs):
        values = list({value.run: value for value in values}.values())
        epochs = []
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


def _per_image(
    table: Table, columns: Mapping[str, str], runs: _Runs, rows: Sequence[int]
) -> tuple[list[_Value], CorrectTable]:
    """Accuracy of each run, and correctness of each run on each image."""
    if 'image' not in columns:
        raise InputError(
            f'{table.name}: column {columns["correct"]!r} is per image, but no column of images is '
            f'recognised among {shorten(table.columns)}: name it by --set=image_column=COLUMN'
        )
    images = {row: _required(table, columns['image'], row) for row in rows}
    groups = _groups(table, columns, images)
    cells: dict[Run, dict[str, tuple[bool, int]]] = collections.defaultdict(dict)
    for row, image in images.items():
        run = runs.run(row)
        if image in cells[run]:
            first = table.place(cells[run][image][1])
            raise InputError(
                f'{first} and {table.place(row)} are both image {image!r} of {_describe(run)}: '
                'remove one of them'
            )
        cells[run][image] = _truth(table, columns['correct'], row), row
    _check_images(table, cells)
    names = list(groups)
    tested = np.array([[image in of_run for image in names] for of_run in cells.values()])
    correct = np.array(
        [[of_run.get(image, (False, 0))[0] for image in names] for of_run in cells.values()]
    )
    values = [
        _Value(run, (), sum(truth for truth, _ in of_run.values()) / len(of_run), row)
        for run, of_run in cells.items()
        for row in [next(iter(of_run.values()))[1]]
    ]
    condition, option, seed = (np.array(column) for column in zip(*cells, strict=True))
    return values, CorrectTable(
        correct=correct,
        tested=tested,
        image=np.array(names),
        condition=condition.astype(str),
        option=option.astype(str),
        seed=seed.astype(int),
        group=np.array(list(groups.values())),
    )


def _groups(table: Table, columns: Mapping[str, str], images: Mapping[int, str]) -> dict[str, str]:
    """Image -> its group; the image itself without a column of groups."""
    if 'group' not in columns:
        return {image: image for image in images.values()}
    groups: dict[str, str] = {}
    for row, image in images.items():
        group = _required(table, columns['group'], row)
        if groups.setdefault(image, group) != group:
            raise InputError(
                f'{table.place(row)}: image {image!r} has the group {group!r}, but before '
                f'{groups[image]!r}; an image needs one group'
            )
    return groups


def _check_images(table: Table, cells: Mapping[Run, Mapping[str, Any]]) -> None:
    """Refuse runs of one condition that were tested on different images."""
    first: dict[str, Run] = {}
    for run, images in cells.items():
        other = first.setdefault(run[0], run)
        different = sorted(set(images) ^ set(cells[other]))
        if different:
            raise InputError(
                f'{table.name}: {_describe(run)} and {_describe(other)} were tested on different '
                f'images ({shorten(different)}); every run needs a row per image'
            )


def _required(table: Table, title: str, row: int) -> str:
    cell = table.columns[title][row]
    if is_empty(cell):
        raise InputError(f'{table.place(row)}: column {title!r} is empty')
    return str(cell)


def _truth(table: Table, title: str, row: int) -> bool:
    cell = table.columns[title][row]
    number = _number(cell)
    text = str(cell).lower() if number is None else f'{number:g}'
    if text not in TRUTH:
        raise InputError(f'{table.place(row)}: {title} {cell!r} must be 0 or 1')
    return TRUTH[text]


def _is_numeric(table: Table, title: str) -> bool:
    """Whether all cells of a column are numbers, apart from empty ones."""
    cells = [cell for cell in table.columns.get(title, ()) if not is_empty(cell)]
    return bool(cells) and all(_number(cell) is not None for cell in cells)


def _whole(text: str) -> int | None:
    """A text such as `3` or `3.0` as a whole number; None if it is none, or very large."""
    number = _number(text)
    if number is None or not abs(number) < 1e18 or number != int(number):
        return None
    return int(text) if re.fullmatch(r'[+-]?[0-9]+', text) else int(number)


def _number(cell: Any) -> float | None:
    """A cell as a number; None if it is none. `True` is 1."""
    try:
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        return None
