"""Pooling, normalisation, activations and networks against NumPy and XLA's own convolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

from jaxdl import models, native
from jaxdl.errors import InputError
from jaxdl.models import layers, pooling
from jaxdl.train import losses, optim


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return lambda *shapes: [rng.normal(size=shape).astype(np.float32) for shape in shapes]


NUMPY = dict(
    max=lambda e: e.max(0),
    avg=lambda e: e.mean(0),
    avgmax=lambda e: (e.max(0) + e.mean(0)) / 2,
    l2=lambda e: np.sqrt((e**2).mean(0)),
)


@pytest.mark.parametrize('row', layers.POOLINGS)
@pytest.mark.parametrize('shape', [(2, 8, 8, 3), (1, 5, 7, 2), (2, 1, 4, 2), (1, 2, 2, 1)])
def test_pooling(arrays, row, shape):
    (x,) = arrays(shape)
    pool = pooling.Pool(row)
    actual, variables = pool.init_with_output(jax.random.key(0), x)
    down, right = min(2, shape[1]), min(2, shape[2])
    rows, columns = shape[1] // down, shape[2] // right
    assert actual.shape == (shape[0], rows, columns, shape[3])
    cut = x[:, : rows * down, : columns * right].reshape(
        shape[0], rows, down, columns, right, shape[3]
    )
    elements = cut.transpose(2, 4, 0, 1, 3, 5).reshape(
        down * right, shape[0], rows, columns, shape[3]
    )
    if row == 'strided':
        kernel = variables['params']['kernel'].reshape(down, right, shape[3], shape[3])
        expected = lax.conv_general_dilated(
            x, kernel, (down, right), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
        )
    else:
        assert not variables
        expected = NUMPY[row](elements)
    np.testing.assert_allclose(actual, expected, atol=2e-4 if row == 'l2' else 1e-5)


def test_the_gradient_of_the_maximum_goes_to_the_first_of_equal_ones(arrays):
    (x,) = arrays((4, 3, 5))
    x[1, 0], x[3, 1] = x.max(0)[0], x.max(0)[1]
    gradient = jax.grad(lambda e: (pooling._maximum(e) * jnp.arange(1.0, 6)[None]).sum())(x)
    expected = np.zeros_like(x)
    rows, columns = np.indices((3, 5))
    expected[x.argmax(0), rows, columns] = np.arange(1.0, 6)
    np.testing.assert_array_equal(gradient, expected)


@pytest.mark.parametrize(
    'module',
    [*map(pooling.Pool, layers.POOLINGS), *map(pooling.GlobalPool, layers.GLOBAL_POOLINGS)],
)
def test_pooling_of_dead_images_has_finite_gradients(module):
    x = jnp.zeros((1, 4, 4, 2))
    variables = module.init(jax.random.key(0), x)
    gradients = jax.grad(lambda v, x: module.apply(v, x).sum(), (0, 1))(variables, x)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradients))


GLOBAL = dict(
    avg=lambda x: x.mean((1, 2)),
    max=lambda x: x.max((1, 2)),
    avgmax=lambda x: (x.mean((1, 2)) + x.max((1, 2))) / 2,
    catavgmax=lambda x: np.concatenate([x.mean((1, 2)), x.max((1, 2))], 1),
    flatten=lambda x: x.reshape(len(x), -1),
    gem=lambda x: np.mean(np.maximum(x, 1e-6) ** 3, (1, 2)) ** (1 / 3),
)


@pytest.mark.parametrize('row', layers.GLOBAL_POOLINGS)
@pytest.mark.parametrize('shape', [(2, 5, 4, 3), (3, 1, 1, 2)])
def test_global_pooling(arrays, row, shape):
    (x,) = arrays(shape)
    result, variables = pooling.GlobalPool(row).init_with_output(jax.random.key(0), x)
    assert bool(variables) == (row == 'gem')
    np.testing.assert_allclose(result, GLOBAL[row](x.astype(np.float64)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('p', [1.0, 2.5, 20.0, 1000.0])
def test_generalised_means_lie_between_the_average_and_the_maximum(arrays, p):
    x = np.abs(arrays((2, 6, 6, 4))[0]) + 1e-3
    apply = lambda p: pooling.GlobalPool('gem').apply(dict(params=dict(exponent=p)), x)
    result, slope = apply(p), jax.grad(lambda p: apply(p).sum())(p)
    least, most = x.mean((1, 2)), x.max((1, 2))
    assert np.all((result > least * (1 - 1e-5)) & (result < most * (1 + 1e-5)))
    assert np.isfinite(slope)
    np.testing.assert_allclose(apply(-1.0), least, rtol=1e-5)  # below 1 it is the average


ROWS = dict(
    pooling=layers.POOLINGS,
    global_pooling=layers.GLOBAL_POOLINGS,
    norm=layers.NORMS,
    init=layers.INITS,
    activation=layers.ACTIVATIONS,
    loss=losses.LOSSES,
    optimizer=optim.OPTIMIZERS,
    schedule=optim.SCHEDULES,
    model=models.MODELS,
    convolutions=(2,),
    hidden=(7,),
    skip=layers.SKIPS,
)
CNN_ONLY = ('pooling', 'global_pooling', 'norm', 'convolutions', 'hidden')


@pytest.mark.parametrize(('table', 'row'), [(table, row) for table in ROWS for row in ROWS[table]])
def test_every_row_of_every_table_trains(table, row, arrays):
    """One step of two members with rates of their own, as one program."""
    model = 'cnn' if table in CNN_ONLY else 'mlp'  # which compiles faster
    choice = dict(
        model=model,
        init='he_normal',
        loss='softmax_cross_entropy',
        optimizer='momentum',
        schedule='linear',
    )
    choice |= {table: row}
    module = models.make_module(num_classes=3, width=4, depth=2 if table == 'skip' else 1, **choice)
    (x,) = arrays((4, 6, 6, 1))
    targets = losses.targets(jnp.array([0, 1, 2, 1]), 3, 0.1)

    def start(path, leaf):
        return (
            layers.INITS[choice['init']](jax.random.key(1), leaf.shape)
            if path[-1].key == 'kernel'
            else leaf
        )

    variables = jax.jit(module.init)(jax.random.key(0), x)
    params, rest = (
        jax.tree_util.tree_map_with_path(start, variables['params']),
        dict(variables, params=None),
    )

    def loss(params):
        logits, _ = module.apply(
            rest | dict(params=params),
            x,
            train=True,
            dropout=0.2,
            rngs=dict(dropout=jax.random.key(1)),
            mutable=['batch_stats'],
        )
        return losses.LOSSES[choice['loss']](logits, targets).mean()

    def step(rate, momentum):
        tx = optim.make_optimizer(
            choice['optimizer'],
            rate * optim.SCHEDULES[choice['schedule']](jnp.asarray(0.1)),
            momentum,
            0.9,
            0.01,
        )
        value, gradients = jax.value_and_grad(loss)(params)
        updates, _ = tx.update(gradients, tx.init(params), params)
        return value, gradients, jax.tree.map(jnp.add, params, updates)

    value, gradients, after = jax.jit(jax.vmap(step))(
        jnp.array([0.01, 0.02]), jnp.array([0.8, 0.9])
    )
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves((value, gradients, after)))
    head = np.asarray(after['head']['bias'] - params['head']['bias'][None])
    assert np.all(np.any(head, -1))
    assert np.any(head[0] != head[1])
    if row not in ('zeros', 'ones'):
        first = next(name for name in ('stage_0', 'layer_0', 'head') if name in params)
        assert all(np.any(leaf) for leaf in jax.tree.leaves(gradients[first]))


@pytest.mark.parametrize('init', layers.INITS)
def test_initialisation_has_the_spread_of_its_name(init):
    shape, fan_in, fan_out = (3, 3, 32, 64), 9 * 32, 9 * 64
    expected = {
        'zeros': 0,
        'ones': 0,
        'normal_0.01': 0.01,
        'normal_1': 1,
        'glorot_uniform': (2 / (fan_in + fan_out)) ** 0.5,
        'glorot_normal': (2 / (fan_in + fan_out)) ** 0.5,
        'he_normal': (2 / fan_in) ** 0.5,
        'lecun_normal': (1 / fan_in) ** 0.5,
        'orthogonal': (1 / fan_in) ** 0.5,
    }
    values = np.asarray(layers.INITS[init](jax.random.key(0), shape))
    assert values.std() == pytest.approx(expected[init], rel=0.03, abs=1e-9)
    assert values.mean() == pytest.approx(float(init == 'ones'), abs=0.03)


@pytest.mark.parametrize('shape', [(3, 3, 4, 8), (2, 2, 1, 9), (30, 5), (5, 30)])
def test_orthogonal_kernels_are_orthogonal_as_matrices(shape):
    matrix = np.asarray(layers.INITS['orthogonal'](jax.random.key(0), shape)).reshape(-1, shape[-1])
    product = matrix.T @ matrix if len(matrix) >= shape[-1] else matrix @ matrix.T
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-5)


GROUPED = dict(group=layers.groups_of, instance=lambda channels: channels)


@pytest.mark.parametrize('norm', GROUPED)
@pytest.mark.parametrize('channels', [1, 2, 3, 6, 7, 16, 20])
def test_norms_of_groups_of_channels_of_one_image(arrays, norm, channels):
    (x,) = arrays((2, 3, 4, channels))
    groups = GROUPED[norm](channels)
    apart = x.reshape(2, 12, groups, channels // groups).astype(np.float64)
    expected = (apart - apart.mean((1, 3), keepdims=True)) / np.sqrt(
        apart.var((1, 3), keepdims=True) + 1e-5
    )

    class Norm(nn.Module):
        @nn.compact
        def __call__(self, x):
            return layers.NORMS[norm](True, 'norm')(x)

    actual, variables = Norm().init_with_output(jax.random.key(0), x)
    np.testing.assert_allclose(actual, expected.reshape(x.shape), atol=1e-4)
    shapes = jax.tree.map(jnp.shape, variables['params'])
    assert shapes == dict(norm=dict(scale=(channels,), bias=(channels,)))


def test_groups_divide_the_channels_and_are_never_single_ones():
    assert [layers.groups_of(n) for n in (1, 2, 3, 4, 6, 7, 12, 16, 32, 48)] == [
        1,
        1,
        1,
        2,
        3,
        1,
        6,
        8,
        8,
        8,
    ]


def test_norm_of_a_single_pixel_is_the_bias_and_its_gradient_is_0():
    module = models.make_module('cnn', 3, width=2, depth=1, norm='instance', activation='tanh')
    x = jnp.ones((2, 1, 1, 4))
    variables = module.init(jax.random.key(0), x)
    variables['params']['stage_0']['norm']['bias'] = jnp.array([0.5, -2.0])
    gradients = jax.grad(lambda v: jnp.square(module.apply(v, x) - 1).sum())(variables)['params']
    assert not np.any(gradients['stage_0']['conv']['kernel'])
    assert np.any(gradients['stage_0']['norm']['bias'])


@pytest.mark.parametrize('settings', [dict(convolutions=3), dict(hidden=6), dict(depth=3)])
def test_more_layers_leave_the_names_of_the_others(settings):
    shapes = lambda **more: jax.eval_shape(
        models.make_module('cnn', 3, width=4, **more).init,
        jax.random.key(0),
        jnp.zeros((1, 8, 8, 1)),
    )['params']
    few, many = shapes(), shapes(**settings)
    for layer, leaves in few['stage_0'].items():
        assert many['stage_0'][layer] == leaves
    assert many['stage_1']['conv'] == few['stage_1']['conv']


def test_added_convolutions_come_before_the_pool_each_with_norm_and_activation(arrays):
    (x,) = arrays((3, 8, 8, 1))
    module = models.make_module(
        'cnn', 3, width=2, depth=1, convolutions=2, norm='none', conv='patches'
    )
    variables = module.init(jax.random.key(0), x)
    stage = variables['params']['stage_0']
    assert set(stage) == {'conv', 'norm', 'conv_1', 'norm_1'}
    images = x
    for suffix in ('', '_1'):
        kernel = stage[f'conv{suffix}']['kernel']
        images = lax.conv_general_dilated(
            images, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
        )
        images = jnp.maximum(images + stage[f'norm{suffix}']['bias'], 0)
    features = images.reshape(3, 4, 2, 4, 2, 2).max((2, 4)).mean((1, 2))
    expected = features @ variables['params']['head']['kernel']
    np.testing.assert_allclose(module.apply(variables, x), expected, atol=1e-5)


def test_a_skip_is_around_the_convolutions_that_keep_the_channels_and_comes_before_the_pool(arrays):
    (x,) = arrays((3, 8, 8, 1))
    settings = dict(width=2, depth=1, convolutions=3, norm='none')
    module = models.make_module('cnn', 3, skip='identity', conv='patches', **settings)
    variables = module.init(jax.random.key(0), x)
    plain = jax.eval_shape(models.make_module('cnn', 3, **settings).init, jax.random.key(0), x)
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, plain)
    stage, images = variables['params']['stage_0'], x
    for i, suffix in enumerate(('', '_1', '_2')):
        kernel = stage[f'conv{suffix}']['kernel']
        branch = lax.conv_general_dilated(
            images, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
        )
        branch = jnp.maximum(branch + stage[f'norm{suffix}']['bias'], 0)
        images = images + branch if i else branch
    features = images.reshape(3, 4, 2, 4, 2, 2).max((2, 4)).mean((1, 2))
    expected = features @ variables['params']['head']['kernel']
    np.testing.assert_allclose(module.apply(variables, x), expected, atol=1e-4)


def test_a_skip_around_no_convolution_is_an_error(arrays):
    (x,) = arrays((1, 8, 8, 1))
    start = lambda **settings: jax.eval_shape(
        models.make_module('cnn', 3, skip='identity', **settings).init, jax.random.key(0), x
    )
    with pytest.raises(
        InputError, match=r"skip='identity': no layer has as many outputs .* set convolutions to 2"
    ):
        start(width=2)
    start(width=1)  # as many as the channels of the images


def test_the_hidden_layer_is_dense_and_activated(arrays):
    (x,) = arrays((3, 8, 8, 1))
    module = models.make_module('cnn', 3, width=2, hidden=5, activation='tanh', norm='none')
    variables = module.init(jax.random.key(0), x)
    params = variables['params']
    assert params['hidden']['kernel'].shape == (4, 5)
    params['hidden'] = jax.tree.map(jnp.zeros_like, params['hidden']) | dict(bias=jnp.arange(5.0))
    expected = np.tanh(np.arange(5)) @ params['head']['kernel']
    np.testing.assert_allclose(module.apply(variables, x), np.tile(expected, (3, 1)), atol=1e-5)


@pytest.mark.skipif(bool(native.missing()), reason='the native part is not built')
@pytest.mark.parametrize('skip', layers.SKIPS)
@pytest.mark.parametrize(('norm', 'row'), [('batch', 'max'), ('none', 'strided'), ('group', 'avg')])
def test_several_convolutions_are_the_same_with_the_native_part(arrays, norm, row, skip):
    (x,) = arrays((3, 7, 6, 2))

    def outcome(conv):
        settings = dict(convolutions=2, norm=norm, pooling=row, skip=skip, conv=conv)
        module = models.make_module('cnn', 3, width=4, depth=1, **settings)
        variables = jax.jit(module.init)(jax.random.key(0), x)
        loss = lambda v: jnp.square(
            module.apply(v, x, train=True, mutable=['batch_stats'])[0] - 1
        ).sum()
        return jax.jit(jax.value_and_grad(loss))(variables)

    actual, expected = outcome('onednn'), outcome('patches')
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for leaf, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(leaf, other, atol=1e-4 * (1 + np.abs(other).max()))


def test_dropout_keeps_the_mean_and_is_the_identity_at_rate_0():
    x = jnp.ones((200, 200))
    assert np.array_equal(layers.dropout(x, 0.0, jax.random.key(0)), x)
    dropped = np.asarray(layers.dropout(x, 0.25, jax.random.key(0)))
    assert np.mean(dropped == 0) == pytest.approx(0.25, abs=0.01)
    assert np.allclose(dropped[dropped > 0], 1 / 0.75)


def test_deep_networks_pool_only_while_there_is_something_to_pool():
    module = models.make_module('cnn', 10, width=1, depth=5)
    logits, _ = jax.eval_shape(module.init_with_output, jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
    assert logits.shape == (1, 10)
