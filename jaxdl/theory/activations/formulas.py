"""Formulas of sigmoid and ReLU, their derivatives and products of derivatives.

NumPy in float64, without jax. Sources: Glorot and Bengio (2010), Nair and Hinton (2010), He et al.
(2015), Goodfellow, Bengio and Courville (2016), chapter 6.
"""

import dataclasses

import numpy as np

from jaxdl import fields

SMALL_OUTPUT = (
    0.05  # a sigmoid unit is called saturated where its output is this close to 0 or to 1
)


def sigmoid(x: np.ndarray | float) -> np.ndarray:
    """Sigmoid, 1 / (1 + exp(-x)), without overflow.

    Args:
      x: any shape.

    Returns:
      float64 of the shape of `x`, exact to rounding on both sides.

    Examples:
      >>> sigmoid([-1000.0, 0.0, 2.0]).round(3).tolist()
      [0.0, 0.5, 0.881]
    """
    small = np.exp(-np.abs(x))
    return np.where(np.greater_equal(x, 0), 1.0, small) / (1 + small)


def sigmoid_slope(x: np.ndarray | float) -> np.ndarray:
    """Derivative of the sigmoid, sigmoid (1 - sigmoid).

    Args:
      x: any shape.

    Returns:
      float64 of the shape of `x`; even, 1/4 at 0, below exp(-|x|).

    Examples:
      >>> sigmoid_slope([0.0, 4.0]).round(3).tolist()
      [0.25, 0.018]
    """
    small = np.exp(-np.abs(x))
    return np.asarray(small / np.square(1 + small))


def relu(x: np.ndarray | float) -> np.ndarray:
    """ReLU, max(0, x).

    Args:
      x: any shape.

    Returns:
      float64 of the shape of `x`.
    """
    return np.maximum(x, 0.0)


def relu_slope(x: np.ndarray | float) -> np.ndarray:
    """Derivative of ReLU: 1 above 0, else 0 (also at 0, as in jax).

    Args:
      x: any shape.

    Returns:
      float64 of the shape of `x`.
    """
    return np.where(np.greater(x, 0), 1.0, 0.0)


def slope_bound(depth: int) -> float:
    """Largest product of `depth` derivatives of the sigmoid, 4^-depth.

    Args:
      depth: number of units in the chain.

    Returns:
      The bound.

    Examples:
      >>> slope_bound(5)
      0.0009765625
    """
    return 0.25**depth


def saturated_slope(output: float = SMALL_OUTPUT) -> float:
    """Derivative of a sigmoid unit whose output is `output` or 1 - `output`.

    Args:
      output: in (0, 1).

    Returns:
      output (1 - output).

    Examples:
      >>> round(saturated_slope(0.05), 4)
      0.0475
    """
    return output * (1 - output)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes of the checks and of the training runs."""

    depths: tuple[int, ...] = fields.ruled((2, 3, 5, 20), fields.each(fields.between(2, 20)))
    learning_rates: tuple[float, ...] = fields.ruled(
        (0.01, 0.0316, 0.1, 0.316, 1.0, 3.16, 10.0), fields.each(fields.above(0), least=3)
    )
    tuning_seeds: int = fields.ruled(2, fields.at_least(1))
    seeds: int = fields.ruled(5, fields.at_least(2))
    epochs: int = fields.ruled(15, fields.at_least(10))
    points: int = fields.ruled(10_001, fields.at_least(101))  # at which slopes are compared
    chains: int = fields.ruled(1000, fields.at_least(10))  # of sigmoid units, drawn at random
    repeats: int = fields.ruled(40, fields.at_least(3))  # of every timing
