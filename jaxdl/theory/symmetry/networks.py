"""Train networks from equal weights, with several sources of randomness."""

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
from jaxdl.theory.answer import Note
from jaxdl.theory.symmetry import formulas as symmetry
from jaxdl.theory.symmetry.formulas import Settings
from jaxdl.train import train_step
from jaxdl.train.train_step import Batch, TrainState
from jaxdl.train.variant import Variant
from jaxdl.workdir import claims
from jaxdl.workdir.claims import Claim
from jaxdl.workdir.records import GroupRecord

DEPTH = 2
STARTS = {
    'zeros': dict(init='zeros'),
    'ones': dict(init='ones'),
    '0.05': dict(init='ones', init_scale=symmetry.CONSTANT),
    'random': dict(init='he_normal'),
}
# What chance may do in training by Adam, from 0.05 everywhere: a name -> overrides.
CHANCE = {
    'other order of the images': dict(order_offset=1000),
    'rotation and translation': dict(rotation=15.0, translation=0.1),
    'random erasing': dict(erasing=0.5),
    'mixup': dict(mixup=0.4),
    'dropout': dict(dropout=0.2),
}
DROPPED_ZEROS = 'dropout, from zeros'
KNOWN = dict.fromkeys((*CHANCE, DROPPED_ZEROS), (False, False)) | {
    'dropout': (False, True)
}  # layers broken

TrainedByOption = Mapping[str, Sequence[TrainedMember]]  # option -> a member a seed


class Digits(NamedTuple):
    """Resident digits, and 500 training images, float64 [500, 65] with a 1 each, and targets."""

    resident_data: Resident
    images: np.ndarray
    targets: np.ndarray


def digits() -> Digits:
    """Scikit-learn's 8 x 8 digits, ten classes."""
    chosen = Data(dataset='digits')
    dataset = load(chosen)
    splits = split(dataset, chosen)
    resident_data = place_on_device(dataset, [splits])
    some = splits.train[:500]
    images = np.asarray(resident_data.images, np.float64)[some].reshape(len(some), -1)
    images = (images - images.mean()) / images.std()
    return Digits(
        resident_data, np.c_[images, np.ones(len(some))], np.eye(10)[dataset.labels[some]]
    )


def train(
    settings: Settings, data: Digits, note: Note
) -> tuple[dict[str, list[TrainedMember]], list[GroupRecord]]:
    """Train every initialisation by momentum, and every source of randomness by Adam."""
    base = Variant(
        model='mlp',
        width=settings.width,
        depth=DEPTH,
        norm='none',
        activation='tanh',
        learning_rate=0.05,
    )
    plain = {
        f'{activation}, {start}': dataclasses.replace(base, activation=activation, **overrides)
        for activation in ('tanh', 'sigmoid')
        for start, overrides in STARTS.items()
    }
    adam = dataclasses.replace(base, optimizer='adam', learning_rate=0.003)
    noisy = {
        name: dataclasses.replace(adam, **STARTS['0.05'], **overrides)
        for name, overrides in CHANCE.items()
    }
    noisy[DROPPED_ZEROS] = dataclasses.replace(adam, init='zeros', dropout=0.2)
    by_option: dict[str, list[TrainedMember]] = {}
    groups = []
    for activation, variants in (('tanh', plain), ('sigmoid', plain), ('tanh', noisy)):
        overrides = {
            option: variant
            for option, variant in variants.items()
            if variant.activation == activation
        }
        members = [
            Member(option, seed, variant)
            for option, variant in overrides.items()
            for seed in range(settings.seeds)
        ]
        watch = largest_gradient if activation == 'tanh' else None
        workload = Workload(data.resident_data, 10, settings.epochs)
        trained, records = ensemble.train_members(members, workload, watch=watch, note=note)
        groups += records
        for one in trained:
            by_option.setdefault(one.member.option, []).append(one)
    return by_option, groups


def largest_gradient(
    module: nn.Module, state: TrainState, batch: Batch, variant: Variant
) -> dict[str, jax.Array]:
    """Largest entry of the gradient w.r.t. all parameters but the last bias."""
    gradient = train_step.gradients(state, batch, variant, module=module)
    rest = gradient | dict(head=dict(kernel=gradient['head']['kernel']))
    return dict(rest=jnp.stack([jnp.abs(leaf).max() for leaf in jax.tree.leaves(rest)]).max())


