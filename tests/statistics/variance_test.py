"""Variance components on planted data, and orthogonal arrays."""

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
