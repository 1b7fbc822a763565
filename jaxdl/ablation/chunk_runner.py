"""Running groups so that nothing is lost: every finished chunk is on disk.

An unfinished one has a checkpoint.
"""

import dataclasses
import functools
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from jaxdl import ensemble
from jaxdl.ablation import chunk_files, planning
from jaxdl.ablation.chunk_files import Outcome
from jaxdl.ablation.planning import Group
from jaxdl.data.on_device import Resident
from jaxdl.ensemble import Member, Programs, Training
from jaxdl.runtime import checkpoint, distributed, sharding
from jaxdl.runtime.signals import Interrupted
from jaxdl.train import diagnostics as probes
from jaxdl.train import train_step


@dataclasses.dataclass(frozen=True)
class Session:
    """One process at work on a workdir."""

    workdir: pathlib.Path
    plan: Mapping[str, Any]
    note: Callable[..., None]  # the journal
    interrupted: Callable[[], int | None]
    checkpoint_seconds: float
    tell: Callable[[Mapping[str, float], int], None]  # the trackers


@dataclasses.dataclass(frozen=True)
class Study:
    """The data of one condition, on the device.

    And the numbers of the ways in which they are split.
    """

    data: Resident
    splits: tuple[int, ...]
    num_classes: int
    epochs: int
    probes: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()

    def of(self, members: Sequence[Member], chunk: np.ndarray) -> Resident:
        """The data of a chunk: split once where a group splits them once.

        Else anew for every row.
        """
        rows = [self.splits.index(members[i].split) for i in chunk[:, 0]]
        return self.data.rows(rows[:1] if len({member.split for member in members}) == 1 else rows)


def run_groups(
    session: Session, found: Sequence[Group], study: Study, job: str
) -> Iterator[tuple[Group, list[Outcome], dict[str, Any]]]:
    """Trains groups one after another; gives each with its members' outcomes, in order.

    And its entry in run.json.

    On an accelerator the host compiles the next group while one trains; on a CPU each would only
    slow the other.
    """
    ahead = session.plan['devices']['platform'] != 'cpu'
    chunks = [planning.cut(session.plan, group) for group in found]
    names = [
        [f'{job}-{i}-{number}.npz' for number in range(len(own))] for i, own in enumerate(chunks)
    ]
    files = [[session.workdir / 'checkpoints' / name for name in own] for own in names]
    with ThreadPoolExecutor(1) as host:

        def start(i: int) -> Callable[[], Programs]:
            compiling = functools.cache(
                functools.partial(_compile, session, study, found[i], chunks[i][0])
            )
            lazily = not ahead or all(file.exists() for file in files[i])
            return compiling if lazily else host.submit(compiling).result

        ready = start(0) if found else None
        for i, group in enumerate(found):
            programs, ready = ready, start(i + 1) if i + 1 < len(found) else None
            assert programs is not None
            yield group, *_run_group(session, study, group, chunks[i], files[i], programs)


def _run_group(
    session: Session,
    study: Study,
    found: Group,
    chunks: Sequence[np.ndarray],
    files: Sequence[pathlib.Path],
    programs: Callable[[], Programs],
) -> tuple[list[Outcome], dict[str, Any]]:
    """Chunk by chunk; one that a session before this one finished is read, not trained again."""
    results = []
    for file, chunk in zip(files, chunks, strict=True):
        outcome = chunk_files.read(file)
        missing = bool(
            distributed.most(np.int32(outcome is None))
        )  # in any process: then all of them train it
        if outcome is not None and not missing:
            session.note('read', **_facts(found, chunk))
        else:
            outcome = _run_chunk(session, study, found, chunk, file, programs)
        results.append(outcome)
    return chunk_files.by_member(chunks, results, len(found.members)), _entry(
        session, found, study, results
    )


def _compile(session: Session, study: Study, found: Group, chunk: np.ndarray) -> Programs:
    data = study.of(found.members, chunk)
    training = ensemble.start(chunk, found.members, data, study.num_classes, study.epochs)
    variants, row_keys = ensemble.inputs(chunk, found.members)
    noise, conv = ensemble.noise_of(found.members), planning.planned(session.plan, found)['conv']
    return ensemble.compile_programs(
        variants,
        row_keys,
        training.states,
        data,
        study.num_classes,
        noise,
        conv,
        study.metrics if found.phase == 'measure' else (),
    )


