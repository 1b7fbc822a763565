"""Network without convolutions against NumPy, on images and rows; its intermediate outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import models
from jaxdl.errors import InputError
from jaxdl.models import layers


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(6, 1, 1, 30)).astype(np.float32)


def made(images, **settings):
    module = models.make_module('mlp', 2, **dict(width=5, depth=2) | settings)
    variables = jax.jit(module.init)(jax.random.key(0), images)
    rng = np.random.default_rng(1)
    return module, jax.tree.map(
        lambda a: a + rng.normal(size=a.shape).astype(np.float32) ** 2, variables
    )


def test_it_is_products_biases_and_activations(images):
    module, variables = made(images, norm='none', activation='tanh')
    features = images.reshape(6, 30).astype(np.float64)
    for i in range(2):
        layer = variables['params'][f'layer_{i}']
        features = np.tanh(
            features @ np.asarray(layer['dense']['kernel']) + np.asarray(layer['norm']['bias'])
        )
    head = variables['params']['head']
    np.testing.assert_allclose(
        module.apply(variables, images), features @ head['kernel'] + head['bias'][None], rtol=1e-4
    )


def test_hidden_outputs_are_available_on_request(images):
    module, variables = made(images, norm='none')
    logits, collections = module.apply(variables, images, mutable=['intermediates'])
    assert list(collections['intermediates']) == ['hidden_0', 'hidden_1']
    last = collections['intermediates']['hidden_1'][0]
    assert last.shape == (6, 5)
    head = variables['params']['head']
    np.testing.assert_allclose(last @ head['kernel'] + head['bias'][None], logits, rtol=1e-5)
    assert module.apply(variables, images).shape == (6, 2)


@pytest.mark.parametrize('norm', layers.NORMS)
def test_every_norm_serves(images, norm):
    module, variables = made(images, norm=norm)
    logits, updated = module.apply(variables, images, train=True, mutable=['batch_stats'])
    assert np.all(np.isfinite(logits))
    assert bool(updated) == (norm == 'batch')
    if norm == 'instance':  # a unit is its own mean: the images are gone
        assert np.ptp(logits, axis=0).max() == 0


def test_images_of_any_shape_and_dropout():
    images = jnp.ones((3, 4, 5, 2))
    module, variables = made(images)
    assert variables['params']['layer_0']['dense']['kernel'].shape == (40, 5)
    rngs = dict(dropout=jax.random.key(1))
    dropped = jax.jit(
        lambda rate: module.apply(variables, images, train=True, dropout=rate, rngs=rngs)
    )
    np.testing.assert_allclose(dropped(0.0), module.apply(variables, images), rtol=1e-5)
    assert not np.allclose(dropped(0.5), dropped(0.0))


def test_with_a_skip_a_layer_adds_to_what_it_is_given(images):
    """The first layer has none (sizes differ); elsewhere the gradient is 1 + that of the branch."""
    module, variables = made(images, norm='none', activation='tanh', depth=3, skip='identity')
    features, layer = images.reshape(6, 30).astype(np.float64), variables['params']
    for i in range(3):
        weights = layer[f'layer_{i}']
        branch = np.tanh(
            features @ np.asarray(weights['dense']['kernel']) + np.asarray(weights['norm']['bias'])
        )
        features = branch if i == 0 else features + branch
    head = layer['head']
    np.testing.assert_allclose(
        module.apply(variables, images), features @ head['kernel'] + head['bias'][None], rtol=1e-4
    )
    plain, _ = made(images, norm='none', activation='tanh', depth=3)
    shapes = lambda module: jax.tree.map(
        jnp.shape, jax.eval_shape(module.init, jax.random.key(0), images)
    )
    assert shapes(module) == shapes(plain)


def test_a_skip_around_a_first_layer_that_keeps_the_width(images):
    module, variables = made(images, norm='none', width=30, depth=1, skip='identity')
    _, collections = module.apply(variables, images, mutable=['intermediates'])
    plain, _ = made(images, norm='none', width=30, depth=1)
    _, branch = plain.apply(variables, images, mutable=['intermediates'])
    expected = images.reshape(6, 30) + branch['intermediates']['hidden_0'][0]
    np.testing.assert_allclose(collections['intermediates']['hidden_0'][0], expected, rtol=1e-6)


def test_a_skip_around_nothing_is_an_error(images):
    with pytest.raises(
        InputError, match=r"skip='identity': no layer has as many outputs .* set depth to 2"
    ):
        made(images, depth=1, skip='identity')
