"""Names of an `EfficientNet`'s parameters in weight files: timm and EfficientNet-PyTorch.

Imports no jax.
"""

import re
from collections.abc import Mapping

import numpy as np

from jaxdl.models.efficientnet_rows import EfficientNetRow, layers_of
from jaxdl.models.tensor_names import TORCH, Signature, block_of

# The tensor of the first convolution; what is before its name is the prefix of the network.
FIRST = r'_?conv_stem\.weight'
# Kernels whose outputs are those of a block, and spatial kernels, the first that a block has.
_LAST = ('conv_pwl', '_project_conv', 'conv_pw', 'conv')
_SPATIAL = ('conv_dw', '_depthwise_conv', 'conv_exp', 'conv')
_SQUEEZE = dict(fc1='conv_reduce', fc2='conv_expand')
_OLD = {  # names of EfficientNet-PyTorch outside of the blocks -> names of timm
    '_conv_stem': 'conv_stem',
    '_bn0': 'bn1',
    '_conv_head': 'conv_head',
    '_bn1': 'bn2',
    '_fc': 'classifier',
}
_OLD_LAYERS = {
    '_expand_conv': 'conv_pw',
    '_depthwise_conv': 'conv_dw',
    '_se_reduce': 'se.conv_reduce',
    '_se_expand': 'se.conv_expand',
}


def name_of(path: tuple[str, ...], row: EfficientNetRow, prefix: str = '') -> str:
    """Name of the tensor of a parameter, in timm.

    Args:
      path: keys that lead to the parameter, such as ('layer1_0', 'conv1', 'kernel').
      row: of the network.
      prefix: unused.

    Returns:
      The name in the file.

    Examples:
      >>> from jaxdl.models.architectures import ARCHITECTURES
      >>> name_of(('layer2_0', 'conv3', 'kernel'), ARCHITECTURES['tf_efficientnet_lite0'])
      'blocks.1.0.conv_pwl.weight'
    """
    *layers, leaf = path
    outside = dict(conv1='conv_stem', bn1='bn1', norm='bn2', head='classifier')
    block = block_of(layers[0])
    if not block:
        return f'{outside[layers[0]]}.{TORCH[leaf]}'
    stage, index = block[0] - 1, block[1]
    if stage == len(row.stages):
        return f'conv_head.{TORCH[leaf]}'
    name = layers[1]
    if name.startswith('conv'):
        name = layers_of(row.stages[stage], 1, index)[int(name[4:]) - 1].name
    elif name == 'se':
        name = f'se.{_SQUEEZE[layers[2]]}'
    return f'blocks.{stage}.{index}.{name}.{TORCH[leaf]}'


def rename(tensors: Mapping[str, np.ndarray], row: EfficientNetRow) -> dict[str, np.ndarray]:
    """Tensors under timm's names; those of EfficientNet-PyTorch number the blocks throughout."""
    places = [(i, j) for i, stage in enumerate(row.stages) for j in range(stage.blocks)]
    kinds = [stage.kind for stage in row.stages]

    def new_name(name: str) -> str:
        block = re.match(r'_blocks\.(\d+)\.(\w+)\.', name)
        if not block:
            first, dot, rest = name.partition('.')
            return _OLD.get(first, first) + dot + rest
        if int(block[1]) >= len(places):
            return name
        stage, index = places[int(block[1])]
        layer, has_first = block[2], kinds[stage] == 'ir'
        if layer.startswith('_bn'):
            layer = f'bn{int(layer[3:]) + has_first}'
        elif layer == '_project_conv':
            layer = 'conv_pwl' if has_first else 'conv_pw'
        else:
            layer = _OLD_LAYERS.get(layer, layer)
        return f'blocks.{stage}.{index}.{layer}.{name[block.end() :]}'

    return {new_name(name): value for name, value in tensors.items()}


def expected_signature(row: EfficientNetRow) -> Signature:
    """Signature of the tensors of a row."""
    blocks = [stage for stage in row.stages for _ in range(stage.blocks)]
    return dict(
        stages=tuple(stage.width for stage in blocks),
        sides=tuple(stage.side for stage in blocks),
        squeeze=tuple(stage.squeeze for stage in blocks),
        stem=row.stem,
        features=row.features,
    )


def signature_of(tensors: Mapping[str, np.ndarray]) -> Signature:
    """Signature of tensors: widths, kernels and attention of all blocks, both ends' widths."""
    blocks: dict[tuple[int, ...], dict[str, np.ndarray]] = {}
    for name, value in tensors.items():
        match = re.match(r'_?blocks\.(\d+)\.(?:(\d+)\.)?(\w+)\.(?:\w+\.)?weight$', name)
        if match:
            place = tuple(int(number) for number in match.group(1, 2) if number)
            blocks.setdefault(place, {})[match[3]] = value
    if not blocks:
        return {}
    ordered = [blocks[place] for place in sorted(blocks)]
    first = lambda block, names: next((block[n].shape for n in names if n in block), (0,))
    outer = lambda *names: next((len(tensors[n]) for n in names if n in tensors), 0)
    return dict(
        stages=tuple(first(block, _LAST)[0] for block in ordered),
        sides=tuple(first(block, _SPATIAL)[-1] for block in ordered),
        squeeze=tuple('se' in block or '_se_reduce' in block for block in ordered),
        stem=outer('conv_stem.weight', '_conv_stem.weight'),
        features=outer('conv_head.weight', '_conv_head.weight'),
    )
