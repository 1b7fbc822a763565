"""Every image decoded once: a folder of arrays on disk, keyed by content, size and decoder.

An entry is the pixels (`SIZEpx-KEY.raw`, mapped and never loaded as a whole) and a JSON beside it:
the digests of its images, which of them are bad, and a checksum of the pixels. Rows that an earlier
entry holds are copied from it, so that an interrupted run, a changed file or a larger subset costs
only what is new. The folder (`jaxdl/images` where the system keeps caches) may be deleted at any
time; beyond LIMIT the entries that were not used for longest go.
"""

import dataclasses
import errno
import hashlib
import itertools
import os
import pathlib
import shutil
import time
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jaxdl import workdir
from jaxdl.data.cache import digests, entries
from jaxdl.data.cache.digests import Look
from jaxdl.data.cache.entries import Rows
from jaxdl.data.decode import decode, decoder
from jaxdl.data.image_headers import BadImage, read
from jaxdl.errors import InputError
from jaxdl.runtime import caches, machine
from jaxdl.runtime.meter import metered
from jaxdl.runtime.threads import threaded_map

BATCH = 16  # images of one task of a thread
Sources = Sequence[pathlib.Path | bytes]


@dataclasses.dataclass(frozen=True)
class Decoded:
    """Images uint8 [n, size, size, 3] on disk, digests of their files [n].

    And why those that are bad (zeros) are.
    """

    images: np.ndarray
    digests: tuple[str, ...]
    bad: dict[int, str]


def decoded(sources: Sources, ids: Sequence[str], size: int, on_bad_image: str = 'stop') -> Decoded:
    """Every image of `sources` [n] as `decode` gives it, in this order.

    From the cache where it is there.

    Raises:
      InputError: an image is bad (named by its id) and `on_bad_image` is not `skip`, or the cache
        cannot be written.
    """
    if not len(sources):
        return Decoded(np.zeros((0, size, size, 3), np.uint8), (), {})
    try:
        found = _found(caches.folder('images'), sources, size)
    except OSError as error:
        raise _unwritable(error, len(sources) * size * size * 3) from None
    if found.bad and on_bad_image != 'skip':
        raise InputError(_complaint(found.bad, ids))
    return found


def key(found: Sequence[str], size: int) -> str:
    """The name of the entry for images of these digests, in this order."""
    content = '\n'.join((decoder(), str(size), *found))
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _found(folder: pathlib.Path, sources: Sources, size: int) -> Decoded:
    began = time.time_ns()
    index = digests.read(folder, sources)
    with metered('looking at the images', len(sources), 'files') as more:
        looks = digests.look(sources, index, more)
    unread = [i for i, own in enumerate(looks) if own.unread]
    if len(unread) <= max(
        64, len(sources) // 50
    ):  # changed just before the last run: not worth a new entry
        for i in unread:
            looks[i] = _read_now(sources[i], looks[i])
        unread = []
    fresh = ['' if own.reason else own.digest or '' for own in looks]
    held = None if unread else entries.held(folder, size, key(fresh, size))
    try:
        if not held:
            fresh = []
            return _built(folder, sources, looks, size, fresh)
        entries.used(held.path)
        reasons = {i: own.reason for i, own in enumerate(looks) if own.reason}
        return Decoded(held.images, tuple(fresh), dict(sorted((held.bad | reasons).items())))
    finally:  # interrupted too
        content = digests.updated(index, sources, looks, fresh, began)
        if content != index:
            entries.keep(digests.where(folder, sources), digests.text(content))


def _read_now(source: pathlib.Path | bytes, own: Look) -> Look:
    try:
        return own._replace(
            digest=digests.digest(source if isinstance(source, bytes) else read(source))
        )
    except BadImage as error:
        return Look(reason=str(error))


