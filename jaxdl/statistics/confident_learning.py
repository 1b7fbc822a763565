"""Labels that are probably wrong, by confident learning.

Source: Northcutt, Jiang, Chuang (2021), "Confident Learning: Estimating Uncertainty in Dataset
Labels", Journal of Artificial Intelligence Research 70. The formulas are those of section 3.1
(confident joint) and of the method "C confusion", ranked by normalised margin.
"""

import dataclasses

import numpy as np

from jaxdl.errors import InputError


@dataclasses.dataclass(frozen=True)
class LabelIssues:
    """Examples whose label is probably wrong, the most suspicious first.

    Attributes:
      indices: int [m], into the examples.
      suggested: int [m], the class that each probably has.
      share: estimated share of wrong labels among all examples.
    """

    indices: np.ndarray
    suggested: np.ndarray
    share: float


def find_label_issues(probabilities: np.ndarray, labels: np.ndarray) -> LabelIssues:
    """Find labels that are probably wrong.

    The threshold of a class is the mean probability of the class among the examples with its label.
    An example counts as its likeliest class among those whose threshold it reaches. It is an issue
    if that is another class than its label. Issues are ranked by the probability of the label minus
    the largest other probability, the smallest first.

    Args:
      probabilities: float [n, classes], by models that were not trained on the example.
      labels: int [n].

    Returns:
      The issues, and the share of wrong labels by the confident joint, scaled to the number of
      examples with each label.

    Raises:
      InputError: shapes do not fit, or a probability is not finite.

    Examples:
      >>> issues = find_label_issues(
      ...     np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.95, 0.05]]),
      ...     np.array([0, 0, 1, 1, 1]),
      ... )
      >>> issues.indices.tolist(), issues.suggested.tolist(), round(issues.share, 3)
      ([4], [0], 0.2)
    """
    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels)
    n, classes = probabilities.shape if probabilities.ndim == 2 else (0, 0)
    if not n or labels.shape != (n,) or labels.min() < 0 or labels.max() >= classes:
        raise InputError(
            f'probabilities of shape {list(probabilities.shape)} and labels '
            f'{list(labels.shape)}: must be [n, classes] and [n], in the range of the classes'
        )
    if not np.isfinite(probabilities).all():
        raise InputError('probabilities: must be finite')
    counts = np.bincount(labels, minlength=classes)
    of_label = probabilities[np.arange(n), labels]
    sums = np.bincount(labels, of_label, classes)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    reached = np.where(probabilities >= thresholds - 1e-12, probabilities, -1.0)
    confident = np.where(reached.max(1) >= 0, reached.argmax(1), -1)
    others = probabilities.copy()
    others[np.arange(n), labels] = -np.inf
    margin = of_label - others.max(1) if classes > 1 else np.zeros(n)
    issues = np.flatnonzero((confident >= 0) & (confident != labels))
    issues = issues[np.argsort(margin[issues], kind='stable')]
    return LabelIssues(issues, confident[issues], _wrong_share(confident, labels, classes))


def _wrong_share(confident: np.ndarray, labels: np.ndarray, classes: int) -> float:
    """Share off the diagonal of the confident joint, each row scaled to its label's examples."""
    counted = confident >= 0
    joint = np.zeros((classes, classes))
    np.add.at(joint, (labels[counted], confident[counted]), 1)
    rows = joint.sum(1)
    counts = np.bincount(labels, minlength=classes)
    wrong = (rows - joint.diagonal()) / np.maximum(rows, 1) * counts
    return float(wrong.sum() / len(labels))
