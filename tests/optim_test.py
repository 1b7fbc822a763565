"""Optimizers against optax's own aliases, losses against their formulas, schedules of unit height."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import losses, metrics, optim

ALIASES = dict(
    sgd=lambda rate, m: optax.sgd(rate), momentum=lambda rate, m: optax.sgd(rate, m),
    nesterov=lambda rate, m: optax.sgd(rate, m, nesterov=True), adam=lambda rate, m: optax.adam(rate, b1=m),
    adamw=lambda rate, m: optax.adamw(rate, b1=m, weight_decay=0.0),
)  # fmt: skip


def descend(make, steps=5):
    params = dict(kernel=jnp.array([1.0, -2.0, 3.0]), bias=jnp.array([0.5]))
    tx = make()
    state = tx.init(params)
    for _ in range(steps):
        gradients = jax.tree.map(lambda p: 2 * p + 1, params)
        updates, state = tx.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
    return params


@pytest.mark.parametrize('name', optim.OPTIMIZERS)
def test_optimizers_are_those_of_optax_with_traced_numbers(name):
    own = jax.jit(lambda rate, m: descend(lambda: optim.make_optimizer(name, rate, m, 0.0)))(0.05, 0.8)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), own, descend(lambda: ALIASES[name](0.05, 0.8))
    )


@pytest.mark.parametrize('name', optim.OPTIMIZERS)
def test_weight_decay_reaches_kernels_only(name):
    plain, decayed = (descend(lambda w=w: optim.make_optimizer(name, 0.05, 0.8, w), 1) for w in (0.0, 0.3))
    assert np.any(plain['kernel'] != decayed['kernel']) or name == 'adam'  # one step of Adam sees only the sign
    np.testing.assert_array_equal(plain['bias'], decayed['bias'])


def test_decoupled_decay_shrinks_by_rate_times_decay():
    plain, decayed = (descend(lambda w=w: optim.make_optimizer('adamw', 0.05, 0.8, w), 1) for w in (0.0, 0.3))
    np.testing.assert_allclose(plain['kernel'] - decayed['kernel'], 0.05 * 0.3 * np.array([1, -2, 3]), rtol=1e-4)


@pytest.mark.parametrize('name', optim.SCHEDULES)
def test_schedules_have_unit_height_and_never_leave_it(name):
    heights = np.array([float(optim.SCHEDULES[name](jnp.asarray(p))) for p in np.linspace(0, 1, 11)])
    assert heights.max() == pytest.approx(1)
    assert heights.min() >= 0
    assert heights[-1] == pytest.approx(float(name == 'constant'))


def logits_and_labels():
    rng = np.random.default_rng(0)
    return rng.normal(size=(6, 4)).astype(np.float32), rng.integers(0, 4, 6)


@pytest.mark.parametrize('smoothing', [0.0, 0.2])
def test_losses_are_their_formulas(smoothing):
    logits, labels = logits_and_labels()
    targets = np.eye(4)[labels] * (1 - smoothing) + smoothing / 4
    soft = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    sigmoid = 1 / (1 + np.exp(-logits))
    expected = dict(
        softmax_cross_entropy=-(targets * np.log(soft)).sum(1),
        sigmoid_cross_entropy=-(targets * np.log(sigmoid) + (1 - targets) * np.log(1 - sigmoid)).sum(1),
    )
    assert set(expected) == set(losses.LOSSES)
    for name, loss in losses.LOSSES.items():
        np.testing.assert_allclose(loss(logits, labels, smoothing), expected[name], rtol=1e-5)


@pytest.mark.parametrize('name', losses.LOSSES)
def test_losses_stay_finite_at_extreme_logits(name):
    logits = jnp.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]])
    value, gradient = jax.value_and_grad(lambda x: losses.LOSSES[name](x, jnp.array([1, 1]), 0.1).sum())(logits)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


def test_metrics_of_batches_merge_to_those_of_the_whole():
    rng = np.random.default_rng(1)
    loss, correct, mask = rng.normal(size=(4, 5)), rng.random((4, 5)) < 0.5, rng.random((4, 5)) < 0.7
    loss[~mask] = np.nan  # padding may hold anything
    parts = jax.vmap(metrics.measure)(jnp.asarray(loss, jnp.float32), jnp.asarray(correct), jnp.asarray(mask))
    found = metrics.merge(parts).means()
    assert float(found['loss']) == pytest.approx(loss[mask].mean(), rel=1e-5)
    assert float(found['accuracy']) == pytest.approx(correct[mask].mean())
