"""CSV files of images and their classes."""

import io
import pathlib
import re
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
from jaxdl.data.sources.finder import finder, inside
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
    on_several_labels: str = 'stop',
) -> Listing:
    """List the images that a CSV names.

    Args:
      where: `FILE[:image_column:label_column]`; columns that are not named are recognised.
      images: folder of the images; by default `<stem>_images/` or the folder of the CSV.
      image_column: name of the column of images.
      label_column: name of the column of classes.
      group_column: name of the column of groups.
      on_several_labels: as `columns.listing` takes it.

    Raises:
      InputError: a file, column or row is wrong.
    """
    file, columns = _parsed(where)
    image_column, label_column = columns[0] or image_column, columns[1] or label_column
    return labelled(
        file,
        _tops(file, images),
        image_column,
        label_column,
        group_column,
        on_several_labels=on_several_labels,
    )


def labelled(
    file: pathlib.Path,
    tops: Sequence[pathlib.Path],
    image_column: str = '',
    label_column: str = '',
    group_column: str = '',
    *,
    on_several_labels: str = 'stop',
) -> Listing:
    """List the rows of `file` with their images in the first folder of `tops` that has them."""
    header, rows = read(file)
    how = f'--dataset=csv:{file}:image_column:label_column'
    image = column(header, image_column, IMAGE_COLUMNS, f'{file}: the column of images', how)
    label = column(header, label_column, LABEL_COLUMNS, f'{file}: the column of classes', how)
    if image == label:
        raise InputError(
            f'{file}: {short(header[image])} cannot be both the image and the class; {how}'
        )
    group = (
        column(header, group_column, (), f'{file}: the column of groups', '')
        if group_column
        else None
    )
    used = [i for i in (image, label, group) if i is not None]
    images, any_there = _unique_images(
        file,
        tops,
        [(line, *(_filled(file, line, header, cells, i) for i in used)) for line, cells in rows],
    )
    if not any_there:
        folders = ' or '.join(map(str, tops))
        raise InputError(
            f'{file}: none of its {len(images):,} images is in {folders} '
            f'(the first is {short(images[0][1])}); --images=DIR names their folder'
        )
    paths, ids, classes, *groups = zip(*images, strict=True)
    return listing(
        str(file),
        list(paths),
        classes,
        ids,
        groups=groups[0] if groups else None,
        on_several_labels=on_several_labels,
    )


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


def _parsed(where: str) -> tuple[pathlib.Path, tuple[str, str]]:
    """Split `where` into the file and two columns; a path may itself contain colons."""
    words = where.split(':')
    lengths = (n for n in range(len(words), 0, -1) if there(':'.join(words[:n])))
    n = next(lengths, len(words))
    file = place(':'.join(words[:n]), 'csv:FILE')
    columns = [word.strip() for word in words[n:]]
    if len(columns) > 2:
        raise InputError(
            f'--dataset=csv:{where}: {len(columns)} columns after {file}; '
            f'the form is --dataset={_FORM}'
        )
    image, label = [*columns, '', ''][:2]
    return file, (image, label)


def _tops(file: pathlib.Path, images: str) -> list[pathlib.Path]:
    if images:
        top = home(images)
        if not (there(images) and top.is_dir()):
            raise InputError(f'--images={images}: no such folder')
        return [top]
    return [*(top for top in _usual_tops(file) if top.is_dir()), file.parent]


def _usual_tops(file: pathlib.Path) -> list[pathlib.Path]:
    """Folders of the images of a table: `<stem>_images/`, `<stem>/`, `images/`."""
    stem = file.stem
    short_stem = re.sub(r'(?i)[_ -]?(labels?|annotations?)$', '', stem) or 'train'
    names = [f'{name}{end}' for name in (stem, short_stem) for end in ('_images', '')]
    return [file.parent / name for name in dict.fromkeys((*names, 'images', 'image', 'imgs'))]


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


def _filled(file: pathlib.Path, line: int, header: list[str], cells: list[str], i: int) -> str:
    if not cells[i]:
        raise InputError(
            f'{file} line {line}: {short(header[i])} is empty; fill it, or remove the line'
        )
    return cells[i]


def _unique_images(
    file: pathlib.Path, tops: Sequence[pathlib.Path], rows: Sequence[tuple]
) -> tuple[list[tuple], bool]:
    """List each image once.

    Args:
      file: the CSV, for messages.
      tops: folders of images.
      rows: (line, name, class[, group]).

    Returns:
      (path, name, class[, group]) of each image, and whether any file exists.

    Raises:
      InputError: an image has two classes, or its name is not valid.
    """
    find, images, any_there = finder(tops), {}, False
    for line, name, kind, *group in rows:
        where = f'{file} line {line}'
        path = find(name, where)
        any_there = any_there or path is not None
        path = path or tops[0] / inside(name, where)  # the decoder names what is missing
        before = images.setdefault(path, (line, name, kind, *group))
        if before[2] != kind:
            raise InputError(
                f'{where}: {short(name)} is {short(kind)}, and in line {before[0]} '
                f'{short(before[2])}'
            )
    return [(path, *row[1:]) for path, row in images.items()], any_there
