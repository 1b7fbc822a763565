"""Arrays of the figures that a report draws next to the results of a study: one row each."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import augment
from jaxdl.data import Dataset, Splits
from jaxdl.data.preprocess import to_float
from jaxdl.train import losses
from jaxdl.train.variant import Variant

SHEET = 8  # images of a contact sheet
REACH = 12.0  # largest logit of the correct class, in both directions

Arrays = dict[str, np.ndarray]


def contact_sheet(dataset: Dataset, splits: Splits, variants: Mapping[str, Variant]) -> Arrays:
    """Training images under each augmentation, {name: [SHEET, height, width, channel]}.

    Images of the unit interval only, that is of bytes; otherwise empty.
    """
    chosen = splits.train[
        np.linspace(0, len(splits.train) - 1, min(SHEET, len(splits.train))).astype(int)
    ]
    if dataset.images.dtype != np.uint8:
        return {}
    images = to_float(dataset.images[chosen])
    sheet = dict(original=images) | augment.contact_sheet(images)
    return {name: np.asarray(images, np.float32) for name, images in sheet.items()}


def logit_gradients(dataset: Dataset, splits: Splits, variants: Mapping[str, Variant]) -> Arrays:
    """Loss of each option as a function of the logit of the correct class, all other logits 0.

    Returns:
      option [option], logit [logit], loss [option, logit], gradient [option, logit] (the derivative
      by that logit), and best [option], the least loss.
    """
    logit = np.linspace(-REACH, REACH, 97)
    classes = len(dataset.class_names)
    points = jnp.zeros((len(logit), classes)).at[:, 0].set(logit)
    targets = losses.targets(jnp.zeros(len(logit), int), classes, 0.0)
    pairs = [_loss_and_derivative(variant.loss, points, targets) for variant in variants.values()]
    loss, gradient = (np.stack([np.asarray(pair[i]) for pair in pairs]) for i in (0, 1))
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


def _loss_and_derivative(name: str, logits: jax.Array, targets: jax.Array) -> tuple[Any, Any]:
    loss, back = jax.vjp(lambda logits: losses.LOSSES[name](logits, targets), logits)
    return loss, back(jnp.ones_like(loss))[0][:, 0]
