"""The small convolutional network of the ablations."""

import jax
from flax import linen as nn

from jaxdl.models import layers, stage
from jaxdl.models.conv import default_lowering
from jaxdl.models.pooling import GlobalPool, Pool


class Stage(nn.Module):
    """`convolutions` times 3 x 3 convolution, norm, activation; pool.

    With `skip`, a convolution of as many outputs as inputs (in a stage: from the second on) becomes
    x + act(norm(conv(x))), and the pool comes after the sum.
    """

    features: int
    convolutions: int
    norm: str
    activation: str
    pooling: str
    skip: str
    conv: str

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        for i in range(self.convolutions):
            # The first has the name of an only one, and so the same initial weights.
            suffix = f'_{i}' if i else ''
            convolved = layers.Conv(self.features, lowering=self.conv, name=f'conv{suffix}')(images)
            pool = (
                self.pooling
                if i == self.convolutions - 1 and max(images.shape[1:3]) > 1
                else 'none'
            )
            if self.skip == 'none' or convolved.shape != images.shape:
                images = self._follow(convolved, train, pool, f'norm{suffix}')
            else:
                branch = self._follow(convolved, train, 'none', f'norm{suffix}')
                images = _pool(layers.join(self.skip, images, branch), pool)
        return images

    def _follow(self, images: jax.Array, train: bool, pool: str, name: str) -> jax.Array:
        """Norm, activation and pooling after a convolution."""
        if self.conv == 'onednn' and stage.is_supported(self.norm, self.activation):
            fused = pool if pool in stage.POOLINGS else 'none'
            images = stage.NormActivationPool(self.norm, self.activation, fused, name=name)(
                images, train
            )
            return images if pool == fused else _pool(images, pool)
        images = layers.NORMS[self.norm](train, name)(images)
        return _pool(layers.ACTIVATIONS[self.activation](images), pool)


def _pool(images: jax.Array, pool: str) -> jax.Array:
    return images if pool == 'none' else Pool(pool, name='pool')(images)


class CNN(nn.Module):
    """Stages, global pooling, a dense layer if `hidden`, dropout, dense.

    Attributes:
      width: features of the first stage; they double from stage to stage.
      depth: number of stages.
      convolutions: per stage.
      hidden: width of the dense layer; 0: none.
      conv: a row of `conv.LOWERINGS`, or `auto`: the usual one of this platform.
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
    skip: str = 'none'
    conv: str = 'auto'

    @nn.compact
    def __call__(
        self, images: jax.Array, train: bool = False, dropout: jax.Array | float = 0.0
    ) -> jax.Array:
        """float [batch, height, width, channel], normalised -> logits [batch, num_classes].

        In training, `dropout` is the share of features dropped before the last layer. It may be
        traced, and its noise comes from the rng stream `dropout`; a plain 0.0 needs neither noise
        nor stream.
        """
        options = (self.convolutions, self.norm, self.activation, self.pooling, self.skip)
        lowering = default_lowering() if self.conv == 'auto' else self.conv
        # Widths double from stage to stage: only the first can equal the images' channels.
        if self.convolutions == 1:
            layers.check_skip(
                self.skip, images.shape[-1], self.width, 'set convolutions to 2 or more'
            )
        for i in range(self.depth):
            images = Stage(self.width << i, *options, lowering, name=f'stage_{i}')(images, train)
        features = GlobalPool(self.global_pooling, name='global_pool')(images)
        if self.hidden:
            features = layers.ACTIVATIONS[self.activation](
                nn.Dense(self.hidden, name='hidden')(features)
            )
        return layers.head(self, features, self.num_classes, train, dropout)
