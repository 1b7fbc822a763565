"""Averages of weights: EMA along one run, and the soup of several runs.

Trees may be parameters, batch statistics, or all variables.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

Scalar = jax.Array | float


def start_average(params: Any) -> Any:
    """EMA before the first step: zeros, in float32 or wider."""
    return jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, jnp.promote_types(leaf.dtype, jnp.float32)), params
    )


def update_average(average: Any, params: Any, decay: Scalar, step: Scalar) -> Any:
    """One EMA step: decay * average + (1 - decay) * params.

    Args:
      average: tree of the average so far.
      params: tree of the same structure.
      decay: in [0, 1), may be traced.
      step: number of earlier steps, may be traced; at 0 a new average begins.

    Returns:
      The new average.
    """
    decay = jnp.asarray(decay, jnp.float32)
    before = lambda mean: jnp.where(step == 0, 0.0, decay * mean)
    return jax.tree.map(lambda mean, leaf: before(mean) + (1 - decay) * leaf, average, params)


def correct_bias(average: Any, decay: Scalar, steps: Scalar) -> Any:
    """EMA without the bias of its zero start: average / (1 - decay ** steps) (Kingma and Ba 2015).

    Args:
      average: tree of the average.
      decay: in [0, 1); with 0 the result is exactly the last value.
      steps: number of steps, at least 1.

    Returns:
      A tree of the same structure.
    """
    weight = -jnp.expm1(
        steps * jnp.log(jnp.asarray(decay, jnp.float32))
    )  # small ones without a difference
    return jax.tree.map(lambda mean: mean / weight, average)


def average_greedily(
    candidates: Sequence[Any], score: Callable[[Any], float]
) -> tuple[Any, list[int]]:
    """Greedy soup (Wortsman et al. 2022): mean of the candidates that do not lower the score.

    Candidates are tried from the best on. The soup scores no less than any candidate. A score of
    nan is
    the worst. Batch statistics are averaged too.

    Args:
      candidates: trees of one structure.
      score: tree -> number; higher is better.

    Returns:
      The mean tree, and the indices of its candidates in the order of their addition.
    """
    alone = [_number(score(candidate)) for candidate in candidates]
    first, *others = sorted(range(len(candidates)), key=lambda i: -alone[i])
    chosen, best, mixed = [first], alone[first], candidates[first]
    for i in others:
        trial = _mean([candidates[j] for j in (*chosen, i)])
        value = _number(score(trial))
        if value >= best > -math.inf:
            chosen, best, mixed = [*chosen, i], value, trial
    return mixed, chosen


def _mean(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *trees)


def _number(value: float) -> float:
    return -math.inf if math.isnan(value) else float(value)
