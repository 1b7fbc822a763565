"""What logits are worth against labels: loss, F1, calibration.

NumPy and SciPy only, so that a report needs no jax.

Everywhere logits are float [n, classes], log-probabilities as good as any, and labels int [n].
"""

from collections.abc import Sequence

import numpy as np
from scipy import optimize

from jaxdl.errors import InputError

BINS = 15  # of confidence, as Guo et al. have it
TOP = 5
LOG_TEMPERATURE = (-3.0, 3.0)  # where a temperature is looked for


def scores(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Everything by which a classifier is judged.

    `loss` (nats per example of softmax), `accuracy`, `top5` (right among the 5 likeliest, or among
    all classes where there are fewer), `macro_f1` and `weighted_f1` (as scikit-learn's f1_score:
    over the classes that occur among labels or predictions, equally or by their number of labels),
    `ece`. Where a logit is not a number, loss and ece are nan.

    Raises:
      InputError: no examples, or shapes or labels that do not fit the logits.

    Examples:
      >>> found = scores(np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), np.array([0, 1, 1]))
      >>> round(found['accuracy'], 3), round(found['macro_f1'], 3), round(found['loss'], 3)
      (0.667, 0.667, 0.584)
    """
    logits, labels = _checked(logits, labels)
    likeliest = np.argsort(-logits, axis=1, kind='stable')[:, :TOP]
    each = per_class(confusion(labels, np.argmax(logits, 1), logits.shape[1]))
    occurs = (each['support'] > 0) | (each['predicted'] > 0)
    return dict(
        loss=loss(logits, labels),
        accuracy=float(np.mean(np.argmax(logits, 1) == labels)),
        top5=float(np.mean(np.any(likeliest == labels[:, None], 1))),
        macro_f1=float(each['f1'][occurs].mean()),
        weighted_f1=float(each['f1'] @ each['support'] / len(labels)),
        ece=calibration_error(logits, labels),
    )


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities float64 [n, classes].

    Adding a constant to a row of logits changes nothing.
    """
    logits = np.asarray(logits, np.float64)
    with np.errstate(
        invalid='ignore'
    ):  # infinite logits: what they make is not a number, and said to be none
        shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """The mean of -log softmax at the label, in nats per example."""
    return float(-log_softmax(logits)[np.arange(len(labels)), labels].mean())


def confusion(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """How often each class was taken for each other: int [true class, predicted class].

    Examples:
      >>> confusion(np.array([0, 1, 1]), np.array([0, 1, 0]), num_classes=2).tolist()
      [[1, 0], [1, 1]]
    """
    pairs = np.asarray(labels, np.int64) * num_classes + np.asarray(predicted, np.int64)
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def per_class(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """`precision`, `recall`, `f1`, `support` and `predicted` (how often), each [classes].

    A share of nothing is 0.
    """
    right, support, predicted = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    return dict(
        precision=_share(right, predicted),
        recall=_share(right, support),
        f1=_share(2 * right, support + predicted),
        support=support,
        predicted=predicted,
    )


def reliability(
    logits: np.ndarray, labels: np.ndarray, bins: int = BINS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean confidence, accuracy and number of examples of each bin of confidence, each [bins].

    The bins ((m - 1) / bins, m / bins] are of one width; an empty one has its middle as confidence
    and accuracy 0.
    """
    logits, labels = _checked(logits, labels)
    confidence, right = _confidence(logits, labels)
    place = np.clip(np.ceil(np.nan_to_num(confidence) * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    sums = (np.bincount(place, values, bins) for values in (confidence, right))
    mean, accuracy = (total / np.maximum(count, 1) for total in sums)
    return np.where(count > 0, mean, (np.arange(bins) + 0.5) / bins), accuracy, count


def calibration_error(logits: np.ndarray, labels: np.ndarray, bins: int = BINS) -> float:
    """The expected calibration error: mean distance of confidence and accuracy over the bins.

    By their counts.

    Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks" (2017).
    """
    confidence, accuracy, count = reliability(logits, labels, bins)
    return float(np.abs(confidence - accuracy) @ count / count.sum())


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The T in [e^-3, e^3] by which logits are divided for the least loss.

    It changes no prediction (Guo et al. 2017).

    It is 1 where nothing can be learnt of it: without a mistake the loss falls for ever as T nears
    0.
    """
    logits, labels = _checked(logits, labels)
    known = log_softmax(logits)
    if np.all(np.argmax(logits, 1) == labels) or not np.isfinite(loss(known, labels)):
        return 1.0
    found = optimize.minimize_scalar(
        lambda log: loss(known / np.exp(log), labels), bounds=LOG_TEMPERATURE, method='bounded'
    )
    return float(np.exp(found.x)) if found.fun < loss(known, labels) else 1.0  # type: ignore[attr-defined]


def adjust(logits: np.ndarray, priors: np.ndarray, strength: float) -> np.ndarray:
    """Logits as if all classes had been equally frequent in training: less strength * log(priors).

    Menon et al., "Long-tail learning via logit adjustment" (2021). A class with a prior of 0 counts
    as the rarest one.

    Examples:
      >>> priors = np.array([0.9, 0.1])
      >>> adjust(np.array([[1.0, 0.5]]), priors, strength=1.0).round(2).tolist()
      [[1.11, 2.8]]
    """
    priors = np.asarray(priors, np.float64)
    if not np.any(priors > 0):
        raise InputError('priors: at least one class must have a share above 0')
    return np.asarray(logits, np.float64) - strength * np.log(
        np.maximum(priors, priors[priors > 0].min())
    )


def choose_adjustment(
    logits: np.ndarray,
    labels: np.ndarray,
    priors: np.ndarray,
    strengths: Sequence[float],
    metric: str = 'macro_f1',
) -> float:
    """The strength of `adjust` with the best `metric` of `scores` (the least loss or ece).

    Of equals the smallest.
    """
    sign = -1 if metric in ('loss', 'ece') else 1
    return max(
        sorted(strengths), key=lambda s: sign * scores(adjust(logits, priors, s), labels)[metric]
    )


def _confidence(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.exp(log_softmax(logits).max(1)), np.argmax(logits, 1) == labels


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return part / np.maximum(whole, 1)


def _checked(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    logits, labels = np.asarray(logits), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or 0 in logits.shape:
        raise InputError(
            f'logits {logits.shape} and labels {labels.shape}: must be [n, classes] and [n], n at least 1'
        )
    if (
        not np.issubdtype(labels.dtype, np.integer)
        or labels.min() < 0
        or labels.max() >= logits.shape[1]
    ):
        raise InputError(
            f'labels: must be whole numbers from 0 to {logits.shape[1] - 1}, a class each'
        )
    return logits, labels
