"""What a run was done with: command, versions, machine, seconds.

And how to build its report again.
"""

import shlex
from collections.abc import Mapping
from typing import Any

from jaxdl.report.ablation.study import Study
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Code, Paragraph, Table

COLUMNS = (
    'Options',
    'Phase',
    'Members',
    'Programs',
    'Steps',
    'Batch size',
    'Compile, s',
    'Train, s',
    'Convolution',
)

# What run.json says beyond the device, where a run noted it.
NOTED = dict(
    machine='Machine',
    native='Native part',
    settings='Settings',
    environment='Environment',
    file='Own file',
)


def blocks(study: Study) -> list[Block]:
    """Everything that someone who repeats the run would ask for.

    Without a path of the machine it ran on.
    """
    return [
        *command(study.run['command']),
        Table('The run', ('What', 'Value'), _facts(study), 'lw'),
        _groups(study),
        Paragraph(
            f'Every measurement is in {markup.code("results.csv")} of the workdir, the comparison in '
            f'{markup.code("summary.csv")}. This report is built again from the workdir alone, without jax, by:'
        ),
        Code(f'python -m jaxdl.main --mode=report --workdir={shlex.quote(study.name)}'),
    ]


def command(text: str) -> list[Block]:
    """How the run was started."""
    if not text:
        return [Paragraph('This run was started from Python, without a command line.')]
    return [Paragraph('The command that made this run:'), Code(words.local_command(text))]


def _facts(study: Study) -> list[list[str]]:
    run = study.run
    found = facts(study.config['name'], run) | {
        'Resumed': words.count(run['resumed'], 'time') if run['resumed'] else 'never',
        'Measurements': words.count(run['results_rows'], 'row'),
    }
    found |= {_data_label(study, condition): _data(data) for condition, data in study.data.items()}
    return [[name, markup.flat(words.local(value))] for name, value in found.items()]


def facts(name: str, run: Mapping[str, Any]) -> dict[str, str]:
    """What every kind of run says of itself."""
    versions = ', '.join(f'{package} {version}' for package, version in run['versions'].items())
    parts = ', '.join(f'{part} {words.seconds(value)}' for part, value in run['seconds'].items())
    return {
        'Experiment': name,
        'Date': run['date'],
        'Device': run['device'],
        'Versions': versions,
        'Git revision': run['git'] or 'none: jaxdl did not run from a git checkout',
        **{label: _pairs(run[key]) for key, label in NOTED.items() if run.get(key)},
        'Time': parts,
    }


def _pairs(values: Mapping[str, Any]) -> str:
    return ', '.join(f'{name} {value}' for name, value in values.items() if value != '')


def _data_label(study: Study, condition: str) -> str:
    return f'Data, {words.condition(condition)}' if study.repeated else 'Data'


def _data(data: Mapping[str, Any]) -> str:
    return f'{data["name"]}, checksum {data["checksum"][:16]}'


def _groups(study: Study) -> Table:
    rows = [
        [
            ', '.join(markup.name(option) for option in group['options'])
            + (f' ({words.condition(group["condition"])})' if group['condition'] else ''),
            group['phase'],
            *(f'{group[key]:,}' for key in ('members', 'traces', 'steps', 'batch_size')),
            *(words.significant(group[key]) for key in ('compile_seconds', 'train_seconds')),
            group['conv'],
        ]
        for group in study.run['groups']
    ]
    return Table(
        'The groups: members that trained at once in one program', COLUMNS, rows, 'llrrrrrrl'
    )
