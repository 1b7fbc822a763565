"""Timings of this device, from which plans estimate the time of a run."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def copy_seconds() -> float:
    """Seconds per byte of a pass over memory inside a compiled loop."""
    size, steps = 2**20, 50
    body = jax.jit(
        lambda x: lax.scan(lambda c, _: (jnp.flip(c) * 1.0001, None), x, length=steps)[0]
    )
    return measure_seconds(body, jnp.ones(size)) / steps / (4 * size)


def product_seconds() -> float:
    """Seconds per floating point operation of a matrix product."""
    side, steps = 512, 10
    body = jax.jit(lambda x: lax.scan(lambda c, _: (c @ x * 1e-3, None), x, length=steps)[0])
    return measure_seconds(body, jnp.ones((side, side))) / steps / (2 * side**3)


def measure_seconds(body: Callable[[jax.Array], Any], value: jax.Array) -> float:
    """Seconds of a compiled function: the fastest of three calls after a first one."""
    jax.block_until_ready(body(value))
    times = []
    for _ in range(3):
        began = time.perf_counter()
        jax.block_until_ready(body(value))
        times.append(time.perf_counter() - began)
    return min(times)


def format_seconds(value: float) -> str:
    """Format an estimated time.

    Examples:
      >>> format_seconds(75), format_seconds(1200), format_seconds(9000)
      ('75 seconds', '20 minutes', '2.5 hours')
    """
    return (
        f'{value:.0f} seconds'
        if value < 90
        else f'{value / 60:.0f} minutes'
        if value < 5400
        else f'{value / 3600:.1f} hours'
    )
