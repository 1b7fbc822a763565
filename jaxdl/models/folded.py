"""A residual network for evaluation, with its batch norms folded into its convolutions.

In evaluation a batch norm is an affine map of each channel. A norm behind a convolution is folded
into the kernel and the bias of this convolution. The other norms remain: those before a block of
the pre-activation networks, and the norm before Gluon's stem.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import struct

from jaxdl import native
from jaxdl.models.attention import ATTENTIONS
from jaxdl.models.blocks import downsample, max_pool
from jaxdl.models.conv import conv_large, output_sides
from jaxdl.models.norm import EPSILON, is_native, norm_relu, to_float32
from jaxdl.models.resnet import ResNet

# Kernel and bias of a convolution; scale and bias of a norm that remains.
Layer = Mapping[str, jax.Array | np.ndarray]


@struct.dataclass
class FoldedResNet:
    """Function of a `ResNet` in evaluation: float32, no dropout; a pytree of its weights.

    Attributes:
      weights: layers by name, those of a block under the block's name.
      module: the network; static.
    """

    weights: Any
    module: ResNet = struct.field(pytree_node=False)

    def __call__(self, images: jax.Array) -> jax.Array:
        """Logits [batch, num_classes]; features of a network without a head.

        Args:
          images: float [batch, height, width, channel], normalised.
        """
        return self.classify(self.features(images))

    def feature_map(self, images: jax.Array) -> jax.Array:
        """Last feature map [batch, rows, columns, features]."""
        return _feature_map(self.module, self.weights, images)

    def features(self, images: jax.Array) -> jax.Array:
        """Means of the last feature map, float32 [batch, features]."""
        return to_float32(self.feature_map(images)).mean((1, 2))

    def classify(self, features: jax.Array) -> jax.Array:
        """Logits [batch, num_classes] of features [batch, features]."""
        if not self.module.num_classes:
            return features
        head = self.weights['head']
        return features @ head['kernel'] + head['bias'][None]


def fold(module: ResNet, variables: Mapping[str, Any]) -> FoldedResNet:
    """Fold the batch norms of a network, on the host, once.

    On a CPU with the native part each convolution also adds the bias and the residual branch, and
    applies ReLU.

    Args:
      module: a network of `ARCHITECTURES`.
      variables: its `params` and `batch_stats`; arrays, not tracers.

    Returns:
      The folded network. Its outputs equal those of `module.apply` up to rounding.
    """
    host = jax.device_get({name: variables[name] for name in ('params', 'batch_stats')})
    return FoldedResNet(_fold(module, host['params'], host['batch_stats']), module)


def _affine(norm: Layer, statistics: Layer) -> Layer:
    """Scale and bias of a norm with its running statistics."""
    scale = np.asarray(norm['scale'] / np.sqrt(statistics['var'] + np.float32(EPSILON)))
    return dict(scale=scale, bias=norm['bias'] - statistics['mean'] * scale)


def _fold(module: ResNet, params: Mapping[str, Any], stats: Mapping[str, Any]) -> dict[str, Any]:
    """Layers by name, those of a block under its name."""
    layers: dict[str, Any] = {}
    for name, layer in params.items():
        if 'scale' in layer:
            layers[name] = _affine(layer, stats[name])
        elif 'kernel' in layer:
            layers[name] = dict(layer)
        else:
            layers[name] = _fold(module, layer, stats.get(name, {}))
    for convolution, norm in _pairs(module, params).items():
        affine = layers.pop(norm)
        kernel = layers[convolution]['kernel'] * affine['scale'][None, None, None]
        layers[convolution] = dict(kernel=kernel, bias=affine['bias'])
    return layers


def _pairs(module: ResNet, names: Mapping[str, Any]) -> dict[str, str]:
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


def _feature_map(module: ResNet, weights: Mapping[str, Any], images: jax.Array) -> jax.Array:
    architecture, conv = module.architecture, partial(_conv_affine, module.lowering)
    if architecture.stem == 'gluon':
        images = _scale(module.lowering, weights['bn0'], images, relu=False)
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
        return _scale(module.lowering, weights['norm'], images)
    return images


def _residual(
    module: ResNet, layers: Mapping[str, Any], images: jax.Array, stride: int
) -> jax.Array:
    """As `blocks.Residual`."""
    conv = partial(_conv_affine, module.lowering)
    *before, last = sorted(name for name in layers if name.startswith('conv'))
    skip = branch = images
    for name in before:
        branch = conv(layers[name], branch, stride if name == before[-1] else 1)
    if 'downsample_1' in layers:
        pooled = images if stride == 1 else downsample(images)
        skip = conv(layers['downsample_1'], pooled, 1, relu=False)
    elif 'downsample_0' in layers:
        skip = conv(layers['downsample_0'], images, stride, relu=False)
    elif module.architecture.shortcut == 'pad' and branch.shape != images.shape:
        new = (branch.shape[-1] - images.shape[-1]) // 2
        skip = jnp.pad(images[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (new, new)))
    attention = module.architecture.attention
    if attention:
        branch = conv(layers[last], branch, 1, relu=False)
        return nn.relu(ATTENTIONS[attention](layers['se'], branch) + skip)
    return conv(layers[last], branch, 1, skip)


def _preactivation(
    module: ResNet, layers: Mapping[str, Layer], images: jax.Array, stride: int
) -> jax.Array:
    """As `blocks.Preactivation`."""
    conv = partial(_conv_affine, module.lowering)
    first = _scale(module.lowering, layers['bn1'], images)
    branch = conv(layers['conv2'], conv(layers['conv1'], first, 1), stride)
    if 'downsample_0' in layers:
        images = conv(layers['downsample_0'], first, stride, relu=False)
    return conv(layers['conv3'], branch, 1, images, relu=False)


def _conv_affine(
    lowering: str,
    layer: Layer,
    images: jax.Array,
    stride: int,
    skip: jax.Array | None = None,
    relu: bool = True,
) -> jax.Array:
    """relu(convolution + bias + skip), padded by half the kernel's side."""
    kernel = jnp.asarray(layer['kernel'])
    padding = kernel.shape[0] // 2
    bias = jnp.asarray(layer['bias']) if 'bias' in layer else jnp.zeros(kernel.shape[-1])
    if kernel.shape[2] == images.shape[-1] and is_native(images, lowering):
        sides = output_sides(images.shape, kernel.shape, stride, padding)
        shape = (len(images), *sides, kernel.shape[-1])
        added = jnp.zeros(0) if skip is None else skip
        settings = dict(stride=stride, padding=padding, relu=int(relu))
        return native.call('conv_affine', [shape], images, kernel, bias, added, **settings)[0]
    outputs = conv_large(images, kernel.astype(images.dtype), stride, padding, lowering)
    outputs = outputs + bias[None, None, None]
    outputs = outputs if skip is None else outputs + skip
    return (nn.relu(outputs) if relu else outputs).astype(images.dtype)


def _scale(lowering: str, layer: Layer, images: jax.Array, relu: bool = True) -> jax.Array:
    """relu(images * scale + bias), of a norm with no convolution before it."""
    scale, bias = jnp.asarray(layer['scale']), jnp.asarray(layer['bias'])
    if is_native(images, lowering):
        return norm_relu(images, scale, bias, norm=0, relu=int(relu), epsilon=EPSILON)[0]
    outputs = (images * scale[None, None, None] + bias[None, None, None]).astype(images.dtype)
    return nn.relu(outputs) if relu else outputs
