"""Layers of the small networks: one table per kind of layer, one row per option."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.nn import initializers

from jaxdl.errors import InputError
from jaxdl.models.conv import conv
from jaxdl.models.norm import BatchNorm

# So that all tables are in one module.
from jaxdl.models.pooling import GLOBAL_POOLINGS as GLOBAL_POOLINGS
from jaxdl.models.pooling import POOLINGS as POOLINGS


class Conv(nn.Module):
    """Convolution without bias, since a norm follows that has one.

    Its kernel is [side, side, channel / groups, features], and has the images' type.

    Attributes:
      padding: zeros added on each of the four sides, in pixels; None: half of `side`, which with
        stride 1 and an odd side keeps the size.
      groups: only with a `compute` that convolves in groups (`conv.conv_large`).
      lowering: a row of `conv.LOWERINGS`, or `auto`.
      compute: function of images, kernel, stride, padding and lowering.
    """

    features: int
    side: int = 3
    stride: int = 1
    padding: int | None = None
    lowering: str = 'auto'
    groups: int = 1
    compute: Callable[..., jax.Array] = conv

    @property
    def border(self) -> int:
        """Zeros added on each side, in pixels."""
        return self.side // 2 if self.padding is None else self.padding

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        shape = (self.side, self.side, images.shape[-1] // self.groups, self.features)
        kernel = self.param('kernel', initializers.he_normal(), shape).astype(images.dtype)
        return self.compute(images, kernel, self.stride, self.border, self.lowering)


class Bias(nn.Module):
    """Bias per channel: all that remains of a norm where there is none."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        return images + self.param(
            'bias', initializers.zeros, (1,) * (images.ndim - 1) + (images.shape[-1],)
        )


def _group_norm(groups: Callable[[int], int], name: str) -> Callable[[jax.Array], jax.Array]:
    return lambda images: nn.GroupNorm(groups(images.shape[-1]), epsilon=1e-5, name=name)(images)


def groups_of(channels: int) -> int:
    """Number of groups of `group`: at most 8, of equal size.

    A group has at least 2 channels; with 1 it would be `instance`.
    """
    return max(n for n in range(1, min(8, max(1, channels // 2)) + 1) if channels % n == 0)


# name -> (train, name of the layer) -> a function of features.
# `instance` normalises each channel of each image. A channel of one pixel (1 x 1 images, hidden
# layers of an MLP) equals its own mean, so the output is the bias alone and no layer before learns.
NORMS: dict[str, Callable[[bool, str], Callable[[jax.Array], jax.Array]]] = {
    'none': lambda train, name: Bias(name=name),
    'batch': lambda train, name: lambda images: BatchNorm(name=name)(images, train),
    'layer': lambda train, name: nn.LayerNorm(epsilon=1e-5, name=name),
    # Over at most 8 groups of an image's channels.
    'group': lambda train, name: _group_norm(groups_of, name),
    # Over each channel of an image.
    'instance': lambda train, name: _group_norm(lambda channels: channels, name),
}

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    'relu': nn.relu,
    'sigmoid': nn.sigmoid,
    'tanh': jnp.tanh,
    'leaky_relu': nn.leaky_relu,
    'gelu': nn.gelu,
    'silu': nn.silu,
}

# name -> (input of a layer, its output of the same shape) -> input of the next layer.
SKIPS: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    'none': lambda features, branch: branch,
    'identity': lambda features, branch: features + branch,
}

# name -> (key, shape) -> initial values of a kernel; its last two axes are [in, out].
INITS: dict[str, Callable[[jax.Array, tuple[int, ...]], jax.Array]] = {
    'zeros': initializers.zeros,
    'ones': initializers.ones,
    'normal_0.01': initializers.normal(0.01),
    'normal_1': initializers.normal(1.0),
    'glorot_uniform': initializers.glorot_uniform(),
    'glorot_normal': initializers.glorot_normal(),
    'he_normal': initializers.he_normal(),
    'lecun_normal': initializers.lecun_normal(),
    # Of a convolution: the matrix [side * side * in, out].
    'orthogonal': initializers.orthogonal(),
}


def join(skip: str, features: jax.Array, branch: jax.Array) -> jax.Array:
    """Join the input of a layer and its output by a skip connection, if they have one shape.

    Args:
      skip: a row of SKIPS.
      features: input of the layer.
      branch: its output.
    """
    return SKIPS[skip](features, branch) if features.shape == branch.shape else branch


def check_skip(skip: str, narrow: int, wide: int, remedy: str) -> None:
    """Refuse a skip that no layer can have.

    Args:
      skip: a row of SKIPS.
      narrow: inputs of the only layer that could have a skip.
      wide: outputs of that layer.
      remedy: what the user can do.

    Raises:
      InputError: inputs and outputs differ.
    """
    if skip != 'none' and narrow != wide:
        raise InputError(
            f'variant.skip={skip!r}: no layer has as many outputs as inputs, so nothing would be '
            f'skipped: {remedy}'
        )


def dropout(features: jax.Array, rate: jax.Array | float, key: jax.Array) -> jax.Array:
    """Zero a share `rate` of the features and scale up the rest (Srivastava et al. 2014).

    Args:
      features: float, any shape.
      rate: in [0, 1); may be traced, unlike that of `nn.Dropout`.
      key: random key.
    """
    keep = jax.random.bernoulli(key, 1 - rate, features.shape)
    return jnp.where(keep, features / (1 - rate), 0.0)


def head(
    module: nn.Module, features: jax.Array, num_classes: int, train: bool, rate: jax.Array | float
) -> jax.Array:
    """Dropout in training, then the last layer, `head`, of a compact module.

    Args:
      module: of which the layer is part.
      features: float [batch, features].
      num_classes: number of outputs.
      train: whether dropout applies.
      rate: dropout rate, may be traced; its noise comes from the rng stream `dropout`, which a
        plain 0.0 does not need.

    Returns:
      Logits [batch, num_classes].
    """
    if train and not (isinstance(rate, float) and rate == 0):
        features = dropout(features, rate, module.make_rng('dropout'))
    return nn.Dense(num_classes, name='head')(features)
