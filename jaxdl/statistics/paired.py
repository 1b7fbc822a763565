"""Intervals, paired tests and multiple comparisons."""

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
    """An option against the baseline over seeds.

    Attributes:
      difference: mean of option - baseline, in the unit of the metric (accuracy: 0 to 1).
      interval: 95 % interval of the mean difference (Student's t).
      p_value: two-sided p-value of the t test; of an exact test (paired: sign-flip, unpaired:
        permutation) if nothing varies. Never 0.
      p_better: probability of improvement: share of pairs of runs in which the option wins, ties
        counting half. Paired seeds are n pairs of equal seeds, unpaired seeds all n m pairs.
      p_better_interval: 95 % interval of `p_better` (Wilson, an approximation if there are ties;
        unpaired: Newcombe).
      detectable: minimum detectable difference: smallest true difference found with 80 % power at
        level 0.05; 0 if it cannot be estimated, because nothing varies.
      error: standard error of the mean difference; 0 if nothing varies.
      n: number of seeds of the option.
      freedom: degrees of freedom of the t test: n - 1 for paired seeds.
    """

    difference: float
    interval: tuple[float, float]
    p_value: float
    p_better: float
    p_better_interval: tuple[float, float]
    detectable: float
    error: float
    n: int
    freedom: float

    def interval_at(self, level: float) -> tuple[float, float]:
        """Interval of the mean difference at another level.

        The interval excludes 0 exactly if `p_value` < `level`.

        Args:
          level: probability that the interval misses the true difference, 0.05 for `interval`.

        Returns:
          (low, high). If nothing varies and the exact test rejects no difference at this level, the
          interval is infinite.
        """
        if self.error:
            half = float(stats.t.isf(level / 2, self.freedom)) * self.error
            return self.difference - half, self.difference + half
        if self.p_value < level or self.p_value == 1.0:
            return self.difference, self.difference
        return -np.inf, np.inf

    def detectable_at(self, level: float) -> float:
        """Minimum detectable difference at another level: 80 % power.

        Args:
          level: of the test; 0.05 / m at the first step of Holm's correction for m options.

        Returns:
          The difference; 0 if nothing varies, so that it cannot be estimated.
        """
        return self.error * detectable_shift(self.freedom, level) if self.error else 0.0


@dataclasses.dataclass(frozen=True)
class Equivalence:
    """Equivalence of an option and the baseline within a margin, over n paired seeds.

    Attributes:
      p_value: the larger p-value of the two one-sided tests. Never 0.
      equivalent: whether `p_value` < 0.05, without correction for several options.
      interval90: 90 % interval of the mean difference; inside the margin exactly if `equivalent`,
        provided that differences vary.
    """

    p_value: float
    equivalent: bool
    interval90: tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Pairing:
    """Variance reduction by pairing option and baseline.

    Attributes:
      correlation: correlation of the pairs; None if one side does not vary.
      unpaired: seeds per side, all different, for the same standard error of the difference; None
        if the differences do not vary.
    """

    correlation: float | None
    unpaired: float | None


def mean_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """Mean and its 95 % t interval.

    Args:
      values: numbers [n >= 2].

    Returns:
      (mean, low, high), in the unit of the values.

    Raises:
      InputError: fewer than two values, or a value that is not finite.

    Examples:
      >>> [round(x, 3) for x in mean_interval([0.91, 0.93, 0.92])]
      [0.92, 0.895, 0.945]
    """
    values = finite_values(values, 'values')
    half = _quantile(len(values)) * values.std(ddof=1) / np.sqrt(len(values))
    mean = values.mean()
    return float(mean), float(mean - half), float(mean + half)


