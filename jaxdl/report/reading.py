"""A finished workdir, read and checked: everything that a report says comes from here."""

import collections
import dataclasses
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxdl import protocol, results
from jaxdl import workdir as folder
from jaxdl.errors import InputError
from jaxdl.report import words
from jaxdl.results import Row

CONFIG = (
    'name', 'scale', 'question', 'factor', 'baseline', 'options', 'why', 'conditions', 'variant', 'data',
    'learning_rates', 'seeds', 'tuning_seeds', 'epochs',
)  # fmt: skip
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


@dataclasses.dataclass(frozen=True)
class Study:
    """An ablation's workdir. `series` holds the rows of results.csv by (condition, phase, option, split, metric)."""

    name: str
    config: dict[str, Any]
    plan: dict[str, Any]
    run: dict[str, Any]
    table: list[Row]
    summary: list[Row]
    costs: dict[tuple[str, str], Row]
    series: dict[tuple[str, str, str, str, str], list[Row]]

    @property
    def baseline(self) -> str:
        """The option that every other one is compared with."""
        return self.config['baseline']

    @property
    def options(self) -> list[str]:
        """Every option, the baseline first, then in the order of the study."""
        return sorted(self.config['options'], key=lambda option: option != self.baseline)

    @property
    def conditions(self) -> list[str]:
        """The circumstances under which the study repeats itself; one unnamed where it does not."""
        return list(self.config['conditions'])

    @property
    def repeated(self) -> bool:
        """Whether there is more than one condition, so that each has to be named."""
        return len(self.conditions) > 1

    def design(self, condition: str) -> dict[str, Any]:
        """The configuration with the overrides of a condition applied, each under the one name that it has."""
        design = self.config | {part: dict(self.config[part]) for part in ('variant', 'data')}
        for key, value in self.config['conditions'][condition].items():
            *part, field = key.split('.')
            parts = [design[part[0]]] if part else [design, design['variant'], design['data']]
            next((home for home in parts if field in home), design)[field] = value
        return design

    def varying(self, field: str) -> str:
        """A field of the design, each of its values where conditions differ in it: `20`, `20 and 40`."""
        return words.listing(dict.fromkeys(str(self.design(condition)[field]) for condition in self.conditions))

    @property
    def varied(self) -> set[str]:
        """The names of all settings that an option or a condition sets."""
        overrides = [*self.config['options'].values(), *self.config['conditions'].values()]
        return {name.rpartition('.')[2] for settings in overrides for name in settings}

    @property
    def data(self) -> dict[str, dict[str, Any]]:
        """What the plan says of the data: condition -> name, description, classes, image_shape, train, val, test."""
        return {condition: self.plan['data'][condition] for condition in self.conditions}


@dataclasses.dataclass(frozen=True)
class Tuning:
    """How an option came to its learning rate. `values`: validation accuracy at the last epoch, one a tuning seed."""

    values: dict[float, list[float]]
    means: dict[float, float]
    chosen: float
    added: list[float]  # rates past the planned grid, tried because the best one lay on its edge
    on_edge: bool  # the best of all tried rates still is the first or the last

    @property
    def added_to(self) -> float:
        """How far the grid grew: the added rate furthest from where it started."""
        return max(self.added) if max(self.added) == max(self.means) else min(self.added)


@dataclasses.dataclass(frozen=True)
class Diverged:
    """A member whose loss stopped being a finite number at `epoch`."""

    condition: str
    phase: str
    option: str
    learning_rate: float
    seed: int
    epoch: int


def kind(workdir: pathlib.Path) -> str:
    """The kind of experiment that a workdir holds; InputError where it holds none."""
    if not workdir.is_dir():
        raise InputError(f'{workdir} holds no run: give the --workdir of a run')
    return _object(workdir / 'config.json', ('kind',))['kind']


