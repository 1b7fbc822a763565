"""One-shot tasks: classify images by the nearest of one labelled image per class."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

DIGITS = tuple(range(10))

Features = Mapping[str, jax.Array]  # name -> [image, dim]
Scorer = Callable[..., dict[str, dict[str, float]]]  # -> features -> task -> accuracy


class Task(NamedTuple):
    """Episodes: support images, int [episode, class], and images to classify, int [query]."""

    supports: np.ndarray
    queries: np.ndarray


def draw(
    labels: np.ndarray, val: np.ndarray, test: np.ndarray, classes: Sequence[int], episodes: int
) -> dict[str, Task]:
    """Draw the tasks for networks trained on `classes`, from images outside the training split.

    `tune`: the training classes, on val; `seen`: the same on test; `unseen`: the 5 other classes,
    on all of their images; `all`: all 10 classes, on test.
    """
    others, everything = [digit for digit in DIGITS if digit not in classes], np.arange(len(labels))
    pools = dict(
        tune=(val, classes), seen=(test, classes), unseen=(everything, others), all=(test, DIGITS)
    )
    return {name: _task(labels, pool, classes, episodes) for name, (pool, classes) in pools.items()}


def accuracy(features: jax.Array, task: Task, labels: jax.Array) -> jax.Array:
    """Share of queries whose nearest support image is of their class, over all episodes.

    A support image is no query of its episode. Features that are not finite give the first class.

    Args:
      features: [image, dim]; distances are Euclidean.
      task: support images and queries.
      labels: [image].
    """
    supports, queries = jnp.asarray(task.supports), jnp.asarray(task.queries)
    support_features, query_features = features[supports.reshape(-1)], features[queries]
    scores = jnp.square(support_features).sum(-1)[None] - 2 * jnp.matmul(
        query_features, support_features.T, precision='highest'
    )  # |query|^2 left out
    nearest = jnp.argmin(scores.reshape(len(queries), *supports.shape), -1).T  # [episode, query]
    right = jnp.take_along_axis(labels[supports], nearest, 1) == labels[queries][None]
    counts = ~(queries[None, None] == supports[:, :, None]).any(1)
    return (right & counts).sum() / counts.sum()


def make_scorer(
    embed: Callable[..., Features], images: jax.Array, labels: np.ndarray, tasks: Mapping[str, Task]
) -> Scorer:
    """Compile a function from the arguments of `embed` to accuracies on all tasks."""
    used = np.unique(
        np.concatenate([np.append(task.supports, task.queries) for task in tasks.values()])
    )
    local = {
        name: Task(*(np.searchsorted(used, part) for part in task)) for name, task in tasks.items()
    }
    subset, subset_labels = images[used], jnp.asarray(labels[used])

    @jax.jit
    def scores(images: jax.Array, *arguments: object) -> dict[str, dict[str, jax.Array]]:
        by_layer = embed(*arguments, images)
        return {
            key: {name: accuracy(features, task, subset_labels) for name, task in local.items()}
            for key, features in by_layer.items()
        }

    return lambda *arguments: jax.tree.map(
        float, scores(subset, *arguments)
    )  # constant images XLA would fold, slowly


def _task(labels: np.ndarray, pool: np.ndarray, classes: Sequence[int], episodes: int) -> Task:
    rng = np.random.default_rng([len(pool), *classes])
    by_class = [pool[labels[pool] == label] for label in classes]
    return Task(
        np.stack([rng.choice(images, episodes) for images in by_class], 1), np.concatenate(by_class)
    )
