"""Variance components of a result: sources of randomness in training."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from jaxdl import fields
from jaxdl.errors import InputError


@dataclasses.dataclass(frozen=True)
class Component:
    """One source of the variance of a single run.

    Attributes:
      source: name of the factor; `rest` for the residual.
      share: share of the total variance, 0 to 1.
      variance: variance component, in the squared unit of the values.
      p_value: p-value of the F test against the residual; None for the residual.
    """

    source: str
    share: float
    variance: float
    p_value: float | None


def variance_components(
    values: Sequence[float] | np.ndarray, levels: Mapping[str, Sequence[int]]
) -> list[Component]:
    """Split the variance of runs among crossed random factors.

    The component of a factor is (its mean square - residual mean square) / runs per level; negative
    components count as 0. Interactions are part of the residual. A factor with p levels has p - 1
    degrees of freedom, so shares of few levels are rough.

    Args:
      values: one number per run, for example test accuracy [run].
      levels: source -> its level in each run [run]. Any two levels of two sources occur together
        equally often, as in `orthogonal_array`.

    Returns:
      One component per source, then the residual (`rest`).

    Raises:
      InputError: the runs are not balanced, there are no residual degrees of freedom, or a value is
        not finite.

    Examples:
      >>> levels = dict(init=[0, 0, 1, 1], order=[0, 1, 0, 1])
      >>> components = variance_components([0.9, 0.8, 0.7, 0.65], levels)
      >>> [(component.source, round(component.share, 2)) for component in components]
      [('init', 0.83), ('order', 0.14), ('rest', 0.03)]
    """
    accuracies = np.asarray(values, np.float64)
    codes = {source: np.unique(level, return_inverse=True)[1] for source, level in levels.items()}
    _check(accuracies, codes)
    centred = accuracies - accuracies[0]  # exactly 0 where all are equal
    centred = centred - centred.mean()
    squares = {source: _between(centred, code) for source, code in codes.items()}
    freedoms = {source: int(code.max()) for source, code in codes.items()}
    freedom = len(accuracies) - 1 - sum(freedoms.values())
    rest = max(float(np.sum(centred**2)) - sum(squares.values()), 0.0) / freedom
    variances, p_values = {}, {}
    for source, count in freedoms.items():
        mean_square = squares[source] / count
        variances[source] = max(mean_square - rest, 0.0) * (count + 1) / len(accuracies)
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
    """Orthogonal array of strength 2: any two levels of two factors occur together in one run.

    Args:
      levels: number of levels, a prime.
      factors: number of factors, 2 to levels + 1.

    Returns:
      Level of each factor in each run, int [levels**2, factors].

    Raises:
      InputError: `levels` is not prime, or `factors` is out of range.

    Examples:
      >>> orthogonal_array(2, factors=3).tolist()
      [[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]
    """
    if complaint := fields.prime(2)(levels):
        raise InputError(f'levels={levels}: {complaint}')
    if not 2 <= factors <= levels + 1:
        raise InputError(f'factors={factors}: must be 2 to {levels + 1} with {levels} levels')
    first, second = np.divmod(np.arange(levels**2), levels)
    columns = [first, *((second + step * first) % levels for step in range(factors - 1))]
    return np.stack(columns, axis=1)


def _between(centred: np.ndarray, code: np.ndarray) -> float:
    """The sum of squares between the levels of a factor."""
    counts = np.bincount(code)
    return float(np.sum(np.bincount(code, weights=centred) ** 2 / counts))


def _check(values: np.ndarray, codes: Mapping[str, np.ndarray]) -> None:
    if values.ndim != 1 or any(len(code) != len(values) for code in codes.values()):
        raise InputError('variance components: values and levels must have one entry per run')
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
                f'variance components: levels of {one} and {other} must meet equally often'
            )
    if len(values) - 1 <= sum(int(code.max()) for code in codes.values()):
        raise InputError(
            'variance components: no residual degrees of freedom; use more levels or fewer factors'
        )
