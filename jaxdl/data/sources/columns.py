"""What every source shares: the place it reads, which column is which.

And class names made into labels.
"""

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
# What a column may be called, without case, spaces and underscores; the surer names first.
IMAGE_COLUMNS = (
    frozenset(
        f'{thing}{what}'
        for thing in ('image', 'img', 'file', 'imagefile')
        for what in ('', 'id', 'name', 'file', 'path')
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
# What a part may be called, in a folder, in an archive and in Hugging Face's sets.
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
    """`where` as a path; a shell leaves the ~ of folder:~/images as it is."""
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
    """The file or folder that `where` names; `form` is the whole, such as `folder:DIR`.

    InputError: none is there.
    """
    if not where:
        raise InputError(f'--dataset={form.split(":")[0]} names no place: --dataset={form}')
    if not there(where):
        raise InputError(
            f'--dataset={form}: no such {"folder" if form.endswith("DIR") else "file"}: {short(where, str)}'
        )
    path = home(where)
    if form.endswith('DIR') and not path.is_dir():
        raise InputError(f'--dataset={form}: {where} is a file, not a folder')
    if form.endswith('FILE') and path.is_dir():
        raise InputError(
            f'--dataset={form}: {where} is a folder, not a file; of images: --dataset=folder:{where}'
        )
    return path


def column(
    header: Sequence[str], asked: str, known: tuple[frozenset[str], ...], what: str, how: str
) -> int:
    """The index in `header` of the column `asked` for.

    Else of the one that `known` names recognise.

    what: such as `FILE: the column of images`; how: what overrules the guess. InputError: none or
      several.
    """
    if asked:
        found = [i for i, name in enumerate(header) if name == asked]
        found = found or [i for i, name in enumerate(header) if name.lower() == asked.lower()]
        if not found:
            raise InputError(
                f'{what}: there is no {short(asked)}: {short(nearest(asked, header), str)}'
            )
    else:
        plain = [re.sub(r'[\W_]', '', name.lower()) for name in header]
        tiers = ([i for i, name in enumerate(plain) if name in tier] for tier in known)
        found = next((tier for tier in tiers if tier), [])
    if len(found) == 1:
        return found[0]
    columns = ', '.join(map(short, header))
    if len(columns) > 300:
        columns = columns[:300] + ' ...'
    problem = 'several could be it' if found else 'none is recognised'
    raise InputError(f'{what}: {problem} among {columns}; name it: {how}')


def listing(
    name: str,
    images: Any,
    classes: Sequence[str],
    ids: Iterable[str],
    *,
    known: Sequence[str] = (),
    parts: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    note: str = '',
) -> Listing:
    """A Listing of `images` with a class name and an id each.

    InputError where nothing could be learned from it.

    known: the classes in their own order (those without images are left out), else numbers by size
      or names by letter.
    """
    ids, found = tuple(ids), set(classes)
    class_names: Sequence[str] = [c for c in known if c in found] or ordered(found)
    if not ids:
        raise InputError(f'{name}: no images; at least two, of two classes, are needed')
    if '' in found:
        raise InputError(f'{name}: an empty class name; every image needs a class')
    if len(class_names) < 2:
        raise InputError(
            f'{name}: all images are of one class, {short(min(found))}; there is nothing to tell apart'
        )
    _writable(name, (*ids, *class_names))
    if len(set(ids)) < len(ids):
        seen: set[str] = set()
        twice = next(i for i in ids if i in seen or seen.add(i))
        raise InputError(f'{name}: the id {short(twice)} stands there twice; ids must differ')
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
    """The names sorted; by size where all are whole numbers ('2' before '10')."""
    names = list(names)
    numbers = all(re.fullmatch(r'-?[0-9]{1,18}', name) for name in names)
    return tuple(sorted(names, key=(lambda name: (int(name), name)) if numbers else None))


def short(text: str, form: Any = repr) -> str:
    """`text` quoted on one line, cut where it is long."""
    line = ' '.join(text.split()) if form is str else text
    return form(line if len(line) <= 200 else line[:197] + '...')


def _writable(name: str, texts: Iterable[str]) -> None:
    """InputError for a name that no report could hold: the name of a file need not be text."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(f'{name}: the name {text!a} is not UTF-8; rename it') from None


def _fixed(
    name: str, parts: Sequence[str] | None, classes: Sequence[str]
) -> tuple[str, ...] | None:
    """`train` and `test`, with or without `val`; None if all is `train`.

    A `val` without a `test` measures.
    """
    if parts is None or set(parts) <= {'train'}:
        return None
    trained = {c for c, part in zip(classes, parts, strict=True) if part == 'train'}
    strange = sorted(set(classes) - trained)
    if strange:
        raise InputError(
            f'{name}: class {short(strange[0])} has images in val or test and none in train; add some'
        )
    return (
        tuple(parts)
        if 'test' in parts
        else tuple('test' if part == 'val' else part for part in parts)
    )
