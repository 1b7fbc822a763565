"""The engine: all members of a group train at once, in one compiled program an epoch.

vmap over the members, scan over the steps, the data set resident on the device. Members are laid
out [row, column]: a row shares its seed and so its batches, which keeps the first layer one dense
product; rows are sharded over devices.
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
from jax.sharding import Mesh, PartitionSpec

from jaxdl.data.on_device import Part, Resident
from jaxdl.runtime import sharding
from jaxdl.train import keys, metrics, train_step
from jaxdl.train.metrics import Metrics
from jaxdl.train.train_step import Batch, StepConfig, Timeline, TrainState, init_state, module_of
from jaxdl.train.variant import Variant, stack


@dataclasses.dataclass(frozen=True)
class Member:
    """One (variant, seed) run; `variant` holds the learning rate that is in force."""

    option: str
    seed: int
    variant: Variant
    split: int = 0  # which of the ways to split the data: 0, 1, ...

    @property
    def stream(self) -> tuple[int, int, int]:
        """What members of one row share, and so their batches: the seeds of order and noise.

        And the split.
        """
        seed = self.seed + self.variant.seed_offset
        return seed + self.variant.order_offset, seed + self.variant.noise_offset, self.split


class Keys(NamedTuple):
    """The root keys of the random streams of every row: of the order of the data.

    And of the noise in a step.
    """

    order: jax.Array
    noise: jax.Array


@dataclasses.dataclass(frozen=True)
class Noise:
    """What a group's program draws at random: its kinds.

    And those of equal strength in all members.

    The latter are done once a row, for all of its members.
    """

    kinds: tuple[str, ...] = ()
    even: tuple[str, ...] = ()


def noise_of(members: Sequence[Member]) -> Noise:
    """Of a whole group, since all of its chunks run the same program."""
    kinds = train_step.parts_of([member.variant for member in members])
    even = [
        k
        for k in kinds
        if k in train_step.ON_IMAGES and len({getattr(m.variant, k) for m in members}) == 1
    ]
    return Noise(kinds, tuple(even))


@dataclasses.dataclass
class Programs:
    """The compiled programs of a group in one phase."""

    epoch: Callable[..., tuple[TrainState, Metrics]]
    evaluate: Callable[..., tuple[Metrics, jax.Array]]
    mesh: Mesh
    traces: int
    seconds: float
    score: Callable[..., dict[str, jax.Array]] | None = (
        None  # of the metrics that a study registers
    )


@dataclasses.dataclass
class Training:
    """A chunk in training: what a checkpoint holds.

    `history` has float64 [epoch, row, column] for each metric.
    """

    epoch: int
    states: TrainState
    history: dict[str, np.ndarray]
    seconds: dict[str, float]


HISTORY = tuple(
    f'{split}_{metric}' for split in ('train', 'val') for metric in ('loss', 'accuracy')
)


def steps_per_epoch(data: Resident, batch_size: int) -> int:
    """Whole batches in the training images; the ragged rest, another one every epoch.

    Is left out.
    """
    return data.train.shape[-1] // batch_size


def start(
    chunk: np.ndarray, members: Sequence[Member], data: Resident, num_classes: int, epochs: int
) -> Training:
    """The states before the first step of `chunk`, int [row, column] of indices into `members`."""
    module, shape = module_of(members[0].variant, num_classes), data.images.shape[1:]
    parts = train_step.parts_of([member.variant for member in members])

    @functools.cache
    def state(index: int) -> TrainState:
        return init_state(members[index].variant, members[index].seed, module, shape, parts)

    flat = [state(int(index)) for index in chunk.flat]
    states = jax.tree.map(
        lambda *leaves: np.stack(leaves).reshape(*chunk.shape, *leaves[0].shape), *flat
    )
    history = {name: np.full((epochs, *chunk.shape), np.nan) for name in HISTORY}
    return Training(0, states, history, dict(train=0.0, evaluate=0.0))


def inputs(chunk: np.ndarray, members: Sequence[Member]) -> tuple[Variant, Keys]:
    """The variants, leaves [row, column], and the root keys [row], of a chunk."""
    variants = stack([members[i].variant for i in chunk.flat])
    variants = jax.tree.map(lambda leaf: leaf.reshape(chunk.shape), variants)
    order, noise, _ = zip(*(members[i].stream for i in chunk[:, 0]), strict=True)
    return variants, Keys(
        *(jnp.stack([keys.seed_key(seed) for seed in seeds]) for seeds in (order, noise))
    )


def compile_programs(
    variants: Variant,
    row_keys: Keys,
    states: TrainState,
    data: Resident,
    num_classes: int,
    noise: Noise,
    conv: str = 'auto',
    names: Sequence[str] = (),
) -> Programs:
    """Compiles training and evaluation for chunks of this shape; each is traced once.

    `names` are of METRICS.
    """
    began, traces = time.perf_counter(), []
    mesh = sharding.member_mesh(len(row_keys.order))
    module = module_of(variants, num_classes, conv)
    steps = steps_per_epoch(data, variants.batch_size)
    rows, whole = PartitionSpec(sharding.MEMBER), PartitionSpec()
    apart = rows if len(data.train) > 1 else whole  # rows that split the data each in their own way
    held: Any = Resident(*(whole, whole, *[apart] * 5))  # type: ignore[arg-type]

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
            functools.partial(train_step.eval_step, module=module), states, variants, data, part
        )

    def score(states: TrainState, variants: Variant, data: Resident, part: Part) -> Any:
        step = functools.partial(train_step.score_step, module=module, names=names)
        return _evaluate(step, states, variants, data, part)[1]

    shard = functools.partial(jax.shard_map, mesh=mesh, out_specs=rows, check_vma=False)
    train = jax.jit(shard(epoch, in_specs=(rows, rows, rows, rows, held, whole)), donate_argnums=0)
    measure, scored = (
        jax.jit(shard(f, in_specs=(rows, rows, held, apart))) for f in (evaluate, score)
    )
    states, variants, row_keys = sharding.place((states, variants, row_keys), mesh)
    data = _held(data, mesh)
    shape = (len(row_keys.order), steps, variants.batch_size)
    order = sharding.place(jnp.zeros(shape, jnp.int32), mesh)
    with jax.default_matmul_precision(
        'highest'
    ):  # on a GPU the default is TF32; on a CPU this changes nothing
        lowered = [
            measure.lower(states, variants, data, data.val),
            train.lower(states, variants, row_keys.noise, order, data, _timeline(steps, mesh)),
        ]
        if names:
            lowered.append(scored.lower(states, variants, data, data.val))
    with (
        ThreadPoolExecutor() as pool
    ):  # XLA leaves a part of two cores idle while it compiles one program
        measured, compiled, *rest = pool.map(lambda program: program.compile(), lowered)
    return Programs(
        compiled, measured, mesh, traces.count('epoch'), time.perf_counter() - began, *rest
    )


def train(
    training: Training,
    programs: Programs,
    variants: Variant,
    row_keys: Keys,
    data: Resident,
    after_epoch: Callable[[Training], None],
) -> None:
    """Trains a chunk from where it stands to its last epoch; `after_epoch` may save it, show it.

    Or raise to stop.
    """
    mesh, steps = programs.mesh, steps_per_epoch(data, variants.batch_size)
    training.states, variants, row_keys = sharding.place(
        (training.states, variants, row_keys), mesh
    )
    data = _held(data, mesh)
    timeline = _timeline(steps * len(training.history['train_loss']), mesh)
    while training.epoch < len(training.history['train_loss']):
        began = time.perf_counter()
        order = sharding.place(
            _order(row_keys.order, training.epoch, data.train, steps, variants.batch_size), mesh
        )
        training.states, found = programs.epoch(
            training.states, variants, row_keys.noise, order, data, timeline
        )
        _record(training, 'train', found)
        trained = time.perf_counter()
        _record(training, 'val', programs.evaluate(training.states, variants, data, data.val)[0])
        training.seconds['train'] += trained - began
        training.seconds['evaluate'] += time.perf_counter() - trained
        training.epoch += 1
        after_epoch(training)


def test(
    training: Training, programs: Programs, variants: Variant, data: Resident
) -> dict[str, np.ndarray]:
    """`test_loss`, `test_accuracy` [row, column] and `correct`, bool [row, column, image].

    Of a trained chunk.

    Where rows split the data each in their own way, those that test on fewer images end in False.
    """
    began = time.perf_counter()
    states, variants = sharding.place((training.states, variants), programs.mesh)
    mask, data = np.asarray(data.test.mask), _held(data, programs.mesh)
    found, correct = programs.evaluate(states, variants, data, data.test)
    result = {f'test_{name}': value for name, value in _means(found).items()}
    most = int(mask.sum((1, 2)).max())  # the images of a part come first, then the padding
    correct = np.asarray(sharding.gathered(correct)) & mask[:, None]
    result['correct'] = correct.reshape(*correct.shape[:2], -1)[..., :most]
    training.seconds['evaluate'] += time.perf_counter() - began
    return result


def score(
    training: Training, programs: Programs, variants: Variant, data: Resident
) -> dict[str, np.ndarray]:
    """The study's own metrics of a trained chunk: `own.SPLIT.NAME`, the mean over images.

    Float64 [row, column].
    """
    if not programs.score:
        return {}
    states, variants = sharding.place((training.states, variants), programs.mesh)
    data, found = _held(data, programs.mesh), {}
    for split, part in dict(val=data.val, test=data.test).items():
        mask = np.asarray(sharding.gathered(part.mask))[:, None]
        for name, values in sharding.gathered(programs.score(states, variants, data, part)).items():
            means = np.where(mask, np.asarray(values, np.float64), 0.0).sum((2, 3)) / mask.sum(
                (2, 3)
            )
            found[f'own.{split}.{name}'] = means
    return found


def _held(data: Resident, mesh: Mesh) -> Resident:
    """The images on every device; the splits with the rows that they belong to."""
    place = sharding.place if len(data.train) > 1 else sharding.replicate
    whole, apart = sharding.replicate(tuple(data[:2]), mesh), place(tuple(data[2:]), mesh)
    return Resident(*whole, *apart)  # type: ignore[arg-type]


def _timeline(steps: int, mesh: Mesh) -> Timeline:
    return sharding.replicate(Timeline(np.int32(steps), np.int32(0)), mesh)


def _record(training: Training, split: str, found: Metrics) -> None:
    for name, value in _means(found).items():
        training.history[f'{split}_{name}'][training.epoch] = value


def _means(found: Metrics) -> dict[str, np.ndarray]:
    """Divided in float64, so that an accuracy is exactly the share of the images that are right."""
    return jax.tree.map(lambda x: np.asarray(x, np.float64), sharding.gathered(found)).means()


@functools.partial(jax.jit, static_argnums=(3, 4))
def _order(row_keys: jax.Array, epoch: int, train: jax.Array, steps: int, size: int) -> jax.Array:
    """The images of every step of an epoch, int32 [row, step, batch].

    A program of its own, compiled once for all groups: the sort would take each of them a quarter
    of a second.
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
    """One epoch; states and variants [row, column, ...], key [row].

    The sums of the metrics are [row, column].
    """
    rows, _, size = order.shape
    # Strengths that all members share have no column: what they do to a batch is then done once a
    # row.
    columns = dataclasses.replace(jax.tree.map(lambda _: 0, variants), **dict.fromkeys(even))
    variants = dataclasses.replace(
        variants, **{name: getattr(variants, name)[:, 0] for name in even}
    )
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

    states, found = lax.scan(body, states, order.swapaxes(0, 1))
    return states, metrics.merge(found)


def _class_shares(data: Resident, rows: int, module: Any) -> jax.Array:
    """Shares of the classes among the training images of each row, [row, class]."""
    shares = jax.vmap(lambda train: train_step.class_shares(data.labels[train], module.num_classes))
    return jnp.broadcast_to(shares(data.train), (rows, module.num_classes))


def _evaluate(
    step: Callable[..., Any], states: TrainState, variants: Variant, data: Resident, part: Part
) -> tuple[Metrics, Any]:
    """Metrics [row, column] over a part, and what a step says of its (padded) images, [row, column.

    Step, batch].
    """
    shared = len(part.mask) == 1  # by all rows, whose batches are then one
    step = jax.vmap(jax.vmap(step, in_axes=(0, None, 0)), in_axes=(0, None if shared else 0, 0))

    def body(part: Part) -> tuple[Metrics, Any]:
        batch = Batch(
            data.images[part.indices], data.labels[part.indices], part.mask, data.mean, data.std
        )
        return step(
            states, jax.tree.map(lambda leaf: leaf[0], batch) if shared else batch, variants
        )

    found, correct = lax.map(body, jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), part))
    return metrics.merge(found), jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, 2), correct)
