"""Where the doubt in a result comes from: seeds against test images.

And one source of chance against another.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from jaxdl import fields
from jaxdl.errors import InputError

TAIL = 0.025
NUMBERS = 4_000_000  # how many the bootstrap holds at once: 32 MB


@dataclasses.dataclass(frozen=True)
class TwoWay:
    """A mean difference over seeds and test images.

    The shares are of the variance of that mean, all 0 of none.
    """

    difference: float
    interval: tuple[float, float]  # 95 %: over other seeds and other test images of the same kind
    share_seeds: float
    share_images: float
    share_rest: float  # that an image is hard for one seed and not for another


@dataclasses.dataclass(frozen=True)
class Component:
    """One source of the variance of a single run.

    `p_value` of the F test against the rest (None for the rest).
    """

    source: str
    share: float
    variance: float
    p_value: float | None


def two_way_bootstrap(differences: np.ndarray, resamples: int = 5_000, seed: int = 0) -> TwoWay:
    """Resamples seeds and images of `differences` [seed >= 2, image >= 2] at once.

    The same for option and baseline.

    Each resample draws one fewer of each than there are, with replacement, so that few seeds do not
    look too sure (Rao and Wu 1988); the percentiles reach as far out as Student's t asks
    (Hesterberg 2015), with the degrees of freedom of Satterthwaite (1946). Resampling both ways
    counts the variance of the rest three times where the mean has it once (Owen, "The pigeonhole
    bootstrap", 2007): the interval is wide rather than narrow, most where the rest is most. The
    shares come from the mean squares of the two-way random-effects analysis of variance, a negative
    one being 0.

    Raises:
      InputError: fewer than two seeds or images, or a value that is not finite.

    Examples:
      >>> found = two_way_bootstrap(np.array([[1, 0, 0, 1], [1, 0, 0, 0], [1, 0, -1, 0]]))
      >>> found.difference, round(found.share_images, 2)
      (0.25, 0.77)
    """
    d = np.asarray(differences, np.float64)
    if d.ndim != 2 or min(d.shape) < 2 or not np.all(np.isfinite(d)):
        raise InputError(
            f'differences: needs finite numbers of 2 seeds and 2 images at least, not shape {d.shape}'
        )
    parts, freedom = _of_the_mean(d)
    total, mean = float(parts.sum()), float(d.mean())
    if total == 0:
        return TwoWay(mean, (mean, mean), 0.0, 0.0, 0.0)
    tail = stats.norm.cdf(stats.t.ppf(TAIL, freedom))
    low, high = np.quantile(_resampled(d, resamples, np.random.default_rng(seed)), (tail, 1 - tail))
    seeds, images, rest = (float(part / total) for part in parts)
    return TwoWay(mean, (float(low), float(high)), seeds, images, rest)


def variance_components(
    values: Sequence[float] | np.ndarray, levels: Mapping[str, Sequence[int]]
) -> list[Component]:
    """The variance of `values` [run] split among crossed random factors.

    Source -> its level in each run.

    The runs meet every two levels of any two factors equally often (`orthogonal_array`). A factor
    has (its mean square less that of the rest) / runs a level, a negative one being 0; what two
    factors do only together counts to the rest, which comes last. With p levels a factor has p - 1
    degrees of freedom: shares of few levels are rough.

    Raises:
      InputError: the runs are not balanced, leave nothing to estimate the rest from, or hold what
        is no finite number.

    Examples:
      >>> levels = dict(init=[0, 0, 1, 1], order=[0, 1, 0, 1])
      >>> parts = variance_components([0.9, 0.8, 0.7, 0.65], levels)
      >>> [(part.source, round(part.share, 2)) for part in parts]
      [('init', 0.83), ('order', 0.14), ('rest', 0.03)]
    """
    given = np.asarray(values, np.float64)
    codes = {source: np.unique(level, return_inverse=True)[1] for source, level in levels.items()}
    _check(given, codes)
    centred = given - given[0]  # exactly 0 where all are equal
    centred = centred - centred.mean()
    squares = {source: _between(centred, code) for source, code in codes.items()}
    freedoms = {source: int(code.max()) for source, code in codes.items()}
    freedom = len(given) - 1 - sum(freedoms.values())
    rest = max(float(np.sum(centred**2)) - sum(squares.values()), 0.0) / freedom
    variances, p_values = {}, {}
    for source, count in freedoms.items():
        mean_square = squares[source] / count
        variances[source] = max(mean_square - rest, 0.0) * (count + 1) / len(given)
        p_values[source] = (
            float(stats.f.sf(mean_square / rest, count, freedom))
            if rest
            else float(mean_square == 0)
        )
    variances['rest'] = rest
    total = sum(variances.values()) or 1.0
    return [
        Component(source, v / total, v, p_values.get(source)) for source, v in variances.items()
    ]


def orthogonal_array(levels: int, factors: int) -> np.ndarray:
    """Runs of `factors` factors of a prime number of `levels`, int [levels**2, factors].

    Every two levels of any two factors meet in one run exactly.

    Raises:
      InputError: `levels` is not prime, or `factors` is not 2 to levels + 1.

    Examples:
      >>> orthogonal_array(2, factors=3).tolist()
      [[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]
    """
    if complaint := fields.prime(2)(levels):
        raise InputError(f'levels={levels}: {complaint}')
    if not 2 <= factors <= levels + 1:
        raise InputError(f'factors={factors}: must be 2 to {levels + 1} with {levels} levels')
    first, second = np.divmod(np.arange(levels**2), levels)
    columns = [first, *((second + slope * first) % levels for slope in range(factors - 1))]
    return np.stack(columns, axis=1)


def _of_the_mean(d: np.ndarray) -> tuple[np.ndarray, float]:
    """Variance of the mean of `d` due to seeds, images and the rest, [3].

    Satterthwaite's degrees of freedom.
    """
    d = d - d[0, 0]  # exactly 0 where all are equal
    (n, m), mean = d.shape, d.mean()
    seeds, images = d.mean(1, keepdims=True), d.mean(0, keepdims=True)
    rest = np.sum((d - seeds - images + mean) ** 2)
    freedom = np.array([n - 1, m - 1, (n - 1) * (m - 1)])
    squares = (
        np.array([m * np.sum((seeds - mean) ** 2), n * np.sum((images - mean) ** 2), rest])
        / freedom
        / d.size
    )
    parts = np.maximum(squares - [squares[2], squares[2], 0.0], 0.0)
    if not parts.sum():
        return parts, 1.0
    return parts, max(float(parts.sum() ** 2 / np.sum(squares**2 / freedom)), min(n, m) - 1.0)


def _resampled(d: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Means of `d` over resampled seeds and images, [resample].

    Images alike on every seed are drawn together.
    """
    n, m = d.shape
    kinds, counts = np.unique(d, axis=1, return_counts=True)
    seeds = rng.multinomial(n - 1, np.full(n, 1 / n), resamples) @ kinds / (n - 1)
    rows = max(1, NUMBERS // kinds.shape[1])
    drawn = (rng.multinomial(m - 1, counts / m, len(part)) for part in _chunks(seeds, rows))
    means = [
        np.einsum('ri,ri->r', part, images)
        for part, images in zip(_chunks(seeds, rows), drawn, strict=True)
    ]
    return np.concatenate(means) / (m - 1)


def _chunks(values: np.ndarray, rows: int) -> list[np.ndarray]:
    return [values[start : start + rows] for start in range(0, len(values), rows)]


def _between(centred: np.ndarray, code: np.ndarray) -> float:
    """The sum of squares between the levels of a factor."""
    counts = np.bincount(code)
    return float(np.sum(np.bincount(code, weights=centred) ** 2 / counts))


def _check(values: np.ndarray, codes: Mapping[str, np.ndarray]) -> None:
    if values.ndim != 1 or any(len(code) != len(values) for code in codes.values()):
        raise InputError(
            'variance components: needs one value and one level of each factor for every run'
        )
    if not np.all(np.isfinite(values)):
        raise InputError('variance components: every value must be finite')
    for source, code in codes.items():
        if len(values) < 4 or code.max() < 1:
            raise InputError(f'variance components: {source} needs at least 2 levels')
    for one, other in itertools.combinations(codes, 2):
        met = np.zeros((codes[one].max() + 1, codes[other].max() + 1), int)
        np.add.at(met, (codes[one], codes[other]), 1)
        if met.min() != met.max():
            raise InputError(
                f'variance components: {one} and {other} do not meet equally often at every two levels'
            )
    if len(values) - 1 <= sum(int(code.max()) for code in codes.values()):
        raise InputError(
            'variance components: as many effects as runs leave no rest; give more levels or fewer factors'
        )
