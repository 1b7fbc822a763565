"""Read a table of results: CSV files, columns, rows, or a dataframe."""

import csv
import dataclasses
import hashlib
import io
import math
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxdl.errors import InputError

DELIMITERS = (',', ';', '\t')
LONGEST = 200  # characters of a list in a message
PLACES = 5  # rows that a message names
FORMS = 'a path, a mapping of column names to sequences, a list of rows, or a dataframe'


@dataclasses.dataclass(frozen=True)
class SourceFile:
    """A file of results: name in messages and the report, checksum, number of rows."""

    name: str
    sha256: str
    rows: int


@dataclasses.dataclass(frozen=True)
class Table:
    """A table as it was read.

    Attributes:
      name: for messages.
      columns: title -> cells, all of one length; None for an empty cell.
      paths: file of each row as named, or run in a chart of W&B; empty strings without a file.
      lines: number of each row: line of its file, or position in the table from 0.
      files: the files.
    """

    name: str
    columns: Mapping[str, Sequence[Any]]
    paths: Sequence[str]
    lines: Sequence[int]
    files: Sequence[SourceFile] = ()

    def place(self, row: int) -> str:
        """A row in messages: `FILE line 3`, or `row 3 (from 0)`."""
        path = self.paths[row]
        return f'{path} line {self.lines[row]}' if path else f'row {self.lines[row]} (from 0)'

    def places(self, rows: Sequence[int]) -> str:
        """Several rows in messages, the first of them by name."""
        more = f' and {len(rows) - PLACES} more' if len(rows) > PLACES else ''
        return ', '.join(map(self.place, rows[:PLACES])) + more


def read(table: Any) -> Table:
    """Read a table of any kind.

    Args:
      table: a path or a glob of CSV files with equal columns; a mapping of titles to sequences; a
        list of rows, each a mapping; or any dataframe that narwhals knows.

    Returns:
      The table.

    Raises:
      InputError: it is none of these, there is no such file, files have different columns, or a
        file is damaged.
    """
    if isinstance(table, str | pathlib.Path):
        return _read_files(str(table))
    if isinstance(table, Mapping):
        return _from_columns({str(title): _cells(title, cells) for title, cells in table.items()})
    if isinstance(table, list | tuple):
        return _from_rows(table)
    return _from_columns(_dataframe(table))


def shorten(names: Iterable[object]) -> str:
    """Names for a message, cut if they are many."""
    text = ', '.join(map(str, names))
    return text if len(text) <= LONGEST else f'{text[:LONGEST]} ...'


def _read_files(pattern: str) -> Table:
    paths = _find(pattern)
    tables = [_read_file(path) for path in paths]
    first = tables[0]
    for table in tables[1:]:
        different = sorted(set(first.columns) ^ set(table.columns))
        if different:
            raise InputError(
                f'{first.name} and {table.name} have different columns ({shorten(different)}): '
                'all files need the same columns'
            )
    return Table(
        name=first.name if len(tables) == 1 else f'{pattern} ({len(tables)} files)',
        columns={
            title: [cell for table in tables for cell in table.columns[title]]
            for title in first.columns
        },
        paths=[path for table in tables for path in table.paths],
        lines=[line for table in tables for line in table.lines],
        files=[file for table in tables for file in table.files],
    )


def _find(pattern: str) -> list[pathlib.Path]:
    """The file that `pattern` names, or the files that match it, in the order of their names."""
    try:
        path = pathlib.Path(pattern).expanduser()
        if path.is_file():
            return [path]
        if path.is_dir():
            raise InputError(
                f'results={pattern}: is a folder; name a CSV file, or a glob such as '
                f'{pattern.rstrip("/")}/*/metrics.csv'
            )
        top = pathlib.Path(path.anchor or '.')
        matches = sorted(p for p in top.glob(str(path.relative_to(path.anchor))) if p.is_file())
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError):  # too long, NUL, no such user, no glob
        matches = []
    if not matches:
        several = any(letter in pattern for letter in '*?[')
        problem = 'no file matches' if several else 'there is no such file'
        raise InputError(f'results={pattern}: {problem}; name a CSV file or a glob of CSV files')
    return matches


