"""Comparison of options on different seeds: against SciPy, and its exact cases."""

import math

import numpy as np
import pytest
from scipy import stats

from jaxdl import statistics
from jaxdl.errors import InputError
from jaxdl.statistics import compare_correct, compare_unpaired, protocol

OPTION = [0.94, 0.96, 0.93, 0.95, 0.955]
BASELINE = [0.92, 0.93, 0.915]


def test_difference_interval_and_p_value_are_those_of_welch():
    expected = stats.ttest_ind(OPTION, BASELINE, equal_var=False)
    result = compare_unpaired(OPTION, BASELINE)
    assert result.difference == pytest.approx(np.mean(OPTION) - np.mean(BASELINE), abs=1e-12)
    assert result.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert result.freedom == pytest.approx(expected.df, rel=1e-9)
    for level in (0.05, 0.01):
        ends = expected.confidence_interval(1 - level)
        assert result.interval_at(level) == pytest.approx((ends.low, ends.high), abs=1e-9)
    assert result.interval == result.interval_at(0.05)
    assert (result.n, result.error) == (5, pytest.approx(result.difference / expected.statistic))


def test_the_probability_of_improvement_is_the_mann_whitney_statistic():
    for option, baseline in ((OPTION, BASELINE), ([0.93, 0.9, 0.92], BASELINE)):
        pairs = len(option) * len(baseline)
        expected = stats.mannwhitneyu(option, baseline).statistic / pairs
        result = compare_unpaired(option, baseline)
        assert result.p_better == pytest.approx(expected)
        lower = compare_unpaired(option, baseline, lower_is_better=True)
        assert lower.p_better == pytest.approx(1 - expected)
        assert lower.p_better_interval == pytest.approx(
            [1 - end for end in reversed(result.p_better_interval)], abs=1e-9
        )
        assert lower.difference == result.difference


def test_the_interval_of_the_probability_solves_newcombes_equation():
    result = compare_unpaired([0.93, 0.9, 0.92, 0.95], BASELINE)
    n, m, z = 4, 3, stats.norm.ppf(0.975)
    for p in result.p_better_interval:
        half = (n + m) / 2 - 1
        variance = p * (1 - p) / (n * m) * (1 + half * ((1 - p) / (2 - p) + p / (1 + p)))
        assert abs(result.p_better - p) == pytest.approx(z * math.sqrt(variance), abs=1e-9)
    apart = compare_unpaired([0.9] * 4 + [0.91], [0.5, 0.6])
    assert (apart.p_better, apart.p_better_interval[1]) == (1.0, 1.0)
    assert 0 < apart.p_better_interval[0] < 1


def test_without_variation_the_exact_permutation_test_holds():
    for n, m in ((2, 2), (3, 5), (6, 6)):
        option, baseline = [0.9] * n, [0.8] * m
        expected = stats.permutation_test(
            (option, baseline), lambda a, b: abs(np.mean(a) - np.mean(b)), alternative='greater'
        )
        result = compare_unpaired(option, baseline)
        assert result.p_value == pytest.approx(expected.pvalue)
        assert (result.detectable, result.detectable_at(0.01)) == (0.0, 0.0)
        rejected = result.p_value < 0.05
        assert result.interval_at(0.05) == (
            pytest.approx((0.1, 0.1)) if rejected else (-math.inf, math.inf)
        )
    assert compare_unpaired([0.9, 0.9], [0.9] * 3).p_value == 1.0
    assert compare_unpaired([0.9, 0.9], [0.8, 0.7, 0.9]).freedom == pytest.approx(2.0)


def test_the_detectable_difference_has_a_power_of_80_percent():
    result = compare_unpaired(OPTION, BASELINE)
    shift, critical = result.detectable / result.error, stats.t.isf(0.025, result.freedom)
    power = stats.nct.sf(critical, result.freedom, shift) + stats.nct.cdf(
        -critical, result.freedom, shift
    )
    assert power == pytest.approx(0.8)
    paired = statistics.compare(OPTION[:3], BASELINE)
    assert paired.detectable_at(0.01) == pytest.approx(
        statistics.detectable(np.std(np.subtract(OPTION[:3], BASELINE), ddof=1), 3, 0.01)
    )


