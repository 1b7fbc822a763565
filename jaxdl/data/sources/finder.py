"""Find files by the names that a table gives them."""

import contextlib
import dataclasses
import functools
import os
import pathlib
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence

from jaxdl.data.listing import NAMED, Note, note
from jaxdl.data.sources import files
from jaxdl.data.sources.columns import short
from jaxdl.errors import InputError

BELOW = 'Images that are in a folder below the image folder'
NUMBERS = 'Ids that are numbers, read as names of files'
Index = dict[str, list[str]]  # loose form of a name -> names


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


@dataclasses.dataclass(frozen=True)
class Located:
    """Files of the names in a table.

    Attributes:
      paths: of each name; a file that does not exist is in the first folder.
      missing: places of the names without a file.
      notes: guesses.
    """

    paths: list[pathlib.Path]
    missing: list[int]
    notes: tuple[Note, ...]


def locate(names: Sequence[tuple[str, str]], tops: Sequence[pathlib.Path]) -> Located:
    """Find files by their names in the first of several folders, else below them.

    A name may lack its extension, differ in case, be an absolute path in one of the folders, or be
    a number that is written in another way (`1.0` for `1.jpg` or `0001.jpg`). Each folder is listed
    once.

    Args:
      names: the name, and the start of error messages, of each file.
      tops: the folders.

    Raises:
      InputError: a name leaves the folders, by itself or by a link, or several files match.
    """
    tree = _Tree(tops)
    paths, missing, deep, numbers = list[pathlib.Path](), list[int](), list[str](), list[str]()
    several = list[tuple[str, str, list[pathlib.Path]]]()
    for place, (name, where) in enumerate(names):
        relative, own_tops = _relative(name, where, tops)
        path, by_number = tree.find_direct(relative, where, own_tops)
        if path is None:
            matches, by_number = tree.find_below(relative, where)
            if len(matches) > 1:
                several.append((where, name, matches))
            path = matches[0] if matches else None
            deep += [f'{match.parent}/' for match in matches[:1]]
        if path is None:
            missing.append(place)
        elif by_number:
            numbers.append(f'{name} as {path.name}')
        paths.append(path or own_tops[0] / relative)
    if several:
        where, name, matches = several[0]
        more = f', as are {len(several) - 1:,} more names' if len(several) > 1 else ''
        raise InputError(
            f'{where}: {short(name)} is in several folders, {short(str(matches[0]))} and '
            f'{short(str(matches[1]))}{more}; write the paths, or name the folder by --images=DIR'
        )
    folders = tuple(dict.fromkeys(deep))[:NAMED]
    below = (Note(BELOW, len(deep), folders),) if deep else ()
    return Located(paths, missing, (*below, *note(NUMBERS, numbers)))


class _Tree:
    """The files in some folders, each of which is listed once, at its first use."""

    def __init__(self, tops: Sequence[pathlib.Path]) -> None:
        self.tops = tops
        self.listed = functools.cache(_list)
        self.resolved = functools.cache(pathlib.Path.resolve)
        self.index = functools.cache(lambda: _index_below(tops))

    def find_direct(
        self, name: str, where: str, tops: Sequence[pathlib.Path]
    ) -> tuple[pathlib.Path | None, bool]:
        """The file of a name in the first folder that has it, and whether the id is a number."""
        below, last = posixpath.split(name)
        for by_number in (False, True):
            for top in tops:
                exact, loose, links = self.listed(top / below)
                match = _match(last, exact, loose, where, by_number)
                if match is None:
                    continue
                path = top / below / match
                deepest = path if match in links else path.parent
                if deepest != top:
                    self._check_inside(deepest, [top], name, where)
                return path, by_number
        return None, False

    def find_below(self, name: str, where: str) -> tuple[list[pathlib.Path], bool]:
        """Files anywhere below whose paths end with a name, and whether the id is a number."""
        below, last = posixpath.split(name)
        suffix = f'/{_loose(below)}' if below else ''
        for by_number, form in ((False, _loose(last)), (True, _number(last))):
            matches = [
                path
                for path in self.index().get(form, [])
                if f'/{_loose(posixpath.dirname(path))}'.endswith(suffix)
            ]
            exact = [path for path in matches if posixpath.basename(path) == last]
            if matches:
                paths = [pathlib.Path(path) for path in exact or matches]
                for path in paths:
                    self._check_inside(path, self.tops, name, where)
                return paths, by_number
        return [], False

    def _check_inside(
        self, path: pathlib.Path, tops: Sequence[pathlib.Path], name: str, where: str
    ) -> None:
        if not any(self.resolved(path).is_relative_to(self.resolved(top)) for top in tops):
            raise InputError(
                f'{where}: {short(name)} is a link that leaves the image folder {tops[0]}; '
                'put the image there'
            )


