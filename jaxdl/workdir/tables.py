"""CSV tables of a run, written and read without loss."""

import csv
import dataclasses
import io
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxdl import workdir as folder
from jaxdl.errors import InputError

# Column -> type. A float is written as repr(float), which reads back to the same bits.
RESULTS = dict(
    condition=str,
    phase=str,
    option=str,
    learning_rate=float,
    seed=int,
    epoch=int,
    split=str,
    metric=str,
    value=float,
)
SUMMARY = dict(
    condition=str,
    option=str,
    baseline=str,
    learning_rate=float,
    seeds=int,
    metric=str,
    mean=float,
    ci_low=float,
    ci_high=float,
    difference=float,
    difference_low=float,
    difference_high=float,
    p_value=float,
    p_holm=float,
    p_better=float,
    p_better_low=float,
    p_better_high=float,
    detectable=float,
    verdict=str,
    images=int,
    image_groups=int,
    difference_low_images=float,
    difference_high_images=float,
    p_value_images=float,
    p_holm_images=float,
    verdict_images=str,
)
# Comparisons of pairs of options, in tables/; `baseline` is the second option.
COMPARISONS = SUMMARY | dict.fromkeys(
    ('corrected_low', 'corrected_high', 'corrected_low_images', 'corrected_high_images'), float
)
# Means and differences of the levels of two factors, and interactions of options with conditions
# relative to the first condition, `reference`, in tables/.
_TESTED = dict(
    difference=float, difference_low=float, difference_high=float, p_value=float, p_holm=float
)
MAIN_EFFECTS = dict(
    factor=str,
    level=str,
    baseline=str,
    seeds=int,
    metric=str,
    mean=float,
    ci_low=float,
    ci_high=float,
    **_TESTED,
    p_better=float,
    p_better_low=float,
    p_better_high=float,
    detectable=float,
    verdict=str,
)
INTERACTION = dict(
    condition=str,
    option=str,
    baseline=str,
    reference=str,
    seeds=int,
    metric=str,
    **_TESTED,
    detectable=float,
    verdict=str,
)
OVER_IMAGES = tuple(SUMMARY)[tuple(SUMMARY).index('images') :]  # of the comparison over images
COSTS = dict(condition=str, option=str, parameters=int, flops=float, seconds_per_member=float)
# One row per run; the integers are levels of the sources of variance.
VARIANCE = dict(condition=str, init=int, order=int, augmentation=int, split=int, accuracy=float)
# Every metric of every evaluation run, in artifacts/.
METRICS = dict(condition=str, option=str, seed=int, split=str, metric=str, value=float)
# The same as means and paired differences, in tables/.
METRIC_SUMMARY = dict(
    condition=str,
    metric=str,
    lower_is_better=str,
    option=str,
    baseline=str,
    seeds=int,
    validation=float,
    mean=float,
    sd=float,
    ci_low=float,
    ci_high=float,
    difference=float,
    difference_sd=float,
    difference_low=float,
    difference_high=float,
)

Row = dict[str, Any]
ALL = 'all'  # in files, the name of the condition of a study with one condition, '' elsewhere
# Learning rate, then the columns of results.csv after `value`; None where a network has no such
# field, as it is in all points of its option.
Point = tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Results:
    """Tables of a finished experiment, one dict per row.

    Attributes:
      table: every measurement of an ablation.
      summary: the comparison of an ablation's options.
      workdir: the folder of the run.
      claims: claims of a demonstration.
      notes: lines that name what a fine-tuning wrote.
      scores: metrics of each stage of a fine-tuning.
    """

    table: list[Row]
    summary: list[Row]
    workdir: pathlib.Path
    claims: list[Row] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    scores: list[Row] = dataclasses.field(default_factory=list)


def variance_columns(metric: str) -> dict[str, type]:
    """Columns of variance.csv, the last one named after the metric that decides."""
    return {name: kind for name, kind in VARIANCE.items() if name != 'accuracy'} | {metric: float}


