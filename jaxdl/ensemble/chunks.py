"""Layout of the members of a group: rows that share batches, cut into chunks that fit in memory."""

import dataclasses
import pathlib
from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.runtime import machine
from jaxdl.train import keys, train_step
from jaxdl.train.variant import Variant

# Share of the free memory: copies made by the programs, the data set and other processes need the
# rest.
MEMORY_SHARE = 0.25


def rectangle(seeds: Sequence[Hashable]) -> np.ndarray:
    """Arrange members such that the members of a row have one seed and share their batches.

    Args:
      seeds: of each member; any value that is equal for members that can share batches.

    Returns:
      Member indices, int [row, column]. If seeds have different numbers of members, each member is
      a row.

    Examples:
      >>> rectangle([0, 0, 1, 1]).tolist(), rectangle([0, 0, 1]).tolist()
      ([[0, 1], [2, 3]], [[0], [1], [2]])
    """
    rows = defaultdict(list)
    for index, seed in enumerate(seeds):
        rows[seed].append(index)
    if len({len(row) for row in rows.values()}) == 1:
        return np.asarray(list(rows.values()))
    return np.arange(len(seeds))[:, None]


def layout(
    seeds: Sequence[Hashable], devices: int, limit: int, cores: int = 1
) -> tuple[np.ndarray, tuple[int, int]]:
    """Arrange the members of a group with the least idle time.

    Args:
      seeds: as in `rectangle`.
      devices: number of devices.
      limit: most members that a device trains at the same time.
      cores: cores of a device that train one member each.

    Returns:
      Member indices, int [row, column], and the rows and columns that each device takes at a time.
      Members of a row share their batches, unless rows of one member leave less idle.
    """
    shapes = rectangle(seeds), np.arange(len(seeds))[:, None]
    tiles = [tile(members.shape, devices, limit, cores) for members in shapes]
    costs = [
        _cost(members.shape, sides, devices, cores)[0]
        for members, sides in zip(shapes, tiles, strict=True)
    ]
    best = costs.index(min(costs))
    return shapes[best], tiles[best]


def tile(shape: tuple[int, int], devices: int, limit: int, cores: int = 1) -> tuple[int, int]:
    """Rows and columns that each device takes at a time, at most `limit` members.

    The tile has the least work, padding included, where each core of a device trains one member at
    a time. Among equal tiles it has fewer chunks, then longer rows.
    """
    rows, columns = shape
    fitting = (
        (r, c) for r in range(1, rows + 1) for c in range(1, columns + 1) if r * c <= max(1, limit)
    )
    return min(fitting, key=lambda sides: _cost(shape, sides, devices, cores))


def _cost(
    shape: tuple[int, int], sides: tuple[int, int], devices: int, cores: int
) -> tuple[int, int, int]:
    blocks = -(-shape[0] // sides[0]) * -(-shape[1] // sides[1])
    chunks, turns = -(-blocks // devices), -(-sides[0] * sides[1] // cores)
    return chunks * turns, chunks, -sides[1]


def cut_chunks(members: np.ndarray, sides: tuple[int, int], devices: int) -> list[np.ndarray]:
    """Cut members into chunks.

    Args:
      members: indices, int [row, column].
      sides: rows and columns that each device takes at a time.
      devices: number of devices.

    Returns:
      Chunks [devices * rows, columns] of indices, all of one shape; padding repeats members.
    """
    rows, columns = sides
    down = [
        np.minimum(np.arange(i, i + rows), len(members) - 1) for i in range(0, len(members), rows)
    ]
    right = [
        np.minimum(np.arange(j, j + columns), members.shape[1] - 1)
        for j in range(0, members.shape[1], columns)
    ]
    blocks = [members[np.ix_(r, c)] for r in down for c in right]
    blocks += blocks[:1] * (-len(blocks) % devices)
    return [np.concatenate(blocks[i : i + devices]) for i in range(0, len(blocks), devices)]


def most_members(member_bytes: int) -> int:
    """Most members per device and chunk: limited by memory, on CPUs by the last-level cache.

    A step passes over all members once per operation. Data that one operation wrote should still be
    in the cache when the next operation reads it.

    Args:
      member_bytes: memory of one member in training.
    """
    limit, cores = max(1, memory_limit() // member_bytes), cores_of_a_device()
    if jax.default_backend() != 'cpu':
        return limit
    return min(limit, max(cores, _cache_bytes() // member_bytes // cores * cores))


def member_bytes(
    variants: Sequence[Variant], image_shape: tuple[int, ...], num_classes: int, conv: str
) -> int:
    """Memory of one member in training, without computing anything.

    Args:
      variants: of the members of a group, which share one program.
      image_shape: height, width and channels.
      num_classes: size of the output.
      conv: a row of `models.conv.LOWERINGS`, `none`, or `auto`.

    Returns:
      Bytes of three states (before a step, after it, gradients) and of what backpropagation stores.

    Raises:
      InputError: a variant freezes layers or scales learning rates of layers that do not exist.
    """
    decay = min(variant.layer_decay for variant in variants)
    variant = dataclasses.replace(variants[0], layer_decay=decay)
    parts = train_step.parts_of(variants)
    module = train_step.module_of(variant, num_classes, conv)

    def residuals(variables: Any, images: jax.Array) -> Any:
        others = {name: tree for name, tree in variables.items() if name != 'params'}

        def forward(params: Any) -> Any:
            rngs = dict(dropout=keys.seed_key(0), params=keys.seed_key(0))
            inputs = dict(others, params=params)
            return train_step.apply(
                module, variant, inputs, images, train=True, rngs=rngs, mutable=list(others)
            )

        return jax.vjp(forward, variables['params'])[1]

    state = jax.eval_shape(lambda: train_step.init_state(variant, 0, module, image_shape, parts))
    images = jax.ShapeDtypeStruct((variant.batch_size, *image_shape), jnp.float32)
    stored = jax.eval_shape(residuals, train_step.variables_of(state), images)
    return 3 * _bytes(state) + _bytes(stored)


def _bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def cores_of_a_device() -> int:
    """Cores of a CPU device, each of which trains one member; 1 on an accelerator."""
    return (
        max(1, machine.usable_cores() // jax.local_device_count())
        if jax.default_backend() == 'cpu'
        else 1
    )


def _cache_bytes() -> int:
    """Largest cache of this CPU per device, as Linux reports it; 16 MiB elsewhere."""
    files = pathlib.Path('/sys/devices/system/cpu/cpu0/cache').glob('index*/size')
    sizes = [int(file.read_text().strip().removesuffix('K')) << 10 for file in files]
    return max(sizes, default=2**24) // jax.local_device_count()


def memory_limit() -> int:
    """Bytes for the members on one device."""
    devices = jax.local_devices()
    stats = devices[0].memory_stats() if devices[0].platform != 'cpu' else None
    if stats and 'bytes_limit' in stats:
        return int(0.8 * stats['bytes_limit'])
    return int(MEMORY_SHARE * machine.available_memory() / len(devices))
