"""Interface of a pretrained network: a row of its family, feature maps, features, a dense head.

Fine-tuning, probe and inference know this interface and no family.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol

import jax
from flax import linen as nn

from jaxdl.errors import InputError
from jaxdl.models import layers
from jaxdl.models.norm import BatchNorm, to_float32
from jaxdl.workdir.records import Preprocessing

Training = bool | Collection[str]
FeatureMap = jax.Array | tuple[jax.Array, ...]  # of a tuple the first is the map itself


class FineTuneSizes(NamedTuple):
    """Sides in pixels of the images of a fine-tuning, where its settings name none.

    Attributes:
      train: in training.
      evaluation: in evaluation, and in inference.
    """

    train: int
    evaluation: int


def smaller_sizes(size: int) -> FineTuneSizes:
    """Sizes of a fine-tuning that are smaller than in the pretraining, multiples of 16.

    Training has six sevenths of the size, so that a step costs three quarters. Random crops of 0.35
    to 1 of the area have 0.81 of the side of the image on average, centre crops 0.875. Evaluation
    is larger than training by the ratio of the two: objects look as large in both (Touvron et al.
    2019).

    Args:
      size: side of the images of the pretraining in pixels.

    Examples:
      >>> smaller_sizes(224)
      FineTuneSizes(train=192, evaluation=208)
    """
    train = size * 6 / 7
    return FineTuneSizes(*(round(side / 16) * 16 for side in (train, train * 0.875 / 0.81)))


class Row(Protocol):
    """A row of ARCHITECTURES: the sizes of a network, and what its family has."""

    @property
    def family(self) -> str:
        """A row of FAMILIES."""
        ...

    @property
    def name(self) -> str:
        """Name of the architecture."""
        ...

    @property
    def names(self) -> str:
        """Whose names the tensors have: timm (and torchvision), cifar, gluon."""
        ...

    @property
    def preprocessing(self) -> Preprocessing:
        """Images that the network expects, where the file of weights does not say."""
        ...

    @property
    def finetune_sizes(self) -> FineTuneSizes:
        """Sizes that suit its fine-tuning (BUILD_NOTES.md, "Fine-tuning")."""
        ...

    @property
    def features(self) -> int:
        """Number of pooled features, which the head reads."""
        ...

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Parts of the network with norms that can be frozen, from the input on."""
        ...

    @property
    def first_convolution(self) -> str:
        """Name of the layer that reads the images."""
        ...

    @property
    def head(self) -> str:
        """Name of the last layer in a file of weights."""
        ...

    @property
    def truncated(self) -> bool:
        """Whether it ends before the last stage, and so has no head of its own."""
        ...

    @property
    def multiple(self) -> int:
        """Pixels that each side of the images must be a multiple of; 1: any size."""
        ...

    @property
    def smallest(self) -> int:
        """Pixels that each side of the images must have at least."""
        ...

    @property
    def pooling(self) -> str:
        """Timm's name of the way from the feature map to the features: avg, token, map."""
        ...

    @property
    def scalable(self) -> bool:
        """Whether the last norm, multiplied by a number, multiplies the features by it."""
        ...


class Network(nn.Module):
    """Feature map, pooling, dense layer `head`; a subclass defines `feature_map`.

    Parameters are named by parts: the stem (`conv1`, `bn1`, ...), blocks `layer1_0`, `layer1_1`,
    ..., sometimes `norm`, and `head`. With `num_classes` 0 there is no head, and features come in
    place of logits. The head of a new network is zero, so that its first step does not disturb what
    is pretrained.

    Attributes:
      architecture: sizes of the network.
      num_classes: number of outputs.
      preprocessing: images that the network expects.
      lowering: how convolutions are computed (`conv.LOWERINGS`); `auto`: oneDNN where it is there,
        else XLA's own.
      remat: the backward pass computes every block again, for less memory (Chen et al. 2016).
    """

    architecture: Any  # a Row
    num_classes: int
    preprocessing: Preprocessing
    lowering: str = 'auto'
    remat: bool = False

    def setup_head(self) -> None:
        """Declare the head; to be called by `setup`."""
        if self.num_classes:
            self.head = nn.Dense(self.num_classes, kernel_init=nn.initializers.zeros)

    def feature_map(self, images: jax.Array, train: Training = False) -> FeatureMap:
        """Last feature map.

        Args:
          images: float [batch, height, width, channel], normalised.
          train: whether norms take the statistics of the batch; or the parts (`stem`, `layer1`,
            ..., `norm`) whose norms do.

        Returns:
          [batch, rows, columns, channel]; or a tuple of such a map and of what `pool` needs next
          to it.
        """
        raise NotImplementedError

    def pool(self, feature_map: Any) -> jax.Array:
        """Features, float32 [batch, features], of a feature map [batch, rows, columns, channel].

        The mean over the map; a subclass may add layers behind it.
        """
        return to_float32(feature_map).mean((1, 2))

    def features(self, images: jax.Array, train: Training = False) -> jax.Array:
        """The pooled feature map, [batch, features]; arguments as of `feature_map`."""
        return self.pool(self.feature_map(images, train))

    def classify(
        self, features: jax.Array, train: bool = False, dropout: jax.Array | float = 0.0
    ) -> jax.Array:
        """Logits [batch, num_classes] of features [batch, features].

        Args:
          features: [batch, features].
          train: whether dropout applies.
          dropout: dropout rate, may be traced.

        Returns:
          The logits; the features without a head.
        """
        if train and not (isinstance(dropout, float) and dropout == 0):
            features = layers.dropout(features, dropout, self.make_rng('dropout'))
        return self.head(features) if self.num_classes else features

    def __call__(
        self,
        images: jax.Array,
        train: Training = False,
        dropout: jax.Array | float = 0.0,
        norms: Training | None = None,
    ) -> jax.Array:
        """float [batch, height, width, channel], normalised -> logits [batch, num_classes].

        `dropout` as in `CNN`. `norms` are the parts whose norms take the statistics of the batch;
        None: as `train`.

        The other methods by `module.apply(variables, images, method='features')`.
        """
        features = self.features(images, train if norms is None else norms)
        return self.classify(features, bool(train), dropout)


def check_size(row: Row, sides: Sequence[int]) -> None:
    """Check that the network of a row takes images of these sides in pixels.

    Raises:
      InputError: it does not; the message names the nearest sizes.
    """
    for side in sides:
        if problem := describe_misfit(row, side):
            raise InputError(f'image size {side}: {row.name}: {problem}')


def describe_misfit(row: Row, size: int) -> str:
    """The reason why a network does not take images of a size; empty where it does.

    Args:
      row: of the network.
      size: side in pixels; 0: that of the weights.
    """
    if 0 < size < row.smallest:
        return f'must be at least {row.smallest} pixels'
    lower, multiple = size // row.multiple * row.multiple, row.multiple
    if lower == size:
        return ''
    nearest = f'{lower} or {lower + multiple}' if lower else multiple
    return f'must be a multiple of the patch size {multiple}: use {nearest}'


def trains(train: Training, part: str) -> bool:
    """Whether the norms of a part take the statistics of the batch."""
    return train if isinstance(train, bool) else part in train


def apply_layers(parts: Any, images: jax.Array, train: bool, blocks: tuple[type, ...]) -> jax.Array:
    """Images after a layer or a list of layers; those of `blocks`, and norms, take `train`."""
    for part in parts if isinstance(parts, Sequence) else [parts]:
        takes = isinstance(part, (BatchNorm, *blocks))
        images = part(images, train) if takes else part(images)
    return images
