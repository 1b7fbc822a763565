"""Ensemble engine: members equal single runs, are independent, and share one trace."""

import dataclasses
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import studies

import tests
from jaxdl.data import Data, load, split
from jaxdl.data.on_device import Part, place_on_device
from jaxdl.ensemble import Member, chunks
from jaxdl.ensemble.engine import _evaluate
from jaxdl.models import layers
from jaxdl.train import train_step
from jaxdl.train.variant import Variant

BASE = Variant(width=4, depth=2, dropout=0.2)


def test_a_test_split_larger_than_validation_is_evaluated_in_pieces():
    dataset, splits = load(Data()), split(load(Data()), Data())
    results = []
    for size in (360, 100, 359):
        less = dataclasses.replace(splits, val=splits.val[:size])
        data = place_on_device(dataset, [less])
        results.append(studies.train([Member('', 0, BASE)], [[0]], data=data)[2])
        assert data.test.mask.sum() == results[-1]['correct'].size == 360
    for result in results:
        np.testing.assert_array_equal(result['correct'], results[0]['correct'])
        assert result['test_accuracy'][0, 0] == result['correct'].mean()
        np.testing.assert_allclose(result['test_loss'], results[0]['test_loss'], rtol=1e-5)


@pytest.mark.parametrize('pooling', layers.POOLINGS)
def test_a_single_run_equals_its_group_member(pooling):
    variants = [
        BASE.replace(pooling=pooling, learning_rate=r, weight_decay=w)
        for r, w in ((0.1, 0.0), (0.02, 1e-3))
    ]
    trained = studies.members(variants, [0, 1])
    group, _, tested = studies.train(trained, chunks.rectangle([m.stream for m in trained]))
    row, column = np.argwhere(chunks.rectangle([m.stream for m in trained]) == 3)[0]
    single, _, single_tested = studies.train_alone(trained[3])
    for name in ('train_loss', 'val_loss'):
        assert group.history[name][0, row, column] == pytest.approx(
            single.history[name][0, 0, 0], abs=1e-5
        )
    assert np.mean(tested['correct'][row, column] == single_tested['correct'][0, 0]) > 0.99


def test_members_of_other_seeds_and_rates_differ():
    trained = studies.members([BASE, BASE.replace(learning_rate=0.02)], [0, 1])
    training, _, _ = studies.train(trained, chunks.rectangle([m.stream for m in trained]))
    losses = training.history['train_loss'][0]
    assert len(np.unique(losses.round(6))) == 4


def test_chunks_and_rows_of_their_own_change_nothing():
    trained = studies.members([BASE, BASE.replace(momentum=0.5)], [0, 1])
    whole, _, _ = studies.train(trained, [[0, 2], [1, 3]])
    apart, _, _ = studies.train(trained, [[0], [1], [2], [3]])
    np.testing.assert_allclose(
        whole.history['train_loss'][0].T.ravel(), apart.history['train_loss'][0].ravel(), atol=1e-5
    )


def test_a_diverged_member_does_not_change_other_members():
    calm = BASE.replace(dropout=0.0)
    wild = calm.replace(learning_rate=1e30)
    training, _, tested = studies.train(studies.members([calm, wild], [0]), [[0, 1]])
    single, _, _ = studies.train_alone(Member('0', 0, calm))
    assert not np.isfinite(training.history['train_loss'][0, 0, 1])
    assert training.history['train_loss'][0, 0, 0] == pytest.approx(
        single.history['train_loss'][0, 0, 0], abs=1e-5
    )
    assert tested['test_accuracy'][0, 0] > 0.15


def test_optional_parts_of_the_step_change_only_the_member_that_sets_them():
    plain = BASE.replace(dropout=0.0)
    parts = dict(ema=0.9, clip=0.5, layer_decay=0.7, crop_area=0.6, class_weights=1.0)
    variants = [plain, plain.replace(logit_adjustment=0.5, **parts)]
    group, _, _ = studies.train(studies.members(variants, [0]), [[0, 1]])
    for column, variant in enumerate(variants):
        single, _, _ = studies.train_alone(Member('0', 0, variant))
        for name in ('train_loss', 'val_loss'):
            together, alone = group.history[name][0, 0, column], single.history[name][0, 0, 0]
            assert together == pytest.approx(alone, abs=1e-5)
    assert len(np.unique(group.history['train_loss'][0].round(6))) == 2


def test_a_rate_of_zero_is_the_same_with_and_without_noise():
    calm = BASE.replace(dropout=0.0)
    beside, _, _ = studies.train(studies.members([calm, BASE], [0]), [[0, 1]])
    single, _, _ = studies.train_alone(Member('0', 0, calm))
    losses = beside.history['train_loss'][0, 0]
    assert losses[0] == pytest.approx(single.history['train_loss'][0, 0, 0], abs=1e-5)
    assert losses[1] != pytest.approx(losses[0], abs=1e-3)


def test_one_trace_and_starting_values_share_it():
    variants = [
        BASE,
        BASE.replace(init='zeros'),
        BASE.replace(init='glorot_uniform', init_scale=2.0),
    ]
    training, programs, _ = studies.train(studies.members(variants, [0]), [[0, 1, 2]], epochs=2)
    assert programs.traces == 1
    assert training.epoch == 2
    assert len(np.unique(training.history['train_loss'][0])) == 3


