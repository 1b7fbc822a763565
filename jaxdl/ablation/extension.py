"""Extend a finished ablation by evaluation seeds, options or conditions.

Finished members are used again. The extension is appended to plan.json before its first step, and
the tables and the report of the finished run stay until the extension is finished.
"""

import json
import pathlib
import shutil
import time
from collections.abc import Iterator, Mapping
from typing import Any

from jaxdl import workdir
from jaxdl.ablation import planning
from jaxdl.ablation.planning import StudyPlan
from jaxdl.config import registry
from jaxdl.config.experiment import Ablation
from jaxdl.config.load import as_dict, component_names
from jaxdl.errors import InputError
from jaxdl.runtime import progress, provenance
from jaxdl.statistics import protocol
from jaxdl.workdir import records
from jaxdl.workdir.records import Extension, Plan, RunRecord
from jaxdl.workdir.tables import ALL

GROWN = ('options', 'why', 'conditions', 'seeds', 'registered')  # compared entry by entry
TEXTS = ('question',)  # the first line of a docstring, which changes no number
PACKAGES = ('jaxdl', 'jax', 'jaxlib')  # whose versions must be those of the run
RULE = 'a finished run grows in seeds, options and conditions, all else equal'
ELSEWHERE = 'name another --workdir, or --overwrite to start again'
STAGED = pathlib.Path('checkpoints', 'extension')  # results until all of them are written


def read_config(ablation: Ablation) -> dict[str, Any]:
    """Content of config.json, as it reads back."""
    return json.loads(json.dumps(as_dict(ablation)))


def extend(folder: pathlib.Path, ablation: Ablation, command: str) -> StudyPlan:
    """Append an extension of the finished run in a workdir to its plan, or resume it.

    Args:
      folder: a workdir with the plan of a run of another configuration.
      ablation: the grown experiment.
      command: the command line, for plan.json.

    Returns:
      The plan of the grown study.

    Raises:
      InputError: as for `plan_extension`.
    """
    plan, resumed = plan_extension(folder, ablation, command)
    if not resumed:
        workdir.write_records(folder, plan=records.as_json(plan.record))
    members = sum(group.members for group in plan.groups)
    progress.write_line(
        f'{"resuming the extension of" if resumed else "extending"} the finished run in {folder} '
        f'by {plan.record.extensions[-1].growth}: {members} new members; its results stay until '
        'the extension is finished'
    )
    return plan


def preview(folder: pathlib.Path, ablation: Ablation) -> StudyPlan | None:
    """The plan of an extension without a change in the workdir; None where there is none."""
    if ablation.base or not (folder / 'config.json').exists():
        return None
    try:
        same = workdir.read_json(folder / 'config.json') == read_config(ablation)
        return None if same else plan_extension(folder, ablation, '')[0]
    except InputError:
        return None


def plan_extension(
    folder: pathlib.Path, ablation: Ablation, command: str
) -> tuple[StudyPlan, bool]:
    """Plan the extension of the finished run in a workdir, and change no file.

    Args:
      folder: a workdir with the plan of a run of another configuration.
      ablation: the grown experiment.
      command: the command line, for plan.json.

    Returns:
      The plan of the grown study, and whether its extension is in plan.json already.

    Raises:
      InputError: the configuration is no growth, or the finished members cannot be used again.
    """
    before, config = workdir.read_json(folder / 'config.json'), read_config(ablation)
    record = records.read(folder / 'plan.json', Plan)
    finished = record.of(before)
    pending = record.extensions[len(finished.extensions) :]
    if pending and pending[0].config == config:
        _check_reuse(folder, ablation, record.merged())
        return planning.resume_plan(ablation, record, extends=True), True
    differences = list(_differences(before, config))
    if differences:
        examples = ', '.join(differences[:3]) + ', ...' * (len(differences) > 3)
        raise InputError(
            f'workdir {folder} holds another configuration ({examples}): {RULE}; {ELSEWHERE}'
        )
    if ablation.base:
        raise InputError(
            f'workdir {folder} holds an ablation of a fine-tuning, which does not grow: {ELSEWHERE}'
        )
    added = _growth(before, config, command)
    if pending:
        resume = f': {pending[0].command}' if pending[0].command else ''
        raise InputError(
            f'workdir {folder} holds an unfinished extension by {pending[0].growth}, not by '
            f'{added.growth}: its own command resumes it{resume}; {ELSEWHERE}'
        )
    _check_finished(folder, added)
    _check_reuse(folder, ablation, finished.merged())
    return planning.extend_plan(ablation, finished, added), False


