"""One-shot tasks: one labelled image a class, every other image named after the nearest of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

DIGITS = tuple(range(10))

Features = Mapping[str, jax.Array]  # name -> [image, dim]
Judge = Callable[..., dict[str, dict[str, float]]]  # -> features -> task -> accuracy


class Task(NamedTuple):
    """Episodes: one support image a class, int [episode, class], and the images to be named.

    Int [query].
    """

    supports: np.ndarray
    queries: np.ndarray


def draw(
    labels: np.ndarray, val: np.ndarray, test: np.ndarray, classes: Sequence[int], episodes: int
) -> dict[str, Task]:
    """The tasks of networks that were trained on the classes `seen`.

    On none of the images `val` and `test`.

    `tune`, 5 seen classes, on val; `seen`, the same on test; `unseen`, the 5 other classes, on all
    of their images; `all`, all 10, on test.
    """
    others, everything = [digit for digit in DIGITS if digit not in classes], np.arange(len(labels))
    pools = dict(
        tune=(val, classes), seen=(test, classes), unseen=(everything, others), all=(test, DIGITS)
    )
    return {name: _task(labels, pool, classes, episodes) for name, (pool, classes) in pools.items()}


def accuracy(features: jax.Array, task: Task, labels: jax.Array) -> jax.Array:
    """Share of the queries whose nearest support image, by Euclidean distance, is of their class.

    Over all episodes.

    features [image, dim], labels [image]. A support image is no query of its episode. Features that
    are no numbers answer with the first class.
    """
    supports, queries = jnp.asarray(task.supports), jnp.asarray(task.queries)
    chosen, asked = features[supports.reshape(-1)], features[queries]
    scores = jnp.square(chosen).sum(-1)[None] - 2 * jnp.matmul(
        asked, chosen.T, precision='highest'
    )  # |query|^2 left out
    nearest = jnp.argmin(scores.reshape(len(queries), *supports.shape), -1).T  # [episode, query]
    right = jnp.take_along_axis(labels[supports], nearest, 1) == labels[queries][None]
    counts = ~(queries[None, None] == supports[:, :, None]).any(1)
    return (right & counts).sum() / counts.sum()


def judge(
    embed: Callable[..., Features], images: jax.Array, labels: np.ndarray, tasks: Mapping[str, Task]
) -> Judge:
    """A compiled function of what `embed` takes before the images.

    All its features on all the tasks.
    """
    used = np.unique(
        np.concatenate([np.append(task.supports, task.queries) for task in tasks.values()])
    )
    local = {
        name: Task(*(np.searchsorted(used, part) for part in task)) for name, task in tasks.items()
    }
    subset, known = images[used], jnp.asarray(labels[used])

    @jax.jit
    def scores(images: jax.Array, *arguments: object) -> dict[str, dict[str, jax.Array]]:
        by_layer = embed(*arguments, images)
        return {
            key: {name: accuracy(each, task, known) for name, task in local.items()}
            for key, each in by_layer.items()
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
