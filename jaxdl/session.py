"""Running groups so that nothing is lost: every finished chunk is on disk, an unfinished one has a checkpoint."""

import dataclasses
import io
import pathlib
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl import checkpoint, ensemble, groups, workdir
from jaxdl.data.resident import Resident
from jaxdl.ensemble import Programs, Training
from jaxdl.groups import Group
from jaxdl.signals import Interrupted

Outcome = dict[str, np.ndarray]  # of a chunk: what every member measured [epoch, row, column], its seconds


@dataclasses.dataclass(frozen=True)
class Session:
    """One process at work on a workdir."""

    workdir: pathlib.Path
    plan: Mapping[str, Any]
    note: Callable[..., None]  # the journal
    interrupted: Callable[[], int | None]
    checkpoint_seconds: float


@dataclasses.dataclass(frozen=True)
class Study:
    """The data of one condition, on the device."""

    data: Resident
    num_classes: int
    epochs: int


def run_group(session: Session, found: Group, study: Study, job: str) -> tuple[list[Outcome], dict[str, Any]]:
    """Trains a group chunk by chunk; gives each member's outcome, in order, and the group's entry in run.json.

    A chunk that a session before this one finished is read, not trained again.
    """
    chunks = groups.cut(session.plan, found)
    files = [session.workdir / 'checkpoints' / f'{job}-{number}.npz' for number in range(len(chunks))]
    outcomes, programs = [], None
    for file, chunk in zip(files, chunks, strict=True):
        outcome = _read(file)
        if outcome is not None:
            session.note('read', **_facts(found, chunk))
        else:
            outcome, programs = _run_chunk(session, found, study, chunk, file, programs)
        outcomes.append(outcome)
    return _by_member(chunks, outcomes, len(found.members)), _entry(
        found, study, outcomes, groups.planned(session.plan, found)['conv']
    )


def _run_chunk(
    session: Session, found: Group, study: Study, chunk: np.ndarray, file: pathlib.Path, programs: Programs | None
) -> tuple[Outcome, Programs]:
    members, folder = found.members, file.with_suffix('')
    training = ensemble.start(chunk, members, study.data, study.num_classes, study.epochs)
    variants, row_keys = ensemble.inputs(chunk, members)
    facts = _facts(found, chunk)
    compile_seconds = 0.0
    if programs is None:
        session.note('compile', **facts)
        programs = ensemble.compile_programs(
            variants, row_keys, training.states, study.data, study.num_classes, study.epochs,
            groups.planned(session.plan, found)['conv'],
        )  # fmt: skip
        compile_seconds = programs.seconds
    _resume(training, folder)
    saved = time.perf_counter()

    def after_epoch(training: Training) -> None:
        nonlocal saved
        lost = int(np.sum(~np.isfinite(training.history['train_loss'][training.epoch - 1])))
        session.note('epoch', **facts, epoch=training.epoch, epochs=study.epochs, diverged=lost)
        if training.epoch == study.epochs:
            return  # a chunk that is done is written, not checkpointed
        signal = session.interrupted()
        if signal or time.perf_counter() - saved >= session.checkpoint_seconds:
            _save(training, folder)
            saved = time.perf_counter()
        if signal:
            raise Interrupted(signal)

    ensemble.train(training, programs, variants, row_keys, study.data, after_epoch)
    outcome: Outcome = dict(training.history)
    if found.phase == 'measure':
        outcome |= ensemble.test(training, programs, variants, study.data)
    seconds = dict(training.seconds, compile=compile_seconds)
    outcome |= {f'seconds_{name}': np.asarray(value) for name, value in seconds.items()}
    outcome['traces'] = np.asarray(programs.traces)
    _write(file, outcome)
    checkpoint.drop(folder)
    if signal := session.interrupted():
        raise Interrupted(signal)
    return outcome, programs


def _facts(found: Group, chunk: np.ndarray) -> dict[str, Any]:
    return dict(condition=found.condition, phase=found.phase, options=found.options, members=len(np.unique(chunk)))


def _save(training: Training, folder: pathlib.Path) -> None:
    tree = dict(states=training.states, history=training.history, seconds=_arrays(training.seconds))
    checkpoint.save(folder, training.epoch, tree)


def _resume(training: Training, folder: pathlib.Path) -> None:
    like = dict(states=training.states, history=training.history, seconds=_arrays(training.seconds))
    found = checkpoint.restore(folder, like)
    if found:
        training.epoch, tree = found
        training.states, training.history = tree['states'], {k: np.array(v) for k, v in tree['history'].items()}
        training.seconds = {name: float(value) for name, value in tree['seconds'].items()}


def _arrays(seconds: Mapping[str, float]) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in seconds.items()}


def _write(file: pathlib.Path, outcome: Outcome) -> None:
    content = io.BytesIO()
    np.savez(content, **outcome)  # type: ignore[arg-type]
    workdir.write(file, content.getvalue())


def _read(file: pathlib.Path) -> Outcome | None:
    """A finished chunk; None where there is none, or where it cannot be read: it is then trained again."""
    try:
        with file.open('rb') as stream, np.load(stream) as content:
            return dict(content)
    except FileNotFoundError:
        return None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        print(f'jaxdl: {file.name} cannot be read ({type(error).__name__}): its chunk is trained again')
        return None


def _by_member(chunks: Sequence[np.ndarray], outcomes: Sequence[Outcome], count: int) -> list[Outcome]:
    """Each member's own part of its chunk; what padding repeated is the same twice."""
    found: list[Outcome] = [{} for _ in range(count)]
    for chunk, outcome in zip(chunks, outcomes, strict=True):
        for (row, column), member in np.ndenumerate(chunk):
            histories = {k: outcome[k][:, row, column] for k in ensemble.HISTORY}
            tested = {k: v[row, column] for k, v in outcome.items() if k.startswith('test_') or k == 'correct'}
            found[member] = histories | tested
    return found


def _entry(found: Group, study: Study, outcomes: Sequence[Outcome], conv: str) -> dict[str, Any]:
    def total(name: str) -> float:
        return round(sum(float(o[f'seconds_{name}']) for o in outcomes), 3)

    size = found.members[0].variant.batch_size
    return dict(
        condition=found.condition, phase=found.phase, options=found.options, members=len(found.members),
        traces=max(int(o['traces']) for o in outcomes),
        steps=study.epochs * ensemble.steps_per_epoch(study.data, size), batch_size=size,
        compile_seconds=total('compile'), train_seconds=total('train'), evaluate_seconds=total('evaluate'),
        conv=conv,
    )  # fmt: skip
