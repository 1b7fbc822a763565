"""What is measured of a network before it trains.

Members that share a program are measured by one, many at once.
"""

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
from jaxdl.ablation import planning
from jaxdl.data.on_device import Resident
from jaxdl.ensemble import Member, chunks
from jaxdl.train import keys, losses, train_step
from jaxdl.train.train_step import Batch, StepConfig, Timeline, TrainState
from jaxdl.train.variant import Variant, program_key, stack

IMAGES = 64  # that a network is asked about before its first step
SEEDS = 8  # of the first loss, which one set of random weights says little about
HEART = 20  # images to learn by heart
PATIENCE = 300  # steps for that
PACES = (
    11  # steps whose length is measured: by then a momentum of 0.9 is two thirds of what it will be
)
UNTRAINED = dict(
    optimizer='sgd', schedule='constant'
)  # where no step is taken, options that differ in it share a program

Question = Callable[..., Mapping[str, Any]]
Answers = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Subject:
    """What all members share: the data on the device, the training images in a random order.

    And the lowering.
    """

    data: Resident
    order: np.ndarray
    num_classes: int
    conv: str

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.images.shape[1:]

    def batch(self, indices: np.ndarray) -> Batch:
        """The batch of these images; of several lists of them, [..., batch], as many batches."""
        mean, std = (
            jnp.broadcast_to(m[0], (*indices.shape[:-1], m.shape[-1]))
            for m in (self.data.mean, self.data.std)
        )
        images, labels = self.data.images[indices], self.data.labels[indices]
        shares = train_step.class_shares(self.data.labels[self.order], self.num_classes)
        shares = jnp.broadcast_to(shares, (*indices.shape[:-1], self.num_classes))
        return Batch(images, labels, jnp.ones(indices.shape, bool), mean, std, shares)


def beginnings(members: Sequence[Member], subject: Subject) -> list[Answers]:
    """Of each member before its first step, on IMAGES images, in training mode and without noise.

    `loss`: its mean. `spread`: the standard deviation of the logits. `outputs`: what the network
    says, [image, class]. `dead`: the share of inputs (pixels of a channel) without any gradient in
    any image.
    """
    batch = subject.batch(subject.order[:IMAGES])
    same = [set_in(member, batch_size=IMAGES, **UNTRAINED) for member in members]
    return by_program(same, lambda own: asked(_beginning, own, subject, batch))


def by_heart(members: Sequence[Member], subject: Subject) -> list[Answers]:
    """Of each member after PATIENCE steps on HEART images, all in every step.

    Without regularisation.

    `learnt`: the share of them that is right in evaluation mode. `steps`: the steps after which all
    were right in training for the first time, PATIENCE where they never were.
    """
    labels = np.asarray(subject.data.labels)[subject.order]
    batch = subject.batch(subject.order[balanced(labels)[:HEART]])
    plain = train_step.PARTS | dict(label_smoothing=0.0, weight_decay=0.0)
    bare = [set_in(member, batch_size=HEART, schedule='constant', **plain) for member in members]
    return by_program(bare, lambda own: asked(_learning, own, subject, batch))


def strides(members: Sequence[Member], subject: Subject) -> list[Answers]:
    """`weights` and `update`, [step, kernel]: norms before each of the first steps, and of those.

    At the full rate.
    """

    def ask(own: Sequence[Member]) -> Answers:
        parts, size = ensemble.noise_of(own).kinds, own[0].variant.batch_size
        batches = subject.batch(np.resize(subject.order, (PACES, size)))
        return asked(functools.partial(_stride, parts=parts), own, subject, batches)

    return by_program([set_in(member, schedule='constant', ema=0.0) for member in members], ask)


def balanced(labels: np.ndarray) -> np.ndarray:
    """Order of `labels` [n] in which every prefix has all classes as equally as possible."""
    order = np.argsort(labels, kind='stable')
    counts = np.bincount(labels)
    rank = np.empty(len(labels), int)
    rank[order] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.lexsort((labels, rank))


