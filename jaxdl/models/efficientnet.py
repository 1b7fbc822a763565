"""EfficientNets, MobileNetV2 and MobileNetV3: one module for every row of `efficientnet_rows`."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl.models.affine import conv_affine, fold_norms, merge
from jaxdl.models.attention import Parameters, squeeze_excite
from jaxdl.models.conv import conv_large
from jaxdl.models.depthwise import depthwise, pad_before
from jaxdl.models.efficientnet_rows import (
    EfficientNetRow,
    Layer,
    Stage,
    layers_of,
    squeezed_after,
    squeezed_width,
    stride_of,
)
from jaxdl.models.layers import Conv
from jaxdl.models.network import Network, Training, apply_layers, trains
from jaxdl.models.norm import ACTIVATIONS, BatchNorm, activate


class EfficientNet(Network):
    """Stem `conv1`, `bn1`, blocks `layer1_0`, ..., a last convolution and `norm`, mean, `head`.

    Blocks have convolutions `conv1`, `conv2`, ... with norms `bn1`, `bn2`, ... The last one, 1 x 1,
    is a stage of its own after those of the blocks. The feature map has a 32nd of the rows and
    columns of the images, rounded up. In MobileNetV3 the last convolution is behind the pooling and
    has no norm.
    """

    def setup(self) -> None:
        row, stem = self.architecture, Layer('conv_stem', self.architecture.stem, 3, 2, False, True)
        self.conv1, self.bn1 = convolution(row, stem, self.lowering), norm(row, stem, self.lowering)
        block = nn.remat(Block, static_argnums=(2,)) if self.remat else Block
        for number, stage in enumerate(row.stages, 1):
            blocks = [block(row, stage, i, self.lowering) for i in range(stage.blocks)]
            setattr(self, f'layer{number}', blocks)
        last = PooledConvolution(row) if row.pools_first else LastConvolution(row, self.lowering)
        setattr(self, _last_stage(row), [last])
        if not row.pools_first:
            self.norm = norm(row, _last(row), self.lowering)
        self.setup_head()

    def feature_map(self, images: jax.Array, train: Training = False) -> jax.Array:
        """As `Network.feature_map`."""
        images = self.bn1(self.conv1(images), trains(train, 'stem'))
        names = [name for name in self.architecture.stage_names if name.startswith('layer')]
        for name in names[:-1] if self.architecture.pools_first else names:
            images = apply_layers(getattr(self, name), images, trains(train, name), (Block,))
        return images if self.architecture.pools_first else self.norm(images, trains(train, 'norm'))

    def pool(self, feature_map: jax.Array) -> jax.Array:
        """As `Network.pool`."""
        features, row = super().pool(feature_map), self.architecture
        return getattr(self, _last_stage(row))[0](features) if row.pools_first else features


class Block(nn.Module):
    """Convolutions of a block, each with its norm; the input is added where the shape allows it."""

    row: EfficientNetRow
    stage: Stage
    index: int
    lowering: str

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        row, channels = self.row, images.shape[-1]
        layers, skip = layers_of(self.stage, channels, self.index), _skip(self, images)
        branch = images
        for i, layer in enumerate(layers, 1):
            branch = convolution(row, layer, self.lowering, f'conv{i}')(branch)
            joins = skip if i == len(layers) and not layer.active else None
            branch = norm(row, layer, self.lowering, f'bn{i}')(branch, train, joins)
            if i == squeezed_after(self.stage):
                width = squeezed_width(row, channels, layer.width)
                branch = SqueezeExcite(row, width, name='se')(branch)
        return branch + skip if skip is not None and layers[-1].active else branch


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation with `width` channels inside."""

    row: EfficientNetRow
    width: int

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        channels = images.shape[-1]
        shapes = dict(fc1=(1, 1, channels, self.width), fc2=(1, 1, self.width, channels))
        layers = {name: Parameters(shape, True, name=name)() for name, shape in shapes.items()}
        return _squeeze(self.row, layers, images)


class LastConvolution(nn.Module):
    """The 1 x 1 convolution after the blocks."""

    row: EfficientNetRow
    lowering: str

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        return convolution(self.row, _last(self.row), self.lowering, 'conv1')(images)


class PooledConvolution(nn.Module):
    """The 1 x 1 convolution of pooled features [batch, channel], with bias and activation."""

    row: EfficientNetRow

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        shape = (1, 1, features.shape[-1], self.row.features)
        layer = Parameters(shape, True, name='conv1')()
        return activate(features @ layer['kernel'][0, 0] + layer['bias'][None], self.row.activation)


def convolution(row: EfficientNetRow, layer: Layer, lowering: str, name: str | None = None) -> Conv:
    """Module of a convolution."""
    return Conv(
        layer.width,
        layer.side,
        layer.stride,
        groups=layer.width if layer.depthwise else 1,
        lowering=lowering,
        compute=partial(_convolve, row.same, layer.depthwise),
        name=name,
    )


