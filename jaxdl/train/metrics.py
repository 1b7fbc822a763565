"""Metrics as sums over examples: added batch by batch, divided once at the end."""

import jax
import jax.numpy as jnp
from flax import struct


@struct.dataclass
class Metrics:
    """Sums over the examples of a batch, an epoch or a split.

    Attributes:
      loss: sum of the losses in nats, float32 [...].
      correct: number of correct predictions, float32 [...].
      count: number of examples, float32 [...].
    """

    loss: jax.Array
    correct: jax.Array
    count: jax.Array

    def means(self) -> dict[str, jax.Array]:
        """`loss` (nats per example) and `accuracy` (0 to 1)."""
        return dict(loss=self.loss / self.count, accuracy=self.correct / self.count)


def measure(losses: jax.Array, correct: jax.Array, mask: jax.Array) -> Metrics:
    """Sums of one batch.

    Args:
      losses: float [batch].
      correct: bool [batch].
      mask: bool [batch], False for padding.

    Returns:
      Metrics with scalar fields.
    """
    total = jnp.sum(jnp.where(mask, losses, 0.0))
    return Metrics(
        loss=total,
        correct=jnp.sum(correct & mask, dtype=jnp.float32),
        count=jnp.sum(mask, dtype=jnp.float32),
    )


def merge(metrics: Metrics) -> Metrics:
    """Sum over the leading axis."""
    return jax.tree.map(lambda x: x.sum(0), metrics)
