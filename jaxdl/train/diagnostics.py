"""Diagnostics of the networks of a study before and after training: one row of PROBES each."""

import functools
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl.data.on_device import Resident
from jaxdl.train import train_step
from jaxdl.train.train_step import Batch, TrainState
from jaxdl.train.variant import Variant

IMAGES = 256  # training images that the diagnostics are computed on
GRID = 80  # points per side of the grid of a decision boundary
REACH = 2.5  # standard deviations from the centre of that grid to its side

Values = dict[str, jax.Array]


def gradient_norms(state: TrainState, batch: Batch, variant: Variant, module: nn.Module) -> Values:
    """Euclidean norm of the gradient of the loss with respect to each kernel: {layer: scalar}."""
    gradient = train_step.gradients(state, batch, variant, module=module)
    leaves = jax.tree_util.tree_leaves_with_path(gradient)
    named = {'.'.join(part.key for part in path): leaf for path, leaf in leaves}
    kernels = {
        k.removesuffix('.kernel'): leaf for k, leaf in named.items() if k.endswith('.kernel')
    }
    return {layer: jnp.sqrt(jnp.sum(jnp.square(leaf))) for layer, leaf in kernels.items()}


def distinct_units(state: TrainState, batch: Batch, variant: Variant, module: nn.Module) -> Values:
    """Number of distinct units of each hidden layer: {layer: scalar}.

    Two units are equal where their outputs agree on every image, to 1e-5 of the layer's largest
    output.
    """
    return {
        layer: _distinct(outputs)
        for layer, outputs in _hidden(state, batch, variant, module).items()
    }


def boundary(state: TrainState, batch: Batch, variant: Variant, module: nn.Module) -> Values:
    """Logits over a grid of inputs, {logits: [GRID, GRID, classes]}.

    Empty unless an input is two numbers.
    """
    if batch.images.shape[1:] != (1, 1, 2):
        return {}
    along = jnp.linspace(-REACH, REACH, GRID)
    points = jnp.stack(jnp.meshgrid(along, along), -1).reshape(-1, 1, 1, 2)
    variables = train_step.select_variables(state, variant.ema)
    logits = train_step.apply(module, variant, variables, points, train=False)
    return dict(logits=jnp.asarray(logits).reshape(GRID, GRID, -1))


PROBES: dict[str, Callable[[TrainState, Batch, Variant, nn.Module], Values]] = dict(
    gradient_norms=gradient_norms, distinct_units=distinct_units, boundary=boundary
)


def compute_diagnostics(
    names: Sequence[str],
    module: nn.Module,
    states: Mapping[str, TrainState],
    variants: Variant,
    data: Resident,
) -> dict[str, np.ndarray]:
    """Compute diagnostics of all members of a chunk.

    Args:
      names: rows of PROBES.
      module: the network.
      states: WHEN -> states, leaves [row, column, ...].
      variants: leaves [row, column].
      data: images and splits.

    Returns:
      'probe.WHEN.NAME.KEY' -> values [row, column, ...].
    """
    images = data.train[0, :IMAGES]
    mask = jnp.ones(len(images), bool)
    batch = Batch(data.images[images], data.labels[images], mask, data.mean[0], data.std[0])

    return {
        f'probe.{when}.{name}.{key}': np.asarray(value)
        for when, state in states.items()
        for name, values in _compute(tuple(names), module, state, variants, batch).items()
        for key, value in values.items()
    }


@functools.partial(jax.jit, static_argnums=(0, 1))
def _compute(
    names: tuple[str, ...], module: nn.Module, states: TrainState, variants: Variant, batch: Batch
) -> dict[str, Values]:
    """Diagnostics of all members; compiled once for all chunks of a group."""

    def each(state: TrainState, variant: Variant) -> dict[str, Values]:
        return {name: PROBES[name](state, batch, variant, module) for name in names}

    return jax.vmap(jax.vmap(each))(states, variants)


def _hidden(
    state: TrainState, batch: Batch, variant: Variant, module: nn.Module
) -> dict[str, jax.Array]:
    """Outputs of each hidden layer that the network sows: {layer: [image, unit]}."""
    images = train_step.normalize_batch(batch)
    output = train_step.apply(
        module,
        variant,
        train_step.select_variables(state, variant.ema),
        images,
        train=False,
        mutable=['intermediates'],
    )
    return {layer: outputs[0] for layer, outputs in output[1].get('intermediates', {}).items()}


def _distinct(outputs: jax.Array) -> jax.Array:
    differences = jnp.max(jnp.abs(outputs[:, :, None] - outputs[:, None, :]), 0)  # [unit, unit]
    same = differences <= 1e-5 * jnp.max(jnp.abs(outputs))
    earlier = jnp.tril(same, -1).any(1)  # equal to a unit before it
    return jnp.sum(~earlier)
