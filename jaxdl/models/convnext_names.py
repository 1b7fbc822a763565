"""Names of a `ConvNeXt`'s parameters in weight files: timm and the authors' own. Imports no jax."""

import re
from collections.abc import Mapping

import numpy as np

from jaxdl.models.convnext_rows import ConvNeXtRow
from jaxdl.models.tensor_names import TORCH, Signature, block_of

# The tensor of the first convolution; what is before its name is the prefix of the network.
FIRST = r'stem\.0\.weight|downsample_layers\.0\.0\.weight'
_OUTSIDE = dict(conv1='stem.0', norm1='stem.1', norm='head.norm', head='head.fc')
_LAYERS = dict(conv1='conv_dw', fc1='mlp.fc1', fc2='mlp.fc2', grn='mlp.grn')
_OLD_LAYERS = {
    'dwconv': 'conv_dw',
    'pwconv1': 'mlp.fc1',
    'pwconv2': 'mlp.fc2',
    'grn.gamma': 'mlp.grn.weight',
    'grn.beta': 'mlp.grn.bias',
}


def name_of(path: tuple[str, ...], row: ConvNeXtRow, prefix: str = '') -> str:
    """Name of the tensor of a parameter, in timm.

    Args:
      path: keys that lead to the parameter, such as ('layer1_0', 'conv1', 'kernel').
      row: of the network.
      prefix: unused.

    Returns:
      The name in the file.

    Examples:
      >>> from jaxdl.models.architectures import ARCHITECTURES
      >>> name_of(('layer2_0', 'downsample_1', 'kernel'), ARCHITECTURES['convnext_atto'])
      'stages.1.downsample.1.weight'
    """
    *layers, leaf = path
    block = block_of(layers[0])
    if not block:
        return f'{_OUTSIDE[layers[0]]}.{TORCH[leaf]}'
    stage, inside = f'stages.{block[0] - 1}', f'blocks.{block[1]}'
    if leaf == 'gamma':
        return f'{stage}.{inside}.gamma'
    name = layers[1]
    if name.startswith('downsample'):
        return f'{stage}.{name.replace("_", ".")}.{TORCH[leaf]}'
    return f'{stage}.{inside}.{_LAYERS.get(name, name)}.{TORCH[leaf]}'


def rename(tensors: Mapping[str, np.ndarray], row: ConvNeXtRow) -> dict[str, np.ndarray]:
    """Tensors under timm's names, dense layers in the shapes of the row.

    The authors' files number the downsampling of all stages in one list, and hold dense layers as
    matrices and the response's parameters as [1, 1, 1, channel].
    """
    renamed = {_new_name(name): value for name, value in tensors.items()}
    axes = 4 if row.convolutions else 2

    def reshape(name: str, value: np.ndarray) -> np.ndarray:
        if re.search(r'\.mlp\.fc[12]\.weight$', name) and value.ndim in (2, 4):
            return value.reshape(value.shape[:2] + (1, 1) * (axes == 4))
        return value.reshape(-1) if '.mlp.grn.' in name else value

    return {name: reshape(name, value) for name, value in renamed.items()}


def _new_name(name: str) -> str:
    """Timm's name for that of a tensor."""
    down = re.match(r'downsample_layers\.(\d+)\.(\d+)\.', name)
    if down:
        place = f'stages.{down[1]}.downsample' if int(down[1]) else 'stem'
        return f'{place}.{down[2]}.{name[down.end() :]}'
    block = re.match(r'stages\.(\d+)\.(\d+)\.', name)
    if block:
        layer = name[block.end() :]
        for old, new in _OLD_LAYERS.items():
            layer = re.sub(rf'^{re.escape(old)}(?=\.|$)', new, layer)
        return f'stages.{block[1]}.blocks.{block[2]}.{layer}'
    return re.sub(r'^(norm|head)\.(?=weight$|bias$)', lambda part: _OUTSIDE[part[1]] + '.', name)


def expected_signature(row: ConvNeXtRow) -> Signature:
    """Signature of the tensors of a row."""
    return dict(
        stages=row.stages,
        widths=row.widths,
        response=row.response,
        scale=not row.response,
        stem=(row.widths[0], 4),
        side=7,
        norm_first=False,
    )


def signature_of(tensors: Mapping[str, np.ndarray]) -> Signature:
    """Signature of tensors: blocks and widths of the stages, ends of a block, both ends' kernels.

    A norm before the pooling (`norm_pre`) is that of networks that have no row.
    """
    named = {_new_name(name): value for name, value in tensors.items()}
    widths: dict[int, dict[int, int]] = {}
    for name, value in named.items():
        match = re.match(r'stages\.(\d+)\.blocks\.(\d+)\.conv_dw\.weight$', name)
        if match:
            widths.setdefault(int(match[1]), {})[int(match[2])] = len(value)
    if not widths:
        return {}
    stages = [widths[stage] for stage in sorted(widths)]
    first = 'stages.0.blocks.0'
    shape = lambda name: np.shape(named.get(name, np.zeros((0, 0))))
    return dict(
        stages=tuple(max(blocks) + 1 for blocks in stages),
        widths=tuple(blocks[max(blocks)] for blocks in stages),
        response=f'{first}.mlp.grn.weight' in named,
        scale=f'{first}.gamma' in named,
        stem=(shape('stem.0.weight')[0], shape('stem.0.weight')[-1]),
        side=shape(f'{first}.conv_dw.weight')[-1],
        norm_first=any(name.startswith('norm_pre.') for name in named),
    )