def stage(folder: pathlib.Path) -> pathlib.Path:
    """An empty folder in a workdir, for the results of an extension until all are written."""
    staged = folder / STAGED
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    return staged


def publish(folder: pathlib.Path, plan: StudyPlan) -> None:
    """Put the staged results and the configuration of an extension in the place of the old ones.

    Between, run.json says that the run is not finished: the same command writes all of them again.

    Args:
      folder: the workdir.
      plan: of the grown study.

    Raises:
      InputError: an earlier row of results.csv has changed; the old results stay.
    """
    _check_unchanged(folder)
    run = workdir.read_json(folder / 'run.json')
    workdir.write_records(folder, run=run | dict(finished=False))
    shutil.rmtree(folder / 'artifacts', ignore_errors=True)
    for path in sorted((folder / STAGED).iterdir()):
        path.replace(folder / path.name)
    workdir.write_records(folder, config=plan.record.extensions[-1].config)
    (folder / STAGED).rmdir()


def _check_unchanged(folder: pathlib.Path) -> None:
    """InputError if a row of results.csv is not among the staged ones.

    Members whose chunk file is gone were trained again, perhaps on another machine.
    """
    path = folder / 'results.csv'
    if not path.exists() or not records.read(folder / 'run.json', RunRecord).finished:
        return  # a killed process has begun to put the new results in their place
    staged = {*(folder / STAGED / path.name).read_text().splitlines()}
    changed = [line for line in path.read_text().splitlines() if line not in staged]
    if changed:
        raise InputError(
            f'{path}: {len(changed)} rows of the finished run have other values after the '
            f'extension, the first "{changed[0]}": its chunks in checkpoints/ are gone or '
            f'changed, and its results stay; {ELSEWHERE}'
        )


