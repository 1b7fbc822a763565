"""Cache folders of the user, which no other user can write to."""

import atexit
import functools
import os
import pathlib
import shutil
import stat
import tempfile

from jaxdl.errors import warn


def folder(name: str = '') -> pathlib.Path:
    """Create the cache folder `jaxdl`, or `jaxdl/NAME`, with mode 0700.

    It is in XDG_CACHE_HOME, else in ~/.cache. A folder that belongs to another user, or that others
    may write to, is not trusted. It is named once on stderr and replaced by a temporary folder.

    Args:
      name: a folder in the cache; empty for the cache itself.

    Raises:
      OSError: there is no home, or the folder cannot be created.
    """
    top = home() / 'jaxdl'
    for path in (top, *([top / name] if name else [])):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        if reason := _check_owner(path):
            return _temporary_folder(path, reason)
    return top / name


def home() -> pathlib.Path:
    """The system's folder of caches; OSError where there is no home."""
    try:
        return pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache')
    except RuntimeError:
        raise FileNotFoundError('there is no home: set XDG_CACHE_HOME to a folder') from None


def _check_owner(path: pathlib.Path) -> str:
    """Reason why another user may have written to a folder; empty if there is none.

    Windows has no owner and no mode to check: its profile folders are private.
    """
    if not hasattr(os, 'getuid'):
        return ''
    status = path.stat()
    if status.st_uid != os.getuid():
        return 'belongs to another user'
    return 'can be written to by others' if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) else ''


@functools.cache
def _temporary_folder(path: pathlib.Path, reason: str) -> pathlib.Path:
    """Create a temporary folder of this process in place of `path`."""
    advice = (
        'nothing is written there: make it private (chmod 700), '
        'or set XDG_CACHE_HOME to a folder elsewhere'
    )
    warn(f'the cache {path} {reason}; {advice}')
    temporary = tempfile.mkdtemp(prefix='jaxdl-')
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    return pathlib.Path(temporary)
