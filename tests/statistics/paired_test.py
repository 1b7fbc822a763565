"""Paired comparisons against SciPy, or against simulation where SciPy has no such test."""

import dataclasses
import itertools

import numpy as np
import pytest
from scipy import stats

from jaxdl import statistics
from jaxdl.errors import InputError


@pytest.fixture
def pairs():
    rng = np.random.default_rng(0)
    return rng.normal(0.9, 0.01, (50, 8)), rng.normal(0.905, 0.02, (50, 8))


def test_interval_and_p_value_are_those_of_scipy(pairs):
    for baseline, option in zip(*pairs, strict=True):
        comparison = statistics.compare(option, baseline)
        expected = stats.ttest_rel(option, baseline)
        assert comparison.p_value == pytest.approx(expected.pvalue, abs=1e-12)
        assert comparison.interval == pytest.approx(
            tuple(expected.confidence_interval(0.95)), abs=1e-12
        )
        wins = np.sum(option > baseline)
        wilson = stats.binomtest(int(wins), 8).proportion_ci(method='wilson')
        assert comparison.p_better == wins / 8
        assert comparison.p_better_interval == pytest.approx((wilson.low, wilson.high), abs=1e-12)


def test_mean_interval_is_that_of_scipy(pairs):
    for values in pairs[0]:
        mean, low, high = statistics.mean_interval(values)
        expected = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
        assert (mean, low, high) == pytest.approx((values.mean(), *expected), abs=1e-12)


def test_no_difference_at_all():
    comparison = statistics.compare([0.9, 0.8, 0.7], [0.9, 0.8, 0.7])
    assert (
        comparison.p_value,
        comparison.p_better,
        comparison.detectable,
        comparison.interval,
    ) == (1.0, 0.5, 0.0, (0.0, 0.0))


def sign_flip_p_value(differences):
    """Share of all assignments of signs whose mean is at least as far from 0."""
    signs = np.array(list(itertools.product([1, -1], repeat=len(differences))))
    means = np.abs(signs @ np.asarray(differences))
    return np.mean(means >= np.abs(np.sum(differences)) - 1e-9)


@pytest.mark.parametrize('n', [2, 3, 6, 10])
def test_equal_differences_take_the_exact_sign_flip_test(n):
    baseline = np.arange(n, dtype=float)
    for sign in (1, -1):
        comparison = statistics.compare(baseline + sign, baseline)
        assert comparison.p_value == sign_flip_p_value([sign] * n)
        assert comparison.interval == (sign, sign)
        assert comparison.p_better == (sign > 0)
        assert comparison.detectable == 0.0


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_equal_differences_are_equal_up_to_the_rounding_of_accuracies(dtype):
    """One image of 360 more on every seed: subtraction leaves no two differences the same."""
    for n in (2, 5):
        images = np.arange(280, 280 + n)
        option, baseline = ((images + more).astype(dtype) / dtype(360) for more in (1, 0))
        comparison = statistics.compare(option, baseline)
        assert comparison.p_value == 2.0 ** (1 - n)
        assert comparison.detectable == 0.0
    assert statistics.compare([0.3, 0.7], [0.1 + 0.2, 0.6 + 0.1]).p_value == 1.0  # rounding alone


def test_two_seeds_without_a_difference_give_false_alarms_in_one_pair_of_twenty():
    """Accuracies of 360 images coincide often: of 3 in 100 pairs both differences are equal."""
    images = np.random.default_rng(0).binomial(360, 0.92, (4000, 2, 2)) / 360
    alarms = [statistics.compare(option, base).p_value < 0.05 for option, base in images]
    assert np.mean(alarms) < 0.03  # the equal ones were 3.5 % by themselves


def test_no_p_value_is_zero():
    differences = 1.0 + 1e-5 * np.arange(60)  # Student's t of 3e5 has a tail below 1e-308
    assert statistics.compare(differences, np.zeros(60)).p_value > 0
    assert statistics.equivalence(differences, np.zeros(60), 1000.0).p_value > 0


