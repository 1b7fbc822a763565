"""Measure networks before training: first loss, dead inputs, overfitting, size of the updates."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from jaxdl import ensemble
from jaxdl.data.on_device import Resident
from jaxdl.ensemble import Member, Result
from jaxdl.train import keys, losses, train_step
from jaxdl.train.train_step import Batch, StepConfig, Timeline, TrainState
from jaxdl.train.variant import Variant

IMAGES = 64  # training images for the measurements before the first step
SEEDS = 8  # of the first loss: random weights vary from seed to seed
OVERFIT_IMAGES = 20  # images of the small batch to overfit
OVERFIT_STEPS = 300  # most steps for that
# Steps whose update is measured: after them a momentum of 0.9 has two thirds of its final length.
UPDATE_STEPS = 11
ROUNDING_RUNS = 6  # full trainings that differ in the last bits of the learning rate
# Where no step is taken, options that differ in these fields share a program.
UNTRAINED = dict(optimizer='sgd', schedule='constant')


@dataclasses.dataclass(frozen=True)
class Subject:
    """Data and lowering that all members share.

    Attributes:
      data: on the device, with one split.
      order: indices of the training images in a random order, int [n].
      num_classes: size of the output.
      conv: a row of `models.conv.LOWERINGS`, or `auto`.
    """

    data: Resident
    order: np.ndarray
    num_classes: int
    conv: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels of an image."""
        return self.data.images.shape[1:]

    def batch(self, indices: np.ndarray) -> Batch:
        """Batch of the images with these indices, int [batch] or [step, batch]."""
        mean, std = (
            jnp.broadcast_to(m[0], (*indices.shape[:-1], m.shape[-1]))
            for m in (self.data.mean, self.data.std)
        )
        images, labels = self.data.images[indices], self.data.labels[indices]
        shares = train_step.class_shares(self.data.labels[self.order], self.num_classes)
        shares = jnp.broadcast_to(shares, (*indices.shape[:-1], self.num_classes))
        return Batch(images, labels, jnp.ones(indices.shape, bool), mean, std, shares)

    def measure(
        self, function: Callable[..., Mapping[str, Any]], members: Sequence[Member], *shared: Any
    ) -> list[Result]:
        """`ensemble.map_members` with the images, classes and lowering of this subject."""
        return ensemble.map_members(
            function, members, self.shape, self.num_classes, self.conv, *shared
        )


def measure_rounding(member: Member, subject: Subject, epochs: int) -> list[float]:
    """Train a member several times with learning rates that differ in the last bits of float32.

    The differences are those of rounding, as between two lowerings of a convolution, two sizes of a
    chunk or two machines.

    Args:
      member: with the learning rate of the first training.
      subject: data and classes.
      epochs: length of each training.

    Returns:
      Validation accuracy after the last epoch, per training; NaN for a diverged one.
    """
    rate = np.float32(member.variant.learning_rate)
    rates = [float(rate + k * np.spacing(rate)) for k in range(ROUNDING_RUNS)]
    members = [
        dataclasses.replace(member, variant=dataclasses.replace(member.variant, learning_rate=each))
        for each in rates
    ]
    workload = ensemble.Workload(subject.data, subject.num_classes, epochs, (member.split,))
    trained, _ = ensemble.train_members(members, workload)
    return [each.final('val_accuracy') for each in trained]


def measure_initial_outputs(members: Sequence[Member], subject: Subject) -> list[Result]:
    """Measure each member before its first step, on IMAGES images, in training mode without noise.

    Returns:
      For each member: `loss`, the mean; `spread`, the standard deviation of the logits; `outputs`
      [image, class]; `dead`, the share of inputs (pixels of a channel) whose gradient is 0 in all
      images.
    """
    batch = subject.batch(subject.order[:IMAGES])
    same = [replace_fields(member, batch_size=IMAGES, **UNTRAINED) for member in members]
    return measure_by_program(same, lambda group: subject.measure(_initial_outputs, group, batch))


def measure_overfitting(members: Sequence[Member], subject: Subject) -> list[Result]:
    """Train each member for PATIENCE steps on the same HEART images, without regularisation.

    Returns:
      For each member: `learnt`, the share of correct images in evaluation mode; `steps`, the number
      of steps after which all images were correct in training mode, PATIENCE if they never were.
    """
    labels = np.asarray(subject.data.labels)[subject.order]
    batch = subject.batch(subject.order[balanced_order(labels)[:OVERFIT_IMAGES]])
    plain = train_step.PARTS | dict(label_smoothing=0.0, weight_decay=0.0)
    bare = [
        replace_fields(member, batch_size=OVERFIT_IMAGES, schedule='constant', **plain)
        for member in members
    ]
    return measure_by_program(bare, lambda group: subject.measure(_overfit, group, batch))


