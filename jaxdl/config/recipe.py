"""Settings of a fine-tuning: the grid of the probe, the training, and recipes."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxdl import fields
from jaxdl.train import settings
from jaxdl.train.settings import StepOptions

STARTS = ('probe', 'zeros')  # initial heads
PRECISIONS = ('float32', 'bfloat16')
IMBALANCES = ('none', 'weights', 'balanced', 'logit_adjustment')
METRICS = ('macro_f1', 'accuracy', 'loss')  # the network with the best one is chosen
NORMS = ('batch', 'running')  # statistics of batch norms in training
VIEWS = ('none', 'flip', 'five_crops', 'five_crops_flip')  # test-time augmentation
AVERAGES = ('probabilities', 'soup')  # combinations of several networks


def _check_folds(value: int) -> str | None:
    return None if value == 0 or value >= 2 else 'must be 0, or at least 2'


def _check_size(value: int) -> str | None:
    return None if value == 0 or value >= 8 else 'must be 0, or at least 8'


@dataclasses.dataclass(frozen=True)
class Probe:
    """Linear heads on the features of the frozen network: a grid that trains as one group.

    The head with the best `finetune.metric` on the validation images is chosen.
    """

    learning_rates: tuple[float, ...] = fields.ruled(
        (0.01, 0.03, 0.1, 0.3), fields.each(fields.above(0))
    )
    weight_decays: tuple[float, ...] = fields.ruled(
        (1e-3, 3e-3, 0.01, 0.03), fields.each(fields.at_least(0))
    )
    logit_adjustments: tuple[float, ...] = fields.ruled(
        (0.0, 0.25, 0.5, 1.0), fields.each(fields.at_least(0))
    )
    repeats: int = fields.ruled(3, fields.at_least(1))  # seeds of every cell of the grid
    passes: int = fields.ruled(20, fields.at_least(1))  # epochs over the features
    # side of the images in pixels; 0: the size that the weights expect
    probe_size: int = fields.ruled(0, fields.at_least(0))
    flips: bool = False  # features of the mirrored images too
    # folds of the predictions that find wrong labels; 0: labels are not examined
    label_folds: int = fields.ruled(5, _check_folds)


@dataclasses.dataclass(frozen=True)  # pyright: ignore[reportGeneralTypeIssues]
class Recipe(StepOptions):
    """Settings of a fine-tuning next to `TrainSettings`: its phases, its data and its networks."""

    epochs: int = fields.ruled(8, fields.at_least(1))
    start: str = fields.ruled('probe', fields.one_of(STARTS))  # initial head
    # side of the images in pixels; 0: the size in the row of the network
    train_size: int = fields.ruled(0, _check_size)
    eval_size: int = fields.ruled(0, _check_size)  # the same in evaluation
    # sizes before train_size, each for an equal share of the epochs
    sizes: tuple[int, ...] = fields.ruled((), fields.each(fields.at_least(8), least=0))
    # least share of a random crop; 1: no crop
    crop_area: float = fields.ruled(0.35, settings.CROP_AREA)
    # epochs after which one stage more begins to learn; 0: all learn from the start
    unfreeze_epochs: float = fields.ruled(0.0, fields.at_least(0))
    norms: str = fields.ruled('running', fields.one_of(NORMS))
    precision: str = fields.ruled('float32', fields.one_of(PRECISIONS))
    remat: bool = False  # compute blocks again in the backward pass, for less memory
    imbalance: str = fields.ruled('none', fields.one_of(IMBALANCES))
    # strength of imbalance=logit_adjustment
    adjustment: float = fields.ruled(1.0, fields.at_least(0))
    metric: str = fields.ruled('macro_f1', fields.one_of(METRICS))
    # epochs without a better metric that end the training of all layers; 0: no early stop
    patience: int = fields.ruled(0, fields.at_least(0))
    # epochs of head and last norm alone, at eval_size (FixRes)
    fix_epochs: int = fields.ruled(0, fields.at_least(0))
    # epochs of the final training on train + validation
    refit_epochs: int = fields.ruled(0, fields.at_least(0))
    folds: int = fields.ruled(1, fields.at_least(1))
    seeds: int = fields.ruled(1, fields.at_least(1))
    average: str = fields.ruled('probabilities', fields.one_of(AVERAGES))
    views: str = fields.ruled('flip', fields.one_of(VIEWS))
    keep: int = fields.ruled(1, fields.at_least(1))  # last checkpoints, next to the best one
    explain: int = fields.ruled(8, fields.at_least(0))  # images with Grad-CAM in the report


# name -> overrides of a FineTune that suit about 10,000 photographs (BUILD_NOTES.md,
# "Fine-tuning"). Mixup and cutmix are off, as in the fine-tunings of Kolesnikov et al. 2020 (BiT,
# whose rule `bit` is) and Liu et al. 2022.
RECIPES: dict[str, Mapping[str, Any]] = {
    'adamw': {
        'variant.optimizer': 'adamw',
        'variant.learning_rate': 2e-4,
        'variant.schedule': 'warmup_cosine',
        'variant.label_smoothing': 0.1,
        'variant.weight_decay': 0.05,
        'variant.momentum': 0.9,
        'finetune.norms': 'running',
        'finetune.ema': 0.99,
    },
    'sgd': {
        'variant.optimizer': 'momentum',
        'variant.learning_rate': 0.01,
        'variant.schedule': 'warmup_cosine',
        'variant.label_smoothing': 0.1,
        'variant.weight_decay': 1e-4,
        'variant.momentum': 0.9,
        'finetune.norms': 'batch',
        'finetune.ema': 0.0,
    },
    'bit': {
        'variant.optimizer': 'momentum',
        'variant.learning_rate': 0.003,
        'variant.schedule': 'step',
        'variant.label_smoothing': 0.0,
        'variant.weight_decay': 0.0,
        'variant.momentum': 0.9,
        'finetune.norms': 'batch',
        'finetune.ema': 0.0,
    },
}
