"""Losses together with their final activation: logits and targets [batch, classes] -> loss [batch].

Targets are one-hot or soft. Every loss and its gradient are finite at any finite logits.
METRIC_LOSSES train an embedding by the distances within a batch.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax import lax, nn

Activation = Callable[[jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Loss:
    """A row of LOSSES or METRIC_LOSSES, called with (logits, targets).

    Attributes:
      activation: logits -> outputs, [batch, classes] both.
      loss: (logits, targets) -> loss [batch].
      scores: logits -> values whose arg max is the prediction. They are the logits wherever the
        activation preserves the order, because an activation that rounds twice to 1 makes a false
        tie.
        A true tie goes to the first class, as in NumPy and PyTorch.
    """

    activation: Activation
    loss: Callable[[jax.Array, jax.Array], jax.Array]
    scores: Activation = lambda logits: logits

    def __call__(self, logits: jax.Array, targets: jax.Array) -> jax.Array:
        return self.loss(logits, targets)


def targets(
    labels: jax.Array, num_classes: int, label_smoothing: jax.Array | float = 0.0
) -> jax.Array:
    """One-hot targets with label smoothing (Szegedy et al. 2016).

    Args:
      labels: int [batch].
      num_classes: number of classes.
      label_smoothing: share moved to the uniform distribution, may be traced; 0 gives exact
        one-hot.

    Returns:
      float [batch, num_classes].

    Examples:
      >>> [round(share, 2) for share in targets(jnp.array([1]), 4, label_smoothing=0.2)[0].tolist()]
      [0.05, 0.85, 0.05, 0.05]
    """
    return optax.smooth_labels(nn.one_hot(labels, num_classes), jnp.asarray(label_smoothing))


def softmax_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Negative log-likelihood of the softmax, in nats; the gradient is softmax - target.

    Args:
      logits: float [batch, classes].
      targets: float [batch, classes].

    Returns:
      float [batch].

    Examples:
      >>> loss = softmax_cross_entropy(jnp.zeros((1, 10)), targets(jnp.array([3]), 10))
      >>> round(float(loss[0]), 3)  # ln 10
      2.303
    """
    return optax.softmax_cross_entropy(logits, targets)


def sigmoid_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Binary cross-entropy of each class against the rest, in nats, summed over the classes.

    Args:
      logits: float [batch, classes].
      targets: float [batch, classes].

    Returns:
      float [batch]. The gradient is sigmoid - target.
    """
    return optax.sigmoid_binary_cross_entropy(logits, targets).sum(-1)


def softmax_squared_error(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Squared error of the softmax, summed over the classes (Brier 1950).

    Args:
      logits: float [batch, classes].
      targets: float [batch, classes].

    Returns:
      float [batch]. The gradient vanishes for confident wrong predictions.
    """
    return jnp.square(nn.softmax(logits) - targets).sum(-1)


