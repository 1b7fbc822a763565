"""Scores of classified images, with intervals by a bootstrap over groups of images."""

import collections
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy import sparse, stats

from jaxdl.errors import InputError
from jaxdl.statistics import classification
from jaxdl.statistics.crossed import FEWEST_GROUPS, number_groups
from jaxdl.statistics.paired import ALPHA, wilson

RESAMPLES = 4_000
ESTABLISHED, OPEN, TOO_FEW = 'established', 'not established', 'too few groups'
_NUMBERS = 2**23  # of a block of resamples


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A score of images, or a difference of two scores.

    Attributes:
      value: of the images at hand.
      interval: 95 % interval for other groups of images; None below FEWEST_GROUPS groups, and for
        macro F1 if all images are correct or all are wrong.
    """

    value: float
    interval: tuple[float, float] | None


@dataclasses.dataclass(frozen=True)
class PredictionScores:
    """Scores of one network on held-out images.

    Attributes:
      accuracy: share of correct images.
      macro_f1: mean F1 of the classes, as `classification.scores` defines it.
      images: number of images.
      groups: number of groups of images, the units of the bootstrap.
    """

    accuracy: Estimate
    macro_f1: Estimate
    images: int
    groups: int


@dataclasses.dataclass(frozen=True)
class PredictionComparison:
    """Paired differences of two networks on the same images.

    Attributes:
      accuracy: difference in accuracy.
      macro_f1: difference in macro F1.
      option: scores of the first network.
      baseline: scores of the other network, on the same resamples.
    """

    accuracy: Estimate
    macro_f1: Estimate
    option: PredictionScores
    baseline: PredictionScores

    @property
    def verdict(self) -> str:
        """`established` if the interval of the accuracy excludes 0, otherwise the reason."""
        if self.accuracy.interval is None:
            return TOO_FEW
        low, high = self.accuracy.interval
        return OPEN if low <= 0 <= high else ESTABLISHED


def score_predictions(
    labels: Sequence[int] | np.ndarray,
    predicted: Sequence[int] | np.ndarray,
    groups: Sequence[Any] | np.ndarray | None = None,
    resamples: int = RESAMPLES,
) -> PredictionScores:
    """Accuracy and macro F1 of predictions, with intervals for other groups of images.

    Groups are drawn with replacement, as many as there are, from a fixed seed. The interval is
    between percentiles of the resamples. Its level is expanded for few groups by Student's t. The
    interval of macro F1 is approximate. The definitions are in docs/statistics.md.

    Args:
      labels: true classes, int [n].
      predicted: predicted classes, int [n].
      groups: [n], equal for images that belong together, such as a burst; None if each image is a
        group by itself.
      resamples: number of resamples.

    Returns:
      The scores. The order of the images and the names of the groups do not matter.

    Raises:
      InputError: there are no images, or the shapes differ.

    Examples:
      >>> labels = np.repeat([0, 1, 2], 20)
      >>> predicted = np.where(np.arange(60) % 10 < 8, labels, 0)
      >>> scores = score_predictions(labels, predicted, groups=np.arange(60) // 5)
      >>> scores.accuracy.value, [round(end, 2) for end in scores.accuracy.interval]
      (0.8666666666666667, [0.73, 0.97])
    """
    labels, (predicted,) = _checked(labels, predicted)
    drawn = _Resamples(np.stack([labels, predicted], 1), groups, resamples)
    resampled = np.concatenate([_resampled(block, *drawn.kinds.T) for block in drawn], 1)
    return _scores(labels, predicted, resampled, drawn.groups)


def compare_predictions(
    labels: Sequence[int] | np.ndarray,
    predicted: Sequence[int] | np.ndarray,
    baseline: Sequence[int] | np.ndarray,
    groups: Sequence[Any] | np.ndarray | None = None,
    resamples: int = RESAMPLES,
) -> PredictionComparison:
    """Compare the predictions of two networks for the same images.

    Both networks are scored on the same resamples of groups, so the differences are paired.

    Args:
      labels: true classes, int [n].
      predicted: predicted classes, int [n].
      baseline: classes that the other network predicted, int [n].
      groups: as in `score_predictions`.
      resamples: number of resamples.

    Returns:
      Differences, score of `predicted` minus score of `baseline`.

    Raises:
      InputError: there are no images, or the shapes differ.

    Examples:
      >>> labels = np.repeat([0, 1, 2], 20)
      >>> baseline = np.where(np.arange(60) % 10 < 6, labels, 0)
      >>> predicted = np.where(np.arange(60) % 10 < 8, labels, 0)
      >>> comparison = compare_predictions(labels, predicted, baseline, np.arange(60) // 5)
      >>> round(comparison.accuracy.value, 3), comparison.verdict
      (0.133, 'established')
    """
    labels, (predicted, baseline) = _checked(labels, predicted, baseline)
    drawn = _Resamples(np.stack([labels, predicted, baseline], 1), groups, resamples)
    true, *kinds = drawn.kinds.T
    blocks = [[_resampled(block, true, kind) for kind in kinds] for block in drawn]
    both = np.concatenate(blocks, 2)
    one, other = (
        _scores(labels, classes, resampled, drawn.groups)
        for classes, resampled in zip((predicted, baseline), both, strict=True)
    )
    accuracy, macro_f1 = both[0] - both[1]
    gain, f1_gain = (
        getattr(one, name).value - getattr(other, name).value for name in ('accuracy', 'macro_f1')
    )
    return PredictionComparison(
        accuracy=_estimate(gain, accuracy, drawn.groups),
        macro_f1=_estimate(f1_gain, _shifted(macro_f1, f1_gain), drawn.groups),
        option=one,
        baseline=other,
    )


class _Resamples:
    """Resamples of groups, in blocks of counts [b, kinds].

    A kind is a row of `kinds`: true class and predicted classes. Groups with the same number of
    images of each kind are drawn together, so that names and order do not matter.
    """

    def __init__(
        self, images: np.ndarray, groups: Sequence[Any] | np.ndarray | None, resamples: int
    ) -> None:
        self.kinds, kind = np.unique(images, axis=0, return_inverse=True)
        group = number_groups(groups, len(images))
        sizes = np.bincount(group)
        parts = np.split(kind[np.lexsort((kind, group))], np.cumsum(sizes)[:-1])
        equal = collections.Counter(part.astype(np.int64).tobytes() for part in parts)
        members = [np.frombuffer(content, np.int64) for content in sorted(equal)]
        rows = np.repeat(np.arange(len(members)), [len(member) for member in members])
        ones, shape = np.ones(len(rows)), (len(members), len(self.kinds))
        self.table = sparse.csr_array((ones, (rows, np.concatenate(members))), shape=shape)
        self.repeats = np.array([equal[content] for content in sorted(equal)])
        self.groups, self.resamples = len(sizes), resamples

    def __iter__(self) -> Iterator[np.ndarray]:
        rng, shares = np.random.default_rng(0), self.repeats / self.groups
        size = max(1, _NUMBERS // max(len(self.repeats), len(self.kinds)))
        for start in range(0, self.resamples, size):
            block = min(size, self.resamples - start)
            yield rng.multinomial(self.groups, shares, block) @ self.table


def _resampled(counts: np.ndarray, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Accuracy and macro F1 [2, b] of resamples with counts [b, kinds] of kinds of images."""
    classes, numbers = np.unique(np.stack([labels, predicted]), return_inverse=True)
    true, guess = numbers.reshape(2, -1)
    kinds, ones = np.arange(len(labels)), np.ones(len(labels))
    shape = len(labels), len(classes)
    support = counts @ sparse.csr_array((ones, (kinds, true)), shape=shape)
    count = counts @ sparse.csr_array((ones, (kinds, guess)), shape=shape)
    correct = counts @ sparse.csr_array((1.0 * (true == guess), (kinds, true)), shape=shape)
    f1 = 2 * correct / np.maximum(support + count, 1)
    macro_f1 = f1.sum(1) / np.count_nonzero(support + count, axis=1)
    return np.stack([correct.sum(1) / counts.sum(1), macro_f1])


def _scores(
    labels: np.ndarray, predicted: np.ndarray, resampled: np.ndarray, groups: int
) -> PredictionScores:
    """Scores with intervals from `resampled`, accuracy and macro F1 [2, resamples]."""
    share, macro_f1 = float(np.mean(labels == predicted)), _macro_f1(labels, predicted)
    accuracy = _estimate(share, resampled[0], groups)
    f1 = _estimate(macro_f1, np.clip(_shifted(resampled[1], macro_f1), 0, 1), groups)
    if share in (0, 1):  # nothing varies
        accuracy = Estimate(share, accuracy.interval and wilson(share, groups))
        f1 = Estimate(macro_f1, None)
    return PredictionScores(accuracy, f1, len(labels), groups)


def _shifted(resampled: np.ndarray, value: float) -> np.ndarray:
    """Resamples with the mean `value`.

    A resample lacks classes with few groups, which count as 0 where they are predicted.
    """
    return resampled - resampled.mean() + value


def _estimate(value: float, resampled: np.ndarray, groups: int) -> Estimate:
    """An estimate with the interval between expanded percentiles (Hesterberg 2015)."""
    if groups < FEWEST_GROUPS:
        return Estimate(value, None)
    spread = stats.t.isf(ALPHA / 2, groups - 1) * np.sqrt(groups / (groups - 1))
    tail = float(stats.norm.sf(spread))
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Estimate(value, (float(low), float(high)))


def _macro_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    classes = int(max(labels.max(), predicted.max())) + 1
    return classification.macro_f1(classification.confusion(labels, predicted, classes))


def _checked(
    labels: Sequence[int] | np.ndarray, *predictions: Sequence[int] | np.ndarray
) -> tuple[np.ndarray, list[np.ndarray]]:
    arrays = [np.asarray(array) for array in (labels, *predictions)]
    shapes = [array.shape for array in arrays]
    if len(shapes[0]) != 1 or len(set(shapes)) > 1 or not len(arrays[0]):
        raise InputError(f'labels and predictions {shapes}: must be [n] each, n at least 1')
    if not all(np.issubdtype(a.dtype, np.integer) and a.min() >= 0 for a in arrays):
        raise InputError('labels and predictions: must be integers from 0')
    return arrays[0], arrays[1:]
