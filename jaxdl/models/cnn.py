"""The small convolutional network of the ablations."""

import jax
from flax import linen as nn

from jaxdl.models import layers, stage
from jaxdl.models.conv import usual
from jaxdl.models.pooling import GlobalPool, Pool


class Stage(nn.Module):
    """`convolutions` times 3 x 3 convolution, norm, activation; pool."""

    features: int
    convolutions: int
    norm: str
    activation: str
    pooling: str
    conv: str

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        for i in range(self.convolutions):
            suffix = f'_{i}' if i else ''  # the first is named as if it were the only one: it starts the same
            images = layers.Conv(self.features, lowering=self.conv, name=f'conv{suffix}')(images)
            pools = i == self.convolutions - 1 and max(images.shape[1:3]) > 1
            images = self._follow(images, train, self.pooling if pools else 'none', f'norm{suffix}')
        return images

    def _follow(self, images: jax.Array, train: bool, pool: str, name: str) -> jax.Array:
        """What comes after a convolution."""
        if self.conv == 'onednn' and stage.serves(self.norm, self.activation):
            fused = pool if pool in stage.POOLINGS else 'none'
            images = stage.NormActivationPool(self.norm, self.activation, fused, name=name)(images, train)
            return images if pool == fused else Pool(pool, name='pool')(images)
        images = layers.NORMS[self.norm](train, name)(images)
        images = layers.ACTIVATIONS[self.activation](images)
        return images if pool == 'none' else Pool(pool, name='pool')(images)


class CNN(nn.Module):
    """`depth` stages, their widths doubling from `width`; global pooling; a dense layer if `hidden`; dropout; dense.

    `conv` is how convolutions are computed (`conv.LOWERINGS`), `auto` what usually is best here.
    """

    num_classes: int
    width: int = 16
    depth: int = 2
    convolutions: int = 1
    hidden: int = 0
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
        options = (self.convolutions, self.norm, self.activation, self.pooling)
        lowering = usual() if self.conv == 'auto' else self.conv
        for i in range(self.depth):
            images = Stage(self.width << i, *options, lowering, name=f'stage_{i}')(images, train)
        features = GlobalPool(self.global_pooling, name='global_pool')(images)
        if self.hidden:
            features = layers.ACTIVATIONS[self.activation](nn.Dense(self.hidden, name='hidden')(features))
        return layers.head(self, features, self.num_classes, train, dropout)
