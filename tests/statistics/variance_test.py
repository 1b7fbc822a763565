"""Variance components on planted data, two-way bootstrap coverage, orthogonal arrays."""

import itertools

import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.statistics import variance


@pytest.mark.parametrize(('levels', 'factors'), [(2, 2), (2, 3), (3, 4), (5, 4), (7, 4), (7, 8)])
def test_every_two_levels_of_any_two_factors_meet_once(levels, factors):
    runs = variance.orthogonal_array(levels, factors)
    assert runs.shape == (levels**2, factors)
    for one, other in itertools.combinations(range(factors), 2):
        assert (
            len(set(zip(runs[:, one].tolist(), runs[:, other].tolist(), strict=True))) == levels**2
        )


@pytest.mark.parametrize(('levels', 'factors'), [(1, 2), (4, 3), (9, 3), (5, 7), (5, 1)])
def test_no_such_array(levels, factors):
    with pytest.raises(InputError, match='levels'):
        variance.orthogonal_array(levels, factors)


def drawn(rng, planted, rest, levels=5):
    runs = variance.orthogonal_array(levels, len(planted))
    effects = [rng.normal(0, deviation, levels) for deviation in planted.values()]
    values = sum(effect[column] for effect, column in zip(effects, runs.T, strict=True))
    return values + rng.normal(0, rest, len(runs)), dict(zip(planted, runs.T, strict=True))


def test_planted_components_are_recovered_on_average():
    rng, planted = np.random.default_rng(0), dict(init=2.0, order=1.0, augmentation=0.0, split=4.0)
    components = [variance.variance_components(*drawn(rng, planted, 1.0)) for _ in range(600)]
    mean = dict(
        zip(
            [*planted, 'rest'],
            np.mean([[c.variance for c in each] for each in components], 0),
            strict=True,
        )
    )
    assert mean == pytest.approx(
        dict(init=4, order=1, augmentation=0.1, split=16, rest=1), rel=0.15, abs=0.1
    )
    assert all(sum(c.share for c in each) == pytest.approx(1) for each in components)
    p = np.array([[c.p_value for c in each[:-1]] for each in components])
    assert np.mean(p[:, 2] < 0.05) == pytest.approx(0.05, abs=0.03)  # nothing was planted there
    assert np.mean(p[:, 3] < 0.05) > 0.95


def test_the_interaction_of_two_sources_is_the_rest():
    rng = np.random.default_rng(1)
    runs = variance.orthogonal_array(7, 4)
    rests = []
    for _ in range(200):
        together = rng.normal(0, 1, (7, 7))[runs[:, 0], runs[:, 1]]
        components = variance.variance_components(together, dict(zip('abcd', runs.T, strict=True)))
        rests.append(components[-1].variance)
        assert [each.source for each in components] == ['a', 'b', 'c', 'd', 'rest']
    assert np.mean(rests) == pytest.approx(1, abs=0.05)


def test_runs_that_are_all_the_same():
    levels = dict(zip('abcd', variance.orthogonal_array(5, 4).T, strict=True))
    components = variance.variance_components(np.full(25, 0.1), levels)
    assert [(c.share, c.variance) for c in components] == [(0.0, 0.0)] * 5
    assert [c.p_value for c in components] == [1.0] * 4 + [None]


RUNS = variance.orthogonal_array(3, 4)


@pytest.mark.parametrize(
    ('values', 'levels', 'message'),
    [
        (np.zeros(8), dict(a=RUNS[:, 0], b=RUNS[:, 1]), 'one entry per run'),
        (
            np.zeros(8),
            dict(a=RUNS[:8, 0], b=RUNS[:8, 1]),
            'levels of a and b must meet equally often',
        ),
        (np.zeros(9), dict(a=RUNS[:, 0], b=np.zeros(9, int)), 'b needs at least 2 levels'),
        (np.full(9, np.nan), dict(a=RUNS[:, 0], b=RUNS[:, 1]), 'finite'),
        (np.zeros(9), dict(zip('abcd', RUNS.T, strict=True)), 'no residual degrees of freedom'),
    ],
)
def test_runs_that_cannot_be_analysed(values, levels, message):
    with pytest.raises(InputError, match=message):
        variance.variance_components(values, levels)