def norm(row: EfficientNetRow, layer: Layer, lowering: str, name: str | None = None) -> BatchNorm:
    """Module of the norm after a convolution."""
    return BatchNorm(True, lowering, _activation(row, layer), row.epsilon, name=name)


def fold(module: Network, params: Mapping[str, Any], stats: Mapping[str, Any]) -> dict[str, Any]:
    """Folded layers of a network."""
    row = module.architecture
    layers = fold_norms(params, stats, _pairs, row.epsilon)
    if not row.pools_first:
        last = layers[f'{_last_stage(row)}_0']
        last['conv1'] = merge(last['conv1'], layers.pop('norm'))
    return layers


def feature_map(module: Network, weights: Mapping[str, Any], images: jax.Array) -> jax.Array:
    """Last feature map of a folded network."""
    row, compute = module.architecture, partial(_compute, module.architecture, module.lowering)
    images = compute(Layer('conv_stem', row.stem, 3, 2, False, True), weights['conv1'], images)
    for number, stage in enumerate(row.stages, 1):
        for i in range(stage.blocks):
            block = Block(row, stage, i, module.lowering)
            images = _folded_block(block, weights[f'layer{number}_{i}'], images)
    if row.pools_first:
        return images
    return compute(_last(row), weights[f'{_last_stage(row)}_0']['conv1'], images)


def _last_stage(row: EfficientNetRow) -> str:
    """Name of the stage of the last convolution."""
    return f'layer{len(row.stages) + 1}'


def _activation(row: EfficientNetRow, layer: Layer) -> str:
    """A row of ACTIVATIONS."""
    return (layer.activation or row.activation) if layer.active else ''


def _skip(block: Block, images: jax.Array) -> jax.Array | None:
    """The input of a block, if it is added to the output."""
    stage = block.stage
    is_added = stride_of(stage, block.index) == 1 and stage.width == images.shape[-1]
    return images if is_added else None


def _squeeze(row: EfficientNetRow, layers: Any, images: jax.Array) -> jax.Array:
    """Squeeze-and-excitation of a row."""
    activation = 'relu' if row.hard_squeeze else row.activation
    gate = nn.hard_sigmoid if row.hard_squeeze else nn.sigmoid
    return squeeze_excite(layers, images, ACTIVATIONS[activation], gate)


def _last(row: EfficientNetRow) -> Layer:
    return Layer('conv_head', row.features, 1, 1, False, True)


def _pairs(names: Mapping[str, Any]) -> dict[str, str]:
    """Convolution -> the norm behind it, among the layers of a block or of the network itself."""
    return {f'conv{i}': f'bn{i}' for i in (1, 2, 3) if f'conv{i}' in names and f'bn{i}' in names}


def _folded_block(block: Block, layers: Mapping[str, Any], images: jax.Array) -> jax.Array:
    """As `Block`, with folded layers."""
    row, stage, branch = block.row, block.stage, images
    convolutions, skip = layers_of(stage, images.shape[-1], block.index), _skip(block, images)
    for i, layer in enumerate(convolutions, 1):
        joins = skip if i == len(convolutions) and not layer.active else None
        branch = _compute(row, block.lowering, layer, layers[f'conv{i}'], branch, joins)
        if i == squeezed_after(stage):
            branch = _squeeze(row, layers['se'], branch)
    return branch + skip if skip is not None and convolutions[-1].active else branch


def _compute(
    row: EfficientNetRow,
    lowering: str,
    layer: Layer,
    values: Mapping[str, Any],
    images: jax.Array,
    skip: jax.Array | None = None,
) -> jax.Array:
    """A folded convolution."""
    activation = _activation(row, layer)
    if layer.depthwise:
        kernel, bias = (jnp.asarray(values[name]) for name in ('kernel', 'bias'))
        return depthwise(images, kernel, layer.stride, row.same, lowering, bias, activation)
    images, padding = _pad(images, layer.side, layer.stride, row.same)
    return conv_affine(lowering, values, images, layer.stride, skip, activation, padding)


def _convolve(
    same: bool,
    is_depthwise: bool,
    images: jax.Array,
    kernel: jax.Array,
    stride: int,
    _: int,
    lowering: str,
) -> jax.Array:
    """A convolution with the padding of a row."""
    if is_depthwise:
        return depthwise(images, kernel, stride, same, lowering)
    images, padding = _pad(images, kernel.shape[0], stride, same)
    return conv_large(images, kernel, stride, padding, lowering)


def _pad(images: jax.Array, side: int, stride: int, same: bool) -> tuple[jax.Array, int]:
    """Images, and the zeros that a convolution is to add on all sides; or images with zeros."""
    if not same or stride == 1:
        return images, side // 2
    padding = []
    for pixels in images.shape[1:3]:
        before = pad_before(pixels, side, stride, same)
        total = max(0, (-(-pixels // stride) - 1) * stride + side - pixels)
        padding.append((before, total - before))
    return jnp.pad(images, ((0, 0), *padding, (0, 0))), 0
