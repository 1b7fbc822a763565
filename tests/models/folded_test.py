"""Normalisation folded into convolutions: the outputs of a network stay the same."""

import jax
import numpy as np
import pytest

pytest.importorskip('torch')
from network_pairs import images_of, module_of, pair

from jaxdl.models import ARCHITECTURES
from jaxdl.models.folded import fold

TOLERANCE = 1e-5  # over the range of the values
ONE_OF_EACH = (
    'resnet18',
    'resnet50d',
    'resnet10t',
    'seresnet50',
    'ecaresnet26t',
    'tf_efficientnet_lite0',
    'efficientnet_b0',
    'tf_efficientnetv2_s',
    'mobilenetv3_small_100',
    'convnextv2_atto',
    'resnext50_32x4d',
    'resnet50_v2',
    'resnet50_v2_stage3',
    'resnet20',
    'vit_tiny_patch16_224',
)

compute = jax.jit(
    lambda network, images, method='__call__': getattr(network, method)(images), static_argnums=2
)


def assert_close(actual, expected):
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    assert np.abs(np.asarray(actual) - expected).max() < TOLERANCE * np.ptp(expected)


@pytest.mark.parametrize('lowering', ['auto', 'grouped'])
@pytest.mark.parametrize('name', ONE_OF_EACH)
def test_logits(name, lowering):
    _, _, variables = pair(name)
    module = module_of(name, 0 if ARCHITECTURES[name].truncated else 10, lowering)
    images = images_of(49, multiple=ARCHITECTURES[name].multiple)
    assert_close(compute(fold(module, variables), images), module.apply(variables, images))


@pytest.mark.parametrize('method', ['features', 'feature_map'])
def test_features_and_feature_map(method):
    _, _, variables = pair('resnet20')
    module, images = module_of('resnet20'), images_of(33)
    expected = jax.jit(lambda images: module.apply(variables, images, method=method))(images)
    assert_close(compute(fold(module, variables), images, method), expected)


def test_weights_are_arguments_not_constants():
    _, _, variables = pair('resnet20')
    network, images = fold(module_of('resnet20'), variables), images_of(33)
    assert np.any(compute(network, images))
    zeros = jax.tree.map(np.zeros_like, network)
    before = compute._cache_size()
    assert not np.any(compute(zeros, images))
    assert compute._cache_size() == before