def two_way(rng, n, m, seeds, images, rest):
    return (
        rng.normal(0, seeds, (n, 1)) + rng.normal(0, images, (1, m)) + rng.normal(0, rest, (n, m))
    )


@pytest.mark.parametrize(
    ('n', 'seeds', 'images'), [(10, 0.2, 0.0), (10, 0.0, 0.8), (10, 0.1, 0.5), (4, 0.1, 0.5)]
)
def test_the_interval_covers_other_seeds_and_other_images(n, seeds, images):
    rng, rest, m = np.random.default_rng(2), 0.3, 60
    intervals = [
        variance.two_way_bootstrap(two_way(rng, n, m, seeds, images, rest), 800) for _ in range(250)
    ]
    assert 0.90 <= np.mean([each.interval[0] < 0 < each.interval[1] for each in intervals]) <= 0.995
    parts = np.array([seeds**2 / n, images**2 / m, rest**2 / (n * m)])
    width = np.mean([np.diff(each.interval) for each in intervals])
    assert (
        1 <= width / (2 * 1.96 * np.sqrt(parts.sum())) < 1.6
    )  # analytic; t of few seeds and Owen's factor widen
    shares = np.mean(
        [(each.share_seeds, each.share_images, each.share_rest) for each in intervals], 0
    )
    assert shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(shares, parts / parts.sum(), atol=0.2 if n < 10 else 0.07)


def test_the_spread_of_the_bootstrap_is_the_analytic_one():
    """n - 1 of n drawn give the unbiased variance of a mean, for seeds and for images."""
    rng = np.random.default_rng(3)
    for d in (np.tile(rng.normal(size=(8, 1)), (1, 30)), np.tile(rng.normal(size=(1, 30)), (8, 1))):
        means = variance._resampled(d, 20_000, rng)
        way = d.mean(1) if d[0, 0] == d[0, 1] else d.mean(0)
        assert means.var() == pytest.approx(way.var(ddof=1) / len(way), rel=0.05)
        assert means.mean() == pytest.approx(d.mean(), abs=0.01)


def test_equal_images_are_drawn_like_others():
    rng = np.random.default_rng(4)
    d = rng.choice([-1.0, 0.0, 1.0], (6, 400), p=[0.02, 0.95, 0.03])
    jittered = d + rng.normal(0, 1e-9, d.shape)  # now no two images are alike
    one, other = variance.two_way_bootstrap(d, 20_000), variance.two_way_bootstrap(jittered, 20_000)
    np.testing.assert_allclose(one.interval, other.interval, atol=0.002)


def test_the_same_differences_give_the_same_record():
    d = np.random.default_rng(5).normal(size=(5, 40))
    assert variance.two_way_bootstrap(d) == variance.two_way_bootstrap(d.copy())
    assert variance.two_way_bootstrap(d) != variance.two_way_bootstrap(d, seed=1)


def test_chunks_change_nothing(monkeypatch):
    d = np.random.default_rng(6).normal(size=(5, 40))
    whole = variance.two_way_bootstrap(d, 500)
    monkeypatch.setattr(variance, 'NUMBERS', 40 * 7)
    assert variance.two_way_bootstrap(d, 500).interval == pytest.approx(whole.interval)


def test_differences_without_any_variance():
    interval = variance.two_way_bootstrap(np.full((3, 4), 0.5))
    assert (interval.difference, interval.interval) == (0.5, (0.5, 0.5))
    assert (interval.share_seeds, interval.share_images, interval.share_rest) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize('shape', [(1, 9), (9, 1), (9,)])
def test_the_two_way_bootstrap_needs_two_seeds_and_two_images(shape):
    with pytest.raises(InputError, match='2 seeds and 2 images'):
        variance.two_way_bootstrap(np.zeros(shape))
