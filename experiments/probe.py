"""How good are linear heads on the features of a pretrained network?

Run    python -m jaxdl.main --experiment=probe --dataset=folder:DIR --set=weights=FILE
"""

from jaxdl import FineTune
from jaxdl.data import Data

EXPERIMENT = FineTune(stages=('probe',), data=Data(image_size=256, fractions=(0.85, 0.15, 0.0), split='grouped'))
