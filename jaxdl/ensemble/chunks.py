"""How the members of a group are laid out: rows that share their batches.

Cut to fit in memory and over the devices.
"""

import pathlib
from collections import defaultdict
from collections.abc import Hashable, Sequence

import jax
import numpy as np

from jaxdl.runtime import machine

# of what is free: the programs' own copies, the data set and other processes need the rest
MEMORY_SHARE = 0.25


def rectangle(seeds: Sequence[Hashable]) -> np.ndarray:
    """Member indices [row, column] where the members of a row have one seed.

    And so share their batches.

    Where the seeds have different numbers of members, each member is a row of its own.

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
    """Member indices [row, column].

    And the rows and columns of them that each device takes at once.

    Rows share their batches; where members in rows of their own leave less idle, they have no such
    rows.
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
    """Rows and columns that each device takes at once, at most `limit` members.

    The least work with padding counted.

    A device with several cores gives each a member at a time. Of equal tiles, fewer chunks, then
    longer rows.
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


def cut(members: np.ndarray, sides: tuple[int, int], devices: int) -> list[np.ndarray]:
    """Chunks [devices * rows, columns] of member indices, all of one shape.

    Padding repeats members.
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


def at_once(member_bytes: int) -> int:
    """Members of so many bytes that one device takes at once: what its memory holds; on a CPU.

    What its cache holds.

    A step passes over all members once for every operation: what one operation wrote should still
    be in the cache when the next reads it.
    """
    allowed, cores = max(1, memory_limit() // member_bytes), cores_of_a_device()
    if jax.default_backend() != 'cpu':
        return allowed
    return min(allowed, max(cores, _cache_bytes() // member_bytes // cores * cores))


def cores_of_a_device() -> int:
    """The cores that a CPU device gives one member each; 1 on an accelerator.

    Which takes all members as one.
    """
    return (
        max(1, machine.usable_cores() // jax.local_device_count())
        if jax.default_backend() == 'cpu'
        else 1
    )


def _cache_bytes() -> int:
    """The largest cache of this CPU, by device, as Linux tells it; elsewhere a usual size."""
    files = pathlib.Path('/sys/devices/system/cpu/cpu0/cache').glob('index*/size')
    sizes = [int(file.read_text().strip().removesuffix('K')) << 10 for file in files]
    return max(sizes, default=2**24) // jax.local_device_count()


def memory_limit() -> int:
    """Bytes that the members on one device may take."""
    devices = jax.local_devices()
    stats = devices[0].memory_stats() if devices[0].platform != 'cpu' else None
    if stats and 'bytes_limit' in stats:
        return int(0.8 * stats['bytes_limit'])
    return int(MEMORY_SHARE * machine.available_memory() / len(devices))
