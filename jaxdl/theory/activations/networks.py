"""Train sigmoid and ReLU networks, one program per kind, and record their derivatives."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import ensemble
from jaxdl.data import Data, load, split
from jaxdl.data.on_device import Resident, place_on_device
from jaxdl.ensemble import Member, TrainedMember, Workload
from jaxdl.models.layers import ACTIVATIONS
from jaxdl.statistics import protocol
from jaxdl.statistics.protocol import MEASURING_SEED
from jaxdl.theory.activations import formulas as activations
from jaxdl.theory.answer import Note
from jaxdl.train import train_step
from jaxdl.train.train_step import Batch, TrainState
from jaxdl.train.variant import Variant
from jaxdl.workdir.records import GroupRecord

WIDTH = 32
DEPTH = 5  # of the networks whose dead units are counted
SOME = 128  # images that saturation is measured on; dead units are counted on all
NAMES = dict(sigmoid='sigmoid', relu='ReLU', leaky_relu='leaky ReLU', tanh='tanh')
# Glorot's is meant for sigmoid and tanh, He's for ReLU: each starts as is usual for it.
INITS = dict(
    sigmoid='glorot_uniform', tanh='glorot_uniform', relu='he_normal', leaky_relu='he_normal'
)


class Kind(NamedTuple):
    """Properties that need a program of their own."""

    activation: str
    depth: int
    norm: str = 'none'

    @property
    def name(self) -> str:
        return f'{NAMES[self.activation]}{" with batch norm" if self.norm == "batch" else ""}'


COUNTED = (
    Kind('relu', DEPTH),
    Kind('leaky_relu', DEPTH),
    Kind('relu', DEPTH, 'batch'),
)  # ReLU and two remedies


@dataclasses.dataclass(frozen=True)
class Results:
    """Trained networks on evaluation seeds, and the best learning rate of each kind.

    Args:
      measured: (kind, learning rate) -> one network per seed.
      best: kind -> learning rate chosen on the tuning seeds.
      chance: share of the largest class in the training images.
      images: number of training images.
    """

    settings: activations.Settings
    measured: Mapping[tuple[Kind, float], Sequence[TrainedMember]]
    best: Mapping[Kind, float]
    chance: float
    images: int
    groups: Sequence[GroupRecord] = ()

    def accuracy(self, kind: Kind, rate: float | None = None) -> np.ndarray:
        """Training accuracy [seed, epoch], at `rate` or at the kind's best learning rate."""
        return np.stack(
            [one.history['train_accuracy'] for one in self.measured[kind, rate or self.best[kind]]]
        )

    def recorded(self, kind: Kind, name: str, rate: float | None = None) -> np.ndarray:
        """Values recorded by `watch`, [seed, 1 + epoch, ...]."""
        return np.stack([one.watched[name] for one in self.measured[kind, rate or self.best[kind]]])

    def finite(self, kind: Kind, rate: float | None = None) -> np.ndarray:
        """Whether all pre-activations are finite at the end, bool [seed]."""
        return self.recorded(kind, 'finite', rate)[:, -1]

    def dead(self, kind: Kind, rate: float | None = None, epoch: int = -1) -> np.ndarray:
        """Share of units with derivative 0 on every training image, [finite network]."""
        flat = self.recorded(kind, 'flat', rate)[self.finite(kind, rate), epoch]
        return (flat == self.images).mean((1, 2))

    @property
    def depths(self) -> list[int]:
        return sorted(self.settings.depths)

    @property
    def rates(self) -> list[float]:
        return sorted(self.settings.learning_rates)

    @property
    def deadliest(self) -> float:
        """Learning rate with most dead ReLU units, among those with half of the networks finite."""
        kind = COUNTED[0]
        finite_rates = [rate for rate in self.rates if self.finite(kind, rate).mean() >= 0.5]
        return max(finite_rates, key=lambda rate: self.dead(kind, rate).mean())


