"""Rows of the vision transformers: one per architecture.

Sources: Dosovitskiy et al. 2021, "An image is worth 16x16 words"; Steiner et al. 2022, "How to
train your ViT?" (AugReg); Touvron et al. 2021 (DeiT) and 2022, "DeiT III: revenge of the ViT";
Oquab et al. 2024, "DINOv2"; Darcet et al. 2024, "Vision transformers need registers"; Zhai et al.
2023, "Sigmoid loss for language image pre-training" (SigLIP). Names and sizes are timm's.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from jaxdl.models.network import FineTuneSizes
from jaxdl.workdir.records import Preprocessing

HALF = (0.5, 0.5, 0.5)  # mean and standard deviation of the images of some rows
STAGES = 4  # into which the blocks are divided, for freezing


@dataclass(frozen=True)
class ViTRow:
    """A vision transformer.

    Attributes:
      patch: side of a patch in pixels.
      width: numbers per token.
      heads: of each attention.
      depth: number of blocks.
      layer_scale: whether each branch is multiplied by a factor per channel.
      registers: number of further tokens, which no head reads.
      embeds_class: whether the class token has a position embedding.
      pooling: `token`: the class token. `map`: attention of one query over all patches.
    """

    family: ClassVar[str] = 'vit'
    names: ClassVar[str] = 'timm'
    head: ClassVar[str] = 'head'
    first_convolution: ClassVar[str] = 'conv1'
    truncated: ClassVar[bool] = False
    smallest: ClassVar[int] = 1

    name: str
    patch: int
    width: int
    heads: int
    preprocessing: Preprocessing
    depth: int = 12
    layer_scale: bool = False
    registers: int = 0
    embeds_class: bool = True
    pooling: str = 'token'

    @property
    def finetune_sizes(self) -> FineTuneSizes:
        """224 px, at which the position embeddings of most rows are unchanged."""
        side = min(224, self.preprocessing.size)
        return FineTuneSizes(side, side)

    @property
    def features(self) -> int:
        """Number of pooled features."""
        return self.width

    @property
    def multiple(self) -> int:
        """Pixels that each side of the images is a multiple of."""
        return self.patch

    @property
    def grid(self) -> int:
        """Number of position embeddings per row and per column."""
        return self.preprocessing.size // self.patch

    @property
    def class_tokens(self) -> int:
        """1 where there is a class token, otherwise 0."""
        return int(self.pooling == 'token')

    @property
    def positions(self) -> int:
        """Number of position embeddings."""
        return self.grid**2 + (self.class_tokens if self.embeds_class else 0)

    @property
    def stages(self) -> tuple[int, ...]:
        """Blocks of each stage: a quarter, where there are four or more."""
        count = min(STAGES, self.depth)
        ends = [self.depth * (i + 1) // count for i in range(count)]
        return tuple(end - start for start, end in zip([0, *ends], ends, strict=False))

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Patches and tokens as the stem, quarters of the blocks, the last norm."""
        return ('stem', *(f'layer{i + 1}' for i in range(len(self.stages))), 'norm')

    @property
    def scalable(self) -> bool:
        """Whether the features come from the last norm, and not from attention after it."""
        return self.pooling == 'token'

    @property
    def meaning(self) -> str:
        """The row in words."""
        options = [
            'layer scale' if self.layer_scale else '',
            f'{self.registers} registers' if self.registers else '',
            'attention pooling' if self.pooling == 'map' else '',
            'no position of the class token' if not self.embeds_class else '',
        ]
        return ', '.join(
            [
                f'patch {self.patch}',
                f'width {self.width}',
                f'{self.depth} blocks',
                f'{self.heads} heads',
                *filter(None, options),
                f'positions {self.grid} x {self.grid}',
            ]
        )


_HALF = Preprocessing(HALF, HALF, 224, 0.9, 'bicubic')
_IMAGENET = Preprocessing(size=224, crop=0.9, interpolation='bicubic')
_LARGE = Preprocessing(size=518, crop=1.0, interpolation='bicubic')
_WIDTHS = dict(tiny=(192, 3), small=(384, 6), base=(768, 12))  # width and heads


def _augreg(size: str) -> ViTRow:
    return ViTRow(f'vit_{size}_patch16_224', 16, *_WIDTHS[size], _HALF)


def _deit(size: str) -> ViTRow:
    return ViTRow(f'deit_{size}_patch16_224', 16, *_WIDTHS[size], _IMAGENET)


def _deit3(size: str) -> ViTRow:
    row = replace(_deit(size), name=f'deit3_{size}_patch16_224')
    return replace(row, layer_scale=True, embeds_class=False)


def _dinov2(size: str) -> ViTRow:
    return ViTRow(f'vit_{size}_patch14_dinov2', 14, *_WIDTHS[size], _LARGE, layer_scale=True)


def _with_registers(row: ViTRow) -> ViTRow:
    name = row.name.replace('_dinov2', '_reg4_dinov2')
    return replace(row, name=name, registers=4, embeds_class=False)


def _at_384(row: ViTRow) -> ViTRow:
    prepared = replace(row.preprocessing, size=384, crop=1.0)
    return replace(row, name=row.name.replace('_224', '_384'), preprocessing=prepared)


ROWS = (
    *map(_augreg, _WIDTHS),
    *(_at_384(_augreg(size)) for size in _WIDTHS),
    *map(_deit, _WIDTHS),
    _at_384(_deit('base')),
    *(row(_deit3(size)) for row in (replace, _at_384) for size in ('small', 'base')),
    *map(_dinov2, ('small', 'base')),
    *(_with_registers(_dinov2(size)) for size in ('small', 'base')),
    ViTRow('vit_base_patch16_siglip_224', 16, *_WIDTHS['base'], _HALF, pooling='map'),
)
