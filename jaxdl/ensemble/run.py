"""The runner of vmapped members: chunks, initial states, programs, training, results per member.

Ablations, probe heads, theory and the checks before training all run their members here. A caller
adds its work (checkpoints, tests, displays) by hooks.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl.data.on_device import Resident
from jaxdl.ensemble import autotune, chunks, engine
from jaxdl.ensemble.engine import Member, Programs, Training
from jaxdl.runtime import sharding
from jaxdl.statistics.metrics import ACCURACY, Metric
from jaxdl.train import train_step
from jaxdl.train.train_step import Batch, TrainState
from jaxdl.train.variant import Variant, program_key, stack
from jaxdl.workdir.records import GroupRecord

# Of a chunk: name -> tree of arrays [row, column, ...]; of a member: the same without these axes.
Result = dict[str, Any]
# Entries of a chunk's result that are not of a member: scalars.
COSTS = ('seconds_compile', 'seconds_train', 'seconds_evaluate', 'traces')
Watch = Callable[[nn.Module, TrainState, Batch, Variant], Mapping[str, jax.Array]]


@dataclasses.dataclass(frozen=True)
class Workload:
    """Data and length of the training that all members of a group share.

    Attributes:
      data: data on the device, split in one or several ways.
      num_classes: size of the output.
      epochs: passes over the training images, of a whole training.
      splits: numbers of the splits, in the order of `data`.
      metric: measured on the validation split after each epoch, next to loss and accuracy.
      first: epochs that are done already, whose states the caller restores.
      until: epoch after which the training pauses; None: the last.
    """

    data: Resident
    num_classes: int
    epochs: int
    splits: tuple[int, ...] = (0,)
    metric: Metric = ACCURACY
    first: int = 0
    until: int | None = None

    @property
    def last(self) -> int:
        """Epoch after which the training ends or pauses."""
        return self.until or self.epochs

    def data_of(self, members: Sequence[Member], chunk: np.ndarray) -> Resident:
        """Data with the split of each row of a chunk; with one split if the group has only one."""
        rows = [self.splits.index(members[i].split) for i in chunk[:, 0]]
        return self.data.rows(rows[:1] if len({member.split for member in members}) == 1 else rows)


@dataclasses.dataclass
class Chunk:
    """Members of a group that train at the same time, as hooks see them.

    Attributes:
      number: its place among the chunks of the group.
      indices: of its members, int [row, column].
      data: data on the device, with the split of each row.
      variants: leaves [row, column].
      initial: states before the first step, on the host.
      training: states and history so far.
      programs: compiled programs of the group.
    """

    number: int
    indices: np.ndarray
    data: Resident
    variants: Variant
    initial: TrainState
    training: Training
    programs: Programs


def _do_nothing(*_: Any) -> None:
    """A hook that does nothing."""


@dataclasses.dataclass(frozen=True)
class Hooks:
    """Work of a caller around the training of each chunk; by default none.

    Attributes:
      read: (number, indices) -> the result of a chunk that is finished already, or None.
      before_compile: called with the indices of a chunk before its programs are needed.
      before_training: may restore `chunk.training`.
      after_epoch: may save the chunk; raises to stop.
      after_training: (chunk) -> further entries of its result, trees of arrays [row, column, ...].
      finished: (chunk, result) may write the result.
    """

    read: Callable[[int, np.ndarray], Result | None] = _do_nothing
    before_compile: Callable[[np.ndarray], None] = _do_nothing
    before_training: Callable[[Chunk], None] = _do_nothing
    after_epoch: Callable[[Chunk], None] = _do_nothing
    after_training: Callable[[Chunk], Result] = lambda chunk: {}
    finished: Callable[[Chunk, Result], None] = _do_nothing


def group_by_program(members: Sequence[Member]) -> list[list[int]]:
    """Indices of the members of each compiled program, in order of first appearance."""
    groups: dict[Any, list[int]] = {}
    for index, member in enumerate(members):
        groups.setdefault(program_key(member.variant, ()), []).append(index)
    return list(groups.values())


def chunks_in_memory(members: Sequence[Member], member_bytes: int) -> list[np.ndarray]:
    """Chunks of a group, int [row, column], that fit into the memory of the local devices.

    Args:
      members: of one group.
      member_bytes: memory of one member in training.
    """
    devices, limit = jax.local_device_count(), chunks.most_members(member_bytes)
    rows, sides = chunks.layout(
        [member.stream for member in members], devices, limit, chunks.cores_of_a_device()
    )
    return chunks.cut_chunks(rows, sides, devices)


def run_members(
    members: Sequence[Member],
    workload: Workload,
    indices: Sequence[np.ndarray],
    *,
    conv: str = 'auto',
    condition: str = '',
    phase: str = 'train',
    stage: str = '',
    hooks: Hooks = Hooks(),
    programs: Callable[[], Programs] | None = None,
) -> tuple[list[Result], GroupRecord]:
    """Train the members of one group, chunk by chunk.

    Args:
      members: members that share one program.
      workload: data and number of epochs.
      indices: chunks of members, int [row, column] each, all of one shape.
      conv: a row of `models.conv.LOWERINGS`, `none`, or `auto`.
      condition: for the entry in run.json.
      phase: for the entry in run.json.
      stage: of a search, for the entry in run.json.
      hooks: work of the caller.
      programs: gives the compiled programs; called when the first chunk needs them.

    Returns:
      The result of each member in order: the names of HISTORY, float64 [epoch], and what
      `hooks.after_training` added; and the group's entry in run.json.
    """
    compiled = functools.cache(
        programs or functools.partial(compile_group, members, workload, indices[0], conv)
    )
    results = []
    for number, chunk in enumerate(indices):
        result = hooks.read(number, chunk)
        if result is None:
            result = _run_chunk(number, chunk, members, workload, hooks, compiled)
        results.append(result)
    record = _record(members, workload, results, conv, (condition, phase, stage))
    return _by_member(indices, results, len(members)), record


def compile_group(
    members: Sequence[Member], workload: Workload, chunk: np.ndarray, conv: str
) -> Programs:
    """Compile the programs of a group for chunks of one shape."""
    data = workload.data_of(members, chunk)
    return engine.compile_programs(chunk, members, data, workload.num_classes, conv)


def _run_chunk(
    number: int,
    indices: np.ndarray,
    members: Sequence[Member],
    workload: Workload,
    hooks: Hooks,
    compiled: Callable[[], Programs],
) -> Result:
    data = workload.data_of(members, indices)
    shape = data.images.shape[1:]
    initial = engine.initial_states(indices, members, workload.num_classes, shape)
    variants, row_keys = engine.inputs(indices, members)
    hooks.before_compile(indices)
    programs = compiled()
    # The programs overwrite the memory of the states that they are given.
    states = sharding.place(jax.tree.map(np.copy, initial), programs.mesh)
    training = engine.new_training(states, workload.epochs, workload.metric)
    chunk = Chunk(number, indices, data, variants, initial, training, programs)
    hooks.before_training(chunk)
    engine.train(
        training,
        programs,
        variants,
        row_keys,
        data,
        lambda _: hooks.after_epoch(chunk),
        workload.metric,
        workload.until,
    )
    result: Result = {name: np.moveaxis(v, 0, -1) for name, v in training.history.items()}
    result |= hooks.after_training(chunk)
    seconds = dict(training.seconds, compile=programs.seconds)
    programs.seconds = 0.0  # of a group, counted with the first of its chunks
    result |= {f'seconds_{name}': np.asarray(value) for name, value in seconds.items()}
    result['traces'] = np.asarray(programs.traces)
    hooks.finished(chunk, result)
    return result


def _by_member(
    indices: Sequence[np.ndarray], results: Sequence[Result], count: int
) -> list[Result]:
    """Each member's part of its chunk; members that padding repeats have the same result twice."""
    members: list[Result] = [{} for _ in range(count)]
    for chunk, result in zip(indices, results, strict=True):
        trees = {name: value for name, value in result.items() if name not in COSTS}
        for (row, column), member in np.ndenumerate(chunk):
            pick = lambda leaf, place=(row, column): leaf[place]
            members[member] = jax.tree.map(pick, trees)
    return members


