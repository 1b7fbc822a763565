"""The parts of a residual network, as PyTorch defines them: padding written out.

The running variance unbiased.

They compute in the type of the images, so that bfloat16 images make a bfloat16 network with float32
parameters; batch statistics are float32 always.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax
from jax.nn import initializers

from jaxdl import native
from jaxdl.models.architectures import Architecture
from jaxdl.models.conv import conv, large
from jaxdl.models.norm import normed, pooled, served

MOMENTUM, EPSILON = 0.9, 1e-5  # PyTorch writes this momentum as 0.1


class Conv(nn.Module):
    """A convolution without bias, padded by half its side: [batch, height, width, channel] -> [....

    Features].
    """

    features: int
    side: int = 3
    stride: int = 1
    groups: int = 1
    lowering: str = 'auto'

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        shape = (self.side, self.side, images.shape[-1] // self.groups, self.features)
        kernel = self.param('kernel', initializers.he_normal(), shape).astype(images.dtype)
        return convolved(images, kernel, self.stride, self.side // 2, self.lowering)


def convolved(
    images: jax.Array, kernel: jax.Array, stride: int, padding: int, lowering: str = 'auto'
) -> jax.Array:
    """As `conv`, in groups where the kernel has fewer channels than the images.

    `auto` as is best in these networks.
    """
    if kernel.shape[2] == images.shape[-1]:
        lowering = _lowering(lowering, images.dtype)
        by = large if lowering == 'onednn' else partial(conv, lowering=lowering)
        return by(images, kernel, stride, padding)
    sides, axes = [(padding, padding)] * 2, ('NHWC', 'HWIO', 'NHWC')
    groups = images.shape[-1] // kernel.shape[2]
    return lax.conv_general_dilated(
        images, kernel, (stride,) * 2, sides, dimension_numbers=axes, feature_group_count=groups
    )


def _lowering(asked: str, dtype: jnp.dtype) -> str:
    """One at a time and outside a scan XLA's own convolution is never slower than patches.

    Unlike in the ablations.
    """
    if asked != 'auto':
        return asked
    return 'onednn' if dtype == jnp.float32 and not native.missing() else 'grouped'


class BatchNorm(nn.Module):
    """Over batch, height and width; in training the statistics are the batch's.

    And the running ones move along.

    The batch is normed with its biased variance and the running one takes the unbiased, as in
    PyTorch; flax's own norm has the biased for both. `skip` is added to the result, before the ReLU
    where there is one.
    """

    lowering: str = 'auto'
    relu: bool = False

    @nn.compact
    def __call__(self, images: jax.Array, train: bool, skip: jax.Array | None = None) -> jax.Array:
        scale, bias, kept = self._parts(images.shape[-1:])
        fast = served(images, self.lowering)
        if fast and train:
            settings = dict(norm=1, relu=int(self.relu), epsilon=EPSILON)
            out, *found = normed(images, scale, bias, skip, **settings)
            self._move(kept, found, images.size)
            return out
        found = moments(images) if train else [each.value for each in kept]
        if train:
            self._move(kept, found, images.size)
        slant = scale * lax.rsqrt(found[1] + EPSILON)
        base = bias - found[0] * slant
        if fast:
            return normed(images, slant, base, skip, norm=0, relu=int(self.relu), epsilon=EPSILON)[
                0
            ]
        out = (images * _row(slant) + _row(base)).astype(images.dtype)
        out = out if skip is None else out + skip
        return nn.relu(out) if self.relu else out

    def _parts(self, shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array, list[Any]]:
        """Scale and bias, and the variables of the running mean and variance."""
        scale = self.param('scale', initializers.ones, shape)
        bias = self.param('bias', initializers.zeros, shape)
        kept = [
            self.variable('batch_stats', k, f, shape)
            for k, f in (('mean', jnp.zeros), ('var', jnp.ones))
        ]
        return scale, bias, kept

    def _move(self, kept: Sequence[Any], found: Sequence[jax.Array], size: int) -> None:
        """Brings the running statistics nearer to those of a batch of so many values.

        But not to initialise.
        """
        if self.is_initializing():
            return
        mean, variance = found
        count = size // mean.size
        for each, new in zip(kept, (mean, variance * (count / max(count - 1, 1))), strict=True):
            each.value = MOMENTUM * each.value + (1 - MOMENTUM) * new


def moments(images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and biased variance [channel] over all other axes, in one pass over the images."""
    wide = widened(images)
    mean = wide.mean((0, 1, 2))
    return mean, jnp.maximum(jnp.square(wide).mean((0, 1, 2)) - jnp.square(mean), 0)


