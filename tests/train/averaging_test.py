"""Averages of weights, against the sums that define them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.train import averaging


def _path(steps):
    """Parameters and batch statistics after each step: float32 [steps, ...]."""
    rng = np.random.default_rng(0)
    arrays = lambda *shape: jnp.asarray(rng.normal(size=(steps, *shape)), jnp.float32)
    return dict(head=dict(kernel=arrays(3, 2), bias=arrays(2))), dict(
        bn1=dict(mean=arrays(4), var=arrays(4) ** 2)
    )


def _averaged(path, decay):
    """The average after every step, corrected."""

    def step(average, now):
        i, tree = now
        average = averaging.update_average(average, tree, decay, i)
        return average, averaging.correct_bias(average, decay, i + 1)

    steps = len(jax.tree.leaves(path)[0])
    first = averaging.start_average(jax.tree.map(lambda leaf: leaf[0], path))
    return jax.lax.scan(step, first, (jnp.arange(steps), path))[1]


@pytest.mark.parametrize('decay', [0.3, 0.9, 0.9999])
def test_averages_are_weighted_means_of_all_steps(decay):
    path = _path(12)
    averages = jax.jit(_averaged)(path, decay)
    for i in (0, 1, 11):
        weights = decay ** np.arange(i, -1, -1, dtype=np.float64)
        mean = lambda leaf, i=i, w=weights: np.tensordot(
            w / w.sum(), np.asarray(leaf[: i + 1], np.float64), 1
        )
        jax.tree.map(
            lambda item, leaf, i=i, m=mean: np.testing.assert_allclose(item[i], m(leaf), atol=1e-5),
            averages,
            path,
        )


def test_decay_0_is_exactly_what_came_last():
    path = _path(5)
    for run in (_averaged, jax.jit(_averaged)):
        jax.tree.map(np.testing.assert_array_equal, run(path, 0.0), path)


def test_step_0_resets_the_average():
    path = _path(1)
    old = jax.tree.map(lambda leaf: jnp.full(leaf.shape[1:], jnp.nan), path)
    first = jax.tree.map(lambda leaf: leaf[0], path)
    averages = averaging.correct_bias(averaging.update_average(old, first, 0.99, 0), 0.99, 1)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), averages, first)


def test_an_average_of_halves_is_not_rounded_to_halves():
    average = averaging.start_average(dict(x=jnp.ones(2, jnp.bfloat16)))
    assert average['x'].dtype == jnp.float32


def _candidate(*values):
    return dict(
        params=dict(x=jnp.asarray(values, jnp.float32)), batch_stats=dict(m=jnp.asarray(values[:1]))
    )


def _near(target):
    return lambda tree: (
        -float(jnp.abs(tree['params']['x'] - jnp.asarray(target, jnp.float32)).max())
    )


def test_a_soup_adds_only_members_that_improve_the_score():
    candidates = [_candidate(9.0, -7.0), _candidate(1.5, 0.0), _candidate(-1.0, 0.0)]
    mixed, chosen = averaging.average_greedily(candidates, _near([0.25, 0.0]))
    assert chosen == [1, 2] or chosen == [2, 1]
    np.testing.assert_array_equal(mixed['params']['x'], [0.25, 0.0])
    np.testing.assert_array_equal(mixed['batch_stats']['m'], [0.25])


@pytest.mark.parametrize('seed', range(5))
def test_a_soup_is_the_mean_of_the_chosen_and_no_worse_than_any(seed):
    rng = np.random.default_rng(seed)
    candidates, score = (
        [_candidate(*rng.normal(size=3)) for _ in range(6)],
        _near(rng.normal(size=3)),
    )
    mixed, chosen = averaging.average_greedily(candidates, score)
    assert len(set(chosen)) == len(chosen) >= 1
    assert chosen[0] == int(np.argmax([score(candidate) for candidate in candidates]))
    assert score(mixed) >= max(map(score, candidates))
    mean = np.mean([candidates[i]['params']['x'] for i in chosen], 0)
    np.testing.assert_allclose(mixed['params']['x'], mean, atol=1e-6)


def test_a_diverged_candidate_is_left_out_of_a_soup():
    candidates = [
        _candidate(float('nan'), 0.0),
        _candidate(1.0, 0.0),
        _candidate(float('nan'), 1.0),
    ]
    mixed, chosen = averaging.average_greedily(candidates, _near([0.0, 0.0]))
    assert chosen == [1]
    np.testing.assert_array_equal(mixed['params']['x'], [1.0, 0.0])


def test_a_soup_of_one_is_that_one():
    (only,) = candidates = [_candidate(0.1, 0.7)]
    assert averaging.average_greedily(candidates, _near([0.0, 0.0])) == (only, [0])
