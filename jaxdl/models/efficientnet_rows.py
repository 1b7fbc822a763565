"""Rows of the EfficientNets, MobileNetV2 and MobileNetV3: one per architecture.

Sources: Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks"; Howard et
al. 2019, "Searching for MobileNetV3"; Tan and Le 2019, "EfficientNet: rethinking model scaling for
convolutional neural networks"; Tan and Le 2021, "EfficientNetV2: smaller models and faster
training"; EfficientNet-Lite (Liu 2020) has ReLU6 and no squeeze-and-excitation. A row whose name
begins with `tf_` pads and normalises as TensorFlow does.
Names and sizes are timm's.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from jaxdl.models.network import FineTuneSizes, smaller_sizes
from jaxdl.workdir.records import Preprocessing

HALF = (0.5, 0.5, 0.5)  # mean and standard deviation of the images of some rows
TENSORFLOW_EPSILON = 1e-3


class Stage(NamedTuple):
    """Blocks of one shape.

    Attributes:
      kind: `ds`: depthwise, then 1 x 1. `ir`: 1 x 1 to more channels, depthwise, 1 x 1. `er`: one
        convolution in place of the first two. `cn`: one convolution alone.
      blocks: number of blocks; the first has the stride.
      side: of the spatial kernel.
      expansion: channels inside over those of the block's input, rounded; or one per block.
      width: channels of the output.
      squeeze: whether squeeze-and-excitation follows the spatial convolution.
      activation: a row of `norm.ACTIVATIONS`; empty: that of the network.
    """

    kind: str
    blocks: int
    side: int
    stride: int
    expansion: int | tuple[float, ...]
    width: int
    squeeze: bool = False
    activation: str = ''


class Layer(NamedTuple):
    """A convolution of a block with its norm.

    Attributes:
      name: of the convolution in timm.
      width: channels of the output.
      side: of the kernel.
      depthwise: whether each channel has a kernel of its own.
      active: whether the activation follows the norm.
      activation: of the stage; empty: that of the network.
    """

    name: str
    width: int
    side: int
    stride: int
    depthwise: bool
    active: bool
    activation: str = ''


@dataclass(frozen=True)
class EfficientNetRow:
    """A network of inverted residual blocks.

    Attributes:
      stem: channels of the first convolution, 3 x 3 with stride 2.
      stages: the blocks.
      features: channels of the last convolution, 1 x 1.
      activation: a row of `norm.ACTIVATIONS`.
      same: whether padding is TensorFlow's SAME (`depthwise.pad_before`).
      epsilon: of the norms.
      pools_first: whether the last convolution reads the pooled features, with a bias in place of
        a norm.
      hard_squeeze: whether squeeze-and-excitation has a quarter of the channels that it scales,
        ReLU and a hard sigmoid; otherwise a quarter of those of the block's input, the activation
        of the network and a sigmoid.
    """

    family: ClassVar[str] = 'efficientnet'
    names: ClassVar[str] = 'timm'
    head: ClassVar[str] = 'classifier'
    first_convolution: ClassVar[str] = 'conv1'
    truncated: ClassVar[bool] = False
    multiple: ClassVar[int] = 1
    smallest: ClassVar[int] = 1
    pooling: ClassVar[str] = 'avg'
    # ReLU6, SiLU and hard swish of a multiple are no multiples
    scalable: ClassVar[bool] = False

    name: str
    stem: int
    stages: tuple[Stage, ...]
    features: int
    activation: str
    same: bool
    epsilon: float
    preprocessing: Preprocessing
    pools_first: bool = False
    hard_squeeze: bool = False

    @property
    def finetune_sizes(self) -> FineTuneSizes:
        """Smaller than in the pretraining."""
        return smaller_sizes(self.preprocessing.size)

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Stem, stages, the last convolution as one more stage, its norm."""
        stages = (f'layer{i + 1}' for i in range(len(self.stages) + 1))
        return ('stem', *stages) if self.pools_first else ('stem', *stages, 'norm')

    @property
    def meaning(self) -> str:
        """The row in words, stages in the notation of timm."""
        stages = ' '.join(map(_notation, self.stages))
        padding = ', padding SAME' if self.same else ''
        where = ' of a convolution after pooling' if self.pools_first else ''
        return (
            f'stem {self.stem}; `{stages}`; {self.features} features{where}; '
            f'{self.activation}{padding}, epsilon {self.epsilon:g}'
        )