def widened(images: jax.Array) -> jax.Array:
    """The images in float32 at least."""
    return images.astype(jnp.promote_types(images.dtype, jnp.float32))


def _row(values: jax.Array) -> jax.Array:
    return values[None, None, None]


class Residual(nn.Module):
    """Convolutions, each with its norm; the shortcut is added before the last activation."""

    architecture: Architecture
    width: int
    stride: int
    shortcut: str  # identity, or one of the architecture's
    lowering: str

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        branch, convolutions = images, _convolutions(self.architecture, self.width, self.stride)
        skip = None
        for i, convolution in enumerate(convolutions, 1):
            branch = convolution(lowering=self.lowering, name=f'conv{i}')(branch)
            if i == len(convolutions):
                skip = self._skip(images, branch.shape[-1], train)
            branch = BatchNorm(self.lowering, relu=True, name=f'bn{i}')(branch, train, skip)
        return branch

    def _skip(self, images: jax.Array, features: int, train: bool) -> jax.Array:
        """The images in the shape of the branch.

        The layers have the numbers that they have in timm.
        """
        if self.shortcut == 'identity':
            return images
        if self.shortcut == 'pad':
            new = (features - images.shape[-1]) // 2
            return jnp.pad(
                images[:, :: self.stride, :: self.stride], ((0, 0), (0, 0), (0, 0), (new, new))
            )
        first, stride = 0, self.stride
        if self.shortcut == 'average':
            first, stride = 1, 1
            images = images if self.stride == 1 else halved(images)
        images = Conv(features, 1, stride, lowering=self.lowering, name=f'downsample_{first}')(
            images
        )
        return BatchNorm(self.lowering, name=f'downsample_{first + 1}')(images, train)


class Preactivation(nn.Module):
    """Norm and activation before each convolution; nothing after the sum (He et al. 2016b).

    Gluon's `BottleneckV2`.
    """

    architecture: Architecture
    width: int
    stride: int
    shortcut: str
    lowering: str

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        first = branch = BatchNorm(self.lowering, relu=True, name='bn1')(images, train)
        for i, convolution in enumerate(
            _convolutions(self.architecture, self.width, self.stride), 1
        ):
            if i > 1:
                branch = BatchNorm(self.lowering, relu=True, name=f'bn{i}')(branch, train)
            branch = convolution(lowering=self.lowering, name=f'conv{i}')(branch)
        if self.shortcut != 'identity':
            images = Conv(
                branch.shape[-1], 1, self.stride, lowering=self.lowering, name='downsample_0'
            )(first)
        return branch + images


def _convolutions(architecture: Architecture, width: int, stride: int) -> list[Callable[..., Conv]]:
    """A block's convolutions, in order, but for lowering and name.

    The stride is on the first 3 x 3 one.
    """
    if architecture.block == 'basic':
        return [partial(Conv, width, 3, stride), partial(Conv, width)]
    inner = width * architecture.base_width // 64 * architecture.groups
    spatial = partial(Conv, inner, 3, stride, architecture.groups)
    return [partial(Conv, inner, 1), spatial, partial(Conv, width * architecture.expansion, 1)]


def halved(images: jax.Array) -> jax.Array:
    """The mean of each 2 x 2 window; a last odd row or column is its own: [batch, ceil(height / 2).

    ...].
    """
    batch, height, width, channels = images.shape
    rows, columns = -(-height // 2), -(-width // 2)
    padded = jnp.pad(images, ((0, 0), (0, 2 * rows - height), (0, 2 * columns - width), (0, 0)))
    sums = padded.reshape(batch, rows, 2, columns, 2, channels).sum((2, 4))
    down, right = (np.minimum(2, side - np.arange(0, side, 2)) for side in (height, width))
    return sums / jnp.asarray(np.outer(down, right), images.dtype)[None, :, :, None]


def max_pooled(images: jax.Array, lowering: str = 'auto') -> jax.Array:
    """The maximum of windows of 3 x 3 moved by 2.

    The border padded by 1 with what is less than all.
    """
    if served(images, lowering):
        return pooled(images)
    least = -np.inf
    padding = ((0, 0), (1, 1), (1, 1), (0, 0))
    return lax.reduce_window(images, least, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), padding)


BLOCKS: dict[str, type[Residual | Preactivation]] = {
    'basic': Residual,
    'bottleneck': Residual,
    'preactivation': Preactivation,
}
