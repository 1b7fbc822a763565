"""Names of a `ResNet`'s parameters in weight files: timm, CIFAR and Gluon; signatures of the rows.

Imports no jax.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxdl.models.tensor_names import TORCH, Signature

if TYPE_CHECKING:
    from jaxdl.models.resnet_rows import ResNetRow

HEADS = dict(timm='fc', cifar='linear', gluon='dense0')
_GLUON = dict(kernel='weight', scale='gamma', bias='beta', mean='running_mean', var='running_var')
# The tensor of the first convolution; what is before its name is the prefix of the network.
FIRST = r'conv1(?:\.0)?\.weight|resnetv2\d_conv0_weight'
_PREFIX = re.compile(
    r'resnetv2\d_'
)  # Gluon counts the networks of a process: that of the ONNX zoo was its fifth


def name_of(path: tuple[str, ...], architecture: 'ResNetRow', prefix: str = '') -> str:
    """Name of the tensor of a parameter.

    Args:
      path: keys that lead to the parameter, such as ('layer1_0', 'conv1', 'kernel').
      architecture: of the network.
      prefix: of Gluon's names.

    Returns:
      The name in the file.

    Examples:
      >>> from jaxdl.models.architectures import ARCHITECTURES
      >>> name_of(('layer1_0', 'bn2', 'scale'), ARCHITECTURES['resnet50'])
      'layer1.0.bn2.weight'
    """
    if architecture.names == 'gluon':
        return prefix + _gluon(path, architecture)
    parts = [re.sub(r'_(\d+)$', r'.\1', part) for part in path[:-1]]
    parts = [HEADS[architecture.names] if part == 'head' else part for part in parts]
    return '.'.join([*parts, TORCH[path[-1]]])


def _gluon(path: tuple[str, ...], architecture: 'ResNetRow') -> str:
    """Gluon's name without the prefix.

    Within a stage Gluon numbers convolutions and norms on from block to block.
    """
    layer, leaf = path[0], _GLUON[path[-1]]
    if len(path) == 2:
        last = (
            f'stage{len(architecture.stages) + 1}_batchnorm0'
            if architecture.truncated
            else 'batchnorm2'
        )
        names = dict(
            bn0='batchnorm0', conv1='conv0', bn1='batchnorm1', norm=last, head=HEADS['gluon']
        )
        return f'{names[layer]}_{"bias" if (layer, leaf) == ("head", "beta") else leaf}'
    stage, block = map(int, layer.removeprefix('layer').split('_'))
    kind, number = path[1][:-1], int(path[1][-1])
    if path[1] == 'downsample_0':
        return f'stage{stage}_conv3_{leaf}'
    if kind == 'bn':
        return f'stage{stage}_batchnorm{3 * block + number - 1}_{leaf}'
    return f'stage{stage}_conv{(3 * block + 1 if block else 0) + number - 1}_{leaf}'


def prefix_of(names: Iterable[str], architecture: 'ResNetRow') -> str:
    """Prefix of every name: empty except in Gluon's networks.

    Args:
      names: of the tensors in a file.
      architecture: of the network.

    Returns:
      The prefix; `resnetv24_` where no name has one.
    """
    if architecture.names != 'gluon':
        return ''
    matches = (_PREFIX.match(name) for name in names)
    return next((match[0] for match in matches if match), 'resnetv24_')


def is_truncated(name: str, architecture: 'ResNetRow') -> bool:
    """Whether a tensor belongs to the part that a truncated network lacks, and so is not read."""
    if not architecture.truncated:
        return False
    stage = re.search(r'stage(\d+)_', name)
    if stage:
        return int(stage[1]) > len(architecture.stages)
    return re.search(r'_(batchnorm2|dense0)_', name) is not None


def rename(tensors: Mapping[str, np.ndarray], architecture: 'ResNetRow') -> Any:
    """Tensors under the names of their row, which all files of a row have."""
    return tensors


def expected_signature(row: 'ResNetRow') -> Signature:
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
        attention=row.attention,
    )


def signature_of(tensors: Mapping[str, np.ndarray]) -> Signature:
    """Signature of tensors: names, block, blocks per stage, stem, shortcut, attention, ..."""
    if any(re.match(r'resnetv2\d_', name) for name in tensors):
        # Block j of a stage ends in convolution 3j + 3, of three blocks in 9; one that is cut off
        # has fewer.
        ends = [_blocks(tensors, rf'stage{stage}_conv(\d+)_weight') for stage in (1, 2, 3, 4)]
        return dict(names='gluon', stages=tuple(blocks for blocks in ends if blocks))
    stages = [_count(tensors, rf'^layer{stage}\.(\d+)\.conv1\.weight$') for stage in (1, 2, 3, 4)]
    first = tensors.get('layer1.0.conv2.weight', np.zeros(()))
    return dict(
        names='cifar' if not stages[3] and stages[0] else 'timm',
        block='bottleneck' if 'layer1.0.conv3.weight' in tensors else 'basic',
        stages=tuple(blocks for blocks in stages if blocks),
        stem=_stem(tensors),
        second=first.shape,
        shortcut=_shortcut(tensors),
        attention=_attention(tensors),
    )


def _stem(tensors: Mapping[str, np.ndarray]) -> str:
    if 'conv1.0.weight' in tensors:
        return 'tiered' if len(tensors['conv1.0.weight']) == 24 else 'deep'
    first = tensors.get('conv1.weight', np.zeros(()))
    return 'cifar' if first.shape[-1:] == (3,) else 'imagenet'


def _shortcut(tensors: Collection[str]) -> str:
    if 'layer2.0.downsample.2.weight' in tensors:
        return 'average'
    return 'conv' if 'layer2.0.downsample.0.weight' in tensors else 'pad'


def _attention(tensors: Collection[str]) -> str:
    if 'layer1.0.se.fc1.weight' in tensors:
        return 'se'
    return 'eca' if 'layer1.0.se.conv.weight' in tensors else ''


def _count(names: Collection[str], pattern: str) -> int:
    """The largest number that the pattern finds, plus 1."""
    matches = (re.search(pattern, name) for name in names)
    return max((int(match[1]) + 1 for match in matches if match), default=0)


def _blocks(names: Collection[str], pattern: str) -> int:
    """Whole blocks of a stage of Gluon's: n blocks have convolutions 0 to 3 n."""
    return max(_count(names, pattern) - 1, 0) // 3
