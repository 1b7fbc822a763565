"""Plain PyTorch networks that timm lacks: CIFAR's with option-A shortcuts, and Gluon's v2.

They are written from the papers and ../shared/README.md, in the simplest way, and share no code
with jaxdl.
"""

import sys
import types

import pytest
import torch
from torch import nn
from torch.nn import functional


class Basic(nn.Module):
    def __init__(self, narrow, wide, stride):
        super().__init__()
        self.conv1, self.bn1 = (
            nn.Conv2d(narrow, wide, 3, stride, 1, bias=False),
            nn.BatchNorm2d(wide),
        )
        self.conv2, self.bn2 = nn.Conv2d(wide, wide, 3, 1, 1, bias=False), nn.BatchNorm2d(wide)
        self.stride, self.new = stride, (wide - narrow) // 2

    def forward(self, x):
        short = functional.pad(
            x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.new, self.new)
        )
        return functional.relu(
            self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x))))) + short
        )


class Cifar(nn.Module):
    def __init__(self, depth, classes=10):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        narrow = 16
        for stage, wide in enumerate((16, 32, 64), 1):
            blocks = []
            for i in range((depth - 2) // 6):
                blocks.append(Basic(narrow, wide, 2 if i == 0 and stage > 1 else 1))
                narrow = wide
            setattr(self, f'layer{stage}', nn.Sequential(*blocks))
        self.linear = nn.Linear(64, classes)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(functional.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


class Gluon:
    """Computes with a dict of tensors by Gluon's names, as the file has them."""

    def __init__(self, tensors, stages, last, head):
        self.tensors = {
            k.removeprefix('resnetv24_'): torch.as_tensor(v) for k, v in tensors.items()
        }
        self.stages, self.last, self.head = stages, last, head

    def norm(self, name, x):
        mean, var, gamma, beta = (
            self.tensors[f'{name}_{leaf}']
            for leaf in ('running_mean', 'running_var', 'gamma', 'beta')
        )
        return functional.batch_norm(x, mean, var, gamma, beta, training=False, eps=1e-5)

    def conv(self, name, x, stride=1, padding=0):
        return functional.conv2d(x, self.tensors[f'{name}_weight'], None, stride, padding)

    def block(self, stage, j, x):
        stride = 2 if j == 0 and stage > 1 else 1
        b, k = 3 * j, 0 if j == 0 else 3 * j + 1
        a = functional.relu(self.norm(f'stage{stage}_batchnorm{b}', x))
        y = self.conv(f'stage{stage}_conv{k}', a)
        y = functional.relu(self.norm(f'stage{stage}_batchnorm{b + 1}', y))
        y = self.conv(f'stage{stage}_conv{k + 1}', y, stride, 1)
        y = functional.relu(self.norm(f'stage{stage}_batchnorm{b + 2}', y))
        y = self.conv(f'stage{stage}_conv{k + 2}', y)
        return y + (self.conv(f'stage{stage}_conv3', a, stride) if j == 0 else x)

    def __call__(self, x):
        x = functional.relu(
            self.norm('batchnorm1', self.conv('conv0', self.norm('batchnorm0', x), 2, 3))
        )
        x = functional.max_pool2d(x, 3, 2, 1)
        for stage, blocks in enumerate(self.stages, 1):
            for j in range(blocks):
                x = self.block(stage, j, x)
        x = functional.relu(self.norm(self.last, x)).mean((2, 3))
        return (
            functional.linear(x, self.tensors['dense0_weight'], self.tensors['dense0_bias'])
            if self.head
            else x
        )


def timm():
    """The package timm, or a skip; torchvision's stub lets it load with a CPU-only torch."""
    sys.modules.setdefault(
        'torchvision._meta_registrations', types.ModuleType('torchvision._meta_registrations')
    )
    return pytest.importorskip('timm')
