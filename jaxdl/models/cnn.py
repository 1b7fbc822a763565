"""The small convolutional network of the ablations."""

import jax
from flax import linen as nn

from jaxdl.models import layers


class Stage(nn.Module):
    """3 x 3 convolution, norm, activation, pool."""

    features: int
    norm: str
    activation: str
    pooling: str

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        images = layers.Conv(self.features, name='conv')(images)
        images = layers.NORMS[self.norm](train, 'norm')(images)
        images = layers.ACTIVATIONS[self.activation](images)
        return layers.Pool(self.pooling, name='pool')(images) if max(images.shape[1:3]) > 1 else images


class CNN(nn.Module):
    """`depth` stages, their widths doubling from `width`; global pooling; dropout; dense."""

    num_classes: int
    width: int = 16
    depth: int = 2
    norm: str = 'batch'
    activation: str = 'relu'
    pooling: str = 'max'
    global_pooling: str = 'avg'

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False, dropout: jax.Array | float = 0.0) -> jax.Array:
        """float [batch, height, width, channel], normalised -> logits [batch, num_classes].

        In training, `dropout` is the share of features dropped before the last layer. It may be traced, and its noise
        comes from the rng stream `dropout`; a plain 0.0 needs neither noise nor stream.
        """
        for i in range(self.depth):
            stage = Stage(self.width << i, self.norm, self.activation, self.pooling, name=f'stage_{i}')
            images = stage(images, train)
        features = layers.GLOBAL_POOLINGS[self.global_pooling](images)
        if train and not (isinstance(dropout, float) and dropout == 0):
            features = layers.dropout(features, dropout, self.make_rng('dropout'))
        return nn.Dense(self.num_classes, name='head')(features)