def logit_interval(mean: float, low: float, high: float) -> tuple[float, float]:
    """Interval of a mean share on the logit scale, which stays inside 0 to 1.

    The delta method: half the width of the t interval, divided by mean (1 - mean).

    Args:
      mean: mean of shares, 0 to 1.
      low: lower end of its t interval.
      high: upper end of its t interval.

    Returns:
      (low, high); (mean, mean) if the mean is 0 or 1.

    Examples:
      >>> [round(bound, 3) for bound in logit_interval(0.99, 0.975, 1.005)]
      [0.956, 0.998]
    """
    if not 0 < mean < 1:
        return mean, mean
    half = (high - low) / 2 / (mean * (1 - mean))
    ends = special.expit(special.logit(mean) + np.array([-half, half]))
    return float(ends[0]), float(ends[1])


def compare(
    option: Sequence[float] | np.ndarray,
    baseline: Sequence[float] | np.ndarray,
    *,
    test_train_ratio: float = 0.0,
    lower_is_better: bool = False,
) -> Comparison:
    """Compare an option with the baseline by paired differences.

    Args:
      option: metric of the option [n >= 2], entry i from seed i.
      baseline: metric of the baseline [n], entry i from the same seed.
      test_train_ratio: 0 if the seeds share one data split. If each seed draws a split, the size of
        the test set over that of the training set. Overlapping training sets make the naive
        variance too small, so Nadeau and Bengio, "Inference for the generalization error" (2003),
        replace 1/n by 1/n + ratio.
      lower_is_better: direction of the metric, by which `p_better` counts wins.

    Returns:
      The comparison, in the unit of the metric. `difference` is option - baseline in either case.

    Raises:
      InputError: lengths differ, there are fewer than two pairs, or a value is not finite.

    Examples:
      >>> comparison = compare([0.94, 0.96, 0.93, 0.95], [0.92, 0.93, 0.93, 0.92])
      >>> round(comparison.difference, 3), round(comparison.p_value, 3), comparison.p_better
      (0.02, 0.066, 0.875)
      >>> [round(bound, 3) for bound in comparison.interval]
      [-0.003, 0.043]
    """
    option, baseline = _paired(option, baseline)
    d = option - baseline
    n, mean = len(d), float(d.mean())
    largest = float(max(np.abs(option).max(), np.abs(baseline).max()))
    sd = 0.0 if constant(d, largest) else float(d.std(ddof=1))
    error = sd * _scale(n, test_train_ratio)
    half = _quantile(n) * error
    won = d < 0 if lower_is_better else d > 0
    wins = float((np.sum(won) + 0.5 * np.sum(d == 0)) / n)
    return Comparison(
        difference=mean,
        interval=(float(mean - half), float(mean + half)),
        p_value=_p_value(d, error, largest),
        p_better=wins,
        p_better_interval=wilson(wins, n),
        detectable=detectable(sd, n, test_train_ratio=test_train_ratio),
        error=error,
        n=n,
        freedom=n - 1.0,
    )