def _run_chunk(
    session: Session,
    study: Study,
    found: Group,
    chunk: np.ndarray,
    file: pathlib.Path,
    compiled: Callable[[], Programs],
) -> Outcome:
    members, folder, data = found.members, file.with_suffix(''), study.of(found.members, chunk)
    training = ensemble.start(chunk, members, data, study.num_classes, study.epochs)
    variants, row_keys = ensemble.inputs(chunk, members)
    facts = _facts(found, chunk)
    session.note('compile', **facts)
    programs = compiled()
    training.states = sharding.place(training.states, programs.mesh)
    _resume(training, folder)
    saved = time.perf_counter()

    def after_epoch(training: Training) -> None:
        nonlocal saved
        lost = int(np.sum(~np.isfinite(training.history['train_loss'][training.epoch - 1])))
        session.note('epoch', **facts, epoch=training.epoch, epochs=study.epochs, diverged=lost)
        if training.epoch == study.epochs:
            return  # a chunk that is done is written, not checkpointed
        due = time.perf_counter() - saved >= session.checkpoint_seconds
        signal, due = distributed.most(
            np.asarray([session.interrupted() or 0, due], np.int32)
        ).tolist()
        if signal or due:
            _save(training, folder)
            saved = time.perf_counter()
        if signal:
            raise Interrupted(signal)

    ensemble.train(training, programs, variants, row_keys, data, after_epoch)
    outcome: Outcome = dict(training.history)
    if found.phase != 'tune':
        outcome |= ensemble.test(training, programs, variants, data)
    if found.phase == 'measure':
        outcome |= ensemble.score(training, programs, variants, data)
    if found.phase == 'measure' and study.probes:
        outcome |= _probed(session, study, found, chunk, training)
    seconds = dict(training.seconds, compile=programs.seconds)
    programs.seconds = 0.0  # of a group, counted with the first of its chunks
    outcome |= {f'seconds_{name}': np.asarray(value) for name, value in seconds.items()}
    outcome['traces'] = np.asarray(programs.traces)
    if distributed.first():
        chunk_files.write(file, outcome)
        checkpoint.drop(folder)
    if signal := distributed.together(session.interrupted)():
        raise Interrupted(signal)
    return outcome


def _probed(
    session: Session, study: Study, found: Group, chunk: np.ndarray, training: Training
) -> Outcome:
    """What the members of a trained chunk answer to the study's probes.

    Asked by the process that writes it down.
    """
    end = sharding.gathered(training.states)
    if not distributed.first():
        return {}
    data, variants = study.of(found.members, chunk), ensemble.inputs(chunk, found.members)[0]
    start = ensemble.start(chunk, found.members, data, study.num_classes, study.epochs).states
    module = train_step.module_of(
        variants, study.num_classes, planning.planned(session.plan, found)['conv']
    )
    return probes.ask(study.probes, module, dict(start=start, end=end), variants, data)


def _facts(found: Group, chunk: np.ndarray) -> dict[str, Any]:
    return dict(
        condition=found.condition,
        phase=found.phase,
        options=found.options,
        members=len(np.unique(chunk)),
    )


def _save(training: Training, folder: pathlib.Path) -> None:
    tree = dict(states=training.states, history=training.history, seconds=_arrays(training.seconds))
    checkpoint.save(folder, training.epoch, tree)


def _resume(training: Training, folder: pathlib.Path) -> None:
    like = dict(states=training.states, history=training.history, seconds=_arrays(training.seconds))
    found = checkpoint.restore(folder, like)
    if found:
        training.epoch, tree = found
        training.states, training.history = (
            tree['states'],
            {k: np.array(v) for k, v in tree['history'].items()},
        )
        training.seconds = {name: float(value) for name, value in tree['seconds'].items()}


def _arrays(seconds: Mapping[str, float]) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in seconds.items()}


def _entry(
    session: Session, found: Group, study: Study, results: Sequence[Outcome]
) -> dict[str, Any]:
    def total(name: str) -> float:
        return round(sum(float(o[f'seconds_{name}']) for o in results), 3)

    size = found.members[0].variant.batch_size
    return dict(
        condition=found.condition,
        phase=found.phase,
        options=found.options,
        members=len(found.members),
        traces=max(int(o['traces']) for o in results),
        steps=study.epochs * ensemble.steps_per_epoch(study.data, size),
        batch_size=size,
        compile_seconds=total('compile'),
        train_seconds=total('train'),
        evaluate_seconds=total('evaluate'),
        conv=planning.planned(session.plan, found)['conv'],
    )
