"""Train plain and residual networks, and evaluate them after the removal of a layer."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxdl import ensemble
from jaxdl.data import Data, load, split
from jaxdl.data.on_device import Resident, place_on_device
from jaxdl.ensemble import Member, TrainedMember, Workload
from jaxdl.errors import InputError
from jaxdl.models import layers
from jaxdl.statistics import protocol
from jaxdl.theory.answer import Note
from jaxdl.theory.residual.formulas import CARRIED, Settings
from jaxdl.train import train_step
from jaxdl.train.variant import Variant
from jaxdl.workdir.records import GroupRecord

Moments = Callable[[jax.Array, Mapping[str, jax.Array]], tuple[jax.Array, jax.Array]]
Key = tuple[str, int, str]  # model, layers, skip
CLASSES = 10  # of digits
CNN_WIDTH = 8
IMAGES = 256  # training images that a gradient is averaged over

# What batch norm uses, in training and in evaluation.
MOMENTS: dict[str, Moments] = {
    'batch': lambda z, stats: (z.mean(0), z.var(0)),
    'running': lambda z, stats: (stats['mean'], stats['var']),
}


@dataclasses.dataclass(frozen=True)
class Study:
    """Best learning rate of each network, and its runs on evaluation seeds."""

    rates: Mapping[Key, float]
    runs: Mapping[Key, Sequence[TrainedMember]]
    data: Resident
    groups: Sequence[GroupRecord]

    def final(self, key: Key, metric: str) -> np.ndarray:
        """Metric after the last epoch, [seed]; diverged runs have the accuracy of chance."""
        values = np.array([run.history[metric][-1] for run in self.runs[key]])
        return np.where(
            [np.isfinite(run.history['train_loss']).all() for run in self.runs[key]],
            values,
            1 / CLASSES,
        )


def variant_of(key: Key, width: int, rate: float) -> Variant:
    """Settings of a network: an MLP of so many layers, or one CNN stage of so many convolutions."""
    model, count, skip = key
    sizes: dict[str, Any] = (
        dict(width=width, depth=count)
        if model == 'mlp'
        else dict(width=CNN_WIDTH, depth=1, convolutions=count)
    )
    return Variant(model=model, norm='batch', skip=skip, learning_rate=rate, batch_size=32, **sizes)


def train(settings: Settings, note: Note) -> Study:
    """Train every network at every learning rate on tuning and evaluation seeds at once."""
    source = Data(dataset='digits')
    dataset = load(source)
    data = place_on_device(dataset, [split(dataset, source)])
    if settings.deleted not in settings.depths:
        raise InputError(
            f'settings.deleted={settings.deleted}: must be one of depths, {list(settings.depths)}'
        )
    mlps: list[Key] = [('mlp', n, skip) for n in settings.depths for skip in CARRIED]
    cnns: list[Key] = [('cnn', n, skip) for n in settings.convolutions for skip in CARRIED]
    tuning = range(protocol.TUNING_SEED, protocol.TUNING_SEED + settings.tuning_seeds)
    fresh = range(protocol.MEASURING_SEED, protocol.MEASURING_SEED + settings.seeds)
    trained, groups = [], []
    for keys, epochs in ((mlps, settings.epochs), (cnns, settings.cnn_epochs)):
        members = [
            Member(_option(key), seed, variant_of(key, settings.width, rate))
            for key in keys
            for rate in settings.learning_rates
            for seed in (*tuning, *fresh)
        ]
        workload = Workload(data, CLASSES, epochs)
        runs_of_model, records = ensemble.train_members(members, workload, note=note)
        trained, groups = trained + runs_of_model, groups + records
    best = protocol.best_learning_rates(
        (run.member.option, run.member.variant.learning_rate, -run.final('train_loss'))
        for run in trained
        if run.member.seed in tuning
    )
    rates = {key: best[_option(key)] for key in (*mlps, *cnns)}
    runs = {
        key: [run for run in trained if _measures(run.member, _option(key), rates[key], fresh)]
        for key in rates
    }
    return Study(rates, runs, data, groups)


def gradient_norms(study: Study, settings: Settings, depth: int, skip: str) -> np.ndarray:
    """Gradient norm w.r.t. the kernel of each hidden layer but the first, at initialisation.

    Returns:
      [seed, layer].
    """
    chosen = study.data.train[0][:IMAGES]
    images, labels = _features(study.data, chosen), study.data.labels[chosen]
    variant = variant_of(('mlp', depth, skip), settings.width, settings.learning_rates[0])
    module, shape = train_step.module_of(variant, CLASSES), study.data.images.shape[1:]
    seeds = range(protocol.MEASURING_SEED, protocol.MEASURING_SEED + settings.seeds)
    states = [train_step.init_state(variant, seed, module, shape) for seed in seeds]

    @jax.jit
    @jax.vmap
    def norms(params: Any, stats: Any) -> jax.Array:
        def loss(params: Any) -> jax.Array:
            scores = logits(params, stats, images, skip, jnp.ones(depth - 1, bool), 'batch')
            return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(scores), labels[:, None], 1))

        gradient = jax.grad(loss)(params)['later']['dense']['kernel']
        return jnp.sqrt(jnp.sum(gradient**2, (1, 2)))

    return np.asarray(norms(*_stack_states(states)))


def without_layers(study: Study, depth: int, skip: str) -> np.ndarray:
    """Validation accuracy of trained networks, with all layers and without layer 2, 3, ...

    Returns:
      [seed, depth].
    """
    indices = np.asarray(study.data.val.indices[0])[np.asarray(study.data.val.mask[0])]
    images, labels = _features(study.data, indices), study.data.labels[indices]
    present = jnp.asarray(
        np.concatenate([np.ones((1, depth - 1)), 1 - np.eye(depth - 1)]).astype(bool)
    )

    @jax.jit
    @jax.vmap
    def accuracies(params: Any, stats: Any) -> jax.Array:
        scores = lax.map(
            lambda layers_present: logits(params, stats, images, skip, layers_present, 'running'),
            present,
        )
        return jnp.mean(jnp.argmax(scores, -1) == labels[None], -1)

    return np.asarray(
        accuracies(*_stack_states([run.state for run in study.runs['mlp', depth, skip]]))
    )


def logits(
    params: Any, stats: Any, images: jax.Array, skip: str, present: jax.Array, moments: str
) -> jax.Array:
    """Logits of `models.MLP` with batch norm and ReLU, without the layers that are not present.

    Args:
      params: stacked by `stack`.
      stats: stacked by `stack`.
      images: [image, pixel], normalised.
      skip: `none` or `identity`.
      present: bool [layer], of hidden layers 2, 3, ...
      moments: a row of MOMENTS.
    """

    def layer(features: jax.Array, params: Any, stats: Any) -> jax.Array:
        z = features @ params['dense']['kernel']
        mean, variance = MOMENTS[moments](z, stats['norm'])
        scale = params['norm']['scale'] * lax.rsqrt(variance + 1e-5)
        return jax.nn.relu((z - mean[None]) * scale[None] + params['norm']['bias'][None])

    def step(features: jax.Array, layer_inputs: Any) -> tuple[jax.Array, None]:
        one, stats, there = layer_inputs
        return jnp.where(
            there, layers.join(skip, features, layer(features, one, stats)), features
        ), None

    features = layer(images, params['first'], stats['first'])
    features, _ = lax.scan(step, features, (params['later'], stats['later'], present))
    return features @ params['head']['kernel'] + params['head']['bias'][None]


def stack(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters or statistics of an MLP, all hidden layers but the first on a leading axis."""
    later = [tree[f'layer_{i}'] for i in range(1, sum(name.startswith('layer_') for name in tree))]
    joined = dict(
        first=tree['layer_0'], later=jax.tree.map(lambda *leaves: np.stack(leaves), *later)
    )
    return joined | ({'head': tree['head']} if 'head' in tree else {})


def _stack_states(states: Sequence[Any]) -> tuple[Any, Any]:
    gather = functools.partial(jax.tree.map, lambda *leaves: np.stack(leaves))
    return gather(*(stack(s.params) for s in states)), gather(
        *(stack(s.batch_stats) for s in states)
    )


def _features(data: Resident, chosen: np.ndarray | jax.Array) -> jax.Array:
    images = train_step.normalize_batch(ensemble.batch_of(data, chosen))
    return images.reshape(len(chosen), -1)


def _option(key: Key) -> str:
    model, count, skip = key
    return f'{model} of {count}, {"residual" if CARRIED[skip] else "plain"}'


def _measures(member: Member, option: str, rate: float, fresh: range) -> bool:
    return (member.option, member.variant.learning_rate) == (option, rate) and member.seed in fresh
