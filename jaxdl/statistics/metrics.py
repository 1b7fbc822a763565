"""Metrics of a classifier on a split: definition, direction, and the value of a guess.

Logits are float [n, classes], labels int [n]: all examples of a split, without padding.
Probabilities are the softmax of the logits.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from jaxdl.errors import InputError
from jaxdl.statistics import classification

IMAGE, SPLIT = 'image', 'split'
PERCENT = '%'


def _undefined(*_: Any) -> Any:
    raise InputError('a metric of which only the name is known: it has no definition here')


@dataclasses.dataclass(frozen=True)
class Metric:
    """A row of METRICS.

    Attributes:
      name: key of the row, and the value of `metric` in tables.
      words: name in sentences.
      meaning: definition.
      lower_is_better: direction.
      over: `image`: the mean of a value per example; `split`: a value of all examples together.
      unit: `%` for shares that are written in per cent, otherwise empty.
      perfect: value of a perfect classifier; None if it is not known.
      largest: largest possible value.
      probabilities: whether the metric needs probabilities; otherwise predicted classes suffice.
      compute: (logits, labels) -> float [n] over images, a number over the split.
      guess: (labels, number of classes) -> value that a diverged run counts as.
      guess_words: this value in words.
    """

    name: str
    words: str
    meaning: str = ''
    lower_is_better: bool = False
    over: str = SPLIT
    unit: str = ''
    perfect: float | None = None
    largest: float = math.inf
    probabilities: bool = False
    compute: Callable[[np.ndarray, np.ndarray], Any] = _undefined
    guess: Callable[[np.ndarray, int], float] = _undefined
    guess_words: str = 'the value of equal logits for all classes'

    def value(self, logits: np.ndarray, labels: np.ndarray) -> float:
        """Value of a split.

        Args:
          logits: float [n, classes].
          labels: int [n].

        Returns:
          The number; over images the mean.
        """
        return float(np.mean(np.asarray(self.compute(logits, labels), np.float64)))

    def improvement(self, difference: float) -> float:
        """A difference with the sign of an improvement: above 0 if the metric became better."""
        return -difference if self.lower_is_better else difference

    def error(self, value: float) -> float | None:
        """Distance of a value from that of a perfect classifier; None if this is not known."""
        return None if self.perfect is None else abs(self.perfect - value)


def correct(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the largest logit is that of the label, float [n]."""
    return (np.argmax(logits, 1) == labels).astype(float)


def balanced_accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean recall of the classes among the labels.

    Examples:
      >>> logits, labels = np.eye(2)[[0, 0, 0, 1]], np.array([0, 0, 1, 1])
      >>> balanced_accuracy(logits, labels)
      0.75
    """
    by_class = classification.per_class(_confusion(logits, labels))
    return float(by_class['recall'][by_class['support'] > 0].mean())


def macro_f1(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean F1 of the classes among labels or predictions."""
    return classification.macro_f1(_confusion(logits, labels))


def auroc(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the classes of the area under the ROC curve, each class against the rest.

    The score of an example for a class is its probability. The area is the probability that an
    example of the class has a larger score than another example, ties counting half (Hand and Till,
    "A simple generalisation of the area under the ROC curve", 2001).

    Returns:
      The mean over the classes that have examples and are not alone; nan if there is none.

    Examples:
      >>> logits = np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 0.0], [1.5, 0.0]])
      >>> auroc(logits, np.array([0, 0, 1, 1]))
      0.75
    """
    ranks = np.asarray(stats.rankdata(_log_odds(logits), axis=0))
    positive = labels[:, None] == np.arange(logits.shape[1])[None]
    count = positive.sum(0)
    pairs = count * (len(labels) - count)
    if not pairs.any():
        return math.nan
    larger = np.sum(ranks * positive, 0) - count * (count + 1) / 2
    return float(np.mean(larger[pairs > 0] / pairs[pairs > 0]))


def log_loss(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Negative logarithm of the probability of the label, nats, [n]."""
    return -classification.log_softmax(logits)[np.arange(len(labels)), labels]


