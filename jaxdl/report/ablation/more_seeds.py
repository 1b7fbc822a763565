"""Advice on more evaluation seeds: commands with their times, and the danger of looking first."""

import json
import shlex

from jaxdl.report.ablation import uncertainty
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, words
from jaxdl.statistics import protocol
from jaxdl.workdir.tables import Row

# Flags that another command replaces; --overwrite would clear the workdir.
REPLACED = ('--seeds=', '--set=seeds=', '--overwrite')


def advice(study: AblationRun, row: Row) -> str:
    """Commands for as many seeds again, with times.

    Args:
      study: a finished ablation.
      row: of the summary, the option that the decision is about.

    Returns:
      Sentences; empty for a smoke run, without a command line, or where more test images would
      narrow the interval most.
    """
    components = row['components']
    images = components is not None and uncertainty.dominant_source(components) == 'test images'
    if study.config['scale'] == 'quick' or not study.run.command or images:
        return ''
    seeds = protocol.seed_numbers(study.config['seeds'])
    new = [seeds[-1] + 1 + i for i in range(len(seeds))]
    grown = 2 * len(seeds) if isinstance(study.config['seeds'], int) else [*seeds, *new]
    count = words.count(len(seeds), 'new seed')
    alone = _command(study, new, f'runs/{study.name}-new-seeds')
    return (
        f'{count} alone, in another workdir, confirm or refute this result '
        f'(about {words.seconds(_run_seconds(study))}, as this run): {markup.code(alone)}. '
        f'{count} in addition to those of this run take about '
        f'{words.seconds(_added_seconds(study, len(seeds)))}: '
        f'{markup.code(_command(study, grown))}. If this result leads to them, p-values are too '
        'small (optional stopping).'
    )


def _command(study: AblationRun, seeds: object, workdir: str = '') -> str:
    """The command of the run with other seeds, and another workdir if one is named."""
    replaced = (*REPLACED, *(['--workdir='] if workdir else []))
    arguments = [
        argument
        for argument in shlex.split(words.local_command(study.run.command))
        if not argument.startswith(replaced)
    ]
    added = [f'--set=seeds={json.dumps(seeds, separators=(",", ":"))}']
    return shlex.join([*arguments, *added, *([f'--workdir={workdir}'] if workdir else [])])


def _run_seconds(study: AblationRun) -> float:
    return (study.run.seconds or {}).get('total', 0.0)


def _added_seconds(study: AblationRun, count: int) -> float:
    """Training of so many seeds of all options under all conditions, and compilation."""
    training = sum(row['seconds_per_member'] or 0.0 for row in study.costs.values())
    measuring = [group for group in study.run.groups or () if group.phase == 'measure']
    return count * training + sum(group.compile_seconds for group in measuring)
