"""Which way of fine-tuning a pretrained network gives the best test accuracy?

Run     python -m jaxdl.main --experiment=finetune_recipe --dataset=folder:DIR
Takes   22 minutes on 2 CPU cores that other work shared (2026-11-30)
Result  of 600 photographs of 81 groceries, 3 seeds, 128 test images, EfficientNet-lite0: no
        difference found. With ResNet-50 v2: worse: all from a new head -21.31 (-28.37 to -14.26)
"""

from jaxdl import Ablation, Data, FineTune, Recipe, override

# option -> (settings, why)
ROWS = {
    'probe only': (dict(stages=('probe',)), 'linear heads: the features stay as they are'),
    'probe, then all': ({}, 'a fitted head spares the features large first gradients'),
    'all from a new head': (dict(start='zeros'), 'no probe: head and features learn together'),
    'last stage': (dict(frozen=('early',)), 'fewer parameters: faster, less overfitting'),
    'layer decay 0.75': (dict(layer_decay=0.75), 'smaller learning rates for earlier layers'),
    'mixup': (dict(mixup=0.2), 'mixed images and labels (Zhang et al. 2018): a regulariser'),
}

EXPERIMENT = Ablation(
    factor='recipe',
    baseline='probe, then all',
    options={name: settings for name, (settings, _) in ROWS.items()},
    why={name: why for name, (_, why) in ROWS.items()},
    base=override(
        FineTune(
            data=Data(image_size=144, subset=600, split='grouped'),
            finetune=Recipe(epochs=12, train_size=96, eval_size=128),
        ),
        dict(recipe='adamw', probe_size=128),
    ),
    seeds=3,
)