def set_in(member: Member, **overrides: Any) -> Member:
    """The member with fields of its variant replaced."""
    return dataclasses.replace(member, variant=dataclasses.replace(member.variant, **overrides))


def by_program(members: Sequence[Member], ask: Callable[[list[Member]], Answers]) -> list[Answers]:
    """`ask` of the members of each program; its answers, [member, ...].

    One by one in the order of `members`.
    """
    sharing: dict[Any, list[int]] = {}
    for index, member in enumerate(members):
        sharing.setdefault(program_key(member.variant, ()), []).append(index)
    found: dict[int, Answers] = {}
    for indices in sharing.values():
        answers = ask([members[i] for i in indices])
        found |= {
            i: {name: own[place] for name, own in answers.items()}
            for place, i in enumerate(indices)
        }
    return [found[i] for i in range(len(members))]


def asked(question: Question, members: Sequence[Member], subject: Subject, *shared: Any) -> Answers:
    """question(state, variant, *shared, module=...) of members of one program, each answer [member.

    ...].
    """
    variant = members[0].variant
    module = train_step.module_of(variant, subject.num_classes, subject.conv)
    size = planning.member_bytes(variant, subject.shape, subject.num_classes, subject.conv)
    axes = (0, 0, *[None] * len(shared))
    program = jax.jit(jax.vmap(functools.partial(question, module=module), in_axes=axes))
    found = []
    with jax.default_matmul_precision('highest'):
        for chunk in chunks.cut(
            np.arange(len(members))[:, None], (min(len(members), chunks.at_once(size)), 1), 1
        ):
            own = [members[i] for i in chunk[:, 0]]
            states = states_of(own, module, subject.shape)
            found.append(
                jax.tree.map(np.asarray, program(states, stack([m.variant for m in own]), *shared))
            )
    return jax.tree.map(lambda *pieces: np.concatenate(pieces)[: len(members)], *found)


def states_of(members: Sequence[Member], module: nn.Module, shape: tuple[int, ...]) -> TrainState:
    """Their states before the first step as one, leaves [member, ...]."""
    states = [
        train_step.init_state(member.variant, member.seed, module, shape) for member in members
    ]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *states)


def _beginning(
    state: TrainState, variant: Variant, batch: Batch, *, module: nn.Module
) -> Mapping[str, Any]:
    def loss_of(images: jax.Array) -> tuple[jax.Array, jax.Array]:
        return loss_and_logits(
            module, variant, train_step.variables_of(state), images, batch.labels
        )

    loss, back, logits = jax.vjp(loss_of, train_step.normalised(batch), has_aux=True)
    dead = (back(jnp.ones_like(loss))[0] == 0).all(0).mean()
    return dict(
        loss=loss,
        dead=dead,
        spread=logits.std(),
        outputs=losses.LOSSES[variant.loss].activation(logits),
    )


def _learning(
    state: TrainState, variant: Variant, batch: Batch, *, module: nn.Module
) -> Mapping[str, Any]:
    step = functools.partial(train_step.train_step, config=StepConfig(module, ()))

    def body(state: TrainState, _: None) -> tuple[TrainState, jax.Array]:
        state, step_metrics = step(state, batch, variant, keys.seed_key(0), Timeline(PATIENCE))
        return state, step_metrics.sums.correct == step_metrics.sums.count

    state, right = lax.scan(body, state, None, length=PATIENCE)
    found, _ = train_step.eval_step(state, batch, variant, module=module)
    steps = jnp.where(right.any(), jnp.argmax(right), PATIENCE)
    return dict(learnt=found.correct / found.count * jnp.isfinite(found.loss), steps=steps)


def _stride(
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
    """Of every kernel, [kernel]."""
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
    """The mean loss of normalised images and their logits.

    Spelled out apart from the training step.
    """
    logits, _ = module.apply(variables, images, train=True, mutable=['batch_stats'])
    targets = losses.targets(labels, module.num_classes, variant.label_smoothing)  # type: ignore[attr-defined]
    return losses.LOSSES[variant.loss](logits, targets).mean(), logits
