"""Queries on a study: curves, differences, tuning, diverged runs."""

import collections
import dataclasses
import itertools
import math

import numpy as np

from jaxdl.report.ablation.study import AblationRun, Study
from jaxdl.report.page import words
from jaxdl.statistics import protocol
from jaxdl.statistics.metrics import ACCURACY, Metric
from jaxdl.statistics.search import Range, Round
from jaxdl.workdir.tables import Point, Row, point_of


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


@dataclasses.dataclass(frozen=True)
class Searched:
    """Search of the hyperparameters of an option.

    Attributes:
      rounds: the planned points, then further points.
      tuned: validation of all points.
      means: point -> mean over the tuning seeds of every point.
      further: point -> mean over the further seeds, of the best points.
      chosen: the point with the best of these means.
      close: points with a mean about as good as the best.
      edges: field -> end of its range (`low` or `high`) at which the best point lies.
      epochs: training epochs of all tuning runs.
      stopped: point that halving stopped -> mean at its last epoch.
    """

    rounds: list[Round]
    tuned: protocol.Tuned
    means: dict[Point, float]
    further: dict[Point, float]
    chosen: Point
    close: list[Point]
    edges: dict[str, str]
    epochs: int
    stopped: dict[Point, float]

    @property
    def planned(self) -> dict[str, Range]:
        """Field -> range of the planned points."""
        return dict(self.rounds[0].ranges)

    @property
    def ranges(self) -> dict[str, Range]:
        """Field -> range of all points."""
        return dict(self.rounds[-1].ranges)

    @property
    def trials(self) -> int:
        """Number of points."""
        return sum(len(each.settings) for each in self.rounds)

    def value(self, point: Point, field: str) -> float:
        """Value of a hyperparameter of a point."""
        return point[self.tuned.names.index(field)]


def compared(study: Study, condition: str) -> list[Row]:
    """The rows of the summary under one condition, in the order of `study.options`."""
    rows = [row for row in study.summary if row['condition'] == condition]
    return sorted(rows, key=lambda row: study.options.index(row['option']))


def options_compared(study: Study, condition: str) -> list[Row]:
    """`compared` without the row of the baseline."""
    return [row for row in compared(study, condition) if row['option'] != study.baseline]


def curves(study: Study, condition: str, option: str, split: str) -> np.ndarray:
    """The metric in the measure phase, float [seed, epoch]; empty if it was not recorded.

    A run that stopped early keeps its last value.
    """
    values = collections.defaultdict(dict)
    for row in study.series.get((condition, 'measure', option, split, study.metric.name), []):
        values[row['seed']][row['epoch']] = row['value']
    runs = [[by_epoch[e] for e in sorted(by_epoch)] for _, by_epoch in sorted(values.items())]
    longest = max(map(len, runs), default=0)
    return np.array([run + run[-1:] * (longest - len(run)) for run in runs])


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
    grid = planned_grid(study, condition, option)
    added = [
        rate
        for rate in means
        if not any(math.isclose(rate, planned, rel_tol=1e-3) for planned in grid)
    ]
    return Tuning(
        values, means, best, added, on_edge=len(means) > 1 and best in (min(means), max(means))
    )


def planned_grid(study: AblationRun, condition: str, option: str) -> list[float]:
    """Planned learning rates of an option: its own or those of the study, times its scale."""
    own = study.config['options'][option].get('learning_rates')
    grid = own or study.design(condition)['learning_rates']
    return [rate * _scale(study, condition, option) for rate in grid]


def searches(study: AblationRun, condition: str) -> dict[str, Searched]:
    """Search of every option; empty without a search."""
    plan, seeds = study.search(condition), study.design(condition)['tuning_seeds']
    if plan is None:
        return {}
    metric = study.metric
    tuned = {
        option: protocol.tuned_points(
            study.series.get((condition, 'tune', option, 'val', metric.name), [])
            + study.series.get((condition, 'tune', option, 'val', 'loss'), []),
            option,
            condition,
            metric.name,
        )
        for option in study.options
    }
    rounds = protocol.search_rounds(plan, tuned, seeds, metric)
    first, further = range(seeds), protocol.further_seeds(seeds)
    return {
        option: Searched(
            rounds=[each[option] for each in rounds],
            tuned=points,
            means=points.means(first),
            further=points.means(further),
            chosen=protocol.choose_point(points, seeds, metric),
            close=protocol.near_best(points.means(first), metric),
            edges=protocol.find_edges(points, seeds, [each[option] for each in rounds], metric),
            epochs=_epochs(study, condition, option),
            stopped=_stopped(study, condition, option, points),
        )
        for option, points in tuned.items()
    }


def _epochs(study: AblationRun, condition: str, option: str) -> int:
    """Epochs of all tuning runs of an option."""
    rows = study.series.get((condition, 'tune', option, 'val', 'loss'), [])
    last: dict[protocol.Member, int] = {}
    for row in rows:
        member = protocol.member_of(row)
        last[member] = max(last.get(member, 0), row['epoch'])
    return sum(last.values())


def _stopped(
    study: AblationRun, condition: str, option: str, tuned: protocol.Tuned
) -> dict[Point, float]:
    """Points that stopped before the last epoch -> mean over seeds at the epoch of the stop."""
    values: dict[Point, dict[int, list[float]]] = {}
    for row in study.series.get((condition, 'tune', option, 'val', study.metric.name), []):
        if (point := point_of(row)) not in tuned.values:
            values.setdefault(point, {}).setdefault(row['epoch'], []).append(row['value'])
    last = {point: by_epoch[max(by_epoch)] for point, by_epoch in values.items()}
    return {point: math.fsum(each) / len(each) for point, each in last.items()}


def near_words(study: AblationRun) -> str:
    """Distance from the best value within which values are about as good, in words."""
    if not math.isfinite(study.metric.largest):
        return f'{100 * protocol.NEAR:g}{words.SPACE}%'
    return 'one percentage point' if study.scale.percent else f'{protocol.POINT:g}'


def tolerance(tuning: Tuning, metric: Metric = ACCURACY) -> tuple[float, float]:
    """Widest range of neighbouring learning rates close to the best mean: (low, high).

    Of equally wide ranges the one with the selected rate.
    """
    close = protocol.near_best(tuning.means, metric)
    runs = []
    for good, together in itertools.groupby(sorted(tuning.means), key=lambda rate: rate in close):
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