def measure_updates(members: Sequence[Member], subject: Subject) -> list[Result]:
    """Measure the first PACES steps of each member at the full learning rate.

    Returns:
      For each member `weights` and `update`, [step, kernel]: norms of the kernels before each step
      and of their changes.
    """

    def measure(group: Sequence[Member]) -> list[Result]:
        parts, size = ensemble.find_optional_parts(group).kinds, group[0].variant.batch_size
        batches = subject.batch(np.resize(subject.order, (UPDATE_STEPS, size)))
        return subject.measure(functools.partial(_update_norms, parts=parts), group, batches)

    return measure_by_program(
        [replace_fields(member, schedule='constant', ema=0.0) for member in members], measure
    )


def balanced_order(labels: np.ndarray) -> np.ndarray:
    """Order of `labels` [n] such that every prefix has all classes as equally as possible."""
    order = np.argsort(labels, kind='stable')
    counts = np.bincount(labels)
    rank = np.empty(len(labels), int)
    rank[order] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.lexsort((labels, rank))


def replace_fields(member: Member, **overrides: Any) -> Member:
    """A member with fields of its variant replaced."""
    return dataclasses.replace(member, variant=dataclasses.replace(member.variant, **overrides))


def measure_by_program(
    members: Sequence[Member], measure: Callable[[list[Member]], list[Result]]
) -> list[Result]:
    """Call `measure` with the members of each program; results in the order of `members`."""
    results: dict[int, Result] = {}
    for places in ensemble.group_by_program(members):
        results |= zip(places, measure([members[i] for i in places]), strict=True)
    return [results[i] for i in range(len(members))]


def _initial_outputs(
    state: TrainState, variant: Variant, batch: Batch, *, module: nn.Module
) -> Mapping[str, Any]:
    def loss_of(images: jax.Array) -> tuple[jax.Array, jax.Array]:
        return loss_and_logits(
            module, variant, train_step.variables_of(state), images, batch.labels
        )

    loss, back, logits = jax.vjp(loss_of, train_step.normalize_batch(batch), has_aux=True)
    dead = (back(jnp.ones_like(loss))[0] == 0).all(0).mean()
    return dict(
        loss=loss,
        dead=dead,
        spread=logits.std(),
        outputs=losses.LOSSES[variant.loss].activation(logits),
    )


def _overfit(
    state: TrainState, variant: Variant, batch: Batch, *, module: nn.Module
) -> Mapping[str, Any]:
    step = functools.partial(train_step.train_step, config=StepConfig(module, ()))

    def body(state: TrainState, _: None) -> tuple[TrainState, jax.Array]:
        state, step_metrics = step(state, batch, variant, keys.seed_key(0), Timeline(OVERFIT_STEPS))
        return state, step_metrics.sums.correct == step_metrics.sums.count

    state, right = lax.scan(body, state, None, length=OVERFIT_STEPS)
    sums, _ = train_step.eval_step(state, batch, variant, module=module)
    steps = jnp.where(right.any(), jnp.argmax(right), OVERFIT_STEPS)
    return dict(learnt=sums.correct / sums.count * jnp.isfinite(sums.loss), steps=steps)


def _update_norms(
    state: TrainState,
    variant: Variant,
    batches: Batch,
    *,
    module: nn.Module,
    parts: tuple[str, ...],
) -> Mapping[str, Any]:
    step = functools.partial(train_step.train_step, config=StepConfig(module, parts))
    timeline = Timeline(len(batches.labels))

    def body(state: TrainState, batch: Batch) -> tuple[TrainState, tuple[jax.Array, jax.Array]]:
        after, _ = step(state, batch, variant, keys.seed_key(0), timeline)
        return after, (
            _norms(jax.tree.map(jnp.subtract, after.params, state.params)),
            _norms(state.params),
        )

    _, (updates, weights) = lax.scan(body, state, batches)
    return dict(update=updates, weights=weights)


def _norms(params: Any) -> jax.Array:
    """Norm of every kernel, [kernel]."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return jnp.stack(
        [jnp.linalg.norm(leaf.ravel()) for path, leaf in leaves if path[-1].key == 'kernel']
    )


def loss_and_logits(
    module: nn.Module,
    variant: Variant,
    variables: Mapping[str, Any],
    images: jax.Array,
    labels: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Mean loss of normalised images and their logits, independent of the training step."""
    others = [name for name in variables if name != 'params']
    logits, _ = train_step.apply(module, variant, variables, images, train=True, mutable=others)
    num_classes = module.num_classes  # type: ignore[attr-defined]
    targets = losses.targets(labels, num_classes, variant.label_smoothing)
    return losses.LOSSES[variant.loss](logits, targets).mean(), logits
