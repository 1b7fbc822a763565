"""Run the groups of a study such that nothing is lost.

Every finished chunk is a file; an unfinished chunk has a checkpoint.
"""

import dataclasses
import functools
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from jaxdl import ensemble
from jaxdl.ablation import chunk_files, member_networks
from jaxdl.ablation.planning import Group
from jaxdl.config.experiment import Ablation
from jaxdl.ensemble import Chunk, Hooks, Member, Programs, Result, Training, Workload, scoring
from jaxdl.ensemble.scoring import Predictions
from jaxdl.runtime import checkpoint, distributed, sharding
from jaxdl.runtime.signals import Interrupted
from jaxdl.statistics.metrics import ACCURACY, BUILT_IN, METRICS, Metric
from jaxdl.train import diagnostics, train_step
from jaxdl.workdir.journal import Event
from jaxdl.workdir.records import Devices, GroupRecord

STATE = 'state/'  # of the arrays of a paused member


@dataclasses.dataclass(frozen=True)
class Session:
    """One process that works on a workdir.

    Attributes:
      folder: the workdir.
      devices: of all processes.
      note: writes an event to the journal.
      interrupted: the number of a signal that came, or None.
      checkpoint_seconds: most work that a killed run repeats.
      track: sends numbers of a step to the trackers.
      earlier: events of earlier sessions in the journal.
    """

    folder: pathlib.Path
    devices: Devices
    note: Callable[..., None]
    interrupted: Callable[[], int | None]
    checkpoint_seconds: float
    track: Callable[[Mapping[str, float], int], None]
    earlier: Sequence[Event] = ()


def run_groups(
    session: Session,
    groups: Sequence[Group],
    workload: Workload,
    study: Ablation,
    job: str,
    blocks: np.ndarray | None = None,
    start: Mapping[Member, Result] | None = None,
) -> Iterator[tuple[Group, list[Result], GroupRecord]]:
    """Train groups one after another.

    On an accelerator the host compiles the next group while one trains; on a CPU each would only
    slow down the other.

    Args:
      session: the process.
      groups: of one phase.
      workload: data and number of epochs; one that pauses adds the states to the results.
      study: the ablation under the overrides of this condition.
      job: begins the names of the files in checkpoints/.
      blocks: block of each test image, for the contributions to the metric that decides; None for
        accuracy, or where each seed has a test split of its own.
      start: results of members that were paused at the first epoch of the workload.

    Yields:
      A group, the results of its members in order, and its entry in run.json.
    """
    ahead = session.devices.platform != 'cpu'
    chunks = [group.chunks(session.devices.count) for group in groups]
    files = [
        [
            session.folder / 'checkpoints' / f'{job}-{i}-{number}.npz'
            for number in range(len(chunks[i]))
        ]
        for i in range(len(groups))
    ]
    with ThreadPoolExecutor(1) as host:

        def programs_of(i: int) -> Callable[[], Programs]:
            group = groups[i]
            compiling = functools.cache(
                functools.partial(
                    ensemble.compile_group, group.members, workload, chunks[i][0], group.plan.conv
                )
            )
            lazily = not ahead or all(file.exists() for file in files[i])
            return compiling if lazily else host.submit(compiling).result

        following = programs_of(0) if groups else None
        for i, group in enumerate(groups):
            programs = following
            following = programs_of(i + 1) if i + 1 < len(groups) else None
            results, record = ensemble.run_members(
                group.members,
                workload,
                chunks[i],
                conv=group.plan.conv,
                condition=group.plan.condition,
                phase=group.plan.phase,
                stage=group.plan.stage,
                hooks=_hooks(session, group, study, files[i], workload, blocks, start),
                programs=programs,
            )
            yield group, results, record


