"""Predictor: classes of new images, by a checkpoint that is loaded in one line.

predictor = jaxdl.Predictor.from_checkpoint('runs/challenge')
predictions = predictor.predict(['apple.jpg', 'pear.jpg'])
"""

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jaxdl.config.recipe import VIEWS
from jaxdl.data import decode, image_headers
from jaxdl.errors import InputError, unknown
from jaxdl.inference import batched, gradcam, model_file, submission, tta
from jaxdl.inference.batched import Progress
from jaxdl.runtime.threads import threaded_map
from jaxdl.statistics import rejection
from jaxdl.workdir import records
from jaxdl.workdir.checksums import checksum


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Predictions of images, in their order.

    Attributes:
      class_names: of the likeliest class of each image, [n].
      probabilities: float32 [n, classes].
      ids: the paths as they were given, or the places in the array, [n].
      classes: name of each column of `probabilities`, [classes].
    """

    class_names: list[str]
    probabilities: np.ndarray
    ids: list[str]
    classes: tuple[str, ...]


class Predictor:
    """Networks of a checkpoint, with folded norms, on this process's first device.

    Attributes:
      model: the networks as they were saved, and their card.
      networks: the folded networks.
    """

    def __init__(self, model: model_file.SavedModel) -> None:
        self.model = model
        folded = tta.fold_members(model.module, model.members)
        self.networks = jax.device_put(folded, jax.local_devices()[0])

    @classmethod
    def from_checkpoint(cls, workdir: str | pathlib.Path, views: str = '') -> 'Predictor':
        """Load the networks that a run ended with, whatever devices they were trained on.

        Args:
          workdir: of a run of fine-tuning.
          views: test-time augmentation, a row of `recipe.VIEWS`; empty for that of the run.

        Raises:
          InputError: no run is there, or it keeps no networks.

        Examples:
          predictor = jaxdl.Predictor.from_checkpoint('runs/challenge')
        """
        return cls(load_model(pathlib.Path(workdir), views))

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of the columns of probabilities."""
        return self.model.card.class_names

    def identity(self) -> dict[str, Any]:
        """All that the probabilities depend on, next to the images, as JSON values."""
        networks = [checksum(member) for member in self.model.members]
        return dict(networks=networks, card=records.as_json(self.model.card))

    def find_threshold(self, share: float) -> float:
        """Largest probability below which an image is of no known class.

        Args:
          share: share of the validation images that keep their class, 0 to 1; 0 for no threshold.

        Returns:
          The threshold; 0 for none.

        Raises:
          InputError: the checkpoint has no probabilities of validation images, or a class is called
            `unknown`.
        """
        if not share:
            return 0.0
        confidences = self.model.card.confidences
        if len(confidences) != rejection.LEVELS:
            raise InputError(
                f'unknown={share:g}: the checkpoint has no probabilities of validation images: run '
                'it again with --overwrite, or set unknown=0'
            )
        if submission.UNKNOWN in self.class_names:
            raise InputError(
                f'unknown={share:g}: a class is called {submission.UNKNOWN}: set unknown=0'
            )
        return rejection.find_threshold(confidences, share)

    def predict(
        self, images: Any, batch_size: int = 32, progress: Progress | None = None
    ) -> Predictions:
        """Predict the likeliest class of each image, and the probability of every class.

        Args:
          images: paths; or uint8 [n, height, width, 3] (or 1 channel of grey); or a list of such
            arrays [height, width, 3] of different sizes. An empty list is fine.
          batch_size: images that are computed at a time; it changes no result.
          progress: is called with the number of images done since its last call.

        Returns:
          The predictions, in the order of the images.

        Raises:
          InputError: an image is missing, broken, empty or of another form; it names them.
        """
        images = as_list(images)
        rows = [rows for rows, _ in self.stream(images, batch_size, progress)]
        probabilities = np.concatenate([np.zeros((0, len(self.class_names)), np.float32), *rows])
        names = [self.class_names[i] for i in probabilities.argmax(1)] if len(images) else []
        return Predictions(names, probabilities, ids_of(images), self.class_names)

    def stream(
        self,
        images: Sequence[Any],
        batch_size: int = 32,
        progress: Progress | None = None,
        on_bad_image: str = 'stop',
    ) -> Iterator[tuple[np.ndarray, dict[int, str]]]:
        """Predict batch by batch, in memory that does not depend on the number of images.

        Args:
          images: paths or arrays, as in `predict`.
          batch_size: images that are computed at a time.
          progress: is called with the number of images done since its last call.
          on_bad_image: `stop`, or `skip`: the row of an image that cannot be read is NaN.

        Yields:
          Probabilities, float32 [b, classes], and place in `images` -> reason of each image of the
          batch that cannot be read.

        Raises:
          InputError: as in `predict`; with `stop`, no batch follows the first bad image.
        """
        card, bad = self.model.card, dict[int, str]()
        compute = lambda batch: tta.batch_log_probabilities(self.networks, card, batch)
        batches = self._decode(images, batch_size, bad if on_bad_image == 'skip' else None)
        logits = batched.map_batches(compute, batches, batch_size, progress=progress)
        yield from with_reasons((tta.probabilities(z, card.temperature) for z in logits), bad)

    def gradcam(self, images: Any, batch_size: int = 32) -> np.ndarray:
        """Grad-CAM of the predicted class of each image, on its centre crop.

        Args:
          images: as in `predict`.
          batch_size: images that are computed at a time.

        Returns:
          float32 [n, size, size] in [0, 1]; size is `model.card.eval_size`.

        Raises:
          InputError: as in `predict`.
        """
        size = self.model.card.eval_size
        maps = [maps for maps, _ in self.gradcam_batches(images, batch_size)]
        return np.concatenate([np.zeros((0, size, size), np.float32), *maps])

    def gradcam_batches(
        self, images: Any, batch_size: int = 32
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Grad-CAM of each batch of images, and the centre crops: uint8 [b, size, size, 3]."""
        card = self.model.card

        def compute(batch: np.ndarray) -> tuple[Any, Any]:
            classes = tta.batch_log_probabilities(self.networks, card, batch).argmax(-1)
            maps = gradcam.gradcam(self.networks, card.eval_size, batch, classes)
            return maps, gradcam.centre_crops(card.preprocessing.crop, card.eval_size, batch)

        batches = self._decode(as_list(images), batch_size)
        return batched.map_batches(compute, batches, batch_size)

    def _decode(
        self, images: Any, batch_size: int, bad: dict[int, str] | None = None
    ) -> Iterator[np.ndarray]:
        if not isinstance(batch_size, int) or batch_size < 1:
            raise InputError(f'batch_size={batch_size!r}: must be a whole number of at least 1')
        card = self.model.card
        fit = card.preprocessing.fit
        return decode_batches(images, card.decoded_size, batch_size, bad, fit)


def load_model(workdir: pathlib.Path, views: str = '') -> model_file.SavedModel:
    """Load the networks of a workdir, with other views than those of the run where some are named.

    Raises:
      InputError: no such views; or as `model_file.load`.
    """
    if views and views not in VIEWS:
        raise unknown('views', views, VIEWS)
    model = model_file.load(workdir)
    card = dataclasses.replace(model.card, views=views or model.card.views)
    return dataclasses.replace(model, card=card)


def as_list(images: Any) -> Any:
    """Images as a sequence of paths or of uint8 arrays; InputError for anything else."""
    if isinstance(images, (str, os.PathLike)):
        images = [images]
    if not isinstance(images, np.ndarray):
        images = list(images)
        missing = [
            str(image)
            for image in images
            if isinstance(image, (str, os.PathLike)) and not pathlib.Path(image).exists()
        ]
        if missing:
            raise _describe_unreadable([(name, 'no such file') for name in missing], len(images))
    elif images.ndim != 4:
        shape = list(images.shape)
        raise InputError(
            f'images of shape {shape}: must be [n, height, width, 3], or a list of paths'
        )
    return images


def ids_of(images: Sequence[Any]) -> list[str]:
    """A path as it was given; the place of an array."""
    return [_name(image, str(i)) for i, image in enumerate(images)]


def with_reasons(
    batches: Iterable[np.ndarray], bad: dict[int, str]
) -> Iterator[tuple[np.ndarray, dict[int, str]]]:
    """Pair each batch of probabilities with the reasons of its images that cannot be read.

    Args:
      batches: probabilities [b, classes] in the order of the images; rows of these become NaN.
      bad: place of an image -> reason, filled while images are decoded; entries are taken out.

    Yields:
      The probabilities, and place -> reason.
    """
    start = 0
    for rows in batches:
        reasons = {i: bad.pop(i) for i in range(start, start + len(rows)) if i in bad}
        rows[[i - start for i in reasons]] = np.nan
        start += len(rows)
        yield rows, reasons


def decode_batches(
    images: Sequence[Any],
    size: int,
    batch_size: int,
    skipped: dict[int, str] | None = None,
    fit: str = 'crop',
) -> Iterator[np.ndarray]:
    """Decode images in threads, a few batches ahead.

    Args:
      images: paths or uint8 arrays.
      size: side of the decoded images in pixels.
      batch_size: images per batch.
      skipped: gets the place and the reason of each image that cannot be read, which is black in
        its batch; None to raise.
      fit: how an image becomes a square, a row of `decode.FITS`.

    Yields:
      uint8 [b, size, size, 3].

    Raises:
      InputError: after the last image, with all images that cannot be read; no batch follows the
        first of them.
    """
    bad, count, black = list[tuple[str, str]](), 0, np.zeros((size, size, 3), np.uint8)
    ahead = (2 + batched.IN_FLIGHT) * batch_size
    results = threaded_map(lambda image: _decode_one(image, size, fit), images, ahead=ahead)
    while batch := list(itertools.islice(results, batch_size)):
        reasons = {i: reason for i, reason in enumerate(batch, count) if isinstance(reason, str)}
        count += len(batch)
        if skipped is None:
            bad += ((_name(images[i], f'number {i}'), why) for i, why in reasons.items())
        else:
            skipped |= reasons
        if not bad:
            yield np.stack([black if isinstance(image, str) else image for image in batch])
    if bad:
        raise _describe_unreadable(bad, len(images))


def _decode_one(image: Any, size: int, fit: str) -> np.ndarray | str:
    """The square of an image, or why it cannot be read.

    An array is decoded as a file of it (PPM) would be, so that the same filter scales it.
    """
    if isinstance(image, (str, os.PathLike)):
        source = pathlib.Path(image)
    else:
        problem = _find_problem(image)
        if problem:
            return problem
        if image.shape == (size, size, 3):
            return image
        height, width = image.shape[:2]
        kind = b'P6' if image.ndim == 3 and image.shape[2] == 3 else b'P5'
        source = b'%s %d %d 255\n' % (kind, width, height) + image.tobytes()
    try:
        return decode.decode(source, size, fit=fit)
    except image_headers.BadImage as error:
        return str(error)


def _find_problem(image: Any) -> str:
    """Why an array is no image; empty where it is one."""
    if not isinstance(image, np.ndarray):
        return f'a {type(image).__name__}, neither a path nor an array'
    if image.dtype != np.uint8:
        return f'an array of {image.dtype}; must be uint8, 0 to 255'
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
        shape = list(image.shape)
        return f'an array of shape {shape}; must be [height, width, 3], or 1 channel of grey'
    return '' if image.size else f'{image.shape[1]} x {image.shape[0]} pixels'


def _name(image: Any, otherwise: str) -> str:
    return str(image) if isinstance(image, (str, os.PathLike)) else otherwise


def _describe_unreadable(bad: Sequence[tuple[str, str]], count: int) -> InputError:
    names = ', '.join(f'{name} ({reason})' for name, reason in bad[:3])
    names += ', ...' if len(bad) > 3 else ''
    return InputError(
        f'{len(bad):,} of {count:,} images cannot be read: {names}; repair or remove them'
    )
