"""The small convolutional network of the ablations."""

import jax
from flax import linen as nn

from jaxdl.models import layers, stage
from jaxdl.models.conv import usual


class Stage(nn.Module):
    """3 x 3 convolution, norm, activation, pool."""

    features: int
    norm: str
    activation: str
    pooling: str
    conv: str

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        images = layers.Conv(self.features, lowering=self.conv, name='conv')(images)
        pooling = self.pooling if max(images.shape[1:3]) > 1 else 'none'
        if self.conv == 'onednn' and stage.serves(self.norm, self.activation):
            fused = pooling if pooling in stage.POOLINGS else 'none'
            images = stage.NormActivationPool(self.norm, self.activation, fused, name='norm')(images, train)
            return images if pooling == fused else layers.Pool(pooling, name='pool')(images)
        images = layers.NORMS[self.norm](train, 'norm')(images)
        images = layers.ACTIVATIONS[self.activation](images)
        return images if pooling == 'none' else layers.Pool(pooling, name='pool')(images)


class CNN(nn.Module):
    """`depth` stages, their widths doubling from `width`; global pooling; dropout; dense.

    `conv` is how convolutions are computed (`conv.LOWERINGS`), `auto` what usually is best here.
    """

    num_classes: int
    width: int = 16
    depth: int = 2
    norm: str = 'batch'
    activation: str = 'relu'
    pooling: str = 'max'
    global_pooling: str = 'avg'
    conv: str = 'auto'

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False, dropout: jax.Array | float = 0.0) -> jax.Array:
        """float [batch, height, width, channel], normalised -> logits [batch, num_classes].

        In training, `dropout` is the share of features dropped before the last layer. It may be traced, and its noise
        comes from the rng stream `dropout`; a plain 0.0 needs neither noise nor stream.
        """
        lowering = usual() if self.conv == 'auto' else self.conv
        for i in range(self.depth):
            each = Stage(self.width << i, self.norm, self.activation, self.pooling, lowering, name=f'stage_{i}')
            images = each(images, train)
        features = layers.GLOBAL_POOLINGS[self.global_pooling](images)
        if train and not (isinstance(dropout, float) and dropout == 0):
            features = layers.dropout(features, dropout, self.make_rng('dropout'))
        return nn.Dense(self.num_classes, name='head')(features)
