"""The training images that a network finds most like another: the cosine of pooled features."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """Training images: features float32 [n, f], the class of each, a small JPEG of each.

    Or why there are none.
    """

    features: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 1), np.float32))
    classes: Sequence[str] = ()
    pictures: Sequence[bytes] = ()
    count: int = 0
    missing: str = ''

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.classes)

    def to(self, one: np.ndarray) -> list[dict[str, Any]]:
        """The nearest to features [f]: [{class, similarity (the cosine), image (its place)}].

        The nearest first.
        """
        similar = _unit(self.features) @ _unit(one)
        best = np.argsort(-similar, kind='stable')[: self.count]
        return [
            {'class': self.classes[i], 'similarity': float(similar[i]), 'image': int(i)}
            for i in best
        ]


def _unit(values: np.ndarray) -> np.ndarray:
    return values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1e-12)
