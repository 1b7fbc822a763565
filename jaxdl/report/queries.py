"""What the report asks of a study: curves, differences, how a rate was tuned, who diverged."""

import collections
import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from jaxdl import protocol
from jaxdl.report.study import Study
from jaxdl.results import Row


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


def _scale(study: Study, condition: str, option: str) -> float:
    """What the option's rates are multiplied by, so that the grid as planned can be told from what was added."""
    overrides = {key.removeprefix('variant.'): value for key, value in study.config['options'][option].items()}
    return (study.design(condition)['variant'] | overrides).get('learning_rate_scale', 1.0)
