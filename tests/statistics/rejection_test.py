"""Thresholds that keep a share of the images with known classes."""

import numpy as np
import pytest

from jaxdl.statistics import rejection


def draw(n, classes=3, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(classes), n).astype(np.float32)


@pytest.mark.parametrize('share', [0.0, 0.5, 0.9, 0.95, 0.995, 1.0])
@pytest.mark.parametrize('n', [1, 2, 7, 400, 999])
def test_at_least_the_share_is_kept_and_hardly_more(n, share):
    probabilities = draw(n)
    threshold = rejection.find_threshold(rejection.confidence_quantiles(probabilities), share)
    kept = np.mean(probabilities.max(1) >= threshold)
    assert kept >= share
    assert kept <= share + 0.005 + 2 / n


def test_thresholds_fall_with_the_share():
    quantiles = rejection.confidence_quantiles(draw(300))
    thresholds = [rejection.find_threshold(quantiles, share) for share in (0.5, 0.9, 0.99, 1.0)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert rejection.confidence_quantiles(draw(0)) == ()


def test_the_trade_off_is_counted():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.55, 0.45]])
    half, whole = rejection.measure_thresholds(probabilities, np.array([0, 0, 0, 1]), (0.5, 1.0))
    assert half[1:] == (0.8, 0.5, 1.0, 0.0)
    assert whole[:4] == (1.0, 0.55, 1.0, 0.5)
    assert np.isnan(whole.accuracy_below)