def equivalence(
    option: Sequence[float] | np.ndarray,
    baseline: Sequence[float] | np.ndarray,
    margin: float,
    test_train_ratio: float = 0.0,
) -> Equivalence:
    """Test by two one-sided t tests whether option and baseline differ by less than a margin.

    Schuirmann, "A comparison of the two one-sided tests procedure and the power approach" (1987).
    Equal differences on all seeds take the one-sided sign-flip test instead.

    Args:
      option: metric of the option [n >= 2].
      baseline: metric of the baseline [n] on the same seeds.
      margin: largest difference that counts as equivalent, in the unit of the metric; to be fixed
        before the values are known.
      test_train_ratio: as in `compare`.

    Returns:
      The p-value, the decision and the 90 % interval.

    Raises:
      InputError: as `compare`, or `margin` is not above 0.

    Examples:
      >>> test = equivalence([0.921, 0.932, 0.929, 0.925], [0.92, 0.93, 0.93, 0.92], margin=0.01)
      >>> test.equivalent, round(test.p_value, 4)
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
    """Variance reduction by pairing.

    Args:
      option: metric of the option [n >= 2].
      baseline: metric of the baseline [n] on the same seeds.

    Returns:
      Correlation of the pairs, and n (var + var) / var of the differences.

    Raises:
      InputError: as `compare`.

    Examples:
      >>> result = pairing([0.94, 0.95, 0.91, 0.92], [0.93, 0.95, 0.9, 0.92])
      >>> round(result.correlation, 2), round(result.unpaired, 1)
      (0.96, 92.0)
    """
    option, baseline = _paired(option, baseline)
    unpaired = option.var(ddof=1) + baseline.var(ddof=1)
    paired = (option - baseline).var(ddof=1)
    varies = option.std() > 0 and baseline.std() > 0
    return Pairing(
        correlation=float(np.corrcoef(option, baseline)[0, 1]) if varies else None,
        unpaired=float(len(option) * unpaired / paired) if paired > 1e-12 * unpaired else None,
    )


def expected_best(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Expected maximum of k values drawn without replacement, for each k.

    Dodge et al., "Show your work" (2019), draw with replacement; without it the estimate is
    unbiased (Tang et al., "Showing your work doesn't always work", 2020).

    Args:
      values: numbers [n >= 1], for example validation accuracies of n learning rates.

    Returns:
      float [n]: entry k - 1 is the expected maximum of k values.

    Examples:
      >>> expected_best([0.97, 0.99, 0.98]).round(4).tolist()
      [0.98, 0.9867, 0.99]
    """
    ascending = np.sort(finite_values(values, 'values', least=1))
    n = len(ascending)
    rank, k = np.arange(1, n + 1), np.arange(1, n + 1)[:, None]
    return special.comb(rank - 1, k - 1) @ ascending / special.comb(n, k[:, 0])


def detectable(sd: float, n: int, level: float = ALPHA, *, test_train_ratio: float = 0.0) -> float:
    """Minimum detectable difference of the paired t test: 80 % power.

    Args:
      sd: standard deviation of the paired differences.
      n: number of seeds, at least 2.
      level: of the test; 0.05 / m at the first step of Holm's correction for m options.
      test_train_ratio: as in `compare`.

    Returns:
      The difference in the unit of `sd`; 0 if `sd` is 0.
    """
    return sd * _scale(n, float(test_train_ratio)) * detectable_shift(n - 1, level) if sd else 0.0


def seeds_needed(sd: float, difference: float, power: float = POWER) -> int:
    """Number of paired seeds for a power of the t test at level 0.05.

    Noncentral t; its normal limit above 10,000 seeds.

    Args:
      sd: standard deviation of the paired differences, at least 0.
      difference: true difference to find, above 0, in the unit of `sd`.
      power: probability of finding it, above 0.05 and below 1.

    Returns:
      The smallest sufficient number of seeds, at least 2.

    Raises:
      InputError: an argument is out of range or not finite.
    """
    if not (0 < difference < np.inf and 0 <= sd < np.inf and ALPHA < power < 1):
        values = f'sd={sd}, difference={difference}, power={power}'
        raise InputError(
            f'{values}: must be sd >= 0, difference > 0 and {ALPHA} < power < 1, all finite'
        )
    quantiles = stats.norm.ppf([1 - ALPHA / 2, power])
    limit = (quantiles.sum() * sd / difference) ** 2  # sufficient for a known variance
    if limit > 10_000:
        return int(np.ceil(limit + quantiles[0] ** 2 / 2))
    n = max(2, int(limit))
    while sd and _power(difference / sd, n, 0.0) < power:
        n += 1
    return n


