"""A residual network for evaluation, with its batch norms folded into its convolutions.

Norms with no convolution before them remain: those before a block of the pre-activation networks,
and the norm before Gluon's stem.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl.models.affine import Layer, Pairs, conv_affine, fold_norms, scale
from jaxdl.models.attention import ATTENTIONS
from jaxdl.models.blocks import downsample, max_pool
from jaxdl.models.network import Network


def fold(module: Network, params: Mapping[str, Any], stats: Mapping[str, Any]) -> dict[str, Any]:
    """Folded layers of a residual network."""
    return fold_norms(params, stats, partial(_pairs, module))


def _pairs(module: Network, names: Mapping[str, Any]) -> Pairs:
    """Convolution -> the norm behind it, among the layers of a block or of the network itself."""
    deep = {'conv1_0': 'conv1_1', 'conv1_3': 'conv1_4', 'conv1_6': 'bn1'}
    in_block = 'conv2' in names
    if in_block and module.architecture.block == 'preactivation':
        pairs = {'conv1': 'bn2', 'conv2': 'bn3'}
    else:
        pairs = {'conv1': 'bn1', 'conv2': 'bn2', 'conv3': 'bn3', 'downsample_0': 'downsample_1'}
        pairs['downsample_1'] = 'downsample_2'
    return {
        k: v
        for k, v in (pairs | deep).items()
        if k in names and v in names and 'kernel' in names[k]
    }


def feature_map(module: Network, weights: Mapping[str, Any], images: jax.Array) -> jax.Array:
    """Last feature map of a folded network."""
    architecture, conv = module.architecture, partial(conv_affine, module.lowering)
    if architecture.stem == 'gluon':
        images = scale(module.lowering, weights['bn0'], images, activation='')
    for i, name in enumerate(sorted(k for k in weights if k.startswith('conv1'))):
        images = conv(weights[name], images, 2 if i == 0 and architecture.stem != 'cifar' else 1)
    if architecture.stem != 'cifar':
        images = max_pool(images, module.lowering)
    block = _preactivation if architecture.block == 'preactivation' else _residual
    for stage, blocks in enumerate(architecture.stages, 1):
        for i in range(blocks):
            stride = 2 if i == 0 and stage > 1 else 1
            images = block(module, weights[f'layer{stage}_{i}'], images, stride)
    if architecture.block == 'preactivation':
        return scale(module.lowering, weights['norm'], images)
    return images


def _residual(
    module: Network, layers: Mapping[str, Any], images: jax.Array, stride: int
) -> jax.Array:
    """As `blocks.Residual`."""
    conv = partial(conv_affine, module.lowering)
    *before, last = sorted(name for name in layers if name.startswith('conv'))
    skip = branch = images
    for name in before:
        branch = conv(layers[name], branch, stride if name == before[-1] else 1)
    if 'downsample_1' in layers:
        pooled = images if stride == 1 else downsample(images)
        skip = conv(layers['downsample_1'], pooled, 1, activation='')
    elif 'downsample_0' in layers:
        skip = conv(layers['downsample_0'], images, stride, activation='')
    elif module.architecture.shortcut == 'pad' and branch.shape != images.shape:
        new = (branch.shape[-1] - images.shape[-1]) // 2
        skip = jnp.pad(images[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (new, new)))
    attention = module.architecture.attention
    if attention:
        branch = conv(layers[last], branch, 1, activation='')
        return nn.relu(ATTENTIONS[attention](layers['se'], branch) + skip)
    return conv(layers[last], branch, 1, skip)


def _preactivation(
    module: Network, layers: Mapping[str, Layer], images: jax.Array, stride: int
) -> jax.Array:
    """As `blocks.Preactivation`."""
    conv = partial(conv_affine, module.lowering)
    first = scale(module.lowering, layers['bn1'], images)
    branch = conv(layers['conv2'], conv(layers['conv1'], first, 1), stride)
    if 'downsample_0' in layers:
        images = conv(layers['downsample_0'], first, stride, activation='')
    return conv(layers['conv3'], branch, 1, images, activation='')
