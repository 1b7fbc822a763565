"""A data set as the ensemble engine holds it: all images on the device, the parts as index arrays."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data.sources import Dataset
from jaxdl.data.splits import Splits

EVAL_BATCH = 256


class Part(NamedTuple):
    """A part to evaluate on, in batches padded to one size: int32 and bool [steps, batch]; mask False is padding."""

    indices: jax.Array
    mask: jax.Array


class Resident(NamedTuple):
    """images uint8 [n, height, width, channel], labels int32 [n], train int32 [n_train], mean and std [channel]."""

    images: jax.Array
    labels: jax.Array
    train: jax.Array
    val: Part
    test: Part
    mean: jax.Array
    std: jax.Array


def resident(dataset: Dataset, splits: Splits) -> Resident:
    """Puts `dataset` on the device; mean and standard deviation are those of the training images, by channel."""
    largest = max(len(splits.val), len(splits.test))
    steps = -(-largest // EVAL_BATCH)
    shape = (steps, -(-largest // steps))
    pixels = dataset.images[splits.train].reshape(-1, dataset.images.shape[-1]) / 255
    return Resident(
        images=jnp.asarray(dataset.images),
        labels=jnp.asarray(dataset.labels),
        train=jnp.asarray(splits.train, jnp.int32),
        val=_padded(splits.val, shape),
        test=_padded(splits.test, shape),
        mean=jnp.asarray(pixels.mean(0), jnp.float32),
        std=jnp.asarray(np.maximum(pixels.std(0), 1e-3), jnp.float32),
    )


def images_at(data: Resident, indices: jax.Array) -> jax.Array:
    """The normalised images, float32 [..., height, width, channel], at int [...] indices."""
    shape = (1,) * (indices.ndim + 2) + data.mean.shape
    images = data.images[indices].astype(jnp.float32) / 255
    return (images - data.mean.reshape(shape)) / data.std.reshape(shape)


def _padded(indices: np.ndarray, shape: tuple[int, int]) -> Part:
    mask = np.arange(shape[0] * shape[1]) < len(indices)
    padded = np.zeros(mask.shape, np.int32)
    padded[: len(indices)] = indices
    return Part(jnp.asarray(padded.reshape(shape)), jnp.asarray(mask.reshape(shape)))
