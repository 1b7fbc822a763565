"""Final activation and its loss as one entry: logits and targets [batch.

Classes] to a loss per example, [batch].

Targets are one-hot, or soft (`targets`, mixed images). Every loss and its gradient are finite at
any finite logits. Beside them METRIC_LOSSES, which take what the network says for an embedding and
train it by the distances in a batch.
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
    """A row of LOSSES or METRIC_LOSSES; call it with (logits, targets).

    `activation` maps logits to what the network says, [batch, classes] both. `scores` is what the
    arg max is taken of: the logits wherever the activation keeps their order, since an activation
    that rounds to 1 twice makes a tie that is none. A true tie goes to the first class, as in NumPy
    and PyTorch.
    """

    activation: Activation
    loss: Callable[[jax.Array, jax.Array], jax.Array]
    scores: Activation = lambda logits: logits

    def __call__(self, logits: jax.Array, targets: jax.Array) -> jax.Array:
        return self.loss(logits, targets)


def targets(
    labels: jax.Array, num_classes: int, label_smoothing: jax.Array | float = 0.0
) -> jax.Array:
    """int [batch] -> one-hot [batch, num_classes], moved to uniform (Szegedy et al.

    2016); exactly one-hot at 0.

    Examples:
      >>> [round(share, 2) for share in targets(jnp.array([1]), 4, label_smoothing=0.2)[0].tolist()]
      [0.05, 0.85, 0.05, 0.05]
    """
    return optax.smooth_labels(nn.one_hot(labels, num_classes), jnp.asarray(label_smoothing))


def softmax_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Softmax, then the negative log-likelihood, in nats: the gradient is softmax - target.

    Largest where wrong.

    Examples:
      >>> round(float(softmax_cross_entropy(jnp.zeros((1, 10)), targets(jnp.array([3]), 10))[0]), 3)
      # ln 10 2.303
    """
    return optax.softmax_cross_entropy(logits, targets)


def sigmoid_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """A sigmoid for each class against the rest, in nats summed over the classes.

    The gradient is sigmoid - target.
    """
    return optax.sigmoid_binary_cross_entropy(logits, targets).sum(-1)


def softmax_squared_error(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Squared error of the softmax, summed over the classes (Brier 1950): surely wrong.

    Its gradient vanishes.
    """
    return jnp.square(nn.softmax(logits) - targets).sum(-1)


def sigmoid_squared_error(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Squared error of a sigmoid for each class, summed: flat wherever a sigmoid saturates.

    Right or wrong.
    """
    return jnp.square(nn.sigmoid(logits) - targets).sum(-1)


def tanh_squared_error(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Squared error of tanh to 2 target - 1, so to -1 or 1, summed.

    4 times the sigmoid's at twice the logits.
    """
    return jnp.square(jnp.tanh(logits) - (2 * targets - 1)).sum(-1)


def relu_softmax_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """A mistake: ReLU, then softmax cross-entropy.

    No class can be told down, and a negative logit has no gradient.

    Where no logit is above 0 all classes tie, for good, and the prediction is the first class.
    """
    return optax.softmax_cross_entropy(nn.relu(logits), targets)


def sigmoid_softmax_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """A mistake: sigmoid, then softmax cross-entropy.

    The softmax of numbers in (0, 1) is below e / (e + C - 1).

    With C classes the loss is never below ln(1 + (C - 1) / e): with 10 classes 1.46, with 61 3.14,
    one nat below ln C; the gradient at the logits is a quarter of what it should be, at most, and
    none where the sigmoid saturates.
    """
    return optax.softmax_cross_entropy(nn.sigmoid(logits), targets)


def double_softmax_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """A mistake: softmax twice, as where a network ends in a softmax and the loss brings its own.

    The same bound as with the sigmoid, ln(1 + (C - 1) / e); the first softmax of many classes
    begins near 1 / C each, so the gradient at the logits begins about C times smaller.
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
    """max(0, |a - p|^2 - |a - n|^2 + margin) of embeddings [..., dim], [...].

    FaceNet (Schroff et al. 2015).

    Examples:
      >>> float(triplet(jnp.array([0.0, 0.0]), jnp.array([0.0, 1.0]), jnp.array([1.0, 0.0])))
      1.0
    """
    near, far = jnp.square(anchors - positives).sum(-1), jnp.square(anchors - negatives).sum(-1)
    return nn.relu(near - far + margin)


def next_pairs(distances: jax.Array, same: jax.Array) -> Pairs:
    """Random mining: of every image the next one of its class in the batch.

    And the next one of another class.

    Behind the last image comes the first. A batch is in random order, so this draws uniformly and
    needs no key.
    """
    place = jnp.arange(len(same))
    ahead = (place[None] - place[:, None] - 1) % len(
        same
    )  # 0 for the next image, the most for the image itself
    return _least(ahead, same), _least(ahead, ~same)


def semi_hard_pairs(distances: jax.Array, same: jax.Array) -> Pairs:
    """The next one of its class.

    And the nearest of another class that is farther than that (Schroff et al. 2015).

    Where none is farther, the farthest there is.
    """
    positives = next_pairs(distances, same)[0]
    farther = ~same & (distances > jnp.take_along_axis(distances, positives[:, None], 1))
    return positives, jnp.where(
        farther.any(1), _least(distances, farther), _least(-distances, ~same)
    )


def hard_pairs(distances: jax.Array, same: jax.Array) -> Pairs:
    """The farthest of its class and the nearest of another class: batch hard (Hermans.

    Beyer and Leibe 2017).
    """
    return _least(-distances, same), _least(distances, ~same)


def squared_distances(embeddings: jax.Array) -> jax.Array:
    """[batch, dim] -> [batch, batch], by |a|^2 + |b|^2 - 2 a.b.

    So good to the rounding of |a|^2 only.
    """
    squares = jnp.square(embeddings).sum(-1)
    return squares[:, None] + squares[None] - 2 * embeddings @ embeddings.T


def mined_triplet(mine: Mining, embeddings: jax.Array, targets: jax.Array) -> jax.Array:
    """The loss of one triplet an image, [batch], that `mine` picks in the batch.

    0 where the batch has none.

    `mine` sees the distances [batch, batch] and which images share a class, True on the diagonal.
    """
    labels = jnp.argmax(targets, -1)
    same = labels[:, None] == labels[None]
    positives, negatives = mine(squared_distances(lax.stop_gradient(embeddings)), same)
    loss = triplet(embeddings, embeddings[positives], embeddings[negatives])
    return jnp.where((same.sum(1) > 1) & ~same.all(1), loss, 0.0)


def _least(values: jax.Array, among: jax.Array) -> jax.Array:
    """Where each row of `values` is least among the columns that `among` has.

    But for the image itself, int [batch].
    """
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
    """The row of that name, of LOSSES or of METRIC_LOSSES."""
    return LOSSES[name] if name in LOSSES else METRIC_LOSSES[name]
