"""ConvNeXts: one module for every row of `convnext_rows`.

No layer has running statistics, so that training and evaluation compute the same up to the head.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.nn import initializers

from jaxdl.models.attention import Parameters
from jaxdl.models.conv import conv_large
from jaxdl.models.convnext_rows import PATCH, RATIO, SIDE, ConvNeXtRow
from jaxdl.models.depthwise import depthwise
from jaxdl.models.network import Network, Training, apply_layers, check_size
from jaxdl.models.norm import LayerNorm, to_float32


class ConvNeXt(Network):
    """Stem `conv1`, `norm1`, blocks `layer1_0`, ..., mean over the map, `norm`, `head`.

    The feature map has a 32nd of the rows and columns of the images: a quarter after the stem, then
    half at the first block of each further stage, rounded down each time.
    """

    def setup(self) -> None:
        row = self.architecture
        self.conv1, self.norm1 = Patches(row.widths[0], PATCH, self.lowering), LayerNorm()
        block = nn.remat(Block) if self.remat else Block
        for number, blocks in enumerate(row.stages, 1):
            downsampled = [row.widths[number - 1] if number > 1 else 0, *[0] * (blocks - 1)]
            layers = [block(row, width, self.lowering) for width in downsampled]
            setattr(self, f'layer{number}', layers)
        self.norm = LayerNorm()
        self.setup_head()

    def feature_map(self, images: jax.Array, train: Training = False) -> jax.Array:
        """As `Network.feature_map`; `train` is unused.

        Raises:
          InputError: a side has fewer than 32 pixels.
        """
        check_size(self.architecture, images.shape[1:3])
        images = self.norm1(self.conv1(images))
        for number in range(1, len(self.architecture.stages) + 1):
            images = apply_layers(getattr(self, f'layer{number}'), images, False, ())
        return images

    def pool(self, feature_map: jax.Array) -> jax.Array:
        """The norm of the mean over a feature map [batch, rows, columns, features]."""
        return self.norm(super().pool(feature_map))


class Block(nn.Module):
    """A depthwise convolution, a norm and two dense layers, added to the input.

    Attributes:
      row: of the network.
      downsampled: channels after a norm and a convolution of stride 2 that come first; 0: neither.
      lowering: a row of `conv.LOWERINGS`, or `auto`.
    """

    row: ConvNeXtRow
    downsampled: int
    lowering: str

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        if self.downsampled:
            images = LayerNorm(name='downsample_0')(images)
            images = Patches(self.downsampled, 2, self.lowering, name='downsample_1')(images)
        width, kind = images.shape[-1], images.dtype
        layer = _cast(Parameters((SIDE, SIDE, 1, width), True, name='conv1')(), kind)
        branch = depthwise(images, layer['kernel'], lowering=self.lowering)
        branch = LayerNorm(name='norm')(branch + layer['bias'][None, None, None])
        branch = nn.gelu(self._dense(branch, RATIO * width, 'fc1'), approximate=False)
        branch = ResponseNorm(name='grn')(branch) if self.row.response else branch
        branch = self._dense(branch, width, 'fc2')
        if not self.row.response:
            gamma = self.param('gamma', initializers.constant(1e-6), (width,))
            branch = branch * gamma.astype(kind)[None, None, None]
        return images + branch

    def _dense(self, images: jax.Array, width: int, name: str) -> jax.Array:
        shape = (images.shape[-1], width)
        shape = (1, 1, *shape) if self.row.convolutions else shape
        layer = _cast(Parameters(shape, True, name=name)(), images.dtype)
        return images @ layer['kernel'].reshape(shape[-2:]) + layer['bias'][None, None, None]


class Patches(nn.Module):
    """A convolution whose stride is its side, without padding; pixels left over are not read."""

    width: int
    side: int
    lowering: str

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        shape = (self.side, self.side, images.shape[-1], self.width)
        kernel = self.param('kernel', initializers.lecun_normal(), shape).astype(images.dtype)
        bias = self.param('bias', initializers.zeros, (self.width,)).astype(images.dtype)
        outputs = conv_large(images, kernel, self.side, 0, self.lowering)
        return outputs + bias[None, None, None]


class ResponseNorm(nn.Module):
    """Global response normalisation: each channel by its norm over the norms' mean (Woo et al.)."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        scale, bias = (
            self.param(name, initializers.zeros, images.shape[-1:])[None, None, None]
            for name in ('scale', 'bias')
        )
        values = to_float32(images)
        squares = lax.square(values).sum((1, 2), keepdims=True)
        # The derivative of the root is infinite at 0, where a channel is 0 everywhere.
        norms = jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)
        response = norms / (norms.mean(-1, keepdims=True) + 1e-6)
        return (values + scale * values * response + bias).astype(images.dtype)


def fold(module: Network, params: Mapping[str, Any], stats: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters: there are no batch norms to fold."""
    return dict(params)


def feature_map(module: Network, weights: Mapping[str, Any], images: jax.Array) -> jax.Array:
    """Last feature map."""
    return jnp.asarray(module.apply({'params': weights}, images, method='feature_map'))


def _cast(layer: Mapping[str, jax.Array], kind: Any) -> dict[str, jax.Array]:
    """Kernel and bias in the type of the images."""
    return {name: value.astype(kind) for name, value in layer.items()}
