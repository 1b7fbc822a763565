"""Convolutions and affine maps of a network for evaluation, whose batch norms are folded.

In evaluation a batch norm is an affine map of each channel. A norm behind a convolution is folded
into the kernel and the bias of this convolution. On a CPU with the native part each convolution
also adds the bias and the residual branch, and applies the activation.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import native
from jaxdl.models.conv import conv_large, output_sides
from jaxdl.models.norm import EPSILON, NATIVE, activate, is_native, norm_relu

# Kernel and bias of a convolution; scale and bias of a norm that remains.
Layer = Mapping[str, Any]
Pairs = Mapping[str, str]  # name of a convolution -> name of the norm behind it


def fold_norms(
    params: Mapping[str, Any],
    stats: Mapping[str, Any],
    pairs_of: Callable[[Mapping[str, Any]], Pairs],
    epsilon: float = EPSILON,
) -> dict[str, Any]:
    """Layers by name, those of a block under its name, on the host.

    Args:
      params: parameters of a network.
      stats: running statistics of its norms.
      pairs_of: names of the layers of a block, or of the network -> its pairs.
      epsilon: of the norms.

    Returns:
      Kernels with biases, scales with biases, and layers without a norm as they are.
    """
    layers: dict[str, Any] = {}
    for name, layer in params.items():
        if 'scale' in layer:
            layers[name] = affine_of(layer, stats[name], epsilon)
        elif 'kernel' in layer:
            layers[name] = dict(layer)
        else:
            layers[name] = fold_norms(layer, stats.get(name, {}), pairs_of, epsilon)
    for convolution, norm in pairs_of(params).items():
        layers[convolution] = merge(layers[convolution], layers.pop(norm))
    return layers


def affine_of(norm: Layer, statistics: Layer, epsilon: float = EPSILON) -> dict[str, Any]:
    """Scale and bias of a norm with its running statistics."""
    scale = np.asarray(norm['scale'] / np.sqrt(statistics['var'] + np.float32(epsilon)))
    return dict(scale=scale, bias=norm['bias'] - statistics['mean'] * scale)


def merge(convolution: Layer, affine: Layer) -> dict[str, Any]:
    """A convolution and the affine map behind it, as one convolution with a bias."""
    return dict(
        kernel=convolution['kernel'] * affine['scale'][None, None, None], bias=affine['bias']
    )


def conv_affine(
    lowering: str,
    layer: Layer,
    images: jax.Array,
    stride: int,
    skip: jax.Array | None = None,
    activation: str = 'relu',
    padding: int | None = None,
) -> jax.Array:
    """activation(convolution + bias + skip).

    Args:
      lowering: a row of `conv.LOWERINGS`, or `auto`.
      layer: `kernel` [height, width, in, out] and perhaps `bias` [out].
      images: float [batch, height, width, channel].
      stride: pixels, for both axes.
      skip: residual branch of the shape of the result.
      activation: a row of `norm.ACTIVATIONS`.
      padding: pixels at every side; None: half the kernel's side.

    Returns:
      float [batch, rows, columns, out].
    """
    kernel = jnp.asarray(layer['kernel'])
    padding = kernel.shape[0] // 2 if padding is None else padding
    bias = jnp.asarray(layer['bias']) if 'bias' in layer else jnp.zeros(kernel.shape[-1])
    if kernel.shape[2] == images.shape[-1] and is_native(images, lowering):
        sides = output_sides(images.shape, kernel.shape, stride, padding)
        shape = (len(images), *sides, kernel.shape[-1])
        added = jnp.zeros(0) if skip is None else skip
        settings = dict(stride=stride, padding=padding, activation=NATIVE.get(activation, 0))
        arguments = images, kernel, bias, added
        (outputs,) = native.call('conv_affine', [shape], *arguments, **settings)
        return outputs if activation in NATIVE else activate(outputs, activation)
    outputs = conv_large(images, kernel.astype(images.dtype), stride, padding, lowering)
    outputs = outputs + bias[None, None, None]
    outputs = outputs if skip is None else outputs + skip
    return activate(outputs, activation).astype(images.dtype)


def scale(lowering: str, layer: Layer, images: jax.Array, activation: str = 'relu') -> jax.Array:
    """activation(images * scale + bias), of a norm with no convolution before it."""
    factor, bias = jnp.asarray(layer['scale']), jnp.asarray(layer['bias'])
    if activation in NATIVE and is_native(images, lowering):
        settings: dict[str, Any] = dict(norm=0, activation=NATIVE[activation], epsilon=EPSILON)
        return norm_relu(images, factor, bias, **settings)[0]
    outputs = (images * factor[None, None, None] + bias[None, None, None]).astype(images.dtype)
    return activate(outputs, activation)
