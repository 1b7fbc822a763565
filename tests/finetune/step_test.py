"""Training step on a pretrained network: trained layers, moments, devices, accumulation."""

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
from jaxdl.finetune import phases
from jaxdl.finetune.phases import Phase
from jaxdl.models.resnet import ResNet
from jaxdl.runtime import sharding
from jaxdl.train import keys, train_step
from jaxdl.train.settings import TrainSettings
from jaxdl.train.train_step import Batch, Timeline

CLASSES, BATCH, PER_EPOCH = 3, 8, 5
quick = functools.partial(
    jax.jit, compiler_options={'xla_backend_optimization_level': 0}
)  # compiles in half the time
MODULE = ResNet(finetunes.TINY, CLASSES, finetunes.TINY.preprocessing, 'grouped')
PLAIN = TrainSettings(learning_rate=0.1, batch_size=BATCH)
EQUAL = np.full(CLASSES, 1 / CLASSES, np.float32)


@functools.cache
def variables():
    arrays = MODULE.init(jax.random.key(0), jnp.zeros((1, 12, 12, 3)))
    kernel = jax.random.normal(jax.random.key(1), arrays['params']['head']['kernel'].shape) / 3
    return jax.tree.map(
        np.asarray,
        dict(
            arrays,
            params=dict(arrays['params'], head=dict(arrays['params']['head'], kernel=kernel)),
        ),
    )


def rows():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH, 16, 16, 3), np.uint8)
    return images, (np.arange(BATCH) % CLASSES).astype(np.int32)


def batch_of(rows, shares=EQUAL):
    images, labels = rows
    moments = MODULE.preprocessing.mean, MODULE.preprocessing.std
    mask = jnp.ones(len(labels), bool)
    return Batch(images, labels, mask, *map(jnp.asarray, moments), shares)


@functools.cache
def program(config):
    """Compiled once for all tests of the same configuration."""
    return quick(functools.partial(one_step, config=config))


def one_step(state, rows, settings, key, timeline, shares, config):
    batch = batch_of(rows, shares)
    state, metrics = train_step.train_step(state, batch, settings, key, timeline, config)
    return state, metrics.sums.means() | dict(gradient_norm=metrics.gradient_norm)


def prepared(variant=PLAIN, learns='all', module=MODULE, **recipe):
    """The settings of a step and its configuration."""
    recipe = Recipe(**dict(dict(train_size=12, eval_size=12), **recipe))
    settings = phases.step_settings(variant, recipe)
    config = phases.step_config(module, settings, recipe, Phase(0, 10, 12, learns), PER_EPOCH)
    return settings, config


def stepped(steps=1, shares=EQUAL, parts=(), **recipe):
    """State before and after, and the metrics of the last step."""
    settings, config = prepared(**recipe)
    config = dataclasses.replace(config, parts=(*config.parts, *parts))
    start = state = train_step.state_of(variables(), settings, config.parts)
    timeline = Timeline(np.int32(10), np.int32(0))
    for _ in range(steps):
        state, means = program(config)(state, rows(), settings, keys.seed_key(0), timeline, shares)
    return start, state, means


def changed(before, after):
    """The top-level keys of the parameters of which anything has changed."""
    moved = lambda key: any(
        map(lambda a, b: not np.array_equal(a, b), *map(jax.tree.leaves, (before[key], after[key])))
    )
    return {key for key in before if moved(key)}


def test_phases_cover_all_steps_once():
    recipe = Recipe(epochs=7, sizes=(8, 10), train_size=12, eval_size=16, fix_epochs=2)
    assert [(p.start, p.stop, p.size, p.learns) for p in phases.phases(recipe, 10)] == [
        (0, 20, 8, 'all'),
        (20, 40, 10, 'all'),
        (40, 70, 12, 'all'),
        (70, 90, 16, 'fixed'),
    ]
    short = phases.phases(Recipe(epochs=1, sizes=(8, 10)), 10)
    assert [(p.start, p.stop) for p in short] == [(0, 10)]


def test_the_last_phase_begins_where_patience_stops_the_others():
    recipe = Recipe(epochs=7, sizes=(8, 10), train_size=12, eval_size=16, fix_epochs=2)
    assert [(p.start, p.stop, p.size, p.learns) for p in phases.phases(recipe, 10, 3)] == [
        (0, 20, 8, 'all'),
        (20, 30, 10, 'all'),
        (30, 50, 16, 'fixed'),
    ]


def test_frozen_parameters_and_statistics_stay_bit_identical():
    before, after, _ = stepped(
        frozen=('stem', 'layer1'),
        norms='batch',
        variant=TrainSettings(learning_rate=0.1, optimizer='adamw', weight_decay=0.1),
    )
    assert changed(before.params, after.params) == {'layer2_0', 'layer3_0', 'head'}
    assert changed(before.batch_stats, after.batch_stats) == {'layer2_0', 'layer3_0'}


