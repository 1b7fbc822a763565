"""Comparison over seeds and images against other formulas, and its false alarms."""

import numpy as np
import pytest
from scipy import stats

from jaxdl import statistics
from jaxdl.errors import InputError
from jaxdl.statistics import compare_correct

OPTION = np.random.default_rng(0).random((5, 40)) < 0.8
BASELINE = np.random.default_rng(1).random((5, 40)) < 0.6


def test_the_variance_is_that_of_the_two_way_analysis():
    d = OPTION.astype(float) - BASELINE
    n, m = d.shape
    seeds, images, mean = d.mean(1, keepdims=True), d.mean(0, keepdims=True), d.mean()
    mean_squares = (
        m * np.sum((seeds - mean) ** 2) / (n - 1),
        n * np.sum((images - mean) ** 2) / (m - 1),
        np.sum((d - seeds - images + mean) ** 2) / ((n - 1) * (m - 1)),
    )
    parts = [max(mean_squares[0] - mean_squares[2], 0), max(mean_squares[1] - mean_squares[2], 0)]
    total = (sum(parts) + mean_squares[2]) / (n * m)
    freedoms = (n - 1, m - 1, (n - 1) * (m - 1))
    df = (total * n * m) ** 2 / sum(v**2 / f for v, f in zip(mean_squares, freedoms, strict=True))
    result = compare_correct(OPTION, BASELINE)
    assert result.difference == pytest.approx(mean, abs=1e-12)
    error, freedom = result.errors[0]
    assert (error**2, freedom) == pytest.approx((total, max(df, min(n, m) - 1)))


def test_groups_of_one_image_are_images():
    alone = compare_correct(OPTION, BASELINE)
    assert compare_correct(OPTION, BASELINE, np.arange(40)[::-1]).interval == pytest.approx(
        alone.interval
    )


def test_copies_of_every_image_in_its_group_change_nothing():
    one = compare_correct(OPTION, BASELINE)
    copies = np.repeat(np.arange(40), 3)
    tripled = compare_correct(OPTION[:, copies], BASELINE[:, copies], copies)
    assert tripled.interval == pytest.approx(one.interval, abs=1e-12)
    assert tripled.p_value == pytest.approx(one.p_value)
    as_images = compare_correct(OPTION[:, copies], BASELINE[:, copies])
    assert as_images.errors[2][0] < 0.6 * one.errors[2][0]


def test_the_variance_by_groups_is_the_jackknife():
    groups = np.array([0] * 3 + [1] * 10 + [2] + [3] * 20 + [4] * 6)
    d = (OPTION.astype(float) - BASELINE).mean(0)
    left_out = np.array([d[groups != g].mean() for g in range(5)])
    jackknife = 4 / 5 * np.sum((left_out - d.mean()) ** 2)
    assert compare_correct(OPTION, BASELINE, groups).errors[2][0] ** 2 == pytest.approx(jackknife)


def test_no_interval_is_narrower_than_that_over_seeds_or_over_images():
    rng = np.random.default_rng(2)
    for seeds, images in ((2, 30), (3, 12), (10, 15), (20, 2)):
        option, baseline = rng.random((2, seeds, images)) < 0.7
        result = compare_correct(option, baseline)
        d = option.astype(float) - baseline
        for means in (d.mean(1), d.mean(0)):
            half = stats.t.ppf(0.975, len(means) - 1) * stats.sem(means)
            assert np.diff(result.interval)[0] / 2 >= half - 1e-12


@pytest.mark.parametrize('level', [0.05, 0.01, 0.3])
def test_interval_and_p_value_are_one_test(level):
    rng = np.random.default_rng(3)
    for _ in range(300):
        option = rng.random((rng.integers(2, 8), rng.integers(2, 30))) < rng.random()
        baseline = rng.random(option.shape) < rng.random()
        result = compare_correct(option, baseline)
        low, high = result.interval_at(level)
        assert (result.p_value < level) == (not low <= 0 <= high)
        assert result.interval == result.interval_at(0.05)
        assert 0 < result.p_value <= 1


def test_identical_runs_have_p_1():
    result = compare_correct(OPTION, OPTION)
    assert (result.difference, result.p_value, result.interval) == (0.0, 1.0, (0.0, 0.0))


@pytest.mark.parametrize('seeds', [2, 5, 6, 20])
def test_equal_differences_take_the_sign_flip_test(seeds):
    result = compare_correct(np.ones((seeds, 30)), np.zeros((seeds, 30)))
    assert result.p_value == 2.0 ** (1 - seeds)
    assert result.interval == ((1.0, 1.0) if seeds > 5 else (-1.0, 1.0))


def test_shares_find_the_planted_source():
    rng = np.random.default_rng(4)
    probability = np.clip(0.5 + rng.normal(0, 0.2, (1, 200)), 0, 1)
    images = compare_correct(np.tile(probability, (8, 1)), np.full((8, 200), 0.5))
    assert (images.share_images, images.share_seeds) == (1.0, 0.0)
    seeds = compare_correct(np.tile(probability.T[:8], (1, 200)), np.full((8, 200), 0.5))
    assert (seeds.share_images, seeds.share_seeds) == pytest.approx((0.0, 1.0))


def test_where_only_seeds_vary_the_detectable_difference_is_that_of_the_paired_test():
    accuracies = np.random.default_rng(5).random(8)
    result = compare_correct(np.tile(accuracies[:, None], (1, 50)), np.full((8, 50), 0.5))
    for level in (0.05, 0.01):
        paired = statistics.detectable(accuracies.std(ddof=1), 8, level)
        assert result.detectable_at(level) == pytest.approx(paired)
    assert compare_correct(OPTION, OPTION).detectable_at(0.05) == 0


