"""Records that the stages of a fine-tuning pass on."""

import dataclasses
from typing import Any

import numpy as np

from jaxdl.config.experiment import FineTune
from jaxdl.data import Dataset, Splits
from jaxdl.finetune.loop import RunContext
from jaxdl.finetune.setup import Backbone
from jaxdl.workdir.records import ModelCard


@dataclasses.dataclass(frozen=True)
class FineTuneRun:
    """All that the stages of a run share.

    Attributes:
      experiment: the resolved experiment.
      context: workdir, journal, signals and devices.
      network: the pretrained network without head.
      dataset: labelled images.
      splits: their training, validation and test images.
      features: float32 [n, views, features], of all images, by the pretrained network.
      card: metadata of every checkpoint.
      seed: first seed of the networks and of the heads of the probe.
    """

    experiment: FineTune
    context: RunContext
    network: Backbone
    dataset: Dataset
    splits: Splits
    features: np.ndarray
    card: ModelCard
    seed: int = 0

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.dataset.class_names


@dataclasses.dataclass(frozen=True)
class FinalNetworks:
    """The networks of a run, and their predictions of images that they were not trained on.

    Attributes:
      members: variables of each network.
      card: metadata of the final checkpoint.
      logits: float32 [n, classes], log-probabilities before the temperature.
      indices: int [n], into the data set.
      split: `val`, `test`, or `folds`: each image by the networks of the fold that held it out.
      probe_predicted: int [n], classes that a probe on the same training images predicts; None for
        a probe alone, and for folds without a probe.
      validation: log-probabilities of the images that chose, and int indices of these images; None
        where `logits` are those.
    """

    members: list[Any]
    card: ModelCard
    logits: np.ndarray
    indices: np.ndarray
    split: str
    probe_predicted: np.ndarray | None = None
    validation: tuple[np.ndarray, np.ndarray] | None = None
