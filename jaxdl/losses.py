"""Final activation and its loss as one entry: logits and targets [batch, classes] to a loss per example, [batch].

Targets are one-hot, or soft (`targets`, mixed images). Every loss and its gradient are finite at any finite logits.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax import nn

Activation = Callable[[jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Loss:
    """A row of LOSSES; call it with (logits, targets).

    `activation` maps logits to what the network says, [batch, classes] both. `scores` is what the arg max is taken of:
    the logits wherever the activation keeps their order, since an activation that rounds to 1 twice makes a tie that is
    none. A true tie goes to the first class, as in NumPy and PyTorch.
    """

    activation: Activation
    loss: Callable[[jax.Array, jax.Array], jax.Array]
    scores: Activation = lambda logits: logits

    def __call__(self, logits: jax.Array, targets: jax.Array) -> jax.Array:
        return self.loss(logits, targets)


def targets(labels: jax.Array, num_classes: int, label_smoothing: jax.Array | float = 0.0) -> jax.Array:
    """int [batch] -> one-hot [batch, num_classes], moved to uniform (Szegedy et al. 2016); exactly one-hot at 0."""
    return optax.smooth_labels(nn.one_hot(labels, num_classes), jnp.asarray(label_smoothing))


def softmax_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Softmax, then the negative log-likelihood, in nats: the gradient is softmax - target, largest where wrong."""
    return optax.softmax_cross_entropy(logits, targets)


def sigmoid_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """A sigmoid for each class against the rest, in nats summed over the classes: the gradient is sigmoid - target."""
    return optax.sigmoid_binary_cross_entropy(logits, targets).sum(-1)


def softmax_squared_error(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Squared error of the softmax, summed over the classes (Brier 1950): surely wrong, its gradient vanishes."""
    return jnp.square(nn.softmax(logits) - targets).sum(-1)


def sigmoid_squared_error(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Squared error of a sigmoid for each class, summed: flat wherever a sigmoid saturates, right or wrong."""
    return jnp.square(nn.sigmoid(logits) - targets).sum(-1)


def tanh_squared_error(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Squared error of tanh to 2 target - 1, so to -1 or 1, summed: 4 times the sigmoid's at twice the logits."""
    return jnp.square(jnp.tanh(logits) - (2 * targets - 1)).sum(-1)


def relu_softmax_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """A mistake: ReLU, then softmax cross-entropy. No class can be told down, and a negative logit has no gradient.

    Where no logit is above 0 all classes tie, for good, and the prediction is the first class.
    """
    return optax.softmax_cross_entropy(nn.relu(logits), targets)


def sigmoid_softmax_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """A mistake: sigmoid, then softmax cross-entropy. The softmax of numbers in (0, 1) is below e / (e + C - 1).

    With C classes the loss is never below ln(1 + (C - 1) / e): with 10 classes 1.46, with 61 3.14, one nat below ln C;
    the gradient at the logits is a quarter of what it should be, at most, and none where the sigmoid saturates.
    """
    return optax.softmax_cross_entropy(nn.sigmoid(logits), targets)


def double_softmax_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """A mistake: softmax twice, as where a network ends in a softmax and the loss brings its own.

    The same bound as with the sigmoid, ln(1 + (C - 1) / e); the first softmax of many classes begins near 1 / C each,
    so the gradient at the logits begins about C times smaller.
    """
    return optax.softmax_cross_entropy(nn.softmax(logits), targets)


LOSSES: dict[str, Loss] = {
    'softmax_cross_entropy': Loss(nn.softmax, softmax_cross_entropy),
    'sigmoid_cross_entropy': Loss(nn.sigmoid, sigmoid_cross_entropy),
    'softmax_squared_error': Loss(nn.softmax, softmax_squared_error),
    'sigmoid_squared_error': Loss(nn.sigmoid, sigmoid_squared_error),
    'tanh_squared_error': Loss(jnp.tanh, tanh_squared_error),
    'relu_softmax_cross_entropy': Loss(lambda z: nn.softmax(nn.relu(z)), relu_softmax_cross_entropy, scores=nn.relu),
    'sigmoid_softmax_cross_entropy': Loss(lambda z: nn.softmax(nn.sigmoid(z)), sigmoid_softmax_cross_entropy),
    'double_softmax_cross_entropy': Loss(lambda z: nn.softmax(nn.softmax(z)), double_softmax_cross_entropy),
}
