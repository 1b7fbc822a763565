"""Rows of the residual networks: one per architecture.

Sources: He et al. 2016a, "Deep residual learning for image recognition" (basic and bottleneck
blocks; the CIFAR networks with option-A shortcuts), with the stride on the 3 x 3 convolution as in
torchvision ("v1.5"); He et al. 2016b, "Identity mappings in deep residual networks"
(pre-activation); He et al. 2019, "Bag of tricks for image classification" (the D stem and
shortcut); Zagoruyko and Komodakis 2016, "Wide residual networks"; Xie et al. 2017 (ResNeXt); Hu et
al. 2018, "Squeeze-and-excitation networks"; Wang et al. 2020 (ECA-Net). The tiered stem is timm's.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from jaxdl.models.network import FineTuneSizes
from jaxdl.models.resnet_names import HEADS
from jaxdl.workdir.records import Preprocessing


@dataclass(frozen=True)
class ResNetRow:
    """A residual network; the fields that name an option say which are there."""

    family: ClassVar[str] = 'resnet'
    multiple: ClassVar[int] = 1
    smallest: ClassVar[int] = 1
    pooling: ClassVar[str] = 'avg'
    name: str
    block: str  # basic, bottleneck, preactivation
    stages: tuple[int, ...]  # blocks in each
    widths: tuple[int, ...]  # of each stage, before a bottleneck's expansion by 4
    # imagenet: 7 x 7; deep: three 3 x 3; tiered: the same, the first one narrower; cifar: 3 x 3,
    # no pooling; gluon: a norm, then 7 x 7
    stem: str = 'imagenet'
    # where the shape changes: conv; average: pool, then conv; pad: zeros for new channels
    shortcut: str = 'conv'
    groups: int = 1  # of the 3 x 3 convolution of a bottleneck
    base_width: int = 64  # its channels in a group, where the stage is 64 wide
    # of the channels, at the end of a block: se: two dense layers; eca: a convolution over channels
    attention: str = ''
    names: str = 'timm'  # whose names the tensors have: timm (and torchvision), cifar, gluon
    preprocessing: Preprocessing = Preprocessing()

    @property
    def finetune_sizes(self) -> FineTuneSizes:
        """128 and 160 px, or smaller as in the pretraining."""
        return FineTuneSizes(*(min(side, self.preprocessing.size) for side in (128, 160)))

    @property
    def expansion(self) -> int:
        """Channels that a block gives, over the width of its stage."""
        return 1 if self.block == 'basic' else 4

    @property
    def stem_widths(self) -> tuple[int, ...]:
        """Channels after each convolution of a stem of three but the last."""
        return {'deep': (32, 32), 'tiered': (24, 32)}.get(self.stem, ())

    @property
    def first_convolution(self) -> str:
        """Name of the layer that reads the images."""
        return 'conv1_0' if self.stem_widths else 'conv1'

    @property
    def features(self) -> int:
        """Channels of the last feature map."""
        return self.widths[-1] * self.expansion

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Stem, stages and last norm."""
        return ('stem', *(f'layer{i + 1}' for i in range(len(self.stages))), 'norm')

    @property
    def head(self) -> str:
        """Name of the last layer in a file of weights."""
        return HEADS[self.names]

    @property
    def scalable(self) -> bool:
        """Whether the features come from a last norm and a ReLU."""
        return self.block == 'preactivation'

    @property
    def truncated(self) -> bool:
        """Whether it ends before the last stage, and so has no head of its own."""
        return self.names == 'gluon' and len(self.stages) < 4


def _imagenet(name: str, block: str, stages: tuple[int, ...]) -> ResNetRow:
    return ResNetRow(name, block, stages, (64, 128, 256, 512))


def _cifar(depth: int) -> ResNetRow:
    stages, prepared = ((depth - 2) // 6,) * 3, Preprocessing(size=32, crop=1.0)
    return ResNetRow(
        f'resnet{depth}',
        'basic',
        stages,
        (16, 32, 64),
        'cifar',
        'pad',
        names='cifar',
        preprocessing=prepared,
    )


def _prepare(row: ResNetRow, **changes: object) -> ResNetRow:
    return replace(row, preprocessing=replace(row.preprocessing, **changes))


def _deep(name: str, like: ResNetRow, stem: str = 'deep') -> ResNetRow:
    row = replace(like, name=name, stem=stem, shortcut='average')
    return _prepare(row, interpolation='bicubic')


_EIGHTEEN = _imagenet('resnet18', 'basic', (2, 2, 2, 2))
_TWENTY_SIX = _imagenet('resnet26', 'bottleneck', (2, 2, 2, 2))
_THIRTY_FOUR = _imagenet('resnet34', 'basic', (3, 4, 6, 3))
_FIFTY = _imagenet('resnet50', 'bottleneck', (3, 4, 6, 3))
_HUNDRED = _imagenet('resnet101', 'bottleneck', (3, 4, 23, 3))
_LARGEST = _imagenet('resnet152', 'bottleneck', (3, 8, 36, 3))
_V2 = replace(_FIFTY, name='resnet50_v2', block='preactivation', stem='gluon', names='gluon')
_TIERED = _prepare(_deep('resnet26t', _TWENTY_SIX, 'tiered'), size=256)
ROWS = (
    _EIGHTEEN,
    _prepare(_TWENTY_SIX, interpolation='bicubic'),
    _THIRTY_FOUR,
    _FIFTY,
    _HUNDRED,
    _LARGEST,
    _deep('resnet18d', _EIGHTEEN),
    _deep('resnet26d', _TWENTY_SIX),
    _deep('resnet34d', _THIRTY_FOUR),
    _deep('resnet50d', _FIFTY),
    _deep('resnet101d', _HUNDRED),
    _prepare(_deep('resnet152d', _LARGEST), size=256, crop=0.95),
    *(
        _prepare(_deep(name, _imagenet(name, block, (1, 1, 1, 1)), 'tiered'), size=176)
        for name, block in (('resnet10t', 'basic'), ('resnet14t', 'bottleneck'))
    ),
    _prepare(_TIERED, crop=0.94),
    _deep('resnet50t', _FIFTY, 'tiered'),
    replace(_FIFTY, name='wide_resnet50_2', base_width=128),
    replace(_HUNDRED, name='wide_resnet101_2', base_width=128),
    replace(_FIFTY, name='resnext50_32x4d', groups=32, base_width=4),
    replace(_HUNDRED, name='resnext101_32x8d', groups=32, base_width=8),
    _prepare(
        replace(_FIFTY, name='seresnet50', attention='se'), crop=0.95, interpolation='bicubic'
    ),
    replace(_TIERED, name='ecaresnet26t', attention='eca'),
    _V2,
    replace(_V2, name='resnet50_v2_stage3', stages=(3, 4, 6), widths=(64, 128, 256)),
    *map(_cifar, (20, 32, 44, 56, 110)),
)
