"""Read and check the files of a finished ablation, and records that all kinds of runs share."""

import collections
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxdl import workdir as folder
from jaxdl.errors import InputError
from jaxdl.report.ablation import corrected
from jaxdl.report.ablation.study import AblationRun
from jaxdl.statistics import protocol
from jaxdl.workdir import contributions, records, tables
from jaxdl.workdir.correct import read_correct
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
    'margin',
    'seeds',
)
OF_NETWORKS = ('variant', 'data', 'learning_rates', 'tuning_seeds', 'epochs')
OF_BASE = ('variant', 'data', 'probe', 'finetune')  # of an ablation of a fine-tuning


def kind(workdir: pathlib.Path) -> str:
    """Kind of experiment in a workdir; InputError if the workdir has no run."""
    if not workdir.is_dir():
        raise InputError(
            f'workdir={workdir}: not the workdir of a run; use the --workdir of a finished run'
        )
    return str(record(workdir / 'config.json', ('kind',))['kind'])


def read(workdir: pathlib.Path) -> AblationRun:
    """Read the workdir of an ablation, and compute its summary from results.csv.

    Args:
      workdir: workdir of a finished ablation.

    Returns:
      The study.

    Raises:
      InputError: there is no run, the run is not finished, or a file is damaged or truncated.
    """
    config = record(workdir / 'config.json', CONFIG)
    _check_settings(workdir / 'config.json', config)
    run = read_finished(workdir)
    plan = records.read(workdir / 'plan.json', records.Plan).of(config)
    extensions, plan = plan.extensions, plan.merged()
    _check_plan(workdir, config, plan)
    table = read_results(workdir, run)
    costs = tables.read_table(workdir / 'costs.csv', tables.COSTS)
    study = AblationRun(
        name=workdir.resolve().name,
        config=config,
        plan=plan,
        run=run,
        table=table,
        summary=[],
        pairs=[],
        costs={(row['condition'], row['option']): row for row in costs},
        series=by_series(table),
        correct=read_correct(workdir / 'correct.npz'),
        metrics=_metrics(workdir / 'artifacts' / 'metrics.csv', table),
        artifacts=workdir / 'artifacts',
        extensions=extensions,
    )
    _check_measurements(workdir, config, table)
    rows = [row for condition in study.conditions for row in _summary(study, condition)]
    summary = [row for row in rows if row['baseline'] == study.baseline]
    pairs = [row for row in rows if row['baseline'] != study.baseline]
    return dataclasses.replace(study, summary=summary, pairs=pairs)


def _summary(study: AblationRun, condition: str) -> list[Row]:
    """Rows of summary.csv and of pairs of one condition, with further numbers of the page."""
    correct = protocol.correctness(
        study.table, study.correct, condition, len(study.data[condition].classes)
    )
    path = study.folder(condition) / contributions.FILE
    table = contributions.read_contributions(path) if path.exists() else None
    by_image = protocol.image_values(table, study.metric, correct)
    ratio = study.test_train_ratio(condition)
    summary = protocol.summarize(
        study.table,
        study.baseline,
        condition,
        ratio,
        by_image,
        study.metric,
        pairs=study.config.get('comparisons', ()),
    )
    return corrected.extend(summary, study.table, by_image, ratio, study.metric, correct)


def _metrics(path: pathlib.Path, table: Sequence[Row]) -> list[Row]:
    """All metrics of the evaluation runs; without the file those of results.csv."""
    if path.exists():
        return tables.read_table(path, tables.METRICS)
    last = max((row['epoch'] for row in table if row['phase'] == 'measure'), default=0)
    return [
        {name: row[name] for name in tables.METRICS}
        for row in table
        if row['phase'] == 'measure' and row['epoch'] == last and row['split'] != 'train'
    ]


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
    """The JSON object in a file; InputError if one of the keys is missing."""
    content = folder.read_json(path)
    missing = [key for key in needed if key not in content]
    if missing:
        raise InputError(
            f'{path} is damaged (it lacks {", ".join(missing)}): start the run again with '
            '--overwrite'
        )
    return content


def read_finished(workdir: pathlib.Path) -> records.RunRecord:
    """run.json of a finished run, after a check of the checksums of its files."""
    path = workdir / 'run.json'
    folder.check(workdir, folder.MADE_AGAIN)
    run = records.read(path, records.RunRecord) if path.exists() else None
    if run is None or not run.finished:
        raise InputError(f'{workdir}: the run is not finished; the same command resumes it')
    return run


def read_results(workdir: pathlib.Path, run: records.RunRecord) -> list[Row]:
    """Rows of results.csv; InputError if they are not as many as run.json counts."""
    table = tables.read_results(workdir / 'results.csv')
    if len(table) != run.results_rows:
        raise InputError(
            f'{workdir / "results.csv"} has {len(table)} rows, but run.json counts '
            f'{run.results_rows}: the file is truncated or changed; run the experiment again to '
            'resume it'
        )
    return table


def _check_settings(path: pathlib.Path, config: dict[str, Any]) -> None:
    """InputError if settings of the runs are missing."""
    base = config.get('base')
    needed, place = (OF_BASE, base) if base else (OF_NETWORKS, config)
    missing = [key for key in needed if not isinstance(place, dict) or key not in place]
    if missing:
        raise InputError(
            f'{path} is damaged (it lacks {", ".join(missing)}): start the run again with '
            '--overwrite'
        )


def _check_plan(workdir: pathlib.Path, config: dict[str, Any], plan: records.Plan) -> None:
    missing = [condition for condition in config['conditions'] if condition not in plan.data]
    if missing:
        raise InputError(
            f'{workdir / "plan.json"} is damaged (no data of condition {missing[0]!r}): '
            'start the run again with --overwrite'
        )


def _check_measurements(
    workdir: pathlib.Path, config: dict[str, Any], table: Sequence[Row]
) -> None:
    measured = {(r['condition'], r['option']) for r in table if r['phase'] == 'measure'}
    for condition in config['conditions']:
        for option in config['options']:
            if (condition, option) not in measured:
                under = f' under {condition!r}' if condition else ''
                raise InputError(
                    f'{workdir / "results.csv"} has no measurement of {option!r}{under}: '
                    'run the experiment again to resume it'
                )


def by_series(table: Sequence[Row]) -> dict[tuple[str, str, str, str, str], list[Row]]:
    """Rows of results.csv by condition, phase, option, split and metric."""
    series = collections.defaultdict(list)
    for row in table:
        series[row['condition'], row['phase'], row['option'], row['split'], row['metric']].append(
            row
        )
    return dict(series)
