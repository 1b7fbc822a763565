"""Which augmentation raises the test accuracy of a fine-tuned network?

Run     python -m jaxdl.main --experiment=finetune_augmentation --dataset=folder:DIR
Takes   26 minutes on 2 CPU cores that other work shared (2026-11-30)
Result  of 600 photographs of 81 groceries, 3 seeds, 128 test images, EfficientNet-lite0: colour
        -5.21 (-6.33 to -4.09), worse on these images only; no difference found for the others
"""

from jaxdl import Ablation, Data, FineTune, Recipe, override

# option -> (settings, why)
ROWS = {
    'none': ({}, 'the same images in every epoch'),
    'flip': (dict(flip=0.5), 'mirror images: most things have no handedness, writing has'),
    'crops': (dict(crop_area=0.35), 'random parts and sizes (Szegedy et al. 2015)'),
    'colour': (dict(colour=0.4), 'brightness, contrast, saturation and hue of other light'),
    'mixup': (dict(mixup=0.2), 'mixed images and labels (Zhang et al. 2018)'),
    'cutmix': (dict(cutmix=0.5), 'a patch of another image, mixed labels (Yun et al. 2019)'),
    'random erasing': (dict(erasing=0.25), 'a patch without content (Zhong et al. 2020)'),
}

EXPERIMENT = Ablation(
    factor='augmentation',
    baseline='none',
    options={name: settings for name, (settings, _) in ROWS.items()},
    why={name: why for name, (_, why) in ROWS.items()},
    base=override(
        FineTune(
            data=Data(image_size=144, subset=600, split='grouped'),
            finetune=Recipe(
                epochs=12, train_size=96, eval_size=128, crop_area=1.0, frozen=('stem', 'layer1')
            ),
        ),
        dict(recipe='adamw', probe_size=128),
    ),
    seeds=3,
)
