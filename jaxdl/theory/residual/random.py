"""Random plain and residual networks in NumPy: forward pass, and gradients of one output."""

import dataclasses

import numpy as np

from jaxdl.theory.residual.formulas import CARRIED

WIDTH, PAIRS, CORRELATION = (
    200,
    64,
    0.9,
)  # units a layer; pairs of nearby inputs, and how near they are
STEP = 1e-4  # of the central difference that gives a path's mean length


@dataclasses.dataclass(frozen=True)
class Network:
    """A random network after its forward pass.

    weights [layer, in, out]; stds [layer, unit] and positive [layer, input, unit] of the input of
    each ReLU. The inputs are PAIRS, the first of each pair in the first half of the rows.
    """

    skip: str
    weights: np.ndarray
    stds: np.ndarray
    positive: np.ndarray


def inputs(rng: np.random.Generator, width: int = WIDTH) -> np.ndarray:
    """Pairs of standard normal inputs with correlation CORRELATION, float [2 PAIRS, width]."""
    first, second = rng.normal(size=(2, PAIRS, width))
    return np.concatenate([first, CORRELATION * first + np.sqrt(1 - CORRELATION**2) * second])


def draw(skip: str, depth: int, seed: int, width: int = WIDTH) -> Network:
    """Random network of `depth` layers after its forward pass, batch norm over all inputs."""
    rng = np.random.default_rng(seed)
    x = inputs(rng, width)
    weights = rng.normal(size=(depth, width, width)) * np.sqrt(2 / width)
    stds, positive = np.zeros((depth, width)), np.zeros((depth, *x.shape), bool)
    for layer in range(depth):
        stds[layer] = x.std(0)
        z = (x - x.mean(0)) / stds[layer]
        positive[layer] = z > 0
        x = CARRIED[skip] * x + np.maximum(z, 0) @ weights[layer]
    return Network(skip, weights, stds, positive)


def input_gradients(network: Network, depth: int, branch: float = 1.0) -> np.ndarray:
    """Gradient of one direction of layer `depth`'s output w.r.t. each input, [input, width].

    The statistics of batch norm are constant.

    Args:
      branch: factor of every branch in the backward pass.
    """
    width = network.stds.shape[1]
    direction = np.random.default_rng(0).normal(size=width)
    gradient = np.tile(direction / np.linalg.norm(direction), (network.positive.shape[1], 1))
    for layer in reversed(range(depth)):
        through = (
            (gradient @ network.weights[layer].T) * network.positive[layer] / network.stds[layer]
        )
        gradient = CARRIED[network.skip] * gradient + branch * through
    return gradient


def correlation(gradients: np.ndarray) -> float:
    """Cosine between the gradients of the two inputs of a pair, over all pairs."""
    one, other = np.split(gradients, 2)
    return float(np.sum(one * other) / np.sqrt(np.sum(one**2) * np.sum(other**2)))


def log_square(gradients: np.ndarray) -> float:
    """Natural logarithm of the mean squared norm."""
    return float(np.log(np.mean(np.sum(gradients**2, -1))))


def mean_path_length(network: Network, depth: int) -> float:
    """Mean number of branches on a path, weighted by squared gradient.

    With every branch multiplied by t, a path through k of them counts t^(2k) times in the square.
    Half the derivative of its logarithm w.r.t. log t is the mean of k.
    """
    up, down = (log_square(input_gradients(network, depth, 1 + sign * STEP)) for sign in (1, -1))
    return (up - down) / (4 * STEP)
