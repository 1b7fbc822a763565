"""Tables of images and their classes."""

import dataclasses
import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from jaxdl.data.listing import Listing, Note, note
from jaxdl.data.sources import class_names, table_columns
from jaxdl.data.sources.columns import SINGLE, home, listing, place, short, there
from jaxdl.data.sources.finder import locate
from jaxdl.data.sources.table_columns import NONE, ColumnNames, Record
from jaxdl.errors import InputError

RECOGNISED = ColumnNames()
_FORM = 'csv:FILE[:image_column:label_column]'


def csv(
    where: str,
    *,
    images: str = '',
    image_column: str = '',
    label_column: str = '',
    group_column: str = '',
    split_column: str = '',
    test_table: str = '',
    on_several_labels: str = 'stop',
) -> Listing:
    """List the images that a table names.

    Args:
      where: `FILE[:image_column:label_column]`; columns that are not named are recognised.
      images: folders of the images, separated by commas; by default `<stem>_images/`, `<stem>/`,
        `images/` and the folder of the table.
      image_column: name of the column of images.
      label_column: name of the column of classes, or of one-hot columns, separated by commas.
      group_column: name of the column of groups; `none` for no groups.
      split_column: name of the column of splits; `none` for no splits.
      test_table: a second table, of the test images.
      on_several_labels: as `columns.listing` takes it.

    Raises:
      InputError: a file, column or row is wrong.
    """
    file, columns = _parsed(where)
    names = ColumnNames(
        columns[0] or image_column, columns[1] or label_column, group_column, split_column
    )
    test = place(test_table, 'csv:FILE') if test_table else None
    return labelled(file, image_tops(file, images), names, test, images, on_several_labels)


def labelled(
    file: pathlib.Path,
    tops: Sequence[pathlib.Path],
    names: ColumnNames = RECOGNISED,
    test: pathlib.Path | None = None,
    images: str = '',
    on_several_labels: str = 'stop',
) -> Listing:
    """List the rows of a table, and of a second table of test images.

    Args:
      file: the table.
      tops: folders of its images; the first that has an image counts.
      names: of its columns.
      test: the table of the test images.
      images: folders of the images of the second table, as `csv` takes them.
      on_several_labels: as `columns.listing` takes it.
    """
    records, notes = table_columns.read_records(file, names)
    rows, more = _place_images(file, records, tops, on_several_labels)
    notes += more
    if test:
        own = dataclasses.replace(names, group=names.group or NONE, split=NONE)
        of_test, more = table_columns.read_records(test, own)
        of_test = [record._replace(part='test') for record in of_test]
        test_rows, again = _place_images(test, of_test, image_tops(test, images), on_several_labels)
        notes += more + again
        rows = _join(file, rows, test, test_rows)
    grouped = any(row.group for row in rows)
    return listing(
        str(file),
        [row.path for row in rows],
        [row.label for row in rows],
        [row.name for row in rows],
        parts=[row.part for row in rows],
        # An image without a group is a group by itself.
        groups=[row.group or f'{row.part} {row.name}' for row in rows] if grouped else None,
        notes=notes,
        on_several_labels=on_several_labels,
    )


class _Image(NamedTuple):
    """An image of a table: its file, its name in the table, its class, its group and its split."""

    path: pathlib.Path
    name: str
    label: str
    group: str
    part: str


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


def image_tops(file: pathlib.Path, images: str = '') -> list[pathlib.Path]:
    """Folders of the images of a table.

    Args:
      file: the table.
      images: the folders, separated by commas; empty for the usual ones next to the table.

    Raises:
      InputError: a folder does not exist.
    """
    if not images:
        return [*(top for top in _usual_tops(file) if top.is_dir()), file.parent]
    names = [images] if there(images) else images.split(',')
    for name in names:
        if not (there(name) and home(name).is_dir()):
            which = '' if name == images else f': {short(name, str)}'
            raise InputError(f'--images={images}: no such folder{which}')
    return [home(name) for name in names]


def _usual_tops(file: pathlib.Path) -> list[pathlib.Path]:
    """Folders of the images of a table: `<stem>_images/`, `<stem>/`, `images/`."""
    stem = file.stem
    short_stem = re.sub(r'(?i)[_ -]?(labels?|annotations?)$', '', stem) or 'train'
    names = [f'{name}{end}' for name in (stem, short_stem) for end in ('_images', '')]
    return [file.parent / name for name in dict.fromkeys((*names, 'images', 'image', 'imgs'))]


def _place_images(
    file: pathlib.Path,
    records: Sequence[Record],
    tops: Sequence[pathlib.Path],
    on_several_labels: str,
) -> tuple[list[_Image], tuple[Note, ...]]:
    """List each image of a table once.

    Raises:
      InputError: an image has two classes, groups or splits, its name is not valid, or none of the
        images exists.
    """
    located = locate([(record.name, record.where) for record in records], tops)
    if len(located.missing) == len(records):
        folders = ' or '.join(map(str, tops))
        raise InputError(
            f'{file}: none of its {len(records):,} images is in {folders} '
            f'(the first is {short(records[0].name)}); --images=DIR names their folder'
        )
    rows: dict[pathlib.Path, list[Record]] = {}
    for path, record in zip(located.paths, records, strict=True):
        rows.setdefault(path, []).append(record)
    images = [
        _Image(path, first.name, _one_label(same, on_several_labels), first.group, first.part)
        for path, same in rows.items()
        for first in same[:1]
    ]
    again = [record.name for same in rows.values() for record in same[1:]]
    return images, (*located.notes, *note('Rows that name an image again', again))


def _one_label(records: Sequence[Record], on_several_labels: str) -> str:
    """Class of the rows of one image; a list where there are several.

    Raises:
      InputError: the rows have several classes, which are not allowed, or another group or split.
    """
    first = records[0]
    for other in records[1:]:
        if other.label != first.label and on_several_labels == 'stop':
            raise InputError(
                f'{other.where}: {short(other.name)} is {short(other.label)}, and in '
                f'{first.where} {short(first.label)}; {SINGLE}'
            )
        if (other.group, other.part) != (first.group, first.part):
            raise InputError(
                f'{other.where}: {short(other.name)} has another group or split than in '
                f'{first.where}; name each image once'
            )
    labels = sorted({record.label for record in records})
    return class_names.join(labels)


def _join(
    file: pathlib.Path, rows: Sequence[_Image], test: pathlib.Path, test_rows: Sequence[_Image]
) -> list[_Image]:
    """The images of both tables; equal names get `test/` in front in the second.

    Raises:
      InputError: an image is in both tables.
    """
    paths = {row.path.resolve(): row for row in rows}
    both = [row for row in test_rows if row.path.resolve() in paths]
    if both:
        more = f', as are {len(both) - 1:,} more' if len(both) > 1 else ''
        raise InputError(
            f'{test}: {short(both[0].name)} is in {file} too{more}; a test image must not be '
            'trained on: remove it from one of the tables'
        )
    names = {row.name for row in rows}
    if any(row.name in names for row in test_rows):
        test_rows = [row._replace(name=f'test/{row.name}') for row in test_rows]
    return [*rows, *test_rows]
