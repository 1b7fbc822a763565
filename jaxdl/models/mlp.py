"""Multilayer perceptron: every pixel is one input."""

import jax
from flax import linen as nn

from jaxdl.models import layers


class Layer(nn.Module):
    """Dense, norm, activation."""

    width: int
    norm: str
    activation: str

    @nn.compact
    def __call__(self, features: jax.Array, train: bool) -> jax.Array:
        features = nn.Dense(self.width, use_bias=False, name='dense')(features)
        # The norm has the bias; `none` has nothing else.
        features = layers.NORMS[self.norm](train, 'norm')(features)
        return layers.ACTIVATIONS[self.activation](features)


class MLP(nn.Module):
    """Flattened images, `depth` hidden layers of `width` units, dropout, and a dense layer.

    With `skip`, a hidden layer with as many inputs as outputs computes x + act(norm(dense(x))). The
    activation comes before the sum, so the identity path is free (He et al. 2016, "Identity
    mappings in deep residual networks").

    Outputs of the hidden layers: `_, state = module.apply(variables, images,
    mutable=['intermediates'])`, then `state['intermediates']['hidden_0'][0]`, float [batch, width].
    """

    num_classes: int
    width: int = 16
    depth: int = 2
    norm: str = 'none'
    activation: str = 'relu'
    skip: str = 'none'

    @nn.compact
    def __call__(
        self, images: jax.Array, train: bool = False, dropout: jax.Array | float = 0.0
    ) -> jax.Array:
        """float [batch, height, width, channel], normalised -> logits [batch, num_classes].

        `dropout` as in `CNN`.
        """
        features = images.reshape(images.shape[0], -1)
        if self.depth == 1:
            layers.check_skip(self.skip, features.shape[-1], self.width, 'set depth to 2 or more')
        for i in range(self.depth):
            branch = Layer(self.width, self.norm, self.activation, name=f'layer_{i}')(
                features, train
            )
            features = layers.join(self.skip, features, branch)
            self.sow('intermediates', f'hidden_{i}', features)
        return layers.head(self, features, self.num_classes, train, dropout)
