"""A pretrained network for evaluation, with its batch norms folded into its convolutions."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxdl.models.families import family_of
from jaxdl.models.network import FeatureMap, Network


@struct.dataclass
class FoldedNetwork:
    """Function of a `Network` in evaluation: float32, no dropout; a pytree of its weights.

    Attributes:
      weights: layers by name, those of a block under the block's name.
      module: the network; static.
    """

    weights: Any
    module: Network = struct.field(pytree_node=False)

    def __call__(self, images: jax.Array) -> jax.Array:
        """Logits [batch, num_classes]; features of a network without a head.

        Args:
          images: float [batch, height, width, channel], normalised.
        """
        return self.classify(self.features(images))

    def feature_map(self, images: jax.Array) -> FeatureMap:
        """As `Network.feature_map`."""
        family = family_of(self.module.architecture)
        return family.feature_map(self.module, self.weights, images)

    def pool(self, feature_map: FeatureMap) -> jax.Array:
        """Features, float32 [batch, features], of a feature map; no norm there is folded."""
        return jnp.asarray(self.module.apply({'params': self.weights}, feature_map, method='pool'))

    def features(self, images: jax.Array) -> jax.Array:
        """The pooled feature map, float32 [batch, features]."""
        return self.pool(self.feature_map(images))

    def classify(self, features: jax.Array) -> jax.Array:
        """Logits [batch, num_classes] of features [batch, features]."""
        if not self.module.num_classes:
            return features
        head = self.weights['head']
        return features @ head['kernel'] + head['bias'][None]


def fold(module: Network, variables: Mapping[str, Any]) -> FoldedNetwork:
    """Fold the batch norms of a network, on the host, once.

    Args:
      module: a network of `ARCHITECTURES`.
      variables: its `params`, and `batch_stats` where there are batch norms; arrays, not tracers.

    Returns:
      The folded network. Its outputs equal those of `module.apply` up to rounding.
    """
    host = jax.device_get({name: variables.get(name, {}) for name in ('params', 'batch_stats')})
    family = family_of(module.architecture)
    return FoldedNetwork(family.fold(module, host['params'], host['batch_stats']), module)
