"""Classification of one image: likeliest classes, Grad-CAM, and the nearest training images."""

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
from jaxdl.inference.serving.settings import ServeSettings
from jaxdl.workdir import records
from jaxdl.workdir.records import FineTunePlan

THUMBNAIL = 96  # side in pixels


class Classifier:
    """A predictor and its training images, used by one thread at a time."""

    def __init__(
        self, predictor: Predictor, neighbours: Neighbours, settings: ServeSettings
    ) -> None:
        self.predictor, self.neighbours, self.settings = predictor, neighbours, settings
        self._lock = threading.Lock()
        self.threshold = predictor.find_threshold(settings.unknown)

    def metadata(self) -> dict[str, Any]:
        """Network, experiment, classes, limits, and why there are no training images.

        Returns:
          Keys `architecture`, `experiment`, `classes`, `max_bytes`, `training`, `missing`.
        """
        card = self.predictor.model.card
        return dict(
            architecture=card.architecture,
            experiment=card.experiment,
            classes=list(card.class_names),
            max_bytes=self.settings.max_bytes,
            training=self.neighbours.size,
            missing=self.neighbours.missing,
        )

    def classify(self, content: bytes) -> dict[str, Any]:
        """Classify an image.

        Args:
          content: an image file.

        Returns:
          `classes`: [{name, probability}], likeliest first. `unknown`: whether all probabilities
          are below `threshold`. `seen`, `explained`: the centre crop,
          and Grad-CAM over it, as PNGs in data URIs. `nearest`: as `Neighbours.nearest`.

        Raises:
          BadImage: the image cannot be decoded, or has too many pixels.
        """
        card = self.predictor.model.card
        image = decode.decode(content, card.decoded_size, fit=card.preprocessing.fit)
        with self._lock:
            result = self.predictor.predict([image], batch_size=1)
            ((maps, crops),) = self.predictor.gradcam_batches([image], batch_size=1)
            nearest = []
            if self.neighbours.size:
                network = self.predictor.networks[0]
                (row,) = features.compute(network, image[None], card.eval_size)
                nearest = self.neighbours.nearest(row)
        probabilities = result.probabilities[0]
        best = np.argsort(-probabilities, kind='stable')[: self.settings.top]
        return dict(
            classes=[
                dict(name=result.classes[i], probability=float(probabilities[i])) for i in best
            ],
            unknown=bool(probabilities[best[0]] < self.threshold),
            threshold=self.threshold,
            nearest=nearest,
            seen=data_uri(crops[0]),
            explained=data_uri(overlay(crops, maps)[0]),
        )


def load(checkpoint: pathlib.Path, settings: ServeSettings) -> Classifier:
    """Load the networks of a workdir, compile them, and load the training images if they exist."""
    predictor = Predictor.from_checkpoint(checkpoint)
    classifier = Classifier(predictor, _neighbours(checkpoint, predictor, settings), settings)
    file = io.BytesIO()
    Image.new('RGB', (64, 64), 'grey').save(file, 'PNG')
    classifier.classify(file.getvalue())
    return classifier


def data_uri(pixels: np.ndarray) -> str:
    """A picture uint8 [height, width, 3] as a PNG in a data URI."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'PNG')
    return 'data:image/png;base64,' + base64.b64encode(file.getvalue()).decode()


def _neighbours(
    checkpoint: pathlib.Path, predictor: Predictor, settings: ServeSettings
) -> Neighbours:
    """Features of the training images by the first network; else why there are none."""
    if not settings.nearest or not settings.training_images:
        return Neighbours(missing='the nearest training images are switched off')
    model = predictor.model
    try:
        source = config.load_config(checkpoint / 'config.json').data  # type: ignore[union-attr]
        dataset = data.load(dataclasses.replace(source, image_size=model.card.decoded_size))
        with damaged(
            f'{checkpoint} does not list its training images', 'give the workdir of a run'
        ):
            indices = _training_indices(checkpoint, dataset, settings.training_images)
    except (InputError, OSError, zipfile.BadZipFile) as error:
        return Neighbours(missing=f'the training images are not available: {error}')
    rows = features.extract(
        model.module,
        model.members[0],
        dataset.images,
        indices,
        model.card.eval_size,
        digests=[dataset.digests[i] for i in indices] if dataset.digests else (),
    )[:, 0]
    names = [dataset.class_names[label] for label in dataset.labels[indices]]
    thumbnails = [_thumbnail(np.asarray(dataset.images[i])) for i in indices]
    return Neighbours(rows, names, thumbnails, settings.nearest)


def _training_indices(checkpoint: pathlib.Path, dataset: data.Dataset, most: int) -> np.ndarray:
    """Indices of about `most` training images, ascending: of each class its share, at least one.

    Raises:
      InputError: the run has not split its images yet, or the data set has changed since.
    """
    plan = records.read(checkpoint / 'plan.json', FineTunePlan)
    if dataset.checksum() != plan.data.checksum:
        raise InputError(f'data set {dataset.name} has changed since the run')
    train = workdir.read_arrays(checkpoint / workdir.SPLIT)['train']
    return splits.thin(train, dataset.labels, min(1, most / len(train)), 0)


def _thumbnail(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.resize((THUMBNAIL, THUMBNAIL)).convert('RGB').save(file, 'JPEG', quality=85)
    return file.getvalue()
