"""A network with its norms folded into its convolutions computes what it computed."""

import jax
import numpy as np
import pytest

pytest.importorskip('torch')
from ported import images_of, module_of, pair

from jaxdl.models import ARCHITECTURES
from jaxdl.models.folded import METHODS, fold

TOLERANCE = 1e-5  # over the range of what is compared


def close(found, expected):
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    assert np.abs(np.asarray(found) - expected).max() < TOLERANCE * np.ptp(expected)


ONE_OF_EACH = (
    'resnet18',
    'resnet50d',
    'resnext50_32x4d',
    'resnet50_v2',
    'resnet50_v2_stage3',
    'resnet20',
)


@pytest.mark.parametrize('lowering', ['auto', 'grouped'])
@pytest.mark.parametrize('name', ONE_OF_EACH)
def test_the_logits_stay(name, lowering):
    _, _, variables = pair(name)
    module = module_of(name, 0 if ARCHITECTURES[name].truncated else 10, lowering)
    images = images_of(49)
    close(fold(module, variables)(images), module.apply(variables, images))


@pytest.mark.parametrize('method', METHODS)
def test_features_and_their_map_stay(method):
    _, _, variables = pair('resnet20')
    module, images = module_of('resnet20'), images_of(33)
    expected = jax.jit(lambda images: module.apply(variables, images, method=method))(images)
    close(fold(module, variables, method)(images), expected)


def test_the_weights_are_arguments_not_constants():
    _, _, variables = pair('resnet20')
    folded, images = fold(module_of('resnet20'), variables), images_of(33)
    twice = jax.tree.map(lambda leaf: 0 * leaf, folded)
    assert not np.any(jax.jit(lambda f, x: f(x))(twice, images))


def test_another_method_is_refused_in_words():
    _, _, variables = pair('resnet20')
    with pytest.raises(ValueError, match='cannot be folded: __call__, features, feature_map'):
        fold(module_of('resnet20'), variables, 'classify')