def _hooks(
    session: Session,
    group: Group,
    study: Ablation,
    files: Sequence[pathlib.Path],
    workload: Workload,
    blocks: np.ndarray | None,
    start: Mapping[Member, Result] | None,
) -> Hooks:
    """Reading and writing of chunk files, checkpoints, journal, interruption, tests and probes."""
    saved = 0.0

    def facts(indices: np.ndarray) -> dict[str, Any]:
        return dict(
            condition=group.plan.condition,
            phase=group.plan.phase,
            stage=group.plan.stage,
            extension=group.extension,
            options=group.options,
            members=len(np.unique(indices)),
        )

    def read(number: int, indices: np.ndarray) -> Result | None:
        result = chunk_files.read(files[number])
        # If a process has no file, all processes train the chunk.
        missing = bool(distributed.compute_maximum(np.int32(result is None)))
        if result is None or missing:
            return None
        session.note('read', **facts(indices))
        return result

    def before_training(chunk: Chunk) -> None:
        nonlocal saved
        if start:
            members = [group.members[i] for i in chunk.indices.flat]
            _continue(chunk, [start[member] for member in members], workload.first)
        _restore(chunk.training, _folder(files[chunk.number]))
        saved = time.perf_counter()

    def after_epoch(chunk: Chunk) -> None:
        nonlocal saved
        training, folder = chunk.training, _folder(files[chunk.number])
        diverged = int(np.sum(~np.isfinite(training.history['train_loss'][training.epoch - 1])))
        progress = dict(epoch=training.epoch, epochs=workload.last, diverged=diverged)
        if workload.first:
            progress |= dict(first=workload.first)
        session.note('epoch', **facts(chunk.indices), **progress)
        if training.epoch == workload.last:
            return  # the result of a chunk that is done is written instead
        due = time.perf_counter() - saved >= session.checkpoint_seconds
        signal, due = distributed.compute_maximum(
            np.asarray([session.interrupted() or 0, due], np.int32)
        ).tolist()
        if signal or due:
            checkpoint.save(folder, training.epoch, _content(training))
            saved = time.perf_counter()
        if signal:
            raise Interrupted(signal)

    def after_training(chunk: Chunk) -> Result:
        if group.plan.phase == 'tune':
            return _states(chunk) if workload.last < workload.epochs else {}
        arguments = (chunk.training, chunk.programs, chunk.variants, chunk.data)
        result, tested = ensemble.predict(*arguments, 'test')
        if group.plan.phase == 'measure':
            _, validated = ensemble.predict(*arguments, 'val')
            result |= _metrics(study, dict(val=validated, test=tested), workload.metric, blocks)
        elif workload.metric.name != ACCURACY.name:
            result[f'test_{workload.metric.name}'] = scoring.score(workload.metric, tested)
        if group.plan.phase == 'measure' and study.probes:
            result |= _probes(study.probes, chunk, workload.num_classes, group.plan.conv)
        if group.plan.phase == 'measure' and study.keep_networks:
            result |= member_networks.chunk_arrays(chunk)
        return result

    def finished(chunk: Chunk, result: Result) -> None:
        if distributed.is_first():
            chunk_files.write(files[chunk.number], result)
            checkpoint.drop(_folder(files[chunk.number]))
        if signal := distributed.make_maximum(session.interrupted)():
            raise Interrupted(signal)

    return Hooks(
        read=read,
        before_compile=lambda indices: session.note('compile', **facts(indices)),
        before_training=before_training,
        after_epoch=after_epoch,
        after_training=after_training,
        finished=finished,
    )


def _metrics(
    study: Ablation,
    predictions: Mapping[str, Predictions],
    metric: Metric,
    blocks: np.ndarray | None,
) -> Result:
    """All metrics of both splits, and contributions of the test images to the one that decides."""
    result: Result = {}
    for name in dict.fromkeys((*BUILT_IN, *study.metrics, metric.name)):
        for split, of_split in predictions.items():
            result[f'metric.{split}.{name}'] = scoring.score(METRICS[name], of_split)
    if metric.name != ACCURACY.name:
        result[f'test_{metric.name}'] = result[f'metric.test.{metric.name}']
    if blocks is not None:
        result['contributions'] = scoring.contributions(metric, predictions['test'], blocks)
    return result


def _states(chunk: Chunk) -> Result:
    """States of a chunk that is paused: `state/PATH` -> array [row, column, ...]."""
    leaves = jax.tree_util.tree_leaves_with_path(sharding.gather(chunk.training.states))
    return {_name(path): np.asarray(leaf) for path, leaf in leaves}


def _name(path: Any) -> str:
    return STATE + jax.tree_util.keystr(path, simple=True, separator='/')


def _continue(chunk: Chunk, results: Sequence[Result], epoch: int) -> None:
    """Continue members that were paused after an epoch, with their states and histories.

    The program of fewer members may lack parts of the step, and then the states of these parts.
    """
    training, shape = chunk.training, chunk.indices.shape

    def stack(name: str) -> np.ndarray:
        values = [np.asarray(result[name]) for result in results]
        return np.stack(values).reshape(*shape, *values[0].shape)

    training.epoch = epoch
    training.states = jax.tree_util.tree_map_with_path(
        lambda path, _: stack(_name(path)), training.states
    )
    for name in training.history:
        training.history[name][:] = np.moveaxis(stack(name), -1, 0)


def _probes(names: Sequence[str], chunk: Chunk, num_classes: int, conv: str) -> Result:
    """Results of a study's probes, in the process that writes them."""
    end = sharding.gather(chunk.training.states)
    if not distributed.is_first():
        return {}
    module = train_step.module_of(chunk.variants, num_classes, conv)
    states = dict(start=chunk.initial, end=end)
    return diagnostics.compute_diagnostics(names, module, states, chunk.variants, chunk.data)


def _folder(file: pathlib.Path) -> pathlib.Path:
    """Folder of the checkpoint of the chunk whose result goes to `file`."""
    return file.with_suffix('')


def _content(training: Training) -> dict[str, Any]:
    seconds = {name: np.asarray(value) for name, value in training.seconds.items()}
    return dict(states=training.states, history=training.history, seconds=seconds)


def _restore(training: Training, folder: pathlib.Path) -> None:
    """Continue from the checkpoint in `folder`, if there is one."""
    restored = checkpoint.restore(folder, _content(training))
    if restored:
        training.epoch, tree = restored
        training.states = tree['states']
        # In place: the programs and the hooks hold this training.
        training.history = {name: np.array(values) for name, values in tree['history'].items()}
        training.seconds = {name: float(value) for name, value in tree['seconds'].items()}
