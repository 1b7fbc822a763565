"""Checks of the sign of gradients after units whose outputs share one sign."""

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.models.layers import ACTIVATIONS
from jaxdl.report.page import words
from jaxdl.report.page.blocks import Table
from jaxdl.theory.activations import networks
from jaxdl.theory.activations.networks import NAMES, WIDTH, Kind
from jaxdl.train import train_step
from jaxdl.train.train_step import Batch
from jaxdl.workdir import claims
from jaxdl.workdir.claims import Claim

IMAGES = 256
BATCHES = (1, 4, 32)
MEANS = dict(sigmoid=1 / 2, relu=1 / np.sqrt(2 * np.pi), tanh=0.0)  # of f(z), z from N(0, 1)
# Whether outputs of one sign make all components of an example's gradient share their sign.
ONE_SIGN = dict(sigmoid=True, relu=True, tanh=False)


def mean_output(activation: Callable[[jax.Array], jax.Array], nodes: int = 200) -> float:
    """Mean of activation(z) for z from N(0, 1), by quadrature on each side of 0."""
    x, weights = np.polynomial.legendre.leggauss(nodes)
    z, weights = np.concatenate([6 * x - 6, 6 * x + 6]), 6 * np.concatenate([weights, weights])
    with jax.enable_x64(True):
        outputs = np.asarray(activation(jnp.asarray(z, jnp.float64)))
    return float((weights * outputs * np.exp(-z * z / 2)).sum() / np.sqrt(2 * np.pi))


def mean_claims(expected: Mapping[str, float] = MEANS) -> list[Claim]:
    """Claims on the mean output of each activation for centred pre-activations."""
    return [
        claims.close(
            f'Mean output of {NAMES[name]} for pre-activations from N(0, 1), by quadrature',
            mean,
            mean_output(ACTIVATIONS[name]),
            1e-9,
        )
        for name, mean in expected.items()
    ]


def one_sign(activation: str, seeds: int) -> dict[int, float]:
    """Share of layer-2 units whose gradient has one sign, by batch size.

    MLPs on digits at initialisation, 2 layers of 32 units, seeds 0, 1, ...; units with gradient 0
    are left out.
    """
    variant = networks.variant(Kind(activation, 2))
    data, num_classes = networks.digits()
    module = train_step.module_of(variant, num_classes)
    images, labels = data.images[data.train[0][:IMAGES]], data.labels[data.train[0][:IMAGES]]

    @jax.jit
    def gradients(state: train_step.TrainState) -> jax.Array:
        def one(image: jax.Array, label: jax.Array) -> jax.Array:
            batch = Batch(image[None], label[None], jnp.ones(1, bool), data.mean[0], data.std[0])
            return train_step.gradients(state, batch, variant, module=module)['layer_1']['dense'][
                'kernel'
            ]

        return jax.vmap(one)(images, labels)

    shape = data.images.shape[1:]
    states = (train_step.init_state(variant, seed, module, shape) for seed in range(seeds))
    by_seed = np.stack([np.asarray(gradients(state)) for state in states])
    return {size: share_of_one_sign(batches(by_seed, size)) for size in BATCHES}


def batches(gradients: np.ndarray, size: int) -> np.ndarray:
    """Means over batches of `size`: [seed, example, input, unit] -> [batch, input, unit]."""
    return gradients.reshape(-1, size, *gradients.shape[2:]).mean(1, dtype=np.float64)


def share_of_one_sign(gradients: np.ndarray) -> float:
    """Share of non-zero unit gradients [n, input, unit] without two components of opposite sign."""
    low, high = gradients.min(1), gradients.max(1)
    return float(((low >= 0) | (high <= 0))[(low < 0) | (high > 0)].mean())


def sign_claims(
    shares: Mapping[str, Mapping[int, float]], seeds: int, rule: Mapping[str, bool] = ONE_SIGN
) -> list[Claim]:
    """Claims: gradients of one example share a sign exactly where the inputs do."""

    def sentence(name: str) -> str:
        return (
            f'Share of (unit, example) pairs with one sign of the gradients of all {WIDTH} '
            f'incoming weights, after {NAMES[name]} units, {IMAGES} examples, {seeds} seeds'
        )

    return [
        claims.close(sentence(name), 1, by_size[1], 0)
        if rule[name]
        else claims.at_most(sentence(name), 0.01, by_size[1])
        for name, by_size in shares.items()
    ]


def table(shares: Mapping[str, Mapping[int, float]]) -> Table:
    """Shares with one sign: rows are activations, columns batch sizes."""
    columns = ['Inputs from', *(words.count(size, 'example') for size in BATCHES)]
    rows: Sequence[Sequence[str]] = [
        [NAMES[name], *(f'{100 * by_size[size]:.1f}' for size in BATCHES)]
        for name, by_size in shares.items()
    ]
    caption = (
        'Share of units whose incoming weights all have gradients of one sign, in per cent, by '
        'the number of examples in the mean gradient'
    )
    return Table(caption, columns, rows, 'l' + 'r' * len(BATCHES), name='signs')
