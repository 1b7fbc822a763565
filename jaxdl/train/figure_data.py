"""What a report shows of a study beside its results: one row a picture.

Arrays that the report draws.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import augment
from jaxdl.data import Dataset, Splits
from jaxdl.train import losses
from jaxdl.train.variant import Variant

SHOWN = 8  # images of a contact sheet
REACH = 12.0  # how far the logit of the right class goes, down and up

Arrays = dict[str, np.ndarray]


def contact_sheet(dataset: Dataset, splits: Splits, variants: Mapping[str, Variant]) -> Arrays:
    """What each augmentation does to some training images, {name: [SHOWN, height, width, channel]}.

    Of files only.
    """
    chosen = splits.train[
        np.linspace(0, len(splits.train) - 1, min(SHOWN, len(splits.train))).astype(int)
    ]
    if dataset.images.dtype != np.uint8:
        return {}
    images = dataset.images[chosen]
    found = dict(original=images / 255) | augment.contact_sheet(images)
    return {name: np.asarray(images, np.float32) for name, images in found.items()}


def logit_gradients(dataset: Dataset, splits: Splits, variants: Mapping[str, Variant]) -> Arrays:
    """Loss and gradient of each option against the logit of the right class, all other logits 0.

    [option, logit].

    `gradient` is its component on that logit; `best` the least loss found for each option.
    """
    logit = np.linspace(-REACH, REACH, 97)
    classes = len(dataset.class_names)
    points = jnp.zeros((len(logit), classes)).at[:, 0].set(logit)
    targets = losses.targets(jnp.zeros(len(logit), int), classes, 0.0)
    found = [_loss_and_slope(variant.loss, points, targets) for variant in variants.values()]
    loss, gradient = (np.stack([np.asarray(own[i]) for own in found]) for i in (0, 1))
    return dict(
        option=np.asarray(list(variants)),
        logit=logit,
        loss=loss,
        gradient=gradient,
        best=loss.min(1),
    )


PICTURES: dict[str, Callable[[Dataset, Splits, Mapping[str, Variant]], Arrays]] = dict(
    contact_sheet=contact_sheet, logit_gradients=logit_gradients
)


def _loss_and_slope(name: str, logits: jax.Array, targets: jax.Array) -> tuple[Any, Any]:
    loss, back = jax.vjp(lambda logits: losses.LOSSES[name](logits, targets), logits)
    return loss, back(jnp.ones_like(loss))[0][:, 0]