def sd_interval(sd: float, n: int) -> tuple[float, float]:
    """95 % interval of a standard deviation (chi-square).

    Args:
      sd: standard deviation estimated from the values.
      n: number of values, at least 2.

    Returns:
      (low, high), in the unit of `sd`.
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
    """Adjust p-values by Holm's method (1979).

    Rejecting adjusted values below 0.05 limits the probability of any false alarm to 5 %.

    Args:
      p_values: p-values of one family [n].

    Returns:
      Adjusted p-values, float [n], in the same order.

    Examples:
      >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
      [0.03, 0.06, 0.06]
    """
    p = finite_values(p_values, 'p_values', least=0)
    order = np.argsort(p, kind='stable')
    steps = np.minimum(1.0, (len(p) - np.arange(len(p))) * p[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(steps)
    return adjusted


def corrected_level(p_holm: Sequence[float] | np.ndarray) -> float:
    """Level of intervals that agree with the decisions of Holm's method.

    At this level the interval of each option excludes 0 exactly if Holm's method rejects. Together
    the intervals do not hold with 95 % probability.

    Args:
      p_holm: adjusted p-values of one family.

    Returns:
      0.05 / max(1, m - r) for m p-values of which r are below 0.05.

    Examples:
      >>> corrected_level([0.01, 0.2, 0.3])
      0.025
    """
    p_holm = np.asarray(p_holm)
    return ALPHA / max(1, len(p_holm) - int(np.sum(p_holm < ALPHA)))


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval (1927) of a share.

    Args:
      share: observed share, 0 to 1.
      n: number of trials.

    Returns:
      (low, high), within 0 to 1.

    Examples:
      >>> [round(bound, 3) for bound in wilson(0.9, 10)]
      [0.596, 0.982]
    """
    z = stats.norm.ppf(1 - ALPHA / 2)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return float(middle - half), float(middle + half)


# Further statistics of paired accuracies in reports: heading -> function of option [n] and baseline
# [n] that returns a number or None, and the format of the number.
STATISTICS: dict[str, tuple[Callable[[np.ndarray, np.ndarray], float | None], str]] = {
    'Correlation of the pairs': (
        lambda option, baseline: pairing(option, baseline).correlation,
        '.2f',
    ),
    'Unpaired seeds per side': (lambda option, baseline: pairing(option, baseline).unpaired, '.0f'),
}


def finite_values(values: Sequence[float] | np.ndarray, name: str, least: int = 2) -> np.ndarray:
    """Convert a list of finite numbers to float64 [n].

    Raises:
      InputError: there are fewer than `least` numbers, or one is not finite.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or len(values) < least:
        raise InputError(
            f'{name}: needs a list of at least {least} numbers, not shape {values.shape}'
        )
    if not np.all(np.isfinite(values)):
        raise InputError(
            f'{name}: every value must be finite; '
            f'entry {int(np.argmin(np.isfinite(values)))} is not'
        )
    return values


def _paired(
    option: Sequence[float] | np.ndarray, baseline: Sequence[float] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    option, baseline = finite_values(option, 'option'), finite_values(baseline, 'baseline')
    if option.shape != baseline.shape:
        raise InputError(
            f'option has {len(option)} values and baseline {len(baseline)}: '
            'must have as many on both sides'
        )
    return option, baseline


def _scale(n: int, ratio: float) -> float:
    """Standard error of a mean of n over the standard deviation (Nadeau and Bengio 2003)."""
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


def _power(effect: float, n: int, ratio: float, level: float = ALPHA) -> float:
    """Power of the paired t test for an effect in standard deviations of the differences."""
    return _power_of_shift(effect / _scale(n, ratio), n - 1, level)


def _power_of_shift(shift: float, df: float, level: float) -> float:
    """Power of a two-sided t test for a difference in standard errors."""
    critical = float(stats.t.isf(level / 2, df))
    below = np.nan_to_num(stats.nct.cdf(-critical, df, shift))  # underflows to nan where it is 0
    return float(stats.nct.sf(critical, df, shift) + below)


@functools.lru_cache
def detectable_shift(df: float, level: float) -> float:
    """Minimum detectable difference of a two-sided t test, in standard errors: 80 % power.

    Args:
      df: degrees of freedom.
      level: of the test.
    """

    def surplus(shift: float) -> float:
        return _power_of_shift(shift, df, level) - POWER

    high = 8.0
    while surplus(high) < 0:
        high *= 2
    root = optimize.brentq(surplus, 1e-3, high, xtol=1e-13, rtol=np.float64(1e-14))
    return float(root)  # type: ignore[arg-type]
