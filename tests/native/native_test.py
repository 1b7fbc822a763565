"""Native part: equal to the plain layers, errors with shapes, messages where it is missing."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import models
from jaxdl.errors import InputError
from jaxdl.models import blocks, conv, layers, stage
from jaxdl.models.norm import max_pool_native, norm_relu
from jaxdl.native import loader as native

IMAGES, NORM = (1, 2, 4, 4, 3), dict(norm=1, activation=1, epsilon=1e-5)
built = pytest.mark.skipif(bool(native.missing()), reason=native.missing() or 'built')


SHAPES = dict.fromkeys(layers.POOLINGS, ((4, 8, 8, 3), (4, 7, 5, 20))) | {'none': ((4, 1, 1, 3),)}
ACTIVATIONS = [('max', activation) for activation in stage.SLOPES if activation != 'relu']


@built
@pytest.mark.parametrize(
    ('pooling', 'activation'), [*((pooling, 'relu') for pooling in SHAPES), *ACTIVATIONS]
)
@pytest.mark.parametrize('norm', stage.NORMS)
def test_a_network_is_the_same_with_and_without(norm, activation, pooling):
    for shape in SHAPES[pooling]:
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        actual, expected = (
            outcome(x, norm, activation, pooling, conv) for conv in ('onednn', 'patches')
        )
        assert jax.tree.structure(actual) == jax.tree.structure(expected)
        for (path, leaf), other in zip(
            jax.tree_util.tree_leaves_with_path(actual), jax.tree.leaves(expected), strict=True
        ):
            scale = 1e-3 + np.abs(other).max()
            np.testing.assert_allclose(
                leaf, other, atol=1e-4 * scale, err_msg=jax.tree_util.keystr(path)
            )


def outcome(x, norm, activation, pooling, conv):
    """Loss and gradients in training, new statistics, and the logits in evaluation."""
    settings = dict(
        norm=norm, activation=activation, pooling=pooling if pooling != 'none' else 'max'
    )
    module = models.make_module('cnn', 10, width=5, depth=2, conv=conv, **settings)
    variables = jax.jit(module.init)(jax.random.key(0), x)
    rng = np.random.default_rng(1)
    params = jax.tree.map(
        lambda a: (
            a + 0.8 * rng.normal(size=a.shape).astype(np.float32) if a.shape[-1] == a.size else a
        ),
        variables['params'],
    )  # scales of either sign
    stats = jax.tree.map(lambda a: a + 0.3, variables.get('batch_stats', {}))

    def loss(params, x):
        variables = dict(params=params, batch_stats=stats)
        logits, updated = module.apply(variables, x, train=True, mutable=['batch_stats'])
        return jnp.sum(logits**2 * jnp.arange(10.0)[None]), updated

    def both(params, x):
        trained = jax.value_and_grad(loss, (0, 1), has_aux=True)(params, x)
        return trained, module.apply(dict(params=params, batch_stats=stats), x)

    return jax.device_get(jax.jit(both)(params, x))


@built
def test_not_a_number_spreads():
    x = np.ones((2, 4, 4, 3), np.float32)
    x[0, 1, 1, 2] = np.nan
    for norm in (0, 1):
        for pooling in stage.POOLINGS.values():
            settings = dict(norm=norm, pooling=pooling, slope=0.0, epsilon=1e-5)
            result = np.asarray(
                stage.norm_activation_pool(x, jnp.ones(3), jnp.zeros(3), **settings)[0]
            )
            assert np.isnan(result[0, :, :, 2]).any()
            assert not np.isnan(result[..., :2]).any()


@built
@pytest.mark.parametrize('axes', [(0, 0, 0), (None, 0, 0), (0, None, None), (None, None, 0)])
def test_the_fused_operation_over_members(axes):
    rng = np.random.default_rng(0)
    shapes = ((2, 5, 4, 3), (3,), (3,))
    full = [jnp.asarray(rng.normal(size=(4, *shape)), jnp.float32) for shape in shapes]
    arguments = [a if axis == 0 else a[0] for a, axis in zip(full, axes, strict=True)]
    for pooling in stage.POOLINGS.values():
        settings = dict(norm=1, pooling=pooling, slope=0.01, epsilon=1e-5)
        of = jax.grad(
            lambda *a, s=settings: stage.norm_activation_pool(*a, **s)[0].sum(), (0, 1, 2)
        )
        result = jax.vmap(of, in_axes=axes)(*arguments)
        for i in range(4):
            alone = of(*(a[i] if axis == 0 else a for a, axis in zip(arguments, axes, strict=True)))
            for batched, other in zip(result, alone, strict=True):
                np.testing.assert_allclose(batched[i], other, atol=1e-4)


@built
def test_activations_at_zero_and_infinity_are_those_of_jax():
    x = jnp.asarray([0.0, -jnp.inf, jnp.inf, -1.0, 2.0]).reshape(1, 1, 5, 1)
    for name, slope in stage.SLOPES.items():
        settings = dict(norm=0, pooling=stage.POOLINGS['none'], slope=slope, epsilon=1e-5)

        def fused(x, settings=settings):
            return stage.norm_activation_pool(x, jnp.ones(1), jnp.zeros(1), **settings)[0]

        np.testing.assert_array_equal(fused(x), layers.ACTIVATIONS[name](x))
        slopes = jax.grad(lambda x, f=fused: f(x).sum())(x)
        np.testing.assert_array_equal(
            slopes[..., 3:, :],
            jax.grad(lambda x, n=name: layers.ACTIVATIONS[n](x).sum())(x)[..., 3:, :],
        )
        assert slopes[0, 0, 0, 0] == jax.grad(lambda x, n=name: layers.ACTIVATIONS[n](x))(0.0)


@built
def test_second_derivatives_of_the_fused_operation_are_refused_in_words():
    settings = dict(norm=1, pooling=1, slope=0.0, epsilon=1e-5)

    def f(x):
        return stage.norm_activation_pool(x, jnp.ones(2), jnp.zeros(2), **settings)[0].sum()

    with pytest.raises(ValueError, match='stage_backward'):
        jax.grad(lambda x: jax.grad(f)(x).sum())(jnp.ones((1, 4, 4, 2)))


@built
@pytest.mark.parametrize('beside', ['sum', 'alone'])
@pytest.mark.parametrize('after', ['relu', 'linear'])
@pytest.mark.parametrize('shape', [(5, 7, 6, 20), (7, 1, 2, 3)])
def test_batch_norm_of_one_large_network_is_that_of_xla(shape, after, beside):
    rng = np.random.default_rng(0)
    images, skip, weights = (jnp.asarray(rng.normal(1, 2, shape), jnp.float32) for _ in range(3))
    inputs = images, skip if beside == 'sum' else None

    def outcome(lowering, train):
        module = blocks.batch_norm(lowering, relu=after == 'relu')
        variables = jax.tree.map(
            lambda leaf: leaf + jnp.linspace(-0.5, 1, leaf.size),
            module.init(jax.random.key(0), images, True),
        )

        def loss(params, images, skip):
            variables['params'] = params
            out, changed = module.apply(variables, images, train, skip, mutable=['batch_stats'])
            return (out * weights).sum(), (out, changed)

        arguments = (0, 1, 2) if beside == 'sum' else (0, 1)
        return jax.jit(jax.value_and_grad(loss, arguments, has_aux=True))(
            dict(variables['params']), *inputs
        )

    for train in (True, False):
        actual, expected = outcome('onednn', train), outcome('grouped', train)
        assert jax.tree.structure(actual) == jax.tree.structure(expected)
        for item, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(item, other, atol=5e-5 * (1 + np.abs(other).max()))


@built
@pytest.mark.parametrize('shape', [(2, 7, 6, 20), (1, 1, 2, 3), (2, 4, 5, 16)])
def test_pooling_of_windows_of_three_is_that_of_xla(shape):
    rng = np.random.default_rng(0)
    images = jnp.asarray(
        rng.integers(0, 4, shape), jnp.float32
    )  # many are equal: the first has the gradient
    results = []
    for lowering in ('onednn', 'grouped'):
        pooled, back = jax.vjp(lambda x, by=lowering: blocks.max_pool(x, by), images)
        results.append((pooled, back(jnp.arange(1.0, 1 + pooled.size).reshape(pooled.shape))[0]))
    for leaf, other in zip(*results, strict=True):
        np.testing.assert_array_equal(leaf, other)
    assert np.isnan(blocks.max_pool(images.at[0, 0, 0, 0].set(np.nan), 'onednn')).any()


@built
@pytest.mark.parametrize(
    ('side', 'stride', 'padding'), [(3, 1, 1), (3, 2, 1), (2, 3, 0), (5, 1, 2)]
)
@pytest.mark.parametrize(('channels', 'filters'), [(12, 16), (70, 32), (17, 144)])
def test_convolutions_of_many_channels_are_those_of_xla(channels, filters, side, stride, padding):
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.normal(size=(3, 9, 7, channels)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(side, side, channels, filters)), jnp.float32)
    results = []
    for by in (conv.onednn_large, conv.LOWERINGS['grouped']):
        out, back = jax.vjp(lambda x, w, by=by: by(x, w, stride, padding), images, kernel)
        results.append((out, *back(jnp.cos(jnp.arange(out.size)).reshape(out.shape))))
    for leaf, other in zip(*results, strict=True):
        np.testing.assert_allclose(leaf, other, atol=1e-5 * np.abs(other).max())


@built
def test_the_operations_of_large_networks_over_members():
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.normal(size=(3, 2, 5, 4, 16)), jnp.float32)
    kernels = jnp.asarray(rng.normal(size=(3, 3, 3, 16, 16)), jnp.float32)

    def of(images, kernel):
        out = norm_relu(
            conv.onednn_large(images, kernel, 1, 1),
            jnp.ones(16),
            jnp.zeros(16),
            norm=1,
            activation=1,
            epsilon=1e-5,
        )[0]
        return jnp.square(max_pool_native(out)).sum()

    result = jax.vmap(jax.grad(of, (0, 1)), (0, 0))(images, kernels)
    for i in range(3):
        for batched, other in zip(result, jax.grad(of, (0, 1))(images[i], kernels[i]), strict=True):
            np.testing.assert_allclose(batched[i], other, atol=1e-4 * np.abs(other).max())


@built
@pytest.mark.parametrize(
    ('name', 'results', 'arguments', 'settings'),
    [
        (
            'kernel_gradient',
            [(1, 3, 3, 3, 8)],
            [IMAGES, (1, 2, 4, 4, 8)],
            dict(stride=1, padding=1),
        ),
        ('norm_forward', [(1, 6, 3), (1, 3), (1, 3)], [(1, 6, 3), (1, 0), (1, 4), (1, 3)], NORM),
        ('pool_forward', [(1, 2, 1, 2, 3)], [IMAGES], {}),
        (
            'conv_affine',
            [(1, 2, 4, 4, 5)],
            [IMAGES, (1, 3, 3, 3, 5), (1, 4), (1, 0)],
            dict(stride=1, padding=1, activation=1),
        ),
    ],
)
def test_wrong_shapes_of_large_networks_are_an_error(name, results, arguments, settings):
    with pytest.raises(jax.errors.JaxRuntimeError, match=r'f32\[1,'):
        raw(name, results, *map(jnp.zeros, arguments), **settings)


X, W, Y = IMAGES, (1, 3, 3, 3, 5), (1, 2, 4, 4, 5)
WRONG = dict(
    channels=(X, (1, 3, 3, 2, 5), Y),
    rank=(X[1:], W, Y),
    outputs=(X, W, (1, 2, 5, 4, 5)),
    batch=(X, W, (1, 3, 4, 4, 5)),
    members=((2, *X[1:]), (3, *W[1:]), (3, *Y[1:])),
)


@built
@pytest.mark.parametrize('wrong', WRONG)
@pytest.mark.parametrize('name', ['conv_forward', 'conv_data', 'conv_kernel'])
def test_wrong_shapes_are_an_error_with_the_shapes(name, wrong):
    images, kernel, outputs = WRONG[wrong]
    places = dict(conv_forward=(0, 1, 2), conv_data=(2, 1, 0), conv_kernel=(0, 2, 1))[name]
    first, second, result = ((images, kernel, outputs)[place] for place in places)
    with pytest.raises(
        jax.errors.JaxRuntimeError, match=r'images f32\[.*kernel f32\[.*outputs f32\['
    ):
        raw(name, result, jnp.zeros(first), jnp.zeros(second), stride=1, padding=1)


@built
def test_empty_input_is_an_error():
    with pytest.raises(jax.errors.JaxRuntimeError, match='nothing to compute'):
        raw(
            'conv_kernel',
            W,
            jnp.zeros((1, 0, 4, 4, 3)),
            jnp.zeros((1, 0, 4, 4, 5)),
            stride=1,
            padding=1,
        )


@built
@pytest.mark.parametrize('dtype', ['int32', 'float16', 'bool'])
def test_wrong_numbers_are_an_error(dtype):
    with pytest.raises(jax.errors.JaxRuntimeError, match='must be float32'):
        raw('conv_forward', Y, jnp.zeros(X, dtype), jnp.zeros(W), stride=1, padding=1)


@built
@pytest.mark.parametrize(('stride', 'padding'), [(0, 1), (1, -1), (2, 1)])
def test_wrong_strides_are_an_error(stride, padding):
    with pytest.raises(jax.errors.JaxRuntimeError, match='do not fit'):
        raw('conv_forward', Y, jnp.zeros(X), jnp.zeros(W), stride=stride, padding=padding)


@built
@pytest.mark.parametrize('scale', [(1, 4), (2, 3), (3,)])
def test_wrong_shapes_of_the_fused_operation_are_an_error(scale):
    results = [(1, 2, 2, 2, 3), (1, 2, 2, 2, 3), (1, 3), (1, 3)]
    settings = dict(norm=1, pooling=1, slope=0.0, epsilon=1e-5)
    with pytest.raises(jax.errors.JaxRuntimeError, match=r'images f32\[1,2,4,4,3\]'):
        raw('stage_forward', results, jnp.zeros(X), jnp.zeros(scale), jnp.zeros((1, 3)), **settings)


def raw(name, results, *arguments, **attributes):
    """The handler itself, past what Python checks."""
    assert not native.missing()
    attributes = {
        k: np.float32(v) if isinstance(v, float) else np.int64(v) for k, v in attributes.items()
    }
    many = isinstance(results, list)
    shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in (results if many else [results])]
    call = jax.ffi.ffi_call(f'jaxdl_{name}', shapes)
    return jax.block_until_ready(jax.jit(lambda *a: call(*a, **attributes))(*arguments))


@pytest.fixture
def fresh():
    native.missing.cache_clear()
    yield
    native.missing.cache_clear()


def test_a_missing_native_part_is_reported(fresh, monkeypatch, tmp_path):
    monkeypatch.setattr(native, 'library', lambda: tmp_path / 'none.so')
    assert native.missing() == 'the native part is not built: python -m jaxdl.native builds it'
    with pytest.raises(InputError, match='not built'):
        native.call(
            'conv_forward', [Y[1:]], jnp.zeros(X[1:]), jnp.zeros(W[1:]), stride=1, padding=1
        )


def test_a_file_that_is_no_library_is_reported(fresh, monkeypatch, tmp_path):
    (tmp_path / 'broken.so').write_bytes(b'not a library')
    monkeypatch.setattr(native, 'library', lambda: tmp_path / 'broken.so')
    assert 'broken.so' in native.missing()


@built
def test_another_version_is_reported(fresh, monkeypatch):
    monkeypatch.setattr(native, 'VERSION', '1.0')
    assert (
        native.missing()
        == 'onednn-cpu-gomp is 2023.2.0: must be 1.0: pip install onednn-cpu-gomp==1.0'
    )


@pytest.mark.system
@built
def test_a_library_that_cannot_be_loaded_is_reported(monkeypatch, tmp_path):
    (tmp_path / 'libdnnl.so.3').write_bytes(b'not a library')
    code = 'import pathlib, sys; from jaxdl.native import loader; '
    code += f'loader.onednn = lambda: pathlib.Path({str(tmp_path)!r}) / "libdnnl.so.3"; '
    code += 'print(loader.missing()); '
    code += 'from jaxdl.models.conv import default_lowering; print(default_lowering())'
    process = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    why, lowering = process.stdout.splitlines()
    assert 'libdnnl.so.3' in why
    assert lowering == 'patches'


def test_building_without_a_compiler_is_reported(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.setattr(native, 'onednn', lambda: tmp_path)
    monkeypatch.setattr(native, 'library', lambda: tmp_path / 'new.so')
    assert native.main() == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert error.startswith('jaxdl: the native part is not built, convolutions will be slower: ')
