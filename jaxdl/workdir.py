"""The folder that a run writes to: whole files only, and never over another configuration."""

import contextlib
import fcntl
import io
import json
import os
import pathlib
import platform
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from jaxdl.errors import InputError

# Everything that jaxdl writes into a workdir; `clear` removes these names and nothing else.
OWN_FILES = (
    'config.json', 'plan.json', 'results.csv', 'summary.csv', 'costs.csv', 'claims.csv', 'correct.npz', 'run.json',
    'report.html', 'report.md', 'metrics.jsonl', 'submission.csv', 'predictions.csv',
)  # fmt: skip
LOCK = '.lock'
OWN_FOLDERS = ('artifacts', 'checkpoints', 'figures', 'parts', 'tensorboard')


def write(path: pathlib.Path, content: str | bytes) -> None:
    """Writes a whole file or nothing: beside it, synced to disk, then renamed over it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    with beside.open('wb') as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def write_arrays(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
    """`write` of named arrays as a compressed .npz."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    write(path, content.getvalue())


def write_json(path: pathlib.Path, content: Mapping[str, Any]) -> None:
    """`write` of `content` as indented JSON."""
    write(path, json.dumps(content, indent=1, ensure_ascii=False) + '\n')


def parse(text: str) -> Any:
    """JSON from outside; ValueError for whatever is none, nested too deeply or a number of thousands of digits too."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError('nested too deeply') from None


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """The object in a JSON file of a workdir; InputError where it is missing or damaged."""
    try:
        content = parse(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        raise InputError(f'{path.parent} holds no {path.name}: give the --workdir of a run') from None
    except OSError as error:
        raise InputError(f'{path} cannot be read ({error.strerror}): give the --workdir of a run') from None
    except ValueError as error:
        raise InputError(f'{path} is damaged ({error}): start the run again with --overwrite') from None
    if not isinstance(content, dict):
        raise InputError(f'{path} is damaged (not a JSON object): start the run again with --overwrite')
    return content


def resumes(workdir: pathlib.Path, config: Mapping[str, Any]) -> bool:
    """True where `workdir` holds a run of this very configuration, False where it holds none.

    Raises:
      InputError: it holds another configuration, or files of these names that no run wrote.
    """
    if (workdir / 'config.json').exists():
        _same(workdir, read_json(workdir / 'config.json'), json.loads(json.dumps(config)))
        return True
    strange = [name for name in OWN_FILES if (workdir / name).exists()]
    if strange:
        raise InputError(
            f'workdir {workdir} holds {strange[0]} but no config.json: name another --workdir, or --overwrite'
        )
    return False


def begin(workdir: pathlib.Path, **contents: Mapping[str, Any]) -> None:
    """Writes NAME.json for each of `contents`; InputError where the folder cannot be written."""
    try:
        for name, content in contents.items():
            write_json(workdir / f'{name}.json', content)
    except OSError as error:
        raise InputError(f'workdir {workdir} cannot be written ({error.strerror}): name another --workdir') from None


@contextlib.contextmanager
def held(workdir: pathlib.Path) -> Iterator[None]:
    """Keeps `workdir` to this process: the lock is the kernel's, so that it ends with the process however that ends.

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
        raise InputError(f'workdir {workdir} cannot be written ({error.strerror}): name another --workdir') from None
    try:
        yield
    finally:
        (workdir / LOCK).unlink(missing_ok=True)  # while it is held: who opened it meanwhile finds it without a name
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


def check_inside(workdir: pathlib.Path) -> None:
    """InputError where something in `workdir` is a link that leads out of it, or can be read without end."""
    top = os.path.realpath(workdir)
    for own in (workdir / name for name in (*OWN_FILES, *OWN_FOLDERS)):
        for path in (own, *own.rglob('*')):
            if path.is_symlink() and not pathlib.Path(os.path.realpath(path)).is_relative_to(top):
                raise InputError(f'{path} is a link that leaves the workdir: put what it leads to in its place')
            if path.exists() and not path.is_file() and not path.is_dir():
                raise InputError(f'{path} is neither a file nor a folder: remove it')


def clear(workdir: pathlib.Path) -> None:
    """Removes what jaxdl wrote into `workdir`, and nothing of the user's own."""
    for name in OWN_FILES:
        (workdir / name).unlink(missing_ok=True)
    for name in OWN_FOLDERS:
        shutil.rmtree(workdir / name, ignore_errors=True)


def _same(workdir: pathlib.Path, held: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    held, given = flat(held), flat(given)
    different = [key for key in {**held, **given} if held.get(key) != given.get(key)]
    if different:
        shown = ', '.join(f'{k}={given.get(k)!r}, there {held.get(k)!r}' for k in different[:3])
        raise InputError(
            f'workdir {workdir} holds another configuration ({shown}{", ..." if len(different) > 3 else ""}): '
            'name another --workdir, or --overwrite to start it anew'
        )


def flat(tree: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    """A tree of JSON objects as one, with dotted names for keys."""
    found = {}
    for key, value in tree.items():
        found |= flat(value, f'{prefix}{key}.') if isinstance(value, Mapping) else {f'{prefix}{key}': value}
    return found
