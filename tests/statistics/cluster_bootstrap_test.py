"""Bootstrap of scores over groups of images: closed forms, invariances and coverage."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from jaxdl import statistics
from jaxdl.errors import InputError
from jaxdl.statistics import classification, compare_predictions, score_predictions

CASES = st.tuples(st.integers(0, 10**6), st.integers(12, 60), st.integers(2, 8), st.integers(2, 40))


def drawn(seed, n=120, classes=5, groups=30):
    """Labels, predictions of two networks, and groups, int [n] each."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    one, other = (
        np.where(rng.random(n) < share, labels, rng.integers(0, classes, n)) for share in (0.8, 0.6)
    )
    return labels, one, other, rng.integers(0, groups, n)


def expanded_tail(groups):
    """Probability outside each end of the interval, written with distribution functions."""
    return stats.norm.cdf(-stats.t.ppf(0.975, groups - 1) / math.sqrt(1 - 1 / groups))


@settings(deadline=None, max_examples=25)
@given(CASES)
def test_values_are_the_scores_and_do_not_depend_on_order_or_names(case):
    labels, one, other, groups = drawn(*case)
    result = compare_predictions(labels, one, other, groups, resamples=50)
    for scores, predicted in ((result.option, one), (result.baseline, other)):
        logits = np.eye(int(max(labels.max(), one.max(), other.max())) + 1)[predicted]
        expected = classification.scores(logits, labels)
        assert scores.accuracy.value == pytest.approx(expected['accuracy'], abs=1e-12)
        assert scores.macro_f1.value == pytest.approx(expected['macro_f1'], abs=1e-12)
        assert (scores.images, scores.groups) == (len(labels), len(np.unique(groups)))
    assert result.accuracy.value == pytest.approx(
        np.mean((one == labels) * 1.0 - (other == labels))
    )
    order = np.random.default_rng(0).permutation(len(labels))
    names = np.array([f'burst {(group * 7) % 41}' for group in groups])
    mixed = compare_predictions(labels[order], one[order], other[order], names[order], resamples=50)
    assert mixed == result


def test_groups_of_one_image_are_the_bootstrap_of_images():
    """The number of correct images of a resample is then binomial."""
    labels, predicted, _, _ = drawn(0, n=200)
    alone = score_predictions(labels, predicted, resamples=50_000).accuracy
    tail, share = expanded_tail(200), alone.value
    expected = stats.binom.ppf([tail, 1 - tail], 200, share) / 200
    assert alone.interval == pytest.approx(expected, abs=1.01 / 200)
    named = score_predictions(labels, predicted, np.arange(200)[::-1], resamples=50_000)
    assert named.accuracy == alone


def test_copies_of_every_image_in_its_group_change_no_interval():
    labels, one, other, _ = drawn(1, n=40)
    alone = compare_predictions(labels, one, other, resamples=500)
    copies = np.repeat(np.arange(40), 3)
    tripled = compare_predictions(labels[copies], one[copies], other[copies], copies, 500)
    for name in ('accuracy', 'macro_f1'):
        single, triple = getattr(alone, name), getattr(tripled, name)
        assert triple.interval == pytest.approx(single.interval, abs=1e-12)
    ungrouped = compare_predictions(labels[copies], one[copies], other[copies], resamples=500)
    ratio = np.diff(ungrouped.accuracy.interval)[0] / np.diff(alone.accuracy.interval)[0]
    assert ratio == pytest.approx(1 / math.sqrt(3), rel=0.2)


def test_the_difference_is_paired():
    """Two networks that are correct on nearly the same images differ less than they vary."""
    labels, one, _, groups = drawn(2, n=300, groups=60)
    other = one.copy()
    other[:6] = (labels[:6] + 1) % 5
    result = compare_predictions(labels, one, other, groups)
    widths = [np.diff(each.interval)[0] for each in (result.accuracy, result.option.accuracy)]
    assert widths[0] < widths[1] / 2


def test_the_verdict_is_that_of_the_interval():
    labels, one, other, groups = drawn(3, n=300, groups=60)
    assert compare_predictions(labels, one, other, groups).verdict == 'established'
    assert compare_predictions(labels, other, one, groups).verdict == 'established'
    same = compare_predictions(labels, one, one, groups)
    assert (same.verdict, same.accuracy.interval) == ('not established', (0.0, 0.0))
    few = compare_predictions(labels, one, other, groups % 9)
    assert (few.verdict, few.accuracy.interval) == ('too few groups', None)
    assert few.option.accuracy.interval is few.baseline.macro_f1.interval is None
    assert compare_predictions(labels, one, other, groups % 10).accuracy.interval is not None


@pytest.mark.parametrize('correct', [True, False])
def test_without_variation_groups_are_the_trials_of_a_share(correct):
    labels = np.arange(80) % 4
    predicted = labels if correct else (labels + 1) % 4
    scores = score_predictions(labels, predicted, np.arange(80) // 4)
    assert scores.accuracy.interval == pytest.approx(statistics.wilson(float(correct), 20))
    assert scores.macro_f1 == statistics.Estimate(float(correct), None)
    assert score_predictions(labels, predicted, np.arange(80) // 20).accuracy.interval is None


def simulate(rng, groups):
    """Two networks of equal accuracy, correct on the images of a group alike."""
    group = np.repeat(np.arange(groups), rng.integers(1, 8, groups))
    labels = rng.integers(0, 4, groups)[group]
    ease = 1 + rng.normal(0, 0.7, groups)[group] + rng.normal(0, 1, len(group))
    one, other = (
        np.where(
            ease + rng.normal(0, 0.4, groups)[group] > 0,
            labels,
            (labels + rng.integers(1, 4, len(labels))) % 4,
        )
        for _ in range(2)
    )
    return labels, one, other, group


def test_coverage_and_false_alarms_with_groups():
    studies, rng = 250, np.random.default_rng(4)
    accuracy = stats.norm.cdf(1 / math.sqrt(0.7**2 + 1 + 0.4**2))
    covered, alarms, by_images = 0, 0, 0
    for _ in range(studies):
        labels, one, other, group = simulate(rng, 40)
        result = compare_predictions(labels, one, other, group, resamples=200)
        low, high = result.option.accuracy.interval
        covered += low <= accuracy <= high
        alarms += result.verdict == 'established'
        low, high = statistics.wilson(float(np.mean(one == labels)), len(labels))
        by_images += low <= accuracy <= high
    slack = 3 * math.sqrt(0.05 * 0.95 * studies)
    assert abs(covered - 0.95 * studies) < slack
    assert alarms < 0.05 * studies + slack
    assert by_images < 0.95 * studies - slack  # what the groups are for


def test_large_inputs_are_resampled_in_blocks(monkeypatch):
    labels, one, other, groups = drawn(5)
    whole = compare_predictions(labels, one, other, groups, resamples=100)
    monkeypatch.setattr('jaxdl.statistics.cluster_bootstrap._NUMBERS', 1000)
    assert compare_predictions(labels, one, other, groups, resamples=100) == whole


@pytest.mark.parametrize(
    ('labels', 'predicted', 'groups', 'message'),
    [
        ([], [], None, 'n at least 1'),
        ([0, 1], [0], None, r'\(2,\), \(1,\)'),
        ([0, 1], [0, -1], None, 'integers from 0'),
        ([0.0, 1.0], [0, 1], None, 'integers from 0'),
        ([0, 1], [0, 1], [1], 'one entry per image'),
    ],
)
def test_bad_input_is_refused(labels, predicted, groups, message):
    with pytest.raises(InputError, match=message):
        score_predictions(labels, predicted, groups)
