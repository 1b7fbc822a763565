"""Rows of a table file, as text: CSV, also compressed, Parquet and Excel workbooks."""

import bz2
import gzip
import io
import lzma
import pathlib
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from csv import Error, reader
from typing import Any, NamedTuple

from jaxdl.data.listing import Note, note
from jaxdl.data.sources.class_names import join
from jaxdl.data.sources.columns import short
from jaxdl.errors import InputError
from jaxdl.workdir import zip_safety

Rows = list[tuple[int, list[str]]]  # number of the line, cells
LARGE = 2**30  # bytes that a compressed table may unpack to
CELLS_PER_BYTE = 100  # of a Parquet file, beyond FEW cells
FEW = 10_000_000
INSTALL = "pip install 'jaxdl[tables]', or save it as CSV"
SAVE = 'save it as CSV'
COMPRESSED = {b'\x1f\x8b': gzip.open, b'BZh': bz2.open, b'\xfd7zXZ\0': lzma.open}
# First bytes -> name of a format that is not read.
OTHERS = {
    b'\xd0\xcf\x11\xe0': 'a workbook of Excel 97 (.xls)',
    b'ARROW1': 'an Arrow file (.feather, .arrow)',
    b'SQLite format 3': 'an SQLite database',
    b'\x89HDF': 'an HDF5 file',
    b'\x93NUMPY': 'a NumPy array',
    b'\x28\xb5\x2f\xfd': 'compressed by Zstandard',
    b'%PDF': 'a PDF document',
    b'\x89PNG': 'a PNG image',
    b'\xff\xd8\xff': 'a JPEG image',
    **{bytes([0x80, protocol]): 'a pickle' for protocol in range(2, 6)},
}
ARCHIVED = {
    'xl/workbook.bin': 'a binary workbook of Excel (.xlsb)',
    'content.xml': 'a workbook of LibreOffice (.ods)',
    'Index/Document.iwa': 'a workbook of Numbers',
}


class TableFile(NamedTuple):
    """A table: its header, its rows with the numbers of their lines, and notes."""

    header: list[str]
    rows: Rows
    notes: tuple[Note, ...] = ()


def read(file: pathlib.Path) -> TableFile:
    """Read a table.

    Args:
      file: a CSV or TSV, also compressed by gzip, bzip2 or xz; Parquet; a workbook of Excel
        (.xlsx), of which the first sheet with rows is read.

    Raises:
      InputError: the file has another format, is damaged or empty, or a row has another number of
        cells.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(
            f'cannot read {file}: {error.strerror}; make it readable, or name another'
        ) from None
    notes: tuple[Note, ...] = ()
    if data.startswith(b'PAR1'):
        rows = _read_parquet(file, data)
    elif data.startswith(b'PK\x03\x04'):
        rows, notes = _read_workbook(file, data)
    else:
        rows = list(_records(file, _text(file, _unpack(file, data))))
    while rows and not any(rows[-1][1]):  # a spreadsheet writes its empty rows too
        rows.pop()
    if not rows:
        raise InputError(f'{file} is empty; a table has a header and a row for each image')
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
    return TableFile(header, rows[1:], notes)


def _unpack(file: pathlib.Path, data: bytes) -> bytes:
    """The text of a table that may be compressed.

    Raises:
      InputError: it is a file of another format, damaged, or too large.
    """
    opener = next((o for start, o in COMPRESSED.items() if data.startswith(start)), None)
    if opener:
        try:
            with opener(io.BytesIO(data)) as unpacked:
                data = unpacked.read(LARGE + 1)
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            raise InputError(f'{file} is damaged ({error}); compress it again') from None
        if len(data) > LARGE:
            raise InputError(f'{file} unpacks to more than {LARGE:,} bytes; unpack it')
    name = next((name for start, name in OTHERS.items() if data.startswith(start)), '')
    if not name and data.startswith((b'PAR1', b'PK\x03\x04')):
        name = 'compressed twice: unpack it once'
    first = data[:1000].lstrip()
    if not name and first.startswith((b'{', b'[{', b'["', b'<')):
        name = 'HTML or XML' if first.startswith(b'<') else 'JSON'
    if name:
        raise InputError(f'{file} is {name}; {SAVE}')
    return data


def _read_parquet(file: pathlib.Path, data: bytes) -> Rows:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InputError(f'{file} is Parquet: {INSTALL}') from None
    try:
        content = parquet.ParquetFile(pyarrow.BufferReader(data))
        cells = content.metadata.num_rows * content.metadata.num_columns
        if cells > max(FEW, CELLS_PER_BYTE * len(data)):
            raise InputError(f'{file}: {cells:,} cells in {len(data):,} bytes; {SAVE}')
        table = content.read()
        names = [name for name in table.column_names if not name.startswith('__index_level_')]
        columns = [
            [_cell(file, name, value) for value in table[name].to_pylist()] for name in names
        ]
    except (pyarrow.ArrowException, OSError, KeyError) as error:
        raise InputError(f'{file} is damaged ({short(str(error), str)}); write it again') from None
    return list(enumerate([names, *map(list, zip(*columns, strict=True))], 1))


def _read_workbook(file: pathlib.Path, data: bytes) -> tuple[Rows, tuple[Note, ...]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
        zip_safety.check(file)
    except (zipfile.BadZipFile, OSError, ValueError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f'{file} is damaged ({error}); write it again') from None
    if 'xl/workbook.xml' not in names:
        other = next((title for name, title in ARCHIVED.items() if name in names), '')
        raise InputError(f'{file} is {other or "a zip archive"}; {SAVE if other else "unpack it"}')
    try:
        import openpyxl
    except ImportError:
        raise InputError(f'{file} is a workbook of Excel: {INSTALL}') from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of formats of cells that do not matter here
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            sheets = {sheet.title: _sheet(file, sheet) for sheet in book.worksheets}
    except InputError:
        raise
    except Exception as error:  # openpyxl has no one error for a damaged file
        reason = short(f'{type(error).__name__}: {error}', str)
        raise InputError(f'{file} is damaged ({reason}); write it again') from None
    filled = [title for title, rows in sheets.items() if rows]
    return sheets[filled[0]] if filled else [], note('Passed over: further sheets', filled[1:])


def _sheet(file: pathlib.Path, sheet: Any) -> Rows:
    """Rows of a sheet that are not blank, with as many cells as the header."""
    sheet.reset_dimensions()  # programs write wrong ones
    rows, width = list[tuple[int, list[str]]](), 0
    for line, values in enumerate(sheet.iter_rows(values_only=True), 1):
        cells = [_cell(file, sheet.title, value) for value in values]
        while cells and not cells[-1]:
            cells.pop()
        width = width or len(cells)
        if cells:
            rows.append((line, cells + [''] * (width - len(cells))))
    return rows


def _cell(file: pathlib.Path, name: str, value: Any) -> str:
    """A value as text."""
    if value is None:
        return ''
    if isinstance(value, bytes) or (isinstance(value, dict) and 'bytes' in value):
        raise InputError(
            f'{file}: column {short(name)} holds encoded images: read it by --dataset=hf:{file}'
        )
    if isinstance(value, (list, tuple)):
        return join(list(map(str, value))) if value else '[]'
    return str(value).strip()


def _text(file: pathlib.Path, data: bytes) -> str:
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
    tabs = {'.tsv', '.tab'} & {suffix.lower() for suffix in file.suffixes}
    delimiter = '\t' if tabs else _delimiter(text)
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
