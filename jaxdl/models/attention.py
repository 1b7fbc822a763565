"""Channel attention: each channel of an image times a gate, a function of all channels' means.

Hu et al. 2018, "Squeeze-and-excitation networks"; Wang et al. 2020, "ECA-Net: efficient channel
attention for deep convolutional neural networks". Numbers and names are timm's.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

Layers = Mapping[str, Mapping[str, jax.Array]]


def squeeze_excite(
    layers: Layers,
    images: jax.Array,
    activation: Callable[[jax.Array], jax.Array] = nn.relu,
    gate: Callable[[jax.Array], jax.Array] = nn.sigmoid,
) -> jax.Array:
    """Two dense layers with an activation between them, then a gate (`se`).

    Args:
      layers: `fc1` and `fc2`, as convolutions of 1 x 1.
      images: float [batch, height, width, channel].
      activation: of the first layer.
      gate: of the second layer.

    Returns:
      The images times the gates.
    """
    values = images.mean((1, 2))
    for name, function in (('fc1', activation), ('fc2', gate)):
        kernel, bias = (layers[name][leaf].astype(values.dtype) for leaf in ('kernel', 'bias'))
        values = function(values @ kernel[0, 0] + bias[None])
    return images * values[:, None, None]


def efficient(layers: Layers, images: jax.Array) -> jax.Array:
    """A convolution over neighbouring channels, then a sigmoid (`eca`).

    Args:
      layers: `conv`, a kernel [side, 1, 1].
      images: float [batch, height, width, channel].

    Returns:
      The images times the gates.
    """
    means, kernel = images.mean((1, 2)), layers['conv']['kernel'][:, 0, 0].astype(images.dtype)
    channels, side = means.shape[-1], len(kernel)
    padded = jnp.pad(means, ((0, 0), (side // 2, side // 2)))
    sums = sum(kernel[i] * padded[:, i : i + channels] for i in range(side))
    return images * nn.sigmoid(jnp.asarray(sums))[:, None, None]


# name -> function of parameters by layer and of images.
ATTENTIONS: dict[str, Callable[[Layers, jax.Array], jax.Array]] = {
    'se': squeeze_excite,
    'eca': efficient,
}


class Attention(nn.Module):
    """A row of ATTENTIONS with its parameters."""

    kind: str

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        shapes = _shapes(self.kind, images.shape[-1])
        layers = {name: Parameters(*shape, name=name)() for name, shape in shapes.items()}
        return ATTENTIONS[self.kind](layers, images)


class Parameters(nn.Module):
    """Kernel and bias of a layer that is computed by a function.

    Attributes:
      shape: of the kernel; its last axis is that of the outputs.
      bias: whether there is one.
    """

    shape: tuple[int, ...]
    bias: bool

    @nn.compact
    def __call__(self) -> dict[str, jax.Array]:
        parameters = dict(kernel=self.param('kernel', nn.initializers.lecun_normal(), self.shape))
        if self.bias:
            parameters['bias'] = self.param('bias', nn.initializers.zeros, self.shape[-1:])
        return parameters


def _shapes(kind: str, channels: int) -> dict[str, tuple[tuple[int, ...], bool]]:
    """Shape of each kernel, and whether it has a bias."""
    if kind == 'se':
        inner = max(8, (channels + 64) // 128 * 8)  # a sixteenth, to the nearest multiple of 8
        return dict(fc1=((1, 1, channels, inner), True), fc2=((1, 1, inner, channels), True))
    side = int((np.log2(channels) + 1) / 2) // 2 * 2 + 1  # odd, at least 3 from 32 channels on
    return dict(conv=((side, 1, 1), False))
