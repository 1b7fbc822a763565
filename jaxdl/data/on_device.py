"""A data set as the ensemble engine holds it: all images on the device.

The parts as index arrays.
"""

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
    """A part to evaluate on, in batches padded to one size: int32 and bool [..., step, batch].

    False is padding.
    """

    indices: jax.Array
    mask: jax.Array


class Resident(NamedTuple):
    """images [n, height, width, channel] uint8 or float32, labels int32 [n].

    The others have a leading axis [split].

    train int32 [split, n_train]; mean and std [split, channel] of the training images as float:
    uint8 from 0 to 1. Members that share one split share an axis of size 1; else there is one a
    row.
    """

    images: jax.Array
    labels: jax.Array
    train: jax.Array
    val: Part
    test: Part
    mean: jax.Array
    std: jax.Array

    def rows(self, splits: Sequence[int]) -> 'Resident':
        """With the split of each row, given by its place on the leading axis."""
        chosen = np.asarray(splits)
        parts = jax.tree.map(
            lambda leaf: leaf[chosen], (self.train, self.val, self.test, self.mean, self.std)
        )
        return Resident(self.images, self.labels, *parts)


def resident(dataset: Dataset, splits: Sequence[Splits]) -> Resident:
    """Puts `dataset` on the device, split in one way or in several.

    All then train on as many images as the fewest.
    """
    largest = max(len(part) for own in splits for part in (own.val, own.test))
    steps = -(-largest // EVAL_BATCH)
    shape = (steps, -(-largest // steps))
    fewest = min(len(own.train) for own in splits)
    mean, std = np.swapaxes([channel_moments(dataset.images, own.train) for own in splits], 0, 1)
    return Resident(
        images=jnp.asarray(dataset.images),
        labels=jnp.asarray(dataset.labels),
        train=jnp.asarray(np.stack([_fewest(own.train, fewest) for own in splits]), jnp.int32),
        val=_padded([own.val for own in splits], shape),
        test=_padded([own.test for own in splits], shape),
        mean=jnp.asarray(mean, jnp.float32),
        std=jnp.asarray(std, jnp.float32),
    )


def _fewest(train: np.ndarray, count: int) -> np.ndarray:
    """`count` of the training images, evenly over the data set."""
    return train[np.arange(count) * len(train) // count]


def _padded(parts: Sequence[np.ndarray], shape: tuple[int, int]) -> Part:
    size = shape[0] * shape[1]
    mask = np.stack([np.arange(size) < len(indices) for indices in parts])
    padded = np.stack([np.pad(indices, (0, size - len(indices))) for indices in parts])
    whole = (len(parts), *shape)
    return Part(jnp.asarray(padded.reshape(whole), jnp.int32), jnp.asarray(mask.reshape(whole)))
