"""Shared by all sources: paths, recognition of columns, and labels from class names."""

import collections
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jaxdl.data.listing import Listing
from jaxdl.errors import InputError, nearest

IMAGE_SUFFIXES = frozenset(
    (
        '.jpg',
        '.jpeg',
        '.jpe',
        '.jfif',
        '.png',
        '.webp',
        '.bmp',
        '.gif',
        '.tif',
        '.tiff',
        '.ppm',
        '.pgm',
        '.avif',
    )
)
# Names of columns, without case, spaces and underscores; the more certain names first.
IMAGE_COLUMNS = (
    frozenset(
        f'{start}{end}'
        for start in ('image', 'img', 'file', 'imagefile')
        for end in ('', 'id', 'name', 'file', 'path')
    )
    | {'path'},
    frozenset(('id', 'name', 'key')),
)
LABEL_COLUMNS = (
    frozenset(
        (
            'class',
            'classname',
            'label',
            'labelname',
            'category',
            'categoryname',
            'target',
            'targetname',
        )
    ),
    frozenset(('classid', 'labelid', 'categoryid', 'targetid', 'labels', 'y')),
)
# Name of a split in a folder, an archive or a set of Hugging Face -> our name.
PARTS = dict(
    train='train',
    training='train',
    val='val',
    valid='val',
    validation='val',
    test='test',
    testing='test',
)


def home(where: str) -> pathlib.Path:
    """Convert `where` to a path; a shell does not expand the ~ of folder:~/images."""
    try:
        return pathlib.Path(where).expanduser()
    except RuntimeError:  # no such user
        return pathlib.Path(where)


def there(where: str) -> bool:
    """Whether `where` names a file or folder."""
    try:
        return home(where).exists()
    except (OSError, ValueError):  # too long, NUL
        return False


def place(where: str, form: str) -> pathlib.Path:
    """Find the file or folder that `where` names.

    Args:
      where: a path.
      form: the form of `--dataset`, such as `folder:DIR` or `csv:FILE`.

    Raises:
      InputError: it is missing, or of the other kind.
    """
    if not where:
        raise InputError(f'--dataset={form.split(":")[0]} needs a path: --dataset={form}')
    if not there(where):
        raise InputError(
            f'--dataset={form}: no such {"folder" if form.endswith("DIR") else "file"}: '
            f'{short(where, str)}'
        )
    path = home(where)
    if form.endswith('DIR') and not path.is_dir():
        raise InputError(f'--dataset={form}: {where} is a file, not a folder')
    if form.endswith('FILE') and path.is_dir():
        raise InputError(
            f'--dataset={form}: {where} is a folder, not a file; '
            f'for a folder of images: --dataset=folder:{where}'
        )
    return path


def column(
    header: Sequence[str], name: str, usual: tuple[frozenset[str], ...], subject: str, advice: str
) -> int:
    """Find a column by its name, or recognise it.

    Args:
      header: names of all columns.
      name: name of the column; empty to recognise it.
      usual: names by which it is recognised, the more certain ones first.
      subject: the start of error messages, such as `FILE: the column of images`.
      advice: how the user names the column.

    Returns:
      Its index in `header`.

    Raises:
      InputError: there is none, or there are several.
    """
    if name:
        matches = [i for i, title in enumerate(header) if title == name]
        matches = matches or [i for i, title in enumerate(header) if title.lower() == name.lower()]
        if not matches:
            raise InputError(
                f'{subject}: there is no {short(name)}: {short(nearest(name, header), str)}'
            )
    else:
        plain = [re.sub(r'[\W_]', '', title.lower()) for title in header]
        tiers = ([i for i, title in enumerate(plain) if title in tier] for tier in usual)
        matches = next((tier for tier in tiers if tier), [])
    if len(matches) == 1:
        return matches[0]
    columns = ', '.join(map(short, header))
    if len(columns) > 300:
        columns = columns[:300] + ' ...'
    problem = 'several could be it' if matches else 'none is recognised'
    raise InputError(f'{subject}: {problem} among {columns}; name it: {advice}')


def listing(
    name: str,
    images: Any,
    classes: Sequence[str],
    ids: Iterable[str],
    *,
    class_order: Sequence[str] = (),
    parts: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    note: str = '',
) -> Listing:
    """Make a Listing of images with a class name and an id each.

    Args:
      name: the source, for messages.
      images: as in `Listing`.
      classes: class name of each image.
      ids: a unique name of each image.
      class_order: class names in the order of their labels; those without images are left out.
        Without it, names are sorted (numbers by size).
      parts: split of each image, where the source fixes it.
      groups: group of each image, where the source names it.
      note: end of the description.

    Raises:
      InputError: there are no images, fewer than two classes, or equal ids.
    """
    ids, present = tuple(ids), set(classes)
    class_names: Sequence[str] = [c for c in class_order if c in present] or ordered(present)
    if not ids:
        raise InputError(f'{name}: no images; at least two, of two classes, are needed')
    if '' in present:
        raise InputError(f'{name}: an empty class name; every image needs a class')
    if len(class_names) < 2:
        raise InputError(
            f'{name}: all images are of one class, {short(min(present))}; two are needed'
        )
    _writable(name, (*ids, *class_names))
    if len(set(ids)) < len(ids):
        counts = collections.Counter(ids)
        twice = next(i for i in ids if counts[i] > 1)
        raise InputError(f'{name}: the id {short(twice)} occurs twice; ids must differ')
    parts = _fixed(name, parts, classes)
    number = {c: i for i, c in enumerate(class_names)}
    return Listing(
        name=name,
        description=f'{name}: {len(ids):,} images of {len(class_names)} classes'
        + (note and f'; {note}'),
        images=images,
        labels=np.array([number[c] for c in classes], np.int32),
        ids=ids,
        class_names=tuple(class_names),
        parts=parts,
        groups=None if groups is None else tuple(groups),
    )


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Sort names; by size where all are whole numbers ('2' before '10')."""
    names = list(names)
    numbers = all(re.fullmatch(r'-?[0-9]{1,18}', name) for name in names)
    return tuple(sorted(names, key=(lambda name: (int(name), name)) if numbers else None))


def short(text: str, form: Any = repr) -> str:
    """Quote `text` on one line, cut if it is long."""
    line = ' '.join(text.split()) if form is str else text
    return form(line if len(line) <= 200 else line[:197] + '...')


def _writable(name: str, texts: Iterable[str]) -> None:
    """Refuse names that are not UTF-8: a report cannot contain them."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(f'{name}: the name {text!a} is not UTF-8; rename it') from None


def _fixed(
    name: str, parts: Sequence[str] | None, classes: Sequence[str]
) -> tuple[str, ...] | None:
    """Normalise fixed splits; None if all images are in `train`.

    A `val` without a `test` becomes the test split.
    """
    if parts is None or set(parts) <= {'train'}:
        return None
    trained = {c for c, part in zip(classes, parts, strict=True) if part == 'train'}
    untrained = sorted(set(classes) - trained)
    if untrained:
        raise InputError(
            f'{name}: class {short(untrained[0])} has images in val or test and none in train; '
            'add some'
        )
    return (
        tuple(parts)
        if 'test' in parts
        else tuple('test' if part == 'val' else part for part in parts)
    )
