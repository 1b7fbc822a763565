"""What a study may ask of its networks before and after training, beyond loss and accuracy.

One row a question.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl.data.on_device import Resident
from jaxdl.train import train_step
from jaxdl.train.train_step import Batch, TrainState
from jaxdl.train.variant import Variant

IMAGES = 256  # training images that a probe looks at
GRID, REACH = (
    80,
    2.5,
)  # points a side of the grid of a decision boundary; standard deviations that it spans

Found = dict[str, jax.Array]


def gradient_norms(state: TrainState, batch: Batch, variant: Variant, module: nn.Module) -> Found:
    """The Euclidean norm of the loss's gradient by each kernel: {layer: scalar}."""
    gradient = train_step.gradients(state, batch, variant, module=module)
    leaves = jax.tree_util.tree_leaves_with_path(gradient)
    named = {'.'.join(part.key for part in path): leaf for path, leaf in leaves}
    kernels = {
        k.removesuffix('.kernel'): leaf for k, leaf in named.items() if k.endswith('.kernel')
    }
    return {layer: jnp.sqrt(jnp.sum(jnp.square(leaf))) for layer, leaf in kernels.items()}


def distinct_units(state: TrainState, batch: Batch, variant: Variant, module: nn.Module) -> Found:
    """How many units of each hidden layer do something of their own: {layer: scalar}.

    Two units are the same where they answer alike, to 1e-5 of the layer's largest answer, to every
    image.
    """
    return {
        layer: _distinct(answers)
        for layer, answers in _hidden(state, batch, variant, module).items()
    }


def boundary(state: TrainState, batch: Batch, variant: Variant, module: nn.Module) -> Found:
    """Of two numbers an image: the logits over a grid of both, {logits: [GRID, GRID, classes]}.

    Else nothing.
    """
    if batch.images.shape[1:] != (1, 1, 2):
        return {}
    along = jnp.linspace(-REACH, REACH, GRID)
    points = jnp.stack(jnp.meshgrid(along, along), -1).reshape(-1, 1, 1, 2)
    logits = module.apply(train_step.evaluated(state, variant.ema), points, train=False)
    return dict(logits=jnp.asarray(logits).reshape(GRID, GRID, -1))


PROBES: dict[str, Callable[[TrainState, Batch, Variant, nn.Module], Found]] = dict(
    gradient_norms=gradient_norms, distinct_units=distinct_units, boundary=boundary
)


def ask(
    names: Sequence[str],
    module: nn.Module,
    states: Mapping[str, TrainState],
    variants: Variant,
    data: Resident,
) -> dict[str, np.ndarray]:
    """The answers of all members, {'probe.WHEN.NAME.KEY': [row, column, ...]}, of states {WHEN.

    [row, column]}.
    """
    images = data.train[0, :IMAGES]
    mask = jnp.ones(len(images), bool)
    batch = Batch(data.images[images], data.labels[images], mask, data.mean[0], data.std[0])

    found = {
        when: _answers(tuple(names), module, state, variants, batch)
        for when, state in states.items()
    }
    return {
        f'probe.{when}.{name}.{key}': np.asarray(value)
        for when, answers in found.items()
        for name, own in answers.items()
        for key, value in own.items()
    }


@functools.partial(jax.jit, static_argnums=(0, 1))
def _answers(
    names: tuple[str, ...], module: nn.Module, states: TrainState, variants: Variant, batch: Batch
) -> dict[str, Found]:
    """Of all members; compiled once for all chunks of a group."""

    def each(state: TrainState, variant: Variant) -> dict[str, Found]:
        return {name: PROBES[name](state, batch, variant, module) for name in names}

    return jax.vmap(jax.vmap(each))(states, variants)


def _hidden(
    state: TrainState, batch: Batch, variant: Variant, module: nn.Module
) -> dict[str, jax.Array]:
    """What each hidden layer that the network shows (by `sow`) answers to the images: {layer.

    [image, unit]}.
    """
    images = train_step.normalised(batch)
    found: Any = module.apply(
        train_step.evaluated(state, variant.ema), images, train=False, mutable=['intermediates']
    )
    return {layer: answers[0] for layer, answers in found[1].get('intermediates', {}).items()}


def _distinct(answers: jax.Array) -> jax.Array:
    apart = jnp.max(jnp.abs(answers[:, :, None] - answers[:, None, :]), 0)  # [unit, unit]
    same = apart <= 1e-5 * jnp.max(jnp.abs(answers))
    earlier = jnp.tril(same, -1).any(1)  # the same as a unit before it
    return jnp.sum(~earlier)
