"""Where in an image a network saw the class: Grad-CAM on the last feature map.

Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via gradient-based
localization". The head sees the mean over the map, so the slope of a logit there is the same
everywhere, the class's row of the head over the area of the map; for these networks Grad-CAM is CAM
(Zhou et al. 2016).
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import augment
from jaxdl.inference import tta
from jaxdl.models.blocks import widened
from jaxdl.models.resnet import ResNet


def gradcam(
    module: ResNet, members: Sequence[Any], about: Mapping[str, Any], batch: Any, classes: Any
) -> jax.Array:
    """What speaks for a class of each image, as the networks see the centre view: float32 [b, size.

    Size] in [0, 1].

    Args:
      module: of every member.
      members: variables of each network; their maps are averaged.
      about: a snapshot's: `eval_size`, the size of the maps in pixels, is read.
      batch: decoded images, uint8 [b, height, width, channel], or float in [0, 1].
      classes: int [b].

    Returns:
      1 where most speaks for the class; zeros where nothing does.
    """
    size = about['eval_size']
    total = sum(
        _map(module, variables, batch, jnp.asarray(classes), size=size) for variables in members
    )
    return _scaled(total, size=size)


def seen(module: ResNet, about: Mapping[str, Any], batch: Any) -> np.ndarray:
    """The centre view of decoded images, as a picture of what the maps lie on: uint8 [b, size.

    Size, 3].
    """
    return np.asarray(_seen(jnp.asarray(batch), module.preprocessing.crop, size=about['eval_size']))


def overlay(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Maps [n, height, width] in [0, 1] as colours over images uint8 [n, height, width, 3]: uint8.

    Of the same shape.

    Where a map is 0 the image darkens, so that what speaks for the class stands out without hiding
    it.
    """
    import matplotlib as mpl

    colours = mpl.colormaps['inferno'](maps)[..., :3] * 255
    return (
        np.round(0.5 * images * (0.5 + maps[..., None]) + 0.4 * colours)
        .clip(0, 255)
        .astype(np.uint8)
    )


@functools.partial(jax.jit, static_argnames=('module', 'size'))
def _map(
    module: ResNet, variables: Any, batch: jax.Array, classes: jax.Array, size: int
) -> jax.Array:
    """float32 [b, rows, columns] of at least 0, before it is scaled."""
    images = tta.normalised(_centre(batch, module.preprocessing.crop, size), module.preprocessing)
    features = widened(tta.apply(module, variables, images, 'feature_map'))
    logits, pull = jax.vjp(
        lambda own: tta.apply(module, variables, own.mean((1, 2)), 'classify'), features
    )
    (slope,) = pull(jax.nn.one_hot(classes, logits.shape[-1], dtype=logits.dtype))
    return jax.nn.relu((features * slope.mean((1, 2), keepdims=True)).sum(-1))


@functools.partial(jax.jit, static_argnames='size')
def _scaled(maps: jax.Array, size: int) -> jax.Array:
    maps = jax.image.resize(maps, (len(maps), size, size), 'linear')
    most = maps.max((1, 2), keepdims=True)
    return maps / jnp.where(most > 0, most, 1)


@functools.partial(jax.jit, static_argnames='size')
def _seen(batch: jax.Array, crop: float, size: int) -> jax.Array:
    return jnp.round(_centre(batch, crop, size) * 255).astype(jnp.uint8)


def _centre(batch: jax.Array, crop: Any, size: int) -> jax.Array:
    images = tta.pixels(batch)
    return augment.resized_crop(images, augment.centre_boxes(len(images), crop), size)
