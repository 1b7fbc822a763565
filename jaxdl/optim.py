"""Optimizers and schedules whose every number may be traced, so that members of one program differ in them.

The learning rate is `learning_rate * height(progress)`, applied here: optax's own rate arguments would bake a Python
float into the program, and `inject_hyperparams` changes Adam's numbers (optax#1532).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

Scalar = jax.Array | float
Optimizer = Callable[[Scalar, optax.GradientTransformation], optax.GradientTransformation]


def _coupled(
    direction: optax.GradientTransformation, decay: optax.GradientTransformation
) -> optax.GradientTransformation:
    return optax.chain(decay, direction)  # L2 regularisation: the decay passes through the optimizer's averages


def _decoupled(
    direction: optax.GradientTransformation, decay: optax.GradientTransformation
) -> optax.GradientTransformation:
    return optax.chain(direction, decay)  # Loshchilov and Hutter (2019)


# name -> (momentum, decay of the weights) -> the direction of the update, before the learning rate.
OPTIMIZERS: dict[str, Optimizer] = {
    'sgd': lambda momentum, decay: decay,
    'momentum': lambda momentum, decay: _coupled(optax.trace(momentum), decay),  # type: ignore[arg-type]
    'nesterov': lambda momentum, decay: _coupled(optax.trace(momentum, nesterov=True), decay),  # type: ignore[arg-type]
    'adam': lambda momentum, decay: _coupled(optax.scale_by_adam(b1=momentum), decay),  # type: ignore[arg-type]
    'adamw': lambda momentum, decay: _decoupled(optax.scale_by_adam(b1=momentum), decay),  # type: ignore[arg-type]
}

# name -> (progress from 0 to 1) -> height from 0 to 1.
SCHEDULES: dict[str, Callable[[jax.Array], Scalar]] = {
    'constant': lambda progress: 1.0,
    'cosine': lambda progress: 0.5 * (1 + jnp.cos(jnp.pi * progress)),
    'linear': lambda progress: 1 - progress,
}


def make_optimizer(
    name: str, learning_rate: Scalar, momentum: Scalar, weight_decay: Scalar
) -> optax.GradientTransformation:
    """The optimizer of a row of OPTIMIZERS; its numbers may be traced. Weight decay reaches kernels only."""
    decay = optax.add_decayed_weights(weight_decay, mask=decay_mask)
    return optax.chain(OPTIMIZERS[name](momentum, decay), optax.scale(-learning_rate))  # type: ignore[operator]


def decay_mask(params: Any) -> Any:
    """True for the kernels of a tree of parameters: biases and scales of norms are not decayed."""
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == 'kernel', params)
