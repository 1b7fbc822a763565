"""The engine: all members of a group train at the same time, one compiled program per epoch.

vmap over the members, scan over the steps; the data set stays on the device. Members are laid out
[row, column]. A row shares its seed and therefore its batches, which keeps the first layer one
dense product. Rows are sharded over the devices.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxdl.data.on_device import Part, Resident
from jaxdl.ensemble.scoring import Predictions, score
from jaxdl.runtime import sharding
from jaxdl.statistics.metrics import ACCURACY, Metric
from jaxdl.train import keys, metrics, train_step
from jaxdl.train.metrics import Metrics
from jaxdl.train.train_step import (
    Batch,
    Outputs,
    StepConfig,
    Timeline,
    TrainState,
    init_state,
    module_of,
)
from jaxdl.train.variant import Variant, stack


@dataclasses.dataclass(frozen=True)
class Member:
    """One (variant, seed) training run.

    Attributes:
      option: name of the option.
      seed: seed of the repetition.
      variant: all settings, at the learning rate of this run.
      split: number of the random split of the data: 0, 1, ...
    """

    option: str
    seed: int
    variant: Variant
    split: int = 0

    @property
    def stream(self) -> tuple[int, int, int]:
        """Seeds of data order and noise, and the split: equal for the members of a row."""
        seed = self.seed + self.variant.seed_offset
        return seed + self.variant.order_offset, seed + self.variant.noise_offset, self.split


class Keys(NamedTuple):
    """Root keys of the random streams `order` and noise (`augment`, `dropout`), [row]."""

    order: jax.Array
    noise: jax.Array


@dataclasses.dataclass(frozen=True)
class OptionalParts:
    """Optional parts of the step in the program of a group.

    Attributes:
      kinds: parts that at least one member uses (`train_step.parts_of`).
      even: those that change images with equal strength in all members, computed once per row.
    """

    kinds: tuple[str, ...] = ()
    even: tuple[str, ...] = ()


def find_optional_parts(members: Sequence[Member]) -> OptionalParts:
    """Optional parts of a whole group, since all of its chunks run the same program."""
    kinds = train_step.parts_of([member.variant for member in members])
    even = [
        k
        for k in kinds
        if k in train_step.ON_IMAGES and len({getattr(m.variant, k) for m in members}) == 1
    ]
    return OptionalParts(kinds, tuple(even))


@dataclasses.dataclass
class Programs:
    """Compiled programs of a group in one phase.

    Attributes:
      epoch: trains one epoch.
      evaluate: loss, accuracy, correct images and logits of a split.
      mesh: devices that share the rows.
      traces: how often the training program was traced.
      seconds: time of tracing and compiling.
    """

    epoch: Callable[..., tuple[TrainState, Metrics]]
    evaluate: Callable[..., tuple[Metrics, Outputs]]
    mesh: Mesh
    traces: int
    seconds: float


@dataclasses.dataclass
class Training:
    """A chunk in training, and the content of its checkpoint.

    Attributes:
      epoch: epochs that are done.
      states: leaves [row, column, ...].
      history: a name of HISTORY, or `val_` and a metric -> float64 [epoch, row, column]; NaN for
        epochs to come.
      seconds: `train` and `evaluate`.
    """

    epoch: int
    states: TrainState
    history: dict[str, np.ndarray]
    seconds: dict[str, float]


HISTORY = tuple(
    f'{split}_{metric}' for split in ('train', 'val') for metric in ('loss', 'accuracy')
)


def steps_per_epoch(data: Resident, batch_size: int) -> int:
    """Number of whole batches in the training images; every epoch leaves out another rest."""
    return data.train.shape[-1] // batch_size


def initial_states(
    chunk: np.ndarray, members: Sequence[Member], num_classes: int, image_shape: tuple[int, ...]
) -> TrainState:
    """States before the first step, on the host.

    Args:
      chunk: indices into `members`, int [row, column].
      members: of one group.
      num_classes: size of the output.
      image_shape: height, width and channels.

    Returns:
      A state with NumPy leaves [row, column, ...].
    """
    module, parts = module_of(members[0].variant, num_classes), find_optional_parts(members).kinds
    states: dict[tuple[Any, ...], TrainState] = {}

    def state(member: Member) -> TrainState:
        # Initial weights depend on nothing else: all learning rates of a seed share them.
        variant = member.variant
        seed = member.seed + variant.seed_offset + variant.init_offset
        key = (seed, variant.init, variant.init_scale, variant.init_from)
        if key not in states:
            states[key] = init_state(variant, member.seed, module, image_shape, parts)
        return states[key]

    flat = [state(members[i]) for i in chunk.flat]
    return jax.tree.map(
        lambda *leaves: np.stack(leaves).reshape(*chunk.shape, *leaves[0].shape), *flat
    )


def new_training(states: TrainState, epochs: int, metric: Metric = ACCURACY) -> Training:
    """Training of a chunk before its first step, for so many epochs."""
    shape = (epochs, *states.step.shape)
    names = dict.fromkeys((*HISTORY, f'val_{metric.name}'))
    history = {name: np.full(shape, np.nan) for name in names}
    return Training(0, states, history, dict(train=0.0, evaluate=0.0))


def inputs(chunk: np.ndarray, members: Sequence[Member]) -> tuple[Variant, Keys]:
    """Variants, leaves [row, column], and root keys [row], of a chunk."""
    variants = stack([members[i].variant for i in chunk.flat])
    variants = jax.tree.map(lambda leaf: leaf.reshape(chunk.shape), variants)
    order, noise, _ = zip(*(members[i].stream for i in chunk[:, 0]), strict=True)
    return variants, Keys(
        *(jnp.stack([keys.seed_key(seed) for seed in seeds]) for seeds in (order, noise))
    )


def compile_programs(
    chunk: np.ndarray,
    members: Sequence[Member],
    data: Resident,
    num_classes: int,
    conv: str = 'auto',
) -> Programs:
    """Compile training and evaluation for chunks of this shape; each is traced once.

    Args:
      chunk: indices into `members`, int [row, column]; only shapes and static fields count.
      members: all members of the group.
      data: data on the device, with the splits of the chunk.
      num_classes: size of the output.
      conv: a row of `models.conv.LOWERINGS`, or `auto`.

    Returns:
      The programs, which `train`, `test` and `predict` run.
    """
    began, traces = time.perf_counter(), []
    variants, row_keys = inputs(chunk, members)
    noise, mesh = find_optional_parts(members), sharding.member_mesh(len(chunk))
    module = module_of(variants, num_classes, conv)
    steps = steps_per_epoch(data, variants.batch_size)
    rows, everywhere = PartitionSpec(sharding.MEMBER), PartitionSpec()
    apart = rows if len(data.train) > 1 else everywhere  # each row has a split of the data
    specs: Any = data._replace(
        images=everywhere,
        labels=everywhere,
        train=apart,
        val=apart,
        test=apart,
        mean=apart,
        std=apart,
    )

    def epoch(
        states: TrainState,
        variants: Variant,
        key: jax.Array,
        order: jax.Array,
        data: Resident,
        timeline: Timeline,
    ) -> Any:
        traces.append('epoch')
        config = StepConfig(module, noise.kinds)
        return _epoch(config, states, variants, key, timeline, order, data, noise.even)

    def evaluate(states: TrainState, variants: Variant, data: Resident, part: Part) -> Any:
        return _evaluate(
            functools.partial(train_step.predict_step, module=module), states, variants, data, part
        )

    shard = functools.partial(jax.shard_map, mesh=mesh, out_specs=rows, check_vma=False)
    train = jax.jit(
        shard(epoch, in_specs=(rows, rows, rows, rows, specs, everywhere)), donate_argnums=0
    )
    measure = jax.jit(shard(evaluate, in_specs=(rows, rows, specs, apart)))
    states = _abstract_states(chunk, members, num_classes, data.images.shape[1:], mesh)
    variants, row_keys = sharding.place((variants, row_keys), mesh)
    data = _place_data(data, mesh)
    shape = (len(row_keys.order), steps, variants.batch_size)
    order = sharding.place(jnp.zeros(shape, jnp.int32), mesh)
    with jax.default_matmul_precision(
        'highest'
    ):  # on a GPU the default is TF32; on a CPU this changes nothing
        lowered = [
            measure.lower(states, variants, data, data.val),
            train.lower(states, variants, row_keys.noise, order, data, _timeline(steps, mesh)),
        ]
    with (
        ThreadPoolExecutor() as pool
    ):  # XLA leaves one of two cores partly idle while it compiles one program
        measured, compiled = pool.map(lambda program: program.compile(), lowered)
    return Programs(compiled, measured, mesh, traces.count('epoch'), time.perf_counter() - began)


def _abstract_states(
    chunk: np.ndarray,
    members: Sequence[Member],
    num_classes: int,
    image_shape: tuple[int, ...],
    mesh: Mesh,
) -> TrainState:
    """Shapes and sharding of the states of a chunk; no initial weight is drawn."""
    variant = members[0].variant
    module, parts = module_of(variant, num_classes), find_optional_parts(members).kinds
    state = jax.eval_shape(lambda: init_state(variant, 0, module, image_shape, parts))
    rows = NamedSharding(mesh, PartitionSpec(sharding.MEMBER))
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((*chunk.shape, *leaf.shape), leaf.dtype, sharding=rows),
        state,
    )


def train(
    training: Training,
    programs: Programs,
    variants: Variant,
    row_keys: Keys,
    data: Resident,
    after_epoch: Callable[[Training], None],
    metric: Metric = ACCURACY,
    until: int | None = None,
) -> None:
    """Train a chunk to its last epoch; `training` is changed in place.

    Args:
      training: the chunk, before its first step or restored from a checkpoint.
      programs: of the chunk's group.
      variants: leaves [row, column].
      row_keys: root keys [row].
      data: data on the device, with the splits of the chunk.
      after_epoch: called after the validation of each epoch; raises to stop.
      metric: measured on the validation split after each epoch, next to loss and accuracy.
      until: epoch after which the training pauses, under the schedule of all epochs; None: the
        last.
    """
    host = data
    mesh, steps = programs.mesh, steps_per_epoch(data, variants.batch_size)
    training.states, variants, row_keys = sharding.place(
        (training.states, variants, row_keys), mesh
    )
    data = _place_data(data, mesh)
    epochs = len(training.history['train_loss'])
    timeline = _timeline(steps * epochs, mesh)
    while training.epoch < (until or epochs):
        began = time.perf_counter()
        order = sharding.place(
            _order(row_keys.order, training.epoch, data.train, steps, variants.batch_size), mesh
        )
        training.states, sums = programs.epoch(
            training.states, variants, row_keys.noise, order, data, timeline
        )
        _record(training, 'train', sums)
        trained = time.perf_counter()
        sums, outputs = programs.evaluate(training.states, variants, data, data.val)
        _record(training, 'val', sums)
        if metric.name != ACCURACY.name:
            predictions = _predictions(host, host.val, [sharding.gather(outputs.logits)])
            training.history[f'val_{metric.name}'][training.epoch] = score(metric, predictions)
        training.seconds['train'] += trained - began
        training.seconds['evaluate'] += time.perf_counter() - trained
        training.epoch += 1
        after_epoch(training)


def test(
    training: Training, programs: Programs, variants: Variant, data: Resident
) -> dict[str, np.ndarray]:
    """Evaluate a trained chunk on the test split: loss and accuracy.

    Args:
      training: the chunk; the seconds of the evaluation are added to it.
      programs: of the chunk's group.
      variants: leaves [row, column].
      data: data on the device, with the splits of the chunk.

    Returns:
      `test_loss`, `test_accuracy` float64 [row, column] and `correct` bool [row, column, image].
      Rows with fewer test images than others end in False.
    """
    return predict(training, programs, variants, data, 'test')[0]


def predict(
    training: Training, programs: Programs, variants: Variant, data: Resident, split: str
) -> tuple[dict[str, np.ndarray], Predictions]:
    """Evaluate a trained chunk on a split.

    Args:
      training: the chunk; the seconds of the evaluation are added to it.
      programs: of the chunk's group.
      variants: leaves [row, column].
      data: data on the device, with the splits of the chunk.
      split: `val` or `test`.

    Returns:
      Loss, accuracy and correct images, as `test` returns them, and the logits.
    """
    began = time.perf_counter()
    part: Part = getattr(data, split)
    states, variants = sharding.place((training.states, variants), programs.mesh)
    mask, placed = np.asarray(part.mask), _place_data(data, programs.mesh)
    sums, outputs = zip(
        *(
            sharding.gather(programs.evaluate(states, variants, placed, piece))
            for piece in _place_pieces(data, part, programs.mesh)
        ),
        strict=True,
    )
    total = jax.tree.map(lambda *terms: np.sum(terms, axis=0, dtype=np.float64), *sums)
    result = {f'{split}_{name}': value for name, value in total.means().items()}
    most = int(mask.sum((1, 2)).max())  # the images of a split come first, then the padding
    correct = np.concatenate([each.correct for each in outputs], axis=2) & mask[:, None]
    result['correct'] = correct.reshape(*correct.shape[:2], -1)[..., :most]
    predictions = _predictions(data, part, [each.logits for each in outputs])
    training.seconds['evaluate'] += time.perf_counter() - began
    return result, predictions


def _predictions(data: Resident, part: Part, logits: Sequence[jax.Array]) -> Predictions:
    """Logits [row, column, step, batch, class] of the pieces of a split, as those of its images."""
    stacked = np.concatenate([np.asarray(piece) for piece in logits], axis=2)
    indices, mask = (np.asarray(leaf).reshape(len(leaf), -1) for leaf in part)
    return Predictions(
        stacked.reshape(*stacked.shape[:2], -1, stacked.shape[-1]),
        np.asarray(data.labels)[indices],
        mask,
    )


def _place_pieces(data: Resident, part: Part, mesh: Mesh) -> list[Part]:
    """Cut a split into pieces of the shape of `data.val`, which the compiled evaluation takes."""
    place = sharding.place if len(part.mask) > 1 else sharding.replicate
    host, steps = jax.tree.map(np.asarray, part), data.val.mask.shape[1]
    return [
        place(Part(*(leaf[:, first : first + steps] for leaf in host)), mesh)
        for first in range(0, host.mask.shape[1], steps)
    ]


def _place_data(data: Resident, mesh: Mesh) -> Resident:
    """The images on every device; the splits on the devices of the rows that they belong to."""
    place = sharding.place if len(data.train) > 1 else sharding.replicate
    splits: Any = data._replace(images=None, labels=None)  # type: ignore[arg-type]
    images, labels = sharding.replicate((data.images, data.labels), mesh)
    return place(splits, mesh)._replace(images=images, labels=labels)


def _timeline(steps: int, mesh: Mesh) -> Timeline:
    return sharding.replicate(Timeline(np.int32(steps), np.int32(0)), mesh)


def _record(training: Training, split: str, sums: Metrics) -> None:
    for name, value in _means(sums).items():
        training.history[f'{split}_{name}'][training.epoch] = value


def _means(sums: Metrics) -> dict[str, np.ndarray]:
    """Means in float64, so that an accuracy is exactly the share of correct images."""
    return jax.tree.map(lambda x: np.asarray(x, np.float64), sharding.gather(sums)).means()


@functools.partial(jax.jit, static_argnums=(3, 4))
def _order(row_keys: jax.Array, epoch: int, train: jax.Array, steps: int, size: int) -> jax.Array:
    """Indices of the images of every step of an epoch, int32 [row, step, batch].

    A separate program, compiled once for all groups: in the training program the sort would take
    each group a quarter of a second to compile.
    """

    def order(key: jax.Array, train: jax.Array) -> jax.Array:
        key = jax.random.fold_in(keys.fold(key, 'order'), epoch)
        return jax.random.permutation(key, train)[: steps * size].reshape(steps, size)

    return jax.vmap(order)(row_keys, jnp.broadcast_to(train, (len(row_keys), train.shape[-1])))


def _epoch(
    config: StepConfig,
    states: TrainState,
    variants: Variant,
    key: jax.Array,
    timeline: Timeline,
    order: jax.Array,
    data: Resident,
    even: Sequence[str] = (),
) -> tuple[TrainState, Metrics]:
    """Train one epoch.

    Args:
      config: what is fixed in the program.
      states: leaves [row, column, ...].
      variants: leaves [row, column, ...].
      key: root keys of the noise, [row].
      timeline: steps of the whole training.
      order: indices of the images, int32 [row, step, batch].
      data: data on this device.
      even: fields of `variants` that are equal in all members.

    Returns:
      The states after the epoch, and sums of the metrics, [row, column].
    """
    rows, _, size = order.shape
    # Strengths that all members share have no column axis: the augmented batch is computed once per
    # row.
    columns = dataclasses.replace(jax.tree.map(lambda _: 0, variants), **dict.fromkeys(even))
    shared = {name: jax.tree.map(lambda x: x[:, 0], getattr(variants, name)) for name in even}
    variants = dataclasses.replace(variants, **shared)
    step = functools.partial(train_step.train_step, config=config)
    step = jax.vmap(jax.vmap(step, in_axes=(0, None, columns, None, None)), (0, 0, 0, 0, None))
    mean, std = (
        jnp.broadcast_to(moment, (rows, moment.shape[-1])) for moment in (data.mean, data.std)
    )
    shares = None
    if {'class_weights', 'logit_adjustment'} & set(config.parts):
        shares = _class_shares(data, rows, config.module)

    def body(states: TrainState, indices: jax.Array) -> tuple[TrainState, Metrics]:
        batch = Batch(
            data.images[indices],
            data.labels[indices],
            jnp.ones((rows, size), bool),
            mean,
            std,
            shares,
        )
        states, step_metrics = step(states, batch, variants, key, timeline)
        return states, step_metrics.sums

    states, sums = lax.scan(body, states, order.swapaxes(0, 1))
    return states, metrics.merge(sums)


def _class_shares(data: Resident, rows: int, module: Any) -> jax.Array:
    """Shares of the classes among the training images of each row, [row, class]."""
    shares = jax.vmap(lambda train: train_step.class_shares(data.labels[train], module.num_classes))
    return jnp.broadcast_to(shares(data.train), (rows, module.num_classes))


def _evaluate(
    step: Callable[..., Any], states: TrainState, variants: Variant, data: Resident, part: Part
) -> tuple[Metrics, Any]:
    """Sums of the metrics over a split, [row, column], and values per image.

    The values are [row, column, step, batch]; the images are padded to whole batches.
    """
    shared = len(part.mask) == 1  # one split for all rows, and therefore the same batches
    step = jax.vmap(jax.vmap(step, in_axes=(0, None, 0)), in_axes=(0, None if shared else 0, 0))

    def body(part: Part) -> tuple[Metrics, Any]:
        batch = Batch(
            data.images[part.indices], data.labels[part.indices], part.mask, data.mean, data.std
        )
        return step(
            states, jax.tree.map(lambda leaf: leaf[0], batch) if shared else batch, variants
        )

    sums, outputs = lax.map(body, jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), part))
    return metrics.merge(sums), jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, 2), outputs)
