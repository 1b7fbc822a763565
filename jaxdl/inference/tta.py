"""Views of an image whose probabilities are averaged.

And the one place that asks networks (test-time augmentation).

A view is a box of the decoded image, as it is or mirrored. Every view and every network runs the
same compiled program: boxes are arguments, so another row of `recipe.VIEWS` compiles nothing anew.
"""

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import augment
from jaxdl.config.recipe import VIEWS
from jaxdl.errors import InputError, unknown
from jaxdl.models import folded
from jaxdl.models.architectures import Preprocessing
from jaxdl.models.resnet import ResNet
from jaxdl.runtime import out_of_memory

CORNER = (
    7 / 8
)  # the largest share of the sides that a crop at a corner has: beyond, the five hardly differ
AHEAD = 2  # batches that are under way before a result is read


def boxes(kind: str, crop: float) -> tuple[np.ndarray, np.ndarray]:
    """The views of a row of VIEWS: boxes float32 [v, 4] as `augment.resized_crop` has them.

    And mirrored, bool [v].
    """
    if kind not in VIEWS:
        raise unknown('views', kind, VIEWS)
    side, found = min(crop, CORNER), [((1 - crop) / 2, (1 - crop) / 2, crop, crop)]
    if kind.startswith('five_crops'):
        found += [(top, left, side, side) for top in (0.0, 1 - side) for left in (0.0, 1 - side)]
    sides = (False, True) if kind.endswith('flip') else (False,)
    return np.asarray(found * len(sides), np.float32), np.repeat(sides, len(found))


def views(images: jax.Array, kind: str, size: int, crop: float) -> jax.Array:
    """Float [n, height, width, channel] -> [v, n, size, size, channel]: the centre first.

    The mirrored ones last.

    Args:
      images: decoded, before they are normalised.
      kind: a row of VIEWS. `none`: the centre. `flip`: and mirrored. `five_crops`: centre and four
        corners. `five_crops_flip`: and all five mirrored.
      size: side in pixels of what comes out.
      crop: share of the sides that the centre has; the corners have CORNER at most.
    """
    return jnp.stack([view(images, *own, size) for own in zip(*boxes(kind, crop), strict=True)])


def view(images: jax.Array, box: jax.Array, mirrored: jax.Array, size: int) -> jax.Array:
    """One view [n, size, size, channel] of the images.

    `box` [4] and `mirrored` [] may be traced.
    """
    cut = augment.resized_crop(
        images, jnp.broadcast_to(jnp.asarray(box)[None], (len(images), 4)), size
    )
    return jnp.where(mirrored, cut[:, :, ::-1], cut)


def log_probabilities(
    module: ResNet, members: Sequence[Any], about: Mapping[str, Any], batch: Any
) -> jax.Array:
    """What networks say together: the log of the mean, over members and views.

    Of softmax(logits - adjustment).

    The temperature is not in it: `probabilities` divides these by it.

    Args:
      module: of every member.
      members: variables of each network.
      about: a snapshot's: `eval_size`, `views`, `adjustment` are read.
      batch: decoded images, uint8 [b, height, width, channel], or float in [0, 1]; 1 or 3 channels.

    Returns:
      float32 [b, classes].
    """
    adjustment = jnp.asarray(about['adjustment'] or np.zeros(module.num_classes), jnp.float32)
    batch = jnp.asarray(batch)  # once on the device, for all views
    chosen = list(zip(*boxes(about['views'], module.preprocessing.crop), strict=True))
    each = [
        _log_softmax(module, variables, adjustment, batch, *own, size=about['eval_size'])
        for variables in members
        for own in chosen
    ]
    return _log_mean(each)


@functools.partial(jax.jit, static_argnames=('module', 'size'))
def _log_softmax(
    module: ResNet,
    variables: Any,
    adjustment: jax.Array,
    batch: jax.Array,
    box: jax.Array,
    mirrored: jax.Array,
    size: int,
) -> jax.Array:
    images = view(pixels(batch), box, mirrored, size)
    logits = apply(module, variables, normalised(images, module.preprocessing))
    return jax.nn.log_softmax(logits.astype(jnp.float32) - adjustment[None])


@jax.jit
def _log_mean(each: Sequence[jax.Array]) -> jax.Array:
    """The log of the mean of probabilities, from their logs."""
    return jax.nn.logsumexp(jnp.stack(each), axis=0) - np.log(len(each)).astype(np.float32)


def apply(module: ResNet, variables: Any, images: jax.Array, method: str = '__call__') -> jax.Array:
    """A method of the network, in evaluation: all inference goes through here.

    Norms folded into convolutions.
    """
    if method not in folded.METHODS:
        return module.apply(variables, images, method=method)  # type: ignore[return-value]
    return folded.fold(module, variables, method)(images)


def probabilities(log_probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """[n, classes] as `log_probabilities` gives it -> float32 [n, classes].

    Calibrated by `temperature`.
    """
    logits = np.asarray(log_probabilities, np.float64) / temperature
    likely = np.exp(logits - logits.max(-1, keepdims=True, initial=-np.inf))
    return (likely / likely.sum(-1, keepdims=True)).astype(np.float32)


def pixels(batch: jax.Array) -> jax.Array:
    """Decoded images as float32 in [0, 1] of three channels."""
    if batch.ndim != 4 or batch.shape[-1] not in (1, 3):
        raise InputError(
            f'images of shape {list(batch.shape)}: must be [n, height, width, 3], or 1 channel of grey'
        )
    scale = 255 if batch.dtype == jnp.uint8 else 1
    return jnp.broadcast_to(batch.astype(jnp.float32) / scale, (*batch.shape[:-1], 3))


def normalised(images: jax.Array, preprocessing: Preprocessing) -> jax.Array:
    """Float in [0, 1] [n, height, width, 3] -> what the network takes."""
    mean, std = (
        jnp.asarray(values, jnp.float32)[None, None, None]
        for values in (preprocessing.mean, preprocessing.std)
    )
    return (images - mean) / std


def in_batches(
    batches: Iterable[np.ndarray],
    compute: Callable[[np.ndarray], Any],
    size: int,
    more: Callable[[int], None] | None = None,
) -> Iterator[Any]:
    """`compute` of every batch [b, ...], b at most `size`, as NumPy arrays [b, ...].

    A tree of them where it gives one.

    Batches are padded to `size` by their last image, so that all share one program; a single short
    one to the next power of two. `more` is told how many images more are done.

    Raises:
      InputError: a batch does not fit into memory.
    """
    pending, largest = deque[tuple[int, Any]](), 0

    def started(batch: np.ndarray) -> Any:
        with out_of_memory.guarded(f'{len(batch)} images at a time', out_of_memory.ASKING):
            return compute(batch)

    def oldest() -> Any:
        count, result = pending.popleft()
        with out_of_memory.guarded(f'{largest} images at a time', out_of_memory.ASKING):
            found = jax.tree.map(lambda leaf: np.asarray(leaf)[:count], result)
        if more:
            more(count)
        return found

    for batch in batches:
        largest = max(largest, min(size, 1 << (len(batch) - 1).bit_length()))
        pending.append((len(batch), started(_padded(batch, largest))))
        if len(pending) > AHEAD:
            yield oldest()
    while pending:
        yield oldest()


def pieces(images: Any, size: int) -> Iterator[np.ndarray]:
    """An array [n, ...], also on disk, in batches of `size`, the last one smaller."""
    return (np.asarray(images[start : start + size]) for start in range(0, len(images), size))


def _padded(batch: np.ndarray, size: int) -> np.ndarray:
    return (
        batch
        if len(batch) == size
        else np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), 0)])
    )
