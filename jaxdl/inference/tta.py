"""Test-time augmentation: class probabilities averaged over views of an image and over networks.

A view is a box of the decoded image, mirrored or not. Every view and every network runs the same
compiled program: boxes are arguments, so another row of `recipe.VIEWS` compiles nothing.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import augment
from jaxdl.config.recipe import VIEWS
from jaxdl.data import preprocess
from jaxdl.errors import InputError, unknown
from jaxdl.inference import batched
from jaxdl.models.folded import FoldedNetwork, fold
from jaxdl.models.network import Network
from jaxdl.workdir.records import ModelCard, Preprocessing

CORNER = 7 / 8  # largest share of the sides of a corner crop: beyond, the five hardly differ
BATCH = 32  # images per device and batch


def make_boxes(kind: str, crop: float) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of the views of a row of VIEWS.

    Args:
      kind: `none`: the centre. `flip`: also mirrored. `five_crops`: centre and four corners.
        `five_crops_flip`: all five, also mirrored.
      crop: share of the sides of the centre; corners have CORNER at most.

    Returns:
      float32 [view, 4], boxes as of `augment.resized_crop`; bool [view], whether mirrored. The
      centre comes first, mirrored views last.
    """
    if kind not in VIEWS:
        raise unknown('views', kind, VIEWS)
    side, crops = min(crop, CORNER), [((1 - crop) / 2, (1 - crop) / 2, crop, crop)]
    if kind.startswith('five_crops'):
        crops += [(top, left, side, side) for top in (0.0, 1 - side) for left in (0.0, 1 - side)]
    mirrored = (False, True) if kind.endswith('flip') else (False,)
    return np.asarray(crops * len(mirrored), np.float32), np.repeat(mirrored, len(crops))


def make_view(images: jax.Array, box: jax.Array, mirrored: jax.Array, size: int) -> jax.Array:
    """One view [n, size, size, channel] of images; `box` [4] and `mirrored` [] may be traced."""
    repeated = jnp.broadcast_to(jnp.asarray(box)[None], (len(images), 4))
    cropped = augment.resized_crop(images, repeated, size)
    return jnp.where(mirrored, cropped[:, :, ::-1], cropped)


def log_probabilities(
    module: Network,
    members: Sequence[Any],
    card: ModelCard,
    images: Any,
    indices: np.ndarray | None = None,
    batch_size: int = BATCH,
    progress: batched.Progress | None = None,
) -> np.ndarray:
    """Log-probabilities of images, on all devices of all processes, before calibration.

    Args:
      module: the networks' module.
      members: variables of each network.
      card: `eval_size`, `views` and `adjustment` are read.
      images: uint8 [n, height, width, channel], also on disk.
      indices: int [k], which images; None for all.
      batch_size: images per device and batch.
      progress: is called with the number of images that this process has done since its last call.

    Returns:
      float32 [k, classes], as of `batch_log_probabilities`.
    """
    networks = batched.replicate(fold_members(module, members))
    rows = batched.map_images(
        lambda batch: batch_log_probabilities(networks, card, batch),
        images,
        np.arange(len(images)) if indices is None else indices,
        batch_size,
        progress,
    )
    return np.zeros((0, module.num_classes), np.float32) if rows is None else rows


def fold_members(module: Network, members: Sequence[Any]) -> tuple[FoldedNetwork, ...]:
    """Networks with folded norms, on the host: once per evaluation, not per batch."""
    return tuple(fold(module, variables) for variables in members)


def batch_log_probabilities(
    networks: Sequence[FoldedNetwork], card: ModelCard, batch: Any
) -> jax.Array:
    """Log of the mean, over networks and views, of softmax(logits - adjustment).

    The temperature is not part of it: `probabilities` divides by it.

    Args:
      networks: of one architecture.
      card: `eval_size`, `views` and `adjustment` are read.
      batch: decoded images, uint8 [b, height, width, channel], or float in [0, 1]; 1 or 3 channels.

    Returns:
      float32 [b, classes].
    """
    module = networks[0].module
    adjustment = jnp.asarray(card.adjustment or np.zeros(module.num_classes), jnp.float32)
    batch = jnp.asarray(batch)  # once on the device, for all views
    rows = list(zip(*make_boxes(card.views, module.preprocessing.crop), strict=True))
    by_view = [
        _log_softmax(network, adjustment, batch, box, mirrored, size=card.eval_size)
        for network in networks
        for box, mirrored in rows
    ]
    return _log_mean(by_view)


