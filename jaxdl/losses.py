"""Final activation and its loss as one entry: each maps logits to a loss per example."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

Loss = Callable[[jax.Array, jax.Array, jax.Array | float], jax.Array]


def softmax_cross_entropy(logits: jax.Array, labels: jax.Array, label_smoothing: jax.Array | float = 0.0) -> jax.Array:
    """Softmax, then the negative log-likelihood: logits [batch, classes], labels int [batch] -> nats [batch]."""
    return optax.softmax_cross_entropy(logits, _targets(logits, labels, label_smoothing))


def sigmoid_cross_entropy(logits: jax.Array, labels: jax.Array, label_smoothing: jax.Array | float = 0.0) -> jax.Array:
    """A sigmoid for each class against the rest, summed over the classes: [batch, classes], [batch] -> nats [batch]."""
    return optax.sigmoid_binary_cross_entropy(logits, _targets(logits, labels, label_smoothing)).sum(-1)


LOSSES: dict[str, Loss] = {
    'softmax_cross_entropy': softmax_cross_entropy,
    'sigmoid_cross_entropy': sigmoid_cross_entropy,
}


def _targets(logits: jax.Array, labels: jax.Array, label_smoothing: jax.Array | float) -> jax.Array:
    """One-hot targets, moved towards uniform (Szegedy et al. 2016): exactly one-hot at smoothing 0."""
    return optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1]), jnp.asarray(label_smoothing))
