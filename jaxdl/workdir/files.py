"""Write, read, check and clear the files of a workdir.

Files are written whole or not at all, and never over those of another configuration.
"""

import contextlib
import errno
import hashlib
import io
import json
import os
import pathlib
import shutil
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from jaxdl.errors import InputError, warn
from jaxdl.workdir import zip_safety

# Everything that jaxdl writes into a workdir; `clear` removes these names and nothing else.
OWN_FILES = (
    'config.json',
    'plan.json',
    'results.csv',
    'summary.csv',
    'costs.csv',
    'claims.csv',
    'correct.npz',
    'run.json',
    'report.html',
    'report.md',
    'metrics.jsonl',
    'submission.csv',
    'predictions.csv',
    'label_issues.csv',
    'sha256.json',
)
SPLIT = 'artifacts/split.npz'  # indices of the splits of a fine-tuning
SUMS = 'sha256.json'  # path in the folder -> SHA-256 of the file
MADE_AGAIN = (
    'summary.csv',
    'report.html',
    'report.md',
)  # every report writes these from the others
NOT_AS_WRITTEN = f'is damaged or gone, by {SUMS}'
UNREAD = ('wandb',)  # wandb creates links in it, and nothing of it is read
TEMPORARY = '.jaxdl-'  # how the names of unfinished files begin
OWN_FOLDERS = ('artifacts', 'checkpoints', 'figures', 'parts', 'tables')
OWN_FOLDERS += ('mlflow', 'tensorboard', 'wandb')  # of trackers


class DamagedFile(InputError):
    """A file that cannot be read as what it should be."""


