"""Metrics of a split, computed on the host from the logits of each member."""

from typing import NamedTuple

import numpy as np

from jaxdl.errors import InputError, blamed
from jaxdl.statistics import jackknife
from jaxdl.statistics.metrics import BUILT_IN, Metric


class Predictions(NamedTuple):
    """Logits of the members of a chunk on a split, and its labels.

    Attributes:
      logits: float [row, column, image, class], padding included.
      labels: int [row, image]; one row where all rows share the split.
      mask: bool [row, image]; False is padding.
    """

    logits: np.ndarray
    labels: np.ndarray
    mask: np.ndarray

    def member(self, row: int, column: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Logits and labels of one member without padding; None if a logit is not finite."""
        split = row if len(self.mask) > 1 else 0
        mask = self.mask[split]
        logits = self.logits[row, column][mask]
        return (logits, self.labels[split][mask]) if np.isfinite(logits).all() else None


def score(metric: Metric, predictions: Predictions) -> np.ndarray:
    """Compute a metric of every member.

    Args:
      metric: a row of METRICS.
      predictions: of a chunk on a split.

    Returns:
      float64 [row, column]; nan for a member whose logits are not finite.

    Raises:
      InputError: a registered metric fails, or gives no finite number.
    """
    values = np.full(predictions.logits.shape[:2], np.nan)
    for place in np.ndindex(values.shape):
        member = predictions.member(*place)
        if member is not None:
            values[place] = compute(metric, *member)
    return values


def compute(metric: Metric, logits: np.ndarray, labels: np.ndarray) -> float:
    """Compute a metric of one split.

    Raises:
      InputError: a registered metric fails, or gives no finite number.
    """
    if metric.name in BUILT_IN:
        return metric.value(logits, labels)
    with blamed(f'metric {metric.name!r}', f'must take logits {list(logits.shape)} and labels'):
        value = metric.value(logits, labels)
    if not np.isfinite(value):
        raise InputError(
            f'metric {metric.name!r} gives {value} for {len(labels)} images: '
            'must be a finite number'
        )
    return value


def contributions(metric: Metric, predictions: Predictions, blocks: np.ndarray) -> np.ndarray:
    """Contribution of every image of a split to a metric (`statistics.jackknife`).

    Args:
      metric: a row of METRICS.
      predictions: of a chunk on a split that all rows share.
      blocks: number of the block of each image, int [image], without padding.

    Returns:
      float64 [row, column, image]; nan for a member whose logits are not finite.
    """
    values = np.full((*predictions.logits.shape[:2], len(blocks)), np.nan)
    for place in np.ndindex(values.shape[:2]):
        member = predictions.member(*place)
        if member is not None:
            values[place] = jackknife.contributions(metric, *member, blocks)
    return values
