"""Batches for a run that may stop at any step.

Where an image stands is a function of the global step alone.

grain reads ahead by threads. A run goes on from a step on any number of processes, each of which
takes its own part of every batch (`grain.MapDataset`, by random access: the state of a `DataLoader`
would fix their number).
"""

import functools
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

THREADS, AHEAD = 2, 3  # of the reader, and batches that it may hold


class Feed(NamedTuple):
    """What a run learns from: images uint8 [n, height, width, 3], labels int32 [n].

    Indices [m] into both.
    """

    images: np.ndarray
    labels: np.ndarray
    indices: np.ndarray
    batch_size: int
    seed: int
    balanced: bool = False


def order(feed: Feed, epoch: int) -> np.ndarray:
    """The images of an epoch, int64 [m]: each once; balanced: classes in turn.

    Each class's images in turn.
    """
    rng = np.random.default_rng([feed.seed, zlib.crc32(b'order'), epoch])
    if not feed.balanced:
        return rng.permutation(feed.indices)
    labels = feed.labels[feed.indices]
    own = {label: rng.permutation(feed.indices[labels == label]) for label in np.unique(labels)}
    turns = -(-len(labels) // len(own))
    drawn = np.concatenate(
        [
            rng.permutation([np.resize(images, turns)[i] for images in own.values()])
            for i in range(turns)
        ]
    )
    return drawn[: len(labels)]


def batches(
    feed: Feed, start: int, steps: int, part: tuple[int, int] = (0, 1)
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(images, labels) of this process for every step from `start` to `steps`; `part`.

    Which of how many processes.

    Epochs follow one another without a gap: a batch may hold the end of one and the beginning of
    the next.
    """
    grain = _grain()
    size = feed.batch_size // part[1]
    source = grain.MapDataset.source(_Records(feed, start, steps, part))
    reading = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=AHEAD)
    return iter(source.batch(size, drop_remainder=True).to_iter_dataset(reading))


class _Records:
    """The images in the order of training, from a step on, by random access."""

    def __init__(self, feed: Feed, start: int, steps: int, part: tuple[int, int]) -> None:
        self.feed, self.start, self.steps, (self.number, self.parts) = feed, start, steps, part
        self.order = functools.lru_cache(maxsize=4)(functools.partial(order, feed))

    def __len__(self) -> int:
        return (self.steps - self.start) * (self.feed.batch_size // self.parts)

    def __getitem__(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        size = self.feed.batch_size // self.parts
        step, row = divmod(int(position), size)
        place = (self.start + step) * self.feed.batch_size + self.number * size + row
        epoch, within = divmod(place, len(self.feed.indices))
        index = self.order(epoch)[within]
        return np.asarray(self.feed.images[index]), self.feed.labels[index]


def _grain() -> Any:
    """grain, which reads flags of absl that only an app of absl has parsed (grain#1355)."""
    import grain
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    return grain
