"""How far does a pretrained network come in the food challenge, from CSV files to a submission?

Run    python -m jaxdl.main --experiment=challenge --dataset=foodc:DIR --set=weights=timm/resnet50.a1_in1k
Takes  40 minutes for 2,936 photographs to learn from and 2,485 to name, on 2 cores, three stages of a ResNet-50 v2;
       7 more for the last two epochs, of all photographs
Found  81 kinds of groceries: 81.0 % of 363 photographs of held-out series, the probe 75.5 %; they chose the epoch and,
       of four, the size (79.1 to 81.0 %), so expect less
"""

from jaxdl import Data, FineTune, Recipe, Variant, override

EXPERIMENT = override(
    FineTune(
        data=Data(dataset='foodc:food', image_size=256, fractions=(0.9, 0.1, 0.0), split='grouped'),
        variant=Variant(flip=0.5, colour=0.2),
        finetune=Recipe(frozen=('stem', 'layer1'), refit_epochs=2),  # frozen: edges and colours, everywhere alike
    ),
    dict(recipe='adamw'),
)
