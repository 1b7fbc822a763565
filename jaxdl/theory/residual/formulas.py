"""Formulas of gradients in plain and residual networks at initialisation.

A plain layer is x -> f(x), a residual one x -> x + f(x) (He et al. 2016). The formulas are for wide
networks with f(x) = W relu(norm(x)), entries of W from N(0, 2 / width) and batch norm.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jaxdl import fields

CARRIED: Mapping[str, float] = {
    'none': 0.0,
    'identity': 1.0,
}  # what is carried past a layer, by row of layers.SKIPS
SHARE = (
    1 - 1 / math.pi
)  # of the mean square of relu(z), z standard normal, that is variance and no mean
GROWTH = 1 / SHARE  # of a squared gradient by each plain layer (Yang et al. 2019)

Rule = Callable[[float], float]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes of the checks and of the training runs."""

    depths: tuple[int, ...] = fields.ruled(
        (4, 16, 32, 64), fields.each(fields.at_least(3), least=2)
    )
    width: int = fields.ruled(16, fields.at_least(2))
    convolutions: tuple[int, ...] = fields.ruled(
        (24,), fields.each(fields.at_least(2), least=0)
    )  # of one CNN each
    learning_rates: tuple[float, ...] = fields.ruled(
        (0.003, 0.02, 0.1), fields.each(fields.above(0))
    )
    tuning_seeds: int = fields.ruled(2, fields.at_least(1))
    seeds: int = fields.ruled(3, fields.at_least(1))
    epochs: int = fields.ruled(10, fields.at_least(1))
    cnn_epochs: int = fields.ruled(4, fields.at_least(1))
    deleted: int = fields.ruled(
        16, fields.at_least(3)
    )  # depth of the networks that lose a layer, one of `depths`
    random_networks: int = fields.ruled(2, fields.at_least(1))


def path_counts(depth: int) -> list[int]:
    """Number of paths through `depth` residual layers by their number of branches.

    Args:
      depth: number of layers; all 2^depth paths are enumerated.

    Returns:
      Counts for 0, 1, ..., `depth` branches.

    Examples:
      >>> path_counts(4)
      [1, 4, 6, 4, 1]
    """
    counts = [0] * (depth + 1)
    for taken in itertools.product((0, 1), repeat=depth):
        counts[sum(taken)] += 1
    return counts


def path_sum(branches: Sequence[np.ndarray]) -> np.ndarray:
    """Sum over all 2^depth paths of the product of their branches, later ones to the left.

    Args:
      branches: one [n, n] matrix per layer.

    Returns:
      [n, n], the Jacobian of the residual network.

    Examples:
      >>> float(path_sum([np.array([[2.0]]), np.array([[0.5]])])[0, 0])  # (1 + 2) (1 + 0.5)
      4.5
    """
    total = np.zeros_like(branches[0])
    for taken in itertools.product((False, True), repeat=len(branches)):
        product = np.eye(len(total))
        for branch in itertools.compress(branches, taken):
            product = branch @ product
        total += product
    return total


def branch_slope(x: np.ndarray, weight: float, bias: float, out: float) -> np.ndarray:
    """Derivative of f(x) = out tanh(weight x + bias), by hand.

    Args:
      x: [n].
      weight: factor of x inside tanh.
      bias: added to weight x inside tanh.
      out: factor of tanh.

    Returns:
      f'(x), [n].
    """
    return out * weight * (1 - np.tanh(weight * x + bias) ** 2)


def same_side(correlation: float) -> float:
    """Probability that a standard normal is positive, given that a correlated one is.

    Args:
      correlation: of the two, in [-1, 1].

    Returns:
      1 - arccos(correlation) / pi (Sheppard 1899).

    Examples:
      >>> round(same_side(0.0), 3), same_side(1.0)
      (0.5, 1.0)
    """
    return 1 - math.acos(min(1.0, correlation)) / math.pi


def relu_product(correlation: float) -> float:
    """2 E[relu(u) relu(v)] of standard normals, the arc-cosine kernel (Cho and Saul 2009).

    Args:
      correlation: of u and v, in [-1, 1].

    Returns:
      The kernel; 1 for correlation 1.

    Examples:
      >>> round(relu_product(0.0), 3), round(relu_product(0.5), 3)
      (0.318, 0.609)
    """
    c = min(1.0, correlation)
    return (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi


def strengths(skip: str, depth: int) -> np.ndarray:
    """Growth a_l of the expected squared gradient in the branch of each layer, input variance 1.

    a_l is 1 / V_l, where V_l is the variance that batch norm divides by. A plain layer outputs
    variance SHARE; a residual layer adds SHARE to the variance of its input.

    Args:
      skip: `none` or `identity`.
      depth: number of layers.

    Returns:
      [depth].
    """
    variances = (
        1 + SHARE * np.arange(depth) if CARRIED[skip] else np.where(np.arange(depth), SHARE, 1.0)
    )
    return 1 / variances


def growth(skip: str, depth: int) -> float:
    """Expected squared gradient w.r.t. the input, relative to that w.r.t. the last output.

    Args:
      skip: `none` or `identity`.
      depth: number of layers.

    Returns:
      The ratio.

    Examples:
      >>> round(growth('none', 16)), round(growth('identity', 16), 1)
      (313, 31.8)
    """
    return float(np.prod(CARRIED[skip] + strengths(skip, depth)))


def mean_path_length(depth: int) -> float:
    """Mean number of branches on a path, weighted by expected squared gradient.

    Args:
      depth: number of layers.

    Returns:
      The mean.

    Examples:
      >>> round(mean_path_length(64), 2)
      4.84
    """
    branch = strengths('identity', depth)
    return float(np.sum(branch / (1 + branch)))


def gradient_correlations(
    skip: str, depth: int, start: float, rule: Rule = same_side
) -> np.ndarray:
    """Correlation of the gradients at two inputs of correlation `start`, by number of layers.

    The gradients of two inputs share the units that are active for both: `rule` of the correlation
    of the pre-activations.

    Args:
      skip: `none` or `identity`.
      depth: number of layers.
      start: correlation of the inputs.
      rule: correlation -> share of common gates.

    Returns:
      Correlations after 0, 1, ..., `depth` layers, [depth + 1].
    """
    carried, variance, covariance, correlations = CARRIED[skip], 1.0, start, [1.0]
    for _ in range(depth):
        correlation = covariance / variance
        correlations.append(
            correlations[-1] * (carried + rule(correlation) / variance) / (carried + 1 / variance)
        )
        covariance = carried * covariance + relu_product(correlation) - relu_product(0.0)
        variance = carried * variance + SHARE
    return np.array(correlations)
