"""Comparison of an option with the baseline on other seeds: Welch's t test."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import optimize, stats

from jaxdl.statistics.paired import (
    ALPHA,
    SMALLEST,
    Comparison,
    constant,
    detectable_shift,
    finite_values,
)


def compare_unpaired(
    option: Sequence[float] | np.ndarray,
    baseline: Sequence[float] | np.ndarray,
    *,
    lower_is_better: bool = False,
) -> Comparison:
    """Compare an option with the baseline where their seeds differ.

    The variances may differ (Welch, "The generalization of Student's problem when several
    different population variances are involved", 1947). The degrees of freedom are Satterthwaite's.

    Args:
      option: metric of the option [n >= 2], one value per seed.
      baseline: metric of the baseline [m >= 2].
      lower_is_better: direction of the metric, by which `p_better` counts wins.

    Returns:
      The comparison. `p_better` is the share of the n m pairs of runs in which the option wins.

    Raises:
      InputError: there are fewer than two values on a side, or a value is not finite.

    Examples:
      >>> comparison = compare_unpaired([0.94, 0.96, 0.93, 0.95], [0.92, 0.93, 0.92])
      >>> round(comparison.difference, 3), round(comparison.p_value, 3)
      (0.022, 0.037)
      >>> round(comparison.freedom, 2), round(comparison.p_better, 3)
      (4.35, 0.958)
    """
    option, baseline = finite_values(option, 'option'), finite_values(baseline, 'baseline')
    sides = (option, baseline)
    largest = float(max(np.abs(side).max() for side in sides))
    of_means = [
        0.0 if constant(side, largest) else float(side.var(ddof=1)) / len(side) for side in sides
    ]
    error = math.sqrt(sum(of_means))
    freedom = welch_freedom(of_means, [len(side) - 1.0 for side in sides])
    difference = float(option.mean() - baseline.mean())
    half = float(stats.t.isf(ALPHA / 2, freedom)) * error
    wins, interval = _probability_of_improvement(option, baseline, lower_is_better)
    return Comparison(
        difference=difference,
        interval=(difference - half, difference + half),
        p_value=_p_value(option, baseline, difference, error, freedom, largest),
        p_better=wins,
        p_better_interval=interval,
        detectable=error * detectable_shift(freedom, ALPHA),
        error=error,
        n=len(option),
        freedom=freedom,
    )


def welch_freedom(variances: Sequence[float], freedoms: Sequence[float]) -> float:
    """Satterthwaite's degrees of freedom of a sum of independent estimates of variances.

    Args:
      variances: the estimates.
      freedoms: degrees of freedom of each.

    Returns:
      The degrees of freedom of the sum; the smallest of `freedoms` if nothing varies.
    """
    squares = sum(v**2 / f for v, f in zip(variances, freedoms, strict=True))
    return sum(variances) ** 2 / squares if squares else min(freedoms)


def permutation_p_value(n: int, m: int) -> float:
    """p-value of the exact permutation test for n equal values and m other equal values.

    Of all choices of n among n + m values, one is as extreme; of equal numbers also its opposite.
    """
    return (1 + (n == m)) / math.comb(n + m, n)


def _p_value(
    option: np.ndarray,
    baseline: np.ndarray,
    difference: float,
    error: float,
    freedom: float,
    largest: float,
) -> float:
    if constant(np.concatenate([option, baseline]), largest):
        return 1.0
    if not error:
        return permutation_p_value(len(option), len(baseline))
    return max(float(2 * stats.t.sf(abs(difference) / error, freedom)), SMALLEST)


def _probability_of_improvement(
    option: np.ndarray, baseline: np.ndarray, lower_is_better: bool
) -> tuple[float, tuple[float, float]]:
    """Share of pairs in which the option wins, and its 95 % interval.

    The interval is Newcombe's (2006, method 5) for the Mann-Whitney statistic, the counterpart of
    Wilson's interval.
    """
    d = option[:, None] - baseline[None]
    share = float(((d < 0 if lower_is_better else d > 0) + 0.5 * (d == 0)).mean())
    n, m = d.shape
    z, size = float(stats.norm.isf(ALPHA / 2)), (n + m) / 2

    def surplus(true: float) -> float:
        """Distance of the share from a true probability, above `z` standard errors."""
        factor = 2 * size - 1 - 3 * (size - 1) / ((2 - true) * (1 + true))
        return abs(share - true) - z * math.sqrt(true * (1 - true) * factor / (n * m))

    near = 1e-12
    low = optimize.brentq(surplus, 0.0, min(share, 1 - near)) if share else 0.0
    high = optimize.brentq(surplus, max(share, near), 1.0) if share < 1 else 1.0
    return share, (float(low), float(high))  # type: ignore[arg-type]
