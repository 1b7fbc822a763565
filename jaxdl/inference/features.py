"""Features of images by a frozen network, computed once: float32, cached in pieces on disk.

A piece holds the features of PIECE images, under a key of everything that they depend on.
Interrupted work continues at the first missing piece, and a damaged file costs only its own piece.
The folder (`jaxdl/features` in the system's cache folder) may be deleted at any time.
"""

import contextlib
import functools
import hashlib
import itertools
import json
import os
import pathlib
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import workdir
from jaxdl.augment import centre_boxes, resized_crop
from jaxdl.data import decode
from jaxdl.inference import batched, tta
from jaxdl.models.folded import FoldedNetwork, fold
from jaxdl.models.network import Network
from jaxdl.runtime import caches
from jaxdl.runtime.progress import show_progress
from jaxdl.workdir.checksums import checksum

BATCH = 32  # images through the network at once
PIECE = 128  # images per file: the most that an interruption costs
LIMIT = 2 * 2**30  # bytes of all files; beyond, the least recently used are deleted
STALE = 86400.0  # age in seconds of an unfinished file whose process was killed
SCHEME = 3  # version of the numbers: increased where the code computes others
VIEWS = (slice(None), slice(None, None, -1))  # of the columns: as they are, mirrored


def extract(
    module: Network,
    variables: Any,
    images: np.ndarray,
    indices: Sequence[int] | np.ndarray | None = None,
    size: int = 0,
    flips: bool = False,
    *,
    digests: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    """Features of the centre crops of images, from the cache or by the network.

    Args:
      module: a network.
      variables: its `params` and `batch_stats`.
      images: uint8 [n, side, side, channel], also on disk; one channel counts as three equal ones.
      indices: int [k], which images, in this order; None for all.
      size: side in pixels of the input of the network; 0: that of `module.preprocessing`.
      flips: whether every image has a second, mirrored view.
      digests: [k] SHA-256 of the images' files; without them the pixels are hashed.
      progress: is called with the number of images done since its last call; without it stderr
        shows the progress.

    Returns:
      float32 [k, view, features].
    """
    chosen = np.arange(len(images)) if indices is None else np.asarray(indices)
    size, views = size or module.preprocessing.size, VIEWS[: 1 + flips]
    folder, weights = _folder(), checksum(variables)
    features = np.zeros((len(chosen), len(views), module.architecture.features), np.float32)
    starts = range(0, len(chosen), PIECE)
    with _meter(progress, len(views) * len(chosen)) as report:
        missing: list[tuple[int, slice, str]] = []
        for number, start in itertools.product(range(len(views)), starts):
            rows = slice(start, start + PIECE)
            names = digests[rows] or _digests(images, chosen[rows])
            name = _name(_settings(module, weights, images, size, number), names)
            piece = _read(folder, name, (len(names), features.shape[-1]))
            if piece is None:
                missing.append((number, rows, name))
            else:
                features[rows, number] = piece
                report(len(piece))
        results = _compute(module, variables, images, chosen, size, missing, report)
        for (number, rows, name), piece in zip(missing, results, strict=True):
            features[rows, number] = piece
            _write(folder, name, piece)
    return features


def compute(network: FoldedNetwork, images: np.ndarray, size: int) -> np.ndarray:
    """Features float32 [n, features] of uint8 [n, side, side, channel], without the cache."""
    return np.asarray(_features(network, images, size=size))


def _meter(
    progress: Callable[[int], None] | None, total: int
) -> contextlib.AbstractContextManager[Callable[[int], None]]:
    if progress:
        return contextlib.nullcontext(progress)
    return show_progress('images through the network', total)


def _compute(
    module: Network,
    variables: Any,
    images: np.ndarray,
    chosen: np.ndarray,
    size: int,
    missing: Sequence[tuple[int, slice, str]],
    progress: Callable[[int], None],
) -> Iterator[np.ndarray]:
    """Features [b, features] of each missing piece (view, rows, name), one after another."""
    if not missing:
        return
    network = jax.device_put(fold(module, variables))
    batches = (
        batch[:, :, VIEWS[number]]
        for number, rows, _ in missing
        for batch in batched.batches_of(images, chosen[rows], BATCH)
    )
    results = batched.map_batches(
        lambda batch: _features(network, batch, size=size),
        batches,
        BATCH,
        progress=progress,
        advice='a smaller probe_size',
    )
    for _, rows, _ in missing:
        count = -(-len(chosen[rows]) // BATCH)
        yield np.concatenate(list(itertools.islice(results, count)))


@functools.partial(jax.jit, static_argnames='size')
def _features(network: FoldedNetwork, images: jax.Array, size: int) -> jax.Array:
    """Features [b, features] of images as stored [b, side, side, channel]."""
    preprocessing = network.module.preprocessing
    images = tta.three_channels(jnp.asarray(images))
    crops = resized_crop(images, centre_boxes(len(images), preprocessing.crop), size)
    return network.features(tta.normalize(crops, preprocessing))


def _settings(module: Network, weights: str, images: np.ndarray, size: int, view: int) -> str:
    """Everything that the features of a view depend on, except the images themselves."""
    preprocessing = module.preprocessing
    settings = dict(
        scheme=SCHEME,
        weights=weights,
        architecture=module.architecture.name,
        size=size,
        view=view,
        mean=preprocessing.mean,
        std=preprocessing.std,
        crop=preprocessing.crop,
        interpolation=preprocessing.interpolation,
        fit=preprocessing.fit,
        image_shape=images.shape[1:],
        decoder=decode.describe_decoder(),  # the digest of a file does not depend on its decoder
    )
    return json.dumps(settings)


def _name(settings: str, digests: Sequence[str]) -> str:
    return hashlib.sha256('\n'.join((settings, *digests)).encode()).hexdigest()[:32]


def _digests(images: np.ndarray, chosen: np.ndarray) -> list[str]:
    return [hashlib.sha256(np.ascontiguousarray(images[i]).data).hexdigest() for i in chosen]


def _folder() -> pathlib.Path | None:
    """Folder of the pieces; None where it cannot be made, and nothing is cached."""
    try:
        return caches.folder('features')
    except OSError:
        return None


def _read(folder: pathlib.Path | None, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """The piece of this name; None where it is missing, cut short or damaged."""
    path = folder and folder / f'{name}.piece'
    try:
        content = path.read_bytes() if path else b''
        check, values = content[:8], content[8:]
        if len(values) != 4 * np.prod(shape) or check != b'%08x' % zlib.crc32(values):
            return None
        assert path is not None
        os.utime(path)
    except OSError:
        return None
    return np.frombuffer(values, '<f4').reshape(shape)


def _write(folder: pathlib.Path | None, name: str, piece: np.ndarray) -> None:
    values = np.ascontiguousarray(piece, '<f4').tobytes()
    with contextlib.suppress(OSError):  # a full disk costs the next run its time, not this result
        if folder:
            workdir.write(folder / f'{name}.piece', b'%08x' % zlib.crc32(values) + values)
            _trim(folder)


def _trim(folder: pathlib.Path) -> None:
    """Delete the least recently used files beyond LIMIT, and those of killed processes."""
    for path in folder.glob('.*.tmp'):
        if time.time() - path.stat().st_mtime > STALE:
            path.unlink(missing_ok=True)
    stats = sorted(
        ((path.stat(), path) for path in folder.glob('*.piece')), key=lambda s: -s[0].st_mtime
    )
    total = 0
    for stat, path in stats:
        total += stat.st_size
        if total > LIMIT:
            path.unlink(missing_ok=True)
