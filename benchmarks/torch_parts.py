"""Poolings and data of the pooling study in PyTorch."""

from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

Part = tuple[torch.Tensor, torch.Tensor]  # images float32 [n, channel, height, width], labels


class AvgMax(nn.Module):
    """The mean of average and maximum."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 0.5 * (nn.functional.avg_pool2d(images, 2) + nn.functional.max_pool2d(images, 2))


class L2(nn.Module):
    """The root of the mean square."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.sqrt(nn.functional.avg_pool2d(images.square(), 2) + 1e-6)


# pooling -> channels -> the layer
POOLINGS: dict[str, Any] = {
    'max': lambda channels: nn.MaxPool2d(2),
    'avg': lambda channels: nn.AvgPool2d(2),
    'avgmax': lambda channels: AvgMax(),
    'l2': lambda channels: L2(),
    'strided': lambda channels: nn.Conv2d(channels, channels, 2, stride=2, bias=False),
}


def digits() -> tuple[Part, Part, Part]:
    """Train, validation and test: 60, 20 and 20 per cent, each class in its share.

    Normalised as the training part.
    """
    dataset: Any = load_digits()
    images, labels = (dataset.images / 16).astype(np.float32)[:, None], dataset.target
    images, test, labels, test_labels = train_test_split(
        images, labels, test_size=0.2, stratify=labels, random_state=0
    )
    train, val, train_labels, val_labels = train_test_split(
        images, labels, test_size=0.25, stratify=labels, random_state=0
    )
    mean, std = train.mean(), train.std()
    parts = (train, train_labels), (val, val_labels), (test, test_labels)
    return tuple((torch.from_numpy((x - mean) / std), torch.from_numpy(y)) for x, y in parts)