def _relative(
    name: str, where: str, tops: Sequence[pathlib.Path]
) -> tuple[str, Sequence[pathlib.Path]]:
    """The path below an image folder, and the folders that can have it.

    An absolute path is relative to the folder that it is in.
    """
    if pathlib.PurePath(name).is_absolute():
        path = pathlib.PurePath(os.path.normpath(name))
        for top in tops:
            for form in (os.path.abspath(top), os.path.realpath(top)):  # noqa: PTH100
                if path.is_relative_to(form) and path != pathlib.PurePath(form):
                    return path.relative_to(form).as_posix(), [top]
    return inside(name, where), tops


def _index_below(tops: Sequence[pathlib.Path]) -> Index:
    """Paths of all images in the folders and below, by the loose forms of their names.

    A folder that contains another one of them is left out: below the folder of a table may be the
    images of another table.
    """
    index = defaultdict[str, list[str]](list)
    resolved = {top.resolve(): top for top in tops}
    for place, top in resolved.items():
        if any(other != place and other.is_relative_to(place) for other in resolved):
            continue
        with contextlib.suppress(InputError):  # a folder cannot be read
            tree = files.walk(top)
            # A file without a reader is found, and its decoding names the reader.
            for path in (*tree.images, *(other.path for other in tree.others if other.format)):
                for form in _forms(posixpath.basename(path)):
                    index[form].append((top / path).as_posix())
    return index


def _list(top: pathlib.Path) -> tuple[set[str], Index, set[str]]:
    """List the files of a folder: names, names by their loose forms, and names of links."""
    exact, links, loose = set[str](), set[str](), defaultdict[str, list[str]](list)
    try:
        with os.scandir(top) as entries:
            names = sorted((e.name, e.is_symlink()) for e in entries if files.is_file(e))
    except OSError:
        return exact, loose, links
    for name, link in names:
        exact.add(name)
        if link:
            links.add(name)
        for form in _forms(name):
            loose[form].append(name)
    return exact, loose, links


def _match(name: str, exact: set[str], loose: Index, where: str, by_number: bool) -> str | None:
    if name in exact and not by_number:
        return name
    matches = loose.get(_number(name) if by_number else _loose(name), [])
    if len(matches) > 1:  # then case counts
        matches = [f for f in matches if f.startswith(name)] or matches
    if len(matches) > 1:
        raise InputError(
            f'{where}: {short(name)} could be {short(matches[0])} or {short(matches[1])}; '
            'write it in full'
        )
    return matches[0] if matches else None


def forms_of(path: str) -> list[str]:
    """Loose forms of the last name of a path, as an id may be written: the closest first."""
    name = posixpath.basename(path.replace('\\', '/'))
    return [form for form in (*_forms(name), _number(name)) if form]


def _forms(name: str) -> list[str]:
    """Loose forms of the name of a file: as it is, without extension, as a number."""
    if not files.is_image(name):
        return [form for form in (_loose(name), _number(name)) if form]
    stem = posixpath.splitext(name)[0]
    return [form for form in (_loose(name), _loose(stem), _number(name)) if form]


def _loose(name: str) -> str:
    return unicodedata.normalize('NFC', name).casefold()


def _number(name: str) -> str:
    """A whole number in one form, `1` and `1.0` and `001.jpg` alike; else empty.

    The form is the name of no file.
    """
    stem = posixpath.splitext(name)[0] if files.is_image(name) else name
    match = re.fullmatch(r'0*([0-9]{1,18})(\.0+)?', stem)
    return f'/{match[1]}' if match else ''