def test_ties_count_half():
    assert statistics.compare([1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 4.0, 2.0]).p_better == (2 + 0.5) / 4


def test_swapping_the_sides_mirrors_the_comparison(pairs):
    for a, b in zip(*pairs, strict=True):
        one, other = statistics.compare(a, b), statistics.compare(b, a)
        assert one.difference == -other.difference
        assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]))
        assert (one.p_value, one.detectable) == pytest.approx((other.p_value, other.detectable))
        assert one.p_better == 1 - other.p_better


@pytest.mark.parametrize('n', [2, 3, 5, 10, 30])
@pytest.mark.parametrize('ratio', [0.0, 1 / 3])
def test_the_detectable_difference_is_detected_four_times_in_five(n, ratio):
    rng = np.random.default_rng(n)
    effect = statistics.compare(
        [0.0] * (n - 1) + [1.0], [0.0] * n, test_train_ratio=ratio
    ).detectable * np.sqrt(n)
    # Splits that overlap make the mean vary more than 1/n says; Nadeau and Bengio's model of that
    # is a common part.
    common = rng.normal(0, np.sqrt(ratio), (40_000, 1))
    differences = effect + common + rng.normal(size=(40_000, n))
    error = differences.std(1, ddof=1) * np.sqrt(1 / n + ratio)
    detected = np.abs(differences.mean(1)) / error > stats.t.ppf(0.975, n - 1)
    assert detected.mean() == pytest.approx(0.8, abs=0.01)


def test_a_resampled_split_widens_the_interval(pairs):
    plain = statistics.compare(pairs[1][0], pairs[0][0])
    wider = statistics.compare(pairs[1][0], pairs[0][0], test_train_ratio=1 / 3)
    assert wider.difference == plain.difference
    assert np.diff(wider.interval) / np.diff(plain.interval) == pytest.approx(
        np.sqrt((1 / 8 + 1 / 3) * 8)
    )
    assert wider.p_value > plain.p_value


def test_holm_is_the_closed_testing_procedure():
    """Holm (1979) rejects a hypothesis where Bonferroni rejects every intersection that it is
    part of.
    """
    rng = np.random.default_rng(1)
    for _ in range(100):
        p = np.round(rng.uniform(0, 0.4, 4), 2)  # rounded: ties occur
        subsets = [[i for i in range(4) if bits >> i & 1] for bits in range(1, 16)]
        closed = [max(min(1.0, len(s) * p[s].min()) for s in subsets if i in s) for i in range(4)]
        np.testing.assert_allclose(statistics.holm(p), closed, atol=1e-15)


def test_false_alarms_of_two_thousand_studies_without_a_difference():
    """Four options on ten seeds: in at most 5 % of studies is any option called better or worse."""
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(2_000):
        seed = rng.normal(0, 1, 10)  # what the options of a seed share
        baseline, *options = seed + rng.normal(0, 1, (5, 10))
        alarms += (
            min(statistics.holm([statistics.compare(o, baseline).p_value for o in options])) < 0.05
        )
    assert alarms <= 100


@pytest.mark.parametrize('margin', [0.003, 0.01, 0.03])
def test_equivalence_is_two_one_sided_t_tests(pairs, margin):
    for baseline, option in zip(*pairs, strict=True):
        equivalence = statistics.equivalence(option, baseline, margin)
        below = np.asarray(stats.ttest_1samp(option - baseline, margin, alternative='less'))[1]
        above = np.asarray(stats.ttest_1samp(option - baseline, -margin, alternative='greater'))[1]
        assert equivalence.p_value == pytest.approx(max(below, above), abs=1e-12)
        expected = stats.ttest_1samp(option - baseline, 0).confidence_interval(0.9)
        assert equivalence.interval90 == pytest.approx(tuple(expected), abs=1e-12)
        assert equivalence.equivalent == (
            -margin < equivalence.interval90[0] and equivalence.interval90[1] < margin
        )


