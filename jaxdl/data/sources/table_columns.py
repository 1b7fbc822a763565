"""Columns of a table of images: image, class, group and split of each row."""

import dataclasses
import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from jaxdl.data.listing import Note, note
from jaxdl.data.sources import class_names, table_files
from jaxdl.data.sources.columns import IMAGE_COLUMNS, LABEL_COLUMNS, column, short
from jaxdl.data.sources.split_names import WORDS, assign_parts
from jaxdl.data.sources.table_files import Rows
from jaxdl.errors import InputError

NONE = 'none'  # for a column that is not used, whatever its name
# Names of columns, without case, spaces and signs.
SPLIT_COLUMNS = frozenset(
    [
        'split',
        'splits',
        'splittype',
        'datasplit',
        'subset',
        'settype',
        'partition',
        'usage',
        'phase',
    ]
)
# Names of columns that are splits only if all their values are.
PERHAPS_SPLIT_COLUMNS = frozenset(('set', 'dataset', 'part', 'type', 'group', 'fold'))
FOLD_COLUMNS = frozenset(('fold', 'folds', 'kfold', 'foldid', 'foldnumber', 'cvfold'))
_FLAG = re.compile(rf'is({"|".join(WORDS)})(images?|ing)?|({"|".join(WORDS)})(flag|mask)')
TRUE = frozenset(('1', '1.0', 'true', 'yes', 't', 'y'))
FALSE = frozenset(('0', '0.0', 'false', 'no', 'f', 'n'))


@dataclasses.dataclass(frozen=True)
class ColumnNames:
    """Names of columns as the user gives them; empty to recognise one, NONE for none."""

    image: str = ''
    label: str = ''
    group: str = ''
    split: str = ''


class Record(NamedTuple):
    """A row: the start of its error messages, image, class, group (may be empty) and split."""

    where: str
    name: str
    label: str
    group: str
    part: str


@dataclasses.dataclass(frozen=True)
class _Table:
    """A table as it is read, and the places of columns that are taken."""

    file: pathlib.Path
    header: list[str]
    rows: Rows
    notes: tuple[Note, ...] = ()

    def cells(self, place: int) -> list[str]:
        """The cells of a column; none may be empty."""
        for line, cells in self.rows:
            if not cells[place]:
                raise InputError(
                    f'{self.file} line {line}: {short(self.header[place])} is empty; '
                    'fill it, or remove the line'
                )
        return [cells[place] for _, cells in self.rows]

    def plain(self, place: int) -> str:
        return re.sub(r'[\W_]', '', self.header[place].lower())


def read_records(file: pathlib.Path, names: ColumnNames) -> tuple[list[Record], tuple[Note, ...]]:
    """Read the rows of a table.

    Args:
      file: the table.
      names: of its columns.

    Returns:
      The rows, and notes of columns that are recognised by more than the name of an image or class.

    Raises:
      InputError: a column is missing or not clear, or a cell is empty.
    """
    table = _Table(file, *table_files.read(file))
    how = f'--dataset=csv:{file}:image_column:label_column'
    image = column(table.header, names.image, IMAGE_COLUMNS, f'{file}: the column of images', how)
    taken = {image}
    group = None
    if names.group not in ('', NONE):
        group = column(table.header, names.group, (), f'{file}: the column of groups', '')
        taken.add(group)
    named = _named_labels(table, names.label)
    parts, places = _read_parts(table, names.split, taken | set(named))
    taken |= set(places)
    guesses = [f'{table.header[place]} as split' for place in places if not names.split]
    if group is None and not names.group:
        group = _fold_column(table, taken | set(named))
        guesses += [] if group is None else [f'{table.header[group]} as groups']
        taken |= set() if group is None else {group}
    labels, label_guesses = _read_labels(table, named, taken, how)
    groups = [''] * len(table.rows) if group is None else _groups(table, group, parts)
    images = table.cells(image)
    records = [
        Record(f'{file} line {line}', *values)
        for (line, _), *values in zip(table.rows, images, labels, groups, parts, strict=True)
    ]
    recognised = note('Columns recognised', [*guesses, *label_guesses])
    return records, (*table.notes, *recognised)


def _named_labels(table: _Table, name: str) -> list[int]:
    """Places of the columns of classes that the user names: one, or several one-hot columns."""
    subject = f'{table.file}: the column of classes'
    if not name:
        return []
    lower = [title.lower() for title in table.header]
    several = ',' in name and name.lower() not in lower
    names = [part.strip() for part in name.split(',')] if several else [name]
    return [column(table.header, part, (), subject, '') for part in names]


def _read_labels(
    table: _Table, named: Sequence[int], taken: set[int], how: str
) -> tuple[list[str], list[str]]:
    """Class of each row, and the guesses that were made.

    The classes are in a named column, in a column with a usual name, in one-hot columns, or in the
    only column that is left.
    """
    if named and set(named) & taken:
        place = next(iter(set(named) & taken))
        raise InputError(
            f'{table.file}: {short(table.header[place])} cannot be both the class and another '
            f'column; {how}'
        )
    if len(named) > 1:
        return _read_one_hot(table, named), []
    if named:
        return table.cells(named[0]), []
    left = [i for i in range(len(table.header)) if i not in taken and table.header[i]]
    usual = set().union(*LABEL_COLUMNS)
    if not any(table.plain(i) in usual for i in left):
        flags = [i for i in left if _is_binary(table, i)]
        if len(flags) > 1:
            names = ', '.join(table.header[i] for i in flags)
            return _read_one_hot(table, flags), [f'{names} as one-hot classes']
        if len(left) == 1 and taken:
            return table.cells(left[0]), [f'{table.header[left[0]]} as class']
    titles = [table.header[i] if i not in taken else '' for i in range(len(table.header))]
    rest = [title for title in titles if title] or table.header
    subject = f'{table.file}: the column of classes'
    return table.cells(titles.index(rest[column(rest, '', LABEL_COLUMNS, subject, how)])), []


