"""Threshold on the largest probability, below which an image has no known class.

Source: Hendrycks, Gimpel (2017), "A Baseline for Detecting Misclassified and Out-of-Distribution
Examples in Neural Networks", ICLR.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LEVELS = 201  # quantiles that a checkpoint holds: steps of half a per cent


class ThresholdEffect(NamedTuple):
    """Effect of a threshold on images with known classes.

    Attributes:
      share: share that was chosen.
      threshold: the probability.
      coverage: share of the images that reach the threshold.
      accuracy: of the images that reach it; nan without such.
      accuracy_below: of the images below the threshold; nan without such.
    """

    share: float
    threshold: float
    coverage: float
    accuracy: float
    accuracy_below: float


def confidence_quantiles(probabilities: np.ndarray) -> tuple[float, ...]:
    """Quantiles of the largest probability, ascending.

    Args:
      probabilities: float [n, classes], calibrated, of held-out images of known classes.

    Returns:
      LEVELS values of images, from the smallest to the largest; none without images.
    """
    ordered = np.sort(np.asarray(probabilities).max(1))
    if not len(ordered):
        return ()
    places = (np.linspace(0, 1, LEVELS) * len(ordered) + 1e-9).astype(int)
    return tuple(map(float, ordered[np.minimum(places, len(ordered) - 1)]))


def find_threshold(quantiles: Sequence[float], share: float) -> float:
    """The largest of the quantiles that at least `share` of the images reach.

    Args:
      quantiles: as of `confidence_quantiles`.
      share: 0 to 1.

    Examples:
      >>> find_threshold(confidence_quantiles(np.array([[0.9, 0.1], [0.4, 0.6]])), 0.5)
      0.9
    """
    return quantiles[int((1 - share) * (LEVELS - 1) + 1e-9)]


def measure_thresholds(
    probabilities: np.ndarray, labels: np.ndarray, shares: Sequence[float]
) -> list[ThresholdEffect]:
    """Effect of the thresholds of several shares on the images that they are chosen on.

    Args:
      probabilities: float [n, classes], calibrated.
      labels: int [n].
      shares: 0 to 1 each.
    """
    quantiles = confidence_quantiles(probabilities)
    confidence, correct = probabilities.max(1), probabilities.argmax(1) == labels
    results = []
    for share in shares:
        threshold = find_threshold(quantiles, share)
        accepted = confidence >= threshold
        mean = lambda chosen: float(correct[chosen].mean()) if chosen.any() else float('nan')
        results.append(
            ThresholdEffect(
                share, threshold, float(accepted.mean()), mean(accepted), mean(~accepted)
            )
        )
    return results
