"""Residual networks: one module for every row of `ARCHITECTURES`."""

import itertools
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import jax
from flax import linen as nn

from jaxdl.models import layers
from jaxdl.models.architectures import Architecture, Preprocessing
from jaxdl.models.blocks import BLOCKS, Preactivation, Residual, batch_norm, conv_layer, max_pool
from jaxdl.models.norm import BatchNorm, to_float32

Training = bool | Collection[str]
WITH_NORM = (BatchNorm, Residual, Preactivation)  # layers that take `train`


class ResNet(nn.Module):
    """Stem, stages of blocks `layer1_0`, `layer1_1`, ..., mean over the map, dense layer `head`.

    Parameters have PyTorch's names, an index joined to its list's name (`layer1.0.conv1` is
    `layer1_0/conv1`); the last layer is `head` in all of them. With `num_classes` 0 there is no
    head, and features come in place of logits. `lowering` is how convolutions are computed
    (`conv.LOWERINGS`); `auto`: oneDNN where it is there, else XLA's own. With `remat` the backward
    pass computes every block again, for less memory (Chen et al. 2016). The head of a new network
    is zero, so that its first step does not disturb what is pretrained.
    """

    architecture: Architecture
    num_classes: int
    preprocessing: Preprocessing
    lowering: str = 'auto'
    remat: bool = False

    def setup(self) -> None:
        self._stem()
        shapes = zip(self.architecture.stages, self.architecture.widths, strict=True)
        for stage, (blocks, width) in enumerate(shapes, 1):
            setattr(self, f'layer{stage}', [self._block(stage, width, i) for i in range(blocks)])
        if self.architecture.block == 'preactivation':
            self.norm = batch_norm(self.lowering, relu=True)
        if self.num_classes:
            self.head = nn.Dense(self.num_classes, kernel_init=nn.initializers.zeros)

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
        """Last feature map.

        Args:
          images: float [batch, height, width, channel], normalised.
          train: whether norms take the statistics of the batch; or the parts (`stem`, `layer1`,
            ..., `norm`) whose norms do.

        Returns:
          [batch, rows, columns, features]; rows and columns are a 32nd of the images', in the CIFAR
          networks a quarter, rounded up.
        """
        of = lambda part: train if isinstance(train, bool) else part in train
        stem = of('stem')
        if self.architecture.stem == 'gluon':
            images = self.bn0(images, stem)
        images = self.bn1(_apply_layers(self.conv1, images, stem), stem)
        images = images if self.architecture.stem == 'cifar' else max_pool(images, self.lowering)
        for stage in range(1, len(self.architecture.stages) + 1):
            images = _apply_layers(getattr(self, f'layer{stage}'), images, of(f'layer{stage}'))
        return (
            self.norm(images, of('norm')) if self.architecture.block == 'preactivation' else images
        )

    def features(self, images: jax.Array, train: Training = False) -> jax.Array:
        """Means of the last feature map, [batch, features]; arguments as of `feature_map`."""
        return to_float32(self.feature_map(images, train)).mean((1, 2))

    def classify(
        self, features: jax.Array, train: bool = False, dropout: jax.Array | float = 0.0
    ) -> jax.Array:
        """Logits [batch, num_classes] of features [batch, features].

        Args:
          features: [batch, features].
          train: whether dropout applies.
          dropout: dropout rate, may be traced.

        Returns:
          The logits; the features without a head.
        """
        if train and not (isinstance(dropout, float) and dropout == 0):
            features = layers.dropout(features, dropout, self.make_rng('dropout'))
        return self.head(features) if self.num_classes else features

    def __call__(
        self,
        images: jax.Array,
        train: Training = False,
        dropout: jax.Array | float = 0.0,
        norms: Training | None = None,
    ) -> jax.Array:
        """float [batch, height, width, channel], normalised -> logits [batch, num_classes].

        `dropout` as in `CNN`. `norms` are the parts whose norms take the statistics of the batch;
        None: as `train`.

        The other methods by `module.apply(variables, images, method='features')`.
        """
        features = self.features(images, train if norms is None else norms)
        return self.classify(features, bool(train), dropout)


def _apply_layers(parts: Any, images: jax.Array, train: bool) -> jax.Array:
    """Images after a layer or a list of layers."""
    for part in parts if isinstance(parts, Sequence) else [parts]:
        images = part(images, train) if isinstance(part, WITH_NORM) else part(images)
    return images
