"""Train embeddings on half of the digits by several losses, and measure one-shot accuracy."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import ensemble
from jaxdl.data import Data, Dataset, Splits, load, split
from jaxdl.data.on_device import Resident, place_on_device
from jaxdl.ensemble import Member, TrainedMember, Workload
from jaxdl.statistics import protocol
from jaxdl.theory.answer import Note
from jaxdl.theory.triplet import tasks as triplet_tasks
from jaxdl.train import losses, train_step
from jaxdl.train.train_step import Batch, TrainState
from jaxdl.train.variant import Variant
from jaxdl.workdir.records import GroupRecord

DIM = 32
TRIPLETS = ('triplet_random', 'triplet_semi_hard', 'triplet_hard')
ENTROPY = 'softmax_cross_entropy'
METHODS = (*TRIPLETS, ENTROPY)
RATES = (0.001, 0.003, 0.01, 0.03)
SCALE = {
    ENTROPY: 10.0
}  # of the rates: its gradient at the outputs is below 1, that of a triplet grows with distances
SLOW, FAST = 0.003, 0.03  # at the one hard mining learns, at the other it collapses
ZEROS = 'triplet_hard from zeros'
HALVES = (tuple(range(5)), tuple(range(5, 10)))
WATCHED = 64  # images: of so many all triplets are counted
NETWORK = Variant(width=16, depth=1, norm='batch', global_pooling='flatten', batch_size=64)
LAYERS = ('before', 'embedding')  # input and output of the last layer
PIXELS, UNTRAINED = 'pixels', 'untrained'

Accuracy = dict[tuple[str, str], dict[str, np.ndarray]]  # (method, layer) -> task -> float [seed]


@dataclasses.dataclass(frozen=True)
class HalfResults:
    """Results for one choice of training classes.

    Args:
      classes: the training classes; images of other classes are not in the training data.
      images: the whole data set, normalised by the training images.
      tasks: one-shot tasks by name.
      accuracy: of each method at its best learning rate.
      rates: learning rate of each method, chosen on validation images of the training classes.
      trained: every member.
    """

    classes: tuple[int, ...]
    images: jax.Array
    tasks: Mapping[str, triplet_tasks.Task]
    accuracy: Accuracy
    rates: Mapping[str, float]
    trained: Sequence[TrainedMember]


@dataclasses.dataclass(frozen=True)
class Results:
    """All results: a `HalfResults` per choice of classes, and the groups for run.json."""

    seeds: int
    epochs: int
    episodes: int
    dataset: Dataset
    halves: Sequence[HalfResults]
    groups: Sequence[GroupRecord]

    def accuracy(self, method: str, layer: str, task: str) -> np.ndarray:
        """One-shot accuracy, mean over the halves, float [seed]."""
        return np.mean([half.accuracy[method, layer][task] for half in self.halves], 0)

    def recorded(self, method: str, rate: float | None, name: str) -> np.ndarray:
        """Recorded values, float [half x seed, 1 + epoch]; rate None: the best one of each half."""
        return np.stack(
            [one.watched[name] for half in self.halves for one in members_of(half, method, rate)]
        )

    def losses(self, method: str, rate: float) -> np.ndarray:
        """The training loss, float [half x seed, epoch]."""
        return np.stack(
            [
                one.history['train_loss']
                for half in self.halves
                for one in members_of(half, method, rate)
            ]
        )


def measure(seeds: int, epochs: int, halves: int, episodes: int, note: Note) -> Results:
    """Train `seeds` networks per method on half of the digits, and test on the other half."""
    dataset = load(Data(dataset='digits'))
    parts = split(dataset, Data(dataset='digits'))
    halves_measured, groups = [], []
    for classes in HALVES[:halves]:
        note(f'embeddings of the digits {classes[0]} to {classes[-1]}')
        half, records = _half(dataset, parts, classes, seeds, epochs, episodes, note)
        halves_measured.append(half)
        groups += records
    return Results(seeds, epochs, episodes, dataset, halves_measured, groups)


def rate_of(method: str, rate: float) -> float:
    """Learning rate of the grid, scaled for the method."""
    return float(f'{rate * SCALE.get(method, 1):g}')


def features(state: TrainState, images: jax.Array) -> dict[str, jax.Array]:
    """Features of normalised images after training: a matrix for each of LAYERS."""
    output, captured = train_step.module_of(NETWORK, DIM).apply(
        train_step.variables_of(state),
        images,
        mutable=['intermediates'],
        capture_intermediates=lambda module, _: module.name == 'global_pool',
    )
    return dict(before=captured['intermediates']['global_pool']['__call__'][0], embedding=output)


def watch(
    module: nn.Module, state: TrainState, batch: Batch, variant: Variant
) -> dict[str, jax.Array]:
    """Size of the embedding of a batch in training mode, and shares of active triplets.

    `norm` is a root mean square. `active` is the share among all triplets, `mined` among those
    chosen by the loss.
    """
    embeddings, _ = module.apply(
        train_step.variables_of(state),
        train_step.normalize_batch(batch),
        train=True,
        mutable=['batch_stats'],
    )  # type: ignore[misc]
    mined = losses.find(variant.loss)(embeddings, losses.targets(batch.labels, DIM)) > 0
    return dict(
        norm=jnp.sqrt(jnp.square(embeddings).sum(-1).mean()),
        active=active_share(losses.squared_distances(embeddings), batch.labels),
        mined=mined.mean(),
    )


def active_share(distances: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of active triplets of a batch, from squared distances [batch, batch].

    Each anchor has equal weight.
    """
    same = labels[:, None] == labels[None]
    valid = (same & ~jnp.eye(len(labels), dtype=bool))[:, :, None] & ~same[:, None, :]
    active = distances[:, :, None] - distances[:, None, :] + losses.MARGIN > 0
    return ((valid & active).sum((1, 2)) / jnp.maximum(valid.sum((1, 2)), 1)).mean()