@pytest.mark.parametrize('deviations', [(0.02, 0.3, 0.1), (0.01, 0.0, 0.3)])
def test_the_detectable_difference_is_found_in_about_four_of_five_studies(deviations):
    rng = np.random.default_rng(6)

    def study(difference):
        shapes = ((10, 1), (1, 100), (10, 100))
        noise = sum(rng.normal(0, sd, shape) for sd, shape in zip(deviations, shapes, strict=True))
        option = np.clip(0.5 + difference + noise / 4, 0, 1)
        return compare_correct(option, np.full((10, 100), 0.5))

    detectable = np.mean([study(0).detectable_at(0.05) for _ in range(20)])
    found = np.mean([study(detectable).p_value < 0.05 for _ in range(300)])
    assert 0.7 < found < 0.9


@pytest.mark.parametrize(
    ('option', 'baseline', 'groups', 'message'),
    [
        (OPTION, BASELINE[:4], None, 'same seeds and images'),
        (OPTION[:1], BASELINE[:1], None, r'\[seeds, images\], at least 2'),
        (OPTION[0], BASELINE[0], None, r'\[seeds, images\]'),
        (OPTION * 2, BASELINE, None, '0 to 1'),
        (np.full((2, 2), np.nan), np.ones((2, 2)), None, '0 to 1'),
        (OPTION, BASELINE, np.zeros(40), 'at least 2 groups'),
        (OPTION, BASELINE, np.arange(39), 'one entry per image'),
    ],
)
def test_bad_input_is_refused(option, baseline, groups, message):
    with pytest.raises(InputError, match=message):
        compare_correct(option, baseline, groups)


def false_alarms(rng, seeds, sizes, seed_sd, group_sd, noise, studies=1500):
    """Share of studies without a true difference that reject at level 0.05."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    alarms = 0
    for _ in range(studies):
        difficulty = rng.normal(1, 1, len(groups))
        sides = [
            difficulty
            + rng.normal(0, group_sd, len(sizes))[groups]
            + rng.normal(0, seed_sd, (seeds, 1))
            + rng.normal(0, noise, (seeds, len(groups)))
            for _ in range(2)
        ]
        alarms += compare_correct(sides[0] > 0, sides[1] > 0, groups).p_value < 0.05
    return alarms / studies


@pytest.mark.parametrize(
    ('seeds', 'sizes', 'deviations'),
    [
        (5, [1] * 60, (0.3, 0.0, 0.5)),
        (5, [1] * 60, (0.0, 0.7, 0.3)),
        (10, [1, 20, 3, 7, 12, 5, 2, 9, 16, 4], (0.2, 0.7, 0.3)),
    ],
)
def test_false_alarms_are_at_most_one_in_twenty(seeds, sizes, deviations):
    rate = false_alarms(np.random.default_rng(5), seeds, sizes, *deviations)
    assert rate < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1500)


def test_the_corrected_interval_excludes_0_exactly_where_holm_rejects():
    rng = np.random.default_rng(6)
    for _ in range(200):
        baseline = rng.normal(size=6)
        comparisons = [
            statistics.compare(baseline + rng.normal(rng.choice([0, 1]), 1, 6), baseline)
            for _ in range(4)
        ]
        p_holm = statistics.holm([each.p_value for each in comparisons])
        level = statistics.corrected_level(p_holm)
        for each, p in zip(comparisons, p_holm, strict=True):
            low, high = each.interval_at(level)
            assert (p < 0.05) == (not low <= 0 <= high)


def test_values_of_any_unit_are_compared_by_the_same_formulas():
    shares = compare_correct(OPTION, BASELINE)
    result = statistics.compare_values(7.0 * OPTION - 3, 7.0 * BASELINE - 3)
    assert result.difference == pytest.approx(7 * shares.difference)
    assert result.interval == pytest.approx([7 * end for end in shares.interval])
    assert result.p_value == pytest.approx(shares.p_value)
    same = statistics.compare_values(np.full((2, 12), 5.0), np.full((2, 12), 2.0))
    assert (same.difference, same.interval) == (3.0, (-np.inf, np.inf))
    with pytest.raises(InputError, match='every value must be finite'):
        statistics.compare_values(np.full((2, 12), np.nan), np.zeros((2, 12)))


def test_the_half_width_of_a_study_as_it_is_is_that_of_its_interval():
    rng = np.random.default_rng(3)
    differences = rng.normal(0.05, 0.2, (4, 1)) + rng.normal(0, 0.3, (4, 60))
    base = (rng.random((4, 60)) < 0.6).astype(float)
    comparison = compare_correct((base + differences).clip(0, 1), base, None)
    low, high = comparison.interval
    assert comparison.half_width(1, 1) == pytest.approx((high - low) / 2, rel=1e-9)
    assert comparison.half_width(2, 1) < comparison.half_width(1, 1)
    assert comparison.half_width(1, 2) <= comparison.half_width(1, 1)


def test_few_seeds_bound_the_interval_where_the_interaction_dominates():
    """Student's quantile falls with more seeds, whatever the shares of the variance."""
    rng = np.random.default_rng(1)
    base = (rng.random((3, 200)) < 0.5).astype(float)
    option = (rng.random((3, 200)) < 0.5).astype(float)
    comparison = compare_correct(option, base, None)
    assert comparison.share_rest > 0.5
    assert comparison.half_width(2, 1) < comparison.half_width(1, 2)
