"""Why a layer of equal units stays one unit: what training does to a unit.

Written out for one hidden tanh layer.

Every unit moves by one and the same rule, so units that start alike stay alike, and the rule's
slope says how fast units that start nearly alike come apart (the saddles of Fukumizu and Amari
2000).
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
    """What the demonstration trains: `epochs` of the engine's networks.

    `steps` of the small one in NumPy.
    """

    width: int = fields.ruled(16, fields.at_least(2))
    epochs: int = fields.ruled(31, fields.at_least(1))  # of 33 steps each
    seeds: int = fields.ruled(3, fields.at_least(2))
    steps: int = fields.ruled(1000, fields.at_least(300))
    rounding_width: int = fields.ruled(
        20, fields.at_least(2)
    )  # no multiple of what a processor adds at once


class Network(NamedTuple):
    """One hidden layer of tanh units: logits = tanh(images first) second + bias.

    Their columns are the units.

    first [inputs, units], with the units' biases in its last row; second [units, classes]; bias
    [classes].
    """

    first: np.ndarray
    second: np.ndarray
    bias: np.ndarray


def constant(value: float, inputs: int, units: int, classes: int) -> Network:
    """Every weight is `value`, every bias 0."""
    first = np.full((inputs, units), value)
    first[-1] = 0.0
    return Network(first, np.full((units, classes), value), np.zeros(classes))


def nudged(network: Network, size: float, rng: np.random.Generator) -> Network:
    """`network` with normal noise of standard deviation `size` on the weights of every unit."""
    first, second = (kernel + size * rng.normal(size=kernel.shape) for kernel in network[:2])
    return network._replace(first=first, second=second)


def logits(network: Network, images: np.ndarray, copies: float = 1.0) -> np.ndarray:
    """images [n, inputs], the last column ones -> [n, classes].

    With every unit counted `copies` times.
    """
    return copies * (np.tanh(images @ network.first) @ network.second) + network.bias


def residuals(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Of the mean cross-entropy by the logits, [n, classes]: (softmax - target) / n.

    All units share them.
    """
    likely = np.exp(scores - scores.max(1, keepdims=True))
    return (likely / likely.sum(1, keepdims=True) - targets) / len(targets)


def unit_gradient(units: np.ndarray, images: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """What the loss asks of units, [inputs + classes, units].

    Of each by its own weights and nothing of the others.

    With h = tanh(images w): images^T (h' * (errors v)) for the weights w into it, errors^T h for v
    out of it.
    """
    into, out = np.split(units, [images.shape[1]])
    hidden = np.tanh(images @ into)
    return np.concatenate([images.T @ ((1 - hidden**2) * (errors @ out)), errors.T @ hidden])


def curvature(unit: np.ndarray, images: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """How `unit_gradient` changes with the unit [inputs + classes]: the matrix (A B; B^T 0).

    A = sum of h'' (v . errors) x x^T over images x, B = sum of h' x errors^T; no unit's v acts on
    its own gradient.
    """
    into, out = np.split(unit, [images.shape[1]])
    hidden = np.tanh(images @ into)
    slope = 1 - hidden**2
    block = images.T @ ((-2 * hidden * slope * (errors @ out))[:, None] * images)
    mixed = images.T @ (slope[:, None] * errors)
    return np.block([[block, mixed], [mixed.T, np.zeros((len(out), len(out)))]])


def units_of(network: Network) -> np.ndarray:
    """What belongs to each unit, [inputs + classes, units].

    The weights into it above those out of it.
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
    """`network`, then what each step of gradient descent on all images makes of it.

    Args:
      noise: standard deviation of what `rng` adds to the gradient of every weight.
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
    """The largest distance of any unit from the first one; units are columns.

    Examples:
      >>> apart(np.array([[1.0, 1.0, 4.0], [3.0, 3.0, 7.0]]))
      5.0
    """
    return float(np.linalg.norm(units - units[:, :1], axis=0).max())


def distinct(units: np.ndarray) -> int:
    """How many of the columns differ in at least one bit of one number.

    Examples:
      >>> distinct(np.array([[1.0, 1.0, 2.0], [3.0, 3.0, 3.0]]))
      2
    """
    return len({column.tobytes() for column in np.ascontiguousarray(units.T)})
