"""A data set on the device: all images, and the splits as index arrays."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data.listing import Dataset
from jaxdl.data.preprocess import channel_moments
from jaxdl.data.splits import Splits

EVAL_BATCH = 256


class Part(NamedTuple):
    """A split to evaluate on, in padded batches of one size.

    Attributes:
      indices: int32 [..., step, batch], into the images.
      mask: bool [..., step, batch]; False is padding.
    """

    indices: jax.Array
    mask: jax.Array


class Resident(NamedTuple):
    """A data set with one or several splits of it.

    The axis `split` has size 1 where all rows of members share a split, else one entry per row.

    Attributes:
      images: uint8 or float32 [n, height, width, channel].
      labels: int32 [n].
      train: int32 [split, n_train], into the images.
      val: the validation part, with the leading axis `split`.
      test: the test part, with the leading axis `split`, in whole multiples of the steps of `val`:
        one compiled program evaluates both.
      mean: float32 [split, channel], mean of the training images, in the unit of
        `preprocess.to_float`.
      std: float32 [split, channel], standard deviation of the training images, in the unit of
        `preprocess.to_float`.
    """

    images: jax.Array
    labels: jax.Array
    train: jax.Array
    val: Part
    test: Part
    mean: jax.Array
    std: jax.Array

    def rows(self, splits: Sequence[int]) -> 'Resident':
        """Select the split of each row, by its place on the axis `split`."""
        chosen = np.asarray(splits)
        parts = jax.tree.map(
            lambda leaf: leaf[chosen], (self.train, self.val, self.test, self.mean, self.std)
        )
        return Resident(self.images, self.labels, *parts)


def place_on_device(dataset: Dataset, splits: Sequence[Splits]) -> Resident:
    """Put a data set on the device.

    Args:
      dataset: images and labels.
      splits: one split or several. All train on as many images as the smallest training split.
    """
    largest = max(1, *(len(split.val) for split in splits))
    steps = -(-largest // EVAL_BATCH)
    batch = -(-largest // steps)
    tested = max(1, *(len(split.test) for split in splits))
    multiple = -(-tested // (steps * batch))
    fewest = min(len(split.train) for split in splits)
    mean, std = np.swapaxes(
        [channel_moments(dataset.images, split.train) for split in splits], 0, 1
    )
    return Resident(
        images=jnp.asarray(dataset.images),
        labels=jnp.asarray(dataset.labels),
        train=jnp.asarray(np.stack([_thin(split.train, fewest) for split in splits]), jnp.int32),
        val=_pad([split.val for split in splits], (steps, batch)),
        test=_pad([split.test for split in splits], (multiple * steps, batch)),
        mean=jnp.asarray(mean, jnp.float32),
        std=jnp.asarray(std, jnp.float32),
    )


def _thin(train: np.ndarray, count: int) -> np.ndarray:
    """Select `count` training images, evenly spaced over the data set."""
    return train[np.arange(count) * len(train) // count]


def _pad(parts: Sequence[np.ndarray], shape: tuple[int, int]) -> Part:
    size = shape[0] * shape[1]
    mask = np.stack([np.arange(size) < len(indices) for indices in parts])
    padded = np.stack([np.pad(indices, (0, size - len(indices))) for indices in parts])
    padded_shape = (len(parts), *shape)
    return Part(
        jnp.asarray(padded.reshape(padded_shape), jnp.int32),
        jnp.asarray(mask.reshape(padded_shape)),
    )
