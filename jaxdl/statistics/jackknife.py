"""Contribution of every image to a metric, for the comparison over seeds and images."""

import numpy as np

from jaxdl.statistics.crossed import number_groups
from jaxdl.statistics.metrics import IMAGE, Metric

BLOCKS = 200  # most units that are left out in turn


def merge_groups(groups: np.ndarray, most: int = BLOCKS) -> np.ndarray:
    """Merge groups of images at random, from a fixed seed, into at most so many blocks.

    Args:
      groups: [images], equal for images that belong together.
      most: number of blocks.

    Returns:
      Number of the block of each image, int [images]; the numbers of the groups if these are few.
    """
    numbers = number_groups(groups, len(groups))
    count = int(numbers.max()) + 1
    if count <= most:
        return numbers
    return (np.random.default_rng(0).permutation(count) % most)[numbers]


def contributions(
    metric: Metric, logits: np.ndarray, labels: np.ndarray, blocks: np.ndarray
) -> np.ndarray:
    """Contribution of each image to a metric; their mean is the value of the split.

    Over images these are the values of the images. Over the split they are the pseudo-values of the
    jackknife that leaves out one block at a time, equal for the images of a block (docs/
    statistics.md).

    Args:
      metric: with its definition.
      logits: float [n, classes].
      labels: int [n].
      blocks: number of the block of each image, int [n], at least 2 blocks.

    Returns:
      float [n]; nan if the metric is not defined without one of the blocks.
    """
    if metric.over == IMAGE:
        return np.asarray(metric.compute(logits, labels), np.float64)
    total = metric.value(logits, labels)
    shares = np.bincount(blocks) / len(blocks)
    left_out = np.array([_value_without(metric, logits, labels, blocks == b) for b in _all(blocks)])
    values = total - (1 - shares) / shares * (left_out - total)
    return (values + total - shares @ values)[blocks]


def _all(blocks: np.ndarray) -> range:
    return range(int(blocks.max()) + 1)


def _value_without(
    metric: Metric, logits: np.ndarray, labels: np.ndarray, left_out: np.ndarray
) -> float:
    """Value of the other images; nan where a function of the user fails without these."""
    try:
        return metric.value(logits[~left_out], labels[~left_out])
    except Exception:
        return float('nan')
