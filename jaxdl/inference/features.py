"""What a frozen network makes of images, computed once: float32 features in pieces on disk.

Keyed by all they are of.

A piece holds PIECE images, so that interrupted work goes on where it stopped and a damaged file
costs only itself. The folder (`jaxdl/features` where the system keeps caches) may be deleted at any
time.
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
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import workdir
from jaxdl.augment import centre_boxes, resized_crop
from jaxdl.data import decode
from jaxdl.data.preprocess import to_float
from jaxdl.inference import tta
from jaxdl.models.resnet import ResNet
from jaxdl.runtime import caches, out_of_memory
from jaxdl.runtime.progress import show_progress
from jaxdl.workdir.checksums import checksum

BATCH = 32  # images through the network at once
PIECE = 128  # images in a file: what an interruption costs at most
LIMIT = 2 * 2**30  # bytes of all files; beyond, those that were not used for longest go
STALE = (
    86400.0  # seconds after which an unfinished file was left behind by a process that was killed
)
SCHEME = 2  # of the numbers: another one where the code gives others
VIEWS = (slice(None), slice(None, None, -1))  # of the columns: as it is, mirrored


def extract(
    module: ResNet,
    variables: Any,
    images: np.ndarray,
    indices: Sequence[int] | np.ndarray | None = None,
    size: int = 0,
    flips: bool = False,
    *,
    digests: Sequence[str] = (),
    more: Callable[[int], None] | None = None,
) -> np.ndarray:
    """The features of images uint8 [n, side, side, channel], normalised as the weights expect.

    Float32 [k, view, f].

    Args:
      module: a network, and the `variables` of it.
      images: may be mapped from disk; one channel is taken for three equal ones.
      indices: int [k], which of them, in this order; all of them without.
      size: side in pixels of what the network sees; 0: that of `module.preprocessing`.
      flips: a second view of every image, mirrored.
      digests: of the chosen images' files, [k]; without them the pixels are read to know what they
        are.
      more: is told of so many images more; without it stderr shows how far it is.
    """
    chosen = np.arange(len(images)) if indices is None else np.asarray(indices)
    size, views = size or module.preprocessing.size, VIEWS[: 1 + flips]
    folder, network, weights = _folder(), _compiled(module, size), checksum(variables)  # type: ignore[arg-type]
    found = np.zeros((len(chosen), len(views), module.architecture.features), np.float32)
    meter = (
        contextlib.nullcontext(more)
        if more
        else show_progress('images through the network', len(views) * len(chosen))
    )
    with meter as told:
        for number, start in itertools.product(range(len(views)), range(0, len(chosen), PIECE)):
            own = slice(start, start + PIECE)
            named = digests[own] or _digests(images, chosen[own])
            name = _name(_settings(module, weights, images, size, number), named)
            piece = _read(folder, name, (len(named), found.shape[-1]))
            if piece is None:
                piece = _computed(
                    lambda seen: network(variables, seen), images, chosen[own], views[number], told
                )
                _write(folder, name, piece)
            else:
                told(len(piece))
            found[own, number] = piece
    return found


def at_once(module: ResNet, variables: Any, images: np.ndarray, size: int) -> np.ndarray:
    """The same of a few images uint8 [n, side, side, channel], kept nowhere: float32 [n, f]."""
    return np.asarray(_compiled(module, size)(variables, images))  # type: ignore[arg-type]


@functools.lru_cache(maxsize=4)
def _compiled(module: ResNet, size: int) -> Callable[[Any, Any], jax.Array]:
    """(variables, images as stored [batch, side, side, channel]) -> features [batch, f].

    Compiled at the first call.
    """
    prepared = module.preprocessing

    @jax.jit
    def network(variables: Any, images: jax.Array) -> jax.Array:
        images = jnp.broadcast_to(to_float(images), (*images.shape[:-1], len(prepared.mean)))
        seen = resized_crop(images, centre_boxes(len(images), prepared.crop), size)
        mean, std = (
            jnp.asarray(moment).reshape(1, 1, 1, -1) for moment in (prepared.mean, prepared.std)
        )
        normal = (seen - mean) / std
        return tta.apply(module, variables, normal, 'features')

    return network


def _computed(
    network: Callable[[np.ndarray], jax.Array],
    images: np.ndarray,
    chosen: np.ndarray,
    view: slice,
    told: Callable[[int], None],
) -> np.ndarray:
    """A piece, a batch at a time; the last one is padded.

    Since another shape would be another program.
    """
    batches = []
    for start in range(0, len(chosen), BATCH):
        own = np.asarray(images[chosen[start : start + BATCH]])
        padded = np.concatenate([own, np.zeros((BATCH - len(own), *own.shape[1:]), own.dtype)])
        with out_of_memory.guarded(
            f'{BATCH} images at a time through the network', 'a smaller probe_size'
        ):
            batches.append(np.asarray(network(padded[:, :, view]))[: len(own)])
        told(len(own))
    return np.concatenate(batches)


def _settings(module: ResNet, weights: str, images: np.ndarray, size: int, view: int) -> str:
    """All that the features of a view of these images depend on, beside what the images show."""
    prepared = module.preprocessing
    facts = dict(
        scheme=SCHEME,
        weights=weights,
        architecture=module.architecture.name,
        size=size,
        view=view,
        mean=prepared.mean,
        std=prepared.std,
        crop=prepared.crop,
        interpolation=prepared.interpolation,
        image_shape=images.shape[1:],
        decoder=decode.decoder(),  # a file's digest says nothing of how it was decoded
    )
    return json.dumps(facts)


def _name(settings: str, digests: Sequence[str]) -> str:
    return hashlib.sha256('\n'.join((settings, *digests)).encode()).hexdigest()[:32]


def _digests(images: np.ndarray, chosen: np.ndarray) -> list[str]:
    return [hashlib.sha256(np.ascontiguousarray(images[i]).data).hexdigest() for i in chosen]


def _folder() -> pathlib.Path | None:
    """Where the pieces are; None where nothing can be kept, and all is computed every time."""
    try:
        return caches.folder('features')
    except OSError:
        return None


def _read(folder: pathlib.Path | None, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """The piece of that name; None where it is missing, cut short or damaged."""
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
    with contextlib.suppress(
        OSError
    ):  # a full disk costs the next run its time, not this one its result
        if folder:
            workdir.write(folder / f'{name}.piece', b'%08x' % zlib.crc32(values) + values)
            _trim(folder)


def _trim(folder: pathlib.Path) -> None:
    """Drops the least recently used files beyond LIMIT, and what killed processes left."""
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