def _notation(stage: Stage) -> str:
    """A stage as timm writes it: `ir_r2_k3_s2_e6_c24`, with `_se` for squeeze-and-excitation.

    Expansions that differ are joined by `+`; `_nre` stands for ReLU.
    """
    text = f'{stage.kind}_r{stage.blocks}_k{stage.side}_s{stage.stride}'
    factors = '+'.join(f'{factor:g}' for factor in dict.fromkeys(_expansions(stage)))
    expansion = f'_e{factors}' if stage.kind in ('ir', 'er') else ''
    end = '_se' * stage.squeeze + '_nre' * (stage.activation == 'relu')
    return f'{text}{expansion}_c{stage.width}{end}'


def _expansions(stage: Stage) -> tuple[float, ...]:
    """Expansion of each block."""
    expansion = stage.expansion
    return expansion if isinstance(expansion, tuple) else (expansion,) * stage.blocks


def stride_of(stage: Stage, index: int) -> int:
    """Stride of a block of a stage."""
    return stage.stride if index == 0 else 1


def layers_of(stage: Stage, inputs: int, index: int) -> tuple[Layer, ...]:
    """Convolutions of a block.

    Args:
      stage: of the block.
      inputs: channels of the block's input.
      index: of the block in its stage.
    """
    inner, side = round_width(inputs * _expansions(stage)[index]), stage.side
    stride, active = stride_of(stage, index), (True, stage.activation)
    if stage.kind == 'cn':
        return (Layer('conv', stage.width, side, stride, False, *active),)
    if stage.kind == 'ds':
        spatial = Layer('conv_dw', inputs, side, stride, True, *active)
        return spatial, Layer('conv_pw', stage.width, 1, 1, False, False)
    last = Layer('conv_pwl', stage.width, 1, 1, False, False)
    if stage.kind == 'er':
        return Layer('conv_exp', inner, side, stride, False, *active), last
    first = Layer('conv_pw', inner, 1, 1, False, *active)
    return first, Layer('conv_dw', inner, side, stride, True, *active), last


def squeezed_after(stage: Stage) -> int:
    """Number of the convolution before the squeeze-and-excitation; 0 without one."""
    return {'ds': 1, 'ir': 2, 'er': 1}[stage.kind] if stage.squeeze else 0


def squeezed_width(row: EfficientNetRow, inputs: int, scaled: int) -> int:
    """Channels inside of a squeeze-and-excitation.

    Args:
      row: of the network.
      inputs: channels of the block's input.
      scaled: channels that it scales.
    """
    return round_width(scaled / 4) if row.hard_squeeze else round(inputs / 4)


