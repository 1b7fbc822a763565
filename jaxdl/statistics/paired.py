"""Intervals, paired tests and multiple comparisons; NumPy and SciPy only.

So that a report needs no jax.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np
from scipy import optimize, special, stats

from jaxdl.errors import InputError

ALPHA = 0.05
POWER = 0.8
SMALLEST = float(np.finfo(np.float64).tiny)  # a p-value that underflows is this, never 0


@dataclasses.dataclass(frozen=True)
class Comparison:
    """An option against the baseline over n paired seeds.

    All values in the unit of the metric (accuracy: 0 to 1).
    """

    difference: float
    interval: tuple[float, float]  # of the mean difference, 95 %, Student's t
    p_value: float  # two-sided: paired t test; exact sign-flip test if all differences are equal
    p_better: float  # share of seeds on which the option wins, a tie counting half
    p_better_interval: tuple[float, float]  # 95 %, Wilson
    detectable: float  # smallest true difference found with 80 % power; 0: not estimable


@dataclasses.dataclass(frozen=True)
class Equivalence:
    """Whether an option and the baseline differ by less than a margin, over n paired seeds."""

    p_value: float  # of the two one-sided t tests, the larger
    equivalent: bool  # p_value < 0.05, by itself
    interval90: tuple[
        float, float
    ]  # inside the margin exactly if `equivalent` and differences vary


@dataclasses.dataclass(frozen=True)
class Pairing:
    """What it saved that option and baseline share their seeds."""

    correlation: float | None  # of the pairs; None where one side does not vary
    unpaired: (
        float | None
    )  # seeds a side, all different, for the same standard error; None where no pair differs


def mean_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """Mean of `values` [n >= 2] and its 95 % t interval: (mean, low, high).

    Examples:
      >>> [round(x, 3) for x in mean_interval([0.91, 0.93, 0.92])]
      [0.92, 0.895, 0.945]
    """
    values = _finite(values, 'values')
    half = _quantile(len(values)) * values.std(ddof=1) / np.sqrt(len(values))
    mean = values.mean()
    return float(mean), float(mean - half), float(mean + half)


def compare(
    option: Sequence[float] | np.ndarray,
    baseline: Sequence[float] | np.ndarray,
    *,
    test_train_ratio: float = 0.0,
) -> Comparison:
    """Compares `option` [n] with `baseline` [n], where entry i of both comes from the same seed.

    N >= 2.

    Args:
      test_train_ratio: 0 where the seeds share one data split. Where every seed draws its own
        split, the size of the test set over that of the training set: overlapping training sets
        make the naive variance too small, and Nadeau and Bengio, "Inference for the generalization
        error" (2003), replace 1/n by 1/n + ratio.

    Raises:
      InputError: lengths that differ, fewer than two pairs, or a value that is not finite.

    Examples:
      >>> found = compare([0.94, 0.96, 0.93, 0.95], [0.92, 0.93, 0.93, 0.92])
      >>> round(found.difference, 3), round(found.p_value, 3), found.p_better
      (0.02, 0.066, 0.875)
      >>> [round(bound, 3) for bound in found.interval]
      [-0.003, 0.043]
    """
    option, baseline = _paired(option, baseline)
    d = option - baseline
    n, mean = len(d), float(d.mean())
    largest = float(max(np.abs(option).max(), np.abs(baseline).max()))
    sd = 0.0 if constant(d, largest) else float(d.std(ddof=1))
    error = sd * _scale(n, test_train_ratio)
    half = _quantile(n) * error
    wins = float((np.sum(d > 0) + 0.5 * np.sum(d == 0)) / n)
    return Comparison(
        difference=mean,
        interval=(float(mean - half), float(mean + half)),
        p_value=_p_value(d, error, largest),
        p_better=wins,
        p_better_interval=wilson(wins, n),
        detectable=sd * _detectable_effect(n, float(test_train_ratio)) if sd else 0.0,
    )


def equivalence(
    option: Sequence[float] | np.ndarray,
    baseline: Sequence[float] | np.ndarray,
    margin: float,
    test_train_ratio: float = 0.0,
) -> Equivalence:
    """Whether the paired `option` [n] and `baseline` [n] differ by less than `margin`.

    Two one-sided t tests.

    Schuirmann, "A comparison of the two one-sided tests procedure and the power approach" (1987).
    The margin is in the unit of the values, and is fixed before they are seen. `test_train_ratio`
    as in `compare`.

    Raises:
      InputError: as `compare`, or a margin that is not above 0.

    Examples:
      >>> found = equivalence([0.921, 0.932, 0.929, 0.925], [0.92, 0.93, 0.93, 0.92], margin=0.01)
      >>> found.equivalent, round(found.p_value, 4)
      (True, 0.0035)
    """
    if not margin > 0:
        raise InputError(f'margin={margin}: must be above 0')
    option, baseline = _paired(option, baseline)
    d = option - baseline
    n, mean = len(d), float(d.mean())
    largest = float(max(np.abs(option).max(), np.abs(baseline).max()))
    sd = 0.0 if constant(d, largest) else float(d.std(ddof=1))
    error = sd * _scale(n, test_train_ratio)
    inside = margin - abs(mean)
    exact = 0.5**n if inside > 0 else 1.0  # one-sided sign-flip test, where nothing varies
    p = max(float(stats.t.sf(inside / error, n - 1)), SMALLEST) if error else exact
    half = float(stats.t.ppf(1 - ALPHA, n - 1)) * error
    return Equivalence(p, p < ALPHA, (float(mean - half), float(mean + half)))


def pairing(
    option: Sequence[float] | np.ndarray, baseline: Sequence[float] | np.ndarray
) -> Pairing:
    """What pairing `option` [n] with `baseline` [n] saved.

    Seeds needed without it are n (var + var) / var of d.

    Examples:
      >>> found = pairing([0.94, 0.95, 0.91, 0.92], [0.93, 0.95, 0.9, 0.92])
      >>> round(found.correlation, 2), round(found.unpaired, 1)
      (0.96, 92.0)
    """
    option, baseline = _paired(option, baseline)
    apart = option.var(ddof=1) + baseline.var(ddof=1)
    together = (option - baseline).var(ddof=1)
    varies = option.std() > 0 and baseline.std() > 0
    return Pairing(
        correlation=float(np.corrcoef(option, baseline)[0, 1]) if varies else None,
        unpaired=float(len(option) * apart / together) if together > 1e-12 * apart else None,
    )


def expected_best(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """The expected maximum of k of `values` [n >= 1] drawn without replacement, [k = 1 .. n].

    Dodge et al., "Show your work" (2019), draw with replacement; without it the estimate is
    unbiased (Tang et al., "Showing your work doesn't always work", 2020).

    Examples:
      >>> expected_best([0.97, 0.99, 0.98]).round(4).tolist()
      [0.98, 0.9867, 0.99]
    """
    ascending = np.sort(_finite(values, 'values', least=1))
    n = len(ascending)
    rank, k = np.arange(1, n + 1), np.arange(1, n + 1)[:, None]
    return special.comb(rank - 1, k - 1) @ ascending / special.comb(n, k[:, 0])


def detectable(sd: float, n: int) -> float:
    """The true difference that the paired t test finds with probability 0.8.

    `sd` of the n paired differences.
    """
    return sd * _detectable_effect(n, 0.0) if sd else 0.0


def seeds_needed(sd: float, difference: float, power: float = POWER) -> int:
    """The fewest paired seeds with which the t test at 0.05 finds a true `difference` with probability `power`.

    `sd` is the standard deviation of the paired differences, in the unit of `difference`. By the
    noncentral t; where that is more than 10,000 seeds by its normal limit.

    Raises:
      InputError: a difference or a standard deviation that is not finite and above (at least) 0, or
        no such power.
    """
    if not (0 < difference < np.inf and 0 <= sd < np.inf and ALPHA < power < 1):
        given = f'sd={sd}, difference={difference}, power={power}'
        raise InputError(f'{given}: must be at least 0, above 0, and above {ALPHA} and below 1')
    quantiles = stats.norm.ppf([1 - ALPHA / 2, power])
    limit = (
        quantiles.sum() * sd / difference
    ) ** 2  # what a normal distribution of known variance would need
    if limit > 10_000:
        return int(np.ceil(limit + quantiles[0] ** 2 / 2))
    n = max(2, int(limit))
    while sd and _power(difference / sd, n, 0.0) < power:
        n += 1
    return n


def sd_interval(sd: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a standard deviation that was estimated from n >= 2 values.

    By the chi-square.
    """
    low, high = stats.chi2.ppf([1 - ALPHA / 2, ALPHA / 2], n - 1)
    return float(sd * np.sqrt((n - 1) / low)), float(sd * np.sqrt((n - 1) / high))


