"""Estimate the time of a probe and of a fine-tuning from one timed batch of the network."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxdl.config.experiment import FineTune
from jaxdl.finetune import probe, setup
from jaxdl.finetune.phases import Phase
from jaxdl.finetune.setup import Backbone
from jaxdl.runtime import speed

BATCH = 8  # images of the timed batch
# Time of a training step, in forward passes of its images (BUILD_NOTES.md, "Residual networks
# against timm": 3.7 and 4.3).
STEP = 4.0


def estimate_seconds(
    experiment: FineTune,
    network: Backbone,
    images: int,
    train: int,
    classes: int,
    phases: Sequence[Phase],
) -> tuple[float, float]:
    """Estimate the seconds of the probe and of the training of a fine-tuning.

    Decoding of files, compilation and the final artifacts are not counted.

    Args:
      experiment: with all settings.
      network: the pretrained network, of which a batch is timed.
      images: number of images.
      train: number of training images.
      classes: number of classes.
      phases: of the training; none for a probe alone.

    Returns:
      Seconds of the probe with its features, and of the training of all networks.
    """
    side, settings = setup.probe_size(experiment, network), experiment.probe
    per_pixel = _forward_seconds(network, side) / side**2
    extracted = images * (1 + settings.flips) * side**2 * per_pixel
    products = 6 * settings.passes * train * network.module.architecture.features * classes
    heads = products * probe.count_heads(experiment) * speed.product_seconds()
    recipe, batch_size = experiment.finetune, experiment.variant.batch_size
    pixels = sum((phase.stop - phase.start) * batch_size * phase.size**2 for phase in phases)
    evaluated = recipe.epochs * (images - train) * recipe.eval_size**2 if phases else 0
    refitted = recipe.refit_epochs * images * recipe.train_size**2 if phases else 0
    runs = recipe.folds * recipe.seeds
    training = (runs * (STEP * pixels + evaluated) + STEP * refitted) * per_pixel
    return extracted + heads, training


def _forward_seconds(network: Backbone, side: int) -> float:
    """Seconds per image of a forward pass at this side in pixels."""
    forward = jax.jit(lambda x: network.module.apply(network.variables, x, train=False))
    return speed.measure_seconds(forward, jnp.zeros((BATCH, side, side, 3))) / BATCH
