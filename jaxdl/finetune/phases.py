"""Phases of a fine-tuning: sizes of the images, and which layers learn, from step to step."""

import dataclasses

from jaxdl.config.recipe import Recipe
from jaxdl.models.network import Network
from jaxdl.train import masks, train_step
from jaxdl.train.settings import StepOptions, StepSettings, TrainSettings
from jaxdl.train.train_step import StepConfig, Timeline

# Layers that learn in the last phase (Touvron et al. 2019, "Fixing the train-test resolution").
LAST_PHASE = ('norm', 'head')


@dataclasses.dataclass(frozen=True)
class Phase:
    """Steps of one program.

    Attributes:
      start: first step.
      stop: the step after the last one.
      size: side of the images in pixels.
      learns: `all` layers, or the last ones only (`fixed`).
    """

    start: int
    stop: int
    size: int
    learns: str = 'all'


def phases(recipe: Recipe, per_epoch: int, stop_epoch: int | None = None) -> list[Phase]:
    """The programs of a run, one after another.

    Args:
      recipe: its `sizes` and `train_size` take equal shares of the epochs, rounded down.
      per_epoch: steps per epoch.
      stop_epoch: epoch after which patience ends the training of all layers; the last phase, of
        `fix_epochs`, then begins there.
    """
    sizes = (*recipe.sizes, recipe.train_size)
    epochs = recipe.epochs if stop_epoch is None else stop_epoch
    ends = [min(recipe.epochs * (i + 1) // len(sizes), epochs) for i in range(len(sizes))]
    starts = [0, *ends[:-1]]
    plan = [
        Phase(start * per_epoch, end * per_epoch, size)
        for start, end, size in zip(starts, ends, sizes, strict=True)
        if start < end
    ]
    if recipe.fix_epochs:
        stop = (epochs + recipe.fix_epochs) * per_epoch
        plan.append(Phase(epochs * per_epoch, stop, recipe.eval_size, 'fixed'))
    return plan


def step_settings(settings: TrainSettings, recipe: Recipe) -> StepSettings:
    """All that the training step reads, of the two records that hold it."""
    options = {f.name: getattr(recipe, f.name) for f in dataclasses.fields(StepOptions)}
    shared = {f.name: getattr(settings, f.name) for f in dataclasses.fields(TrainSettings)}
    weights, adjusted = recipe.imbalance == 'weights', recipe.imbalance == 'logit_adjustment'
    return StepSettings(
        **shared,
        **options,
        class_weights=float(weights),
        logit_adjustment=recipe.adjustment if adjusted else 0.0,
    )


def step_config(
    module: Network, settings: StepSettings, recipe: Recipe, phase: Phase, per_epoch: int
) -> StepConfig:
    """Fixed settings of the training program of a phase."""
    last = phase.learns == 'fixed'
    return StepConfig(
        module,
        train_step.parts_of([settings]),
        image_size=phase.size,
        centre=module.preprocessing.crop if last else None,
        learning=LAST_PHASE if last else (),
        norms=_batch_norms(module, recipe, last),
        unfreeze_steps=0.0 if last else recipe.unfreeze_epochs * per_epoch,
        precision=recipe.precision,
    )


def timeline(recipe: Recipe, phase: Phase, per_epoch: int) -> Timeline:
    """The schedule of a phase: one for all layers, and one more for the last phase."""
    if phase.learns == 'fixed':
        return Timeline(phase.stop - phase.start, phase.start)
    return Timeline(recipe.epochs * per_epoch)


def _batch_norms(module: Network, recipe: Recipe, last: bool) -> bool | tuple[str, ...]:
    """Stages whose norms take the statistics of the batch: those that learn, or none."""
    if recipe.norms != 'batch' or last:
        return False
    if not recipe.frozen:
        return True
    names, frozen = module.architecture.stage_names, {*recipe.frozen}
    if masks.EARLY in recipe.frozen:
        last = [name for name in names if name != masks.NORM][-1]
        frozen |= {name for name in names if name not in (masks.NORM, last)}
    return tuple(name for name in names if name not in frozen)
