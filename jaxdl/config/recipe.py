"""How a pretrained network is fitted to new images: the grid of the probe.

And every knob of the fine-tuning.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxdl import fields
from jaxdl.train import settings
from jaxdl.train.settings import StepOptions

STARTS = ('probe', 'zeros')  # of the head
PRECISIONS = ('float32', 'bfloat16')
IMBALANCES = ('none', 'weights', 'balanced', 'logit_adjustment')
METRICS = ('macro_f1', 'accuracy', 'loss')  # that choose: the largest, of the loss the least
NORMS = ('batch', 'running')  # statistics of batch norms in training
VIEWS = (
    'none',
    'flip',
    'five_crops',
    'five_crops_flip',
)  # of an image whose probabilities are averaged
AVERAGES = ('probabilities', 'soup')  # of several networks


@dataclasses.dataclass(frozen=True)
class Probe:
    """Linear heads on the features of the frozen network, all of the grid trained as one group.

    Chosen by `metric`.
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
    probe_size: int = fields.ruled(
        0, fields.at_least(0)
    )  # side of the images in pixels; 0: what the weights expect
    flips: bool = False  # features of the mirrored images too


@dataclasses.dataclass(frozen=True)
class Recipe(StepOptions):  # pyright: ignore[reportGeneralTypeIssues]
    """Settings of a fine-tuning next to `TrainSettings`: its phases, its data and its networks."""

    epochs: int = fields.ruled(8, fields.at_least(1))
    start: str = fields.ruled('probe', fields.one_of(STARTS))
    train_size: int = fields.ruled(128, fields.at_least(8))  # side of the images in pixels
    eval_size: int = fields.ruled(160, fields.at_least(8))
    sizes: tuple[int, ...] = fields.ruled(
        (), fields.each(fields.at_least(8), least=0)
    )  # before train_size
    # least share of a random crop; 1: no crop
    crop_area: float = fields.ruled(0.35, settings.CROP_AREA)
    unfreeze_epochs: float = fields.ruled(
        0.0, fields.at_least(0)
    )  # a stage more begins to learn every so many
    norms: str = fields.ruled('running', fields.one_of(NORMS))
    precision: str = fields.ruled('float32', fields.one_of(PRECISIONS))
    remat: bool = False  # blocks are computed again in the backward pass: less memory
    imbalance: str = fields.ruled('none', fields.one_of(IMBALANCES))
    adjustment: float = fields.ruled(
        1.0, fields.at_least(0)
    )  # strength of imbalance=logit_adjustment
    metric: str = fields.ruled('macro_f1', fields.one_of(METRICS))
    patience: int = fields.ruled(
        0, fields.at_least(0)
    )  # epochs without a better one; 0: to the end
    fix_epochs: int = fields.ruled(
        0, fields.at_least(0)
    )  # of head and last norm alone, at eval_size (FixRes)
    refit_epochs: int = fields.ruled(
        0, fields.at_least(0)
    )  # of all images, once those of validation have judged
    folds: int = fields.ruled(1, fields.at_least(1))
    seeds: int = fields.ruled(1, fields.at_least(1))
    average: str = fields.ruled('probabilities', fields.one_of(AVERAGES))
    views: str = fields.ruled('flip', fields.one_of(VIEWS))
    keep: int = fields.ruled(1, fields.at_least(1))  # last checkpoints, beside the best
    explain: int = fields.ruled(8, fields.at_least(0))  # images with Grad-CAM in the report


# name -> overrides of a FineTune: what is known to suit about 10,000 photographs (BUILD_NOTES.md,
# 2026-11-25). Mixup and cutmix are off, as in the fine-tunings of Kolesnikov et al. 2020 (BiT,
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
