"""Exact cases of exploding and vanishing gradients: products, bounds, clipping."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxdl.theory.vanishing_gradients import networks
from jaxdl.train import keys
from jaxdl.workdir import claims
from jaxdl.workdir.claims import Claim

WIDTH, DEPTH = 32, 64  # of the networks below, unless a claim names another size
LARGEST = float(np.finfo(np.float32).max)
ROUNDING = 1e-9  # float64 through so many layers


@dataclasses.dataclass(frozen=True)
class Exact:
    """The exact claims by name, and the ratio of gradient norms of first and last ReLU kernel."""

    claims: Mapping[str, Claim]
    kernel_ratio: float


def measure() -> Exact:
    """Measure all exact claims."""
    kernels, ratio = kernel_claim()
    norm, share = clipping_claims()
    return Exact(
        dict(
            product=product_of_jacobians(),
            orthogonal=orthogonal(),
            chains=sigmoid_chains(),
            largest_step=largest_step(),
            overflow=overflow(),
            kernels=kernels,
            gain=normalisation_claim(),
            norm=norm,
            share=share,
        ),
        ratio,
    )


def jacobian(gain: float, kernel: np.ndarray, h: np.ndarray) -> np.ndarray:
    """d next / d h of next = tanh(gain h W): [next, h]."""
    return (gain * (1 - np.tanh(gain * h @ kernel) ** 2) * kernel).T


def product_of_jacobians(
    rule: Callable[[float, np.ndarray, np.ndarray], np.ndarray] = jacobian,
) -> Claim:
    """Claim: the product of Jacobians in NumPy equals jax.grad."""
    gain, depth, width = 1.5, 16, 8
    kernels, images, direction = networks.draw(0, 'jacobians', depth, width, 1)
    biases = jnp.zeros((depth, 1, width))
    layer = networks.plain('tanh', gain)
    loss = lambda x: networks.loss(layer, kernels, biases, x, direction)
    gradient = np.asarray(jax.jit(jax.grad(loss))(images))[0]
    h, product = np.asarray(images)[0], np.eye(width)
    for kernel in np.asarray(kernels):
        product = rule(gain, kernel, h) @ product
        h = np.tanh(gain * h @ kernel)
    error = np.max(np.abs(np.asarray(direction)[0] @ product - gradient)) / np.max(np.abs(gradient))
    sentence = (
        f'Gradient with respect to the input of {depth} tanh layers of {width} units, product of '
        'Jacobians: largest error relative to the largest element of jax.grad'
    )
    return claims.close(sentence, 0, error, ROUNDING)


def orthogonal(rule: Callable[[float, int], float] = lambda gain, depth: gain**depth) -> Claim:
    """Claim: growth of the gradient norm in a linear network with orthogonal kernels."""
    gain = 1.1
    kernels, images, direction = networks.draw(0, 'orthogonal', DEPTH, WIDTH, 1)
    turns = jnp.asarray(np.linalg.qr(np.asarray(kernels))[0])
    layer = lambda h, kernel, bias: gain * h @ kernel + bias
    loss = lambda x: networks.loss(layer, turns, jnp.zeros((DEPTH, 1, WIDTH)), x, direction)
    growth = np.linalg.norm(np.asarray(jax.jit(jax.grad(loss))(images))) / np.linalg.norm(
        np.asarray(direction)
    )
    sentence = (
        f'Linear network of {DEPTH} layers, orthogonal kernels times {gain}: growth of the '
        'gradient norm'
    )
    return claims.relatively_close(sentence, rule(gain, DEPTH), float(growth), ROUNDING)


def sigmoid_chains(slope: float = 0.25) -> Claim:
    """Claim: the gradient of a sigmoid chain is at most the product of `slope` |w|."""
    chains, depth = 1_000, 16
    key = keys.fold(keys.seed_key(0), 'vanishing_gradients chains')
    weights = 4 * jax.random.normal(key, (chains, depth))

    def end(start: jax.Array, chain: jax.Array) -> jax.Array:
        return functools.reduce(lambda h, w: jax.nn.sigmoid(w * h), chain, start)

    gradients = np.abs(np.asarray(jax.jit(jax.vmap(jax.grad(end)))(jnp.ones(chains), weights)))
    share = np.max(gradients / np.prod(slope * np.abs(np.asarray(weights)), 1))
    sentence = (
        f'{chains:,} sigmoid chains of {depth} layers, weights from N(0, 16): largest ratio of the '
        'gradient to its bound, the product of |w| / 4'
    )
    return claims.at_most(sentence, 1, float(share))


def overflow(
    rule: Callable[[float], float] = lambda weight: math.floor(math.log(LARGEST, weight)),
) -> Claim:
    """Claim: largest depth of a linear chain with a finite float32 gradient."""
    weight = 10.0
    chain = lambda x: jax.lax.scan(lambda h, _: (weight * h, weight * h), x, length=DEPTH)[1]
    finite = np.isfinite(
        np.asarray(jax.jit(jax.jacrev(chain))(jnp.float32(1)))
    )  # of depth 1, 2, ...
    sentence = (
        f'Linear chain of weights {weight:g}: largest depth with a finite gradient in float32'
    )
    return claims.close(sentence, rule(weight), int(np.argmin(finite)), 0)


def largest_step(
    rule: Callable[[int], float] = lambda depth: 2 / depth**2, depth: int = DEPTH
) -> Claim:
    """Claim: largest learning rate for (w^depth - 1)^2 / 2 at w = 1, curvature depth^2."""
    rates = jnp.linspace(0.1, 4, 3_901) / depth**2
    start = 1 + 1e-9
    slope = jax.vmap(jax.grad(lambda w: 0.5 * (w**depth - 1) ** 2))
    step = lambda _, w: w - rates * slope(w)
    ends = jax.jit(lambda w: jax.lax.fori_loop(0, 100, step, w))(jnp.full(len(rates), start))
    converged = np.flatnonzero(np.abs(np.asarray(ends) - 1) < start - 1)
    sentence = (
        f'Gradient descent on a linear chain of {depth} equal weights: largest learning rate that '
        'converges'
    )
    return claims.relatively_close(sentence, rule(depth), float(rates[converged.max()]), 0.01)


def kernel_claim(activation: str = 'relu') -> tuple[Claim, float]:
    """Claim: sum of W dL/dW = L in every ReLU layer (Euler); and the ratio of kernel gradients."""
    kernels, images, direction = networks.draw(0, 'kernels', DEPTH, WIDTH, 1)
    biases = jnp.zeros((DEPTH, 1, WIDTH))
    layer = networks.plain(activation, 1.0)
    value, grads = jax.jit(
        jax.value_and_grad(lambda w: networks.loss(layer, w, biases, images, direction))
    )(kernels)
    shares = np.sum(np.asarray(kernels) * np.asarray(grads), (1, 2)) / float(value)
    norms = np.linalg.norm(np.asarray(grads), axis=(1, 2))
    sentence = (
        f'ReLU network of {DEPTH} layers of {WIDTH} units, gain 1: sum of W dL/dW compared with L '
        'in each layer, largest relative error'
    )
    return claims.close(sentence, 0, np.max(np.abs(shares - 1)), ROUNDING), float(
        norms[0] / norms[-1]
    )


def normalisation_claim(power: float = 1.0) -> Claim:
    """Claim: with normalisation after each kernel the gradient is proportional to 1 / scale."""
    gain = 3.0  # a power of 2 would not even be rounded
    kernels, images, direction = networks.draw(0, 'normalised', DEPTH, WIDTH, 1)
    layer = networks.normalise('relu', 1.0, -1)
    loss = lambda w: networks.loss(layer, w, jnp.zeros((DEPTH, 1, WIDTH)), images, direction)
    grad = jax.jit(jax.grad(loss))
    one, scaled = (np.asarray(grad(scaled_kernels)) for scaled_kernels in (kernels, gain * kernels))
    error = np.max(np.abs(scaled * gain**power - one)) / np.max(np.abs(one))
    sentence = (
        f'{DEPTH} ReLU layers of {WIDTH} units with layer norm, kernels times {gain:g}: gradient '
        f'times {gain:g} compared with the original one, largest error relative to the largest '
        'element'
    )
    return claims.close(sentence, 0, error, 1e-6)


def clipping_claims(transform: optax.GradientTransformation | None = None) -> list[Claim]:
    """Claims: clipping by the global norm multiplies all layers by one factor."""
    kernels, images, direction = networks.draw(0, 'clipping', DEPTH, WIDTH, 1)
    layer = networks.plain('relu', 2.0)
    grads = jax.jit(lambda w: networks.gradients(layer, w, images, direction))(kernels)
    clip = transform or optax.clip_by_global_norm(1.0)
    clipped, _ = clip.update(grads, clip.init(grads))
    before, after = (
        np.linalg.norm(np.asarray(gradient), axis=(1, 2)) for gradient in (grads, clipped)
    )
    where = f'ReLU network of {DEPTH} layers of {WIDTH} units, gain 2, gradient clipped to norm 1: '
    return [
        claims.close(
            f'{where}norm of the whole gradient', 1, math.sqrt(np.sum(after**2)), ROUNDING
        ),
        claims.relatively_close(
            f'{where}ratio of first to last layer, as before clipping',
            before[0] / before[-1],
            after[0] / after[-1],
            ROUNDING,
        ),
    ]
