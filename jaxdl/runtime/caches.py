"""Where what is computed once is kept: folders of the user's own.

Which nobody else can read or has written to.
"""

import atexit
import functools
import os
import pathlib
import shutil
import stat
import tempfile

from jaxdl.errors import warn


def folder(name: str = '') -> pathlib.Path:
    """`jaxdl`, or `jaxdl/NAME`, where the system keeps caches (XDG_CACHE_HOME, else ~/.cache).

    Made with mode 0700.

    One that belongs to another user, or that others may write to, is not trusted: stderr says so
    once, and a folder takes its place that goes with the process.

    Raises:
      OSError: there is no home, or the folder cannot be made.
    """
    top = home() / 'jaxdl'
    for path in (top, *([top / name] if name else [])):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        if reason := _distrusted(path):
            return _instead(path, reason)
    return top / name


def home() -> pathlib.Path:
    """Where the system keeps caches; OSError where there is no home."""
    try:
        return pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache')
    except RuntimeError:
        raise FileNotFoundError('there is no home: set XDG_CACHE_HOME to a folder') from None


def _distrusted(path: pathlib.Path) -> str:
    """Why what is in a folder may be somebody else's; empty where it may not."""
    found = path.stat()
    if found.st_uid != os.getuid():
        return 'belongs to another user'
    return 'can be written to by others' if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) else ''


@functools.cache
def _instead(path: pathlib.Path, reason: str) -> pathlib.Path:
    """A folder of this process alone."""
    advice = 'nothing is kept there: make it yours alone (chmod 700), or set XDG_CACHE_HOME to a folder elsewhere'
    warn(f'the cache {path} {reason}; {advice}')
    made = tempfile.mkdtemp(prefix='jaxdl-')
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return pathlib.Path(made)