def round_width(width: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, at least nine tenths of `width`."""
    rounded = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * width else rounded


def _scale(stages: tuple[Stage, ...], width: float, depth: float, keep: bool) -> tuple[Stage, ...]:
    """Wider and deeper stages; `keep`: the first and the last keep their depth."""
    ends = (0, len(stages) - 1) if keep else ()
    return tuple(
        stage._replace(
            width=round_width(stage.width * width),
            blocks=stage.blocks if i in ends else math.ceil(stage.blocks * depth),
        )
        for i, stage in enumerate(stages)
    )


_B0 = (
    Stage('ds', 1, 3, 1, 1, 16),
    Stage('ir', 2, 3, 2, 6, 24),
    Stage('ir', 2, 5, 2, 6, 40),
    Stage('ir', 3, 3, 2, 6, 80),
    Stage('ir', 3, 5, 1, 6, 112),
    Stage('ir', 4, 5, 2, 6, 192),
    Stage('ir', 1, 3, 1, 6, 320),
)
_SQUEEZED = tuple(stage._replace(squeeze=True) for stage in _B0)
_V2_SMALL = (
    Stage('cn', 2, 3, 1, 1, 24),
    Stage('er', 4, 3, 2, 4, 48),
    Stage('er', 4, 3, 2, 4, 64),
    Stage('ir', 6, 3, 2, 4, 128, True),
    Stage('ir', 9, 3, 1, 6, 160, True),
    Stage('ir', 15, 3, 2, 6, 256, True),
)
_MOBILE = (
    Stage('ds', 1, 3, 1, 1, 16),
    Stage('ir', 2, 3, 2, 6, 24),
    Stage('ir', 3, 3, 2, 6, 32),
    Stage('ir', 4, 3, 2, 6, 64),
    Stage('ir', 3, 3, 1, 6, 96),
    Stage('ir', 3, 3, 2, 6, 160),
    Stage('ir', 1, 3, 1, 6, 320),
)
_MOBILE_LARGE = (
    Stage('ds', 1, 3, 1, 1, 16, activation='relu'),
    Stage('ir', 2, 3, 2, (4, 3), 24, activation='relu'),
    Stage('ir', 3, 5, 2, 3, 40, True, 'relu'),
    Stage('ir', 4, 3, 2, (6, 2.5, 2.3, 2.3), 80),
    Stage('ir', 2, 3, 1, 6, 112, True),
    Stage('ir', 3, 5, 2, 6, 160, True),
    Stage('cn', 1, 1, 1, 1, 960),
)
_MOBILE_SMALL = (
    Stage('ds', 1, 3, 2, 1, 16, True, 'relu'),
    Stage('ir', 2, 3, 2, (4.5, 3.67), 24, activation='relu'),
    Stage('ir', 3, 5, 2, (4, 6, 6), 40, True),
    Stage('ir', 2, 5, 1, 3, 48, True),
    Stage('ir', 3, 5, 2, 6, 96, True),
    Stage('cn', 1, 1, 1, 1, 576),
)
# number -> (width, depth), the size in pixels and the crop of the `tf_` row, and of the other one.
_SIZES = {
    0: ((1.0, 1.0), (224, 0.875), (224, 0.875)),
    1: ((1.0, 1.1), (240, 0.882), (240, 0.9)),
    2: ((1.1, 1.2), (260, 0.89), (256, 0.875)),
    3: ((1.2, 1.4), (300, 0.904), (288, 0.875)),
    4: ((1.4, 1.8), (380, 0.922), (320, 0.875)),
}


def _lite(number: int, tensorflow: bool) -> EfficientNetRow:
    (width, depth), (size, crop), _ = _SIZES[number]
    moments: dict[str, Any] = dict(mean=HALF, std=HALF) if tensorflow else {}
    return EfficientNetRow(
        f'{"tf_" * tensorflow}efficientnet_lite{number}',
        32,
        _scale(_B0, width, depth, keep=True),
        1280,
        'relu6',
        tensorflow,
        TENSORFLOW_EPSILON if tensorflow else 1e-5,
        Preprocessing(**moments, size=size, crop=crop, interpolation='bicubic'),
    )


def _b(number: int, tensorflow: bool) -> EfficientNetRow:
    (width, depth), *sizes = _SIZES[number]
    size, crop = sizes[not tensorflow]
    moments: dict[str, Any] = dict(mean=HALF, std=HALF) if number == 1 and not tensorflow else {}
    return EfficientNetRow(
        f'{"tf_" * tensorflow}efficientnet_b{number}',
        round_width(32 * width),
        _scale(_SQUEEZED, width, depth, keep=False),
        round_width(1280 * width),
        'silu',
        tensorflow,
        TENSORFLOW_EPSILON if tensorflow else 1e-5,
        Preprocessing(**moments, size=size, crop=crop, interpolation='bicubic'),
    )


def _mobile(size: str, tensorflow: bool) -> EfficientNetRow:
    """MobileNetV3 large or small."""
    stages, features = {'large': (_MOBILE_LARGE, 1280), 'small': (_MOBILE_SMALL, 1024)}[size]
    return EfficientNetRow(
        f'{"tf_" * tensorflow}mobilenetv3_{size}_100',
        16,
        stages,
        features,
        'hard_swish',
        tensorflow,
        TENSORFLOW_EPSILON if tensorflow else 1e-5,
        Preprocessing(HALF, HALF) if tensorflow else _BICUBIC,
        pools_first=True,
        hard_squeeze=True,
    )


_BICUBIC = Preprocessing(interpolation='bicubic')
_SMALL = Preprocessing(HALF, HALF, 300, 1.0, 'bicubic')
ROWS = (
    *(_lite(number, True) for number in (0, 1, 2)),
    _lite(0, False),
    *(_b(number, True) for number in _SIZES),
    *(_b(number, False) for number in _SIZES),
    EfficientNetRow(
        'tf_efficientnetv2_s', 24, _V2_SMALL, 1280, 'silu', True, TENSORFLOW_EPSILON, _SMALL
    ),
    EfficientNetRow('mobilenetv2_100', 32, _MOBILE, 1280, 'relu6', False, 1e-5, _BICUBIC),
    *(_mobile(size, tensorflow) for tensorflow in (True, False) for size in ('large', 'small')),
)