def _half(
    dataset: Dataset,
    parts: Splits,
    classes: tuple[int, ...],
    seeds: int,
    epochs: int,
    episodes: int,
    note: Note,
) -> tuple[HalfResults, list[GroupRecord]]:
    data = _resident(dataset, parts, classes)
    trained, records = ensemble.train_members(
        _members(seeds), Workload(data, DIM, epochs), watch=watch, images=WATCHED, note=note
    )
    note(f'one-shot accuracy in {episodes} episodes')
    tasks = triplet_tasks.draw(dataset.labels, parts.val, parts.test, classes, episodes)
    images = train_step.normalize_batch(ensemble.batch_of(data, np.arange(len(dataset.images))))
    tuning = triplet_tasks.make_scorer(
        features, images, dataset.labels, dict(tune=tasks.pop('tune'))
    )
    rates = {method: _best_rate(trained, method, tuning) for method in METHODS}
    half = HalfResults(classes, images, tasks, {}, rates, trained)
    return dataclasses.replace(half, accuracy=_accuracy(half, dataset.labels)), records


def _resident(dataset: Dataset, parts: Splits, classes: tuple[int, ...]) -> Resident:
    """Training images of the given classes; few evaluation images, since they are not used."""
    train, val = (part[np.isin(dataset.labels[part], classes)] for part in (parts.train, parts.val))
    few = val[:: max(1, len(val) // WATCHED)]
    return place_on_device(dataset, [Splits(train, few, few)])


def _members(seeds: int) -> list[Member]:
    def variant(method: str, rate: float, **more: Any) -> Variant:
        return dataclasses.replace(
            NETWORK, loss=method, learning_rate=rate_of(method, rate), **more
        )

    variants = [(method, variant(method, rate)) for method in METHODS for rate in RATES]
    variants.append((ZEROS, variant('triplet_hard', FAST, init='zeros')))
    return [
        Member(option, seed, variant_of_method)
        for option, variant_of_method in variants
        for seed in range(seeds)
    ]


def _best_rate(
    trained: Sequence[TrainedMember], method: str, tuning: triplet_tasks.Scorer
) -> float:
    layer = layer_of(method)
    return protocol.best_learning_rates(
        (method, one.member.variant.learning_rate, tuning(one.state)[layer]['tune'])
        for one in trained
        if one.member.option == method
    )[method]


def layer_of(method: str) -> str:
    """Layer whose output represents an image: of a classifier the one before the last."""
    return 'before' if method == ENTROPY else 'embedding'


def _accuracy(half: HalfResults, labels: np.ndarray) -> Accuracy:
    trained_scores = triplet_tasks.make_scorer(features, half.images, labels, half.tasks)
    pixels = triplet_tasks.make_scorer(_pixels, half.images, labels, half.tasks)
    scores = {
        method: [trained_scores(one.state) for one in members_of(half, method, None)]
        for method in METHODS
    }
    scores[UNTRAINED] = [trained_scores(one.start) for one in members_of(half, METHODS[0], SLOW)]
    scores[PIXELS] = [pixels()] * len(scores[UNTRAINED])
    return {
        (method, layer): {
            task: np.array([accuracies[layer][task] for accuracies in by_seed])
            for task in half.tasks
        }
        for method, by_seed in scores.items()
        for layer in by_seed[0]
    }


def _pixels(images: jax.Array) -> dict[str, jax.Array]:
    return dict(embedding=images.reshape(len(images), -1))


def members_of(half: HalfResults, method: str, rate: float | None) -> list[TrainedMember]:
    """Networks of a method at a learning rate, by seed; None: at its best learning rate."""
    rate = half.rates[method] if rate is None else rate
    return [
        o
        for o in half.trained
        if o.member.option == method and np.isclose(o.member.variant.learning_rate, rate)
    ]
