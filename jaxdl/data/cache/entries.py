"""Entries of the cache of decoded images: written whole or not at all, checked before use."""

import contextlib
import json
import os
import pathlib
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxdl import workdir
from jaxdl.runtime.progress import show_progress

LIMIT = 20 * 2**30  # bytes of all entries; the newest entry stays, whatever its size
CHUNK = 2**22  # bytes read at a time
STALE = 86400.0  # seconds after which an unfinished file must be of a killed process
Meter = Callable[[str, int, str], contextlib.AbstractContextManager[Callable[[int], None]]]


class Entry(NamedTuple):
    """An entry of the cache.

    Attributes:
      path: its JSON file.
      images: uint8 [n, size, size, 3], mapped read-only.
      bad: index -> reason why the image cannot be decoded.
    """

    path: pathlib.Path
    images: np.ndarray
    bad: dict[int, str]


def read(folder: pathlib.Path, size: int, key: str, meter: Meter = show_progress) -> Entry | None:
    """Read the entry of a key; None where it is missing or damaged. A damaged one is removed."""
    path = folder / f'{size}px-{key}.json'
    content = _read(path)
    if not content:
        return None
    try:
        shape, pixels = (len(content['digests']), size, size, 3), path.with_suffix('.raw')
        complete = content['key'] == key and pixels.stat().st_size == np.prod(shape)
        if complete and _checksum(pixels, meter) == content['checksum']:
            return Entry(
                path,
                _map_pixels(pixels, shape),
                {int(i): str(why) for i, why in content['bad'].items()},
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    _drop(path)
    return None


class Rows:
    """The decoded images of all entries of one size and decoder, by digest."""

    def __init__(self, folder: pathlib.Path, size: int, decoder: str) -> None:
        self.where: dict[str, tuple[str, int]] = {}
        self.open: dict[str, Entry | None] = {}
        self.lock, self.folder, self.size = threading.Lock(), folder, size
        for path in folder.glob(f'{size}px-*.json'):
            content = _read(path)
            if content and content.get('decoder') == decoder:
                self.where |= {
                    d: (content['key'], row) for row, d in enumerate(content['digests']) if d
                }

    def get(self, digest: str) -> tuple[np.ndarray, str] | None:
        """Pixels of an image, and why it is bad (empty if it is not); None if no entry has it."""
        if digest not in self.where:
            return None
        key, row = self.where[digest]
        with self.lock:  # an entry is checked once, at its first use
            if key not in self.open:
                self.open[key] = read(self.folder, self.size, key, _hide_progress)
        entry = self.open[key]
        return (entry.images[row], entry.bad.get(row, '')) if entry else None


def commit(folder: pathlib.Path, pixels: pathlib.Path, content: Mapping[str, Any]) -> np.ndarray:
    """Make the complete file `pixels` an entry described by `content`, and map it."""
    final = folder / f'{content["size"]}px-{content["key"]}.raw'
    images = _map_pixels(pixels, (len(content['digests']), content['size'], content['size'], 3))
    workdir.publish(pixels, final)
    try:
        workdir.write(final.with_suffix('.json'), json.dumps(content))
    except OSError:
        # Another process may have written the same entry.
        if not final.with_suffix('.json').exists():
            final.unlink(missing_ok=True)
        raise
    return images


def write_if_possible(path: pathlib.Path, text: str) -> None:
    """Write a file that may as well be missing."""
    with contextlib.suppress(OSError):
        workdir.write(path, text)


def mark_as_used(path: pathlib.Path) -> None:
    """Mark an entry as just used."""
    with contextlib.suppress(OSError):
        os.utime(path)


def trim(folder: pathlib.Path, newest: Mapping[str, Any]) -> None:
    """Remove entries that the newest replaces, files of killed processes, and all beyond LIMIT.

    Of entries beyond LIMIT the least recently used are removed.
    """
    images, total = set(newest['digests']), 0
    with contextlib.suppress(OSError):  # another process may be trimming too
        for path in (*folder.glob('.*.tmp'), *folder.glob('*.raw')):
            if (
                not path.with_suffix('.json').exists()
                and time.time() - path.stat().st_mtime > STALE
            ):
                path.unlink(missing_ok=True)
        for path in sorted(
            folder.glob('*px-*.json'), key=lambda p: p.stat().st_mtime, reverse=True
        ):
            is_newest = newest['key'] in path.name
            total += (
                path.with_suffix('.raw').stat().st_size if path.with_suffix('.raw').exists() else 0
            )
            if not is_newest and (total > LIMIT or _is_replaced(path, newest, images)):
                _drop(path)


def _is_replaced(path: pathlib.Path, newest: Mapping[str, Any], images: set[str]) -> bool:
    if not path.name.startswith(f'{newest["size"]}px-'):
        return False
    content = _read(path) or {}
    return (
        bool(content.get('partial'))
        and content['decoder'] == newest['decoder']
        and images >= set(content['digests'])
    )


def _drop(path: pathlib.Path) -> None:
    path.unlink(missing_ok=True)
    path.with_suffix('.raw').unlink(missing_ok=True)


def _read(path: pathlib.Path) -> dict[str, Any] | None:
    """The JSON of an entry, or None."""
    try:
        content = json.loads(path.read_text())
        return (
            content if isinstance(content, dict) and isinstance(content['digests'], list) else None
        )
    except (OSError, ValueError, KeyError):
        return None


@contextlib.contextmanager
def _hide_progress(*_: Any) -> Iterator[Callable[[int], None]]:
    yield lambda count: None  # a terminal has room for one line of progress


def _checksum(path: pathlib.Path, meter: Meter) -> int:
    checksum = 0
    with (
        path.open('rb', buffering=0) as file,
        meter('checking the cache', path.stat().st_size, 'bytes') as more,
    ):
        while chunk := file.read(CHUNK):
            checksum = zlib.crc32(chunk, checksum)
            more(len(chunk))
    return checksum


def _map_pixels(path: pathlib.Path, shape: tuple[int, ...]) -> np.ndarray:
    return np.memmap(path, np.uint8, 'r', shape=shape)
