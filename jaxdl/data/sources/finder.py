"""Find files by the names that a table gives them."""

import functools
import os
import pathlib
import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence

from jaxdl.data.sources.columns import short
from jaxdl.data.sources.files import is_file, is_image
from jaxdl.errors import InputError


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
            files = sorted((e.name, e.is_symlink()) for e in entries if is_file(e))
    except OSError:
        return exact, loose, links
    for name, link in files:
        exact.add(name)
        if link:
            links.add(name)
        stem = posixpath.splitext(name)[0]
        loose[_loose(name)].append(name)
        if is_image(name):
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
