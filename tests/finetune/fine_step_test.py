"""One step of a fine-tuning: what learns, what is added up.

That devices and parts of a batch change nothing.
"""

import dataclasses
import functools
import os
import socket
import subprocess
import sys

import finetunes
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tests
from jaxdl.config.recipe import Recipe
from jaxdl.finetune import fine_step
from jaxdl.finetune.fine_step import Emphasis, Examples, Phase, Setting
from jaxdl.models.resnet import ResNet
from jaxdl.runtime import sharding
from jaxdl.train import keys
from jaxdl.train.variant import Variant

CLASSES, BATCH = 3, 8
quick = functools.partial(
    jax.jit, compiler_options={'xla_backend_optimization_level': 0}
)  # compiles in half the time
MODULE = ResNet(finetunes.TINY, CLASSES, finetunes.TINY.preprocessing, 'grouped')


@functools.cache
def variables():
    found = MODULE.init(jax.random.key(0), jnp.zeros((1, 12, 12, 3)))
    kernel = jax.random.normal(jax.random.key(1), found['params']['head']['kernel'].shape) / 3
    return jax.tree.map(
        np.asarray,
        dict(
            found, params=dict(found['params'], head=dict(found['params']['head'], kernel=kernel))
        ),
    )


def batch():
    rng = np.random.default_rng(0)
    return Examples(
        rng.integers(0, 256, (BATCH, 16, 16, 3), np.uint8),
        (np.arange(BATCH) % CLASSES).astype(np.int32),
    )


@functools.cache
def program(setting):
    """Compiled once for all tests of the same setting."""
    return quick(functools.partial(fine_step.fine_step, setting=setting))


def setting_of(learns='all', noise=(), module=MODULE, **recipe):
    recipe = Recipe(**dict(dict(train_size=12, eval_size=12), **recipe))
    return Setting(module, recipe, Phase(0, 10, 12, learns), 10, 5, noise)


def stepped(steps=1, emphasis=None, variant=None, **settings):
    """State before and after, and the metrics of the last step."""
    setting = setting_of(**settings)
    variant = variant or Variant(learning_rate=0.1, batch_size=BATCH)
    emphasis = emphasis or Emphasis(np.ones(CLASSES, np.float32), np.zeros(CLASSES, np.float32))
    start = state = fine_step.init_state(variables(), variant, setting.recipe)
    for _ in range(steps):
        state, means = program(setting)(state, batch(), variant, keys.seed_key(0), emphasis)
    return start, state, means


def changed(before, after):
    """The top-level keys of the parameters of which anything has changed."""
    moved = lambda key: any(
        map(lambda a, b: not np.array_equal(a, b), *map(jax.tree.leaves, (before[key], after[key])))
    )
    return {key for key in before if moved(key)}


def test_phases_cover_all_steps_once():
    found = fine_step.phases(
        Recipe(epochs=7, sizes=(8, 10), train_size=12, eval_size=16, fix_epochs=2), 10
    )
    assert [(p.start, p.stop, p.size, p.learns) for p in found] == [
        (0, 20, 8, 'all'),
        (20, 40, 10, 'all'),
        (40, 70, 12, 'all'),
        (70, 90, 16, 'fixed'),
    ]
    assert [(p.start, p.stop) for p in fine_step.phases(Recipe(epochs=1, sizes=(8, 10)), 10)] == [
        (0, 10)
    ]


def test_what_is_frozen_does_not_change_by_a_bit_nor_do_its_statistics():
    before, after, _ = stepped(
        frozen=('stem', 'layer1'),
        norms='batch',
        variant=Variant(learning_rate=0.1, optimizer='adamw', weight_decay=0.1),
    )
    assert changed(before.params, after.params) == {'layer2_0', 'layer3_0', 'head'}
    assert changed(before.batch_stats, after.batch_stats) == {'layer2_0', 'layer3_0'}


def test_all_learn_where_nothing_is_frozen_and_running_norms_stay():
    before, after, _ = stepped(norms='batch')
    assert changed(before.params, after.params) == set(before.params)
    assert changed(before.batch_stats, after.batch_stats) == set(before.batch_stats)
    before, after, _ = stepped(norms='running')
    assert changed(before.batch_stats, after.batch_stats) == set()


def test_the_last_phase_trains_head_and_last_norm():
    before, after, _ = stepped(learns='fixed')
    assert changed(before.params, after.params) == {'head', 'layer3_0'}
    assert changed(before.params['layer3_0'], after.params['layer3_0']) == {'bn2'}


def test_gradual_unfreezing_begins_at_the_head():
    before, after, _ = stepped(unfreeze_epochs=1.0)
    assert changed(before.params, after.params) == {'head'}
    before, after, _ = stepped(steps=7, unfreeze_epochs=1.0)  # 5 steps an epoch
    assert changed(before.params, after.params) == {'head', 'layer3_0'}


def test_blocks_computed_again_are_the_same():
    _, plain, _ = stepped(norms='batch')
    _, state, _ = stepped(norms='batch', module=MODULE.clone(remat=True))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), plain.params, state.params
    )


@pytest.mark.parametrize('parts', [2, 4])
def test_parts_of_a_batch_one_after_another_are_the_batch(parts):
    _, whole, means = stepped(norms='running', crop_area=1.0)
    _, split, own = stepped(norms='running', crop_area=1.0, accumulation=parts)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), whole.params, split.params
    )
    assert float(own['loss']) == pytest.approx(float(means['loss']), rel=1e-5)


