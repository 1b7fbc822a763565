"""Which augmentations improve test accuracy, and which reduce it?

Run     python -m jaxdl.main --experiment=augmentation
Takes   163 s on 2 CPU cores (2026-11-30)
Result  against none, percentage points of test accuracy, 95 % intervals over 15 seeds and 1,798
        test images. Random tint: better: rotation +1.04 (+0.48 to +1.60), translation +1.66 (+0.83
        to +2.50); worse: strong colour -2.76 (-3.68 to -1.84), flip -11.86 (-13.17 to -10.55),
        cutmix -1.87 (-2.61 to -1.13); no difference found: colour, mixup, erasing. Tint of the
        class: better: strong colour +9.37 (+7.93 to +10.82); worse: flip -13.98 (-15.59 to -12.36),
        cutmix -8.79 (-10.27 to -7.31); no difference found: rotation, translation, colour, mixup,
        erasing
"""

from jaxdl import Ablation, Variant, geometric

EXPERIMENT = Ablation(
    factor='augmentation',
    baseline='none',
    options={
        'none': {},
        'rotation': dict(rotation=10.0),
        'translation': dict(translation=0.1),
        'colour': dict(colour=0.3),
        'strong colour': dict(colour=0.6),
        'flip': dict(flip=0.5),
        'mixup': dict(mixup=0.2),
        'cutmix': dict(cutmix=0.5),
        'erasing': dict(erasing=0.25),
    },
    why={
        'none': 'no augmentation',
        'rotation': 'up to 10 degrees in both directions: handwriting and cameras tilt',
        'translation': 'up to a tenth of the side: the position of an object should not matter',
        'colour': 'brightness, contrast, saturation, hue: other light, another tint',
        'strong colour': 'twice the range of colour: the tint says little about the class',
        'flip': 'half of the images mirrored; wrong for digits and letters: a mirrored 3 is no 3',
        'mixup': 'a weighted mean of two images and of their labels (Zhang et al. 2018)',
        'cutmix': 'a box of another image, labels weighted by area (Yun et al. 2019)',
        'erasing': 'a random box in one colour (Zhong et al. 2020): no region is enough by itself',
    },
    # In the tinted form the colour depends on the class, except in the test images.
    conditions={'random tint': {}, 'tint of the class': {'data.dataset': 'hard_digits:tinted'}},
    second_factor='tint of the training images',
    variant=Variant(width=16, depth=2, batch_size=32),
    learning_rates=geometric(0.03, 0.3, 3),
    seeds=15,
    pictures=('contact_sheet',),
)
