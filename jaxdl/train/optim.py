"""Optimizers and schedules with traced hyperparameters, which may differ between members.

The learning rate is `learning_rate * height(progress)`, applied here. optax's own learning-rate
arguments bake a Python float into the program, and `inject_hyperparams` changes Adam's numbers
(optax#1532).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax.contrib import MuonDimensionNumbers, muon

Scalar = jax.Array | float
Optimizer = Callable[[Any, Any, optax.GradientTransformation], optax.GradientTransformation]


def _couple_decay(
    direction: optax.GradientTransformation, decay: optax.GradientTransformation
) -> optax.GradientTransformation:
    return optax.chain(
        decay, direction
    )  # L2 regularisation: the decay passes through the optimizer's averages


def _decouple_decay(
    direction: optax.GradientTransformation, decay: optax.GradientTransformation
) -> optax.GradientTransformation:
    return optax.chain(direction, decay)  # Loshchilov and Hutter (2019)


def _muon(momentum: Any, beta2: Any) -> optax.GradientTransformation:
    """Muon (Jordan 2024): orthogonalised momentum for hidden kernels, Adam for the rest.

    Both have one learning rate: a kernel's step has the length of Adam's, 0.2 sqrt(max(in, out))
    times the orthogonal matrix (Liu et al. 2025). The kernel of a convolution is read as a matrix
    [side * side * channel, feature].
    """
    return muon(
        learning_rate=-1.0,  # the direction only: `make_optimizer` applies rate and sign
        beta=momentum,
        adam_b2=beta2,
        muon_weight_dimension_numbers=_matrices,
        consistent_rms=0.2,
    )


def _lamb(
    momentum: Any, beta2: Any, decay: optax.GradientTransformation
) -> optax.GradientTransformation:
    """LAMB (You et al. 2020): a layer's step, decay included, has the length of its weights."""
    return optax.chain(
        _decouple_decay(optax.scale_by_adam(momentum, beta2, eps=1e-6), decay),
        optax.scale_by_trust_ratio(),
    )


def _matrices(params: Any) -> Any:
    """Matrix view of each parameter for Muon; None for the parameters that Adam updates."""

    def matrix(path: tuple[Any, ...], leaf: jax.Array) -> MuonDimensionNumbers | None:
        served = path[-1].key == 'kernel' and path[0].key != 'head' and leaf.ndim > 1
        return MuonDimensionNumbers(tuple(range(leaf.ndim - 1)), leaf.ndim - 1) if served else None

    return jax.tree_util.tree_map_with_path(matrix, params)


# name -> (momentum, beta2, decay of the weights) -> the direction of the update, before the
# learning rate. What their authors recommend for (momentum, beta2): rmsprop (-, 0.9), adam, adamw
# and lamb (0.9, 0.999), lion (0.9, 0.99), muon (0.95, 0.999); a row that does not name a number has
# no use for it.
OPTIMIZERS: dict[str, Optimizer] = {
    'sgd': lambda momentum, beta2, decay: decay,
    'momentum': lambda momentum, beta2, decay: _couple_decay(optax.trace(momentum), decay),
    'nesterov': lambda momentum, beta2, decay: _couple_decay(
        optax.trace(momentum, nesterov=True), decay
    ),
    'rmsprop': lambda momentum, beta2, decay: _couple_decay(optax.scale_by_rms(beta2), decay),
    'adagrad': lambda momentum, beta2, decay: _couple_decay(optax.scale_by_rss(), decay),
    'adam': lambda momentum, beta2, decay: _couple_decay(
        optax.scale_by_adam(momentum, beta2), decay
    ),
    'adamw': lambda momentum, beta2, decay: _decouple_decay(
        optax.scale_by_adam(momentum, beta2), decay
    ),
    'lion': lambda momentum, beta2, decay: _decouple_decay(
        optax.scale_by_lion(momentum, beta2), decay
    ),
    'muon': lambda momentum, beta2, decay: _decouple_decay(_muon(momentum, beta2), decay),
    'lamb': _lamb,
}


def make_optimizer(
    name: str, learning_rate: Scalar, momentum: Scalar, beta2: Scalar, weight_decay: Scalar
) -> optax.GradientTransformation:
    """Optimizer of a row of OPTIMIZERS.

    Weight decay reaches kernels only. For sgd to adam the decay is added to the gradient (L2). For
    the others it is decoupled and multiplied by the learning rate; lamb includes it in the step
    before scaling.

    Args:
      name: row of OPTIMIZERS.
      learning_rate: step size, may be traced like all the numbers here.
      momentum: decay of the first moment.
      beta2: decay of the second moment.
      weight_decay: coefficient.

    Returns:
      An optax transformation.
    """
    decay = optax.add_decayed_weights(weight_decay, mask=decay_mask)
    scale = optax.scale(-learning_rate)  # type: ignore[operator]
    return optax.chain(OPTIMIZERS[name](momentum, beta2, decay), scale)


def decay_mask(params: Any) -> Any:
    """Tree of bools: True for kernels. Biases and normalisation scales are not decayed."""
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == 'kernel', params)


START, END = 1 / 25, 1 / 25e4  # heights at the beginning of a rise, and at the end of one cycle


def _half_cosine(progress: Scalar, first: float, last: float) -> jax.Array:
    """Half a cosine from `first` to `last`."""
    return last + (first - last) * 0.5 * (1 + jnp.cos(jnp.pi * progress))


def _warmup_cosine(progress: jax.Array, rise: float = 0.05) -> jax.Array:
    """Linear warm-up (Goyal et al. 2017) from 1/25, then a cosine to 0."""
    up = START + (1 - START) * progress / rise
    return jnp.where(progress < rise, up, _half_cosine((progress - rise) / (1 - rise), 1.0, 0.0))


def _one_cycle(progress: jax.Array, rise: float = 0.3) -> jax.Array:
    """One cycle (Smith 2018): up from 1/25 for 30 % of the run, down to nearly 0, along cosines."""
    down = _half_cosine((progress - rise) / (1 - rise), 1.0, END)
    return jnp.where(progress < rise, _half_cosine(progress / rise, START, 1.0), down)


# name -> (progress, 0 at the first step and 1 after the last) -> height, above 0 before the end and
# at most 1.
SCHEDULES: dict[str, Callable[[jax.Array], Scalar]] = {
    'constant': lambda progress: 1.0,
    'cosine': lambda progress: _half_cosine(progress, 1.0, 0.0),  # from 1 to 0 along half a cosine
    'linear': lambda progress: 1 - progress,
    'step': lambda progress: jnp.where(progress < 0.5, 1.0, jnp.where(progress < 0.75, 0.1, 0.01)),
    'warmup_cosine': _warmup_cosine,
    'one_cycle': _one_cycle,
}
