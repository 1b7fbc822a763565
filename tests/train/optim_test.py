"""Optimizers against optax's aliases, concrete and traced; schedules against optax's."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.train import metrics, optim

RATE, MOMENTUM, BETA2, DECAY = 0.01, 0.8, 0.95, 0.3


def muon(decay=0.0):
    def matrices(params):
        served = dict(
            hidden=dict(kernel=(0, 1)), conv=dict(kernel=(0, 1, 2, 3)), head=dict(kernel=None)
        )
        axes = lambda axis: axis and optax.contrib.MuonDimensionNumbers(axis[:-1], axis[-1:])
        return {
            k: dict.fromkeys(v, None) | {'kernel': axes(served[k]['kernel'])}
            for k, v in params.items()
        }

    return optax.contrib.muon(
        RATE,
        beta=MOMENTUM,
        adam_b2=BETA2,
        muon_weight_dimension_numbers=matrices,
        consistent_rms=0.2,
        weight_decay=decay,
    )


ALIASES = dict(
    sgd=lambda: optax.sgd(RATE),
    momentum=lambda: optax.sgd(RATE, MOMENTUM),
    nesterov=lambda: optax.sgd(RATE, MOMENTUM, nesterov=True),
    rmsprop=lambda: optax.rmsprop(RATE, BETA2),
    adagrad=lambda: optax.adagrad(RATE),
    adam=lambda: optax.adam(RATE, MOMENTUM, BETA2),
    adamw=lambda: optax.adamw(RATE, MOMENTUM, BETA2, weight_decay=0.0),
    lion=lambda: optax.lion(RATE, MOMENTUM, BETA2, weight_decay=0.0),
    muon=muon,
    lamb=lambda: optax.lamb(RATE, MOMENTUM, BETA2, weight_decay=0.0),
)
DECOUPLED = dict(
    adamw=lambda: optax.adamw(RATE, MOMENTUM, BETA2, weight_decay=DECAY, mask=optim.decay_mask),
    lion=lambda: optax.lion(RATE, MOMENTUM, BETA2, weight_decay=DECAY, mask=optim.decay_mask),
    lamb=lambda: optax.lamb(RATE, MOMENTUM, BETA2, weight_decay=DECAY, mask=optim.decay_mask),
)


@pytest.fixture
def params():
    rng = np.random.default_rng(0)
    shapes = dict(conv=(3, 3, 2, 4), hidden=(4, 5), head=(5, 3))
    arrays = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)
    return {k: dict(kernel=arrays(*shape), bias=arrays(shape[-1])) for k, shape in shapes.items()}


def descend(params, tx, steps=20):
    """Steps down a bowl that has another slope for every number."""

    def step(carry, _):
        params, state = carry
        gradients = jax.tree.map(
            lambda p: p * jnp.linspace(0.2, 2, p.size).reshape(p.shape) + 0.1, params
        )
        updates, state = tx.update(gradients, state, params)
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(step, (params, tx.init(params)), length=steps)[0][0]


def transform(name, rate=RATE, momentum=MOMENTUM, beta2=BETA2, decay=0.0):
    return optim.make_optimizer(name, rate, momentum, beta2, decay)


def same(actual, expected, **tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), actual, expected)


@pytest.mark.parametrize('name', optim.OPTIMIZERS)
def test_optimizers_are_those_of_optax_with_numbers_concrete_and_traced(name, params):
    def run(params, *numbers):
        return (
            descend(params, ALIASES[name]()),
            descend(params, transform(name)),
            descend(params, transform(name, *numbers)),
        )

    expected, concrete, traced = jax.jit(run)(params, RATE, MOMENTUM, BETA2, 0.0)
    same(concrete, expected, atol=1e-6)
    same(traced, expected, atol=2e-6)


@pytest.mark.parametrize('name', DECOUPLED)
def test_decoupled_decay_is_that_of_optax(name, params):
    actual, expected = jax.jit(
        lambda p: (descend(p, transform(name, decay=DECAY)), descend(p, DECOUPLED[name]()))
    )(params)
    same(actual, expected, atol=1e-6)


@pytest.mark.parametrize(
    'name', [name for name in optim.OPTIMIZERS if name not in ('adamw', 'lion', 'muon', 'lamb')]
)
def test_coupled_decay_is_a_larger_gradient(name, params):
    tx = ALIASES[name]()
    bowl = optax.GradientTransformation(
        tx.init,
        lambda g, state, p: tx.update(
            {k: dict(v, kernel=v['kernel'] + DECAY * p[k]['kernel']) for k, v in g.items()},
            state,
            p,
        ),
    )
    actual, expected = jax.jit(
        lambda p: (descend(p, transform(name, decay=DECAY)), descend(p, bowl))
    )(params)
    same(actual, expected, atol=1e-6)


@pytest.mark.parametrize('name', ['adamw', 'lion', 'muon'])
def test_decoupled_decay_shrinks_kernels_by_rate_times_decay(name, params):
    step = jax.jit(lambda decay: descend(params, transform(name, decay=decay), 1))
    plain, decayed = step(0.0), step(DECAY)
    for layer, leaves in params.items():
        shrunk = plain[layer]['kernel'] - decayed[layer]['kernel']
        np.testing.assert_allclose(shrunk, RATE * DECAY * leaves['kernel'], atol=1e-6)
        np.testing.assert_array_equal(plain[layer]['bias'], decayed[layer]['bias'])


@pytest.mark.parametrize('name', optim.OPTIMIZERS)
def test_members_of_one_program_have_numbers_of_their_own(name, params):
    traces = []

    def run(*numbers):
        traces.append(name)
        return descend(params, transform(name, *numbers), 3)

    numbers = [jnp.array(pair) for pair in ((0.01, 0.02), (0.8, 0.9), (0.95, 0.99), (0.0, 0.1))]
    together = jax.jit(jax.vmap(run))
    actual = together(*numbers)
    together(numbers[0], 0.5 * numbers[1], numbers[2], numbers[3])
    assert len(traces) == 1
    for i in range(2):
        alone = jax.jit(run)(*(pair[i] for pair in numbers))
        same(jax.tree.map(lambda leaf, i=i: leaf[i], actual), alone, atol=1e-5)


@pytest.mark.parametrize('name', optim.OPTIMIZERS)
def test_states_are_arrays_that_stack(name, params):
    states = [transform(name).init(params) for _ in range(2)]
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(states))
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *states)
    assert jax.tree.structure(stacked) == jax.tree.structure(states[0])


def test_muon_makes_steps_orthogonal_and_as_long_as_adams(params):
    after = jax.jit(lambda p: descend(p, transform('muon'), 1))(params)
    step = jax.tree.map(lambda a, b: np.asarray(a - b) / RATE, params, after)
    for layer in ('conv', 'hidden'):
        kernel = step[layer]['kernel']
        stretch = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)
        size = kernel.size / kernel.shape[-1], kernel.shape[-1]
        # Five rounds of Newton-Schulz bring every singular value that near to 1.
        assert np.all(np.abs(stretch / (0.2 * np.sqrt(max(size))) - 1) < 0.4)
    # Adam's first step is a sign; with Nesterov's look ahead it is 1 + 0.9 / (1 + 0.9) long.
    np.testing.assert_allclose(np.abs(step['head']['kernel']), 1 + 0.9 / 1.9, rtol=1e-3)


def test_a_step_of_lamb_is_as_long_as_the_weights_it_changes(params):
    after = jax.jit(lambda p: descend(p, transform('lamb', decay=DECAY), 1))(params)
    for before, now in zip(jax.tree.leaves(params), jax.tree.leaves(after), strict=True):
        assert np.linalg.norm(now - before) == pytest.approx(
            RATE * np.linalg.norm(before), rel=1e-4
        )


@pytest.mark.parametrize('name', optim.OPTIMIZERS)
def test_a_gradient_of_zero_moves_nothing(name, params):
    nothing = jax.tree.map(jnp.zeros_like, params)
    updates, _ = jax.jit(lambda p: transform(name).update(nothing, transform(name).init(p), p))(
        params
    )
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(updates))


def heights(name, steps=200):
    actual = optim.SCHEDULES[name](jnp.arange(steps + 1) / steps)
    return np.broadcast_to(actual, steps + 1)


OPTAX = dict(
    constant=lambda n: optax.constant_schedule(1.0),
    cosine=lambda n: optax.cosine_decay_schedule(1.0, n),
    linear=lambda n: optax.linear_schedule(1.0, 0.0, n),
    step=lambda n: optax.piecewise_constant_schedule(1.0, {n // 2: 0.1, n * 3 // 4: 0.1}),
    warmup_cosine=lambda n: optax.warmup_cosine_decay_schedule(1 / 25, 1.0, n // 20, n),
    one_cycle=lambda n: optax.cosine_onecycle_schedule(n, 1.0),
)


@pytest.mark.parametrize('name', optim.SCHEDULES)
def test_schedules_are_those_of_optax(name):
    schedule = OPTAX[name](200)
    np.testing.assert_allclose(heights(name), jax.vmap(schedule)(jnp.arange(201)), atol=1e-6)


@pytest.mark.parametrize('name', optim.SCHEDULES)
def test_schedules_have_unit_height_and_never_leave_it(name):
    actual = heights(name)
    assert actual.max() == pytest.approx(1, abs=1e-6)
    assert np.all((actual[:-1] > 0) & (actual[:-1] <= 1 + 1e-6))
    assert actual[-1] == pytest.approx(dict(constant=1, step=0.01).get(name, 0), abs=1e-5)


@pytest.mark.parametrize('name', optim.SCHEDULES)
def test_schedules_are_smooth_but_for_the_steps(name):
    jumps = np.abs(np.diff(heights(name, 1000)))
    assert (jumps > 0.03).sum() == (2 if name == 'step' else 0)


def test_metrics_of_batches_merge_to_those_of_the_whole():
    rng = np.random.default_rng(1)
    loss, correct, mask = (
        rng.normal(size=(4, 5)),
        rng.random((4, 5)) < 0.5,
        rng.random((4, 5)) < 0.7,
    )
    loss[~mask] = np.nan  # padding may hold anything
    parts = jax.vmap(metrics.measure)(
        jnp.asarray(loss, jnp.float32), jnp.asarray(correct), jnp.asarray(mask)
    )
    actual = metrics.merge(parts).means()
    assert float(actual['loss']) == pytest.approx(loss[mask].mean(), rel=1e-5)
    assert float(actual['accuracy']) == pytest.approx(correct[mask].mean())
