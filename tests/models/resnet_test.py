"""Pretrained networks against timm and plain PyTorch, on random weights and statistics."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip('torch')
import parity  # noqa: E402
from network_pairs import images_of, module_of, pair, to_torch  # noqa: E402

from jaxdl import native  # noqa: E402
from jaxdl.models import ARCHITECTURES  # noqa: E402
from jaxdl.models.blocks import batch_norm, downsample, max_pool  # noqa: E402

TOLERANCE = 1e-5  # of logits, over their range; measured: below 1e-6 everywhere
quick = functools.partial(
    jax.jit, compiler_options={'xla_backend_optimization_level': 0}
)  # compiles in half the time


def close(actual, expected, tolerance=TOLERANCE):
    assert actual.shape == expected.shape
    assert np.abs(np.asarray(actual) - expected).max() < tolerance * np.ptp(expected)


@pytest.mark.parametrize(
    'name', ['resnet18', 'resnet50_v2', 'resnet20', 'ecaresnet26t', 'tf_efficientnet_lite0']
)
def test_the_compiled_network_equals_pytorch(name):
    """Every architecture is in parity_test.py, operation by operation."""
    network, _, variables = pair(name)
    classes, images = 10, images_of(49)
    with torch.no_grad():
        expected = network(to_torch(images)).numpy()
    close(quick(module_of(name, classes).apply)(variables, images), expected)


@pytest.mark.parametrize('name', ['resnet18', 'resnet20'])
def test_without_the_native_part_the_same(name):
    images, (network, _, variables) = images_of(49), pair(name)
    with torch.no_grad():
        expected = network(to_torch(images)).numpy()
    close(quick(module_of(name, 10, 'grouped').apply)(variables, images), expected)


@pytest.mark.parametrize(
    ('name', 'train'),
    [
        *((name, False) for name in ('resnet18', 'resnet50', 'ecaresnet26t')),
        ('tf_efficientnet_lite0', False),
        ('resnet18', True),
        ('tf_efficientnet_lite0', True),
        ('vit_tiny_patch16_224', False),
    ],
)
def test_gradients_and_running_statistics_are_those_of_pytorch(name, train):
    # In training in float64, where rounding, which norms over few pixels amplify from block to
    # block, hides nothing.
    dtype, tolerance = (np.float64, 1e-9) if train else (np.float32, 1e-3)
    tensors, labels = pair(name)[1], np.arange(3)
    images = images_of(49, 3, ARCHITECTURES[name].multiple).astype(dtype)
    with jax.enable_x64(train):
        variables = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), pair(name)[2])
        module = module_of(name, lowering='grouped' if train else 'auto')
        value, actual = parity.gradients_of_ours(module, variables, images, labels, train)
    torch_dtype = torch.float64 if train else torch.float32
    wanted_value, wanted = parity.gradients_of_torch(
        name, tensors, images, labels, train, torch_dtype
    )
    assert value == pytest.approx(wanted_value, rel=tolerance)
    assert parity.largest_difference(actual, wanted) < tolerance


@pytest.mark.parametrize('count', [1, 3])
def test_batch_norm_is_that_of_pytorch_where_it_matters(count):
    images = np.random.default_rng(0).normal(3, 2, (count, 1, 2, 4)).astype(np.float32)
    norm = torch.nn.BatchNorm2d(4)
    module = batch_norm('auto')
    variables = module.init(jax.random.key(0), images, True)
    assert not np.any(variables['batch_stats']['mean'])  # to initialise is not to train
    actual, changed = module.apply(variables, images, True, mutable=['batch_stats'])
    expected = norm(to_torch(images)).detach().numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    np.testing.assert_allclose(
        changed['batch_stats']['var'], norm.running_var.numpy(), rtol=1e-5
    )  # the unbiased one
    np.testing.assert_allclose(changed['batch_stats']['mean'], norm.running_mean.numpy(), rtol=1e-5)


@pytest.mark.parametrize('shape', [(4, 6), (5, 4), (7, 7), (1, 2)])
def test_pooling_at_the_border(shape):
    images = (
        np.random.default_rng(0).normal(-5, 1, (2, *shape, 3)).astype(np.float32)
    )  # zeros would show
    functional = torch.nn.functional
    pooled = functional.avg_pool2d(to_torch(images), 2, 2, ceil_mode=True, count_include_pad=False)
    np.testing.assert_allclose(
        downsample(jnp.asarray(images)), pooled.numpy().transpose(0, 2, 3, 1), rtol=1e-6
    )
    largest = functional.max_pool2d(to_torch(images), 3, 2, 1).numpy().transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(max_pool(jnp.asarray(images)), largest)


def test_features_and_their_map():
    images, (network, _, variables) = images_of(49), pair('resnet18')
    with torch.no_grad():
        expected = network.forward_features(to_torch(images)).numpy().transpose(0, 2, 3, 1)
    module = module_of('resnet18')
    call = lambda method: quick(functools.partial(module.apply, method=method))(variables, images)
    actual, features, logits = map(call, ('feature_map', 'features', '__call__'))
    close(actual, expected)
    np.testing.assert_allclose(features, actual.mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(
        module.apply(variables, features, method='classify'), logits, rtol=1e-4, atol=1e-5
    )
    headless = {
        **variables,
        'params': {k: v for k, v in variables['params'].items() if k != 'head'},
    }
    np.testing.assert_array_equal(quick(module_of('resnet18', 0).apply)(headless, images), features)


def test_half_precision_keeps_its_parameters_and_its_statistics():
    images, (_, _, variables) = jnp.asarray(images_of(16)), pair('resnet20')
    module = module_of('resnet20')
    apply = quick(lambda images: module.apply(variables, images, True, mutable=['batch_stats']))
    halves = images.astype(jnp.bfloat16)
    assert (
        jax.eval_shape(lambda: module.apply(variables, halves, method='feature_map')).dtype
        == jnp.bfloat16
    )
    logits, changed = apply(halves)
    assert {leaf.dtype for leaf in jax.tree.leaves((logits, changed))} == {np.dtype(np.float32)}
    exact = apply(images)[0]
    assert 0 < np.abs(logits - exact).max() < 0.2 * np.ptp(exact)


def test_dropout_is_of_the_features_in_training_only():
    _, _, variables = pair('resnet20')
    features = np.random.default_rng(0).uniform(1, 2, (5, 64)).astype(np.float32)
    classify = functools.partial(module_of('resnet20').apply, variables, method='classify')
    whole = classify(features)
    np.testing.assert_array_equal(classify(features, False, 0.9), whole)
    np.testing.assert_array_equal(classify(features, True, 0.0), whole)
    rngs = {'dropout': jax.random.key(1)}
    traced = jax.jit(lambda rate: classify(features, True, rate, rngs=rngs))
    assert np.all(np.abs(traced(0.5) - whole).max(1) > 1e-2)
    np.testing.assert_array_equal(traced(0.0), whole)


def test_parts_in_training_and_the_others_as_in_evaluation():
    (_, _, variables), module = pair('resnet20'), module_of('resnet20')
    images, frozen = jnp.asarray(images_of(16)), ('conv1', 'bn1', 'layer1')

    def loss(params):
        in_evaluation = {
            k: jax.lax.stop_gradient(v) if k.startswith(frozen) else v for k, v in params.items()
        }
        changed_variables = {**variables, 'params': in_evaluation}
        features, changed = module.apply(
            changed_variables,
            images,
            ('layer2', 'layer3'),
            method='features',
            mutable=['batch_stats'],
        )
        return features.sum(), changed['batch_stats']

    (_, statistics), gradients = quick(jax.value_and_grad(loss, has_aux=True))(variables['params'])
    for name, values in statistics.items():
        same = jax.tree.map(np.array_equal, values, variables['batch_stats'][name])
        assert all(jax.tree.leaves(same)) == name.startswith(frozen), name
    for name, values in gradients.items():
        assert any(map(np.any, jax.tree.leaves(values))) == (
            not name.startswith((*frozen, 'head'))
        ), name


@pytest.mark.skipif(bool(native.missing()), reason=native.missing() or 'built')
def test_no_gradient_passes_through_frozen_layers():
    (_, _, variables), module = pair('resnet20'), module_of('resnet20')

    def loss(params):
        frozen = {
            k: v if k.startswith('layer3') else jax.lax.stop_gradient(v) for k, v in params.items()
        }
        changed_variables = {**variables, 'params': frozen}
        return module.apply(
            changed_variables,
            images_of(16),
            ('layer3',),
            method='features',
            mutable=['batch_stats'],
        )[0].sum()

    text = quick(jax.grad(loss)).lower(variables['params']).compile().as_text()
    calls = [
        text.count(f'custom_call_target="jaxdl_{name}"')
        for name in ('conv_forward', 'kernel_gradient', 'conv_data')
    ]
    assert calls == [
        19,
        6,
        5,
    ]  # of 19 convolutions 6 learn, and the first of them need not send a gradient on
