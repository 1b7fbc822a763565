"""Optional parts of the training step in an ablation: by definition, members apart."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.config.experiment import Ablation
from jaxdl.config.overrides import check
from jaxdl.errors import InputError
from jaxdl.train import keys, train_step
from jaxdl.train.train_step import Batch, StepConfig, Timeline
from jaxdl.train.variant import Variant

BASE = Variant(
    model='mlp', width=8, depth=2, norm='batch', learning_rate=0.1, optimizer='sgd', batch_size=12
)
SHAPE, CLASSES = (4, 4, 1), 3
SHARES = np.asarray([0.6, 0.3, 0.1], np.float32)
TIMELINE = Timeline(np.int32(10))


def batch():
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.random((12, *SHAPE)), jnp.float32)
    labels = jnp.asarray(np.arange(12) % CLASSES)
    mean, std = jnp.zeros(1), jnp.ones(1)
    return Batch(images, labels, jnp.ones(12, bool), mean, std, jnp.asarray(SHARES))


def stepped(variant, steps=1, parts=None):
    """States from the first on, and the last metrics."""
    parts = train_step.parts_of([variant]) if parts is None else parts
    module = train_step.module_of(variant, CLASSES)
    config = StepConfig(module, parts)
    states = [train_step.init_state(variant, 0, module, SHAPE, parts)]
    step = jax.jit(
        lambda state, variant, timeline: train_step.train_step(
            state, batch(), variant, keys.seed_key(0), timeline, config
        )
    )
    for _ in range(steps):
        state, metrics = step(states[-1], variant, TIMELINE)
        states.append(state)
    return states, metrics


def set_in(**fields):
    return dataclasses.replace(BASE, **fields)


def close(a, b, atol=1e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=atol), a, b)


def test_a_part_at_its_default_changes_no_more_than_rounding():
    """Baseline of a study of `ema`: its program has the part, at its neutral value."""
    (_, plain), _ = stepped(BASE)
    parts = tuple(train_step.PARTS)
    (_, state), _ = stepped(BASE, parts=parts)
    close(state.params, plain.params)
    close(train_step.select_variables(state, 0.0)['params'], plain.params)


def test_averaged_weights_are_the_weighted_mean_of_the_weights_of_all_steps():
    states, _ = stepped(set_in(ema=0.9), steps=4)
    weights = 0.9 ** np.arange(3, -1, -1.0)
    mean = jax.tree.map(
        lambda *leaves: np.tensordot(weights / weights.sum(), np.stack(leaves), 1),
        *[state.params for state in states[1:]],
    )
    close(train_step.select_variables(states[-1], 0.9)['params'], mean, atol=1e-5)
    assert states[-1].ema[1].keys() == states[-1].batch_stats.keys()


def test_before_the_first_step_the_initial_weights_are_evaluated():
    (start, _), _ = stepped(set_in(ema=0.9))
    close(train_step.select_variables(start, 0.9)['params'], start.params, atol=0)


def test_a_clipped_step_is_as_long_as_its_limit():
    (before, after), metrics = stepped(set_in(clip=0.01, learning_rate=1.0, schedule='constant'))
    moved = jax.tree.leaves(jax.tree.map(jnp.subtract, after.params, before.params))
    length = float(np.sqrt(sum(float(jnp.square(leaf).sum()) for leaf in moved)))
    assert metrics.gradient_norm > 0.01
    assert length == pytest.approx(0.01, rel=1e-3)


def test_layers_far_from_the_head_move_less():
    (before, plain), _ = stepped(BASE)
    (_, scaled), _ = stepped(set_in(layer_decay=0.5))
    for part, power in dict(head=0, layer_1=1, layer_0=2).items():
        full, moved = (
            jax.tree.map(jnp.subtract, after.params[part], before.params[part])
            for after in (plain, scaled)
        )
        close(moved, jax.tree.map(lambda leaf, p=power: 0.5**p * leaf, full))


def test_frozen_layers_do_not_change_by_a_bit():
    (before, after), _ = stepped(set_in(frozen=('layer_0',)))
    jax.tree.map(np.testing.assert_array_equal, before.params['layer_0'], after.params['layer_0'])
    assert not np.array_equal(
        before.params['layer_1']['dense']['kernel'], after.params['layer_1']['dense']['kernel']
    )


@pytest.mark.parametrize('class_weights', [0.0, 1.0])
def test_parts_of_a_batch_add_up_to_the_batch(class_weights):
    options = dict(norm='none', class_weights=class_weights)
    (_, whole), _ = stepped(set_in(**options))
    (_, parts), _ = stepped(set_in(accumulation=3, **options))
    close(whole.params, parts.params)


def test_class_weights_are_inverse_frequencies():
    """An example of weight w counts as w repeated examples."""
    variant = set_in(norm='none', class_weights=1.0)
    module = train_step.module_of(variant, CLASSES)
    (before, after), _ = stepped(variant)
    weights = 1 / (CLASSES * SHARES)

    def loss_of(params):
        logits = module.apply(dict(params=params), batch().images, train=True)
        each = -jax.nn.log_softmax(logits)[jnp.arange(12), batch().labels]
        return (weights[batch().labels] * each).sum() / weights[batch().labels].sum()

    gradient = jax.grad(loss_of)(before.params)
    close(after.params, jax.tree.map(lambda p, g: p - 0.1 * g, before.params, gradient))


def test_logit_adjustment_adds_the_log_frequencies_in_training():
    variant = set_in(norm='none', logit_adjustment=1.0)
    module = train_step.module_of(variant, CLASSES)
    (before, after), _ = stepped(variant)

    def loss_of(params):
        logits = (
            module.apply(dict(params=params), batch().images, train=True) + np.log(SHARES)[None]
        )
        return -jax.nn.log_softmax(logits)[jnp.arange(12), batch().labels].mean()

    gradient = jax.grad(loss_of)(before.params)
    close(after.params, jax.tree.map(lambda p, g: p - 0.1 * g, before.params, gradient))


def test_random_crops_are_those_of_the_step():
    variant = set_in(crop_area=0.3)
    config = StepConfig(train_step.module_of(variant, CLASSES), train_step.parts_of([variant]))
    crops = [
        train_step.prepare_images(step, batch(), variant, keys.seed_key(0), config)[0]
        for step in (0, 0, 1)
    ]
    assert crops[0].shape == batch().images.shape
    np.testing.assert_array_equal(crops[0], crops[1])
    assert not np.array_equal(crops[0], crops[2])


@pytest.mark.parametrize(
    ('fields', 'words'),
    [
        (dict(frozen=('layr_0',)), 'layer_0'),
        (dict(frozen=('stage_0',)), 'unknown part of the network'),
    ],
)
def test_layers_that_a_network_lacks_are_refused(fields, words):
    variant = set_in(**fields)
    with pytest.raises(InputError, match=words):
        train_step.init_state(variant, 0, train_step.module_of(variant, CLASSES), SHAPE)


def test_a_batch_that_accumulation_does_not_divide_is_refused():
    options = dict(plain={}, parts=dict(accumulation=5))
    with pytest.raises(InputError, match=r'accumulation=5.*must divide batch_size=32'):
        check(Ablation('parts', 'plain', options))
