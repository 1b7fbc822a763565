"""Names of a `ViT`'s parameters in weight files: timm, DeiT and DINOv2; signatures of the rows."""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxdl.models.tensor_names import TORCH, Signature, block_of
from jaxdl.models.vit_rows import ROWS, ViTRow

# The tensor of the first layer; what is before its name is the prefix of the network.
FIRST = r'patch_embed\.proj\.weight'
_OUTSIDE = dict(conv1='patch_embed.proj', global_pool='attn_pool')
_TOKENS = dict(position='pos_embed', token='cls_token', registers='reg_token')
_POSITIONS, _CLASS = _TOKENS['position'], _TOKENS['token']


def name_of(path: tuple[str, ...], row: ViTRow, prefix: str = '') -> str:
    """Name of the tensor of a parameter, in timm.

    Args:
      path: keys that lead to the parameter, such as ('layer1_0', 'attn', 'qkv', 'kernel').
      row: of the network.
      prefix: unused.

    Returns:
      The name in the file.

    Examples:
      >>> from jaxdl.models.architectures import ARCHITECTURES
      >>> row = ARCHITECTURES['vit_tiny_patch16_224']
      >>> name_of(('layer2_1', 'attn', 'qkv', 'kernel'), row)
      'blocks.4.attn.qkv.weight'
      >>> name_of(('embed', 'position'), row)
      'pos_embed'
    """
    *layers, leaf = path
    if layers[0] == 'embed':
        return _TOKENS[leaf]
    block = block_of(layers[0])
    first = _OUTSIDE.get(layers[0], layers[0])
    if block:
        first = f'blocks.{sum(row.stages[: block[0] - 1]) + block[1]}'
    return '.'.join([first, *layers[1:], TORCH.get(leaf, leaf)])


def rename(tensors: Mapping[str, np.ndarray], row: ViTRow) -> dict[str, np.ndarray]:
    """Tensors under timm's names, with as many position embeddings as the row has.

    The embeddings of images of another size are interpolated, as timm does.
    """
    named = _as_timm(tensors)
    if _POSITIONS in named:
        named[_POSITIONS] = _resample(named[_POSITIONS], row)
    return named


def expected_signature(row: ViTRow) -> Signature:
    """Signature of the tensors of a row."""
    return dict(
        stages=(row.depth,),
        patch=row.patch,
        width=row.width,
        layer_scale=row.layer_scale,
        registers=row.registers,
        class_token=bool(row.class_tokens),
        embeds_class=row.embeds_class and bool(row.class_tokens),
        grid=row.grid,
    )


def signature_of(tensors: Mapping[str, np.ndarray]) -> Signature:
    """Signature of tensors: sizes and tokens; the grid of positions is the nearest of all rows."""
    first = tensors.get('patch_embed.proj.weight')
    if first is None or first.ndim != 4:
        return {}
    named = _as_timm(tensors)
    count = _rows_of(named.get(_POSITIONS))
    side, patch = math.isqrt(count), first.shape[-1]
    grids = {row.grid for row in ROWS if row.patch == patch} or {side}
    blocks = (re.match(r'blocks\.(\d+)\.', name) for name in named)
    return dict(
        stages=(max((int(block[1]) + 1 for block in blocks if block), default=0),),
        patch=patch,
        width=len(first),
        layer_scale='blocks.0.ls1.gamma' in named,
        registers=_rows_of(named.get(_TOKENS['registers'])),
        class_token=_CLASS in named,
        embeds_class=side**2 != count,
        grid=min(grids, key=lambda grid: abs(grid - side)),
    )


def _as_timm(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors under timm's names; those of DINOv2 give the class token a position of its own.

    timm adds this position to the class token where there are registers. The token that masks
    patches in the training of DINOv2 is left out.
    """
    named: dict[str, Any] = dict(tensors)
    named.pop('mask_token', None)
    if 'register_tokens' in named:
        named[_TOKENS['registers']] = named.pop('register_tokens')
        positions = named.get(_POSITIONS)
        if positions is not None and _CLASS in named and positions.ndim == 3:
            named[_CLASS] = named[_CLASS] + positions[:, :1]
            named[_POSITIONS] = positions[:, 1:]
    return named


def _resample(positions: np.ndarray, row: ViTRow) -> np.ndarray:
    """Position embeddings [1, positions, width] of another square grid for the grid of a row."""
    before = row.positions - row.grid**2
    side = math.isqrt(max(0, _rows_of(positions) - before))
    if side in (0, row.grid) or _rows_of(positions) != side**2 + before:
        return positions
    from jaxdl.models.vit import resample_positions  # needs jax

    return np.asarray(resample_positions(positions, before, side, (row.grid, row.grid)))


def _rows_of(tensor: np.ndarray | None) -> int:
    """Number of tokens in a tensor [1, tokens, width]; 0 without one."""
    return tensor.shape[1] if tensor is not None and tensor.ndim == 3 else 0
