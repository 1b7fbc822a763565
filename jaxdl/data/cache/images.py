"""A cache of decoded images on disk, keyed by content, size, fit and decoder.

An entry is a file of pixels (`SIZEpx-KEY.raw`, mapped and never read as a whole) and a JSON file:
the digests of its images, the bad ones among them, and a checksum of the pixels. Rows of earlier
entries are copied, so an interrupted run, a changed file or a larger subset decodes new images
only. The folder (`jaxdl/images` in the system's cache folder) may be deleted at any time. Beyond
`entries.LIMIT` the least recently used entries are removed.
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
from jaxdl.data.cache.digests import FileState
from jaxdl.data.cache.entries import Rows
from jaxdl.data.decode import decode, describe_decoder
from jaxdl.data.image_headers import BadImage, read
from jaxdl.errors import InputError
from jaxdl.runtime import caches, machine
from jaxdl.runtime.progress import show_progress
from jaxdl.runtime.threads import threaded_map

BATCH = 16  # images per task of a thread
Sources = Sequence[pathlib.Path | bytes]


@dataclasses.dataclass(frozen=True)
class DecodedImages:
    """Decoded images.

    Attributes:
      images: uint8 [n, size, size, 3], mapped from disk; a bad image is 0.
      digests: SHA-256 of each image's file [n].
      bad: index -> reason why the image cannot be decoded.
    """

    images: np.ndarray
    digests: tuple[str, ...]
    bad: dict[int, str]


def decode_images(
    sources: Sources, ids: Sequence[str], size: int, on_bad_image: str = 'stop', fit: str = 'crop'
) -> DecodedImages:
    """Decode every image of `sources` [n] by `decode`, or take it from the cache.

    Args:
      sources: paths or encoded bytes [n].
      ids: names for error messages [n].
      size: side of the decoded square in pixels.
      on_bad_image: `stop` or `skip`.
      fit: how an image becomes a square, a row of `decode.FITS`.

    Returns:
      The images, in this order.

    Raises:
      InputError: an image is bad (named by its id) and `on_bad_image` is not `skip`, or the cache
        cannot be written.
    """
    if not len(sources):
        return DecodedImages(np.zeros((0, size, size, 3), np.uint8), (), {})
    try:
        images = _read_or_build(caches.folder('images'), sources, size, fit)
    except OSError as error:
        raise _describe_write_error(error, len(sources) * size * size * 3) from None
    if images.bad and on_bad_image != 'skip':
        raise InputError(_describe_bad_images(images.bad, ids))
    return images


def key(values: Sequence[str], size: int, fit: str = 'crop') -> str:
    """Key of the entry for images with these digests, in this order."""
    content = '\n'.join((describe_decoder(fit), str(size), *values))
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _read_or_build(folder: pathlib.Path, sources: Sources, size: int, fit: str) -> DecodedImages:
    began = time.time_ns()
    index = digests.read(folder, sources)
    with show_progress('checking the images', len(sources), 'files') as more:
        looks = digests.look_up(sources, index, more)
    unread = [i for i, look in enumerate(looks) if look.unread]
    # A few files that changed just before the last run are not worth a new entry.
    if len(unread) <= max(64, len(sources) // 50):
        for i in unread:
            looks[i] = _read_digest(sources[i], looks[i])
        unread = []
    values = ['' if look.reason else look.digest or '' for look in looks]
    entry = None if unread else entries.read(folder, size, key(values, size, fit))
    try:
        if not entry:
            values = []
            return _build(folder, sources, looks, size, fit, values)
        entries.mark_as_used(entry.path)
        reasons = {i: look.reason for i, look in enumerate(looks) if look.reason}
        return DecodedImages(
            entry.images, tuple(values), dict(sorted((entry.bad | reasons).items()))
        )
    finally:  # also of an interrupted run
        content = digests.update(index, sources, looks, values, began)
        if content != index:
            entries.write_if_possible(
                digests.index_path(folder, sources), digests.format_index(content)
            )


def _read_digest(source: pathlib.Path | bytes, look: FileState) -> FileState:
    try:
        return look._replace(
            digest=digests.digest(source if isinstance(source, bytes) else read(source))
        )
    except BadImage as error:
        return FileState(reason=str(error))


def _build(
    folder: pathlib.Path,
    sources: Sources,
    looks: Sequence[FileState],
    size: int,
    fit: str,
    values: list[str],
) -> DecodedImages:
    """Write a new entry, and append the digests to `values` as they become known."""
    need, bad = len(sources) * size * size * 3, dict[int, str]()
    rows = Rows(folder, size, describe_decoder(fit))
    if shutil.disk_usage(folder).free < need:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with (
        workdir.temporary_file(folder) as path,
        path.open('xb') as file,
        show_progress('decoding', len(sources)) as more,
    ):
        checksum = 0
        try:
            for batch in _batches(sources, looks, size, fit, rows):
                pixels = np.stack([row[1] for row in batch]).tobytes()
                file.write(pixels)
                after = zlib.crc32(pixels, checksum)
                bad |= {len(values) + i: why for i, (_, _, why) in enumerate(batch) if why}
                checksum, values[len(values) :] = after, [value for value, _, _ in batch]
                more(len(batch))
        except KeyboardInterrupt:  # the next run copies what is done
            if values:
                file.truncate(len(values) * size * size * 3)
                file.flush()
                content = _content(values, size, fit, checksum, bad) | dict(partial=True)
                entries.commit(folder, path, content)
            raise
        content = _content(values, size, fit, checksum, bad)
        file.flush()
        images = entries.commit(folder, path, content)
    entries.trim(folder, content)
    return DecodedImages(images, tuple(values), bad)


def _content(
    values: Sequence[str], size: int, fit: str, checksum: int, bad: dict[int, str]
) -> dict[str, Any]:
    # Without files that could not be read: the next run tries again.
    reasons = {str(i): why for i, why in bad.items() if i < len(values) and values[i]}
    return dict(
        key=key(values, size, fit),
        size=size,
        decoder=describe_decoder(fit),
        checksum=checksum,
        bad=reasons,
        digests=list(values),
    )


def _batches(
    sources: Sources, looks: Sequence[FileState], size: int, fit: str, rows: Rows
) -> Iterator[list[tuple[str, np.ndarray, str]]]:
    """(digest, pixels, reason why it is bad) of all images, in order."""

    def one(index: int) -> tuple[str, np.ndarray, str]:
        return _decode_one(sources[index], looks[index], size, fit, rows)

    ahead = 2 * BATCH * machine.usable_cores()
    results = threaded_map(one, range(len(sources)), ahead=ahead, per_task=BATCH)
    while batch := list(itertools.islice(results, BATCH)):
        yield batch


def _decode_one(
    source: pathlib.Path | bytes, look: FileState, size: int, fit: str, rows: Rows
) -> tuple[str, np.ndarray, str]:
    nothing = np.zeros((size, size, 3), np.uint8)
    if look.reason:
        return '', nothing, look.reason
    row = rows.get(look.digest) if look.digest else None
    if row:
        return look.digest or '', *row
    try:
        data = source if isinstance(source, bytes) else read(source)
    except BadImage as error:
        return '', nothing, str(error)
    value = digests.digest(data)
    try:
        row = rows.get(value)
        return (value, *row) if row else (value, decode(data, size, fit=fit), '')
    except BadImage as error:
        return value, nothing, str(error)


def _describe_bad_images(bad: dict[int, str], ids: Sequence[str]) -> str:
    examples = ', '.join(f'{ids[i]} ({why})' for i, why in sorted(bad.items())[:3])
    more = ', ...' if len(bad) > 3 else ''
    return (
        f'{len(bad):,} of {len(ids):,} images cannot be decoded: {examples}{more}: '
        'repair them, or leave them out by --set=on_bad_image=skip'
    )


def _describe_write_error(error: OSError, need: int) -> InputError:
    try:
        folder = caches.home() / 'jaxdl' / 'images'
    except OSError:
        return InputError(
            'there is no home folder for decoded images: set XDG_CACHE_HOME to a folder'
        )
    elsewhere = 'or set XDG_CACHE_HOME to another folder'
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InputError(
            f'the disk is full: decoded images need {need:,} bytes in {folder}: '
            f'free this space, {elsewhere}'
        )
    return InputError(
        f'decoded images cannot be written to {folder} ({error.strerror}): '
        f'make it writable, {elsewhere}'
    )
