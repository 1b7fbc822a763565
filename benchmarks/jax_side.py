"""The peers in JAX: a plain Flax and optax script, as a user would write it without jaxdl.

one    one member, one jitted step per call from Python: XLA's own convolution outside of any
       loop, where it is fastest
map    `lax.map` over the members inside the jitted step
vmap   `jax.vmap` over the members of the jitted step: the convolutions become grouped ones
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import lax

from benchmarks import workload
from benchmarks.workload import MOMENTUM, STEPS, Size

BURST = 8  # calls on their way at once, one member a call: Python runs ahead of the device


class Network(nn.Module):
    """Stages of 3 x 3 convolution, batch norm, ReLU and 2 x 2 max pool; mean pool; dense.

    The width doubles from stage to stage.
    """

    width: int
    depth: int

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        for i in range(self.depth):
            images = nn.Conv(self.width << i, (3, 3), use_bias=False)(images)
            images = nn.relu(
                nn.BatchNorm(use_running_average=False, momentum=0.9, epsilon=1e-5)(images)
            )
            images = nn.max_pool(images, (2, 2), (2, 2))
        return nn.Dense(workload.CLASSES)(images.mean((1, 2)))


def optimizer_of(rate: jax.Array | float) -> optax.GradientTransformation:
    """SGD with momentum; the rate may be traced, so that members differ in it."""
    return optax.sgd(
        lambda count: rate * 0.5 * (1 + jnp.cos(jnp.pi * count / STEPS)), momentum=MOMENTUM
    )


def functions(size: Size) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`start(key)` and `step(state, rate, images, labels)` of one member."""
    model, shape = (
        Network(size['width'], size['depth']),
        (1, size['side'], size['side'], size['channels']),
    )

    def start(key: jax.Array) -> Any:
        variables = model.init(key, jnp.zeros(shape))
        return (
            variables['params'],
            variables['batch_stats'],
            optimizer_of(0.0).init(variables['params']),
        )

    def step(
        state: Any, rate: jax.Array, images: jax.Array, labels: jax.Array
    ) -> tuple[Any, jax.Array]:
        params, stats, optimizer_state = state

        def loss_of(params: Any) -> Any:
            logits, updated = model.apply(
                dict(params=params, batch_stats=stats), images, mutable=['batch_stats']
            )
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return losses.mean(), updated['batch_stats']

        (loss, new_stats), gradients = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, optimizer_state = optimizer_of(rate).update(gradients, optimizer_state, params)
        return (optax.apply_updates(params, updates), new_stats, optimizer_state), loss

    return start, step


# way -> the step of all members, from the step of one
WAYS: dict[str, Callable[..., Any]] = {
    'one': lambda step: step,
    'map': lambda step: lambda *arguments: lax.map(lambda member: step(*member), arguments),
    'vmap': jax.vmap,
}


def prepare(size: Size, members: int, way: str) -> tuple[dict[str, Any], Callable[..., Any]]:
    """Facts of the members at their start, and the function that trains them in one of the ways.

    The function trains for about so many seconds.
    """
    images, labels = workload.normalised(size)
    start, step = functions(size)
    single = way == 'one'
    jitted = jax.jit(WAYS[way](step), donate_argnums=0)
    keys, rates = jax.random.split(jax.random.key(0), members), jnp.asarray(workload.rates(members))
    state = jax.jit(start)(keys[0]) if single else jax.jit(jax.vmap(start))(keys)
    rates, orders = rates[0] if single else rates, workload.orders(size, members)
    losses: list[jax.Array] = []

    def burst(calls: int) -> None:
        nonlocal state
        for _ in range(calls):
            chosen = next(orders)
            chosen = chosen[0] if single else chosen
            state, loss = jitted(state, rates, images[chosen], labels[chosen])
            losses[1:] = [loss]
        jax.block_until_ready(state)

    began, calls = time.perf_counter(), BURST if single else 1
    burst(1)
    compile_seconds = time.perf_counter() - began
    count = sum(leaf.size for leaf in jax.tree.leaves(state[0])) // members
    facts = dict(parameters=count, loss=float(losses[0].mean()), compile_seconds=compile_seconds)

    def run(seconds: float) -> dict[str, float]:
        taken = workload.timed(lambda: burst(calls), seconds) / calls / members
        return dict(seconds=taken, loss=float(losses[-1].mean()))

    return facts, run
