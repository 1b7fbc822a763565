"""Provenance of a run: command, versions, machine, time, and how to rebuild the report."""

import shlex
from collections.abc import Mapping
from typing import Any

from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Code, Paragraph, Table
from jaxdl.workdir.records import DataPlan, RunRecord

COLUMNS = (
    'Options',
    'Phase',
    'Runs',
    'Programs',
    'Steps',
    'Batch size',
    'Compile, s',
    'Train, s',
    'Convolution',
)

# Optional entries of run.json -> label.
NOTED = dict(
    machine='Machine',
    native='Native part',
    settings='Settings',
    environment='Environment',
    file="User's file",
)


def blocks(study: AblationRun) -> list[Block]:
    """Provenance of an ablation, without paths of the machine."""
    return [
        *command(study.run.command),
        Table('Run', ('Item', 'Value'), _facts(study), 'lw'),
        _groups(study),
        Paragraph(
            f'All measurements are in {markup.code("results.csv")} of the workdir, the comparison '
            f'is in {markup.code("summary.csv")}. This command rebuilds the report from the '
            'workdir, without jax:'
        ),
        Code(f'python -m jaxdl.main --mode=report --workdir={shlex.quote(study.name)}'),
    ]


def command(text: str) -> list[Block]:
    """Command line that started the run."""
    if not text:
        return [Paragraph('The run was started from Python, without a command line.')]
    return [Paragraph('Command of the run:'), Code(words.local_command(text))]


def _facts(study: AblationRun) -> list[list[str]]:
    run = study.run
    entries = facts(study.config['name'], run) | {
        'Resumed': words.count(run.resumed, 'time') if run.resumed else 'never',
        'Measurements': words.count(run.results_rows or 0, 'row'),
    }
    entries |= {
        _data_label(study, condition): _data(data) for condition, data in study.data.items()
    }
    return [[name, markup.flat(words.local(value))] for name, value in entries.items()]


def facts(name: str, run: RunRecord) -> dict[str, str]:
    """Label -> value, for every kind of run."""
    versions = ', '.join(f'{package} {version}' for package, version in run.versions.items())
    parts = ', '.join(
        f'{part} {words.seconds(value)}' for part, value in (run.seconds or {}).items()
    )
    return {
        'Experiment': name,
        'Date': run.date,
        'Device': run.device,
        'Versions': versions,
        'Git revision': run.git or 'none (not a git checkout)',
        **{label: _pairs(getattr(run, key)) for key, label in NOTED.items() if getattr(run, key)},
        'Time': parts,
    }


def _pairs(values: Mapping[str, Any]) -> str:
    return ', '.join(f'{name} {value}' for name, value in values.items() if value != '')


def _data_label(study: AblationRun, condition: str) -> str:
    return f'Data, {words.condition(condition)}' if study.repeated else 'Data'


def _data(data: DataPlan) -> str:
    return f'{data.name}, checksum {data.checksum[:16]}'


def _groups(study: AblationRun) -> Table:
    rows = [
        [
            ', '.join(markup.name(option) for option in group.options)
            + (f' ({words.condition(group.condition)})' if group.condition else ''),
            group.phase,
            *(f'{getattr(group, key):,}' for key in ('members', 'traces', 'steps', 'batch_size')),
            words.significant(group.compile_seconds),
            words.significant(group.train_seconds),
            group.conv,
        ]
        for group in study.run.groups or ()
    ]
    caption = 'Groups: runs that trained together in one program'
    if study.base:
        caption = 'Runs of each option, one after another'
    return Table(caption, COLUMNS, rows, 'llrrrrrrl')
