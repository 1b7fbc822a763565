"""The triplet loss and its gradient by hand; NumPy only."""

import dataclasses

import numpy as np

from jaxdl import fields


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes of the checks.

    Args:
      seeds: networks per method, learning rate and half of the digits.
      epochs: passes over the training images.
      halves: 1: trained on digits 0 to 4, tested on 5 to 9; 2: also the halves exchanged.
      episodes: draws of support images, the same for every method.
      triplets: random triplets for the comparison with jax.grad.
    """

    seeds: int = fields.ruled(10, fields.at_least(2))
    epochs: int = fields.ruled(12, fields.at_least(8))
    halves: int = fields.ruled(2, fields.between(1, 2))
    episodes: int = fields.ruled(200, fields.at_least(10))
    triplets: int = fields.ruled(10_000, fields.at_least(100))


def loss(
    anchors: np.ndarray, positives: np.ndarray, negatives: np.ndarray, margin: float
) -> np.ndarray:
    """Triplet loss max(0, |a - p|^2 - |a - n|^2 + margin) (Schroff et al. 2015).

    Args:
      anchors: float64 [..., dim].
      positives: float64 [..., dim].
      negatives: float64 [..., dim].
      margin: in squared distance.

    Returns:
      The loss of each triplet, [...].

    Examples:
      >>> float(loss(np.array([0.0, 0.0]), np.array([0.0, 1.0]), np.array([1.0, 0.0]), margin=0.2))
      0.2
    """
    return np.maximum(0.0, gap(anchors, positives, negatives) + margin)


def gap(anchors: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """|a - p|^2 - |a - n|^2, below 0 if the positive is nearer.

    Args:
      anchors: float64 [..., dim].
      positives: float64 [..., dim].
      negatives: float64 [..., dim].

    Returns:
      [...].
    """
    return np.square(anchors - positives).sum(-1) - np.square(anchors - negatives).sum(-1)


def gradients(
    anchors: np.ndarray, positives: np.ndarray, negatives: np.ndarray, margin: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of the triplet loss w.r.t. anchor, positive and negative, by hand.

    Args:
      anchors: float64 [..., dim].
      positives: float64 [..., dim].
      negatives: float64 [..., dim].
      margin: in squared distance.

    Returns:
      Three arrays [..., dim]; 0 for inactive triplets.

    Examples:
      >>> a, p, n = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
      >>> [gradient.tolist() for gradient in gradients(a, p, n, 0.2)]
      [[2.0, -2.0], [0.0, 2.0], [-2.0, 0.0]]
    """
    active = (gap(anchors, positives, negatives) + margin > 0)[..., None]
    return (
        active * 2 * (negatives - positives),
        active * 2 * (positives - anchors),
        active * 2 * (anchors - negatives),
    )
