"""Folders that only wrap class folders: `train/train/`, `archive/images/`."""

import pathlib
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from jaxdl.data.listing import Note, note
from jaxdl.data.sources import files
from jaxdl.data.sources.split_names import is_plain, part_of

DEPTH = 8  # folders around the class folders


class Inner(NamedTuple):
    """A folder that is entered, the folders left out on the way, and whether no name says so."""

    prefix: str
    side: list[str]
    guessed: bool


def descend(
    root: pathlib.Path, prefix: str, labelled: bool = False, classes: Collection[str] = ()
) -> Inner:
    """Enter folders that only wrap the class folders: `train/train/`, `archive/images/`.

    Args:
      root: the folder of images.
      prefix: where to begin.
      labelled: whether classes come from file names.
      classes: names that are classes, and not entered.
    """
    side, guessed = list[str](), False
    for _ in range(DEPTH):
        names = files.folders(root / prefix)
        if len(names) != 1 or names[0] in classes or files.loose_files(root / prefix).images:
            break
        inner = f'{prefix}{names[0]}/'
        outer = pathlib.PurePosixPath(prefix).name
        again = is_plain(names[0]) and part_of(names[0]) == part_of(outer)
        plain = again or names[0].lower() in files.IMAGE_FOLDERS
        if not (labelled or plain or files.folders(root / inner)):
            break
        guessed = guessed or not plain
        side += [prefix + name for name in files.side_folders(root / prefix)]
        prefix = inner
    return Inner(prefix, side, guessed)


def describe(prefixes: Iterable[str], inner: Iterable[Inner]) -> tuple[Note, ...]:
    """Notes of folders that were entered by a guess, and of the folders next to them."""
    side = [name for one in inner for name in one.side]
    return (*note('Read from the only folder inside', prefixes), *left_out('', side))


def guessed(inner: Iterable[Inner]) -> list[str]:
    """Paths of the folders that were entered by a guess."""
    return [one.prefix for one in inner if one.guessed]


def left_out(prefix: str, names: Sequence[str]) -> tuple[Note, ...]:
    """The note of folders that are left out."""
    return note('Left out: folders', (f'{prefix}{name}/' for name in names))