def _record(
    members: Sequence[Member],
    workload: Workload,
    results: Sequence[Result],
    conv: str,
    place: tuple[str, str, str],
) -> GroupRecord:
    """Entry in run.json of a group in a place: condition, phase, stage."""
    batch_size = members[0].variant.batch_size
    seconds = {
        name: round(sum(float(result[f'seconds_{name}']) for result in results), 3)
        for name in ('compile', 'train', 'evaluate')
    }
    condition, phase, stage = place
    return GroupRecord(
        condition=condition,
        phase=phase,
        stage=stage,
        options=tuple(dict.fromkeys(member.option for member in members)),
        members=len(members),
        traces=max(int(result['traces']) for result in results),
        steps=(workload.last - workload.first) * engine.steps_per_epoch(workload.data, batch_size),
        batch_size=batch_size,
        compile_seconds=seconds['compile'],
        train_seconds=seconds['train'],
        evaluate_seconds=seconds['evaluate'],
        conv=conv,
    )


@dataclasses.dataclass(frozen=True)
class TrainedMember:
    """A member after its last epoch.

    Attributes:
      member: its variant and seed.
      history: a name of HISTORY -> float64 [epoch].
      watched: results of `watch`, [1 + epoch, ...]: before the first epoch and after each.
      start: state before the first step, NumPy arrays.
      state: state after the last step, NumPy arrays.
    """

    member: Member
    history: Mapping[str, np.ndarray]
    watched: Mapping[str, np.ndarray]
    start: TrainState
    state: TrainState

    def final(self, metric: str) -> float:
        """A metric of HISTORY after the last epoch; NaN if a training loss was not finite."""
        finite = np.isfinite(self.history['train_loss']).all()
        return float(self.history[metric][-1]) if finite else float('nan')


