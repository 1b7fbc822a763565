"""Derivatives of the 2-2-1 network by other methods: programs, 50 digits, differences."""

from collections.abc import Callable

import jax
import mpmath
import numpy as np

from jaxdl.theory.backprop.formulas import Four

Arrays = tuple[np.ndarray, ...]  # w1 [n, 2, 2], b1 [n, 2], w2 [n, 2], b2 [n], x [n, 2], t [n]
Rule = Callable[..., Four]
SHAPES = ((2, 2), (2,), (2,), (), (2,), ())
WEIGHTS = (0, 1, 2, 3)  # the arguments that are differentiated
DIGITS = 50


def draw(seed: int, name: str, count: int, scale: float, biases: str = 'none') -> Arrays:
    """Draw `count` networks, inputs and targets from N(0, scale^2).

    Args:
      biases: `none` (all 0) or `normal`.
    """
    random = np.random.default_rng([seed, *name.encode()])
    w1, b1, w2, b2, x, t = (random.normal(0, scale, (count, *shape)) for shape in SHAPES)
    return (w1, b1, w2, b2, x, t) if biases == 'normal' else (w1, 0 * b1, w2, 0 * b2, x, t)


def six_derivatives(derivatives: Four) -> np.ndarray:
    """dL/dw of w^1_11, w^1_12, w^1_21, w^1_22, w^2_11 and w^2_12, [n, 6]."""
    by_w1, _, by_w2, _ = derivatives
    return np.concatenate([by_w1.reshape(-1, 4), by_w2], 1)


def nine_derivatives(derivatives: Four) -> np.ndarray:
    """The six, then those of the three biases, [n, 9]."""
    _, by_b1, _, by_b2 = derivatives
    return np.concatenate([six_derivatives(derivatives), by_b1, by_b2[:, None]], 1)


def relative_errors(derivatives: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Largest error of each point, relative to (its largest derivative + 1e-4), [n]."""
    return np.max(np.abs(derivatives - reference), 1) / (np.max(np.abs(reference), 1) + 1e-4)


def loss(
    w1: jax.Array, b1: jax.Array, w2: jax.Array, b2: jax.Array, x: jax.Array, t: jax.Array
) -> jax.Array:
    """Loss of one example, in plain JAX."""
    return (jax.nn.sigmoid(w2 @ jax.numpy.tanh(w1 @ x + b1) + b2) - t) ** 2


def by_jax(*points: np.ndarray) -> Four:
    """`jax.grad` in float64, at every point."""
    return _float64(_gradients, points)


def mean_by_jax(*networks_and_batch: np.ndarray) -> Four:
    """`jax.grad` in float64 of the mean loss over a batch, for every network [n, ...]."""
    return _float64(_mean_gradients, networks_and_batch)


def _mean_loss(*network_and_batch: jax.Array) -> jax.Array:
    return jax.vmap(loss, in_axes=(None, None, None, None, 0, 0))(*network_and_batch).mean()


_gradients = jax.jit(jax.vmap(jax.grad(loss, argnums=WEIGHTS)))
_mean_gradients = jax.jit(
    jax.vmap(jax.grad(_mean_loss, argnums=WEIGHTS), in_axes=(0, 0, 0, 0, None, None))
)


def _float64(function: Callable[..., tuple[jax.Array, ...]], arrays: Arrays) -> Four:
    with jax.enable_x64(True):
        w1, b1, w2, b2 = (np.asarray(array) for array in function(*arrays))
    return w1, b1, w2, b2


def by_digits(*points: np.ndarray) -> Four:
    """The chain rule with 50 digits, rounded to float64 at the end."""
    with mpmath.workdps(DIGITS):
        derivatives = [
            _by_digits(*(array.tolist() for array in point)) for point in zip(*points, strict=True)
        ]
    w1, b1, w2, b2 = zip(*derivatives, strict=True)
    return np.array(w1, float), np.array(b1, float), np.array(w2, float), np.array(b2, float)


def _by_digits(w1: list, b1: list, w2: list, b2: float, x: list, t: float) -> tuple[list, ...]:
    number = mpmath.mpf
    a = [number(w[0]) * x[0] + number(w[1]) * x[1] + b for w, b in zip(w1, b1, strict=True)]
    e = [mpmath.exp(-2 * abs(value)) for value in a]
    h = [mpmath.sign(each) * (1 - q) / (1 + q) for each, q in zip(a, e, strict=True)]
    q = mpmath.exp(-(w2[0] * h[0] + w2[1] * h[1] + b2))
    by_z = 2 * (1 / (1 + q) - t) * q / (1 + q) ** 2
    by_a = [by_z * w * 4 * s / (1 + s) ** 2 for w, s in zip(w2, e, strict=True)]
    return [[by * each for each in x] for by in by_a], by_a, [by_z * each for each in h], by_z


def by_differences(points: Arrays, step: float, kind: type) -> np.ndarray:
    """Central differences of the loss of all six weights, [n, 6], in the NumPy type `kind`."""
    return _along_each(
        points, lambda w: (plain_loss(*w(step)) - plain_loss(*w(-step))) / kind(2 * step), kind
    )


def by_complex_step(points: Arrays, step: float) -> np.ndarray:
    """Im L(w + i step) / step of all six weights, [n, 6]: no subtraction, so no cancellation."""
    return _along_each(points, lambda w: np.imag(plain_loss(*w(1j * step))) / step, np.complex128)


def plain_loss(
    w1: np.ndarray, b1: np.ndarray, w2: np.ndarray, b2: np.ndarray, x: np.ndarray, t: np.ndarray
) -> np.ndarray:
    """Loss of every point in the type of its arguments, in plain NumPy."""
    h = np.tanh(np.sum(w1 * x[:, None, :], -1) + b1)
    return (1 / (1 + np.exp(-(np.sum(w2 * h, -1) + b2))) - t) ** 2


def _along_each(points: Arrays, derivative: Callable, kind: type) -> np.ndarray:
    w1, b1, w2, b2, x, t = (array.astype(kind) for array in points)
    weights = np.concatenate([w1.reshape(-1, 4), w2], 1)

    def moved(i: int) -> Callable[[complex], Arrays]:
        def along(step: complex) -> Arrays:
            w = weights.copy()
            w[:, i] += kind(step)
            return w[:, :4].reshape(-1, 2, 2), b1, w[:, 4:], b2, x, t

        return along

    return np.stack([derivative(moved(i)) for i in range(6)], 1).astype(np.float64)
