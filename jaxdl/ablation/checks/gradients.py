"""Compare the float32 gradient of training with central differences of a float64 loss."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from jaxdl import ensemble
from jaxdl.ablation.checks.networks import (
    UNTRAINED,
    Subject,
    loss_and_logits,
    measure_by_program,
    replace_fields,
)
from jaxdl.ensemble import Member, Result
from jaxdl.train import train_step
from jaxdl.train.train_step import Batch, TrainState
from jaxdl.train.variant import Variant, stack

IMAGES = 8  # few: in float64 they pass twice for every direction of every parameter
DIRECTIONS = 4  # random directions per parameter
STEP = 1e-6  # of a difference: rounding adds 1e-10 of the loss, few units cross the kink of a ReLU
SMALL = 1e-3  # share of the largest gradient; errors of smaller gradients are relative to this


def gradient_errors(members: Sequence[Member], subject: Subject) -> list[dict[str, float]]:
    """Relative error of the gradient with respect to every parameter.

    With a direction r of independent N(0, 1), the mean square of (g - t) r is the squared length of
    g - t. The error is its root, divided by that of the differences, t r.

    Returns:
      For each member: name of a parameter -> relative error.
    """
    batch = subject.batch(subject.order[:IMAGES])
    same = [replace_fields(member, batch_size=IMAGES, **UNTRAINED) for member in members]

    def measure(group: Sequence[Member]) -> list[Result]:
        products = subject.measure(_gradient, group, batch)
        differences = _differences(group, subject, batch)
        return [a | b for a, b in zip(products, differences, strict=True)]

    return [_errors(result) for result in measure_by_program(same, measure)]


def _gradient(
    state: TrainState, variant: Variant, batch: Batch, *, module: nn.Module
) -> Mapping[str, Any]:
    """Products of the gradient of training with the directions, [leaf, direction]."""
    gradient = jax.tree.leaves(train_step.gradients(state, batch, variant, module=module))
    directions = jax.tree.leaves(_directions(state.params))
    along = [jnp.einsum('d...,...->d', d, g) for d, g in zip(directions, gradient, strict=True)]
    return dict(gradient=jnp.stack(along))


def _differences(members: Sequence[Member], subject: Subject, batch: Batch) -> list[Result]:
    """Central differences of the loss in float64, [leaf, direction], and names of the leaves."""
    variants = [member.variant for member in members]
    module = train_step.module_of(variants[0], subject.num_classes, 'patches')
    column = np.arange(len(members))[:, None]
    states = ensemble.initial_states(column, members, subject.num_classes, subject.shape)
    states = jax.tree.map(lambda leaf: leaf[:, 0], states)
    images = np.asarray(train_step.normalize_batch(batch), np.float64)
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(states.params)]
    names = np.asarray(['/'.join(part.key for part in path) for path in paths])
    with jax.enable_x64(True):
        exact = jax.tree.map(_as_float64, train_step.variables_of(states))
        of_one = functools.partial(_derivatives, module=module)
        differences = jax.jit(jax.vmap(of_one, in_axes=(0, 0, None, None)))(
            exact, stack(variants), images, batch.labels
        )
        return [dict(difference=difference, names=names) for difference in np.asarray(differences)]


def _derivatives(
    variables: Any, variant: Variant, images: jax.Array, labels: jax.Array, *, module: nn.Module
) -> jax.Array:
    params = variables['params']
    leaves, structure = jax.tree.flatten(params)
    directions = [jnp.asarray(d, jnp.float64) for d in jax.tree.leaves(_directions(params))]

    def loss_at(place: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        leaf, direction, step = place
        moved = [
            x + jnp.where(i == leaf, step, 0.0) * directions[i][direction]
            for i, x in enumerate(leaves)
        ]
        at = dict(variables, params=structure.unflatten(moved))
        return loss_and_logits(module, variant, at, images, labels)[0]

    places = np.meshgrid(
        np.arange(len(leaves)), np.arange(DIRECTIONS), [-STEP, STEP], indexing='ij'
    )
    values = lax.map(loss_at, tuple(place.ravel() for place in places)).reshape(
        len(leaves), DIRECTIONS, 2
    )
    return (values[..., 1] - values[..., 0]) / (2 * STEP)


def _as_float64(leaf: np.ndarray) -> np.ndarray:
    """A leaf in float64; whole numbers stay."""
    return np.asarray(leaf, np.float64) if np.issubdtype(leaf.dtype, np.floating) else leaf


def _directions(params: Any) -> Any:
    """A tree like `params`, float32 [direction, ...]: equal in both precisions."""
    random = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: random.normal(size=(DIRECTIONS, *leaf.shape)).astype(np.float32), params
    )


def _errors(result: Result) -> dict[str, float]:
    def length(values: np.ndarray) -> np.ndarray:
        return np.sqrt(np.mean(np.square(np.asarray(values, np.float64)), -1))

    right = length(result['difference'])
    wrong = length(result['gradient'] - result['difference'])
    scale = np.maximum(right, max(SMALL * right.max(), 1e-12))
    return dict(zip(map(str, result['names']), (wrong / scale).tolist(), strict=True))
