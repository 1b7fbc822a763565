"""Recognise the architecture of a weight file: by its config.json, else by its tensors.

Imports no jax.
"""

import itertools
import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from jaxdl.errors import InputError
from jaxdl.models.architectures import ARCHITECTURES, Architecture
from jaxdl.models.tensor_names import list_names
from jaxdl.models.weights import Weights

Signature = dict[str, Any]


def architecture_of(weights: Weights) -> str:
    """Name of the architecture, a row of ARCHITECTURES.

    Args:
      weights: as read from a file or the hub.

    Returns:
      The name.

    Raises:
      InputError: none fits; it names the first tensors and the architecture that comes nearest.
    """
    declared = weights.config.get('architecture')
    if declared in ARCHITECTURES:
        return declared
    best, fits = likeliest(weights.tensors)
    if not fits:
        named = f', which config.json calls {declared}' if declared else ''
        raise InputError(
            f'weights {weights.source}: no architecture of jaxdl has these '
            f'{len(weights.tensors)} tensors{named} ({list_names(weights.tensors)}); '
            f'{best} comes nearest, and --set=architecture=NAME forces one of '
            f'{", ".join(ARCHITECTURES)}'
        )
    return best


def likeliest(tensors: Mapping[str, np.ndarray]) -> tuple[str, bool]:
    """Find the architecture whose signature is nearest to that of the tensors.

    Args:
      tensors: name -> array.

    Returns:
      Its name, and whether the signatures are equal.
    """
    signature = signature_of(tensors)
    best = max(
        ARCHITECTURES,
        key=lambda name: _likeness(signature, expected_signature(ARCHITECTURES[name])),
    )
    return best, expected_signature(ARCHITECTURES[best]) == signature


def _likeness(one: Signature, other: Signature) -> tuple[int, int]:
    """Number of equal entries; then minus the number of blocks that differ."""
    stages = itertools.zip_longest(one['stages'], other['stages'], fillvalue=0)
    return sum(one.get(key) == value for key, value in other.items()), -sum(
        abs(a - b) for a, b in stages
    )


def expected_signature(row: Architecture) -> Signature:
    """Signature of the tensors of an architecture."""
    if row.names == 'gluon':
        return dict(names='gluon', stages=row.stages)
    width = row.base_width * row.groups if row.block == 'bottleneck' else row.widths[0]
    second = (width, width // row.groups, 3, 3)
    return dict(
        names=row.names,
        block=row.block,
        stages=row.stages,
        stem=row.stem,
        second=second,
        shortcut=row.shortcut,
    )


def signature_of(tensors: Mapping[str, np.ndarray]) -> Signature:
    """Signature of tensors: names, block, blocks per stage, stem, second kernel, shortcut."""
    if any(re.match(r'resnetv2\d_', name) for name in tensors):
        # Block j of a stage ends in convolution 3j + 3, of three blocks in 9; one that is cut off
        # has fewer.
        ends = [_blocks(tensors, rf'stage{stage}_conv(\d+)_weight') for stage in (1, 2, 3, 4)]
        return dict(names='gluon', stages=tuple(blocks for blocks in ends if blocks))
    stages = [_count(tensors, rf'layer{stage}\.(\d+)\.conv1\.weight$') for stage in (1, 2, 3, 4)]
    first = tensors.get('layer1.0.conv2.weight', np.zeros(()))
    return dict(
        names='cifar' if not stages[3] and stages[0] else 'timm',
        block='bottleneck' if 'layer1.0.conv3.weight' in tensors else 'basic',
        stages=tuple(blocks for blocks in stages if blocks),
        stem=_stem(tensors),
        second=first.shape,
        shortcut=_shortcut(tensors),
    )


def _stem(tensors: Mapping[str, np.ndarray]) -> str:
    if 'conv1.0.weight' in tensors:
        return 'deep'
    first = tensors.get('conv1.weight', np.zeros(()))
    return 'cifar' if first.shape[-1:] == (3,) else 'imagenet'


def _shortcut(tensors: Collection[str]) -> str:
    if 'layer2.0.downsample.2.weight' in tensors:
        return 'average'
    return 'conv' if 'layer2.0.downsample.0.weight' in tensors else 'pad'


def _count(names: Collection[str], pattern: str) -> int:
    """The largest number that the pattern finds, plus 1."""
    matches = (re.search(pattern, name) for name in names)
    return max((int(match[1]) + 1 for match in matches if match), default=0)


def _blocks(names: Collection[str], pattern: str) -> int:
    """Whole blocks of a stage of Gluon's: n blocks have convolutions 0 to 3 n."""
    return max(_count(names, pattern) - 1, 0) // 3
