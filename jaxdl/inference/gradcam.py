"""Grad-CAM: maps of the image regions that raise the logit of a class.

Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via gradient-based
localization". The features are a function of the mean over the last feature map, so the gradient
of a logit with respect to the map is the same everywhere. Where the head reads the mean itself, the
gradient is the class's row of the head over the area of the map, and Grad-CAM equals CAM (Zhou et
al. 2016). The map of a vision transformer is that of the patches before the last block, after which
the class token alone reaches the head; the gradient is averaged over the patches.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import augment
from jaxdl.inference import tta
from jaxdl.models.folded import FoldedNetwork
from jaxdl.models.norm import to_float32


def gradcam(networks: Sequence[FoldedNetwork], size: int, batch: Any, classes: Any) -> jax.Array:
    """Grad-CAM of one class per image, on the centre crop, averaged over networks.

    Args:
      networks: of one architecture.
      size: side in pixels of the input of the network, and of the maps.
      batch: decoded images, uint8 [b, height, width, channel], or float in [0, 1].
      classes: int [b].

    Returns:
      float32 [b, size, size] in [0, 1]; 1 at the region that raises the logit most. All zeros where
      no region raises it.
    """
    labels = jnp.asarray(classes)
    total = sum(_map(network, batch, labels, size=size) for network in networks)
    return _scale(total, size=size)


def centre_crops(crop: float, size: int, batch: Any) -> np.ndarray:
    """Centre crops of decoded images, as pictures that the maps belong to.

    Args:
      crop: share of the sides.
      size: side of the pictures in pixels.
      batch: decoded images, uint8 [b, height, width, channel], or float in [0, 1].

    Returns:
      uint8 [b, size, size, 3].
    """
    return np.asarray(_to_bytes(jnp.asarray(batch), crop, size=size))


def overlay(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Draw maps as colours over images; where a map is 0 the image darkens.

    Args:
      images: uint8 [n, height, width, 3].
      maps: float [n, height, width] in [0, 1].

    Returns:
      uint8 [n, height, width, 3].
    """
    import matplotlib as mpl

    colours = mpl.colormaps['inferno'](maps)[..., :3] * 255
    blended = 0.5 * images * (0.5 + maps[..., None]) + 0.4 * colours
    return np.round(blended).clip(0, 255).astype(np.uint8)


@functools.partial(jax.jit, static_argnames='size')
def _map(network: FoldedNetwork, batch: jax.Array, classes: jax.Array, size: int) -> jax.Array:
    """float32 [b, rows, columns] of at least 0, not scaled."""
    preprocessing = network.module.preprocessing
    images = tta.normalize(_centre(batch, preprocessing.crop, size), preprocessing)
    features = jax.tree.map(to_float32, network.feature_map(images))
    logits, pull = jax.vjp(lambda values: network.classify(network.pool(values)), features)
    (gradients,) = pull(jax.nn.one_hot(classes, logits.shape[-1], dtype=logits.dtype))
    values, gradient = (jax.tree.leaves(tree)[0] for tree in (features, gradients))
    return jax.nn.relu((values * gradient.mean((1, 2), keepdims=True)).sum(-1))


@functools.partial(jax.jit, static_argnames='size')
def _scale(maps: jax.Array, size: int) -> jax.Array:
    maps = jax.image.resize(maps, (len(maps), size, size), 'linear')
    largest = maps.max((1, 2), keepdims=True)
    return maps / jnp.where(largest > 0, largest, 1)


@functools.partial(jax.jit, static_argnames='size')
def _to_bytes(batch: jax.Array, crop: float, size: int) -> jax.Array:
    return jnp.round(_centre(batch, crop, size) * 255).astype(jnp.uint8)


def _centre(batch: jax.Array, crop: Any, size: int) -> jax.Array:
    images = tta.three_channels(batch)
    return augment.resized_crop(images, augment.centre_boxes(len(images), crop), size)
