"""Random networks and their gradient norms per layer, by jax in float64."""

import functools
import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxdl.models.layers import ACTIVATIONS
from jaxdl.theory.vanishing_gradients import formulas as theory
from jaxdl.train import keys

Layer = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]  # (h, kernel, bias) -> the next h


def plain(activation: str, gain: jax.Array | float) -> Layer:
    """Layer f(gain h W + b)."""
    return lambda h, kernel, bias: ACTIVATIONS[activation](gain * h @ kernel + bias)


def normalise(activation: str, gain: jax.Array | float, axis: int) -> Layer:
    """Layer f(norm(gain h W) + b), without epsilon.

    Args:
      axis: -1 normalises over the units of an example, 0 over the examples of a unit.
    """

    def layer(h: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
        z = gain * h @ kernel
        z = z - jnp.mean(z, axis, keepdims=True)
        return ACTIVATIONS[activation](z / jnp.sqrt(jnp.mean(z**2, axis, keepdims=True)) + bias)

    return layer


def skip(gain: jax.Array | float, branch: float) -> Layer:
    """Layer h + branch gain relu(h) W + b, with an identity skip connection."""
    return lambda h, kernel, bias: h + branch * gain * jax.nn.relu(h) @ kernel + bias


def draw(
    seed: int | jax.Array, name: str, depth: int, width: int, batch: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Random kernels [depth, width, width] with variance 1 / width, images and loss direction.

    Returns:
      Kernels, and images and direction, both [batch, width].
    """
    root = keys.seed_key(seed)  # pyright: ignore[reportArgumentType]
    return _draw(keys.fold(root, f'vanishing_gradients {name}'), depth, width, batch)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _draw(
    key: jax.Array, depth: int, width: int, batch: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    shapes = dict(kernels=(depth, width, width), images=(batch, width), direction=(batch, width))
    normal = [
        jax.random.normal(keys.fold(key, name), shape, jnp.float32)
        for name, shape in shapes.items()
    ]
    kernels, images, direction = (array.astype(jnp.result_type(float)) for array in normal)
    return kernels / math.sqrt(width), images, direction / math.sqrt(width)


def loss(
    layer: Layer, kernels: jax.Array, biases: jax.Array, images: jax.Array, direction: jax.Array
) -> jax.Array:
    """Fixed random linear function of the last layer: the sum of h times `direction`."""
    last, _ = lax.scan(
        lambda h, layer_params: (layer(h, *layer_params), None), images, (kernels, biases)
    )
    return jnp.sum(last * direction)


def gradients(
    layer: Layer, kernels: jax.Array, images: jax.Array, direction: jax.Array
) -> jax.Array:
    """Gradient of the loss w.r.t. each layer's bias, per example: [layer, batch, width]."""
    biases = jnp.zeros((len(kernels), *images.shape))
    return jax.grad(lambda b: loss(layer, kernels, b, images, direction))(biases)


def log_norms(
    layer: Layer, kernels: jax.Array, images: jax.Array, direction: jax.Array
) -> jax.Array:
    """Logarithms of the norms of `gradients`, [layer]."""
    return 0.5 * jnp.log(jnp.sum(gradients(layer, kernels, images, direction) ** 2, (1, 2)))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _plain_norms(
    depth: int, width: int, seed: jax.Array, gains: Mapping[str, jax.Array]
) -> dict[str, jax.Array]:
    kernels, images, direction = draw(seed, 'plain', depth, width, 1)

    def norms(activation: str) -> Callable[[jax.Array], jax.Array]:
        return lambda gain: log_norms(plain(activation, gain), kernels, images, direction)

    return {
        activation: jax.vmap(norms(activation))(by_activation)
        for activation, by_activation in gains.items()
    }


def plain_norms(
    depth: int, width: int, seeds: int, gains: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Log gradient norms of random networks, [seed, gain, layer] per activation."""
    by_seed = [
        jax.tree.map(np.asarray, _plain_norms(depth, width, seed, gains)) for seed in range(seeds)
    ]
    return {activation: np.stack([norms[activation] for norms in by_seed]) for activation in gains}


@functools.partial(jax.jit, static_argnums=(0, 1))
def _variances(depth: int, width: int, gains: jax.Array) -> dict[str, jax.Array]:
    kernels, images, _ = draw(0, 'variance', depth, width, 16)

    def of(activation: str, gain: jax.Array) -> jax.Array:
        def step(h: jax.Array, kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
            h = ACTIVATIONS[activation](gain * h @ kernel)
            return h, jnp.mean(jnp.var(h, 0))

        return lax.scan(step, images, kernels)[1]

    return {
        activation: jax.vmap(functools.partial(of, activation))(gains)
        for activation in theory.ACTIVATIONS
    }


def variances(depth: int, width: int, gains: np.ndarray) -> dict[str, np.ndarray]:
    """Variance of an activation over 16 inputs, mean over units, [gain, layer] per activation."""
    by_activation = _variances(depth, width, jnp.asarray(gains))
    return {activation: np.asarray(by_activation[activation]) for activation in theory.ACTIVATIONS}


def rate(norms: np.ndarray) -> np.ndarray:
    """Growth of log norms [..., layer] per layer, backward, in the last three quarters."""
    start = norms.shape[-1] // 4
    return (norms[..., start] - norms[..., -1]) / (norms.shape[-1] - 1 - start)
