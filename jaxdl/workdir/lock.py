"""A lock that keeps a workdir to one run at a time."""

import contextlib
import os
import pathlib
import platform
from collections.abc import Iterator

import filelock

from jaxdl.errors import InputError
from jaxdl.workdir import check_inside

LOCK = '.lock'


@contextlib.contextmanager
def lock_workdir(workdir: pathlib.Path) -> Iterator[None]:
    """Keep `workdir` to this process.

    The lock is the kernel's and ends with the process, however the process ends. A folder that is
    created here and is empty at the end is removed.

    Args:
      workdir: the folder of a run.

    Raises:
      InputError: another process holds it, it cannot be written, or a link in it leaves it.
    """
    check_inside(workdir)
    created = [folder for folder in (workdir, *workdir.parents) if not folder.exists()]
    lock = filelock.FileLock(workdir / LOCK, timeout=0)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout:
        raise InputError(
            f'workdir {workdir} is in use by {_describe_owner(workdir)}: wait until that run ends, '
            'or name another --workdir'
        ) from None
    except OSError as error:
        raise InputError(
            f'workdir {workdir} cannot be written ({error.strerror}): name another --workdir'
        ) from None
    try:
        with contextlib.suppress(OSError):  # Windows locks the content too
            (workdir / LOCK).write_text(f'process {os.getpid()} on {platform.node()}')
        yield
    finally:
        # Removed while it is locked: a process that opened it in the meantime opens it again.
        with contextlib.suppress(OSError):
            (workdir / LOCK).unlink(missing_ok=True)
        lock.release()
        with contextlib.suppress(OSError):
            for folder in created:
                folder.rmdir()


def _describe_owner(workdir: pathlib.Path) -> str:
    try:
        return (workdir / LOCK).read_text(errors='replace') or 'another process'
    except OSError:
        return 'another process'
