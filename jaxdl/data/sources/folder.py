"""Folders of images: one folder per class, optionally in train/, val/ and test/."""

import functools
import os
import pathlib
import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence

from jaxdl.data.listing import Listing
from jaxdl.data.sources.columns import IMAGE_SUFFIXES, PARTS, listing, place, short
from jaxdl.errors import InputError

_FORM = 'folder:DIR'


def folder(where: str) -> Listing:
    """List the images of a folder.

    Args:
      where: a folder with one folder per class, or with `train/`, `val/` and `test/` of those.

    Returns:
      A listing whose ids are paths relative to the folder.

    Raises:
      InputError: there is no such folder, or a class of it has no images.
    """
    root = place(where, _FORM)
    parts, note = _parts(root)
    starts = {part: '' if top == root else f'{top.name}/' for part, top in parts.items()}
    by_class: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in image_files(root, tuple(starts.values())):
        part, start = next(item for item in starts.items() if path.startswith(item[1]))
        by_class[part, path[len(start) :].partition('/')[0]].append(path)
    rows: list[tuple[str, str, str]] = []  # id, class, part
    for part, top in parts.items():
        for kind in _folders(top):
            paths = by_class[part, kind]
            if not paths and part == 'train':
                raise InputError(
                    f'{top / kind}: class {short(kind)} has no images; remove the folder or fill it'
                )
            rows += ((path, kind, part) for path in paths)
    ids, kinds, names = zip(*rows, strict=True)
    images = [root / name for name in ids]
    return listing(where, images, kinds, ids, parts=names if len(parts) > 1 else None, note=note)


def _parts(root: pathlib.Path) -> tuple[dict[str, pathlib.Path], str]:
    """Find the folder of each split, and name folders that are left out.

    Without folders of splits, all of `root` is `train`.
    """
    tops = _folders(root)
    folders: dict[str, pathlib.Path] = {}
    for name in tops:
        part = PARTS.get(name.lower(), '')
        if part in folders:
            raise InputError(
                f'{root}: {folders[part].name}/ and {name}/ are both the {part} part; keep one'
            )
        if part:
            folders[part] = root / name
    if 'train' in folders and (len(folders) > 1 or len(tops) == 1) and _folders(folders['train']):
        return _labelled(folders, [name for name in tops if root / name not in folders.values()])
    if not tops:
        loose = any(image_files(root))
        hint = (
            'has images but no folders: make one folder per class, or use --dataset=csv:FILE'
            if loose
            else 'has no images'
        )
        raise InputError(f'{root} {hint}')
    return dict(train=root), ''


def _labelled(
    folders: dict[str, pathlib.Path], others: list[str]
) -> tuple[dict[str, pathlib.Path], str]:
    notes = [f'{name}/ is left out' for name in others]
    notes += [
        f'{top.name}/ has no class folders and is left out'
        for top in folders.values()
        if not _folders(top)
    ]
    parts = {
        part: folders[part]
        for part in ('train', 'val', 'test')
        if part in folders and _folders(folders[part])
    }
    if 'val' in parts and 'test' not in parts:
        notes.append(f'{parts["val"].name}/ is the test part')
    return parts, '; '.join(notes)


def _folders(top: pathlib.Path) -> list[str]:
    return sorted(e.name for e in _scan(top) if not _hidden(e.name) and _is(e, 'folder'))


def image_files(top: pathlib.Path, starts: Sequence[str] = ('',)) -> list[str]:
    """List the images below a folder, the same ones for training and for prediction.

    Hidden files and folders are left out. Links are followed. Each folder is read once: under its
    path if that lies below `starts`, else under the first link to it.

    Args:
      top: the folder.
      starts: the parts of it to be listed, such as `train/`; the whole by default.

    Returns:
      Paths relative to `top`, with `/`, sorted.

    Raises:
      InputError: a folder cannot be read.
    """
    paths, folders, links = list[str](), list(starts), list[str]()
    entered = set() if '' in starts else {_identity(top)}
    while folders or links:
        prefix = folders.pop() if folders else links.pop(links.index(min(links)))
        identity = _identity(top / prefix)
        if identity in entered:  # links can go in circles
            continue
        entered.add(identity)
        for entry in _scan(top / prefix):
            if _hidden(entry.name):
                continue
            if _is(entry, 'folder'):
                (links if entry.is_symlink() else folders).append(f'{prefix}{entry.name}/')
            elif posixpath.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES and _is(entry, 'file'):
                paths.append(prefix + entry.name)
    return sorted(paths)


