"""Blocks of a residual network, as PyTorch defines them: explicit symmetric padding.

A block computes in the type of its images: bfloat16 images make a bfloat16 network with float32
parameters. Batch statistics are float32 at least, and the running variance is unbiased.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from jaxdl.models.attention import Attention
from jaxdl.models.conv import conv_large
from jaxdl.models.layers import Conv
from jaxdl.models.norm import BatchNorm, is_native, max_pool_native
from jaxdl.models.resnet_rows import ResNetRow


def conv_layer(features: int, side: int = 3, stride: int = 1, **settings: Any) -> Conv:
    """Convolution of a residual network, padded by half its side: a module without bias."""
    return Conv(features, side, stride, side // 2, compute=conv_large, **settings)


def batch_norm(lowering: str, relu: bool = False, name: str | None = None) -> BatchNorm:
    """Batch norm of a residual network: its running variance is unbiased, as PyTorch's."""
    activation = 'relu' if relu else ''
    return BatchNorm(unbiased=True, lowering=lowering, activation=activation, name=name)


class Residual(nn.Module):
    """Convolutions, each with its norm; the shortcut is added before the last activation.

    Channel attention comes before the sum, where the architecture has it.

    Attributes:
      width: channels of the stage, before a bottleneck's expansion.
      shortcut: `identity`, or the architecture's.
      lowering: a row of `conv.LOWERINGS`, or `auto`.
    """

    architecture: ResNetRow
    width: int
    stride: int
    shortcut: str
    lowering: str

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        attention = self.architecture.attention
        branch, layers = images, _convolutions(self.architecture, self.width, self.stride)
        for i, layer in enumerate(layers[:-1], 1):
            branch = layer(lowering=self.lowering, name=f'conv{i}')(branch)
            branch = batch_norm(self.lowering, relu=True, name=f'bn{i}')(branch, train)
        last = len(layers)
        branch = layers[-1](lowering=self.lowering, name=f'conv{last}')(branch)
        skip = self._skip(images, branch.shape[-1], train)
        norm = batch_norm(self.lowering, relu=not attention, name=f'bn{last}')
        if not attention:
            return norm(branch, train, skip)
        return nn.relu(Attention(attention, name='se')(norm(branch, train)) + skip)

    def _skip(self, images: jax.Array, features: int, train: bool) -> jax.Array:
        """Images in the shape of the branch; the layers have timm's numbers."""
        if self.shortcut == 'identity':
            return images
        if self.shortcut == 'pad':
            new = (features - images.shape[-1]) // 2
            images = images[:, :: self.stride, :: self.stride]
            return jnp.pad(images, ((0, 0), (0, 0), (0, 0), (new, new)))
        first, stride = 0, self.stride
        if self.shortcut == 'average':
            first, stride = 1, 1
            images = images if self.stride == 1 else downsample(images)
        layer = conv_layer(features, 1, stride, lowering=self.lowering, name=f'downsample_{first}')
        return batch_norm(self.lowering, name=f'downsample_{first + 1}')(layer(images), train)


class Preactivation(nn.Module):
    """Norm and activation before each convolution; nothing after the sum (He et al. 2016b).

    Gluon's `BottleneckV2`. Attributes as in `Residual`.
    """

    architecture: ResNetRow
    width: int
    stride: int
    shortcut: str
    lowering: str

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        first = branch = batch_norm(self.lowering, relu=True, name='bn1')(images, train)
        for i, layer in enumerate(_convolutions(self.architecture, self.width, self.stride), 1):
            if i > 1:
                branch = batch_norm(self.lowering, relu=True, name=f'bn{i}')(branch, train)
            branch = layer(lowering=self.lowering, name=f'conv{i}')(branch)
        if self.shortcut != 'identity':
            features = branch.shape[-1]
            images = conv_layer(
                features, 1, self.stride, lowering=self.lowering, name='downsample_0'
            )(first)
        return branch + images


def _convolutions(architecture: ResNetRow, width: int, stride: int) -> list[Callable[..., Conv]]:
    """Convolutions of a block, without lowering and name; the first 3 x 3 has the stride."""
    if architecture.block == 'basic':
        return [partial(conv_layer, width, 3, stride), partial(conv_layer, width)]
    inner = width * architecture.base_width // 64 * architecture.groups
    spatial = partial(conv_layer, inner, 3, stride, groups=architecture.groups)
    last = partial(conv_layer, width * architecture.expansion, 1)
    return [partial(conv_layer, inner, 1), spatial, last]


def downsample(images: jax.Array) -> jax.Array:
    """Mean of each 2 x 2 window; windows at an odd edge are smaller.

    Args:
      images: float [batch, height, width, channel].

    Returns:
      float [batch, ceil(height / 2), ceil(width / 2), channel].
    """
    batch, height, width, channels = images.shape
    rows, columns = -(-height // 2), -(-width // 2)
    padded = jnp.pad(images, ((0, 0), (0, 2 * rows - height), (0, 2 * columns - width), (0, 0)))
    sums = padded.reshape(batch, rows, 2, columns, 2, channels).sum((2, 4))
    down, right = (np.minimum(2, side - np.arange(0, side, 2)) for side in (height, width))
    return sums / jnp.asarray(np.outer(down, right), images.dtype)[None, :, :, None]


def max_pool(images: jax.Array, lowering: str = 'auto') -> jax.Array:
    """Maximum of 3 x 3 windows with stride 2, padded by 1 with -inf.

    Args:
      images: float [batch, height, width, channel].
      lowering: `auto` or `onednn`: the native operation where it is built; else XLA.

    Returns:
      float [batch, ceil(height / 2), ceil(width / 2), channel].
    """
    if is_native(images, lowering):
        return max_pool_native(images)
    padding = ((0, 0), (1, 1), (1, 1), (0, 0))
    return lax.reduce_window(images, -np.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), padding)


BLOCKS: dict[str, type[Residual | Preactivation]] = {
    'basic': Residual,
    'bottleneck': Residual,
    'preactivation': Preactivation,
}
