"""Records that the stages of a fine-tuning pass on: the running work, and the final networks."""

import dataclasses
from typing import Any

import numpy as np

from jaxdl.config.experiment import FineTune
from jaxdl.data import Dataset, Splits
from jaxdl.finetune.loop import RunContext
from jaxdl.finetune.setup import Backbone


@dataclasses.dataclass(frozen=True)
class Work:
    """What the stages of a run share."""

    experiment: FineTune
    session: RunContext
    network: Backbone
    dataset: Dataset
    parts: Splits
    features: np.ndarray
    said: dict[str, Any]  # of every checkpoint


@dataclasses.dataclass(frozen=True)
class Final:
    """The networks of a run, and what they said of images that they had not seen.

    Log-probabilities [n, classes].
    """

    members: list[Any]
    said: dict[str, Any]
    logits: np.ndarray
    indices: np.ndarray
    part: str  # val, test, or folds: each image by the networks that have not seen it