def sigmoid_squared_error(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Squared error of a sigmoid per class, summed over the classes.

    Args:
      logits: float [batch, classes].
      targets: float [batch, classes].

    Returns:
      float [batch]. The gradient vanishes wherever a sigmoid saturates, correct or not.
    """
    return jnp.square(nn.sigmoid(logits) - targets).sum(-1)


def tanh_squared_error(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Squared error of tanh to 2 target - 1, summed: 4 times the sigmoid's at twice the logits.

    Args:
      logits: float [batch, classes].
      targets: float [batch, classes].

    Returns:
      float [batch].
    """
    return jnp.square(jnp.tanh(logits) - (2 * targets - 1)).sum(-1)


def relu_softmax_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """A common mistake: ReLU, then softmax cross-entropy.

    A negative logit has no gradient, and no class can get a logit below 0. Where no logit is above
    0,
    all classes tie for good and the prediction is the first class.

    Args:
      logits: float [batch, classes].
      targets: float [batch, classes].

    Returns:
      float [batch].
    """
    return optax.softmax_cross_entropy(nn.relu(logits), targets)


def sigmoid_softmax_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """A common mistake: sigmoid, then softmax cross-entropy.

    With C classes the softmax of numbers in (0, 1) is below e / (e + C - 1), so the loss is at
    least ln(1 + (C - 1) / e): 1.46 with 10 classes, 3.14 with 61, one nat below ln C. The gradient
    with respect to the logits is at most a quarter of the correct one, and 0 where the sigmoid
    saturates.

    Args:
      logits: float [batch, classes].
      targets: float [batch, classes].

    Returns:
      float [batch].
    """
    return optax.softmax_cross_entropy(nn.sigmoid(logits), targets)


def double_softmax_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """A common mistake: softmax twice, in the network and again in the loss.

    The bound is that of `sigmoid_softmax_cross_entropy`. The first softmax starts near 1 / C per
    class,
    so the gradient with respect to the logits starts about C times smaller.

    Args:
      logits: float [batch, classes].
      targets: float [batch, classes].

    Returns:
      float [batch].
    """
    return optax.softmax_cross_entropy(nn.softmax(logits), targets)


LOSSES: dict[str, Loss] = {
    'softmax_cross_entropy': Loss(nn.softmax, softmax_cross_entropy),
    'sigmoid_cross_entropy': Loss(nn.sigmoid, sigmoid_cross_entropy),
    'softmax_squared_error': Loss(nn.softmax, softmax_squared_error),
    'sigmoid_squared_error': Loss(nn.sigmoid, sigmoid_squared_error),
    'tanh_squared_error': Loss(jnp.tanh, tanh_squared_error),
    'relu_softmax_cross_entropy': Loss(
        lambda z: nn.softmax(nn.relu(z)), relu_softmax_cross_entropy, scores=nn.relu
    ),
    'sigmoid_softmax_cross_entropy': Loss(
        lambda z: nn.softmax(nn.sigmoid(z)), sigmoid_softmax_cross_entropy
    ),
    'double_softmax_cross_entropy': Loss(
        lambda z: nn.softmax(nn.softmax(z)), double_softmax_cross_entropy
    ),
}


MARGIN = (
    1.0  # of METRIC_LOSSES; an embedding of free length has its scale from it, and nothing else
)
Pairs = tuple[jax.Array, jax.Array]
Mining = Callable[[jax.Array, jax.Array], Pairs]


def triplet(
    anchors: jax.Array, positives: jax.Array, negatives: jax.Array, margin: float = MARGIN
) -> jax.Array:
    """Triplet loss max(0, |a - p|^2 - |a - n|^2 + margin) (FaceNet, Schroff et al. 2015).

    Args:
      anchors: float [..., dim].
      positives: float [..., dim], of the anchors' class.
      negatives: float [..., dim], of other classes.
      margin: difference of the squared distances from which on the loss is 0.

    Returns:
      float [...].

    Examples:
      >>> float(triplet(jnp.array([0.0, 0.0]), jnp.array([0.0, 1.0]), jnp.array([1.0, 0.0])))
      1.0
    """
    near, far = jnp.square(anchors - positives).sum(-1), jnp.square(anchors - negatives).sum(-1)
    return nn.relu(near - far + margin)


def next_pairs(distances: jax.Array, same: jax.Array) -> Pairs:
    """Random mining: the next image of the same class, and the next one of another class.

    The batch is cyclic and in random order, so the choice is uniform and needs no key.

    Args:
      distances: float [batch, batch]; unused.
      same: bool [batch, batch], True where two images share a class.

    Returns:
      Indices of positives and negatives, int [batch] each.
    """
    place = jnp.arange(len(same))
    ahead = (place[None] - place[:, None] - 1) % len(
        same
    )  # 0 for the next image, the most for the image itself
    return _least(ahead, same), _least(ahead, ~same)


def semi_hard_pairs(distances: jax.Array, same: jax.Array) -> Pairs:
    """Semi-hard mining (Schroff et al. 2015): nearest negative that is farther than the positive.

    The positive is the next image of the same class. If no negative is farther, the farthest is
    taken.

    Args:
      distances: float [batch, batch].
      same: bool [batch, batch].

    Returns:
      Indices of positives and negatives, int [batch] each.
    """
    positives = next_pairs(distances, same)[0]
    farther = ~same & (distances > jnp.take_along_axis(distances, positives[:, None], 1))
    return positives, jnp.where(
        farther.any(1), _least(distances, farther), _least(-distances, ~same)
    )


def hard_pairs(distances: jax.Array, same: jax.Array) -> Pairs:
    """Batch-hard mining (Hermans, Beyer and Leibe 2017): farthest positive, nearest negative.

    Args:
      distances: float [batch, batch].
      same: bool [batch, batch].

    Returns:
      Indices of positives and negatives, int [batch] each.
    """
    return _least(-distances, same), _least(distances, ~same)


def squared_distances(embeddings: jax.Array) -> jax.Array:
    """Squared Euclidean distances |a|^2 + |b|^2 - 2 a.b, exact to the rounding of |a|^2.

    Args:
      embeddings: float [batch, dim].

    Returns:
      float [batch, batch].
    """
    squares = jnp.square(embeddings).sum(-1)
    return squares[:, None] + squares[None] - 2 * embeddings @ embeddings.T


def mined_triplet(mine: Mining, embeddings: jax.Array, targets: jax.Array) -> jax.Array:
    """Triplet loss of one mined triplet per image; 0 where the batch has none.

    Args:
      mine: (distances [batch, batch], same [batch, batch]) -> indices of positives and negatives.
      embeddings: float [batch, dim].
      targets: float [batch, classes], one-hot.

    Returns:
      float [batch].
    """
    labels = jnp.argmax(targets, -1)
    same = labels[:, None] == labels[None]
    positives, negatives = mine(squared_distances(lax.stop_gradient(embeddings)), same)
    loss = triplet(embeddings, embeddings[positives], embeddings[negatives])
    return jnp.where((same.sum(1) > 1) & ~same.all(1), loss, 0.0)


def _least(values: jax.Array, among: jax.Array) -> jax.Array:
    """Column of the smallest value per row, among `among` and without the diagonal."""
    among = among & ~jnp.eye(len(among), dtype=bool)
    return jnp.argmin(jnp.where(among, values, jnp.inf), -1)


def _metric(mine: Mining) -> Loss:
    return Loss(lambda embeddings: embeddings, functools.partial(mined_triplet, mine))


# They train an embedding, [batch, dim] with dim at least the number of classes; its arg max means
# nothing, so that a study of accuracy cannot choose them.
METRIC_LOSSES: dict[str, Loss] = {
    'triplet_random': _metric(next_pairs),
    'triplet_semi_hard': _metric(semi_hard_pairs),
    'triplet_hard': _metric(hard_pairs),
}


def find(name: str) -> Loss:
    """Row of LOSSES or METRIC_LOSSES with this name."""
    return LOSSES[name] if name in LOSSES else METRIC_LOSSES[name]