def constant(values: Sequence[float] | np.ndarray, largest: float = 1.0) -> bool:
    """Whether values differ by no more than the rounding of their inputs.

    Accuracies are computed in float32, so differences of equally many images agree only up to its
    resolution.

    Args:
      values: numbers [n >= 1], for example paired differences.
      largest: the largest absolute value of the numbers that were subtracted; 1 for accuracies.

    Examples:
      >>> constant(np.float32([301 / 360, 299 / 360]) - np.float32([300 / 360, 298 / 360]))
      True
    """
    return bool(np.ptp(values) <= 2 * np.finfo(np.float32).eps * largest)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values (1979), in the order given.

    Rejecting those below 0.05 errs once in 20 families.

    Examples:
      >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
      [0.03, 0.06, 0.06]
    """
    p = _finite(p_values, 'p_values', least=0)
    order = np.argsort(p, kind='stable')
    steps = np.minimum(1.0, (len(p) - np.arange(len(p))) * p[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(steps)
    return adjusted


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval (1927) for a share of n trials.

    Examples:
      >>> [round(bound, 3) for bound in wilson(0.9, 10)]
      [0.596, 0.982]
    """
    z = stats.norm.ppf(1 - ALPHA / 2)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return float(middle - half), float(middle + half)


# What the report says of an option's paired accuracies beside the comparison: heading -> (option
# [n], baseline [n]) to a number or None, and how it is written.
STATISTICS: dict[str, tuple[Callable[[np.ndarray, np.ndarray], float | None], str]] = {
    'Correlation of the pairs': (
        lambda option, baseline: pairing(option, baseline).correlation,
        '.2f',
    ),
    'Unpaired seeds a side': (lambda option, baseline: pairing(option, baseline).unpaired, '.0f'),
}


