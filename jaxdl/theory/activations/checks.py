"""Checks of sigmoid and ReLU: derivatives, chains of units, cost."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from scipy import optimize

from jaxdl.models.layers import ACTIVATIONS
from jaxdl.report.page import words
from jaxdl.theory.activations import formulas as activations
from jaxdl.workdir import claims
from jaxdl.workdir.claims import Claim

LONGEST = 20  # units in a chain
FAR = 10.0  # far out on the flat side of the sigmoid
ELEMENTS = 1_000_000  # of the array that the cost of an activation is timed on
LAYERS = (32, 256)  # widths of the dense layers that it is timed in
BATCH = 1024

Activation = Callable[[jax.Array], jax.Array]


class Chains(NamedTuple):
    """Products of derivatives along chains of single units, float64 [chain, depth]."""

    sigmoid: np.ndarray
    at_zero: np.ndarray  # every sum at 0, [1, depth]
    relu: np.ndarray  # every sum above 0, [chain, depth]


def slopes(activation: Activation, x: np.ndarray) -> np.ndarray:
    """Derivative at `x` [n] by automatic differentiation in float64."""
    with jax.enable_x64(True):
        return np.asarray(jax.vmap(jax.grad(activation))(jnp.asarray(x, jnp.float64)))


def peak(activation: Activation) -> tuple[float, float]:
    """Position and value of the largest derivative in [-10, 10].

    A grid without 0 gives the start of a bounded search.
    """
    grid = np.linspace(-10, 10.5, 200)
    best, step = grid[np.argmax(slopes(activation, grid))], grid[1] - grid[0]
    within = (best - step, best + step)
    optimum = optimize.minimize_scalar(
        lambda x: -slopes(activation, np.array([x]))[0],
        bounds=within,
        method='bounded',
        options=dict(xatol=1e-10),
    )
    return float(optimum.x), float(-optimum.fun)


def slope_claims(
    points: int,
    activation: Activation = ACTIVATIONS['sigmoid'],
    slope: Callable[[np.ndarray], np.ndarray] = activations.sigmoid_slope,
) -> list[Claim]:
    """Claims: `slope` is the derivative of `activation`, at most 1/4, and decays like exp(-|x|)."""
    x = np.linspace(-20, 20, points)
    place, height = peak(activation)
    error = np.abs(slopes(activation, x) - slope(x)).max()
    far = (
        f'Derivative of the sigmoid at {FAR:g}, compared with exp(-{FAR:g}) / (1 + exp(-{FAR:g}))²'
    )
    tail = np.exp(-FAR) / (1 + np.exp(-FAR)) ** 2
    return [
        claims.close(
            'Derivative of the sigmoid: largest difference between the formula and automatic '
            f'differentiation, float64, {points:,} points in [-20, 20]',
            0,
            error,
            1e-12,
        ),
        claims.close(
            'Largest derivative of the sigmoid, by search',
            activations.slope_bound(1),
            height,
            1e-12,
        ),
        claims.close('Position of the largest derivative of the sigmoid', 0, place, 1e-6),
        claims.relatively_close(far, tail, slopes(activation, np.array([FAR]))[0], 1e-9),
    ]


def products(
    activation: Activation, weights: np.ndarray, biases: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """Products of derivatives along chains a -> activation(weight a + bias), [chain, depth].

    Measured as the derivative of each unit's output with respect to the input of its chain, divided
    by the weights.

    Args:
      weights: [chain, depth]; none is 0.
      biases: [chain, depth].
      start: [chain].
    """

    def outputs(start: jax.Array, weights: jax.Array, biases: jax.Array) -> jax.Array:
        def unit(a: jax.Array, parameters: Any) -> tuple[jax.Array, jax.Array]:
            weight, bias = parameters
            a = activation(weight * a + bias)
            return a, a

        return lax.scan(unit, start, (weights.T, biases.T))[1].T

    with jax.enable_x64(True):
        w, b, a = (jnp.asarray(values, jnp.float64) for values in (weights, biases, start))
        _, derivative = jax.jvp(lambda a: outputs(a, w, b), (a,), (jnp.ones_like(a),))
        return np.asarray(derivative) / np.cumprod(weights, 1)


def random_chains(
    count: int, sigmoid: Activation = ACTIVATIONS['sigmoid'], relu: Activation = ACTIVATIONS['relu']
) -> Chains:
    """Chains with weights and biases from N(0, 1), one with pre-activations 0, and active ReLUs."""
    rng = np.random.default_rng(0)
    weights, biases = rng.normal(size=(2, count, LONGEST))
    start = rng.normal(size=count)
    ones, half = np.ones((1, LONGEST)), np.full(1, 0.5)
    return Chains(
        products(sigmoid, weights, biases, start),
        products(sigmoid, ones, -ones / 2, half),
        products(relu, np.abs(weights), np.abs(biases), np.abs(start)),
    )


def chain_claims(
    chains: Chains, bound: Callable[[int], float] = activations.slope_bound
) -> list[Claim]:
    """Claims: products of sigmoid derivatives are within `bound(depth)`; active ReLUs give 1."""
    bounds = np.array([[bound(depth) for depth in range(1, LONGEST + 1)]])
    count = len(chains.sigmoid)
    return [
        claims.at_most(
            f'Product of the derivatives of 1 to {LONGEST} sigmoid units in a chain: largest ratio '
            f'to its bound, {count:,} random chains',
            1,
            (chains.sigmoid / bounds).max(),
        ),
        claims.relatively_close(
            f'Product of {LONGEST} derivatives in a chain of sigmoid units with all '
            'pre-activations 0',
            bounds[0, -1],
            chains.at_zero[0, -1],
            1e-12,
        ),
        claims.close(
            f'Product of up to {LONGEST} derivatives in a chain of active ReLU units: largest '
            f'difference from 1, {count:,} random chains',
            0,
            np.abs(chains.relu - 1).max(),
            1e-9,
        ),
    ]


def cost_claims(names: Mapping[str, float] = {'sigmoid': 1, 'relu': 0}) -> list[Claim]:
    """Claims: one exponential per element for the sigmoid and none for ReLU, counted by XLA."""
    written = dict(sigmoid='sigmoid', relu='ReLU')
    return [
        claims.close(
            f'Transcendental operations per element of {written[name]}, counted by XLA',
            count,
            _exps(name),
            0,
        )
        for name, count in names.items()
    ]


def costs(repeats: int) -> dict[str, str]:
    """Time ratio of sigmoid and ReLU: alone, and with a dense layer of each width."""
    x = jax.random.normal(jax.random.key(0), (ELEMENTS,))
    ratios = dict(
        cost_alone=_ratio([ACTIVATIONS[name] for name in ('sigmoid', 'relu')], (x,), repeats)
    )
    for width in LAYERS:
        images, kernel = jax.random.normal(jax.random.key(1), (BATCH, width)), jnp.eye(width)
        layers = [lambda x, w, f=ACTIVATIONS[name]: f(x @ w) for name in ('sigmoid', 'relu')]
        ratios[f'cost_{width}'] = _ratio(layers, (images, kernel), repeats)
    return {name: f'{ratio:.1f}' for name, ratio in ratios.items()}


def values(chains: Chains) -> dict[str, str]:
    """Numbers of the text on chains and saturation."""
    middle = np.exp(np.log(chains.sigmoid[:, [1, -1]]).mean(0))
    return dict(
        bound_20=f'{activations.slope_bound(LONGEST):.1e}'.replace('e-', r' \cdot 10^{-') + '}',
        chain_2=words.significant(middle[0]),
        chains=f'{len(chains.sigmoid):,}',
        chain_20=f'{middle[1]:.1e}'.replace('e-', r' \cdot 10^{-') + '}',
        tail=f'{float(activations.sigmoid_slope(FAR)):.6f}',
    )


def _exps(name: str) -> float:
    lowered = jax.jit(ACTIVATIONS[name]).lower(jax.ShapeDtypeStruct((BATCH,), jnp.float32))
    return dict(lowered.cost_analysis() or {}).get('transcendentals', 0.0) / BATCH


def _ratio(
    functions: Sequence[Callable[..., jax.Array]], arguments: Sequence[jax.Array], repeats: int
) -> float:
    """Median ratio of the times of two functions, run alternately."""
    compiled = [jax.jit(function).lower(*arguments).compile() for function in functions]
    taken = np.zeros((repeats + 1, 2))
    for row in taken:
        for i, function in enumerate(compiled):
            began = time.perf_counter()
            function(*arguments).block_until_ready()
            row[i] = time.perf_counter() - began
    return float(np.median(taken[1:, 0] / taken[1:, 1]))  # the first run also fetches memory
