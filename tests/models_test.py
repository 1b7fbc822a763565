"""Pooling, norm, activation and the network against NumPy and XLA's own convolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxdl import models
from jaxdl.models import layers


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return lambda *shapes: [rng.normal(size=shape).astype(np.float32) for shape in shapes]


NUMPY = dict(
    max=lambda e: e.max(0), avg=lambda e: e.mean(0), avgmax=lambda e: (e.max(0) + e.mean(0)) / 2,
    l2=lambda e: np.sqrt((e**2).mean(0)),
)  # fmt: skip


@pytest.mark.parametrize('pooling', layers.POOLINGS)
@pytest.mark.parametrize('shape', [(2, 8, 8, 3), (1, 5, 7, 2), (2, 1, 4, 2), (1, 2, 2, 1)])
def test_pooling(arrays, pooling, shape):
    (x,) = arrays(shape)
    pool = layers.Pool(pooling)
    found, variables = pool.init_with_output(jax.random.key(0), x)
    down, right = min(2, shape[1]), min(2, shape[2])
    rows, columns = shape[1] // down, shape[2] // right
    assert found.shape == (shape[0], rows, columns, shape[3])
    cut = x[:, : rows * down, : columns * right].reshape(shape[0], rows, down, columns, right, shape[3])
    elements = cut.transpose(2, 4, 0, 1, 3, 5).reshape(down * right, shape[0], rows, columns, shape[3])
    if pooling == 'strided':
        kernel = variables['params']['kernel'].reshape(down, right, shape[3], shape[3])
        expected = lax.conv_general_dilated(
            x, kernel, (down, right), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
        )
    else:
        assert not variables
        expected = NUMPY[pooling](elements)
    np.testing.assert_allclose(found, expected, atol=2e-4 if pooling == 'l2' else 1e-5)


def test_the_gradient_of_the_maximum_goes_to_the_first_of_equal_ones(arrays):
    (x,) = arrays((4, 3, 5))
    x[1, 0], x[3, 1] = x.max(0)[0], x.max(0)[1]
    gradient = jax.grad(lambda e: (layers._maximum(e) * jnp.arange(1.0, 6)[None]).sum())(x)
    expected = np.zeros_like(x)
    rows, columns = np.indices((3, 5))
    expected[x.argmax(0), rows, columns] = np.arange(1.0, 6)
    np.testing.assert_array_equal(gradient, expected)


@pytest.mark.parametrize('pooling', layers.POOLINGS)
def test_pooling_of_a_dead_window_has_a_finite_gradient(pooling):
    x = jnp.zeros((1, 4, 4, 2))
    variables = layers.Pool(pooling).init(jax.random.key(0), x)
    gradient = jax.grad(lambda x: layers.Pool(pooling).apply(variables, x).sum())(x)
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize('table', ['pooling', 'global_pooling', 'norm', 'activation'])
def test_every_row_of_every_table_makes_a_network_that_learns(table):
    rows = dict(
        pooling=layers.POOLINGS, global_pooling=layers.GLOBAL_POOLINGS, norm=layers.NORMS,
        activation=layers.ACTIVATIONS,
    )  # fmt: skip
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype(np.float32)
    for row in rows[table]:
        module = models.make_module('cnn', 10, width=2, depth=2, **{table: row}, unknown_setting=3)
        variables = module.init(jax.random.key(0), x)
        logits = module.apply(variables, x)
        assert logits.shape == (4, 10), row

        def loss(params, module=module, variables=variables):
            rest = {k: v for k, v in variables.items() if k != 'params'}
            out, _ = module.apply(
                dict(params=params, **rest),
                x,
                train=True,
                rngs=dict(dropout=jax.random.key(1)),
                mutable=['batch_stats'],
            )
            return jnp.square(out - 1).mean()

        gradients = jax.grad(loss)(variables['params'])
        assert all(np.all(np.isfinite(g)) for g in jax.tree.leaves(gradients)), row
        assert any(np.any(g) for g in jax.tree.leaves(gradients['stage_0']['conv'])), row


@pytest.mark.parametrize('init', layers.INITS)
def test_initialisation_has_the_spread_of_its_name(init):
    shape, fan_in, fan_out = (3, 3, 32, 64), 9 * 32, 9 * 64
    expected = dict(
        zeros=0, ones=0, normal=1, glorot_uniform=(2 / (fan_in + fan_out)) ** 0.5,
        glorot_normal=(2 / (fan_in + fan_out)) ** 0.5, he_normal=(2 / fan_in) ** 0.5, lecun_normal=(1 / fan_in) ** 0.5,
    )  # fmt: skip
    values = np.asarray(layers.INITS[init](jax.random.key(0), shape))
    assert values.std() == pytest.approx(expected[init], rel=0.03, abs=1e-9)
    assert values.mean() == pytest.approx(float(init == 'ones'), abs=0.03)


def test_dropout_keeps_the_mean_and_is_the_identity_at_rate_0():
    x = jnp.ones((200, 200))
    assert np.array_equal(layers.dropout(x, 0.0, jax.random.key(0)), x)
    dropped = np.asarray(layers.dropout(x, 0.25, jax.random.key(0)))
    assert np.mean(dropped == 0) == pytest.approx(0.25, abs=0.01)
    assert np.allclose(dropped[dropped > 0], 1 / 0.75)


def test_deep_networks_pool_only_while_there_is_something_to_pool():
    module = models.make_module('cnn', 10, width=1, depth=5)
    assert module.init_with_output(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))[0].shape == (1, 10)