def _built(
    folder: pathlib.Path, sources: Sources, looks: Sequence[Look], size: int, found: list[str]
) -> Decoded:
    """Decodes what no entry holds into a new one.

    `found` is filled with the digests as they become known.
    """
    need, bad, rows = len(sources) * size * size * 3, {}, Rows(folder, size, decoder())
    if shutil.disk_usage(folder).free < need:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with (
        workdir.temporary_file(folder) as path,
        path.open('xb') as file,
        metered('decoding', len(sources)) as more,
    ):
        checksum = 0
        try:
            for batch in _batches(sources, looks, size, rows):
                pixels = np.stack([row[1] for row in batch]).tobytes()
                file.write(pixels)
                after = zlib.crc32(pixels, checksum)
                bad |= {len(found) + i: why for i, (_, _, why) in enumerate(batch) if why}
                checksum, found[len(found) :] = after, [value for value, _, _ in batch]
                more(len(batch))
        except KeyboardInterrupt:  # what is done stays, as an entry that the next run copies from
            if found:
                file.truncate(len(found) * size * size * 3)
                file.flush()
                content = _content(found, size, checksum, bad) | dict(partial=True)
                entries.commit(folder, path, content)
            raise
        content = _content(found, size, checksum, bad)
        file.flush()
        images = entries.commit(folder, path, content)
    entries.trim(folder, content)
    return Decoded(images, tuple(found), bad)


def _content(found: Sequence[str], size: int, checksum: int, bad: dict[int, str]) -> dict[str, Any]:
    # Without what could not be read, which is looked at again.
    reasons = {str(i): why for i, why in bad.items() if i < len(found) and found[i]}
    return dict(
        key=key(found, size),
        size=size,
        decoder=decoder(),
        checksum=checksum,
        bad=reasons,
        digests=list(found),
    )


def _batches(
    sources: Sources, looks: Sequence[Look], size: int, rows: Rows
) -> Iterator[list[tuple[str, np.ndarray, str]]]:
    """(digest, pixels, reason why it is bad) of all images, in order."""

    def one(index: int) -> tuple[str, np.ndarray, str]:
        return _one(sources[index], looks[index], size, rows)

    ahead = 2 * BATCH * machine.usable_cores()
    results = threaded_map(one, range(len(sources)), ahead=ahead, per_task=BATCH)
    while batch := list(itertools.islice(results, BATCH)):
        yield batch


def _one(
    source: pathlib.Path | bytes, own: Look, size: int, rows: Rows
) -> tuple[str, np.ndarray, str]:
    nothing = np.zeros((size, size, 3), np.uint8)
    if own.reason:
        return '', nothing, own.reason
    held = rows.get(own.digest) if own.digest else None
    if held:
        return own.digest or '', *held
    try:
        data = source if isinstance(source, bytes) else read(source)
    except BadImage as error:
        return '', nothing, str(error)
    value = digests.digest(data)
    try:
        held = rows.get(value)
        return (value, *held) if held else (value, decode(data, size), '')
    except BadImage as error:
        return value, nothing, str(error)


def _complaint(bad: dict[int, str], ids: Sequence[str]) -> str:
    shown = ', '.join(f'{ids[i]} ({why})' for i, why in sorted(bad.items())[:3])
    more = ', ...' if len(bad) > 3 else ''
    return (
        f'{len(bad):,} of {len(ids):,} images cannot be decoded: {shown}{more}: '
        'mend them, or go on without them by --set=on_bad_image=skip'
    )


def _unwritable(error: OSError, need: int) -> InputError:
    try:
        folder = caches.home() / 'jaxdl' / 'images'
    except OSError:
        return InputError(
            'there is no home to keep decoded images in: set XDG_CACHE_HOME to a folder'
        )
    elsewhere = 'or set XDG_CACHE_HOME to a folder elsewhere'
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InputError(
            f'the disk is full: decoded images take {need:,} bytes in {folder}: free them, {elsewhere}'
        )
    return InputError(
        f'decoded images cannot be kept in {folder} ({error.strerror}): make it writable, {elsewhere}'
    )