def _finite(values: Sequence[float] | np.ndarray, name: str, least: int = 2) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or len(values) < least:
        raise InputError(
            f'{name}: needs a list of at least {least} numbers, not shape {values.shape}'
        )
    if not np.all(np.isfinite(values)):
        raise InputError(
            f'{name}: every value must be finite; entry {int(np.argmin(np.isfinite(values)))} is not'
        )
    return values


def _paired(
    option: Sequence[float] | np.ndarray, baseline: Sequence[float] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    option, baseline = _finite(option, 'option'), _finite(baseline, 'baseline')
    if option.shape != baseline.shape:
        raise InputError(
            f'paired values must be as many on both sides, not {len(option)} and {len(baseline)}'
        )
    return option, baseline


def _scale(n: int, ratio: float) -> float:
    """Standard errors of a mean of n in standard deviations.

    Corrected for overlapping training sets.
    """
    if not ratio >= 0:
        raise InputError(f'test_train_ratio={ratio}: must be at least 0')
    return float(np.sqrt(1 / n + ratio))


@functools.lru_cache
def _quantile(n: int) -> float:
    return float(stats.t.ppf(1 - ALPHA / 2, n - 1))


def _p_value(d: np.ndarray, error: float, largest: float) -> float:
    """Two-sided p-value of paired differences [n] whose mean has the standard error `error`.

    Without variation (`error` 0) Student's t does not exist. There the exact sign-flip test holds:
    of the 2^n equally likely assignments of signs, 2 are as extreme as n equal differences.
    """
    if constant(np.append(d, 0.0), largest):
        return 1.0
    if not error:
        return 2.0 ** (1 - len(d))
    return max(float(2 * stats.t.sf(abs(d.mean()) / error, len(d) - 1)), SMALLEST)


def _power(effect: float, n: int, ratio: float) -> float:
    """Power of the paired t test for an effect in standard deviations of the differences."""
    critical, shift = _quantile(n), effect / _scale(n, ratio)
    below = np.nan_to_num(stats.nct.cdf(-critical, n - 1, shift))  # underflows to nan where it is 0
    return float(stats.nct.sf(critical, n - 1, shift) + below)


@functools.lru_cache
def _detectable_effect(n: int, ratio: float) -> float:
    """The true difference, in standard deviations of the paired differences.

    That the t test finds with POWER.
    """
    scale = _scale(n, ratio)

    def surplus(effect: float) -> float:
        return _power(effect, n, ratio) - POWER

    high = 8 * scale
    while surplus(high) < 0:
        high *= 2
    return float(optimize.brentq(surplus, 1e-3 * scale, high, xtol=1e-13, rtol=1e-14))  # type: ignore[arg-type]
