"""Probabilities of an unfinished prediction, next to its output, for the same command to resume.

The hidden folder `.OUTPUT.unfinished` holds a key of everything that the probabilities depend on,
the rows so far (float32), and the reasons of images that cannot be read. It is removed once the
output is written.
"""

import contextlib
import dataclasses
import json
import pathlib
import shutil
from collections.abc import Iterator, Mapping

import filelock
import numpy as np

from jaxdl import workdir
from jaxdl.errors import InputError, warn

KEY, ROWS, REASONS, LOCK = 'key.json', 'rows.f32', 'reasons.jsonl', '.lock'
BLOCK = 4096  # rows that are checked at a time


@dataclasses.dataclass(frozen=True)
class Unfinished:
    """The rows so far.

    Attributes:
      folder: where they are.
      classes: number of columns.
      count: number of rows when it was opened.
    """

    folder: pathlib.Path
    classes: int
    count: int

    def append(self, rows: np.ndarray, reasons: Mapping[int, str]) -> None:
        """Add the rows of a batch, float32 [b, classes], and reasons by place in all rows."""
        if reasons:  # first, so that no row lacks its reason
            with (self.folder / REASONS).open('a', encoding='utf-8') as file:
                file.writelines(json.dumps([i, why]) + '\n' for i, why in reasons.items())
        with (self.folder / ROWS).open('ab') as file:
            file.write(np.ascontiguousarray(rows, np.float32).tobytes())

    def read(self) -> tuple[np.ndarray, dict[int, str]]:
        """All rows, float32 [n, classes], mapped from disk, and place -> reason."""
        rows = _map_rows(self.folder / ROWS, self.classes)
        return rows, _read_reasons(self.folder / REASONS, rows)


@contextlib.contextmanager
def open_unfinished(
    output: pathlib.Path, key: str, classes: int, batch_size: int
) -> Iterator[Unfinished]:
    """Open the unfinished prediction of an output, or begin one.

    Args:
      output: the file that is being made.
      key: of everything that the rows depend on; rows of another key are removed.
      classes: number of classes.
      batch_size: rows are resumed in whole batches, so that each has the same neighbours.

    Yields:
      The rows so far. The folder is removed unless the block ends with an error after a row.

    Raises:
      InputError: another process is writing the same output.
    """
    folder = output.with_name(f'.{output.name}.unfinished')
    created = [top for top in (folder, *folder.parents) if not top.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise InputError(
            f'--output={output}: another process is writing it: wait until it ends, or name '
            'another file'
        ) from None
    ended = False
    try:
        unfinished = Unfinished(folder, classes, _resume(folder, key, classes, batch_size))
        yield unfinished
        ended = True
    finally:
        count = len(_map_rows(folder / ROWS, classes))
        if ended or not count:
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()
        if not (ended or count):
            with contextlib.suppress(OSError):
                for top in created[1:]:
                    top.rmdir()
        if count and not ended:
            warn(f'{count:,} predictions are saved; the same command resumes')


def _resume(folder: pathlib.Path, key: str, classes: int, batch_size: int) -> int:
    """Number of rows that can be kept; all others are removed."""
    path, before = folder / ROWS, ''
    with contextlib.suppress(OSError):
        before = (folder / KEY).read_text()
    rows = _map_rows(path, classes)
    if before != key:
        if len(rows):
            warn(f'{len(rows):,} predictions of other images or another network are removed')
        for name in (ROWS, REASONS):
            (folder / name).unlink(missing_ok=True)
        workdir.write(folder / KEY, key)
        return 0
    count = _count_whole(rows) // batch_size * batch_size
    del rows
    if path.exists():
        with path.open('rb+') as file:
            file.truncate(count * classes * 4)
    return count


def _count_whole(rows: np.ndarray) -> int:
    """Number of rows before the first that is no distribution: a power cut leaves zeros."""
    for start in range(0, len(rows), BLOCK):
        block = np.asarray(rows[start : start + BLOCK])
        right = np.isnan(block).all(1) | (np.abs(block.sum(1) - 1) < 1e-3)
        if not right.all():
            return start + int(np.argmin(right))
    return len(rows)


def _map_rows(path: pathlib.Path, classes: int) -> np.ndarray:
    count = path.stat().st_size // (4 * classes) if path.exists() else 0
    if not count:
        return np.zeros((0, classes), np.float32)
    return np.memmap(path, np.float32, 'r', shape=(count, classes))


def _read_reasons(path: pathlib.Path, rows: np.ndarray) -> dict[int, str]:
    """Reasons of the rows that are NaN; others are of a batch that was not saved."""
    reasons = dict[int, str]()
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
            with contextlib.suppress(ValueError, TypeError):  # a line that is cut short
                place, reason = json.loads(line)
                reasons[int(place)] = str(reason)
    return {
        place: reason
        for place, reason in reasons.items()
        if 0 <= place < len(rows) and np.isnan(rows[place]).all()
    }