def _log_odds(logits: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)) of each class: ordered as the probabilities p, without ties near 1."""
    shifted = np.asarray(logits, np.float64) - np.max(logits, 1, keepdims=True)
    terms, rows, top = np.exp(shifted), np.arange(len(shifted)), np.argmax(shifted, 1)
    terms[rows, top] = 0.0
    others = terms.sum(1, keepdims=True)
    log_probabilities = shifted - np.log1p(others)
    with np.errstate(divide='ignore'):  # one class with probability 1: infinite odds
        odds = log_probabilities - np.log1p(-np.exp(log_probabilities))
        odds[rows, top] = -np.log(others[:, 0])
    return odds


def _constant_f1(labels: np.ndarray, num_classes: int) -> float:
    """Macro F1 of predicting the most frequent class for every example."""
    counts = np.bincount(labels, minlength=num_classes)
    share = counts.max() / counts.sum()
    return float(2 * share / (1 + share) / np.sum(counts > 0))


def _confusion(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return classification.confusion(labels, np.argmax(logits, 1), logits.shape[1])


METRICS: dict[str, Metric] = {
    'accuracy': Metric(
        'accuracy',
        'accuracy',
        'share of the images whose class is predicted',
        over=IMAGE,
        unit=PERCENT,
        perfect=1.0,
        largest=1.0,
        compute=correct,
        guess=lambda labels, num_classes: 1 / num_classes,
        guess_words='1 / number of classes',
    ),
    'macro_f1': Metric(
        'macro_f1',
        'macro F1',
        'mean F1 of the classes among labels or predictions',
        unit=PERCENT,
        perfect=1.0,
        largest=1.0,
        compute=macro_f1,
        guess=_constant_f1,
        guess_words='the value of always predicting the most frequent class',
    ),
    'balanced_accuracy': Metric(
        'balanced_accuracy',
        'balanced accuracy',
        'mean recall of the classes among the labels',
        unit=PERCENT,
        perfect=1.0,
        largest=1.0,
        compute=balanced_accuracy,
        guess=lambda labels, num_classes: 1 / num_classes,
        guess_words='1 / number of classes',
    ),
    'auroc': Metric(
        'auroc',
        'AUROC',
        'area under the ROC curve of each class against the rest, mean over the classes',
        perfect=1.0,
        largest=1.0,
        probabilities=True,
        compute=auroc,
        guess=lambda labels, num_classes: 0.5,
        guess_words='0.5',
    ),
    'log_loss': Metric(
        'log_loss',
        'log loss',
        'negative logarithm of the probability of the label, nats per image',
        lower_is_better=True,
        over=IMAGE,
        perfect=0.0,
        probabilities=True,
        compute=log_loss,
        guess=lambda labels, num_classes: math.log(num_classes),
        guess_words='ln(number of classes)',
    ),
    'ece': Metric(
        'ece',
        'expected calibration error',
        'distance of confidence and accuracy over 15 bins of confidence, weighted by count',
        lower_is_better=True,
        perfect=0.0,
        largest=1.0,
        probabilities=True,
        compute=classification.calibration_error,
        guess=lambda labels, num_classes: 1 - 1 / num_classes,
        guess_words='1 - 1 / number of classes, the value of certain guesses',
    ),
}
ACCURACY = METRICS['accuracy']
BUILT_IN = tuple(METRICS)  # without those that a study registers later


def named(name: str, lower_is_better: bool = False, over: str = SPLIT) -> Metric:
    """Metric with this name; without a row of METRICS its name, direction and level alone.

    Args:
      name: of a metric.
      lower_is_better: direction of a metric that is not built in.
      over: level of a metric that is not built in.
    """
    if name in BUILT_IN:
        return METRICS[name]
    return Metric(name, name.replace('_', ' '), lower_is_better=lower_is_better, over=over)
