"""Growth rate of gradients per layer in wide random networks.

A layer is z = gain W h / sqrt(width), h = f(z), with entries of W from N(0, 1). In a wide network
the z of a layer are normal (Poole et al. 2016), so the growth of a gradient is one integral
(Schoenholz et al. 2017).
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import optimize

from jaxdl import fields
from jaxdl.errors import unknown

Function = Callable[[np.ndarray], np.ndarray]
Rate = Callable[[str, float], float]  # (activation, gain) -> growth of the log norm a layer
SMALL = 1e-10  # a length that counts as 0
NODES, REACH = (
    4_000,
    10.0,
)  # of the integral over the normal density: its midpoints, in standard deviations


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes of the checks and of the training runs."""

    width: int = fields.ruled(256, fields.at_least(32))
    depths: tuple[int, ...] = fields.ruled(
        (2, 4, 8, 16, 32, 64), fields.each(fields.at_least(2), least=2)
    )
    gains: int = fields.ruled(
        9, fields.at_least(5)
    )  # of each activation, half to twice its critical gain
    seeds: int = fields.ruled(16, fields.at_least(2))
    training_seeds: int = fields.ruled(3, fields.at_least(1))
    epochs: int = fields.ruled(15, fields.at_least(1))


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(z / 2))


# name -> (the function, its slope)
ACTIVATIONS: Mapping[str, tuple[Function, Function]] = {
    'sigmoid': (_sigmoid, lambda z: _sigmoid(z) * _sigmoid(-z)),
    'tanh': (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    'relu': (lambda z: np.maximum(z, 0.0), lambda z: (z > 0).astype(float)),
}


def normal_mean(function: Function, length: float) -> float:
    """Mean of function(z) for z from N(0, `length`), by the midpoint rule; no midpoint is 0.

    Args:
      function: of an array of z.
      length: variance of z.

    Returns:
      The mean.
    """
    z = (np.arange(NODES) + 0.5) * (2 * REACH / NODES) - REACH
    density = np.exp(-0.5 * z**2)
    return float(np.sum(density * function(math.sqrt(length) * z)) / np.sum(density))


def next_length(activation: str, gain: float, length: float) -> float:
    """Mean square of the next layer's z: gain^2 E[f(z)^2].

    Args:
      activation: a key of ACTIVATIONS.
      gain: standard deviation of the weights times sqrt(width).
      length: mean square of this layer's z.

    Returns:
      The mean square.

    Examples:
      >>> round(next_length('relu', 2**0.5, 3.0), 6)  # He's gain keeps the length
      3.0
    """
    function, _ = _of(activation)
    return gain**2 * normal_mean(lambda z: function(z) ** 2, length)


@functools.cache
def fixed_length(activation: str, gain: float) -> float:
    """Mean square of z that stays constant; 0 for decaying signals, `gain`^2 for exploding ones.

    Args:
      activation: as in `next_length`.
      gain: as in `next_length`.

    Returns:
      The mean square.

    Examples:
      >>> fixed_length('tanh', 0.9), round(fixed_length('tanh', 1.5), 3)
      (0.0, 0.793)
    """
    low, high = math.log(SMALL), 2 * math.log(max(gain, 1.0))

    def growth(log_length: float) -> float:
        return next_length(activation, gain, math.exp(log_length)) - math.exp(log_length)

    if growth(low) <= 0:
        return 0.0
    return gain**2 if growth(high) >= 0 else math.exp(_root(growth, low, high))


def layer_rate(activation: str, gain: float, length: float) -> float:
    """Growth of the log gradient norm in one layer, log(gain x root mean square derivative).

    Args:
      activation: as in `next_length`.
      gain: as in `next_length`.
      length: as in `next_length`.

    Returns:
      The growth rate.
    """
    _, slope = _of(activation)
    return math.log(gain) + 0.5 * math.log(normal_mean(lambda z: slope(z) ** 2, max(length, SMALL)))


def rate(activation: str, gain: float) -> float:
    """Growth of the log gradient norm per layer, backward, far from both ends; 0 is the edge.

    Args:
      activation: as in `next_length`.
      gain: as in `next_length`.

    Returns:
      The growth rate.

    Examples:
      >>> round(rate('relu', 2.0), 3), round(rate('tanh', 0.5), 3)
      (0.347, -0.693)
    """
    return layer_rate(activation, gain, fixed_length(activation, gain))


def layer_rates(activation: str, gain: float, depth: int) -> np.ndarray:
    """`layer_rate` of each layer but the last, for inputs of mean square 1.

    Args:
      activation: as in `next_length`.
      gain: as in `next_length`.
      depth: number of layers.

    Returns:
      [depth - 1].
    """
    length, rates = gain**2, []
    for _ in range(depth - 1):
        rates.append(layer_rate(activation, gain, length))
        length = next_length(activation, gain, length)
    return np.array(rates)


def correction(activation: str, gain: float, width: int) -> float:
    """First-order correction of the rate for finite `width`, -(3 kurtosis - 1) / (4 width).

    The growth of the squared norm in a layer is a mean of `width` squares, and the mean of a
    logarithm is below the logarithm of the mean; kurtosis = E[slope^4] / E[slope^2]^2. For ReLU: -5
    / (4 width) (Hanin and Nica 2020).

    Args:
      activation: as in `next_length`.
      gain: as in `next_length`.
      width: units per layer.

    Returns:
      The correction.

    Examples:
      >>> round(correction('relu', 2**0.5, width=100), 4)
      -0.0125
    """
    _, slope = _of(activation)
    length = max(fixed_length(activation, gain), SMALL)
    fourth, square = (normal_mean(lambda z, p=power: slope(z) ** p, length) for power in (4, 2))
    return -(3 * fourth / square**2 - 1) / (4 * width)


@functools.cache
def critical_gain(activation: str, rate: Rate = rate) -> float:
    """Gain without vanishing or exploding gradients in wide and deep networks.

    Args:
      activation: a key of ACTIVATIONS.
      rate: (activation, gain) -> growth rate.

    Returns:
      The gain with rate 0.

    Examples:
      >>> [round(critical_gain(activation), 3) for activation in ('relu', 'tanh', 'sigmoid')]
      [1.414, 1.0, 10.149]
    """
    return _root(lambda gain: rate(activation, gain), 0.3, 50.0)


def normalised_rate(activation: str) -> float:
    """Rate with layer norm (mean square 1), half log(E[slope^2] / E[f^2]), for every gain.

    Args:
      activation: a key of ACTIVATIONS.

    Returns:
      The growth rate.
    """
    function, slope = _of(activation)
    return 0.5 * math.log(
        normal_mean(lambda z: slope(z) ** 2, 1.0) / normal_mean(lambda z: function(z) ** 2, 1.0)
    )


def batch_norm_rate() -> float:
    """Rate of ReLU after batch norm over a large batch (Yang et al. 2019).

    Returns:
      Half log(pi / (pi - 1)).

    Examples:
      >>> round(batch_norm_rate(), 3)
      0.192
    """
    return 0.5 * math.log(math.pi / (math.pi - 1))


def skip_rate(gain: float, branch: float = 1.0) -> float:
    """Rate of h + branch W relu(h), W of `gain`; never below 0.

    Args:
      gain: standard deviation of the weights times sqrt(width).
      branch: factor of the branch.

    Returns:
      Half log(1 + branch^2 gain^2 / 2).

    Examples:
      >>> round(skip_rate(2**0.5), 3), round(skip_rate(2**0.5, branch=0.1), 3)
      (0.347, 0.005)
    """
    return 0.5 * math.log1p((branch * gain) ** 2 / 2)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Root by bisection, since tanh's rate has a kink at the edge and is flat on one side."""
    root: Any = optimize.bisect(function, low, high, xtol=1e-12)
    return float(root)


def _of(activation: str) -> tuple[Function, Function]:
    if activation not in ACTIVATIONS:
        raise unknown('activation', activation, ACTIVATIONS)
    return ACTIVATIONS[activation]
