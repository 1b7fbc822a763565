"""The classes of new images, by a checkpoint that is restored in one line.

predictor = jaxdl.Predictor.from_checkpoint('runs/challenge')
predictions = predictor.predict(['apple.jpg', 'pear.jpg'])
"""

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from jaxdl.config.recipe import VIEWS
from jaxdl.data import decode, image_headers
from jaxdl.errors import InputError, unknown
from jaxdl.inference import gradcam as explain
from jaxdl.inference import model_file, tta
from jaxdl.runtime.threads import threaded_map

More = Callable[[int], None]


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What a network says of images, in their order.

    class_names: of the likeliest class, [n]. probabilities: float32 [n, classes]. ids: the paths as
      they were given, or
    the places in the array, [n]. classes: the name of each column of probabilities, [classes].
    """

    class_names: list[str]
    probabilities: np.ndarray
    ids: list[str]
    classes: tuple[str, ...]


class Predictor:
    """The networks of a checkpoint, ready to be asked."""

    def __init__(self, held: model_file.Snapshot) -> None:
        self.snapshot = held

    @classmethod
    def from_checkpoint(cls, workdir: str | pathlib.Path, views: str = '') -> 'Predictor':
        """The networks that the run in `workdir` ended with, on this machine's devices.

        Whatever it was trained on.

        views: a row of recipe.VIEWS, in place of the run's own.

        Raises:
          InputError: no run is there, or one that keeps no networks.
        """
        if views and views not in VIEWS:
            raise unknown('views', views, VIEWS)
        held = model_file.load(pathlib.Path(workdir))
        return cls(
            dataclasses.replace(held, about=held.about | (dict(views=views) if views else {}))
        )

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of the columns of probabilities."""
        return tuple(self.snapshot.about['class_names'])

    def predict(self, images: Any, batch_size: int = 32, more: More | None = None) -> Predictions:
        """The likeliest class of each image, and the probability of every class.

        Args:
          images: paths; or uint8 [n, height, width, 3] (or 1 channel of grey); or a list of such
            arrays [height, width, 3] of different sizes. None at all are fine.
          batch_size: images that are computed at a time; it changes no result.
          more: told how many images more are done.

        Raises:
          InputError: an image that is missing, broken, empty or of another form; it names them.
        """
        own, images = self.snapshot, listed(images)
        ask = lambda batch: tta.log_probabilities(own.module, own.members, own.about, batch)
        found = list(tta.in_batches(self._decoded(images, batch_size), ask, batch_size, more))
        logits = np.concatenate([np.zeros((0, len(self.class_names)), np.float32), *found])
        probabilities = tta.probabilities(logits, own.about['temperature'])
        names = [self.class_names[i] for i in probabilities.argmax(1)] if len(logits) else []
        return Predictions(names, probabilities, ids_of(images), self.class_names)

    def explain(self, images: Any, batch_size: int = 32) -> np.ndarray:
        """Grad-CAM of the class that is predicted, on the centre view: float32 [n, size.

        Size] in [0, 1].
        """
        size = self.snapshot.about['eval_size']
        found = [maps for maps, _ in self.explained(images, batch_size)]
        return np.concatenate([np.zeros((0, size, size), np.float32), *found])

    def explained(
        self, images: Any, batch_size: int = 32
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The maps of each batch of images, and what they lie on: uint8 [b, size, size, 3]."""
        module, members, about = self.snapshot.module, self.snapshot.members, self.snapshot.about

        def ask(batch: np.ndarray) -> tuple[Any, Any]:
            classes = tta.log_probabilities(module, members, about, batch).argmax(-1)
            return explain.gradcam(module, members, about, batch, classes), explain.seen(
                module, about, batch
            )

        return tta.in_batches(self._decoded(images, batch_size), ask, batch_size)

    def _decoded(self, images: Any, batch_size: int) -> Iterator[np.ndarray]:
        if not isinstance(batch_size, int) or batch_size < 1:
            raise InputError(f'batch_size={batch_size!r}: must be a whole number of at least 1')
        return decoded(listed(images), self.snapshot.about['decoded_size'], batch_size)


def listed(images: Any) -> Any:
    """Images as they may be given, one an entry: all paths, or all uint8 arrays.

    InputError where they are neither.
    """
    if isinstance(images, (str, os.PathLike)):
        images = [images]
    if not isinstance(images, np.ndarray):
        images = list(images)
        missing = [
            str(i)
            for i in images
            if isinstance(i, (str, os.PathLike)) and not pathlib.Path(i).exists()
        ]
        if missing:
            raise _bad([(name, 'no such file') for name in missing], len(images))
    elif images.ndim != 4:
        raise InputError(
            f'images of shape {list(images.shape)}: must be [n, height, width, 3], or a list of paths'
        )
    return images


def ids_of(images: Sequence[Any]) -> list[str]:
    """A path as it was given; the place of an array."""
    return [
        str(own) if isinstance(own, (str, os.PathLike)) else str(i) for i, own in enumerate(images)
    ]


def decoded(images: Sequence[Any], size: int, batch_size: int) -> Iterator[np.ndarray]:
    """Batches uint8 [b, size, size, 3] of images, decoded by threads, a few batches ahead.

    Raises:
      InputError: at the end, once all bad images are known; from the first bad one on no batch is
        given.
    """
    bad, done = list[tuple[str, str]](), 0
    results = threaded_map(
        lambda image: _one(image, size), images, ahead=(2 + tta.AHEAD) * batch_size
    )
    while batch := list(itertools.islice(results, batch_size)):
        bad += (
            (_name(images[i], i), reason)
            for i, reason in enumerate(batch, done)
            if isinstance(reason, str)
        )
        done += len(batch)
        if not bad:
            yield np.stack(batch)  # type: ignore[arg-type]
    if bad:
        raise _bad(bad, len(images))


def _one(image: Any, size: int) -> np.ndarray | str:
    """The centred square of an image, or what is wrong with it.

    An array is decoded as the file of it (PPM) would be, so that it is scaled by the same filter.
    """
    if isinstance(image, (str, os.PathLike)):
        source = pathlib.Path(image)
    else:
        wrong = _wrong(image)
        if wrong:
            return wrong
        if image.shape == (size, size, 3):
            return image
        height, width = image.shape[:2]
        kind = b'P6' if image.ndim == 3 and image.shape[2] == 3 else b'P5'
        source = b'%s %d %d 255\n' % (kind, width, height) + image.tobytes()
    try:
        return decode.decode(source, size)
    except image_headers.BadImage as error:
        return str(error)


def _wrong(image: Any) -> str:
    """What keeps an array from being an image; empty where nothing does."""
    if not isinstance(image, np.ndarray):
        return f'a {type(image).__name__}, neither a path nor an array'
    if image.dtype != np.uint8:
        return f'an array of {image.dtype}; must be uint8, 0 to 255'
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
        return f'an array of shape {list(image.shape)}; must be [height, width, 3], or 1 channel of grey'
    return '' if image.size else f'{image.shape[1]} x {image.shape[0]} pixels'


def _name(image: Any, place: int) -> str:
    return str(image) if isinstance(image, (str, os.PathLike)) else f'number {place}'


def _bad(bad: Sequence[tuple[str, str]], count: int) -> InputError:
    shown = ', '.join(f'{name} ({why})' for name, why in bad[:3]) + (
        ', ...' if len(bad) > 3 else ''
    )
    return InputError(
        f'{len(bad):,} of {count:,} images cannot be read: {shown}; mend them, or leave them out'
    )