def _is_binary(table: _Table, place: int) -> bool:
    values = {cells[place].lower() for _, cells in table.rows}
    return values <= TRUE | FALSE | {''} and bool(values & TRUE)


def _read_one_hot(table: _Table, places: Sequence[int]) -> list[str]:
    """Name of the column that is 1 in each row; a list where several are.

    Raises:
      InputError: a cell is no 0 or 1, or none in a row is 1.
    """
    names = [table.header[place] for place in places]
    labels = list[str]()
    for line, cells in table.rows:
        values = [cells[place].lower() for place in places]
        wrong = [value for value in values if value not in TRUE | FALSE | {''}]
        ones = [name for name, value in zip(names, values, strict=True) if value in TRUE]
        if wrong or not ones:
            problem = (
                f'{short(wrong[0])} is neither 0 nor 1'
                if wrong
                else 'none of them is 1, and an image without any needs a column of its own'
            )
            raise InputError(
                f'{table.file} line {line}: one-hot columns {short(", ".join(names), str)}: '
                f'{problem}; name the columns of classes: --set=label_column=A,B,C'
            )
        labels.append(class_names.join(ones))
    return labels


def _read_parts(table: _Table, name: str, taken: set[int]) -> tuple[list[str], list[int]]:
    """Split of each row, and the places of the columns that say so; all `train` without such."""
    places = _split_columns(table, name, taken)
    if not places:
        return ['train'] * len(table.rows), []
    flags = [_flag_part(table.plain(place)) for place in places]
    if all(flags) and all(_is_flag(table, place) for place in places):
        return _read_flags(table, places, flags), places
    if len(places) > 1:
        titles = ', '.join(short(table.header[place]) for place in places)
        raise InputError(
            f'{table.file}: the column of splits: several could be it: {titles}; name it: '
            f'--set=split_column={table.header[places[0]]}, or --set=split_column={NONE}'
        )
    cells = table.cells(places[0])
    values = sorted(set(cells))
    parts = assign_parts(values)
    unknown = [value for value in values if value not in parts]
    if unknown:
        title = table.header[places[0]]
        groups = f', --set=group_column={title} keeps each value in one split' * (len(values) > 2)
        raise InputError(
            f'{table.file}: the column of splits {short(title)} has {short(unknown[0])}, which is '
            f'no split: rename it to train, val or test; --set=split_column={NONE} ignores the '
            f'column{groups}'
        )
    return [parts[cell] for cell in cells], places


def _split_columns(table: _Table, name: str, taken: set[int]) -> list[int]:
    """Places of the columns of splits."""
    if name == NONE:
        return []
    if name:
        how = f'--set=split_column=NAME, or --set=split_column={NONE}'
        return [column(table.header, name, (), f'{table.file}: the column of splits', how)]
    left = [i for i in range(len(table.header)) if i not in taken]
    sure = [
        i
        for i in left
        if table.plain(i) in SPLIT_COLUMNS or (_flag_part(table.plain(i)) and _is_flag(table, i))
    ]
    if sure:
        return sure
    perhaps = [i for i in left if table.plain(i) in PERHAPS_SPLIT_COLUMNS]
    values = {i: {cells[i] for _, cells in table.rows} for i in perhaps}
    return [i for i in perhaps if values[i] <= assign_parts(values[i]).keys()]


def _flag_part(plain: str) -> str:
    """The split that a column such as `is_valid` flags; else empty."""
    match = _FLAG.fullmatch(plain)
    return WORDS[match[1] or match[3]] if match else ''


def _is_flag(table: _Table, place: int) -> bool:
    return {cells[place].lower() for _, cells in table.rows} <= TRUE | FALSE


def _read_flags(table: _Table, places: Sequence[int], flags: Sequence[str]) -> list[str]:
    """Split of each row by columns such as `is_valid`."""
    other = 'train' if 'train' not in flags else 'test' if 'test' not in flags else ''
    parts = list[str]()
    for line, cells in table.rows:
        flagged = {
            part for place, part in zip(places, flags, strict=True) if cells[place].lower() in TRUE
        } or {other}
        if len(flagged) > 1 or '' in flagged:
            titles = ', '.join(short(table.header[place]) for place in places)
            raise InputError(f'{table.file} line {line}: just one of {titles} must be true')
        parts.append(flagged.pop())
    return parts


def _fold_column(table: _Table, taken: set[int]) -> int | None:
    """Place of a column of folds with several values."""
    places = [
        i
        for i in range(len(table.header))
        if i not in taken
        and table.plain(i) in FOLD_COLUMNS
        and len({cells[i] for _, cells in table.rows}) > 1
    ]
    return places[0] if places else None


def _groups(table: _Table, place: int, parts: Sequence[str]) -> list[str]:
    """Group of each row; a fold that occurs in several splits is a group in each."""
    cells = table.cells(place)
    if table.plain(place) not in FOLD_COLUMNS:
        return cells
    return [
        f'fold {cell}' if part == 'train' else f'{part} fold {cell}'
        for cell, part in zip(cells, parts, strict=True)
    ]
