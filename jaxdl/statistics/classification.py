"""Classification scores of logits: loss, accuracy, F1, confusion matrix, calibration.

Logits are float [n, classes] (or log-probabilities), labels int [n].
"""

import numpy as np
from scipy import optimize

from jaxdl.errors import InputError

BINS = 15  # of confidence, as in Guo et al. (2017)
TOP = 5
LOG_TEMPERATURE = (-3.0, 3.0)  # search range


def scores(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Compute all scores of a classifier.

    Args:
      logits: float [n, classes].
      labels: int [n].

    Returns:
      `loss` (softmax cross-entropy, nats per example), `accuracy`, `top5` (the label is among the
      5 most probable classes), `macro_f1` and `weighted_f1` (as scikit-learn's f1_score, over the
      classes among labels or predictions), `ece` (expected calibration error). Shares are 0 to 1.
      Loss and ece are nan if a logit is nan.

    Raises:
      InputError: there are no examples, or shapes or labels do not fit.

    Examples:
      >>> values = scores(np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), np.array([0, 1, 1]))
      >>> round(values['accuracy'], 3), round(values['macro_f1'], 3), round(values['loss'], 3)
      (0.667, 0.667, 0.584)
    """
    logits, labels = _checked(logits, labels)
    likeliest = np.argsort(-logits, axis=1, kind='stable')[:, :TOP]
    table = confusion(labels, np.argmax(logits, 1), logits.shape[1])
    by_class = per_class(table)
    return dict(
        loss=loss(logits, labels),
        accuracy=float(np.mean(np.argmax(logits, 1) == labels)),
        top5=float(np.mean(np.any(likeliest == labels[:, None], 1))),
        macro_f1=macro_f1(table),
        weighted_f1=float(by_class['f1'] @ by_class['support'] / len(labels)),
        ece=calibration_error(logits, labels),
    )


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities of the softmax.

    Args:
      logits: float [..., classes].

    Returns:
      float64 [..., classes]; nan in rows with infinite logits.
    """
    logits = np.asarray(logits, np.float64)
    with np.errstate(invalid='ignore'):  # infinite logits give nan
        shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean softmax cross-entropy of logits [n, classes] and labels [n], in nats per example."""
    return float(-log_softmax(logits)[np.arange(len(labels)), labels].mean())


def confusion(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Confusion matrix.

    Args:
      labels: true classes, int [n].
      predicted: predicted classes, int [n].
      num_classes: number of classes.

    Returns:
      Counts, int [true class, predicted class].

    Examples:
      >>> confusion(np.array([0, 1, 1]), np.array([0, 1, 0]), num_classes=2).tolist()
      [[1, 0], [1, 1]]
    """
    pairs = np.asarray(labels, np.int64) * num_classes + np.asarray(predicted, np.int64)
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def per_class(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of each class.

    Args:
      confusion: confusion matrix, int [true class, predicted class].

    Returns:
      `precision`, `recall`, `f1` (0 if undefined), `support` (number of labels) and `predicted`
      (number of predictions), each [classes].
    """
    correct, support, predicted = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    return dict(
        precision=_share(correct, predicted),
        recall=_share(correct, support),
        f1=_share(2 * correct, support + predicted),
        support=support,
        predicted=predicted,
    )


def macro_f1(confusion: np.ndarray) -> float:
    """Mean F1 over the classes among labels or predictions of a confusion matrix."""
    by_class = per_class(confusion)
    occurs = (by_class['support'] > 0) | (by_class['predicted'] > 0)
    return float(by_class['f1'][occurs].mean())


def reliability(
    logits: np.ndarray, labels: np.ndarray, bins: int = BINS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reliability diagram: accuracy per bin of confidence.

    Args:
      logits: float [n, classes].
      labels: int [n].
      bins: number of bins ((m - 1) / bins, m / bins].

    Returns:
      Mean confidence, accuracy and number of examples, each [bins]. Empty bins have confidence in
      the middle of the bin and accuracy 0.
    """
    logits, labels = _checked(logits, labels)
    confidence, correct = _confidence(logits, labels)
    place = np.clip(np.ceil(np.nan_to_num(confidence) * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    sums = (np.bincount(place, values, bins) for values in (confidence, correct))
    mean, accuracy = (total / np.maximum(count, 1) for total in sums)
    return np.where(count > 0, mean, (np.arange(bins) + 0.5) / bins), accuracy, count


def calibration_error(logits: np.ndarray, labels: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: mean of |confidence - accuracy| over bins, weighted by count.

    Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks" (2017).

    Args:
      logits: float [n, classes].
      labels: int [n].
      bins: number of bins of confidence.

    Returns:
      The error, 0 to 1.
    """
    confidence, accuracy, count = reliability(logits, labels, bins)
    return float(np.abs(confidence - accuracy) @ count / count.sum())


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Fit the temperature that minimises the loss of logits / temperature (Guo et al. 2017).

    Temperature scaling changes no prediction.

    Args:
      logits: float [n, classes].
      labels: int [n].

    Returns:
      The temperature, e^-3 to e^3; 1 if there is no mistake (the loss has no minimum) or the loss
      is not finite.
    """
    logits, labels = _checked(logits, labels)
    log_probabilities = log_softmax(logits)
    unscaled = loss(log_probabilities, labels)
    if np.all(np.argmax(logits, 1) == labels) or not np.isfinite(unscaled):
        return 1.0
    minimum = optimize.minimize_scalar(
        lambda log: loss(log_probabilities / np.exp(log), labels),
        bounds=LOG_TEMPERATURE,
        method='bounded',
    )
    return float(np.exp(minimum.x)) if minimum.fun < unscaled else 1.0  # type: ignore[attr-defined]


def adjust(logits: np.ndarray, priors: np.ndarray, strength: float) -> np.ndarray:
    """Subtract strength * log(priors), as if classes had been equally frequent in training.

    Menon et al., "Long-tail learning via logit adjustment" (2021).

    Args:
      logits: float [n, classes].
      priors: frequency of each class in training [classes]; 0 counts as the smallest frequency.
      strength: factor, usually 0 to 1.

    Returns:
      Adjusted logits, float64 [n, classes].

    Raises:
      InputError: no prior is above 0.

    Examples:
      >>> logits = np.array([[1.0, 0.5]])
      >>> adjust(logits, priors=np.array([0.9, 0.1]), strength=1.0).round(2).tolist()
      [[1.11, 2.8]]
    """
    priors = np.asarray(priors, np.float64)
    if not np.any(priors > 0):
        raise InputError('priors: at least one class must have a share above 0')
    return np.asarray(logits, np.float64) - strength * np.log(
        np.maximum(priors, priors[priors > 0].min())
    )


def _confidence(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.exp(log_softmax(logits).max(1)), np.argmax(logits, 1) == labels


def _share(part: np.ndarray, total: np.ndarray) -> np.ndarray:
    return part / np.maximum(total, 1)


def _checked(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    logits, labels = np.asarray(logits), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or 0 in logits.shape:
        raise InputError(
            f'logits {logits.shape} and labels {labels.shape}: must be [n, classes] and [n], n at '
            'least 1'
        )
    if (
        not np.issubdtype(labels.dtype, np.integer)
        or labels.min() < 0
        or labels.max() >= logits.shape[1]
    ):
        raise InputError(f'labels: must be integers from 0 to {logits.shape[1] - 1}')
    return logits, labels
