"""Nearest training images of an image: largest cosine of pooled features."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """Training images to compare with.

    Attributes:
      features: float32 [n, features].
      classes: class name of each, [n].
      pictures: JPEG thumbnail of each, [n].
      count: number of nearest images to return.
      missing: why there are none; empty where there are.
    """

    features: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 1), np.float32))
    classes: Sequence[str] = ()
    pictures: Sequence[bytes] = ()
    count: int = 0
    missing: str = ''

    @property
    def size(self) -> int:
        """Number of training images."""
        return len(self.classes)

    def nearest(self, features: np.ndarray) -> list[dict[str, Any]]:
        """Nearest training images, the nearest first.

        Args:
          features: of one image, [features].

        Returns:
          [{class, similarity (cosine), image (index)}], `count` entries.
        """
        cosines = _normalize(self.features) @ _normalize(features)
        best = np.argsort(-cosines, kind='stable')[: self.count]
        return [
            {'class': self.classes[i], 'similarity': float(cosines[i]), 'image': int(i)}
            for i in best
        ]


def _normalize(values: np.ndarray) -> np.ndarray:
    return values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1e-12)
