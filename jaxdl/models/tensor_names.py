"""Names of a `ResNet`'s parameters in weight files: timm, CIFAR and Gluon. Imports no jax."""

import re
from collections.abc import Iterable

from jaxdl.models.architectures import Architecture

HEADS = dict(timm='fc', cifar='linear', gluon='dense0')
# Parts of networks that come after the pooled features, by the names that people give them.
HEAD_PARTS = (
    *('fc', 'linear', 'head', 'heads', 'classifier', 'last_linear', 'dense0', 'projector'),
    *('projection_head', 'contrastive_head', 'predictor', 'mlp_head', 'head_dist'),
)
UNREAD = ('num_batches_tracked',)  # of every batch norm of PyTorch; nothing computes with it
_TORCH = dict(kernel='weight', scale='weight', bias='bias', mean='running_mean', var='running_var')
_GLUON = dict(kernel='weight', scale='gamma', bias='beta', mean='running_mean', var='running_var')
_PREFIX = re.compile(
    r'resnetv2\d_'
)  # Gluon counts the networks of a process: that of the ONNX zoo was its fifth


def name_of(path: tuple[str, ...], architecture: Architecture, prefix: str = '') -> str:
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
    return '.'.join([*parts, _TORCH[path[-1]]])


def _gluon(path: tuple[str, ...], architecture: Architecture) -> str:
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


def prefix_of(names: Iterable[str], architecture: Architecture) -> str:
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


def is_truncated(name: str, architecture: Architecture) -> bool:
    """Whether a tensor belongs to the part that a truncated network lacks, and so is not read."""
    if not architecture.truncated:
        return False
    stage = re.search(r'stage(\d+)_', name)
    if stage:
        return int(stage[1]) > len(architecture.stages)
    return re.search(r'_(batchnorm2|dense0)_', name) is not None


def is_head(name: str) -> bool:
    """Whether a tensor is part of a head, by the first part of its name."""
    return name.split('.')[0] in HEAD_PARTS or re.match(r'resnetv2\d_dense0_', name) is not None


def list_names(names: Iterable[str], most: int = 10) -> str:
    """The first `most` names, and the number of the others."""
    names = list(names)
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more