def test_equivalence_at_the_margin_errs_once_in_twenty():
    differences = np.random.default_rng(4).normal(0.01, 0.01, (4000, 10))  # at the margin itself
    equivalent = [statistics.equivalence(d, np.zeros(10), 0.01).equivalent for d in differences]
    assert np.mean(equivalent) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize('n', [2, 4, 5, 10])
def test_equivalence_of_equal_differences_takes_the_one_sided_sign_flip_test(n):
    ones, twos = [1.0] * n, [2.0] * n
    assert statistics.equivalence(twos, ones, 1.5) == statistics.Equivalence(
        0.5**n, n > 4, (1.0, 1.0)
    )
    assert statistics.equivalence(twos, ones, 1.0) == statistics.Equivalence(1.0, False, (1.0, 1.0))


def test_a_resampled_split_makes_equivalence_harder(pairs):
    plain = statistics.equivalence(pairs[1][0], pairs[0][0], 0.03)
    wider = statistics.equivalence(pairs[1][0], pairs[0][0], 0.03, 1 / 3)
    assert wider.p_value > plain.p_value
    assert np.diff(wider.interval90) / np.diff(plain.interval90) == pytest.approx(
        np.sqrt((1 / 8 + 1 / 3) * 8)
    )


@pytest.mark.parametrize('margin', [0.0, -0.01, np.nan])
def test_a_margin_is_above_zero(margin):
    with pytest.raises(InputError, match='margin'):
        statistics.equivalence([1.0, 2.0], [1.0, 2.0], margin)


def test_pairing_gain_is_that_of_the_correlation(pairs):
    baseline, option = pairs[0][0], pairs[1][0]
    pairing = statistics.pairing(option, baseline)
    assert pairing.correlation == pytest.approx(stats.pearsonr(option, baseline)[0])
    unpaired = np.sqrt((option.var(ddof=1) + baseline.var(ddof=1)) / pairing.unpaired)
    assert unpaired == pytest.approx(stats.sem(option - baseline))  # as sure as the pairs are
    assert statistics.pairing([1.0, 2.0], [0.0, 1.0]).unpaired is None
    assert statistics.pairing([1.0, 2.0], [1.0, 1.0]).correlation is None


@pytest.mark.parametrize('n', [1, 2, 5, 7])
def test_the_expected_best_is_the_mean_over_all_subsets(n):
    values = np.random.default_rng(n).uniform(0, 1, n)
    subsets = [
        np.mean([max(s) for s in itertools.combinations(values, k)]) for k in range(1, n + 1)
    ]
    np.testing.assert_allclose(statistics.expected_best(values), subsets, atol=1e-12)


def test_a_difference_of_two_deviations_is_found():
    rng = np.random.default_rng(3)
    detected = [
        statistics.compare(rng.normal(2, 1, 10), np.zeros(10)).p_value < 0.05 for _ in range(500)
    ]
    assert np.mean(detected) > 0.99


@pytest.mark.parametrize(
    ('option', 'baseline', 'words'),
    [
        ([1.0], [1.0], 'at least 2'),
        ([1.0, 2.0], [1.0, 2.0, 3.0], 'as many on both sides'),
        ([1.0, np.nan], [1.0, 2.0], 'entry 1 is not'),
        ([[1.0], [2.0]], [[1.0], [2.0]], 'shape'),
    ],
)
def test_bad_values(option, baseline, words):
    with pytest.raises(InputError, match=words):
        statistics.compare(option, baseline)


def test_comparisons_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        statistics.compare([1.0, 2.0], [0.0, 0.0]).p_value = 1.0  # type: ignore[misc]


def test_the_probability_of_improvement_follows_the_direction():
    option, baseline = [1.0, 2.0, 3.0, 5.0], [2.0, 2.0, 2.5, 6.0]
    higher = statistics.compare(option, baseline)
    lower = statistics.compare(option, baseline, lower_is_better=True)
    assert (higher.p_better, lower.p_better) == (0.375, 0.625)
    assert lower.difference == higher.difference == -0.375
    assert lower.p_value == higher.p_value
