"""Comparison of two options for new seeds and new test images, which are crossed random effects."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from jaxdl.errors import InputError
from jaxdl.statistics.paired import ALPHA, SMALLEST, constant, detectable_shift
from jaxdl.statistics.unpaired import permutation_p_value, welch_freedom

FEWEST_GROUPS = 10  # of test images, for a verdict


@dataclasses.dataclass(frozen=True)
class CorrectComparison:
    """An option against the baseline for new seeds and new test images of the same kind.

    Attributes:
      difference: mean of option - baseline over seeds and images.
      p_value: two-sided p-value of the test whose inversion is the interval. Never 0.
      groups: number of groups of images, the units of the variance.
      share_seeds: share of the seeds in the variance of the difference; all shares are 0 if nothing
        varies.
      share_images: share of the groups of images.
      share_rest: share of the interaction of seeds and groups.
      errors: (standard error, degrees of freedom) of seeds and images together, of seeds alone and
        of images alone; empty if nothing varies.
      largest: largest possible difference.
    """

    difference: float
    p_value: float
    groups: int
    share_seeds: float
    share_images: float
    share_rest: float
    errors: tuple[tuple[float, float], ...]
    largest: float = 1.0

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the difference for new seeds and new images."""
        return self.interval_at(ALPHA)

    def interval_at(self, level: float) -> tuple[float, float]:
        """Interval of the difference at another level.

        Args:
          level: probability that the interval misses the true difference, 0.05 for `interval`.

        Returns:
          (low, high).
        """
        if self.errors:
            half = max(float(stats.t.isf(level / 2, df)) * error for error, df in self.errors)
            return self.difference - half, self.difference + half
        if self.p_value < level or not self.difference:
            return self.difference, self.difference
        return -self.largest, self.largest  # the sign-flip test rejects nothing at this level

    def half_width(self, seeds: float, groups: float) -> float:
        """Half width of the 95 % interval with more seeds or more groups of images, about.

        Args:
          seeds: factor by which the number of seeds grows.
          groups: factor by which the number of groups grows.

        Returns:
          The half width; 0 if nothing varies.
        """
        if not self.errors:
            return 0.0
        (both, freedom), (_, of_seeds), (_, of_images) = self.errors
        a, b, c = (both**2 * x for x in (self.share_seeds, self.share_images, self.share_rest))
        rest = c / (seeds * groups)
        variances = (
            (a / seeds + b / groups + rest, freedom),
            (a / seeds + rest, (of_seeds + 1) * seeds - 1),
            (b / groups + rest, (of_images + 1) * groups - 1),
        )
        return max(float(stats.t.isf(ALPHA / 2, df)) * variance**0.5 for variance, df in variances)

    def detectable_at(self, level: float) -> float:
        """Minimum detectable difference for new seeds and new images: 80 % power.

        An approximation: it is the largest of the values of the three t tests.

        Args:
          level: of the test; 0.05 / m at the first step of Holm's correction for m options.

        Returns:
          The difference; 0 if nothing varies, so that it cannot be estimated.
        """
        return max((error * detectable_shift(df, level) for error, df in self.errors), default=0.0)


def compare_correct(
    option: Sequence[Any] | np.ndarray,
    baseline: Sequence[Any] | np.ndarray,
    groups: Sequence[Any] | np.ndarray | None = None,
    *,
    paired: bool = True,
) -> CorrectComparison:
    """Compare an option with the baseline for new seeds and new images.

    Seeds and groups of images are crossed random effects. The variance of the mean is the sum of
    three components, each at least 0. Its degrees of freedom are Satterthwaite's (1946). The
    interval is never narrower than the interval over seeds alone or over images alone. The formulas
    are in docs/statistics.md.

    Args:
      option: whether the option classifies the image correctly, bool [seeds, images], or its
        probability, float in 0 to 1.
      baseline: the same of the baseline, with the same seeds and images.
      groups: [images], equal for images that belong together, such as near-duplicates; None if each
        image is a group by itself.
      paired: False if the seeds of the baseline are others; there may be another number of them.

    Returns:
      The comparison, as a share of images.

    Raises:
      InputError: the shapes differ, a value is outside 0 to 1, or there are fewer than two seeds or
        two groups.

    Examples:
      >>> option = [[1, 1, 1, 0, 1, 1], [1, 1, 0, 0, 1, 1], [1, 1, 1, 0, 1, 0]]
      >>> baseline = [[1, 0, 1, 0, 0, 1], [1, 0, 0, 0, 1, 1], [1, 1, 1, 0, 0, 0]]
      >>> comparison = compare_correct(option, baseline)
      >>> round(comparison.difference, 3), round(comparison.p_value, 2)
      (0.222, 0.18)
    """
    option, baseline = _values(option, 'option'), _values(baseline, 'baseline')
    for name, values in dict(option=option, baseline=baseline).items():
        if not np.all((values >= 0) & (values <= 1)):
            raise InputError(f'{name}: every value must be 0 to 1 (whether an image is correct)')
    return _compare(option, baseline, groups, 1.0, paired)


