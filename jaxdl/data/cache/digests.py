"""What is in each file, without reading it again: an index of digests.

Trusted as git trusts its own.

A file whose size, times and inode are those of the index holds what it held then. One that changed
less than two seconds before it was looked at may have changed again within the clock's grain: it is
read again.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import stat
from collections.abc import Callable, Sequence
from typing import NamedTuple

GRAIN = 2_000_000_000  # nanoseconds
Mark = tuple[
    int, int, int, int
]  # size, time of the last change of the content (ns) and of the inode, and the inode
Index = dict[str, tuple[Mark, str]]  # by absolute path


class Look(NamedTuple):
    """What is known of a source before it is read: the digest if it is, the mark of a file.

    Why it cannot be read.
    """

    digest: str | None = None
    mark: Mark | None = None
    reason: str = ''

    @property
    def unread(self) -> bool:
        """True where only reading it can tell."""
        return self.digest is None and not self.reason


def digest(data: bytes) -> str:
    """SHA-256 of an image's encoded bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def look(
    sources: Sequence[pathlib.Path | bytes], index: Index, more: Callable[[int], None]
) -> list[Look]:
    """Looks at every source [n], telling `more` of each."""
    found = []
    for source in sources:
        found.append(Look(digest(source)) if isinstance(source, bytes) else _file(source, index))
        more(1)
    return found


def _file(path: pathlib.Path, index: Index) -> Look:
    try:
        now = os.stat(path)  # noqa: PTH116 - half the time of pathlib's
    except FileNotFoundError:
        return Look(reason='no such file')
    except OSError as error:
        return Look(reason=f'cannot be read: {error.strerror}')
    if not stat.S_ISREG(now.st_mode):
        return Look(reason='not a file')
    if not os.access(path, os.R_OK):
        return Look(reason='cannot be read: Permission denied')
    mark = (now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino)
    held = index.get(_absolute(path))
    return Look(held[1] if held and held[0] == mark else None, mark)


def read(folder: pathlib.Path, sources: Sequence[pathlib.Path | bytes]) -> Index:
    """The index of these files; empty where there is none yet, or it is damaged."""
    try:
        content = json.loads(where(folder, sources).read_text())
        return {
            path: ((size, at, inode_at, inode), d)
            for path, (size, at, inode_at, inode, d) in content.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def updated(
    index: Index,
    sources: Sequence[pathlib.Path | bytes],
    looks: Sequence[Look],
    found: Sequence[str],
    began: int,
) -> Index:
    """The index with the digests `found`.

    But without files that changed shortly before `began` (ns).
    """
    index = dict(index)
    for source, own, value in zip(
        sources, looks, found, strict=False
    ):  # an interrupted run found fewer
        if not isinstance(source, bytes) and own.mark and value:
            index[_absolute(source)] = (own.mark, value)
    return {
        p: (mark, value)
        for p, (mark, value) in index.items()
        if max(mark[1], mark[2]) < began - GRAIN
    }


def text(index: Index) -> str:
    """An index as the JSON that `read` reads."""
    return json.dumps({path: (*mark, value) for path, (mark, value) in index.items()})


def where(folder: pathlib.Path, sources: Sequence[pathlib.Path | bytes]) -> pathlib.Path:
    """The file of the index: one for the deepest folder that holds all of `sources`."""
    parents = {
        os.path.dirname(_absolute(source))  # noqa: PTH120
        for source in sources
        if not isinstance(source, bytes)
    }
    common = ''
    with contextlib.suppress(ValueError):  # nothing in common, or no files
        common = os.path.commonpath(parents)
    return folder / f'files-{hashlib.sha256(os.fsencode(common)).hexdigest()[:16]}.json'


def _absolute(path: pathlib.Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - not resolved: a link may point elsewhere tomorrow