@functools.partial(jax.jit, static_argnames='size')
def _log_softmax(
    network: FoldedNetwork,
    adjustment: jax.Array,
    batch: jax.Array,
    box: jax.Array,
    mirrored: jax.Array,
    size: int,
) -> jax.Array:
    images = make_view(three_channels(batch), box, mirrored, size)
    logits = network(normalize(images, network.module.preprocessing))
    return jax.nn.log_softmax(logits.astype(jnp.float32) - adjustment[None])


@jax.jit
def _log_mean(log_probabilities: Sequence[jax.Array]) -> jax.Array:
    """Log of the mean of probabilities, from their logs."""
    return jax.nn.logsumexp(jnp.stack(log_probabilities), axis=0) - np.log(
        len(log_probabilities)
    ).astype(np.float32)


def crop_probabilities(
    networks: Sequence[FoldedNetwork], card: ModelCard, crops: jax.Array
) -> jax.Array:
    """Calibrated probabilities of centre crops, in operations that other formats have.

    For an export: `batch_log_probabilities` resizes each view in a loop over the images.

    Args:
      networks: of one architecture.
      card: `views`, `adjustment` and `temperature` are read.
      crops: uint8 [b, size, size, 3].

    Returns:
      float32 [b, classes].

    Raises:
      InputError: the views include pixels outside the centre crop.
    """
    preprocessing = networks[0].module.preprocessing
    boxes, mirrored = make_boxes(card.views, preprocessing.crop)
    if (boxes != boxes[0]).any():
        raise InputError(
            f'views={card.views}: an ONNX file takes the centre crop alone: '
            'set views=flip or views=none'
        )
    classes = networks[0].module.num_classes
    adjustment = np.asarray(card.adjustment or np.zeros(classes), np.float32)[None]
    images = normalize(three_channels(crops), preprocessing)
    backwards = np.arange(images.shape[2])[::-1]
    by_view = [
        jax.nn.log_softmax(network(view).astype(jnp.float32) - adjustment)
        for network in networks
        for view in (jnp.take(images, backwards, axis=2) if flip else images for flip in mirrored)
    ]
    return jax.nn.softmax(_log_mean(by_view) / card.temperature)


def probabilities(log_probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities float32 [n, classes], calibrated by `temperature`.

    Args:
      log_probabilities: float [n, classes], as of `batch_log_probabilities`.
      temperature: positive; 1 changes nothing.
    """
    logits = np.asarray(log_probabilities, np.float64) / temperature
    exponentials = np.exp(logits - logits.max(-1, keepdims=True, initial=-np.inf))
    return (exponentials / exponentials.sum(-1, keepdims=True)).astype(np.float32)


def three_channels(batch: jax.Array) -> jax.Array:
    """Decoded images as float32 [n, height, width, 3] in [0, 1].

    Args:
      batch: uint8, or float in [0, 1], [n, height, width, channel]; 1 or 3 channels.

    Raises:
      InputError: another shape.
    """
    if batch.ndim != 4 or batch.shape[-1] not in (1, 3):
        shape = list(batch.shape)
        raise InputError(
            f'images of shape {shape}: must be [n, height, width, 3], or 1 channel of grey'
        )
    return jnp.broadcast_to(preprocess.to_float(batch), (*batch.shape[:-1], 3))


def normalize(images: jax.Array, preprocessing: Preprocessing) -> jax.Array:
    """Images [n, height, width, 3] in [0, 1], normalised as the network expects."""
    return preprocess.normalize(images, preprocessing.mean, preprocessing.std)