def train_members(
    members: Sequence[Member],
    workload: Workload,
    *,
    watch: Watch | None = None,
    images: int = 256,
    note: Callable[[str], None] = lambda text: None,
) -> tuple[list[TrainedMember], list[GroupRecord]]:
    """Train members of any programs, as many at a time as fit into memory.

    Args:
      members: in any order.
      workload: data and number of epochs.
      watch: (module, state, batch, variant) -> arrays, computed of every member before the first
        epoch and after each.
      images: size of the batch of training images that `watch` sees.
      note: called with a line of progress per group.

    Returns:
      The trained members in the order of `members`, and the groups' entries in run.json.
    """
    trained: dict[int, TrainedMember] = {}
    records = []
    groups = group_by_program(members)
    for number, places in enumerate(groups, 1):
        group = [members[i] for i in places]
        options = list(dict.fromkeys(member.option for member in group))
        more = ', ...' if len(options) > 3 else ''
        note(
            f'training {len(group)} networks ({", ".join(options[:3])}{more}), '
            f'program {number} of {len(groups)}'
        )
        results, record = _train_group(group, workload, watch, images)
        for place, result in zip(places, results, strict=True):
            history = {name: result[name] for name in engine.HISTORY}
            trained[place] = TrainedMember(
                members[place], history, result['watched'], result['start'], result['state']
            )
        records.append(record)
    return [trained[i] for i in range(len(members))], records


def batch_of(data: Resident, indices: jax.Array | np.ndarray) -> Batch:
    """Batch of the images with these indices, int [batch], normalised as in the first split."""
    mask = jnp.ones(len(indices), bool)
    return Batch(data.images[indices], data.labels[indices], mask, data.mean[0], data.std[0])


def _train_group(
    members: Sequence[Member], workload: Workload, watch: Watch | None, images: int
) -> tuple[list[Result], GroupRecord]:
    variant, data = members[0].variant, workload.data
    variants = [member.variant for member in members]
    module = train_step.module_of(variant, workload.num_classes)
    size = chunks.member_bytes(variants, data.images.shape[1:], workload.num_classes, 'auto')
    batch = batch_of(data, data.train[0][:images])
    watched: list[dict[str, np.ndarray]] = []

    def look(chunk: Chunk) -> None:
        if watch:
            values = _apply_watch(watch, module, chunk.training.states, batch, chunk.variants)
            watched.append(jax.tree.map(np.asarray, dict(values)))

    def after_training(chunk: Chunk) -> Result:
        names = watched[0] if watched else ()
        values = {name: np.stack([record[name] for record in watched], 2) for name in names}
        watched.clear()
        state = jax.tree.map(np.asarray, chunk.training.states)
        return dict(watched=values, start=chunk.initial, state=state)

    hooks = Hooks(before_training=look, after_epoch=look, after_training=after_training)
    convolutions = autotune.convolutions(module, (variant.batch_size, *data.images.shape[1:]))
    conv = 'auto' if convolutions else autotune.NONE
    return run_members(members, workload, chunks_in_memory(members, size), conv=conv, hooks=hooks)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _apply_watch(
    watch: Watch, module: nn.Module, states: TrainState, batch: Batch, variants: Variant
) -> Any:
    return jax.vmap(jax.vmap(lambda state, variant: dict(watch(module, state, batch, variant))))(
        states, variants
    )


def map_members(
    function: Callable[..., Mapping[str, Any]],
    members: Sequence[Member],
    image_shape: tuple[int, ...],
    num_classes: int,
    conv: str,
    *shared: Any,
) -> list[Result]:
    """Compute a function of the initial state of each member of one group, without training.

    Args:
      function: (state, variant, *shared, module=...) -> arrays.
      members: members that share one program.
      image_shape: height, width and channels.
      num_classes: size of the output.
      conv: a row of `models.conv.LOWERINGS`, or `auto`.
      *shared: arguments that all members share.

    Returns:
      The arrays of each member, in order.
    """
    variant = members[0].variant
    module = train_step.module_of(variant, num_classes, conv)
    variants = [member.variant for member in members]
    size = chunks.member_bytes(variants, image_shape, num_classes, conv)
    axes = (0, 0, *[None] * len(shared))
    program = jax.jit(jax.vmap(functools.partial(function, module=module), in_axes=axes))
    limit = min(len(members), chunks.most_members(size))
    indices = chunks.cut_chunks(np.arange(len(members))[:, None], (limit, 1), 1)
    results = []
    with jax.default_matmul_precision('highest'):
        for chunk in indices:
            states = engine.initial_states(chunk, members, num_classes, image_shape)
            states = jax.tree.map(lambda leaf: leaf[:, 0], states)
            chunk_variants = stack([variants[i] for i in chunk[:, 0]])
            values = jax.tree.map(np.asarray, dict(program(states, chunk_variants, *shared)))
            results.append(jax.tree.map(lambda leaf: leaf[:, None], values))
    return _by_member(indices, results, len(members))
