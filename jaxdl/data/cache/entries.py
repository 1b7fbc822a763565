"""The files of the cache of decoded images: written whole or not at all.

Checked before they are believed.
"""

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
from jaxdl.runtime.meter import metered

LIMIT = 20 * 2**30  # bytes of all entries; the one that was written last stays, whatever its size
CHUNK = 2**22  # bytes read at a time
STALE = (
    86400.0  # seconds after which an unfinished file was left behind by a process that was killed
)
Meter = Callable[[str, int, str], contextlib.AbstractContextManager[Callable[[int], None]]]


class Held(NamedTuple):
    """An entry: images uint8 [n, size, size, 3], mapped read-only.

    And why those that are bad are.
    """

    path: pathlib.Path
    images: np.ndarray
    bad: dict[int, str]


def held(folder: pathlib.Path, size: int, key: str, meter: Meter = metered) -> Held | None:
    """The entry of this key; None, and nothing of it left, where it is missing or damaged."""
    path = folder / f'{size}px-{key}.json'
    content = _read(path)
    if not content:
        return None
    try:
        shape, pixels = (len(content['digests']), size, size, 3), path.with_suffix('.raw')
        whole = content['key'] == key and pixels.stat().st_size == np.prod(shape)
        if whole and _checksum(pixels, meter) == content['checksum']:
            return Held(
                path,
                _mapped(pixels, shape),
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
        self.open: dict[str, Held | None] = {}
        self.lock, self.folder, self.size = threading.Lock(), folder, size
        for path in folder.glob(f'{size}px-*.json'):
            content = _read(path)
            if content and content.get('decoder') == decoder:
                self.where |= {
                    d: (content['key'], row) for row, d in enumerate(content['digests']) if d
                }

    def get(self, digest: str) -> tuple[np.ndarray, str] | None:
        """Its pixels, and why it is bad if it is."""
        if digest not in self.where:
            return None
        key, row = self.where[digest]
        with self.lock:  # an entry is checked once, when it is first of use
            if key not in self.open:
                self.open[key] = held(self.folder, self.size, key, _unseen)
        found = self.open[key]
        return (found.images[row], found.bad.get(row, '')) if found else None


def commit(folder: pathlib.Path, pixels: pathlib.Path, content: Mapping[str, Any]) -> np.ndarray:
    """Make the complete file `pixels` an entry described by `content`, and map it."""
    final = folder / f'{content["size"]}px-{content["key"]}.raw'
    images = _mapped(pixels, (len(content['digests']), content['size'], content['size'], 3))
    workdir.publish(pixels, final)
    try:
        workdir.write(final.with_suffix('.json'), json.dumps(content))
    except OSError:
        # Another process may have written the same entry.
        if not final.with_suffix('.json').exists():
            final.unlink(missing_ok=True)
        raise
    return images


def keep(path: pathlib.Path, text: str) -> None:
    """Writes a file that is only of use, and may be missing."""
    with contextlib.suppress(OSError):
        workdir.write(path, text)


def used(path: pathlib.Path) -> None:
    """Marks an entry as just used."""
    with contextlib.suppress(OSError):
        os.utime(path)


def trim(folder: pathlib.Path, newest: Mapping[str, Any]) -> None:
    """Drops what the newest entry replaces, what killed processes left.

    And the least recently used beyond LIMIT.
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
            own = newest['key'] in path.name
            total += (
                path.with_suffix('.raw').stat().st_size if path.with_suffix('.raw').exists() else 0
            )
            if not own and (total > LIMIT or _replaced(path, newest, images)):
                _drop(path)


def _replaced(path: pathlib.Path, newest: Mapping[str, Any], images: set[str]) -> bool:
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
def _unseen(*_: Any) -> Iterator[Callable[[int], None]]:
    yield lambda count: None  # a terminal shows one bar at a time


def _checksum(path: pathlib.Path, meter: Meter) -> int:
    found = 0
    with (
        path.open('rb', buffering=0) as file,
        meter('checking the cache', path.stat().st_size, 'bytes') as more,
    ):
        while chunk := file.read(CHUNK):
            found = zlib.crc32(chunk, found)
            more(len(chunk))
    return found


def _mapped(path: pathlib.Path, shape: tuple[int, ...]) -> np.ndarray:
    return np.memmap(path, np.uint8, 'r', shape=shape)
