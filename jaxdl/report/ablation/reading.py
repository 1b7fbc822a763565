"""From the files of a finished workdir to a study, checked."""

import collections
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxdl import workdir as folder
from jaxdl.errors import InputError
from jaxdl.report.ablation.study import Study
from jaxdl.statistics import protocol
from jaxdl.workdir import tables
from jaxdl.workdir.tables import Row

CONFIG = (
    'name',
    'scale',
    'question',
    'factor',
    'baseline',
    'options',
    'why',
    'conditions',
    'variant',
    'data',
    'learning_rates',
    'seeds',
    'tuning_seeds',
    'epochs',
)
PLAN = ('data',)
RUN = (
    'command',
    'git',
    'date',
    'versions',
    'device',
    'seconds',
    'groups',
    'results_rows',
    'resumed',
    'finished',
)
CORRECT = ('correct', 'tested', 'image', 'condition', 'option', 'seed')


def kind(workdir: pathlib.Path) -> str:
    """The kind of experiment that a workdir holds; InputError where it holds none."""
    if not workdir.is_dir():
        raise InputError(f'{workdir} holds no run: give the --workdir of a run')
    return str(record(workdir / 'config.json', ('kind',))['kind'])


def read(workdir: pathlib.Path) -> Study:
    """Reads the workdir of an ablation, and computes its summary anew.

    Raises:
      InputError: it holds no run, one that is not finished, or a file that is damaged or cut short.
    """
    config = record(workdir / 'config.json', CONFIG)
    run = finished(workdir)
    plan = record(workdir / 'plan.json', PLAN)
    table = tables.read_table(workdir / 'results.csv', tables.RESULTS)
    if len(table) != run['results_rows']:
        raise InputError(
            f'{workdir / "results.csv"} holds {len(table)} rows where run.json counts {run["results_rows"]}: '
            'it is cut short or changed; run the experiment again, it resumes'
        )
    costs = tables.read_table(workdir / 'costs.csv', tables.COSTS)
    study = Study(
        name=workdir.resolve().name,
        config=config,
        plan=plan,
        run=run,
        table=table,
        summary=[],
        costs={(row['condition'], row['option']): row for row in costs},
        series=_series(table),
        correct=_correct(workdir / 'correct.npz'),
        artifacts=workdir / 'artifacts',
    )
    summary = [row for condition in study.conditions for row in _summary(study, condition)]
    _complete(workdir, config, summary)
    return dataclasses.replace(study, summary=summary)


def _summary(study: Study, condition: str) -> list[Row]:
    return protocol.summarize(
        study.table, study.baseline, [condition], study.test_train_ratio(condition)
    )


def _correct(path: pathlib.Path) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    content = folder.read_arrays(path)
    missing = [name for name in CORRECT if name not in content]
    if missing:
        raise InputError(f'{path} is damaged (no {missing[0]}): run the experiment again')
    return {name: content[name] for name in CORRECT}


def arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays of a .npz; empty where it is absent or damaged.

    Raises:
      InputError: it would fill the memory.
    """
    try:
        return folder.read_arrays(path)
    except (FileNotFoundError, folder.DamagedFile):
        return {}


def record(path: pathlib.Path, needed: Sequence[str]) -> dict[str, Any]:
    """The JSON object in a file, which has these keys."""
    content = folder.read_json(path)
    missing = [key for key in needed if key not in content]
    if missing:
        raise InputError(
            f'{path} is damaged (it lacks {", ".join(missing)}): start the run again with --overwrite'
        )
    return content


def finished(workdir: pathlib.Path, needed: Sequence[str] = RUN) -> dict[str, Any]:
    """run.json of a run that has come to its end, whose files are what it wrote."""
    path = workdir / 'run.json'
    folder.check(workdir, folder.MADE_AGAIN)
    if not path.exists() or not folder.read_json(path).get('finished'):
        raise InputError(f'{workdir}: the run is not finished: the same command resumes it')
    return record(path, needed)


def _complete(workdir: pathlib.Path, config: dict[str, Any], summary: Sequence[Row]) -> None:
    measured = {(row['condition'], row['option']) for row in summary}
    for condition in config['conditions']:
        for option in config['options']:
            if (condition, option) not in measured:
                where = f' under {condition!r}' if condition else ''
                raise InputError(
                    f'{workdir / "results.csv"} holds no measurement of {option!r}{where}: '
                    'run the experiment again, it resumes'
                )


def _series(table: Sequence[Row]) -> dict[tuple[str, str, str, str, str], list[Row]]:
    series = collections.defaultdict(list)
    for row in table:
        series[row['condition'], row['phase'], row['option'], row['split'], row['metric']].append(
            row
        )
    return dict(series)