def compare_values(
    option: Sequence[Any] | np.ndarray,
    baseline: Sequence[Any] | np.ndarray,
    groups: Sequence[Any] | np.ndarray | None = None,
    largest: float = np.inf,
    *,
    paired: bool = True,
) -> CorrectComparison:
    """Compare an option with the baseline for new seeds and new images by any value per image.

    The same formulas as those of `compare_correct`.

    Args:
      option: value of each image, float [seeds, images]: a metric per image, or the pseudo-values
        of a jackknife.
      baseline: the same of the baseline, with the same seeds and images.
      groups: as in `compare_correct`.
      largest: largest possible difference.
      paired: as in `compare_correct`.

    Returns:
      The comparison, in the unit of the values.

    Raises:
      InputError: the shapes differ, a value is not finite, or there are fewer than two seeds or two
        groups.
    """
    option, baseline = _values(option, 'option'), _values(baseline, 'baseline')
    for name, values in dict(option=option, baseline=baseline).items():
        if not np.all(np.isfinite(values)):
            raise InputError(f'{name}: every value must be finite')
    return _compare(option, baseline, groups, largest, paired)


def _compare(
    option: np.ndarray,
    baseline: np.ndarray,
    groups: Sequence[Any] | np.ndarray | None,
    largest: float,
    paired: bool,
) -> CorrectComparison:
    start = 0 if paired else 1  # unpaired sides may have different numbers of seeds
    if option.shape[start:] != baseline.shape[start:]:
        raise InputError(
            f'option has the shape {option.shape} and baseline {baseline.shape}: '
            f'must have the same {"seeds and images" if paired else "images"}'
        )
    sides = [option - baseline] if paired else [option, baseline]
    means = [_group_means(side, groups) for side in sides]
    d, weights = [side for side, _ in means], means[0][1]
    by_group = d[0].mean(0) if paired else d[0].mean(0) - d[1].mean(0)
    size = float(max(np.abs(option).max(), np.abs(baseline).max()))
    seeds, count = [len(side) for side in d], len(by_group)
    if constant(by_group, size) and all(constant(side - side.mean(0), size) for side in d):
        mean = 0.0 if constant(np.append(by_group, 0.0), size) else float(by_group[0])
        exact = 2.0 ** (1 - seeds[0]) if paired else permutation_p_value(*seeds)
        p_value = max(exact, 2.0 ** (1 - count)) if mean else 1.0  # the sign-flip test over groups
        return CorrectComparison(mean, p_value, count, 0.0, 0.0, 0.0, (), largest)
    mean = float(by_group @ weights)
    of_each = [_variances_by_seeds(side, weights) for side in d]
    of_seeds, of_rest = (sum(variances) for variances in zip(*of_each, strict=True))
    of_groups = float(_jackknife_weights(weights) @ (by_group - mean) ** 2)
    parts = (max(of_seeds - of_rest, 0.0), max(of_groups - of_rest, 0.0), of_rest)
    total = sum(parts)
    freedoms = [n - 1.0 for n in seeds]
    squares = [of_groups**2 / (count - 1)]
    for (by_seeds, rest), freedom in zip(of_each, freedoms, strict=True):
        squares += [by_seeds**2 / freedom, rest**2 / (freedom * (count - 1))]
    least = min(*seeds, count) - 1.0
    errors = (
        (float(np.sqrt(total)), max(total**2 / sum(squares), least)),
        (float(np.sqrt(of_seeds)), welch_freedom([v for v, _ in of_each], freedoms)),
        (float(np.sqrt(of_groups)), count - 1.0),
    )
    p_value = max(float(2 * stats.t.sf(abs(mean) / e, f)) for e, f in errors if e)
    return CorrectComparison(
        difference=mean,
        p_value=max(p_value, SMALLEST),
        groups=count,
        share_seeds=parts[0] / total,
        share_images=parts[1] / total,
        share_rest=parts[2] / total,
        errors=errors,
        largest=largest,
    )


def number_groups(groups: Sequence[Any] | np.ndarray | None, images: int) -> np.ndarray:
    """Number the groups of images.

    Args:
      groups: [images], equal for images that belong together; None if each image is a group.
      images: number of images.

    Returns:
      int [images], from 0.

    Raises:
      InputError: `groups` has another shape.
    """
    if groups is None:
        return np.arange(images)
    groups = np.asarray(groups)
    if groups.shape != (images,):
        raise InputError(
            f'groups has the shape {groups.shape}: must have one entry per image, ({images},)'
        )
    return np.unique(groups, return_inverse=True)[1]


def _values(values: Sequence[Any] | np.ndarray, name: str) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or min(values.shape) < 2:
        raise InputError(
            f'{name} has the shape {values.shape}: must be [seeds, images], at least 2 of each'
        )
    return values


def _group_means(
    differences: np.ndarray, groups: Sequence[Any] | np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean difference of each group [seeds, groups], and its share of the images [groups]."""
    images = differences.shape[1]
    if groups is None:
        return differences, np.full(images, 1 / images)
    numbers = number_groups(groups, images)
    sizes = np.bincount(numbers)
    if len(sizes) < 2:
        raise InputError('groups: all images are in one group; must be at least 2 groups')
    in_order = differences[:, np.argsort(numbers, kind='stable')]
    totals = np.add.reduceat(in_order, np.append(0, np.cumsum(sizes)[:-1]), axis=1)
    return totals / sizes, sizes / images


def _variances_by_seeds(d: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Variance of the weighted mean of `d` [seeds, groups] by seeds, and by the residual."""
    seeds = len(d)
    by_seed, by_group = d @ weights, d.mean(0)
    mean = by_seed.mean()
    residual = d - by_seed[:, None] - by_group + mean
    repeats = seeds * (seeds - 1)
    return (
        float(np.sum((by_seed - mean) ** 2) / repeats),
        float(np.sum(residual**2 @ _jackknife_weights(weights)) / repeats),
    )


def _jackknife_weights(weights: np.ndarray) -> np.ndarray:
    """Factors of the delete-one-group jackknife, which groups of different sizes need."""
    return (1 - 1 / len(weights)) * (weights / (1 - weights)) ** 2
