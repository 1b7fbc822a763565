"""One run at a time in a workdir: a lock that the kernel keeps."""

import contextlib
import fcntl
import io
import os
import pathlib
import platform
from collections.abc import Iterator

from jaxdl.errors import InputError
from jaxdl.workdir import check_inside

LOCK = '.lock'


@contextlib.contextmanager
def held(workdir: pathlib.Path) -> Iterator[None]:
    """Keeps `workdir` to this process: the lock is the kernel's.

    So that it ends with the process however that ends.

    A folder that is made for this and still empty at the end goes again.

    Raises:
      InputError: another process holds it, it cannot be written, or a link in it leads out of it.
    """
    check_inside(workdir)
    made = [folder for folder in (workdir, *workdir.parents) if not folder.exists()]
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        file = _locked(workdir / LOCK)
    except OSError as error:
        raise InputError(
            f'workdir {workdir} cannot be written ({error.strerror}): name another --workdir'
        ) from None
    try:
        yield
    finally:
        (workdir / LOCK).unlink(
            missing_ok=True
        )  # while it is held: who opened it meanwhile finds it without a name
        file.close()
        with contextlib.suppress(OSError):
            for folder in made:
                folder.rmdir()


def _locked(path: pathlib.Path) -> io.FileIO:
    """The file `path`, open and locked, that says whose it is."""
    while True:
        file = io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), 'r+')
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                whose = file.readall().decode(errors='replace') or 'another process'
            raise InputError(
                f'workdir {path.parent} is in use by {whose}: wait for its end, or name another --workdir'
            ) from None
        if os.fstat(file.fileno()).st_nlink:
            break
        file.close()
    file.truncate(0)
    file.write(f'process {os.getpid()} on {platform.node()}'.encode())
    return file
