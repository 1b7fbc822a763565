"""Which augmentations improve test accuracy, and which reduce it?

Run     python -m jaxdl.main --experiment=augmentation
Takes   38 s on 2 CPU cores (2026-11-24)
Result  against none, percentage points of test accuracy, 95 % intervals, 10 seeds: worse: flip
        -1.97 (-2.72 to -1.23), all of these -2.67 (-3.72 to -1.61), cutmix -1.11 (-1.49 to -0.74);
        no difference found: rotation, translation, colour, mixup, erasing
"""

from jaxdl import Ablation, Variant, geometric

SMALL = dict(rotation=15.0, translation=0.1, colour=0.3, flip=0.5)

EXPERIMENT = Ablation(
    factor='augmentation',
    baseline='none',
    options={'none': {}}
    | {name: {name: strength} for name, strength in SMALL.items()}
    | {
        'strong colour': dict(colour=0.6),
        'all of these': SMALL,
        'mixup': dict(mixup=0.2),
        'cutmix': dict(cutmix=0.5),
        'erasing': dict(erasing=0.25),
    },
    why={
        'none': 'no augmentation',
        'rotation': 'up to 15 degrees in both directions: handwriting and cameras tilt',
        'translation': 'up to a tenth of the side: the position of an object should not matter',
        'colour': 'brightness, contrast, saturation, hue: other light, another tint',
        'strong colour': 'twice the range of colour: the tint says little about the class',
        'flip': 'half of the images mirrored; wrong for digits and letters: a mirrored 3 is no 3',
        'all of these': 'rotation, translation, colour and the flip, which is wrong for digits',
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
