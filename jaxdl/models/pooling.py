"""Pooling: within a network over windows of 2 x 2, at its end over the whole image."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.nn import initializers

# flax's self.param: (name, init, *arguments) -> the parameter.
Param = Callable[..., jax.Array]


class Pool(nn.Module):
    """A 2 x 2 window moved by 2, along each side that is at least 2.

    A last odd row or column is left out.
    """

    pooling: str

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        return POOLINGS[self.pooling](windows(images), self.param)


class GlobalPool(nn.Module):
    """[batch, height, width, channel] -> [batch, features]."""

    pooling: str

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        return GLOBAL_POOLINGS[self.pooling](images, self.param)


def windows(images: jax.Array) -> jax.Array:
    """[batch, height, width, channel] -> [4, batch, height // 2, width // 2, channel].

    A window's elements first.
    """
    down, right = (min(2, side) for side in images.shape[1:3])
    images = images[:, : images.shape[1] // down * down, : images.shape[2] // right * right]
    return jnp.stack([images[:, i::down, j::right] for i in range(down) for j in range(right)])


def _maximum(elements: jax.Array) -> jax.Array:
    """Maximum over the leading axis.

    The gradient goes to the first of equal values, as in PyTorch.
    """
    return _first_largest(len(elements), elements)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _first_largest(count: int, elements: jax.Array) -> jax.Array:
    return elements.max(0)


def _first_largest_forward(count: int, elements: jax.Array) -> tuple[jax.Array, jax.Array]:
    # Residuals are the places, not the values: XLA would compute the values again with other
    # rounding, and then none is equal.
    largest, first = elements[0], jnp.zeros(elements.shape[1:], jnp.int8)
    for i in range(1, count):
        first = jnp.where(elements[i] > largest, jnp.int8(i), first)
        largest = jnp.maximum(largest, elements[i])
    return largest, first


def _first_largest_backward(count: int, first: jax.Array, gradient: jax.Array) -> tuple[jax.Array]:
    return (jnp.stack([jnp.where(first == i, gradient, 0.0) for i in range(count)]),)


_first_largest.defvjp(_first_largest_forward, _first_largest_backward)


def _l2(elements: jax.Array, param: Param) -> jax.Array:
    """Root of the mean square."""
    # The constant keeps the gradient finite where a whole window is 0, as often after ReLU.
    return jnp.sqrt(jnp.mean(jnp.square(elements), 0) + 1e-6)


def _strided(elements: jax.Array, param: Param) -> jax.Array:
    """A 2 x 2 convolution of stride 2: Springenberg et al. 2015, "Striving for simplicity"."""
    count, channels = elements.shape[0], elements.shape[-1]
    kernel = param('kernel', initializers.he_normal(), (count, channels, channels))
    return jnp.einsum('kbhwc,kcd->bhwd', elements, kernel)


# name -> reduction of the leading axis, the elements of a window; `param` makes parameters.
POOLINGS: dict[str, Callable[[jax.Array, Param], jax.Array]] = {
    'max': lambda elements, param: _maximum(elements),
    'avg': lambda elements, param: elements.mean(0),
    'avgmax': lambda elements, param: 0.5 * (elements.mean(0) + _maximum(elements)),
    'l2': _l2,
    'strided': _strided,
}


def _mean(images: jax.Array) -> jax.Array:
    """The mean over the image."""
    return images.mean((1, 2))


def _max(images: jax.Array) -> jax.Array:
    """The maximum over the image."""
    return images.max((1, 2))


def _gem(images: jax.Array, param: Param) -> jax.Array:
    """Generalised mean, mean(x^p)^(1/p) (Radenovic et al. 2018).

    p = 1 is the average, infinity the maximum. p is trained from 3, one for all channels, and
    clipped to at least 1; x is clipped to at least 1e-6.
    """
    p = jnp.maximum(param('exponent', initializers.constant(3.0), ()), 1.0)
    logs = p * jnp.log(jnp.maximum(images, 1e-6))  # the powers themselves would underflow
    return jnp.exp(
        (jax.nn.logsumexp(logs, (1, 2)) - jnp.log(images.shape[1] * images.shape[2])) / p
    )


# name -> [batch, height, width, channel] -> [batch, features]; names and meaning as in timm.
GLOBAL_POOLINGS: dict[str, Callable[[jax.Array, Param], jax.Array]] = {
    'avg': lambda images, param: _mean(images),
    'max': lambda images, param: _max(images),
    'avgmax': lambda images, param: (
        0.5 * (_mean(images) + _max(images))
    ),  # half of the one, half of the other
    'catavgmax': lambda images, param: jnp.concatenate(
        [_mean(images), _max(images)], -1
    ),  # both: twice the features
    'gem': _gem,
    'flatten': lambda images, param: images.reshape(
        images.shape[0], -1
    ),  # no pooling: every pixel is a feature
}