def test_networks_of_zeros_learn_only_class_frequencies():
    training, _, _ = studies.train(studies.members([BASE.replace(init='zeros')], [0]), [[0]])
    kernels = [
        v
        for p, v in jax.tree_util.tree_leaves_with_path(training.states.params)
        if p[-1].key == 'kernel'
    ]
    assert all(not np.any(kernel) for kernel in kernels)


def test_padded_evaluation_is_the_unpadded():
    data = studies.digits()
    training, _, tested = studies.train(studies.members([BASE], [0]), [[0]])
    state = jax.tree.map(lambda x: np.asarray(x)[0, 0], training.states)
    module = train_step.module_of(BASE, 10)
    indices = np.asarray(data.test.indices)[np.asarray(data.test.mask)]
    assert len(indices) < data.test.mask.size or len(indices) == 360
    images = (np.asarray(data.images)[indices] / 255 - np.asarray(data.mean)) / np.asarray(data.std)
    variables = dict(params=state.params, batch_stats=state.batch_stats)
    logits = np.asarray(module.apply(variables, images.astype(np.float32)))
    correct = logits.argmax(-1) == np.asarray(data.labels)[indices]
    assert tested['test_accuracy'][0, 0] == correct.mean()
    np.testing.assert_array_equal(tested['correct'][0, 0], correct)


@pytest.mark.parametrize('batch', [1, 7, 50])
def test_evaluation_in_other_batches_is_the_same(batch):
    data = studies.digits()
    indices = np.arange(50)
    steps = -(-50 // batch)
    padded = np.zeros(steps * batch, np.int32)
    padded[:50] = indices
    part = Part(
        padded.reshape(1, steps, batch), (np.arange(steps * batch) < 50).reshape(1, steps, batch)
    )
    module = train_step.module_of(BASE, 10)
    state = train_step.init_state(BASE, 0, module, (8, 8, 1))
    states = jax.tree.map(lambda x: jnp.asarray(x)[None, None], state)
    variants = jax.tree.map(lambda x: jnp.full((1, 1), x, jnp.float32), BASE)

    def step(*arguments):
        return train_step.eval_step(*arguments, module=module)

    trained, correct = _evaluate(step, states, variants, data, part)
    whole, _ = _evaluate(
        step, states, variants, data, Part(indices[None, None], np.ones((1, 1, 50), bool))
    )
    assert float(trained.count[0, 0]) == 50
    assert float(trained.correct[0, 0]) == float(whole.correct[0, 0])
    assert float(trained.loss[0, 0]) == pytest.approx(float(whole.loss[0, 0]), rel=1e-5)
    assert correct.shape == (1, 1, steps, batch)


EIGHT = """
import jax, numpy as np, studies
from jaxdl.ensemble import chunks
from jaxdl.train.variant import Variant
assert len(jax.devices()) == 8
found = studies.members([Variant(width=2, depth=1, learning_rate=r) for r in (0.1, 0.2)], range(4))
square = chunks.rectangle([m.stream for m in found])
sides = chunks.tile(square.shape, 8, 100)
chunk, = chunks.cut_chunks(square, sides, 8)
training, programs, _ = studies.train(found, chunk)
assert programs.mesh.size == 8
assert len(training.states.step.sharding.device_set) == 8
loss = np.zeros(8)
loss[chunk] = training.history['train_loss'][0]
print(*map(repr, map(float, loss)))
"""


@pytest.mark.system
def test_eight_devices_give_what_one_gives():
    environment = os.environ | dict(JAX_NUM_CPU_DEVICES='8', PYTHONPATH=tests.PYTHONPATH)
    process = subprocess.run(
        [sys.executable, '-c', EIGHT], capture_output=True, text=True, env=environment, check=False
    )
    assert process.returncode == 0, process.stderr
    eight = [float(word) for word in process.stdout.split()]
    trained = studies.members(
        [Variant(width=2, depth=1, learning_rate=r) for r in (0.1, 0.2)], range(4)
    )
    square = chunks.rectangle([m.stream for m in trained])
    one = np.zeros(8)
    one[square] = studies.train(trained, square)[0].history['train_loss'][0]
    np.testing.assert_allclose(eight, one, atol=1e-5)


@pytest.mark.parametrize('extra', [dict(depth=3), dict(norm='none'), dict(pooling='strided')])
def test_an_option_leaves_every_other_initial_weight_as_it_was(extra):
    def kernels(variant):
        state = train_step.init_state(variant, 7, train_step.module_of(variant, 10), (8, 8, 1))
        return {
            jax.tree_util.keystr(p): np.asarray(v)
            for p, v in jax.tree_util.tree_leaves_with_path(state.params)
        }

    base, other = kernels(BASE), kernels(BASE.replace(**extra))
    shared = [
        name
        for name in base
        if name in other and other[name].shape == base[name].shape and 'kernel' in name
    ]
    assert len(shared) >= 2
    for name in shared:
        np.testing.assert_array_equal(base[name], other[name])
    fresh = kernels(dataclasses.replace(BASE, seed_offset=1))
    assert all(np.any(fresh[name] != base[name]) for name in shared)


def test_an_initialisation_in_float64_leaves_later_ones_unchanged():
    variant, shape = Variant(model='mlp', width=3, depth=1), (5, 5, 1)
    module = train_step.module_of(variant, 7)
    with jax.enable_x64(True):
        train_step.init_state(variant, 0, module, shape)
    state = train_step.init_state(variant, 0, module, shape)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(state.params)} == {'float32'}
