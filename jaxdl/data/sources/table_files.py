"""Rows of a table file, as text."""

import io
import pathlib
from collections.abc import Iterator
from csv import Error, reader

from jaxdl.data.sources.columns import short
from jaxdl.errors import InputError

Rows = list[tuple[int, list[str]]]  # number of the line, cells


def read(file: pathlib.Path) -> tuple[list[str], Rows]:
    """Read a CSV.

    Returns:
      The header, and the rows with the numbers of their lines.

    Raises:
      InputError: the file is no CSV, is empty, or a row has another number of cells.
    """
    rows = list(_records(file, _text(file)))
    while rows and not any(rows[-1][1]):  # a spreadsheet writes its empty rows too
        rows.pop()
    if not rows:
        raise InputError(f'{file} is empty; a CSV has a header and a row for each image')
    header = rows[0][1]
    if len(rows) == 1:
        raise InputError(
            f'{file} has a header ({", ".join(map(short, header[:9]))}) and no rows; '
            'a row for each image is needed'
        )
    for line, cells in rows[1:]:
        if len(cells) != len(header):
            raise InputError(
                f'{file} line {line}: the header has {len(header)} columns, the row {len(cells)}'
            )
    return header, rows[1:]


def _text(file: pathlib.Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(
            f'cannot read {file}: {error.strerror}; make it readable, or name another'
        ) from None
    if data[:2] in (b'\xff\xfe', b'\xfe\xff'):
        raise InputError(f'{file} is UTF-16; save it as UTF-8')
    try:
        text = data.decode('utf-8-sig')
        bad = text.find('\0')
        problem = 'there is a NUL byte, so it is no CSV file'
        line = text.count('\n', 0, bad) + 1
    except UnicodeDecodeError as error:
        bad, problem = error.start, 'not UTF-8; save it as UTF-8'
        line, text = data.count(b'\n', 0, bad) + 1, ''
    if bad >= 0:
        raise InputError(f'{file} line {line}: {problem}')
    return text


def _records(file: pathlib.Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank, with the number of its first line."""
    delimiter = _delimiter(text)
    rows = reader(
        io.StringIO(text, newline=''), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    line = 1
    try:
        for cells in rows:
            stripped = [cell.strip() for cell in cells]
            if len(cells) > 1 or any(stripped):
                yield line, stripped
            line = rows.line_num + 1
    except Error as error:
        raise InputError(
            f'{file} line {line}: not a row of a CSV ({error}); is a quote left open?'
        ) from None


def _delimiter(text: str) -> str:
    first = next((line for line in io.StringIO(text, newline=None) if line.strip()), '')[:10_000]
    return max(
        ',;\t|',
        key=lambda d: len(
            next(reader([first.rstrip('\n')], delimiter=d, skipinitialspace=True), [])
        ),
    )
