"""Residual networks: one module for every row of `resnet_rows`."""

import itertools
from functools import partial

import jax
from flax import linen as nn

from jaxdl.models.blocks import BLOCKS, Preactivation, Residual, batch_norm, conv_layer, max_pool
from jaxdl.models.network import Network, Training, apply_layers, trains


class ResNet(Network):
    """Stem, stages of blocks `layer1_0`, `layer1_1`, ..., mean over the map, dense layer `head`.

    Parameters have PyTorch's names, an index joined to its list's name (`layer1.0.conv1` is
    `layer1_0/conv1`); the last layer is `head` in all of them. The feature map has a 32nd of the
    rows and columns of the images, in the CIFAR networks a quarter, rounded up.
    """

    def setup(self) -> None:
        self._stem()
        shapes = zip(self.architecture.stages, self.architecture.widths, strict=True)
        for stage, (blocks, width) in enumerate(shapes, 1):
            setattr(self, f'layer{stage}', [self._block(stage, width, i) for i in range(blocks)])
        if self.architecture.block == 'preactivation':
            self.norm = batch_norm(self.lowering, relu=True)
        self.setup_head()

    def _stem(self) -> None:
        stem, conv = self.architecture.stem, partial(conv_layer, lowering=self.lowering)
        self.bn1 = batch_norm(self.lowering, relu=True)
        if stem == 'cifar':
            self.conv1 = conv(self.architecture.widths[0])
        elif self.architecture.stem_widths:
            first, *others = (*self.architecture.stem_widths, 64)
            layers = [[batch_norm(self.lowering), nn.relu, conv(width)] for width in others]
            self.conv1 = [conv(first, stride=2), *itertools.chain(*layers)]
        else:
            self.conv1 = conv(64, side=7, stride=2)
        if stem == 'gluon':
            self.bn0 = batch_norm(self.lowering)

    def _block(self, stage: int, width: int, index: int) -> nn.Module:
        """Block `index` of a stage from 1 on; the first changes the shape, if it has to."""
        a = self.architecture
        stride = 2 if index == 0 and stage > 1 else 1
        changes = index == 0 and (stage > 1 or a.expansion > 1)
        kind = nn.remat(BLOCKS[a.block], static_argnums=(2,)) if self.remat else BLOCKS[a.block]
        return kind(a, width, stride, a.shortcut if changes else 'identity', self.lowering)

    def feature_map(self, images: jax.Array, train: Training = False) -> jax.Array:
        """As `Network.feature_map`."""
        apply = partial(apply_layers, blocks=(Residual, Preactivation))
        stem = trains(train, 'stem')
        if self.architecture.stem == 'gluon':
            images = self.bn0(images, stem)
        images = self.bn1(apply(self.conv1, images, stem), stem)
        images = images if self.architecture.stem == 'cifar' else max_pool(images, self.lowering)
        for stage in range(1, len(self.architecture.stages) + 1):
            name = f'layer{stage}'
            images = apply(getattr(self, name), images, trains(train, name))
        if self.architecture.block == 'preactivation':
            return self.norm(images, trains(train, 'norm'))
        return images
