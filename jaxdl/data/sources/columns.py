"""Shared by all sources: paths, recognition of columns, and labels from class names."""

import collections
import dataclasses
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jaxdl.data.listing import Listing, Note, drop_empty_classes
from jaxdl.data.listing import note as make_note
from jaxdl.data.sources import class_names
from jaxdl.errors import InputError, nearest

SINGLE = (
    'jaxdl has single-label classification only, since its losses, metrics, calibration and files '
    'are of one class per image; --set=on_several_labels=skip leaves these images out, '
    '--set=on_several_labels=class takes each such name as a class'
)

AS_TEST = 'No test split: the validation split is the test split, images'
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
    notes: Sequence[Note] = (),
    on_several_labels: str = 'stop',
) -> Listing:
    """Make a Listing of images with a class name and an id each.

    Spellings of one class name are one class. The images of a class that occurs in val or test
    only stay: `loading.load` leaves them out of a training.

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
      notes: things that the source left out, guessed or renamed.
      on_several_labels: `stop`, `skip` or `class`: refuse names that are several labels, leave
        their images out, or take each such name as a class.

    Raises:
      InputError: there are no images, an empty class name, several labels per image, or equal ids.
    """
    ids = tuple(ids)
    if not ids:
        raise InputError(f'{name}: no images; at least two, of two classes, are needed')
    names, spelling = class_names.unify(classes, class_order)
    classes = [names[kind] for kind in classes]
    present = set(classes)
    if any(
        not class_names.canonical(kind) or class_names.parse_list(kind) == () for kind in present
    ):
        raise InputError(f'{name}: an empty class name; every image needs a class')
    order = [kind for kind in dict.fromkeys(names[kind] for kind in class_order) if kind in present]
    order = order or class_names.ordered(present)
    check_text(name, (*ids, *order))
    if len(set(ids)) < len(ids):
        counts = collections.Counter(ids)
        twice = next(i for i in ids if counts[i] > 1)
        raise InputError(f'{name}: the id {short(twice)} occurs twice; ids must differ')
    number = {kind: i for i, kind in enumerate(order)}
    parts, as_test = _normalise_parts(parts)
    result = Listing(
        name=name,
        description='',
        images=images,
        labels=np.array([number[kind] for kind in classes], np.int32),
        ids=ids,
        class_names=tuple(order),
        parts=parts,
        groups=None if groups is None else tuple(groups),
        notes=(*notes, *spelling, *as_test),
    )
    result = _single_labels(result, on_several_labels)
    counts = f'{len(result.ids):,} images of {len(result.class_names)} classes'
    return dataclasses.replace(result, description=f'{name}: {counts}' + (note and f'; {note}'))


def short(text: str, form: Any = repr) -> str:
    """Quote `text` on one line, cut if it is long."""
    line = ' '.join(text.split()) if form is str else text
    return form(line if len(line) <= 200 else line[:197] + '...')


def _single_labels(listing: Listing, on_several_labels: str) -> Listing:
    """Refuse or leave out images of several labels; a list of one label is this label."""
    lists = {name: class_names.parse_list(name) for name in listing.class_names}
    single = {name: parts[0] for name, parts in lists.items() if parts and len(parts) == 1}
    if single:
        names = [single.get(name, name) for name in listing.class_names]
        order = class_names.ordered(set(names))
        labels = np.array([order.index(name) for name in names], np.int32)[listing.labels]
        listing = dataclasses.replace(listing, labels=labels, class_names=order)
    sets = class_names.label_sets(listing.class_names)
    if on_several_labels == 'class':
        joined = {name: ' + '.join(parts) for name, parts in lists.items() if parts}
        names = tuple(joined.get(name, name) for name in listing.class_names)
        return dataclasses.replace(listing, class_names=names)
    if not sets:
        return listing
    several = np.isin(listing.labels, [listing.class_names.index(name) for name in sets])
    name, parts = next(iter(sets.items()))
    if on_several_labels == 'stop':
        raise InputError(
            f'{listing.name}: class {short(name)} is several labels ({short(", ".join(parts), str)}'
            f'), as are {int(several.sum()):,} images in all; {SINGLE}'
        )
    left_out = make_note(
        'Left out: several labels per image', (listing.ids[i] for i in np.flatnonzero(several))
    )
    rest = drop_empty_classes(listing.take(np.flatnonzero(~several)))
    return dataclasses.replace(rest, notes=(*rest.notes, *left_out))


def check_text(name: str, texts: Iterable[str]) -> None:
    """Refuse names that are not UTF-8: a report cannot contain them."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(f'{name}: the name {text!a} is not UTF-8; rename it') from None


def _normalise_parts(
    parts: Sequence[str] | None,
) -> tuple[tuple[str, ...] | None, tuple[Note, ...]]:
    """None if all images are in `train`; a `val` without a `test` becomes the test split."""
    if parts is None or set(parts) <= {'train'}:
        return None, ()
    if 'test' in parts:
        return tuple(parts), ()
    count = sum(part == 'val' for part in parts)
    return tuple('test' if part == 'val' else part for part in parts), (Note(AS_TEST, count),)
