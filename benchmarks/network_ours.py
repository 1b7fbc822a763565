"""Our side of benchmarks/networks.py: training, features or inference with random weights."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import sides
from jaxdl.models import ARCHITECTURES
from jaxdl.models.families import make_network
from jaxdl.models.folded import fold
from jaxdl.models.network import Network

LEARNING_RATE = 0.01
QUICK: Any = {'xla_backend_optimization_level': 0}  # initial weights are made once


def prepare(
    size: dict[str, int], classes: int, name: str, work: str
) -> tuple[dict[str, Any], Callable[..., Any]]:
    """Facts of the network, and the function that works for at least so many seconds.

    The function returns the seconds per image and the last loss.
    """
    outputs = 0 if work == 'features' else classes
    module = make_network(ARCHITECTURES[name], outputs)
    rng = np.random.default_rng(0)
    images = jnp.asarray(
        rng.uniform(-1, 1, (size['batch'], size['side'], size['side'], 3)), jnp.float32
    )
    labels = jnp.asarray(rng.integers(0, classes, size['batch']))
    start: Any = jax.jit(
        lambda key: module.init(key, jnp.zeros((1, 64, 64, 3))), compiler_options=QUICK
    )
    variables = start(jax.random.key(0))
    step = (
        _training(module, images, labels, variables)
        if work == 'training'
        else _inference(module, images, variables)
    )
    began = time.perf_counter()
    first = step()
    compiling = time.perf_counter() - began

    parameters = sum(leaf.size for leaf in jax.tree.leaves(variables['params']))
    return dict(parameters=parameters, loss=first, compile_seconds=compiling), sides.repeat(
        step, size['batch']
    )


def _training(
    module: Network, images: jax.Array, labels: jax.Array, variables: Any
) -> Callable[[], float]:
    def update(variables: Any) -> tuple[Any, jax.Array]:
        def loss(params: Any) -> tuple[jax.Array, Any]:
            merged = {**variables, 'params': params}
            applied: Any = module.apply(merged, images, True, mutable=['batch_stats'])
            logits, changed = applied
            return -jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels].mean(), changed

        (value, changed), gradients = jax.value_and_grad(loss, has_aux=True)(variables['params'])
        params = jax.tree.map(lambda p, g: p - LEARNING_RATE * g, variables['params'], gradients)
        return dict(changed, params=params), value

    compiled, state = jax.jit(update, donate_argnums=0), [variables]

    def step() -> float:
        state[0], value = compiled(state[0])
        return float(value)

    return step


def _inference(module: Network, images: jax.Array, variables: Any) -> Callable[[], float]:
    folded, compute = fold(module, variables), jax.jit(lambda network, images: network(images))
    return lambda: float(compute(folded, images)[0, 0])
