"""EfficientNets and MobileNetV2: one module for every row of `efficientnet_rows`."""

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
from jaxdl.models.efficientnet_rows import EfficientNetRow, Layer, Stage, layers_of, squeezed_after
from jaxdl.models.layers import Conv
from jaxdl.models.network import Network, Training, apply_layers, trains
from jaxdl.models.norm import ACTIVATIONS, BatchNorm


class EfficientNet(Network):
    """Stem `conv1`, `bn1`, blocks `layer1_0`, ..., a last convolution and `norm`, mean, `head`.

    Blocks have convolutions `conv1`, `conv2`, ... with norms `bn1`, `bn2`, ... The last one, 1 x 1,
    is a stage of its own after those of the blocks. The feature map has a 32nd of the rows and
    columns of the images, rounded up.
    """

    def setup(self) -> None:
        row, stem = self.architecture, Layer('conv_stem', self.architecture.stem, 3, 2, False, True)
        self.conv1, self.bn1 = convolution(row, stem, self.lowering), norm(row, stem, self.lowering)
        block = nn.remat(Block, static_argnums=(2,)) if self.remat else Block
        for number, stage in enumerate(row.stages, 1):
            blocks = [
                block(row, stage, stage.stride if i == 0 else 1, self.lowering)
                for i in range(stage.blocks)
            ]
            setattr(self, f'layer{number}', blocks)
        setattr(self, f'layer{len(row.stages) + 1}', [LastConvolution(row, self.lowering)])
        self.norm = norm(row, _last(row), self.lowering)
        self.setup_head()

    def feature_map(self, images: jax.Array, train: Training = False) -> jax.Array:
        """As `Network.feature_map`."""
        images = self.bn1(self.conv1(images), trains(train, 'stem'))
        for number in range(1, len(self.architecture.stages) + 2):
            name = f'layer{number}'
            images = apply_layers(getattr(self, name), images, trains(train, name), (Block,))
        return self.norm(images, trains(train, 'norm'))


class Block(nn.Module):
    """Convolutions of a block, each with its norm; the input is added where the shape allows it."""

    row: EfficientNetRow
    stage: Stage
    stride: int
    lowering: str

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        row, channels = self.row, images.shape[-1]
        layers = layers_of(self.stage, channels, self.stride)
        skip = images if self.stride == 1 and self.stage.width == channels else None
        branch = images
        for i, layer in enumerate(layers, 1):
            branch = convolution(row, layer, self.lowering, f'conv{i}')(branch)
            joins = skip if i == len(layers) and not layer.active else None
            branch = norm(row, layer, self.lowering, f'bn{i}')(branch, train, joins)
            if i == squeezed_after(self.stage):
                branch = SqueezeExcite(row.activation, round(channels / 4), name='se')(branch)
        return branch + skip if skip is not None and layers[-1].active else branch


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation with `width` channels inside."""

    activation: str
    width: int

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        channels = images.shape[-1]
        shapes = dict(fc1=(1, 1, channels, self.width), fc2=(1, 1, self.width, channels))
        layers = {name: Parameters(shape, True, name=name)() for name, shape in shapes.items()}
        return squeeze_excite(layers, images, ACTIVATIONS[self.activation])


class LastConvolution(nn.Module):
    """The 1 x 1 convolution after the blocks."""

    row: EfficientNetRow
    lowering: str

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        return convolution(self.row, _last(self.row), self.lowering, 'conv1')(images)


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
    activation = row.activation if layer.active else ''
    return BatchNorm(True, lowering, activation, row.epsilon, name=name)


def fold(module: Network, params: Mapping[str, Any], stats: Mapping[str, Any]) -> dict[str, Any]:
    """Folded layers of a network."""
    row = module.architecture
    layers = fold_norms(params, stats, _pairs, row.epsilon)
    last = layers[f'layer{len(row.stages) + 1}_0']
    last['conv1'] = merge(last['conv1'], layers.pop('norm'))
    return layers


def feature_map(module: Network, weights: Mapping[str, Any], images: jax.Array) -> jax.Array:
    """Last feature map of a folded network."""
    row, compute = module.architecture, partial(_compute, module.architecture, module.lowering)
    images = compute(Layer('conv_stem', row.stem, 3, 2, False, True), weights['conv1'], images)
    for number, stage in enumerate(row.stages, 1):
        for i in range(stage.blocks):
            layers, stride = weights[f'layer{number}_{i}'], stage.stride if i == 0 else 1
            images = _block(module, stage, stride, layers, images)
    return compute(_last(row), weights[f'layer{len(row.stages) + 1}_0']['conv1'], images)


def _last(row: EfficientNetRow) -> Layer:
    return Layer('conv_head', row.features, 1, 1, False, True)


def _pairs(names: Mapping[str, Any]) -> dict[str, str]:
    """Convolution -> the norm behind it, among the layers of a block or of the network itself."""
    return {f'conv{i}': f'bn{i}' for i in (1, 2, 3) if f'conv{i}' in names and f'bn{i}' in names}


def _block(
    module: Network, stage: Stage, stride: int, layers: Mapping[str, Any], images: jax.Array
) -> jax.Array:
    """As `Block`."""
    row, channels, branch = module.architecture, images.shape[-1], images
    convolutions = layers_of(stage, channels, stride)
    skip = images if stride == 1 and stage.width == channels else None
    for i, layer in enumerate(convolutions, 1):
        joins = skip if i == len(convolutions) and not layer.active else None
        branch = _compute(row, module.lowering, layer, layers[f'conv{i}'], branch, joins)
        if i == squeezed_after(stage):
            branch = squeeze_excite(layers['se'], branch, ACTIVATIONS[row.activation])
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
    activation = row.activation if layer.active else ''
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
