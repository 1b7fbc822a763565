"""Collections of a network next to params and batch_stats: trained, stored, evaluated, resumed."""

import contextlib
import dataclasses
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import studies
from flax import linen as nn

import jaxdl
from jaxdl import register
from jaxdl.ablation import planning
from jaxdl.config.overrides import check
from jaxdl.data import load, split
from jaxdl.errors import InputError
from jaxdl.runtime import signals
from jaxdl.train.variant import Variant
from jaxdl.workdir import tables

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures('restored_registries')]


class Centred(nn.Module):
    """A step counter, a running mean that evaluation subtracts, and spectral normalisation."""

    num_classes: int

    @nn.compact
    def __call__(self, images, train):
        features = images.reshape(len(images), -1)
        steps = self.variable('counters', 'steps', lambda: jnp.zeros((), jnp.int32))
        mean = self.variable('memory', 'mean', jnp.zeros, features.shape[-1:])
        if train:
            steps.value += 1
            mean.value = 0.9 * mean.value + 0.1 * (3 + features.mean(0))
        features = features - mean.value[None]
        hidden = nn.SpectralNorm(nn.Dense(4, name='hidden'), collection_name='spectrum')
        hidden = nn.relu(hidden(features, update_stats=train))
        return nn.Dense(self.num_classes, name='head')(hidden)


class WritesInEvaluation(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, images):
        self.variable('counters', 'steps', lambda: jnp.zeros(())).value += 1
        return nn.Dense(self.num_classes, name='head')(images.reshape(len(images), -1))


class Sows(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, images):
        logits = nn.Dense(self.num_classes, name='head')(images.reshape(len(images), -1))
        self.sow('losses', 'size', (logits**2).mean())
        return logits


@pytest.fixture
def centred():
    register.model('centred')(Centred)
    return Variant(model='centred', batch_size=64)


def test_a_member_of_a_group_has_the_collections_of_the_run_alone(centred):
    variants = [centred.replace(learning_rate=rate) for rate in (0.01, 0.1)]
    group, _, result = studies.train(studies.members(variants, [0]), [[0, 1]], epochs=2)
    for column, variant in enumerate(variants):
        alone, _, _ = studies.train_alone(studies.members([variant], [0])[0], epochs=2)
        jax.tree.map(
            lambda a, b, column=column: np.testing.assert_allclose(
                a[0, column], b[0, 0], rtol=1e-4, atol=1e-5
            ),
            group.states.other,
            alone.states.other,
        )
    other = group.states.other
    assert set(other) == {'counters', 'memory', 'spectrum'}
    assert other['counters']['steps'].tolist() == [[2 * (1077 // 64)] * 2]
    assert other['counters']['steps'].dtype == jnp.int32
    assert np.abs(np.asarray(other['memory']['mean'])).min() > 2
    assert result is not None


def study(**overrides):
    options = {'plain': dict(model='mlp'), 'centred': dict(model='centred')}
    base = dataclasses.replace(studies.small(), options=options, baseline='plain')
    small = dict(keep_networks=True, learning_rates=[0.05], accumulation=2)
    return check(jaxdl.override(base, small | overrides))


def test_networks_are_measured_and_kept_with_their_collections(centred, tmp_path):
    del centred
    ablation = study()
    jaxdl.run(ablation, tmp_path / 'run')
    network = jaxdl.load_member(tmp_path / 'run', 'centred', 1000)
    assert network.variables['counters']['steps'] == 2 * 2 * (1077 // 32)  # two parts of a batch
    dataset = load(ablation.data)
    test = split(dataset, ablation.data).test
    correct = network.scores(dataset.images[test]).argmax(1) == dataset.labels[test]
    (measured,) = (
        row['value']
        for row in tables.read_results(tmp_path / 'run' / 'results.csv')
        if (row['phase'], row['option'], row['seed']) == ('measure', 'centred', 1000)
        and (row['split'], row['metric'], row['epoch']) == ('test', 'accuracy', 2)
    )
    assert correct.mean() == pytest.approx(measured, abs=1 / 360 + 1e-9)
    again = jaxdl.train_member(tmp_path / 'run', 'centred', 1000)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
        network.variables,
        again.variables,
    )


def test_a_resumed_run_continues_with_its_collections(centred, tmp_path, monkeypatch):
    del centred
    ablation = study(checkpoint_seconds=0, epochs=3, seeds=2)
    jaxdl.run(ablation, tmp_path / 'whole')
    polls = []

    @contextlib.contextmanager
    def stopped():
        def interrupted():
            polls.append(None)
            return signal.SIGINT if len(polls) == 4 else None  # in the second group

        yield interrupted

    with monkeypatch.context() as patch:
        patch.setattr(signals, 'defer_signals', stopped)
        with pytest.raises(signals.Interrupted):
            jaxdl.run(ablation, tmp_path / 'cut')
    jaxdl.run(ablation, tmp_path / 'cut')
    for name in ('results.csv', 'correct.npz', 'plan.json'):
        assert (tmp_path / 'cut' / name).read_bytes() == (tmp_path / 'whole' / name).read_bytes()
    jax.tree.map(
        np.testing.assert_array_equal,
        *(
            jaxdl.load_member(tmp_path / name, 'centred', 1001).variables
            for name in ('cut', 'whole')
        ),
    )


@pytest.mark.parametrize(
    ('network', 'words'),
    [
        (WritesInEvaluation, 'collection "counters" is immutable'),
        (Sows, "collection 'losses' of a network has another form after a step"),
    ],
)
def test_collections_that_cannot_be_carried_are_refused(network, words):
    register.model('centred')(network)
    with pytest.raises(InputError, match=words):
        planning.make_plan(study())
