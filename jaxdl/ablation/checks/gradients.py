"""Does the gradient agree with differences? Training's, float32 as it is computed.

With those of a float64 loss.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from jaxdl.ablation.checks.networks import (
    UNTRAINED,
    Answers,
    Subject,
    asked,
    by_program,
    loss_and_logits,
    set_in,
    states_of,
)
from jaxdl.ensemble import Member
from jaxdl.train import train_step
from jaxdl.train.train_step import Batch, TrainState
from jaxdl.train.variant import Variant, stack

IMAGES = 8  # a few: in float64 they pass twice for every direction of every parameter
DIRECTIONS = 4
STEP = 1e-6  # of a difference: rounding adds 1e-10 of the loss, few units cross the kink of a ReLU
SMALL = 1e-3  # of the largest gradient: what a smaller one lacks is a share of this


def gradient_errors(members: Sequence[Member], subject: Subject) -> list[dict[str, float]]:
    """The relative error of every parameter's gradient, by name, of each member.

    With a direction r of independent N(0, 1), the mean square of (g - t) r is the squared length of
    g - t: the error is its root, over that of the differences, t r.
    """
    batch = subject.batch(subject.order[:IMAGES])
    same = [set_in(member, batch_size=IMAGES, **UNTRAINED) for member in members]

    def ask(own: Sequence[Member]) -> Answers:
        return {**asked(_gradient, own, subject, batch), **_differences(own, subject, batch)}

    return [_errors(answer) for answer in by_program(same, ask)]


def _gradient(
    state: TrainState, variant: Variant, batch: Batch, *, module: nn.Module
) -> Mapping[str, Any]:
    """Products of the gradient of training with the directions, [leaf, direction]."""
    found = jax.tree.leaves(train_step.gradients(state, batch, variant, module=module))
    directions = jax.tree.leaves(_directions(state.params))
    along = [jnp.einsum('d...,...->d', d, g) for d, g in zip(directions, found, strict=True)]
    return dict(gradient=jnp.stack(along))


def _differences(members: Sequence[Member], subject: Subject, batch: Batch) -> Answers:
    """Central differences of the loss, [member, leaf, direction], by plain JAX in float64.

    The names of the leaves.
    """
    variants = [member.variant for member in members]
    usual = train_step.module_of(variants[0], subject.num_classes, subject.conv)
    module = train_step.module_of(variants[0], subject.num_classes, 'patches')
    states = states_of(members, usual, subject.shape)
    images = np.asarray(train_step.normalised(batch), np.float64)
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(states.params)]
    names = np.asarray(['/'.join(part.key for part in path) for path in paths])
    with jax.enable_x64(True):
        exact = jax.tree.map(
            lambda leaf: np.asarray(leaf, np.float64), (states.params, states.batch_stats)
        )
        of_one = functools.partial(_slopes, module=module)
        found = jax.jit(jax.vmap(of_one, in_axes=(0, 0, None, None)))(
            exact, stack(variants), images, batch.labels
        )
        return dict(difference=np.asarray(found), names=np.tile(names, (len(members), 1)))


def _slopes(
    variables: Any, variant: Variant, images: jax.Array, labels: jax.Array, *, module: nn.Module
) -> jax.Array:
    params, batch_stats = variables
    leaves, structure = jax.tree.flatten(params)
    directions = [jnp.asarray(d, jnp.float64) for d in jax.tree.leaves(_directions(params))]

    def loss_at(place: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        leaf, direction, step = place
        moved = [
            x + jnp.where(i == leaf, step, 0.0) * directions[i][direction]
            for i, x in enumerate(leaves)
        ]
        at = dict(params=structure.unflatten(moved), batch_stats=batch_stats)
        return loss_and_logits(module, variant, at, images, labels)[0]

    places = np.meshgrid(
        np.arange(len(leaves)), np.arange(DIRECTIONS), [-STEP, STEP], indexing='ij'
    )
    values = lax.map(loss_at, tuple(place.ravel() for place in places)).reshape(
        len(leaves), DIRECTIONS, 2
    )
    return (values[..., 1] - values[..., 0]) / (2 * STEP)


def _directions(params: Any) -> Any:
    """A tree like `params`, float32 [direction, ...]: the same in either precision."""
    random = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: random.normal(size=(DIRECTIONS, *leaf.shape)).astype(np.float32), params
    )


def _errors(answer: Answers) -> dict[str, float]:
    def length(values: np.ndarray) -> np.ndarray:
        return np.sqrt(np.mean(np.square(np.asarray(values, np.float64)), -1))

    right, wrong = length(answer['difference']), length(answer['gradient'] - answer['difference'])
    scale = np.maximum(right, max(SMALL * right.max(), 1e-12))
    return dict(zip(map(str, answer['names']), (wrong / scale).tolist(), strict=True))