def write_table(
    path: pathlib.Path, columns: Mapping[str, type], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Write `rows` as CSV, whole or not at all; a column that a row lacks stays empty."""
    folder.write(path, as_csv(columns, rows))


def as_csv(columns: Mapping[str, type], rows: Iterable[Mapping[str, Any]]) -> str:
    """Format `rows` as CSV with these columns; a column that a row lacks stays empty."""
    cells = (
        [_format_value(name, row.get(name), kind) for name, kind in columns.items()] for row in rows
    )
    return format_rows([columns, *cells])


def format_rows(rows: Iterable[Iterable[str]]) -> str:
    """Format rows of cells as CSV.

    The lines are written with a carriage return that is then removed: Python's writer quotes a
    carriage return in a cell only where lines end with one, and its reader needs the quotes.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\r\n')
    formatted = []
    for row in rows:
        writer.writerow(row)
        formatted.append(text.getvalue().removesuffix('\r\n'))
        text.seek(text.truncate(0))
    return '\n'.join([*formatted, ''])


def hyperparameters(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the hyperparameters of a row of results.csv."""
    return ('learning_rate', *(name for name in row if name not in RESULTS))


def point_of(row: Row) -> Point:
    """Hyperparameters of a row of results.csv, in the order of their columns."""
    return tuple(row[name] for name in hyperparameters(row))


def read_results(path: pathlib.Path) -> list[Row]:
    """Read results.csv; columns after `value` are hyperparameters of a search, numbers.

    Raises:
      InputError: as `read_table`.
    """
    return read_table(path, RESULTS, further=float)


def read_table(
    path: pathlib.Path, columns: Mapping[str, type], further: type | None = None
) -> list[Row]:
    """Read a table that `write_table` wrote.

    Args:
      path: the CSV file.
      columns: column -> type, in the order of the file.
      further: type of the columns after these; None if there must be none.

    Returns:
      A dict per row; an empty number is None.

    Raises:
      InputError: the file is missing, has other columns, is cut short, or holds a cell that is not
        of its column's type.
    """
    try:
        text = path.read_text(encoding='utf-8')
    except FileNotFoundError:
        raise InputError(
            f'{path.parent} holds no {path.name}: give the --workdir of a finished run'
        ) from None
    except UnicodeDecodeError:
        raise InputError(f'{path} is damaged (not UTF-8): run the experiment again') from None
    except OSError as error:
        raise InputError(
            f'{path} cannot be read ({error.strerror}): give the --workdir of a finished run'
        ) from None
    try:
        lines = list(csv.reader(io.StringIO(text)))
    except csv.Error as error:
        raise InputError(f'{path} is damaged ({error}): run the experiment again') from None
    if further and lines and lines[0][: len(columns)] == list(columns):
        columns = {**columns, **dict.fromkeys(lines[0][len(columns) :], further)}
    if not text.endswith('\n') or not lines or any(len(line) != len(columns) for line in lines[1:]):
        raise InputError(
            f'{path} is cut short at line {len(lines)}: run the experiment again to resume it'
        )
    if lines[0] != list(columns):
        raise InputError(
            f'{path}: columns {",".join(lines[0])}, where {",".join(columns)} are needed: '
            'run the experiment again'
        )
    return [_parse_row(path, number, line, columns) for number, line in enumerate(lines[1:], 2)]


def _format_value(name: str, value: Any, kind: type) -> str:
    if name == 'condition' and not value:
        return ALL
    return '' if value is None else repr(float(value)) if kind is float else str(value)


def _parse_row(
    path: pathlib.Path, number: int, line: Sequence[str], columns: Mapping[str, type]
) -> Row:
    try:
        return {
            name: _parse_text(name, text) if kind is str else kind(text) if text else None
            for (name, kind), text in zip(columns.items(), line, strict=True)
        }
    except ValueError as error:
        raise InputError(f'{path} line {number}: {error}: run the experiment again') from None


def _parse_text(name: str, text: str) -> str:
    return '' if name == 'condition' and text == ALL else text