def _scan(top: pathlib.Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(top) as entries:
            return list(entries)
    except OSError as error:
        raise InputError(
            f'cannot read the folder {top}: {error.strerror}; make it readable, or name another'
        ) from None


def _identity(top: pathlib.Path) -> tuple[int, int]:
    status = top.stat()
    return status.st_dev, status.st_ino


def _is(entry: os.DirEntry[str], kind: str) -> bool:
    try:
        return entry.is_dir() if kind == 'folder' else entry.is_file()
    except OSError:  # a link to itself
        return False


def _hidden(name: str) -> bool:
    return name.startswith('.') or name == '__MACOSX'


def inside(name: str, where: str) -> str:
    """Normalise a relative path.

    Args:
      name: a path in the notation of any system.
      where: the start of the error message.

    Raises:
      InputError: it leaves its folder.
    """
    path = posixpath.normpath(name.replace('\\', '/'))
    absolute = (
        path.startswith('/') or pathlib.PureWindowsPath(name).is_absolute() or path.startswith('~')
    )
    if absolute or path.split('/')[0] == '..':
        raise InputError(
            f'{where}: {short(name)} leaves the image folder; paths must be relative to it'
        )
    return path


def finder(tops: Sequence[pathlib.Path]) -> Callable[[str, str], pathlib.Path | None]:
    """Make a function that finds files by their names in the first of several folders.

    A name may lack its extension and differ in case. Each folder is listed once.

    Args:
      tops: the folders.

    Returns:
      A function (name, start of error messages) -> path or None. It raises InputError if the name
      leaves the folder, by itself or by a link, or if two files match.
    """
    listed = functools.cache(_listed)
    resolved = functools.cache(pathlib.Path.resolve)

    def find(name: str, where: str) -> pathlib.Path | None:
        below, last = posixpath.split(inside(name, where))
        for top in tops:
            exact, loose, links = listed(top / below)
            match = _match(last, exact, loose, where)
            if match is None:
                continue
            path = top / below / match
            deepest = path if match in links else path.parent
            if deepest != top and not resolved(deepest).is_relative_to(resolved(top)):
                raise InputError(
                    f'{where}: {short(name)} is a link that leaves the image folder {top}; '
                    'put the image there'
                )
            return path
        return None

    return find


def _listed(top: pathlib.Path) -> tuple[set[str], dict[str, list[str]], set[str]]:
    """List the files of a folder: names, names by their loose form, and names of links."""
    exact, links, loose = set[str](), set[str](), defaultdict[str, list[str]](list)
    try:
        with os.scandir(top) as entries:
            files = sorted((e.name, e.is_symlink()) for e in entries if _is(e, 'file'))
    except OSError:
        return exact, loose, links
    for name, link in files:
        exact.add(name)
        if link:
            links.add(name)
        stem, suffix = posixpath.splitext(name)
        loose[_loose(name)].append(name)
        if suffix.lower() in IMAGE_SUFFIXES:
            loose[_loose(stem)].append(name)
    return exact, loose, links


def _match(name: str, exact: set[str], loose: dict[str, list[str]], where: str) -> str | None:
    if name in exact:
        return name
    matches = loose.get(_loose(name), [])
    if len(matches) > 1:  # then case counts
        matches = [f for f in matches if f.startswith(name)] or matches
    if len(matches) > 1:
        raise InputError(
            f'{where}: {short(name)} could be {short(matches[0])} or {short(matches[1])}; '
            'write it in full'
        )
    return matches[0] if matches else None


def _loose(name: str) -> str:
    return unicodedata.normalize('NFC', name).casefold()