@contextlib.contextmanager
def temporary_file(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Give an unused path in `folder`, and remove its file at the end unless it was renamed."""
    path = folder / f'{TEMPORARY}{uuid.uuid4().hex[:12]}.tmp'
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def publish(temporary: pathlib.Path, path: pathlib.Path) -> None:
    """Rename a complete file to `path`, in the same folder, such that it survives a power cut."""
    with temporary.open('rb+') as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: pathlib.Path) -> None:
    if os.name == 'nt':  # Windows opens no folders
        return
    with contextlib.suppress(PermissionError):  # of a folder that is writable and not readable
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file system that cannot sync folders
                raise
        finally:
            os.close(descriptor)


def write(path: pathlib.Path, content: str | bytes) -> None:
    """Write a whole file or nothing, and its folder where there is none.

    Args:
      path: the file; one that exists is replaced.
      content: bytes, or text to be encoded as UTF-8.

    Raises:
      OSError: the file cannot be written. What was there stays, and nothing is left next to it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_file(path.parent) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        publish(temporary, path)


def write_arrays(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
    """`write` named arrays as a compressed .npz."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    write(path, content.getvalue())


def read_arrays(
    path: pathlib.Path, advice: str = 'run the experiment again'
) -> dict[str, np.ndarray]:
    """Read a .npz of plain arrays from anyone.

    Args:
      path: the file.
      advice: the end of the error message for a damaged file.

    Returns:
      The arrays by name.

    Raises:
      FileNotFoundError: there is no such file.
      DamagedFile: it is damaged, no .npz, or holds pickled objects.
      InputError: it would fill the memory (a zip bomb).
    """
    try:
        zip_safety.check(path)
        # A file that np.load opens itself stays open where it is no archive.
        with path.open('rb') as file, np.load(file, allow_pickle=False) as archive:
            return {name: np.asarray(archive[name]) for name in archive.files}
    except (InputError, FileNotFoundError):
        raise
    except Exception as error:  # zip, zlib, headers, pickles, memory: the list has no end
        reason = 'pickled objects' if 'pickle' in str(error) else f'{type(error).__name__}: {error}'
        raise DamagedFile(
            f'{path} is damaged or no .npz of plain arrays ({reason}): {advice}'
        ) from None


def write_json(path: pathlib.Path, content: Mapping[str, Any]) -> None:
    """`write` of `content` as indented JSON."""
    write(path, _as_json(content))


def _as_json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + '\n'


def parse(text: str) -> Any:
    """Parse JSON from anyone.

    Raises:
      ValueError: it is no JSON, nested too deeply, or holds a number of thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError('nested too deeply') from None


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Read the object in a JSON file of a workdir.

    Raises:
      InputError: the file is missing or damaged.
    """
    try:
        content = parse(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        raise InputError(
            f'{path.parent} holds no {path.name}: give the --workdir of a run'
        ) from None
    except OSError as error:
        raise InputError(
            f'{path} cannot be read ({error.strerror}): give the --workdir of a run'
        ) from None
    except ValueError as error:
        raise InputError(
            f'{path} is damaged ({error}): start the run again with --overwrite'
        ) from None
    if not isinstance(content, dict):
        raise InputError(
            f'{path} is damaged (not a JSON object): start the run again with --overwrite'
        )
    return content


def holds_run(workdir: pathlib.Path, config: Mapping[str, Any]) -> bool:
    """Tell whether `workdir` holds a run of this configuration.

    Args:
      workdir: the folder of a run, or of none yet.
      config: the content of config.json.

    Returns:
      True if there is a run to be resumed, False if there is none.

    Raises:
      InputError: the workdir holds another configuration, a damaged plan, or files with these names
        that no run wrote.
    """
    _restore(workdir, config)
    if (workdir / 'config.json').exists():
        _check_same(workdir, read_json(workdir / 'config.json'), json.loads(json.dumps(config)))
        return True
    foreign = [name for name in OWN_FILES if (workdir / name).exists()]
    if foreign:
        raise InputError(
            f'workdir {workdir} holds {foreign[0]} but no config.json: '
            'name another --workdir, or --overwrite'
        )
    return False


def holds_other(workdir: pathlib.Path, config: Mapping[str, Any]) -> bool:
    """Tell whether `workdir` holds a run of another configuration, with a plan.

    Args:
      workdir: the folder of a run, or of none yet.
      config: the content of config.json.

    Raises:
      InputError: config.json or plan.json is damaged.
    """
    _restore(workdir, config)
    if not all((workdir / name).exists() for name in ('config.json', 'plan.json')):
        return False
    written = flatten(read_json(workdir / 'config.json'))
    return bool(_differing(written, flatten(json.loads(json.dumps(config)))))


def _restore(workdir: pathlib.Path, config: Mapping[str, Any]) -> None:
    """Write a damaged config.json again where `config` has the recorded checksum.

    Raises:
      InputError: config.json or plan.json is damaged and cannot be written again.
    """
    sums, broken = _sums(workdir) or {}, find_damaged(workdir, ('config.json', 'plan.json'))
    digest = hashlib.sha256(_as_json(config).encode()).hexdigest()
    if 'config.json' in broken and digest == sums['config.json']:
        broken.remove('config.json')
        write_json(workdir / 'config.json', config)
        warn(f'{workdir / "config.json"} {NOT_AS_WRITTEN}: it is written again')
    if broken:
        raise InputError(
            f'{workdir / broken[0]} {NOT_AS_WRITTEN}: '
            'put it back from a copy, or start again with --overwrite'
        )


def write_records(workdir: pathlib.Path, **contents: Mapping[str, Any]) -> None:
    """Write NAME.json for each of `contents`, and record its checksum.

    A record that is replaced has no checksum meanwhile, so a killed process leaves valid files.

    Raises:
      InputError: the folder cannot be written.
    """
    sums = _sums(workdir) or {}
    names = [f'{name}.json' for name in contents]
    try:
        if not sums.keys().isdisjoint(names):
            others = {name: digest for name, digest in sums.items() if name not in names}
            write_json(workdir / SUMS, others)
        for name, content in contents.items():
            write_json(workdir / f'{name}.json', content)
        record(workdir, names)
    except OSError as error:
        raise InputError(
            f'workdir {workdir} cannot be written ({error.strerror}): name another --workdir'
        ) from None


def is_finished(workdir: pathlib.Path) -> bool:
    """Tell whether the run in a workdir is complete and its files are undamaged.

    A damaged file is named on stderr. The run writes it again from its checkpoints.
    """
    if not (workdir / 'config.json').exists():
        return False
    broken = [name for name in find_damaged(workdir) if name not in MADE_AGAIN]
    for name in broken:
        warn(f'{workdir / name} {NOT_AS_WRITTEN}: it is written again')
    return (
        not broken
        and (workdir / 'run.json').exists()
        and bool(read_json(workdir / 'run.json').get('finished'))
    )


def check(workdir: pathlib.Path, unread: Collection[str] = ()) -> None:
    """Compare the files of a workdir with their checksums.

    A workdir without checksums is named on stderr.

    Args:
      workdir: the folder of a run.
      unread: names of files that the caller does not read.

    Raises:
      InputError: a file is damaged or gone.
    """
    if not (workdir / SUMS).exists():
        warn(f'{workdir} holds no {SUMS}: its files are read unchecked')
        return
    broken = [name for name in find_damaged(workdir) if name not in unread]
    if broken:
        raise InputError(
            f'{workdir / broken[0]} {NOT_AS_WRITTEN}: '
            'run the experiment again to restore it, or start again with --overwrite'
        )


def seal(workdir: pathlib.Path) -> None:
    """Record the checksums of all files of a complete run, except run.json, which comes last."""
    names = [
        name for name in OWN_FILES if name not in (*MADE_AGAIN, SUMS, 'metrics.jsonl', 'run.json')
    ]
    paths = [workdir / name for name in names if (workdir / name).exists()]
    write_sums(
        workdir, [*paths, *(path for path in (workdir / 'artifacts').rglob('*') if path.is_file())]
    )


def record(workdir: pathlib.Path, names: Iterable[str]) -> None:
    """Add the checksums of some files to those of a workdir."""
    write_json(
        workdir / SUMS, (_sums(workdir) or {}) | {name: _sum(workdir / name) for name in names}
    )


def write_sums(folder: pathlib.Path, paths: Iterable[pathlib.Path]) -> None:
    """Record the checksums of these files of a folder, and of no others."""
    write_json(
        folder / SUMS, {path.relative_to(folder).as_posix(): _sum(path) for path in sorted(paths)}
    )


def find_damaged(folder: pathlib.Path, names: Collection[str] = ()) -> list[str]:
    """Find the files of a folder that differ from their checksums or are gone.

    Args:
      folder: a folder with a file SUMS.
      names: the files to be compared; all by default. One without a checksum is skipped.

    Returns:
      Paths in the folder; SUMS itself if it cannot be read and `names` is empty.
    """
    sums = _sums(folder)
    if sums is None:
        return [] if names else [SUMS]
    return [
        name
        for name, digest in sums.items()
        if (not names or name in names) and _sum(folder / name) != digest
    ]


def _sums(folder: pathlib.Path) -> dict[str, Any] | None:
    try:
        return read_json(folder / SUMS)
    except InputError:
        return None


def _sum(path: pathlib.Path) -> str:
    """SHA-256 of a file's bytes, read in pieces; empty where there is no such file."""
    try:
        if not path.is_file():  # a device never ends
            return ''
        with path.open('rb') as file:
            return hashlib.file_digest(file, 'sha256').hexdigest()
    except (OSError, ValueError):
        return ''


def check_inside(workdir: pathlib.Path) -> None:
    """Refuse links out of a workdir, and what is neither a file nor a folder.

    Raises:
      InputError: there is one.
    """
    top = os.path.realpath(workdir)
    for entry in (workdir / name for name in (*OWN_FILES, *OWN_FOLDERS)):
        for path in (entry, *(entry.rglob('*') if entry.name not in UNREAD else ())):
            if path.is_symlink() and not pathlib.Path(os.path.realpath(path)).is_relative_to(top):
                raise InputError(
                    f'{path} is a link that leaves the workdir: put its target in its place'
                )
            if path.exists() and not path.is_file() and not path.is_dir():
                raise InputError(f'{path} is neither a file nor a folder: remove it')


def clear(workdir: pathlib.Path) -> None:
    """Remove what jaxdl wrote into `workdir`, and no file of the user."""
    for name in OWN_FILES:
        (workdir / name).unlink(missing_ok=True)
    for path in workdir.glob(f'{TEMPORARY}*.tmp'):  # of a run that was killed
        path.unlink(missing_ok=True)
    for name in OWN_FOLDERS:
        shutil.rmtree(workdir / name, ignore_errors=True)


def _check_same(
    workdir: pathlib.Path, written: Mapping[str, Any], requested: Mapping[str, Any]
) -> None:
    written, requested = flatten(written), flatten(requested)
    keys = _differing(written, requested)
    if keys:
        examples = [f'{k}={requested.get(k)!r}, there {written.get(k)!r}' for k in keys[:3]]
        examples += ['...'] * (len(keys) > 3)
        raise InputError(
            f'workdir {workdir} holds another configuration ({", ".join(examples)}): '
            'name another --workdir, or --overwrite to start again'
        )


def _differing(written: Mapping[str, Any], requested: Mapping[str, Any]) -> list[str]:
    return [key for key in {**written, **requested} if written.get(key) != requested.get(key)]


def flatten(tree: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    """Flatten nested JSON objects to one, with dotted keys.

    Examples:
      >>> flatten(dict(a=1, b=dict(c=2)))
      {'a': 1, 'b.c': 2}
    """
    entries = {}
    for key, value in tree.items():
        entries |= (
            flatten(value, f'{prefix}{key}.')
            if isinstance(value, Mapping)
            else {f'{prefix}{key}': value}
        )
    return entries
