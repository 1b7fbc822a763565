"""Exact claims in float64: permuted units, the rule for one unit, order of layers."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.theory.symmetry import formulas as symmetry
from jaxdl.theory.symmetry.formulas import Settings
from jaxdl.theory.symmetry.networks import Digits, layer_units
from jaxdl.train import train_step
from jaxdl.train.train_step import Batch, TrainState
from jaxdl.train.variant import Variant
from jaxdl.workdir import claims
from jaxdl.workdir.claims import Claim

Permute = Callable[[Any, int, np.ndarray], Any]


def permute_units(params: Any, layer: int, order: np.ndarray) -> Any:
    """Parameters with the units of a hidden layer permuted, with their input and output weights."""
    units, above = params[f'layer_{layer}'], f'layer_{layer + 1}'
    moved = dict(
        dense=dict(kernel=units['dense']['kernel'][:, order]),
        norm=dict(bias=units['norm']['bias'][..., order]),
    )
    params = params | {f'layer_{layer}': moved}
    if above in params:
        return params | {
            above: params[above] | dict(dense=dict(kernel=params[above]['dense']['kernel'][order]))
        }
    return params | dict(head=params['head'] | dict(kernel=params['head']['kernel'][order]))


def exact_claims(data: Digits, settings: Settings) -> list[Claim]:
    """Claims on random networks in float64: permutation, rule for one unit, order of layers."""
    layers = 3
    moved = 'sigmoid, zeros, three hidden layers: step in which the first layer changes'
    return [
        *(equivariance_claim(data, depth, settings.width) for depth in (1, 2)),
        rule_claim(data, settings.width),
        claims.close(moved, layers + 1, first_change(data, layers), 0),
    ]


def equivariance_claim(
    data: Digits, depth: int, width: int, permute: Permute = permute_units
) -> Claim:
    """Claim: the gradient at permuted units is the permuted gradient."""
    gradient, params = _exact(data, depth, width, 'he_normal')
    first, worst = gradient(params), 0.0
    for layer in range(depth):
        order = np.random.default_rng(layer).permutation(width)
        actual, expected = (
            gradient(permute(params, layer, order)),
            permute_units(first, layer, order),
        )
        gaps = jax.tree.leaves(
            jax.tree.map(lambda a, b: float(np.abs(a - b).max()), actual, expected)
        )
        worst = max(worst, *gaps)
    layers = 'one hidden layer' if depth == 1 else f'{depth} hidden layers'
    sentence = (
        f'random weights, {layers}: gradient of permuted units minus permuted gradient, largest '
        'entry'
    )
    return claims.close(sentence, 0, worst, 1e-12)


def rule_claim(
    data: Digits, width: int, rule: Callable[..., np.ndarray] = symmetry.unit_gradient
) -> Claim:
    """Claim: `rule`, from one unit and shared values only, equals automatic differentiation."""
    gradient, params = _exact(data, 1, width, 'he_normal')
    wanted, units = layer_units(gradient(params), 0), layer_units(params, 0)
    images = data.images.astype(np.float32).astype(np.float64)
    first, second = np.split(units, [images.shape[1]])
    network = symmetry.Network(first, second.T, np.zeros(10))
    errors = symmetry.residuals(symmetry.logits(network, images), data.targets)
    by_rule = np.concatenate([rule(units[:, [i]], images, errors) for i in range(width)], 1)
    sentence = (
        'random weights: gradient of each unit by the rule for one unit minus automatic '
        'differentiation'
    )
    return claims.close(sentence, 0, np.abs(by_rule - wanted).max(), 1e-12)


def first_change(data: Digits, depth: int, start: str = 'zeros') -> int:
    """Number of gradient steps until the first weights of a sigmoid network have changed."""
    gradient, params = _exact(data, depth, 4, start, 'sigmoid')
    begun = params['layer_0']['dense']['kernel']
    for step in range(1, 2 * depth):
        params = jax.tree.map(lambda weight, slope: weight - slope, params, gradient(params))
        if (params['layer_0']['dense']['kernel'] != begun).any():
            return step
    return 2 * depth


def _exact(
    data: Digits, depth: int, width: int, start: str, activation: str = 'tanh'
) -> tuple[Callable[[Any], Any], Any]:
    """Gradient function of jaxdl's own network, and its parameters, in float64."""
    variant = Variant(
        model='mlp', width=width, depth=depth, norm='none', activation=activation, init=start
    )
    module = train_step.module_of(variant, 10)
    images = jnp.asarray(data.images[:, :-1], jnp.float32).reshape(-1, 8, 8, 1)
    mask, labels = jnp.ones(len(images), bool), jnp.asarray(data.targets.argmax(1), jnp.int32)
    batch = Batch(images, labels, mask, jnp.zeros(1, jnp.float32), jnp.ones(1, jnp.float32))
    state = train_step.init_state(
        variant, 0, module, images.shape[1:]
    )  # in float32: what it reads is cached
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), state.params)

    @jax.jit
    def gradient(params: Any) -> Any:
        moved = TrainState(state.step, params, state.batch_stats, state.opt_state)
        return train_step.gradients(moved, batch, variant, module=module)

    def exact(params: Any) -> Any:
        with jax.enable_x64(True):
            return jax.tree.map(np.asarray, gradient(params))

    return exact, params