def _read_file(path: pathlib.Path) -> Table:
    try:
        content = path.read_bytes()
        text = content.decode('utf-8-sig')
    except UnicodeDecodeError:
        raise InputError(f'{path}: is not UTF-8 text; a CSV file is needed') from None
    except OSError as error:
        raise InputError(f'{path}: cannot be read ({error.strerror}); name another file') from None
    header = text.partition('\n')[0]
    delimiter = max(DELIMITERS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=''), delimiter=delimiter)
    rows, lines, titles = [], [], None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if titles is None:
                titles = [cell.strip() for cell in cells]
                continue
            if len(cells) != len(titles):
                raise InputError(
                    f'{path} line {reader.line_num}: {len(cells)} cells, but the header has '
                    f'{len(titles)} columns'
                )
            rows.append(cells)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise InputError(f'{path} line {reader.line_num}: is no CSV ({error})') from None
    if titles is None or not rows:
        raise InputError(f'{path}: has no rows; a header and a row per result are needed')
    twice = [title for title in titles if titles.count(title) > 1]
    if twice:
        raise InputError(f'{path}: two columns are called {twice[0]!r}; rename one of them')
    columns = {title: [_cell(row[i]) for row in rows] for i, title in enumerate(titles) if title}
    file = SourceFile(path.name, hashlib.sha256(content).hexdigest(), len(rows))
    return _unpivot(Table(str(path), columns, [path.as_posix()] * len(rows), lines, [file]))


def _unpivot(table: Table) -> Table:
    """A chart of W&B as one row per run and step; another table unchanged.

    The columns of a chart are `RUN - METRIC`, with `RUN - METRIC__MIN` and `RUN - METRIC__MAX`.
    """
    ends = ('__MIN', '__MAX')
    runs = {
        title: title.rpartition(' - ')
        for title in table.columns
        if ' - ' in title and all(f'{title}{end}' in table.columns for end in ends)
    }
    metrics = list(dict.fromkeys(metric for *_, metric in runs.values()))
    if not metrics:
        return table
    if len(metrics) > 1:
        raise InputError(
            f'{table.name}: has the metrics {shorten(metrics)} in columns of runs: export a chart '
            'of one metric'
        )
    left_out = {f'{title}{end}' for title in runs for end in ends}
    shared = [title for title in table.columns if title not in runs and title not in left_out]
    cells = [
        (run, row, cell)
        for title, (run, *_) in runs.items()
        for row, cell in enumerate(table.columns[title])
        if not is_empty(cell)
    ]
    if not cells:
        raise InputError(f'{table.name}: has no values of {metrics[0]}')
    columns = {title: [table.columns[title][row] for _, row, _ in cells] for title in shared}
    return dataclasses.replace(
        table,
        columns=columns | {metrics[0]: [cell for *_, cell in cells]},
        paths=[run for run, *_ in cells],
        lines=[table.lines[row] for _, row, _ in cells],
    )


def _from_columns(columns: Mapping[str, Sequence[Any]]) -> Table:
    lengths = {title: len(cells) for title, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        named = shorten(f'{title} {length}' for title, length in lengths.items())
        raise InputError(f'table: columns have different numbers of rows ({named})')
    rows = next(iter(lengths.values()), 0)
    if not rows:
        raise InputError('table: has no rows; a row per result is needed')
    cells = {title: [_cell(cell) for cell in column] for title, column in columns.items()}
    return Table('table', cells, [''] * rows, range(rows))


def _from_rows(rows: Sequence[Any]) -> Table:
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        raise InputError(f'table: must be {FORMS}; a list needs a mapping per row')
    titles = dict.fromkeys(title for row in rows for title in row)
    return _from_columns({str(title): [row.get(title) for row in rows] for title in titles})


def _cells(title: object, cells: Any) -> list[Any]:
    if isinstance(cells, str | bytes | Mapping) or not isinstance(cells, Iterable):
        raise InputError(f'table: column {title!r} must be a sequence with a cell per row')
    return list(cells)


def _dataframe(table: Any) -> dict[str, list[Any]]:
    import narwhals

    try:
        frame: Any = narwhals.from_native(table)
    except TypeError:
        raise InputError(f'table: {type(table).__name__} is not known; must be {FORMS}') from None
    if isinstance(frame, narwhals.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, narwhals.DataFrame):
        raise InputError(f'table: {type(table).__name__} is not known; must be {FORMS}')
    return {str(title): frame.get_column(title).to_list() for title in frame.columns}


def _cell(cell: Any) -> Any:
    """A cell as a Python object; None if it is empty. NaN of a number stays NaN."""
    if isinstance(cell, str):
        return cell.strip() or None
    if hasattr(cell, 'item') and not getattr(cell, 'shape', ()):  # a scalar of NumPy
        cell = cell.item()
    missing = type(cell).__name__ in ('NAType', 'NaTType')  # of pandas
    return None if missing else cell


def is_empty(cell: Any) -> bool:
    """Whether a cell has no value: None, or the NaN of a dataframe."""
    return cell is None or (isinstance(cell, float) and math.isnan(cell))
