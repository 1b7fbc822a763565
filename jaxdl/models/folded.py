"""A residual network for evaluation alone: its batch norms folded into its convolutions.

In evaluation a norm is an affine map of each channel: one behind a convolution is in that
convolution's kernel and bias. What is left are the norms before a block of the pre-activation
networks, and before Gluon's stem.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.tree_util import Partial

from jaxdl import native
from jaxdl.models.blocks import EPSILON, convolved, halved, max_pooled, widened
from jaxdl.models.conv import output_sides
from jaxdl.models.norm import normed, served
from jaxdl.models.resnet import ResNet

METHODS = ('__call__', 'features', 'feature_map')
Layer = dict[
    str, jax.Array
]  # kernel and bias of a convolution; scale and bias of a norm that stays


def fold(
    module: ResNet, variables: Mapping[str, Any], method: str = '__call__'
) -> Callable[[jax.Array], jax.Array]:
    """`module.apply(variables, images, method=method)` with less to compute: float32, no training.

    No dropout.

    Args:
      module: a network of `ARCHITECTURES`.
      variables: its `params` and `batch_stats`.
      method: `__call__`, `features` or `feature_map`.

    Returns:
      A compiled function of images [batch, height, width, channel], and a pytree of its weights. On
      a CPU with the native part bias, residual sum and ReLU are in the convolution too. It gives
      the same but for rounding.

    Raises:
      ValueError: no such method.
    """
    if method not in METHODS:
        raise ValueError(f'{method!r} cannot be folded: {", ".join(METHODS)}')
    return Partial(
        partial(_run, module, method),
        _folded(module, variables['params'], variables['batch_stats']),
    )


@partial(jax.jit, static_argnums=(0, 1))
def _run(module: ResNet, method: str, weights: dict[str, Any], images: jax.Array) -> jax.Array:
    found = _feature_map(module, weights, images)
    if method == 'feature_map':
        return found
    features = widened(found).mean((1, 2))
    if method == 'features' or not module.num_classes:
        return features
    return features @ weights['head']['kernel'] + weights['head']['bias'][None]


def _affine(norm: Mapping[str, jax.Array], kept: Mapping[str, jax.Array]) -> Layer:
    """A norm with its running statistics as images * scale + bias."""
    scale = norm['scale'] * lax.rsqrt(kept['var'] + EPSILON)
    return dict(scale=scale, bias=norm['bias'] - kept['mean'] * scale)


def _folded(module: ResNet, params: Mapping[str, Any], stats: Mapping[str, Any]) -> dict[str, Any]:
    """Layers by name, those of a block under its name.

    Each norm in the convolution before it where there is one.
    """
    pairs = _pairs(module, params)
    found: dict[str, Any] = {}
    for name, layer in params.items():
        if 'scale' in layer:
            found[name] = _affine(layer, stats[name])
        elif 'kernel' in layer:
            found[name] = dict(layer)
        else:
            found[name] = _folded(module, layer, stats[name])
    for convolution, norm in pairs.items():
        affine = found.pop(norm)
        found[convolution] = dict(
            kernel=found[convolution]['kernel'] * affine['scale'][None, None, None],
            bias=affine['bias'],
        )
    return found


def _pairs(module: ResNet, names: Mapping[str, Any]) -> dict[str, str]:
    """Convolution -> the norm behind it, among the layers of a block or of the network itself."""
    deep = {'conv1_0': 'conv1_1', 'conv1_3': 'conv1_4', 'conv1_6': 'bn1'}
    inside = 'conv2' in names
    if inside and module.architecture.block == 'preactivation':
        found = {'conv1': 'bn2', 'conv2': 'bn3'}
    else:
        found = {'conv1': 'bn1', 'conv2': 'bn2', 'conv3': 'bn3', 'downsample_0': 'downsample_1'}
        found['downsample_1'] = 'downsample_2'
    return {
        k: v
        for k, v in (found | deep).items()
        if k in names and v in names and 'kernel' in names[k]
    }


def _feature_map(module: ResNet, weights: dict[str, Any], images: jax.Array) -> jax.Array:
    a, conv = module.architecture, partial(_convolved, module.lowering)
    if a.stem == 'gluon':
        images = _scaled(module.lowering, weights['bn0'], images, relu=False)
    for i, name in enumerate(sorted(k for k in weights if k.startswith('conv1'))):
        images = conv(weights[name], images, 2 if i == 0 and a.stem != 'cifar' else 1)
    images = images if a.stem == 'cifar' else max_pooled(images, module.lowering)
    block = _preactivation if a.block == 'preactivation' else _residual
    for stage, blocks in enumerate(a.stages, 1):
        for i in range(blocks):
            stride = 2 if i == 0 and stage > 1 else 1
            images = block(module, weights[f'layer{stage}_{i}'], images, stride)
    return (
        _scaled(module.lowering, weights['norm'], images) if a.block == 'preactivation' else images
    )


def _residual(
    module: ResNet, layers: dict[str, Layer], images: jax.Array, stride: int
) -> jax.Array:
    """As `blocks.Residual`."""
    conv = partial(_convolved, module.lowering)
    *before, last = sorted(name for name in layers if name.startswith('conv'))
    skip = branch = images
    for name in before:
        branch = conv(layers[name], branch, stride if name == before[-1] else 1)
    if 'downsample_1' in layers:
        skip = conv(
            layers['downsample_1'], images if stride == 1 else halved(images), 1, relu=False
        )
    elif 'downsample_0' in layers:
        skip = conv(layers['downsample_0'], images, stride, relu=False)
    elif module.architecture.shortcut == 'pad' and branch.shape != images.shape:
        new = (branch.shape[-1] - images.shape[-1]) // 2
        skip = jnp.pad(images[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (new, new)))
    return conv(layers[last], branch, 1, skip)


def _preactivation(
    module: ResNet, layers: dict[str, Layer], images: jax.Array, stride: int
) -> jax.Array:
    """As `blocks.Preactivation`."""
    conv = partial(_convolved, module.lowering)
    first = _scaled(module.lowering, layers['bn1'], images)
    branch = conv(layers['conv2'], conv(layers['conv1'], first, 1), stride)
    if 'downsample_0' in layers:
        images = conv(layers['downsample_0'], first, stride, relu=False)
    return conv(layers['conv3'], branch, 1, images, relu=False)


def _convolved(
    lowering: str,
    layer: Layer,
    images: jax.Array,
    stride: int,
    skip: jax.Array | None = None,
    relu: bool = True,
) -> jax.Array:
    """relu(convolution + bias + skip), padded by half the kernel's side."""
    kernel, padding = layer['kernel'], layer['kernel'].shape[0] // 2
    bias = layer.get('bias', jnp.zeros(kernel.shape[-1]))
    if kernel.shape[2] == images.shape[-1] and served(images, lowering):
        sides = output_sides(images.shape, kernel.shape, stride, padding)
        shape, beside = (
            (len(images), *sides, kernel.shape[-1]),
            jnp.zeros(0) if skip is None else skip,
        )
        settings = dict(stride=stride, padding=padding, relu=int(relu))
        return native.call('conv_affine', [shape], images, kernel, bias, beside, **settings)[0]
    found = (
        convolved(images, kernel.astype(images.dtype), stride, padding, lowering)
        + bias[None, None, None]
    )
    found = found if skip is None else found + skip
    return (nn.relu(found) if relu else found).astype(images.dtype)


def _scaled(lowering: str, layer: Layer, images: jax.Array, relu: bool = True) -> jax.Array:
    """relu(images * scale + bias), of a norm with no convolution before it."""
    if served(images, lowering):
        return normed(
            images, layer['scale'], layer['bias'], norm=0, relu=int(relu), epsilon=EPSILON
        )[0]
    found = (images * layer['scale'][None, None, None] + layer['bias'][None, None, None]).astype(
        images.dtype
    )
    return nn.relu(found) if relu else found
