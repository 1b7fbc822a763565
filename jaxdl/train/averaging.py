"""Averages of weights: along one run (an exponential moving average), and of several runs (a soup).

Trees of any kind serve: parameters, batch statistics, or whole variables.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

Scalar = jax.Array | float


def start(params: Any) -> Any:
    """The average before the first step: zeros, in float32 at least."""
    return jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, jnp.promote_types(leaf.dtype, jnp.float32)), params
    )


def update(average: Any, params: Any, decay: Scalar, step: Scalar) -> Any:
    """One step on: m = decay m + (1 - decay) x. Both numbers may be traced; `decay` in [0, 1).

    `step` counts from 0, where a new average begins, whatever the old one held.
    """
    decay = jnp.asarray(decay, jnp.float32)
    before = lambda mean: jnp.where(step == 0, 0.0, decay * mean)
    return jax.tree.map(lambda mean, leaf: before(mean) + (1 - decay) * leaf, average, params)


def corrected(average: Any, decay: Scalar, steps: Scalar) -> Any:
    """The average after `steps`, 1 or more, without the zeros that it began with.

    Over 1 - decay ** steps.

    (Kingma and Ba 2015.) With decay 0 it is exactly what came last.
    """
    weight = -jnp.expm1(
        steps * jnp.log(jnp.asarray(decay, jnp.float32))
    )  # small ones without a difference
    return jax.tree.map(lambda mean: mean / weight, average)


def soup(candidates: Sequence[Any], score: Callable[[Any], float]) -> tuple[Any, list[int]]:
    """The greedy soup (Wortsman et al.

    2022): the mean of some candidates, and which, in the order they were added.

    From the best on, by a score of which more is better, each is kept if the mean with it scores no
    less; so the soup scores no less than any candidate. A score that is no number is the worst.
    Batch statistics are averaged as well.
    """
    alone = [_number(score(candidate)) for candidate in candidates]
    first, *others = sorted(range(len(candidates)), key=lambda i: -alone[i])
    chosen, best, mixed = [first], alone[first], candidates[first]
    for i in others:
        trial = _mean([candidates[j] for j in (*chosen, i)])
        found = _number(score(trial))
        if found >= best > -math.inf:
            chosen, best, mixed = [*chosen, i], found, trial
    return mixed, chosen


def _mean(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *trees)


def _number(value: float) -> float:
    return -math.inf if math.isnan(value) else float(value)
