"""An index of the digests of files, so that unchanged files are not read again.

A file counts as unchanged if its size, times and inode are those of the index, as git's index does.
A file that changed less than two seconds before the index was made is read again: it may have
changed once more within the resolution of the clock.
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
Mark = tuple[int, int, int, int]  # size, times of change of content and of inode (ns), inode
Index = dict[str, tuple[Mark, str]]  # absolute path -> mark and digest


class FileState(NamedTuple):
    """State of an image before it is read.

    Attributes:
      digest: SHA-256 of its bytes, if it is known.
      mark: the mark of its file.
      reason: why it cannot be read; empty where nothing is known to be wrong.
    """

    digest: str | None = None
    mark: Mark | None = None
    reason: str = ''

    @property
    def unread(self) -> bool:
        """True where the digest is unknown and the image may be readable."""
        return self.digest is None and not self.reason


def digest(data: bytes) -> str:
    """SHA-256 of an image's encoded bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def look_up(
    sources: Sequence[pathlib.Path | bytes], index: Index, more: Callable[[int], None]
) -> list[FileState]:
    """Look every source [n] up in the index, and call `more(1)` for each."""
    looks = []
    for source in sources:
        looks.append(
            FileState(digest(source)) if isinstance(source, bytes) else _file(source, index)
        )
        more(1)
    return looks


def _file(path: pathlib.Path, index: Index) -> FileState:
    try:
        status = os.stat(path)  # noqa: PTH116 - half the time of pathlib's
    except FileNotFoundError:
        return FileState(reason='no such file')
    except OSError as error:
        return FileState(reason=f'cannot be read: {error.strerror}')
    if not stat.S_ISREG(status.st_mode):
        return FileState(reason='not a file')
    if not os.access(path, os.R_OK):
        return FileState(reason='cannot be read: Permission denied')
    mark = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    entry = index.get(_absolute(path))
    return FileState(entry[1] if entry and entry[0] == mark else None, mark)


def read(folder: pathlib.Path, sources: Sequence[pathlib.Path | bytes]) -> Index:
    """Read the index of these files; empty where there is none, or it is damaged."""
    try:
        content = json.loads(index_path(folder, sources).read_text())
        return {
            path: ((size, at, inode_at, inode), d)
            for path, (size, at, inode_at, inode, d) in content.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def update(
    index: Index,
    sources: Sequence[pathlib.Path | bytes],
    looks: Sequence[FileState],
    digests: Sequence[str],
    began: int,
) -> Index:
    """Add digests to an index, and drop files that changed shortly before `began` (ns).

    An interrupted run has fewer digests than sources.
    """
    index = dict(index)
    for source, look, value in zip(sources, looks, digests, strict=False):
        if not isinstance(source, bytes) and look.mark and value:
            index[_absolute(source)] = (look.mark, value)
    return {
        p: (mark, value)
        for p, (mark, value) in index.items()
        if max(mark[1], mark[2]) < began - GRAIN
    }


def format_index(index: Index) -> str:
    """Format an index as the JSON that `read` reads."""
    return json.dumps({path: (*mark, value) for path, (mark, value) in index.items()})


def index_path(folder: pathlib.Path, sources: Sequence[pathlib.Path | bytes]) -> pathlib.Path:
    """Path of the index: one for the deepest folder that contains all of `sources`."""
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
