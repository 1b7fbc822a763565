"""Training batches by random access, for runs that stop and resume at any step.

The images of a batch are a function of the global step alone. A run therefore resumes on any number
of processes, each of which reads its part of every batch. grain reads ahead by threads
(`grain.MapDataset`; the state of a `DataLoader` would fix the number of processes).
"""

import functools
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

THREADS, AHEAD = 2, 3  # threads of the reader, and batches that it reads ahead


class Feed(NamedTuple):
    """Training images and the rule of their order.

    Attributes:
      images: uint8 [n, height, width, 3].
      labels: int32 [n].
      indices: int [m], the training split.
      batch_size: images per step, over all processes.
      seed: root of the order.
      balanced: take one image of each class in turn.
    """

    images: np.ndarray
    labels: np.ndarray
    indices: np.ndarray
    batch_size: int
    seed: int
    balanced: bool = False


def order(feed: Feed, epoch: int) -> np.ndarray:
    """Draw the order of an epoch.

    Args:
      feed: images and the rule of their order.
      epoch: number of the epoch, from 0.

    Returns:
      int64 [m], into `feed.images`. Each training image occurs once. If `feed.balanced`, classes
      take turns instead, and the images of a class take turns.
    """
    rng = np.random.default_rng([feed.seed, zlib.crc32(b'order'), epoch])
    if not feed.balanced:
        return rng.permutation(feed.indices)
    labels = feed.labels[feed.indices]
    by_class = {
        label: rng.permutation(feed.indices[labels == label]) for label in np.unique(labels)
    }
    turns = -(-len(labels) // len(by_class))
    drawn = np.concatenate(
        [
            rng.permutation([np.resize(images, turns)[i] for images in by_class.values()])
            for i in range(turns)
        ]
    )
    return drawn[: len(labels)]


def batches(
    feed: Feed, start: int, steps: int, part: tuple[int, int] = (0, 1)
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Iterate over this process's part of the batches of the steps `start` to `steps` - 1.

    Epochs follow one another without a gap: a batch may hold the end of one and the beginning of
    the next.

    Args:
      feed: images and the rule of their order.
      start: first step.
      steps: number of steps of the whole run.
      part: (index, number) of the processes.

    Yields:
      images uint8 [batch, height, width, 3] and labels int32 [batch], `batch` being
      `feed.batch_size` per process.
    """
    grain = _grain()
    size = feed.batch_size // part[1]
    source = grain.MapDataset.source(_Records(feed, start, steps, part))
    reading = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=AHEAD)
    return iter(source.batch(size, drop_remainder=True).to_iter_dataset(reading))


class _Records:
    """Random access to the images in the order of training, from a step on."""

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
    """Import grain, which needs the flags of absl to be parsed (grain#1355)."""
    import grain
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    return grain