def layer_units(params: Any, layer: int) -> np.ndarray:
    """Parameters of the units of a hidden layer, [numbers, units]: inputs, bias, outputs."""
    units = params[f'layer_{layer}']
    above = (
        params[f'layer_{layer + 1}']['dense'] if f'layer_{layer + 1}' in params else params['head']
    )
    return np.concatenate(
        [units['dense']['kernel'], units['norm']['bias'].reshape(1, -1), above['kernel'].T]
    )


def counts(members: Sequence[TrainedMember]) -> np.ndarray:
    """Number of different units at the end, int [seed, layer]."""
    return np.array(
        [
            [symmetry.distinct(layer_units(one.state.params, i)) for i in range(DEPTH)]
            for one in members
        ]
    )


def ranks(members: Sequence[TrainedMember]) -> np.ndarray:
    """Rank of the first layer's weights at the end, int [seed]."""
    kernels = [
        np.asarray(one.state.params['layer_0']['dense']['kernel'], np.float64) for one in members
    ]
    return np.array([np.linalg.matrix_rank(kernel) for kernel in kernels])


def accuracies(members: Sequence[TrainedMember]) -> np.ndarray:
    """Training accuracy after the last epoch, [seed]."""
    return np.array([one.history['train_accuracy'][-1] for one in members])


def farthest(values: np.ndarray, expected: float) -> float:
    """Value with the largest difference from `expected`."""
    return float(values.flat[np.argmax(np.abs(values - expected))])


def start_claims(trained: TrainedByOption, settings: Settings) -> list[Claim]:
    """Claims per initialisation: different units, rank, gradients, accuracy."""
    claims_made = []
    for activation in ('tanh', 'sigmoid'):
        for start in STARTS:
            units = settings.width if start == 'random' else 1
            rank = 0 if (activation, start) == ('tanh', 'zeros') else units
            claims_made += unit_claims(
                f'{activation}, {start}', trained[f'{activation}, {start}'], units, rank
            )
    still = [*trained['tanh, zeros'], *trained[DROPPED_ZEROS]]
    claims_made.append(bias_claim(still))
    equal = max(
        accuracies(trained[f'tanh, {start}']).max() for start in STARTS if start != 'random'
    )
    claims_made.append(
        claims.at_least(
            'tanh: training accuracy from random weights, worst seed; bound: best seed from equal '
            'weights plus 0.3',
            equal + 0.3,
            accuracies(trained['tanh, random']).min(),
        )
    )
    return claims_made


def unit_claims(name: str, members: Sequence[TrainedMember], units: int, rank: int) -> list[Claim]:
    """Claims on the number of different units per layer and the rank of the first weights."""
    after = f'after training, {len(members)} seeds'
    return [
        claims.close(
            f'{name}: different units per layer {after}', units, farthest(counts(members), units), 0
        ),
        claims.close(
            f'{name}: rank of the first weights {after}', rank, farthest(ranks(members), rank), 0
        ),
    ]


def bias_claim(members: Sequence[TrainedMember]) -> Claim:
    """Claim: only the last bias ever has a gradient."""
    largest = max(float(one.watched['rest'].max()) for one in members)
    sentence = (
        'tanh, zeros: largest gradient of a weight or hidden bias, at initialisation and after '
        'every epoch'
    )
    return claims.close(f'{sentence}, with and without dropout', 0, largest, 0)


def source_claims(
    trained: TrainedByOption, settings: Settings, broken: Mapping[str, tuple[bool, ...]] = KNOWN
) -> list[Claim]:
    """Claims on the number of different units per layer for each source of randomness."""
    claims_made = []
    for name, layers in broken.items():
        for layer, apart in enumerate(layers):
            expected = settings.width if apart else 1
            measured = farthest(counts(trained[name])[:, layer], expected)
            sentence = (
                f'{name}: different units in layer {layer + 1} after training, {settings.seeds} '
                'seeds'
            )
            claims_made.append(claims.close(sentence, expected, measured, 0))
    return claims_made