def _differences(before: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    """Each value by which a configuration is more than a growth of another."""
    fixed = (
        workdir.flatten({k: v for k, v in each.items() if k not in (*GROWN, *TEXTS)})
        for each in (before, config)
    )
    old, new = fixed
    for key in {**old, **new}:
        if old.get(key) != new.get(key):
            yield f'{key}={new.get(key)!r}, there {old.get(key)!r}'
    for part in ('options', 'conditions', 'why', 'registered'):
        yield from _changed_entries(part, before.get(part, {}), config.get(part, {}))
    for name in before['conditions']:
        seeds, wanted = (_seeds(each, name) for each in (before, config))
        if not {*seeds} <= {*wanted}:
            where = f' of condition {name!r}' if name else ''
            written, requested = (_seeds_field(each, name) for each in (before, config))
            yield f'seeds={requested!r}{where}, there {written!r}'


def _changed_entries(part: str, before: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Entries that changed, are gone, or are in another order."""
    leave_out = ('seeds',) if part == 'conditions' else ()
    changed = []
    for name, value in before.items():
        if name not in config:
            changed.append(f'{part} without {name or ALL!r}')
            continue
        old, new = (_without(each, leave_out) for each in (value, config[name]))
        if old != new:
            changed.append(f'{part}.{name}={new!r}, there {old!r}')
    if not changed and [name for name in config if name in before] != list(before):
        changed.append(f'{part} in the order {", ".join(config)}, there {", ".join(before)}')
    return changed


def _without(value: Any, names: tuple[str, ...]) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {name: each for name, each in value.items() if name not in names}


def _seeds(config: Mapping[str, Any], condition: str) -> tuple[int, ...]:
    """Evaluation seeds of a condition, from the content of a config.json."""
    if condition not in config['conditions']:
        return ()
    return protocol.seed_numbers(_seeds_field(config, condition))


def _seeds_field(config: Mapping[str, Any], condition: str) -> Any:
    return config['conditions'].get(condition, {}).get('seeds', config['seeds'])


def _growth(before: Mapping[str, Any], config: Mapping[str, Any], command: str) -> Extension:
    """What a configuration adds to another, of which it is a growth."""
    seeds = {}
    for name in before['conditions']:
        old = _seeds(before, name)
        if added := tuple(seed for seed in _seeds(config, name) if seed not in old):
            seeds[name] = added
    return Extension(
        date=time.strftime('%Y-%m-%d'),
        command=command,
        config=config,
        options=tuple(name for name in config['options'] if name not in before['options']),
        conditions=tuple(name for name in config['conditions'] if name not in before['conditions']),
        seeds=seeds,
    )


def _check_finished(folder: pathlib.Path, added: Extension) -> None:
    """InputError unless the run in a workdir is complete and undamaged, with all of its chunks."""
    if not (added.options or added.conditions or added.seeds):
        raise InputError(
            f'workdir {folder} holds another configuration that adds no member: {RULE}; {ELSEWHERE}'
        )
    path = folder / 'run.json'
    if not path.exists() or not records.read(path, RunRecord).finished:
        raise InputError(
            f'workdir {folder} holds another configuration (with {added.growth}) of a run that '
            f'is not finished: the command of that run resumes it, and only a finished run grows; '
            f'{ELSEWHERE}'
        )
    broken = [name for name in workdir.find_damaged(folder) if name not in workdir.MADE_AGAIN]
    if broken:
        raise InputError(
            f'{folder / broken[0]} {workdir.NOT_AS_WRITTEN}: the command of the run writes it '
            'again, and only a complete run grows'
        )
    if not any((folder / 'checkpoints').glob('*.npz')):
        raise InputError(
            f'{folder / "checkpoints"} holds no finished members to extend: copy the whole '
            f'workdir; {ELSEWHERE}'
        )


def _check_reuse(folder: pathlib.Path, ablation: Ablation, plan: Plan) -> None:
    """InputError if finished members may not be those that the code and machine here would train.

    Args:
      folder: the workdir.
      ablation: the grown experiment.
      plan: of the finished run, with its earlier extensions.
    """
    versions, devices = provenance.collect_versions(), provenance.describe_devices()
    for package in PACKAGES:
        if versions.get(package) != plan.versions.get(package):
            raise InputError(
                f'{package} {versions.get(package)} is installed, and the run in {folder} has '
                f'{plan.versions.get(package)}: extend it with that version, or {ELSEWHERE}'
            )
    if devices != plan.devices:
        here, there = (f'{each.count} x {each.kind}' for each in (devices, plan.devices))
        raise InputError(
            f'the device is {here}, and the run in {folder} had {there}: extend it there, or '
            f'{ELSEWHERE}'
        )
    settings = provenance.read_settings()
    for name, value in records.read(folder / 'run.json', RunRecord).settings.items():
        if settings.get(name) != value:
            raise InputError(
                f'{name}={settings.get(name)!r}, and the run in {folder} had {value!r}: set it '
                f'again, or {ELSEWHERE}'
            )
    used = component_names(ablation)
    for kind, name in sorted(used):
        origin = registry.ORIGINS.get((kind, name))
        if origin and not origin.sources:
            raise InputError(
                f'the {kind} {name!r} is registered outside of a file, so its code cannot be '
                f'compared with that of the run in {folder}: {ELSEWHERE}'
            )
    present = registry.find_sources(ablation.name, used)
    for name, digest in plan.sources.items():
        if present.get(name) != digest:
            here, there = (each.get('python', '') for each in (versions, plan.versions))
            python = '' if here == there else f', with Python {there} and not {here}'
            raise InputError(
                f'{name} is not the code with which the run in {folder} began{python} (comments, '
                'docstrings and the statement EXPERIMENT = ... may change): put it back, or '
                f'{ELSEWHERE}'
            )
