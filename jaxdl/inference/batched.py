"""Batched evaluation of a function of images: one padding rule, a few batches in flight."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import jax
import numpy as np

from jaxdl.runtime import distributed, out_of_memory
from jaxdl.runtime.sharding import DATA

IN_FLIGHT = 2  # batches that are dispatched before the first of them is read
Progress = Callable[[int], None]
Tree = TypeVar('Tree')


def map_batches(
    compute: Callable[[np.ndarray], Any],
    batches: Iterable[np.ndarray],
    size: int,
    *,
    multiple: int = 1,
    progress: Progress | None = None,
    advice: str = out_of_memory.ASKING,
) -> Iterator[Any]:
    """Apply a compiled function to every batch.

    A smaller batch is padded with zeros to the largest batch so far, so that all batches share one
    program. A first batch smaller than `size` is padded to the next power of two.

    Args:
      compute: images [b, ...] -> an array [b, ...] or a tree of arrays.
      batches: arrays [b, ...], b from 1 to `size`.
      size: largest batch; divisible by `multiple`.
      multiple: number that divides every padded batch: the number of devices.
      progress: is called with the number of images done since its last call.
      advice: what the user can do where a batch does not fit into memory.

    Yields:
      Results of each batch as NumPy arrays [b, ...], in order.

    Raises:
      InputError: a batch does not fit into memory.
    """
    pending, largest = deque[tuple[int, Any]](), 0

    def read_oldest() -> Any:
        count, result = pending.popleft()
        with out_of_memory.convert_memory_errors(f'{largest} images at a time', advice):
            result = jax.tree.map(lambda leaf: np.asarray(leaf)[:count], result)
        if progress:
            progress(count)
        return result

    for batch in batches:
        rounded = -(-(1 << (len(batch) - 1).bit_length()) // multiple) * multiple
        largest = max(largest, min(size, rounded))
        padding = np.zeros((largest - len(batch), *batch.shape[1:]), batch.dtype)
        with out_of_memory.convert_memory_errors(f'{largest} images at a time', advice):
            result = compute(np.concatenate([batch, padding]) if len(padding) else batch)
        pending.append((len(batch), result))
        if len(pending) > IN_FLIGHT:
            yield read_oldest()
    while pending:
        yield read_oldest()


def batches_of(images: Any, indices: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Images `indices` of an array [n, ...], also on disk, in batches of at most `size`."""
    return (
        np.asarray(images[indices[start : start + size]]) for start in range(0, len(indices), size)
    )


def map_images(
    compute: Callable[[jax.Array], jax.Array],
    images: Any,
    indices: np.ndarray,
    batch_size: int,
    progress: Progress | None = None,
) -> np.ndarray | None:
    """Apply a compiled function to images, on all devices of all processes.

    Each process computes its share of the images on its devices, and receives the other shares.

    Args:
      compute: images [b, ...], sharded over the devices of this process -> array [b, ...].
      images: array [n, ...], also on disk.
      indices: int [k], which images.
      batch_size: images per device and batch.
      progress: is called with the number of images that this process has done since its last call.

    Returns:
      Results [k, ...] in the order of `indices`; None for no images.
    """
    if not len(indices):
        return None
    processes, devices = jax.process_count(), jax.local_device_count()
    size, share = batch_size * devices, -(-len(indices) // processes)
    local = np.resize(indices, share * processes)[jax.process_index() * share :][:share]
    results = map_batches(
        lambda batch: compute(jax.device_put(batch, _local_sharding(DATA))),
        batches_of(images, local, size),
        size,
        multiple=devices,
        progress=progress,
    )
    rows = np.concatenate(list(results))
    if distributed.has_several():
        from jax.experimental import multihost_utils

        rows = np.concatenate(multihost_utils.process_allgather(rows))[: len(indices)]
    return rows


def replicate(tree: Tree) -> Tree:
    """Copy every array to each device of this process."""
    return jax.device_put(tree, _local_sharding())


def _local_sharding(*axes: str) -> jax.sharding.NamedSharding:
    devices = jax.local_devices()
    automatic = (jax.sharding.AxisType.Auto,)
    mesh = jax.make_mesh((len(devices),), (DATA,), devices=devices, axis_types=automatic)
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
