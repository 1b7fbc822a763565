"""Data, order and clock of the benchmark, the same for all sides."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Size = dict[str, Any]  # side, channels, width, depth, batch, images: the rows of peers.SIZES
CLASSES, MOMENTUM, RATE, STEPS = (
    10,
    0.9,
    0.05,
    100_000,
)  # the cosine of the schedule ends far behind the clock


def dataset(size: Size, extra: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [n, height, width, channel] that can be learnt, and labels.

    An image is half a pattern of its class, half noise.
    """
    rng, shape = np.random.default_rng(0), (size['side'], size['side'], size['channels'])
    labels = rng.integers(0, CLASSES, size['images'] + extra, np.int32)
    patterns, noise = (
        rng.integers(0, 128, (CLASSES, *shape)),
        rng.integers(0, 128, (len(labels), *shape)),
    )
    return (patterns[labels] + noise).astype(np.uint8), labels


def normalised(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """The same, float32, of mean 0 and standard deviation 1: done once, before the clock."""
    images, labels = dataset(size)
    images = images.astype(np.float32)
    return (images - images.mean((0, 1, 2))) / images.std((0, 1, 2)), labels


def orders(size: Size, members: int) -> Iterator[np.ndarray]:
    """Indices [member, batch] of each step, without end; each member in its own order per epoch."""
    rng, batch = np.random.default_rng(1), size['batch']
    while True:
        order = rng.permuted(np.tile(np.arange(size['images']), (members, 1)), axis=1)
        for first in range(0, size['images'] - batch + 1, batch):
            yield order[:, first : first + batch]


def rates(members: int) -> np.ndarray:
    """A learning rate for each member, all of which train."""
    return np.linspace(RATE, RATE / 2, members, dtype=np.float32)


def timed(step: Callable[[], Any], seconds: float) -> float:
    """Seconds of one call, over at least two calls, after a tenth of the time to warm up."""
    for least, limit in ((1, seconds / 10), (2, seconds)):
        began, count = time.perf_counter(), 0
        while count < least or time.perf_counter() - began < limit:
            step()
            count += 1
    return (time.perf_counter() - began) / count
