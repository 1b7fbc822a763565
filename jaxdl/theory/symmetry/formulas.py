"""Gradient of one unit of a hidden tanh layer, and its linearisation.

Every unit follows the same rule, so equal units stay equal. The derivative of the rule gives the
growth of small differences (the saddles of Fukumizu and Amari 2000).
"""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxdl import fields

CONSTANT = 0.05  # equal weights that leave tanh room: from ones the sum of 64 pixels saturates it


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes: `epochs` of the engine's networks, `steps` of the small network in NumPy."""

    width: int = fields.ruled(16, fields.at_least(2))
    epochs: int = fields.ruled(31, fields.at_least(1))  # of 33 steps each
    seeds: int = fields.ruled(3, fields.at_least(2))
    steps: int = fields.ruled(1000, fields.at_least(300))
    rounding_width: int = fields.ruled(
        20, fields.at_least(2)
    )  # no multiple of what a processor adds at once


class Network(NamedTuple):
    """One hidden layer of tanh units: logits = tanh(images first) second + bias.

    first [inputs, units], with the units' biases in its last row; second [units, classes]; bias
    [classes].
    """

    first: np.ndarray
    second: np.ndarray
    bias: np.ndarray


def constant(value: float, inputs: int, units: int, classes: int) -> Network:
    """Network with equal weights and zero biases.

    Args:
      value: of every weight.
      inputs: number of inputs.
      units: number of hidden units.
      classes: number of classes.

    Returns:
      The network.
    """
    first = np.full((inputs, units), value)
    first[-1] = 0.0
    return Network(first, np.full((units, classes), value), np.zeros(classes))


def nudged(network: Network, size: float, rng: np.random.Generator) -> Network:
    """Add normal noise of standard deviation `size` to the weights of every unit.

    Args:
      network: without noise.
      size: standard deviation.
      rng: source of the noise.

    Returns:
      The network with noise.
    """
    first, second = (kernel + size * rng.normal(size=kernel.shape) for kernel in network[:2])
    return network._replace(first=first, second=second)


def logits(network: Network, images: np.ndarray, copies: float = 1.0) -> np.ndarray:
    """Logits of the network.

    Args:
      network: the parameters.
      images: [n, inputs], the last column ones.
      copies: factor of every unit's output.

    Returns:
      [n, classes].
    """
    return copies * (np.tanh(images @ network.first) @ network.second) + network.bias


def residuals(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Gradient of the mean cross-entropy w.r.t. the logits, shared by all units.

    Args:
      scores: logits, [n, classes].
      targets: [n, classes].

    Returns:
      (softmax - target) / n, [n, classes].
    """
    likely = np.exp(scores - scores.max(1, keepdims=True))
    return (likely / likely.sum(1, keepdims=True) - targets) / len(targets)


def unit_gradient(units: np.ndarray, images: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Gradient of the loss w.r.t. the weights of each unit, from its own weights only.

    With h = tanh(images w): images^T (h' * (errors v)) for the weights w into it, errors^T h for
    the weights v out of it.

    Args:
      units: [inputs + classes, units].
      images: [n, inputs].
      errors: [n, classes], by `residuals`.

    Returns:
      [inputs + classes, units].
    """
    into, out = np.split(units, [images.shape[1]])
    hidden = np.tanh(images @ into)
    return np.concatenate([images.T @ ((1 - hidden**2) * (errors @ out)), errors.T @ hidden])


def curvature(unit: np.ndarray, images: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Jacobian of `unit_gradient` w.r.t. one unit: the matrix (A B; B^T 0).

    A = sum of h'' (v . errors) x x^T over images x, B = sum of h' x errors^T; the gradient of v
    does not contain v.

    Args:
      unit: [inputs + classes].
      images: [n, inputs].
      errors: [n, classes], by `residuals`.

    Returns:
      [inputs + classes, inputs + classes].
    """
    into, out = np.split(unit, [images.shape[1]])
    hidden = np.tanh(images @ into)
    slope = 1 - hidden**2
    block = images.T @ ((-2 * hidden * slope * (errors @ out))[:, None] * images)
    mixed = images.T @ (slope[:, None] * errors)
    return np.block([[block, mixed], [mixed.T, np.zeros((len(out), len(out)))]])


def units_of(network: Network) -> np.ndarray:
    """Weights of each unit, [inputs + classes, units]: input weights above output weights.

    Args:
      network: the parameters.

    Returns:
      One column per unit.
    """
    return np.concatenate([network.first, network.second.T])


def descend(
    network: Network,
    images: np.ndarray,
    targets: np.ndarray,
    rate: float,
    *,
    copies: float = 1.0,
    noise: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Iterator[Network]:
    """Yield `network`, then the network after each step of full-batch gradient descent.

    Args:
      network: the initial parameters.
      images: [n, inputs].
      targets: [n, classes].
      rate: the learning rate.
      copies: factor of every unit's output.
      noise: standard deviation of the noise of `rng` on every gradient.
      rng: source of the noise.
    """
    rng = rng or np.random.default_rng(0)
    for _ in itertools.count():
        yield network
        errors, units = residuals(logits(network, images, copies), targets), units_of(network)
        gradient = unit_gradient(units, images, errors)
        if noise:
            gradient = gradient + noise * rng.normal(size=gradient.shape)
        first, second = np.split(units - rate * gradient, [images.shape[1]])
        network = Network(first, second.T, network.bias - rate * errors.sum(0))


def apart(units: np.ndarray) -> float:
    """Largest distance of any unit from the first one.

    Args:
      units: one column per unit.

    Returns:
      The Euclidean distance.

    Examples:
      >>> apart(np.array([[1.0, 1.0, 4.0], [3.0, 3.0, 7.0]]))
      5.0
    """
    return float(np.linalg.norm(units - units[:, :1], axis=0).max())


def distinct(units: np.ndarray) -> int:
    """Number of columns that differ in at least one bit.

    Args:
      units: one column per unit.

    Returns:
      The number of different units.

    Examples:
      >>> distinct(np.array([[1.0, 1.0, 2.0], [3.0, 3.0, 3.0]]))
      2
    """
    return len({column.tobytes() for column in np.ascontiguousarray(units.T)})