@pytest.mark.parametrize('values', [[0.9], [0.9, math.nan], [[0.9, 0.8]]])
def test_bad_values_are_refused(values):
    with pytest.raises(InputError, match='option'):
        compare_unpaired(values, BASELINE)
    with pytest.raises(InputError, match='baseline'):
        compare_unpaired(BASELINE, values)


def _images(seed, seeds):
    rng = np.random.default_rng(seed)
    easy = np.random.default_rng(9).random(40)
    return (easy + rng.normal(0, 0.2, (seeds, 1)) + rng.normal(0, 0.3, (seeds, 40)) > 0.4) * 1.0


@pytest.mark.parametrize('groups', [None, np.arange(40) // 3])
def test_unpaired_seeds_and_images(groups):
    option, baseline = _images(0, 5), _images(1, 3)
    result = compare_correct(option, baseline, groups, paired=False)
    assert result.difference == pytest.approx(option.mean() - baseline.mean(), abs=1e-12)
    over_seeds = compare_unpaired(option.mean(1), baseline.mean(1))
    assert result.errors[1] == pytest.approx((over_seeds.error, over_seeds.freedom))
    # The units of the other variance are the same groups for both sides.
    together = compare_correct(
        np.tile(option.mean(0), (2, 1)), np.tile(baseline.mean(0), (2, 1)), groups
    )
    assert result.errors[2] == pytest.approx(together.errors[2])
    for error, freedom in result.errors[1:]:
        half = stats.t.isf(0.025, freedom) * error
        assert np.diff(result.interval)[0] / 2 >= half - 1e-12
    assert (result.p_value < 0.05) == (not result.interval[0] <= 0 <= result.interval[1])
    back = compare_correct(baseline, option, groups, paired=False)
    assert back.interval == pytest.approx([-end for end in reversed(result.interval)])
    with pytest.raises(InputError, match='must have the same seeds and images'):
        compare_correct(option, baseline, groups)
    with pytest.raises(InputError, match='must have the same images'):
        compare_correct(option, baseline[:, :30], paired=False)


def test_unpaired_runs_that_never_vary():
    result = compare_correct(np.ones((4, 30)), np.zeros((5, 30)), paired=False)
    assert (result.difference, result.p_value) == (1.0, 1 / math.comb(9, 4))
    assert compare_correct(np.ones((4, 30)), np.ones((5, 30)), paired=False).p_value == 1.0


def _rows(values):
    return [
        dict(
            condition='',
            phase='measure',
            option=option,
            learning_rate=None,
            seed=seed,
            epoch=1,
            split='test',
            metric='accuracy',
            value=value,
        )
        for option, seeds in values.items()
        for seed, value in seeds.items()
    ]


def test_a_summary_compares_options_with_other_seeds_as_unpaired_only_if_this_is_allowed():
    base = {0: 0.9, 1: 0.92, 2: 0.93}
    rows = _rows(
        dict(base=base, same={2: 0.95, 0: 0.93, 1: 0.96}, other={2: 0.95, 3: 0.96, 4: 0.93, 5: 0.9})
    )
    with pytest.raises(InputError, match="option 'other' was not measured on the seeds"):
        protocol.summarize(rows, 'base')
    by_image = protocol.ImageValues(
        dict(base=_images(0, 3), same=_images(1, 3), other=_images(2, 4)), np.arange(40)
    )
    summary = protocol.summarize(rows, 'base', by_image=by_image, unpaired=protocol.WELCH)
    same, other = summary[1:]
    paired = statistics.compare([0.93, 0.96, 0.95], [0.9, 0.92, 0.93])
    assert same['p_value'] == paired.p_value
    assert same['p_value_images'] == compare_correct(_images(1, 3), _images(0, 3)).p_value
    welch = stats.ttest_ind([0.95, 0.96, 0.93, 0.9], [0.9, 0.92, 0.93], equal_var=False)
    assert (other['p_value'], other['seeds']) == (pytest.approx(welch.pvalue), 4)
    assert other['p_value_images'] == (
        compare_correct(_images(2, 4), _images(0, 3), paired=False).p_value
    )