def kinds(settings: activations.Settings) -> list[Kind]:
    """Sigmoid and ReLU at every depth; at `DEPTH` also ReLU's remedies."""
    both = [
        Kind(activation, depth)
        for activation in ('sigmoid', 'relu')
        for depth in sorted(settings.depths)
    ]
    return list(dict.fromkeys([*both, *COUNTED]))


def digits() -> tuple[Resident, int]:
    """Resident digits, and their number of classes."""
    dataset = load(Data(dataset='digits'))
    return place_on_device(dataset, [split(dataset, Data(dataset='digits'))]), len(
        dataset.class_names
    )


def variant(kind: Kind, rate: float = 0.1) -> Variant:
    """Settings of a network: plain gradient descent, so units without a gradient do not move."""
    return Variant(
        model='mlp',
        norm=kind.norm,
        activation=kind.activation,
        depth=kind.depth,
        width=WIDTH,
        learning_rate=rate,
        init=INITS[kind.activation],
        optimizer='sgd',
        schedule='constant',
        batch_size=32,
    )


def train(settings: activations.Settings, note: Note) -> Results:
    """Train every kind at every learning rate, on tuning and evaluation seeds."""
    data, num_classes = digits()
    named = {f'{kind.name}, depth {kind.depth}': kind for kind in kinds(settings)}
    images = data.train.shape[-1]
    trained, groups = [], []
    for watched in (SOME, images):
        selected = {
            option: kind
            for option, kind in named.items()
            if (kind in COUNTED) == (watched == images)
        }
        members = _members(selected, settings)
        if members:
            ended, records = ensemble.train_members(
                members,
                Workload(data, num_classes, settings.epochs),
                watch=watch,
                images=watched,
                note=note,
            )
            trained, groups = trained + ended, groups + records
    best = protocol.best_learning_rates(
        (one.member.option, one.member.variant.learning_rate, one.final('val_accuracy'))
        for one in trained
        if one.member.seed < MEASURING_SEED
    )
    measured: dict[tuple[Kind, float], list[TrainedMember]] = {}
    for one in trained:
        if one.member.seed >= MEASURING_SEED:
            measured.setdefault(
                (named[one.member.option], one.member.variant.learning_rate), []
            ).append(one)
    chance = np.bincount(np.asarray(data.labels[data.train[0]])).max() / images
    return Results(
        settings,
        measured,
        {named[o]: rate for o, rate in best.items()},
        float(chance),
        images,
        groups,
    )


def watch(
    module: nn.Module, state: TrainState, batch: Batch, variant: Variant
) -> Mapping[str, jax.Array]:
    """Derivatives of all hidden units on the images of `batch`, and the first kernel.

    Returns:
      flat: number of images with derivative 0, int [layer, unit].
      saturated: share of saturated derivatives, [layer].
      slope: mean derivative, [layer].
      finite: whether all pre-activations are finite.
      kernel: [pixel, unit].
    """
    with jax.default_matmul_precision('highest'):  # as in training
        _, captured = module.apply(
            train_step.variables_of(state),
            train_step.normalize_batch(batch),
            mutable=['intermediates'],
            capture_intermediates=lambda part, _: part.name == 'norm',
        )
    layers: dict[str, Any] = dict(captured['intermediates'])
    sums = jnp.stack([layers[f'layer_{i}']['norm']['__call__'][0] for i in range(variant.depth)])
    slope = jax.vjp(ACTIVATIONS[variant.activation], sums)[1](jnp.ones_like(sums))[0]
    return dict(
        flat=(slope == 0).sum(1),
        saturated=(slope < activations.saturated_slope()).mean((1, 2)),
        slope=slope.mean((1, 2)),
        finite=jnp.isfinite(sums).all(),
        kernel=state.params['layer_0']['dense']['kernel'],
    )


def _members(named: Mapping[str, Kind], settings: activations.Settings) -> list[Member]:
    seeds = (*range(settings.tuning_seeds), *range(MEASURING_SEED, MEASURING_SEED + settings.seeds))
    return [
        Member(option, seed, variant(kind, rate))
        for option, kind in named.items()
        for rate in settings.learning_rates
        for seed in seeds
    ]
