"""Settings of training: which fields are traced, which are initial values, which are static.

`TrainSettings` is what every training has. `StepOptions` are the optional parts of a training step.
`StepSettings` is both: all that the training step reads.
"""

from typing import Any

from flax import struct

from jaxdl import augment, fields
from jaxdl.errors import InputError
from jaxdl.train import losses, optim


def leaf(default: float, rule: fields.Rule) -> Any:
    """Declare a traced field: another value runs in the same program."""
    return struct.field(default=default, metadata=dict(rule=rule))


def initial(default: Any, rule: fields.Rule) -> Any:
    """Declare a field that the host reads before the first step: same program, another start."""
    return struct.field(pytree_node=False, default=default, metadata=dict(rule=rule, initial=True))


def static(default: Any, rule: fields.Rule) -> Any:
    """Declare a part of the tree's structure: another value needs another program."""
    return struct.field(pytree_node=False, default=default, metadata=dict(rule=rule))


@struct.dataclass
class TrainSettings:
    """Settings that a new network and a pretrained one share.

    Optimizer, schedule, loss and noise.
    """

    learning_rate: float = leaf(0.1, fields.above(0))
    momentum: float = leaf(0.9, fields.within(0, 1))  # of adaptive optimizers: beta1
    # decay of squared gradients; lion's second beta
    beta2: float = leaf(0.999, fields.within(0, 1))
    weight_decay: float = leaf(0.0, fields.at_least(0))
    dropout: float = leaf(0.0, fields.within(0, 1))
    label_smoothing: float = leaf(0.0, fields.within(0, 1))
    # units of the strengths: augment.AUGMENTATIONS
    rotation: float = leaf(0.0, fields.between(0, 180))
    translation: float = leaf(0.0, fields.between(0, 1))
    colour: float = leaf(0.0, fields.between(0, 1))
    flip: float = leaf(0.0, fields.between(0, 1))
    mixup: float = leaf(0.0, fields.at_least(0))
    cutmix: float = leaf(0.0, fields.between(0, 1))
    erasing: float = leaf(0.0, fields.between(0, 1))
    randaugment: float = leaf(0.0, fields.between(0, 1))
    # of `augmentation`; of several one for all, or a list with one for each
    strength: float | tuple[float, ...] = leaf(0.0, fields.one_or_each(fields.at_least(0)))
    # a registered augmentation, or several in their order, next to those with a field above
    augmentation: str | tuple[str, ...] = static(
        'none', fields.one_or_each(fields.one_of(augment.OWN), different=True)
    )
    loss: str = static('softmax_cross_entropy', fields.one_of(losses.LOSSES))
    optimizer: str = static('momentum', fields.one_of(optim.OPTIMIZERS))
    schedule: str = static('cosine', fields.one_of(optim.SCHEDULES))
    batch_size: int = static(32, fields.at_least(1))


def own_strengths(settings: TrainSettings) -> dict[str, Any]:
    """Registered augmentation -> strength, in the order in which they are applied.

    Args:
      settings: of a run; strengths may be traced.

    Returns:
      The strengths; empty without a registered augmentation.

    Raises:
      InputError: a list of strengths is not as long as the list of augmentations.
    """
    names, strengths = settings.augmentation, settings.strength
    names = (names,) if isinstance(names, str) else names
    if not isinstance(strengths, tuple):
        strengths = (strengths,) * len(names)
    if len(names) != len(strengths):
        raise InputError(
            f'variant.strength={list(strengths)}: must be a number, or a list with one for each of '
            f'augmentation={list(names)}'
        )
    return {n: s for n, s in zip(names, strengths, strict=True) if n != 'none'}


CROP_AREA = fields.between(0.01, 1)


@struct.dataclass
class StepOptions:
    """Optional parts of a training step; with the defaults, each is absent from the program."""

    ema: float = leaf(0.0, fields.within(0, 1))  # decay of the averaged weights; 0: no average
    clip: float = leaf(0.0, fields.at_least(0))  # largest norm of the gradient; 0: no limit
    # factor on the learning rate per block of distance from the head
    layer_decay: float = leaf(1.0, fields.between(0.01, 1))
    crop_area: float = leaf(1.0, CROP_AREA)  # least share of a random crop; 1: no crop
    accumulation: int = static(1, fields.at_least(1))  # parts of a batch, one after another
    # parts of the network that do not learn: stem, layer1, stage_0, ...; early: all stages before
    # the last one
    frozen: tuple[str, ...] = static((), fields.each(lambda _: None, least=0))


@struct.dataclass
class StepSettings(StepOptions, TrainSettings):
    """All settings that the training step reads."""

    # exponent of the weights by inverse class frequency; 0: equal weights
    class_weights: float = leaf(0.0, fields.at_least(0))
    # factor on the log class frequencies that are added to the logits; 0: none
    logit_adjustment: float = leaf(0.0, fields.at_least(0))
