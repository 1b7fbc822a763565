"""Augmentation inside the compiled step: traced strengths, paired noise, identity at strength 0.

Pure functions on images, float [n, height, width, channel] in [0, 1]; `AUGMENTATIONS` draws their
parameters. May import native, fields and errors. Interface: the names below.
"""

from jaxdl.augment.colour import adjust_brightness as adjust_brightness
from jaxdl.augment.colour import adjust_contrast as adjust_contrast
from jaxdl.augment.colour import adjust_hue as adjust_hue
from jaxdl.augment.colour import adjust_saturation as adjust_saturation
from jaxdl.augment.crop import centre_boxes as centre_boxes
from jaxdl.augment.crop import random_boxes as random_boxes
from jaxdl.augment.crop import resized_crop as resized_crop
from jaxdl.augment.geometry import flip as flip
from jaxdl.augment.geometry import rotate as rotate
from jaxdl.augment.geometry import translate as translate
from jaxdl.augment.geometry import warp as warp
from jaxdl.augment.mixing import Box as Box
from jaxdl.augment.mixing import cutmix as cutmix
from jaxdl.augment.mixing import erase as erase
from jaxdl.augment.mixing import mixup as mixup
from jaxdl.augment.table import AUGMENTATIONS as AUGMENTATIONS
from jaxdl.augment.table import OWN as OWN
from jaxdl.augment.table import augment as augment
from jaxdl.augment.table import contact_sheet as contact_sheet
