"""How good is a pretrained network on your images, once all of its layers have learnt them?

Run    python -m jaxdl.main --experiment=finetune --dataset=folder:DIR --set=weights=FILE
"""

from jaxdl import Data, FineTune, Recipe, Variant, override

EXPERIMENT = override(
    FineTune(
        data=Data(image_size=256, fractions=(0.85, 0.15, 0.0), split='grouped'),
        variant=Variant(flip=0.5, colour=0.2),
        finetune=Recipe(frozen=('stem', 'layer1')),  # what is everywhere alike: edges and colours
    ),
    dict(recipe='adamw'),
)
