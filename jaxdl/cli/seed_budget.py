"""Number of seeds that a study needs, from the spread that a finished run measured."""

import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl import statistics, workdir
from jaxdl.config.experiment import Ablation
from jaxdl.config.load import as_dict
from jaxdl.errors import InputError
from jaxdl.report.page.scale import Scale
from jaxdl.statistics import protocol
from jaxdl.statistics.metrics import ACCURACY, METRICS
from jaxdl.workdir import records, tables
from jaxdl.workdir.records import RunRecord

COUNTS = (5, 10, 20, 40)
POINTS = (0.005, 0.01)  # differences that seeds are counted for, next to the margin of the study
SHARES = (0.01, 0.05)  # the same of a metric without unit, as shares of the baseline's mean
# Two runs of one study have these in common, next to the settings of its options.
SAME = ('kind', 'factor', 'baseline')


def describe(ablation: Ablation, folder: pathlib.Path) -> list[str]:
    """Table of detectable differences and needed seeds per option.

    Args:
      ablation: the study.
      folder: workdir of a finished run of the study.

    Returns:
      Lines of text; without such a run, the commands that make one.
    """
    try:
        config = _read_finished(ablation, folder)
        return ['', *_table(ablation, folder, config)]
    except InputError as error:
        return [
            '',
            f'How many seeds? The estimate needs a finished run of this study, but {error}.',
            'A smoke run gives a rough estimate: '
            'the same command with --quick --workdir=runs/quick,',
            'then with --mode=plan --workdir=runs/quick.',
        ]


def measure_spread(
    rows: Sequence[tables.Row], baseline: str, condition: str = '', metric: str = ACCURACY.name
) -> dict[str, tuple[float, int]]:
    """Spread of each option's paired differences from the baseline on the test split.

    Options with fewer than two seeds in common with the baseline are left out.

    Args:
      rows: rows of results.csv.
      baseline: name of the baseline option.
      condition: condition of the rows; empty for a study without conditions.
      metric: name of the metric that decides.

    Returns:
      option -> (standard deviation, number of seeds).
    """
    measured, deviations = protocol.measured_of(rows, condition, metric), {}
    for option, by_seed in measured.items():
        seeds = sorted(by_seed.keys() & measured[baseline].keys())
        if option != baseline and len(seeds) > 1:
            differences = [by_seed[seed][0] - measured[baseline][seed][0] for seed in seeds]
            deviations[option] = float(np.std(differences, ddof=1)), len(seeds)
    return deviations


def _read_finished(ablation: Ablation, folder: pathlib.Path) -> dict[str, Any]:
    """The configuration of the finished run in a folder.

    Raises:
      InputError: the folder holds no finished run of this study.
    """
    if not (folder / 'config.json').exists() or not (folder / 'run.json').exists():
        raise InputError(f'{folder} holds no run')
    config, wanted = workdir.read_json(folder / 'config.json'), as_dict(ablation)
    wanted = workdir.parse(json.dumps(wanted))  # tuples as lists, as in the file
    shared = [name for name in ablation.options if name in config.get('options', {})]
    if any(config.get(key) != wanted[key] for key in SAME) or len(shared) < 2:
        raise InputError(f'{folder} holds a run of another study')
    by = config.get('metric', ACCURACY.name)
    if by != ablation.metric:
        raise InputError(f'{folder} holds a run that compares by {by} instead of {ablation.metric}')
    if any(config['options'][name] != wanted['options'][name] for name in shared):
        raise InputError(f'{folder} holds a run with other options')
    if not records.read(folder / 'run.json', RunRecord).finished:
        raise InputError(f'{folder} holds a run that is not finished')
    return config


def _table(ablation: Ablation, folder: pathlib.Path, config: Mapping[str, Any]) -> Iterator[str]:
    rows = tables.read_results(folder / 'results.csv')
    metric, baseline = METRICS[ablation.metric], config['baseline']
    unit, first = Scale(metric), rows[0]['condition']
    searched = config['tuning_seeds'] if config.get('search') else None
    margin = protocol.equivalence_margin(ablation.margin, rows, baseline, first, metric, searched)
    targets: list[float] = sorted(
        {*_targets(rows, baseline, first, unit), *([margin] if margin else [])}
    )
    epochs = (config.get('base') or {}).get('finetune', config)['epochs']
    run = f'{epochs} epochs' + (', a smoke run' if config.get('scale') == 'quick' else '')
    points = 'percentage points of ' if unit.percent else ''
    yield f'How many seeds? In {points}test {unit.name}, from {folder} ({run}).'
    heads = [f'n={n}' for n in COUNTS] + [f'for {unit.factor * target:.3g}' for target in targets]
    yield f'{"option":20}{"sd":>6}  {"(95 %)":16}' + _cells(heads)
    for condition in dict.fromkeys(row['condition'] for row in rows):
        spread = measure_spread(rows, baseline, condition, metric.name)
        for option, (sd, n) in spread.items():
            low, high = statistics.sd_interval(sd, n)
            cells = [unit.size(statistics.detectable(sd, count)) for count in COUNTS]
            cells += [f'{statistics.seeds_needed(sd, target):,}' for target in targets]
            interval = f'({unit.size(low)} to {unit.size(high)})'
            label = f'{condition} {option}'.strip()
            yield f'{label:20}{unit.size(sd):>6}  {interval:16}' + _cells(cells)
    yield 'sd: standard deviation of the paired differences. n=: minimum detectable difference with'
    yield 'so many seeds (power 0.8, paired t test at level 0.05, one comparison). for: seeds that'
    fixed = f'; the margin is {unit.factor * margin:.3g}' if margin else ''
    many = 'so many percentage points' if unit.percent else 'such a difference'
    yield f'detect {many}{fixed}.'


def _targets(rows: Sequence[tables.Row], baseline: str, condition: str, unit: Scale) -> list[float]:
    """Differences that seeds are counted for, next to the margin of the study."""
    if unit.percent:
        return list(POINTS)
    measured = protocol.measured_of(rows, condition, unit.metric.name)[baseline]
    mean = abs(float(np.mean([value for value, _ in measured.values()])))
    return [share * mean for share in SHARES] if mean else []


def _cells(texts: Sequence[str]) -> str:
    """Columns of COUNTS, then wider ones of differences to detect."""
    return ''.join(f'{text:>{7 if i < len(COUNTS) else 9}}' for i, text in enumerate(texts))
