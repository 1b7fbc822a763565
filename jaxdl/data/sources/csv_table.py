"""CSV files that name images and their classes."""

import io
import pathlib
from collections.abc import Iterator, Sequence
from csv import Error, reader

from jaxdl.data.listing import Listing
from jaxdl.data.sources.columns import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    column,
    home,
    listing,
    place,
    short,
    there,
)
from jaxdl.data.sources.folder import finder, inside
from jaxdl.errors import InputError

_FORM = 'csv:FILE[:image_column:label_column]'
Rows = list[tuple[int, list[str]]]


def csv(
    where: str,
    *,
    images: str = '',
    image_column: str = '',
    label_column: str = '',
    group_column: str = '',
) -> Listing:
    """The images that a CSV names, from the folder `images`.

    Else `<stem>_images/` or the CSV's own folder.

    where: `FILE[:image_column:label_column]`; columns that are not named are recognised.
    """
    file, columns = _parsed(where)
    image_column, label_column = columns[0] or image_column, columns[1] or label_column
    return labelled(file, _tops(file, images), image_column, label_column, group_column)


def labelled(
    file: pathlib.Path,
    tops: Sequence[pathlib.Path],
    image_column: str = '',
    label_column: str = '',
    group_column: str = '',
) -> Listing:
    """The rows of `file` with their images in the first of the folders `tops` that has them."""
    header, rows = read(file)
    how = f'--dataset=csv:{file}:image_column:label_column'
    image = column(header, image_column, IMAGE_COLUMNS, f'{file}: the column of images', how)
    label = column(header, label_column, LABEL_COLUMNS, f'{file}: the column of classes', how)
    if image == label:
        raise InputError(
            f'{file}: {short(header[image])} cannot name both the images and their classes; {how}'
        )
    group = (
        column(header, group_column, (), f'{file}: the column of groups', '')
        if group_column
        else None
    )
    used = [i for i in (image, label, group) if i is not None]
    kept, some = _kept(
        file,
        tops,
        [(line, *(_filled(file, line, header, cells, i) for i in used)) for line, cells in rows],
    )
    if not some:
        looked = ' or '.join(map(str, tops))
        raise InputError(
            f'{file}: none of its {len(kept):,} images is in {looked} (the first is {short(kept[0][1])}); '
            f'--images=DIR names their folder'
        )
    paths, ids, classes, *groups = zip(*kept, strict=True)
    return listing(str(file), list(paths), classes, ids, groups=groups[0] if groups else None)


def read(file: pathlib.Path) -> tuple[list[str], Rows]:
    """The header of a CSV and its rows, each with the number of its line.

    InputError where a row does not fit.
    """
    rows = list(_records(file, _text(file)))
    while rows and not any(rows[-1][1]):  # a spreadsheet writes its empty rows too
        rows.pop()
    if not rows:
        raise InputError(f'{file} is empty; a CSV has a header and a row for each image')
    header = rows[0][1]
    if len(rows) == 1:
        raise InputError(
            f'{file} has a header ({", ".join(map(short, header[:9]))}) and no rows; a row for each image is needed'
        )
    for line, cells in rows[1:]:
        if len(cells) != len(header):
            raise InputError(
                f'{file} line {line}: the header has {len(header)} columns and this row {len(cells)}'
            )
    return header, rows[1:]


def _parsed(where: str) -> tuple[pathlib.Path, tuple[str, str]]:
    """FILE is the longest beginning of `where` that is there: a path may have colons of its own."""
    words = where.split(':')
    lengths = (n for n in range(len(words), 0, -1) if there(':'.join(words[:n])))
    n = next(lengths, len(words))
    file = place(':'.join(words[:n]), 'csv:FILE')
    columns = [word.strip() for word in words[n:]]
    if len(columns) > 2:
        raise InputError(
            f'--dataset=csv:{where}: {len(columns)} columns after {file}; right is --dataset={_FORM}'
        )
    image, label = [*columns, '', ''][:2]
    return file, (image, label)


def _tops(file: pathlib.Path, images: str) -> list[pathlib.Path]:
    if images:
        top = home(images)
        if not (there(images) and top.is_dir()):
            raise InputError(f'--images={images}: no such folder')
        return [top]
    beside = file.parent / f'{file.stem}_images'
    return [beside, file.parent] if beside.is_dir() else [file.parent]


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
        problem = 'there is a NUL byte, so this is no CSV file'
        line = text.count('\n', 0, bad) + 1
    except UnicodeDecodeError as error:
        bad, problem = error.start, 'not UTF-8; save it as UTF-8'
        line, text = data.count(b'\n', 0, bad) + 1, ''
    if bad >= 0:
        raise InputError(f'{file} line {line}: {problem}')
    return text


def _records(file: pathlib.Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, with the number of its first line."""
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


def _filled(file: pathlib.Path, line: int, header: list[str], cells: list[str], i: int) -> str:
    if not cells[i]:
        raise InputError(
            f'{file} line {line}: {short(header[i])} is empty; fill it, or remove the line'
        )
    return cells[i]


def _kept(
    file: pathlib.Path, tops: Sequence[pathlib.Path], rows: Sequence[tuple]
) -> tuple[list[tuple], bool]:
    """(path, id, class[, group]) of each image once, and whether any file is there.

    Rows begin with their lines.
    """
    find, kept, some = finder(tops), {}, False
    for line, name, kind, *group in rows:
        where = f'{file} line {line}'
        path = find(name, where)
        some = some or path is not None
        path = path or tops[0] / inside(name, where)  # the decoder says what is missing
        before = kept.setdefault(path, (line, name, kind, *group))
        if before[2] != kind:
            raise InputError(
                f'{where}: {short(name)} is {short(kind)}, and in line {before[0]} it is {short(before[2])}'
            )
    return [(path, *row[1:]) for path, row in kept.items()], some
