"""What accuracy does a network reach on your images after fine-tuning?

Run    python -m jaxdl.main --experiment=finetune --dataset=folder:DIR
"""

from jaxdl import Data, FineTune, Recipe, TrainSettings, override

EXPERIMENT = override(
    FineTune(
        data=Data(image_size=256, fractions=(0.85, 0.15, 0.0), split='grouped'),
        variant=TrainSettings(flip=0.5, colour=0.2),
        finetune=Recipe(frozen=('stem', 'layer1')),  # generic edges and colours
    ),
    dict(recipe='adamw'),
)
