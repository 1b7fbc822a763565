"""The parts that networks choose from: one table a part, one row an option."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.nn import initializers

from jaxdl.models.conv import conv

Param = Callable[..., jax.Array]  # flax's self.param: (name, init, *arguments) -> the parameter, made when asked for


class Conv(nn.Module):
    """A convolution without bias: the norm that follows shifts. Its kernel is [side, side, channel, features]."""

    features: int
    side: int = 3
    stride: int = 1
    padding: int = 1
    lowering: str = 'auto'

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        shape = (self.side, self.side, images.shape[-1], self.features)
        kernel = self.param('kernel', initializers.he_normal(), shape)
        return conv(images, kernel, self.stride, self.padding, self.lowering)


class Bias(nn.Module):
    """The shift that is left where there is no norm."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        return images + self.param('bias', initializers.zeros, (1,) * (images.ndim - 1) + (images.shape[-1],))


class Pool(nn.Module):
    """A 2 x 2 window moved by 2, along each side that is at least 2; a last odd row or column is left out."""

    pooling: str

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        return POOLINGS[self.pooling](windows(images), self.param)


def windows(images: jax.Array) -> jax.Array:
    """[batch, height, width, channel] -> [4, batch, height // 2, width // 2, channel]: a window's elements first."""
    down, right = (min(2, side) for side in images.shape[1:3])
    images = images[:, : images.shape[1] // down * down, : images.shape[2] // right * right]
    return jnp.stack([images[:, i::down, j::right] for i in range(down) for j in range(right)])


def _maximum(elements: jax.Array) -> jax.Array:
    """The maximum over the leading axis; its gradient goes to the first of equal ones, as in PyTorch."""
    return _first_largest(len(elements), elements)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _first_largest(count: int, elements: jax.Array) -> jax.Array:
    return elements.max(0)


def _first_largest_forward(count: int, elements: jax.Array) -> tuple[jax.Array, jax.Array]:
    # Which one it is is kept, not the values: XLA computes those anew with other roundings, and then none is equal.
    largest, first = elements[0], jnp.zeros(elements.shape[1:], jnp.int8)
    for i in range(1, count):
        first = jnp.where(elements[i] > largest, jnp.int8(i), first)
        largest = jnp.maximum(largest, elements[i])
    return largest, first


def _first_largest_backward(count: int, first: jax.Array, gradient: jax.Array) -> tuple[jax.Array]:
    return (jnp.stack([jnp.where(first == i, gradient, 0.0) for i in range(count)]),)


_first_largest.defvjp(_first_largest_forward, _first_largest_backward)


def _l2(elements: jax.Array, param: Param) -> jax.Array:
    # The small constant keeps the gradient of the root finite where a whole window is 0, as after a ReLU it often is.
    return jnp.sqrt(jnp.mean(jnp.square(elements), 0) + 1e-6)


def _strided(elements: jax.Array, param: Param) -> jax.Array:
    """A 2 x 2 convolution of stride 2 (Springenberg et al. 2015, "Striving for simplicity"), one tap an element."""
    count, channels = elements.shape[0], elements.shape[-1]
    kernel = param('kernel', initializers.he_normal(), (count, channels, channels))
    return jnp.einsum('kbhwc,kcd->bhwd', elements, kernel)


# name -> reduction of the leading axis, the elements of a window; a row with weights of its own asks `param` for them.
POOLINGS: dict[str, Callable[[jax.Array, Param], jax.Array]] = {
    'max': lambda elements, param: _maximum(elements),
    'avg': lambda elements, param: elements.mean(0),
    'avgmax': lambda elements, param: 0.5 * (elements.mean(0) + _maximum(elements)),
    'l2': _l2,
    'strided': _strided,
}

# name -> [batch, height, width, channel] -> [batch, features].
GLOBAL_POOLINGS: dict[str, Callable[[jax.Array], jax.Array]] = {
    'avg': lambda images: images.mean((1, 2)),
    'max': lambda images: images.max((1, 2)),
    'flatten': lambda images: images.reshape(images.shape[0], -1),
}

# name -> (train, name of the layer) -> a module; PyTorch's momentum 0.1 is flax's 0.9.
NORMS: dict[str, Callable[[bool, str], Callable[[jax.Array], jax.Array]]] = {
    'none': lambda train, name: Bias(name=name),
    'batch': lambda train, name: nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5, name=name),
    'layer': lambda train, name: nn.LayerNorm(epsilon=1e-5, name=name),
}

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    'relu': nn.relu,
    'sigmoid': nn.sigmoid,
    'tanh': jnp.tanh,
    'leaky_relu': nn.leaky_relu,
    'gelu': nn.gelu,
    'silu': nn.silu,
}

# name -> (key, shape) -> the starting values of a kernel; its last two axes are [in, out].
INITS: dict[str, Callable[[jax.Array, tuple[int, ...]], jax.Array]] = {
    'zeros': initializers.zeros,
    'ones': initializers.ones,
    'normal': initializers.normal(1.0),
    'glorot_uniform': initializers.glorot_uniform(),
    'glorot_normal': initializers.glorot_normal(),
    'he_normal': initializers.he_normal(),
    'lecun_normal': initializers.lecun_normal(),
}


def dropout(features: jax.Array, rate: jax.Array | float, key: jax.Array) -> jax.Array:
    """Zeroes a share `rate` of the features and scales up the rest; the rate may be traced, which linen's may not."""
    keep = jax.random.bernoulli(key, 1 - rate, features.shape)
    return jnp.where(keep, features / (1 - rate), 0.0)
