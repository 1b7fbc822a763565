"""Vision transformers: one module for every row of `vit_rows`.

Blocks normalise before attention and before the dense layers, and add both branches. The feature
map is that before the last block: after it, the class token alone reaches the head, and no gradient
would lead to the patches.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.image import resize
from jax.nn import initializers

from jaxdl.models.network import Network, Training, check_size
from jaxdl.models.norm import LayerNorm, to_float32
from jaxdl.models.vit_rows import ViTRow

RATIO = 4  # width inside of the dense layers of a block, over the width of the tokens
NORMAL = initializers.normal(0.02)


class Tokens(NamedTuple):
    """The feature map of a vision transformer.

    Attributes:
      patches: float [batch, rows, columns, width].
      others: float [batch, tokens, width]: the class token and registers.
    """

    patches: jax.Array
    others: jax.Array


class ViT(Network):
    """Patches `conv1`, tokens `embed`, blocks `layer1_0`, ..., `norm`, `head`.

    A stage `layer1`, ... is a quarter of the blocks. `global_pool` is there with attention pooling.
    There are no batch norms, so that training and evaluation compute the same up to the head.
    """

    def setup(self) -> None:
        row = self.architecture
        self.conv1, self.embed = Patches(row.patch, row.width), Embeddings(row)
        block = nn.remat(Block) if self.remat else Block
        for number, blocks in enumerate(row.stages, 1):
            layers = [block(row.heads, row.layer_scale) for _ in range(blocks)]
            setattr(self, f'layer{number}', layers)
        self.norm = LayerNorm()
        if row.pooling == 'map':
            self.global_pool = AttentionPool(row.heads)
        self.setup_head()

    def feature_map(self, images: jax.Array, train: Training = False) -> Tokens:
        """Tokens before the last block.

        Args:
          images: float [batch, height, width, channel], normalised; both sides are multiples of
            the patch.
          train: unused, as no layer has statistics.

        Raises:
          InputError: a side is no multiple of the patch.
        """
        check_size(self.architecture, images.shape[1:3])
        patches = self.conv1(images)
        tokens, shape = self.embed(patches), patches.shape
        for block in self._blocks()[:-1]:
            tokens = block(tokens)
        count = shape[1] * shape[2]
        return Tokens(tokens[:, -count:].reshape(shape), tokens[:, :-count])

    def pool(self, feature_map: Tokens) -> jax.Array:
        """Features, float32 [batch, width]: the class token after the last block and norm."""
        patches, others = feature_map
        flat = patches.reshape(patches.shape[0], -1, patches.shape[-1])
        tokens = self.norm(self._blocks()[-1](jnp.concatenate([others, flat], 1)))
        pooled = self.global_pool(tokens) if self.architecture.pooling == 'map' else tokens[:, 0]
        return to_float32(pooled)

    def _blocks(self) -> list[Any]:
        numbers = range(1, len(self.architecture.stages) + 1)
        return [block for number in numbers for block in getattr(self, f'layer{number}')]


class Patches(nn.Module):
    """A linear map of each patch: a convolution whose stride is its side.

    It is computed as a product of matrices, which XLA does much faster on a CPU.
    """

    side: int
    width: int

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        batch, height, width, channels = images.shape
        side, rows, columns = self.side, height // self.side, width // self.side
        kernel = self.param('kernel', NORMAL, (side, side, channels, self.width))
        bias = self.param('bias', initializers.zeros, (self.width,))
        patches = images.reshape(batch, rows, side, columns, side, channels)
        patches = patches.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows, columns, -1)
        matrix = kernel.astype(images.dtype).reshape(-1, self.width)
        return patches @ matrix + bias.astype(images.dtype)[None, None, None]


class Embeddings(nn.Module):
    """Class token, registers, patches: one sequence, with learned positions added.

    Its parameters have the shapes of the file: [1, tokens, width].
    """

    row: ViTRow

    @nn.compact
    def __call__(self, patches: jax.Array) -> jax.Array:
        """Tokens [batch, tokens, width] of patches [batch, rows, columns, width]."""
        row, (batch, rows, columns, width) = self.row, patches.shape
        positions = self.param('position', NORMAL, (1, row.positions, width))
        sizes = dict(token=row.class_tokens, registers=row.registers)
        others = [
            self.param(name, NORMAL, (1, size, width)) for name, size in sizes.items() if size
        ]
        before = row.positions - row.grid**2
        positions = resample_positions(positions, before, row.grid, (rows, columns))
        zeros = jnp.zeros((1, sum(sizes.values()) - before, width), positions.dtype)
        positions = jnp.concatenate([positions[:, :before], zeros, positions[:, before:]], 1)
        others = [
            jnp.broadcast_to(token.astype(patches.dtype), (batch, *token.shape[1:]))
            for token in others
        ]
        tokens = jnp.concatenate([*others, patches.reshape(batch, -1, width)], 1)
        return tokens + positions.astype(patches.dtype)


class Block(nn.Module):
    """Attention and dense layers, each with its norm before it and a skip connection."""

    heads: int
    layer_scale: bool

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        scale = lambda branch, name: Scale(name=name)(branch) if self.layer_scale else branch
        branch = Attention(self.heads, name='attn')(LayerNorm(name='norm1')(tokens))
        tokens = tokens + scale(branch, 'ls1')
        branch = Dense(name='mlp')(LayerNorm(name='norm2')(tokens))
        return tokens + scale(branch, 'ls2')


class Attention(nn.Module):
    """Self-attention of all tokens (Vaswani et al. 2017)."""

    heads: int

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        width = tokens.shape[-1]
        queries, keys, values = jnp.split(dense(tokens, 3 * width, 'qkv'), 3, -1)
        return dense(attend(queries, keys, values, self.heads), width, 'proj')


class AttentionPool(nn.Module):
    """Attention of one learned query over all tokens, then dense layers (Zhai et al. 2022)."""

    heads: int

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        width = tokens.shape[-1]
        latent = self.param('latent', NORMAL, (1, 1, width)).astype(tokens.dtype)
        queries = jnp.broadcast_to(dense(latent, width, 'q'), (tokens.shape[0], 1, width))
        keys, values = jnp.split(dense(tokens, 2 * width, 'kv'), 2, -1)
        pooled = dense(attend(queries, keys, values, self.heads), width, 'proj')
        return (pooled + Dense(name='mlp')(LayerNorm(name='norm')(pooled)))[:, 0]


class Dense(nn.Module):
    """Two dense layers with an exact GELU between them."""

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        width = tokens.shape[-1]
        inner = nn.gelu(dense(tokens, RATIO * width, 'fc1'), approximate=False)
        return dense(inner, width, 'fc2')


class Scale(nn.Module):
    """A factor per channel (Touvron et al. 2021, "Going deeper with image transformers")."""

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        factor = self.param('gamma', initializers.ones, tokens.shape[-1:])
        return tokens * factor.astype(tokens.dtype)[None, None]


def dense(tokens: jax.Array, width: int, name: str) -> jax.Array:
    """A dense layer of the module that calls, in the type of the tokens."""
    layer = nn.Dense(width, dtype=tokens.dtype, kernel_init=NORMAL, name=name)
    return layer(tokens)


def attend(queries: jax.Array, keys: jax.Array, values: jax.Array, heads: int) -> jax.Array:
    """Attention by heads: weighted means of the values.

    Args:
      queries: float [batch, queries, width].
      keys: float [batch, tokens, width].
      values: float [batch, tokens, width].
      heads: number of heads, each of an equal share of the width.

    Returns:
      [batch, queries, width].
    """
    split = lambda tokens: tokens.reshape(*tokens.shape[:2], heads, -1)
    queries, keys, values = map(split, (queries, keys, values))
    scale = keys.shape[-1] ** -0.5
    scores = jnp.einsum('bqhc,bkhc->bhqk', queries * scale, keys)
    weights = jax.nn.softmax(to_float32(scores)).astype(values.dtype)
    means = jnp.einsum('bhqk,bkhc->bqhc', weights, values)
    return means.reshape(*means.shape[:2], -1)


def resample_positions(
    positions: jax.Array | np.ndarray, before: int, grid: int, shape: tuple[int, int]
) -> jax.Array:
    """Interpolate position embeddings for another number of patches.

    Bicubic with antialiasing (Keys 1981, a = -0.5), as timm's `resample_abs_pos_embed`.

    Args:
      positions: float [1, before + grid * grid, width].
      before: embeddings of tokens that are no patches, which stay as they are.
      grid: rows and columns of the embeddings.
      shape: rows and columns that are needed.

    Returns:
      [1, before + rows * columns, width].
    """
    if shape == (grid, grid):
        return jnp.asarray(positions)
    width = positions.shape[-1]
    first, sizes = positions[:, before:].reshape(1, grid, grid, width), (1, *shape, width)
    if isinstance(positions, np.ndarray):
        # Constants are resized once, outside the program: ONNX has no such filter.
        with jax.ensure_compile_time_eval():
            resized = np.asarray(resize(first, sizes, 'cubic', antialias=True))
        constant = np.concatenate([positions[:, :before], resized.reshape(1, -1, width)], 1)
        return jnp.asarray(constant)
    patches = resize(to_float32(jnp.asarray(first)), sizes, 'cubic', antialias=True)
    patches = patches.reshape(1, -1, width).astype(positions.dtype)
    return jnp.concatenate([positions[:, :before], patches], 1)


def fold(module: Network, params: Mapping[str, Any], stats: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters: there are no batch norms to fold."""
    return dict(params)


def feature_map(module: Network, weights: Mapping[str, Any], images: jax.Array) -> Tokens:
    """Tokens before the last block."""
    outputs: Any = module.apply({'params': weights}, images, method='feature_map')
    return outputs
