"""What is said of one image: its likeliest classes, what spoke for the first.

And the training images nearest to it.
"""

import base64
import dataclasses
import io
import pathlib
import threading
import zipfile
from typing import Any

import numpy as np
from PIL import Image

from jaxdl import data, workdir
from jaxdl.config import load as config
from jaxdl.data import decode, splits
from jaxdl.errors import InputError, damaged
from jaxdl.inference import features
from jaxdl.inference.gradcam import overlay
from jaxdl.inference.predictor import Predictor
from jaxdl.inference.serving.neighbours import Neighbours
from jaxdl.inference.serving.settings import Serving

THUMBNAIL = 96  # pixels a side


class Answerer:
    """A predictor and its training images, asked by one thread at a time."""

    def __init__(self, predictor: Predictor, near: Neighbours, settings: Serving) -> None:
        self.predictor, self.near, self.settings = predictor, near, settings
        self._turn = threading.Lock()

    def about(self) -> dict[str, Any]:
        """Which network this is, and what keeps the training images away where they are."""
        held = self.predictor.snapshot.about
        names = dict(
            architecture=held['architecture'],
            experiment=held['experiment'],
            classes=held['class_names'],
        )
        return names | dict(
            max_bytes=self.settings.max_bytes, training=self.near.size, missing=self.near.missing
        )

    def answer(self, content: bytes) -> dict[str, Any]:
        """`classes`: [{name, probability}], likeliest first; `seen`, `explained`.

        PNGs as data URIs; `nearest`.

        Raises:
          BadImage: no image that can be decoded, or one of too many pixels.
        """
        image = decode.decode(content, self.predictor.snapshot.about['decoded_size'])
        with self._turn:
            found = self.predictor.predict([image], batch_size=1)
            ((maps, seen),) = self.predictor.explained([image], batch_size=1)
            nearest = self.near.to(_features(self.predictor, image)) if self.near.size else []
        likely = found.probabilities[0]
        best = np.argsort(-likely, kind='stable')[: self.settings.top]
        classes = [dict(name=found.classes[i], probability=float(likely[i])) for i in best]
        pictures = dict(seen=picture(seen[0]), explained=picture(overlay(seen, maps)[0]))
        return dict(classes=classes, nearest=nearest) | pictures


def load(checkpoint: pathlib.Path, settings: Serving) -> Answerer:
    """The networks of a workdir, asked once so that all is compiled.

    And the training images where they still are.
    """
    predictor = Predictor.from_checkpoint(checkpoint)
    found = Answerer(predictor, _neighbours(checkpoint, predictor, settings), settings)
    grey = io.BytesIO()
    Image.new('RGB', (64, 64), 'grey').save(grey, 'PNG')
    found.answer(grey.getvalue())
    return found


def picture(pixels: np.ndarray) -> str:
    """uint8 [height, width, 3] as a PNG in a data URI."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'PNG')
    return 'data:image/png;base64,' + base64.b64encode(file.getvalue()).decode()


def _neighbours(checkpoint: pathlib.Path, predictor: Predictor, settings: Serving) -> Neighbours:
    """Features of the training images by the first network; none, with the reason.

    Where the images are gone.
    """
    if not settings.nearest or not settings.training_images:
        return Neighbours(missing='the nearest training images were not asked for')
    held = predictor.snapshot
    try:
        asked = config.load_config(checkpoint / 'config.json').data  # type: ignore[union-attr]
        dataset = data.load(dataclasses.replace(asked, image_size=held.about['decoded_size']))
        with damaged(f'{checkpoint} does not say which they were', 'give the workdir of a run'):
            kept = _training(checkpoint, dataset, settings.training_images)
    except (InputError, OSError, zipfile.BadZipFile) as error:
        return Neighbours(missing=f'the training images are not at hand: {error}')
    digests = [dataset.digests[i] for i in kept] if dataset.digests else ()
    size = held.about['eval_size']
    found = features.extract(
        held.module, held.members[0], dataset.images, kept, size, digests=digests
    )[:, 0]
    names = [dataset.class_names[label] for label in dataset.labels[kept]]
    small = [_thumbnail(np.asarray(dataset.images[i])) for i in kept]
    return Neighbours(found, names, small, settings.nearest)


def _training(checkpoint: pathlib.Path, dataset: data.Dataset, most: int) -> np.ndarray:
    """Places of the images that the run trained on, ascending: about `most`.

    Each class with its share, one at least.

    Raises:
      InputError: the run has not split its images yet, or they are no longer those that it split.
    """
    if dataset.checksum() != workdir.read_json(checkpoint / 'plan.json')['data']['checksum']:
        raise InputError(f'data set {dataset.name} has changed since the run')
    train = workdir.read_arrays(checkpoint / workdir.SPLIT)['train']
    return splits.thin(train, dataset.labels, min(1, most / len(train)), 0)


def _features(predictor: Predictor, image: np.ndarray) -> np.ndarray:
    held = predictor.snapshot
    return features.at_once(held.module, held.members[0], image[None], held.about['eval_size'])[0]


def _thumbnail(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.resize((THUMBNAIL, THUMBNAIL)).convert('RGB').save(file, 'JPEG', quality=85)
    return file.getvalue()
