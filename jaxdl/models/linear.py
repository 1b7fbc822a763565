"""The network without hidden layers: logistic regression on the pixels."""

import jax
from flax import linen as nn

from jaxdl.models import layers


class Linear(nn.Module):
    """The image as one row of numbers; dropout; dense."""

    num_classes: int

    @nn.compact
    def __call__(
        self, images: jax.Array, train: bool = False, dropout: jax.Array | float = 0.0
    ) -> jax.Array:
        """float [batch, height, width, channel], normalised -> logits [batch, num_classes].

        `dropout` as in `CNN`.
        """
        return layers.head(
            self, images.reshape(images.shape[0], -1), self.num_classes, train, dropout
        )