def read(workdir: pathlib.Path) -> Study:
    """Reads the workdir of an ablation, and computes its summary anew.

    Raises:
      InputError: it holds no run, one that is not finished, or a file that is damaged or cut short.
    """
    config = _object(workdir / 'config.json', CONFIG)
    run = _finished(workdir)
    plan = _object(workdir / 'plan.json', PLAN)
    table = results.read_table(workdir / 'results.csv', results.RESULTS)
    if len(table) != run['results_rows']:
        raise InputError(
            f'{workdir / "results.csv"} holds {len(table)} rows where run.json counts {run["results_rows"]}: '
            'it is cut short or changed; run the experiment again, it resumes'
        )
    costs = results.read_table(workdir / 'costs.csv', results.COSTS)
    summary = protocol.summarize(table, config['baseline'], list(config['conditions']))
    _complete(workdir, config, summary)
    return Study(
        name=workdir.resolve().name, config=config, plan=plan, run=run, table=table, summary=summary,
        costs={(row['condition'], row['option']): row for row in costs}, series=_series(table),
    )  # fmt: skip


def compared(study: Study, condition: str) -> list[Row]:
    """The rows of the summary under one condition, in the order of `study.options`."""
    rows = [row for row in study.summary if row['condition'] == condition]
    return sorted(rows, key=lambda row: study.options.index(row['option']))


def curves(study: Study, condition: str, option: str, split: str) -> np.ndarray:
    """Accuracy in the measure phase, [seed, epoch]; empty where none was recorded."""
    values = collections.defaultdict(dict)
    for row in study.series.get((condition, 'measure', option, split, protocol.METRIC), []):
        values[row['seed']][row['epoch']] = row['value']
    return np.array([[by_epoch[e] for e in sorted(by_epoch)] for _, by_epoch in sorted(values.items())])


def differences(study: Study, condition: str, option: str) -> list[float]:
    """Test accuracy of an option less that of the baseline, one a seed."""
    option_rows, baseline_rows = (
        study.series[condition, 'measure', name, 'test', protocol.METRIC] for name in (option, study.baseline)
    )
    baseline = {row['seed']: row['value'] for row in baseline_rows}
    return [row['value'] - baseline[row['seed']] for row in sorted(option_rows, key=lambda row: row['seed'])]


def tuning(study: Study, condition: str, option: str) -> Tuning | None:
    """The tuning phase of an option, or None where its learning rate was given."""
    rows = study.series.get((condition, 'tune', option, 'val', protocol.METRIC), [])
    means = protocol.validation_means(rows, option, condition)
    if not means:
        return None
    last = max(row['epoch'] for row in rows)
    values = {rate: [r['value'] for r in rows if r['learning_rate'] == rate and r['epoch'] == last] for rate in means}
    best = protocol.best_rate(means)
    grid = [rate * _scale(study, condition, option) for rate in study.design(condition)['learning_rates']]
    added = [rate for rate in means if not any(math.isclose(rate, planned, rel_tol=1e-3) for planned in grid)]
    return Tuning(values, means, best, added, on_edge=len(means) > 1 and best in (min(means), max(means)))


def diverged(table: Sequence[Row]) -> list[Diverged]:
    """Every member whose loss is not finite in some epoch, with the first such epoch, in the order of the table."""
    first: dict[tuple[str, str, str, float, int], int] = {}
    for row in table:
        if row['metric'] == 'loss' and not math.isfinite(row['value']):
            member = (row['condition'], row['phase'], row['option'], row['learning_rate'], row['seed'])
            first[member] = min(row['epoch'], first.get(member, row['epoch']))
    return [Diverged(*member, epoch=epoch) for member, epoch in first.items()]


def _object(path: pathlib.Path, needed: Sequence[str]) -> dict[str, Any]:
    content = folder.read_json(path)
    missing = [key for key in needed if key not in content]
    if missing:
        raise InputError(f'{path} is damaged (it lacks {", ".join(missing)}): start the run again with --overwrite')
    return content


def _finished(workdir: pathlib.Path) -> dict[str, Any]:
    path = workdir / 'run.json'
    if not path.exists() or not folder.read_json(path).get('finished'):
        raise InputError(f'{workdir}: the run is not finished: the same command resumes it')
    return _object(path, RUN)


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
        series[row['condition'], row['phase'], row['option'], row['split'], row['metric']].append(row)
    return dict(series)


def _scale(study: Study, condition: str, option: str) -> float:
    """What the option's rates are multiplied by, so that the grid as planned can be told from what was added."""
    overrides = {key.removeprefix('variant.'): value for key, value in study.config['options'][option].items()}
    return (study.design(condition)['variant'] | overrides).get('learning_rate_scale', 1.0)