def test_layer_decay_scales_the_first_step_by_distance_from_the_head():
    before, plain, _ = stepped()
    _, scaled, _ = stepped(layer_decay=0.5)
    for key, power in {'head': 0, 'layer3_0': 1, 'layer2_0': 2, 'layer1_0': 3, 'conv1': 4}.items():
        for a, b, c in zip(
            *(jax.tree.leaves(s.params[key]) for s in (before, plain, scaled)), strict=True
        ):
            np.testing.assert_allclose(c - a, 0.5**power * (b - a), rtol=1e-3, atol=1e-7)


def test_a_clipped_gradient_moves_as_far_as_it_may():
    before, after, means = stepped(
        clip=0.01, variant=Variant(learning_rate=1.0, optimizer='sgd', schedule='constant')
    )
    moved = jax.tree.map(jnp.subtract, after.params, before.params)
    length = np.sqrt(sum(float(jnp.square(leaf).sum()) for leaf in jax.tree.leaves(moved)))
    assert means['gradient_norm'] > 0.01
    assert length == pytest.approx(0.01, rel=1e-3)


def test_averaged_weights_are_those_of_one_step_after_one_step():
    _, state, _ = stepped(ema=0.9)
    served = fine_step.served(state, Recipe(ema=0.9))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        served['params'],
        state.params,
    )


def test_weights_of_classes_weigh_and_equal_ones_change_nothing():
    _, plain, _ = stepped()
    double = Emphasis(np.full(CLASSES, 2, np.float32), np.zeros(CLASSES, np.float32))
    _, same, _ = stepped(emphasis=double)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), plain.params, same.params
    )
    alone = Emphasis(np.asarray([1, 0, 0], np.float32), np.zeros(CLASSES, np.float32))
    assert not np.isclose(
        stepped(emphasis=alone)[1].params['head']['bias'], plain.params['head']['bias']
    ).all()


def test_noise_is_a_function_of_the_step_and_strength_0_is_none():
    still = Variant(learning_rate=0.1, batch_size=BATCH)
    _, without, _ = stepped(variant=still)
    _, zero, _ = stepped(variant=still, noise=('flip', 'dropout'))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), without.params, zero.params
    )
    seen = [
        jax.jit(functools.partial(fine_step.prepared, setting=setting_of(noise=noise)))(
            0, batch(), still, keys.seed_key(0)
        )
        for noise in ((), ('flip', 'dropout'))
    ]
    jax.tree.map(np.testing.assert_array_equal, *seen)
    moved = dataclasses.replace(still, flip=0.5, dropout=0.5)
    first, second = (stepped(variant=moved, noise=('flip', 'dropout'))[1] for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first.params, second.params)
    assert changed(without.params, first.params)


def ten_steps(file):
    """Ten steps over all devices and processes that there are.

    Their state and the last metrics go to `file`.
    """
    mesh, variant = sharding.data_mesh(), Variant(learning_rate=0.03, batch_size=BATCH, flip=0.5)
    setting = setting_of(noise=('flip',), ema=0.9, norms='batch')
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    step = quick(functools.partial(fine_step.fine_step, setting=setting), out_shardings=whole)
    ones = Emphasis(np.ones(CLASSES, np.float32), np.zeros(CLASSES, np.float32))
    start = fine_step.init_state(variables(), variant, setting.recipe)
    state, key, ones = (sharding.everywhere(tree, mesh) for tree in (start, keys.seed_key(0), ones))
    share = BATCH // jax.process_count()
    for _ in range(10):
        rows = jax.tree.map(lambda leaf: leaf[jax.process_index() * share :][:share], batch())
        state, means = step(state, sharding.batch(rows, mesh), variant, key, ones)
    np.savez(file, *map(np.asarray, jax.tree.leaves((state.params, state.batch_stats, means))))


ACROSS = """
import sys
from jaxdl.runtime import distributed as processes
if len(sys.argv) > 2:
    processes.join(sys.argv[2], 2, int(sys.argv[3]))
import jax; from tests.finetune import fine_step_test
fine_step_test.ten_steps(sys.argv[1])
print(jax.device_count())
"""


def across(file, devices='1', *arguments):
    environment = os.environ | dict(JAX_NUM_CPU_DEVICES=devices, PYTHONPATH=tests.PYTHONPATH)
    command = [sys.executable, '-c', ACROSS, str(file), *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.system
def test_eight_devices_and_two_processes_do_what_one_device_does(tmp_path):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        where = f'127.0.0.1:{free.getsockname()[1]}'
    runs = {
        'eight': ('8', across(tmp_path / 'eight.npz', '8')),
        'first': ('2', across(tmp_path / 'first.npz', '1', where, '0')),
        'second': ('2', across(tmp_path / 'second.npz', '1', where, '1')),
    }
    ten_steps(tmp_path / 'one.npz')
    for devices, process in runs.values():
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err[-2000:]
        assert devices in out.splitlines()  # among what gloo says of its connections
    one = np.load(tmp_path / 'one.npz')
    for name in runs:
        found = np.load(tmp_path / f'{name}.npz')
        for key in one.files:
            np.testing.assert_allclose(one[key], found[key], atol=1e-5)
