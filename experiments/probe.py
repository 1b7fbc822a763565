"""How good are linear heads on the features of a pretrained network?

Run    python -m jaxdl.main --experiment=probe --dataset=folder:DIR --set=weights=FILE
Takes  4 minutes for 2,936 photographs on 2 cores, nearly all of it the features (13 a second at 224 px)
Found  81 kinds of groceries, three stages of a ResNet-50 v2: 75.5 % on held-out series, 98.0 % under a random split
"""

from jaxdl import FineTune
from jaxdl.data import Data

EXPERIMENT = FineTune(stages=('probe',), data=Data(image_size=256, fractions=(0.85, 0.15, 0.0), split='grouped'))
