"""How the members of a group are laid out: rows that share their batches, cut to fit in memory and over the devices."""

import os
from collections import defaultdict
from collections.abc import Sequence

import jax
import numpy as np

MEMORY_SHARE = 0.25  # of what is free: the programs' own copies, the data set and other processes need the rest


def rectangle(seeds: Sequence[int]) -> np.ndarray:
    """Member indices [row, column] where the members of a row have one seed, and so share their batches.

    Where the seeds have different numbers of members, each member is a row of its own.
    """
    rows = defaultdict(list)
    for index, seed in enumerate(seeds):
        rows[seed].append(index)
    if len({len(row) for row in rows.values()}) == 1:
        return np.asarray(list(rows.values()))
    return np.arange(len(seeds))[:, None]


def tile(shape: tuple[int, int], devices: int, limit: int) -> tuple[int, int]:
    """Rows and columns that each device takes at once, at most `limit` members: the least work with padding counted.

    Of equal ones, fewer chunks, then longer rows: the batches of a row are shared.
    """
    rows, columns = shape

    def cost(sides: tuple[int, int]) -> tuple[int, int, int]:
        blocks = -(-rows // sides[0]) * -(-columns // sides[1])
        chunks = -(-blocks // devices)
        return chunks * sides[0] * sides[1], chunks, -sides[1]

    fitting = ((r, c) for r in range(1, rows + 1) for c in range(1, columns + 1) if r * c <= max(1, limit))
    return min(fitting, key=cost)


def cut(members: np.ndarray, sides: tuple[int, int], devices: int) -> list[np.ndarray]:
    """Chunks [devices * rows, columns] of member indices, all of one shape; padding repeats members."""
    rows, columns = sides
    down = [np.minimum(np.arange(i, i + rows), len(members) - 1) for i in range(0, len(members), rows)]
    right = [np.minimum(np.arange(j, j + columns), members.shape[1] - 1) for j in range(0, members.shape[1], columns)]
    blocks = [members[np.ix_(r, c)] for r in down for c in right]
    blocks += blocks[:1] * (-len(blocks) % devices)
    return [np.concatenate(blocks[i : i + devices]) for i in range(0, len(blocks), devices)]


def memory_limit() -> int:
    """Bytes that the members on one device may take."""
    devices = jax.local_devices()
    stats = devices[0].memory_stats() if devices[0].platform != 'cpu' else None
    if stats and 'bytes_limit' in stats:
        return int(0.8 * stats['bytes_limit'])
    return int(MEMORY_SHARE * os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / len(devices))