def test_all_layers_train_unless_frozen_and_running_statistics_stay():
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
    _, split, split_means = stepped(norms='running', crop_area=1.0, accumulation=parts)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), whole.params, split.params
    )
    assert float(split_means['loss']) == pytest.approx(float(means['loss']), rel=1e-5)


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
        clip=0.01, variant=TrainSettings(learning_rate=1.0, optimizer='sgd', schedule='constant')
    )
    moved = jax.tree.map(jnp.subtract, after.params, before.params)
    length = np.sqrt(sum(float(jnp.square(leaf).sum()) for leaf in jax.tree.leaves(moved)))
    assert means['gradient_norm'] > 0.01
    assert length == pytest.approx(0.01, rel=1e-3)


def test_averaged_weights_are_those_of_one_step_after_one_step():
    _, state, _ = stepped(ema=0.9)
    averaged = train_step.select_variables(state, 0.9)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        averaged['params'],
        state.params,
    )


RARE = np.asarray([0.6, 0.3, 0.1], np.float32)


def test_weights_of_classes_change_the_step_and_equal_ones_do_not():
    _, plain, _ = stepped()
    _, equal, _ = stepped(imbalance='weights')
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), plain.params, equal.params
    )
    _, weighted, _ = stepped(imbalance='weights', shares=RARE)
    biases = (state.params['head']['bias'] for state in (weighted, plain))
    assert not np.isclose(*biases).all()


@pytest.mark.parametrize('accumulation', [2, 4])
def test_parts_of_a_weighted_batch_are_divided_by_the_weight_of_the_whole_batch(accumulation):
    # Parts have other shares of the classes, so that dividing each by its own weight would differ.
    options = dict(imbalance='weights', shares=RARE, crop_area=1.0, norms='running')
    _, whole, means = stepped(**options)
    _, parts, summed = stepped(accumulation=accumulation, **options)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), whole.params, parts.params
    )
    assert float(summed['loss']) == pytest.approx(float(means['loss']), rel=1e-5)


def test_adjusted_logits_of_equal_classes_change_nothing():
    _, plain, _ = stepped()
    _, equal, _ = stepped(imbalance='logit_adjustment')
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), plain.params, equal.params
    )
    _, adjusted, _ = stepped(imbalance='logit_adjustment', shares=RARE)
    assert changed(plain.params, adjusted.params)


def test_noise_is_a_function_of_the_step_and_strength_0_is_none():
    _, without, _ = stepped()
    _, zero, _ = stepped(parts=('flip', 'dropout'))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), without.params, zero.params
    )
    settings, config = prepared()
    noisy = dataclasses.replace(config, parts=(*config.parts, 'flip', 'dropout'))
    images = [
        jax.jit(functools.partial(train_step.prepare_images, config=version))(
            0, batch_of(rows()), settings, keys.seed_key(0)
        )
        for version in (config, noisy)
    ]
    jax.tree.map(np.testing.assert_array_equal, *images)
    moved = dataclasses.replace(PLAIN, flip=0.5, dropout=0.5)
    first, second = (stepped(variant=moved)[1] for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first.params, second.params)
    assert changed(without.params, first.params)


def ten_steps(file):
    """Ten steps over all devices and processes; the state and the last metrics go to `file`."""
    mesh = sharding.data_mesh()
    variant = TrainSettings(learning_rate=0.03, batch_size=BATCH, flip=0.5)
    settings, config = prepared(variant=variant, ema=0.9, norms='batch')
    replicated = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    step = quick(functools.partial(one_step, config=config), out_shardings=replicated)
    timeline = Timeline(np.int32(10), np.int32(0))
    start = train_step.state_of(variables(), settings, config.parts)
    state, key, timeline, shares = sharding.replicate_on_processes(
        (start, keys.seed_key(0), timeline, EQUAL), mesh
    )
    share = BATCH // jax.process_count()
    for _ in range(10):
        local = jax.tree.map(lambda leaf: leaf[jax.process_index() * share :][:share], rows())
        sharded = sharding.shard_batch(local, mesh)
        state, means = step(state, sharded, settings, key, timeline, shares)
    np.savez(file, *map(np.asarray, jax.tree.leaves((state.params, state.batch_stats, means))))


ACROSS = """
import sys
from jaxdl.runtime import distributed as processes
if len(sys.argv) > 2:
    processes.join(sys.argv[2], 2, int(sys.argv[3]))
import jax; from tests.finetune import step_test
step_test.ten_steps(sys.argv[1])
print(jax.device_count())
"""


def across(file, devices='1', *arguments):
    environment = os.environ | dict(JAX_NUM_CPU_DEVICES=devices, PYTHONPATH=tests.PYTHONPATH)
    command = [sys.executable, '-c', ACROSS, str(file), *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.system
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
        arrays = np.load(tmp_path / f'{name}.npz')
        for key in one.files:
            np.testing.assert_allclose(one[key], arrays[key], atol=1e-5)
