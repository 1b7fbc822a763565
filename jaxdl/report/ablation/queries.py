"""Queries on a study: curves, differences, tuning, diverged runs."""

import collections
import dataclasses
import itertools
import math

import numpy as np

from jaxdl.report.ablation.study import AblationRun, Study
from jaxdl.statistics import protocol
from jaxdl.statistics.metrics import ACCURACY, Metric
from jaxdl.workdir.tables import Row

POINT = 0.01  # distance from the best share within which learning rates are tolerated
NEAR = 0.05  # the same as a share of the best value, for a metric that is not between 0 and 1


@dataclasses.dataclass(frozen=True)
class Tuning:
    """Tuning of the learning rate of an option.

    Attributes:
      values: learning rate -> metric on validation at the last epoch, per tuning seed.
      means: learning rate -> mean of `values`.
      chosen: the learning rate with the best mean.
      added: learning rates of extensions of the planned grid.
      on_edge: whether `chosen` is the smallest or largest of several tried rates.
    """

    values: dict[float, list[float]]
    means: dict[float, float]
    chosen: float
    added: list[float]
    on_edge: bool

    @property
    def added_to(self) -> float:
        """The added rate furthest from the planned grid."""
        return max(self.added) if max(self.added) == max(self.means) else min(self.added)


def compared(study: Study, condition: str) -> list[Row]:
    """The rows of the summary under one condition, in the order of `study.options`."""
    rows = [row for row in study.summary if row['condition'] == condition]
    return sorted(rows, key=lambda row: study.options.index(row['option']))


def options_compared(study: Study, condition: str) -> list[Row]:
    """`compared` without the row of the baseline."""
    return [row for row in compared(study, condition) if row['option'] != study.baseline]


def curves(study: Study, condition: str, option: str, split: str) -> np.ndarray:
    """The metric in the measure phase, float [seed, epoch]; empty if it was not recorded."""
    values = collections.defaultdict(dict)
    for row in study.series.get((condition, 'measure', option, split, study.metric.name), []):
        values[row['seed']][row['epoch']] = row['value']
    return np.array(
        [[by_epoch[e] for e in sorted(by_epoch)] for _, by_epoch in sorted(values.items())]
    )


def by_seed(study: Study, condition: str, option: str) -> dict[int, float]:
    """Evaluation seed -> metric on the test split at the last epoch, in the order of the seeds."""
    rows = study.series[condition, 'measure', option, study.split, study.metric.name]
    return {row['seed']: row['value'] for row in sorted(rows, key=lambda row: row['seed'])}


def differences(study: Study, condition: str, option: str) -> list[float]:
    """Test metric of an option minus that of the baseline, per seed of the option.

    For unpaired seeds minus the mean of the baseline.
    """
    values = by_seed(study, condition, option)
    baseline = by_seed(study, condition, study.baseline)
    if not protocol.is_paired(values, baseline):
        mean = math.fsum(baseline.values()) / len(baseline)
        return [value - mean for value in values.values()]
    return [value - baseline[seed] for seed, value in values.items()]


def tuning(study: AblationRun, condition: str, option: str) -> Tuning | None:
    """Tuning of an option; None if its learning rate was not tuned."""
    rows = study.series.get((condition, 'tune', option, 'val', study.metric.name), [])
    means = protocol.validation_means(rows, option, condition, study.metric.name)
    if not means:
        return None
    last = max(row['epoch'] for row in rows)
    values = {
        rate: [r['value'] for r in rows if r['learning_rate'] == rate and r['epoch'] == last]
        for rate in means
    }
    best = protocol.best_rate(means, study.metric)
    grid = [
        rate * _scale(study, condition, option)
        for rate in study.design(condition)['learning_rates']
    ]
    added = [
        rate
        for rate in means
        if not any(math.isclose(rate, planned, rel_tol=1e-3) for planned in grid)
    ]
    return Tuning(
        values, means, best, added, on_edge=len(means) > 1 and best in (min(means), max(means))
    )


def tolerance(tuning: Tuning, metric: Metric = ACCURACY) -> tuple[float, float]:
    """Widest range of neighbouring learning rates close to the best mean: (low, high).

    Close is within POINT, or within NEAR of the best mean for a metric that has no largest value.
    Of equally wide ranges the one with the selected rate.
    """
    gains = {rate: metric.improvement(mean) for rate, mean in tuning.means.items()}
    best = max(gains.values())
    near = POINT if math.isfinite(metric.largest) else NEAR * abs(best)
    runs, rates = [], sorted(gains)
    for good, together in itertools.groupby(
        rates, key=lambda rate: gains[rate] >= best - near - 1e-12
    ):
        run = list(together)
        if good:
            runs.append((run[-1] / run[0], run[0] <= tuning.chosen <= run[-1], run[0], run[-1]))
    return max(runs)[2:]


def _scale(study: AblationRun, condition: str, option: str) -> float:
    """Factor on the planned learning rates of an option."""
    overrides = {
        key.removeprefix('variant.'): value
        for key, value in study.config['options'][option].items()
    }
    return (study.design(condition)['variant'] | overrides).get('learning_rate_scale', 1.0)
