"""Rows of the ConvNeXts and ConvNeXt V2: one per architecture.

Sources: Liu et al. 2022, "A ConvNet for the 2020s"; Woo et al. 2023, "ConvNeXt V2: co-designing and
scaling ConvNets with masked autoencoders". Names, sizes and preprocessing are timm's.
"""

from dataclasses import dataclass
from typing import ClassVar

from jaxdl.models.network import FineTuneSizes, smaller_sizes
from jaxdl.workdir.records import Preprocessing

PATCH, SIDE, RATIO = 4, 7, 4  # side of the stem's kernel, of the others; inner channels over outer


@dataclass(frozen=True)
class ConvNeXtRow:
    """A network of ConvNeXt blocks.

    Attributes:
      stages: number of blocks in each stage.
      widths: channels of each stage.
      response: whether global response normalisation is inside of a block (V2); otherwise a factor
        per channel (layer scale) ends it (V1).
      convolutions: whether the file holds the dense layers of a block as 1 x 1 convolutions.
    """

    family: ClassVar[str] = 'convnext'
    names: ClassVar[str] = 'timm'
    head: ClassVar[str] = 'head.fc'
    first_convolution: ClassVar[str] = 'conv1'
    truncated: ClassVar[bool] = False
    multiple: ClassVar[int] = 1
    smallest: ClassVar[int] = 32  # of which one pixel remains
    pooling: ClassVar[str] = 'avg'
    scalable: ClassVar[bool] = True  # the features are those of the last norm

    name: str
    stages: tuple[int, ...]
    widths: tuple[int, ...]
    response: bool
    convolutions: bool
    preprocessing: Preprocessing

    @property
    def finetune_sizes(self) -> FineTuneSizes:
        """Smaller than in the pretraining."""
        return smaller_sizes(self.preprocessing.size)

    @property
    def features(self) -> int:
        """Channels of the last feature map, and of the norm behind its mean."""
        return self.widths[-1]

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Stem, stages and last norm."""
        return ('stem', *(f'layer{i + 1}' for i in range(len(self.stages))), 'norm')

    @property
    def meaning(self) -> str:
        """The row in words."""
        end = 'global response normalisation' if self.response else 'layer scale'
        kind = '1 x 1 convolutions' if self.convolutions else 'dense layers'
        return f'`stages={self.stages}`, `widths={self.widths}`; {end}, {kind}'


# size -> blocks and channels per stage, whether dense layers are 1 x 1 convolutions.
_SIZES = {
    'atto': ((2, 2, 6, 2), 40, True),
    'femto': ((2, 2, 6, 2), 48, True),
    'pico': ((2, 2, 6, 2), 64, True),
    'nano': ((2, 2, 8, 2), 80, True),
    'tiny': ((3, 3, 9, 3), 96, False),
    'small': ((3, 3, 27, 3), 96, False),
    'base': ((3, 3, 27, 3), 128, False),
}
_LARGE_CROPS = ('convnext_nano', 'convnext_tiny', 'convnext_small')


def _row(size: str, version: int) -> ConvNeXtRow:
    stages, width, convolutions = _SIZES[size]
    name = f'convnext{"v2" if version == 2 else ""}_{size}'
    crop = 0.95 if name in _LARGE_CROPS else 0.875
    widths = tuple(width * 2**i for i in range(4))
    prepared = Preprocessing(crop=crop, interpolation='bicubic')
    return ConvNeXtRow(name, stages, widths, version == 2, convolutions, prepared)


ROWS = tuple(_row(size, version) for version in (1, 2) for size in _SIZES)
