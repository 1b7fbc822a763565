"""What the report asks of a study: curves, differences, how a rate was tuned, who diverged."""

import collections
import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from jaxdl.report.ablation.study import Study
from jaxdl.statistics import protocol
from jaxdl.workdir.tables import Row

POINT = 0.01  # how far below the best accuracy a learning rate is still usable


@dataclasses.dataclass(frozen=True)
class Tuning:
    """How an option came to its learning rate.

    `values`: validation accuracy at the last epoch, one a tuning seed.
    """

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
class Trouble:
    """A member, and the epoch from which on something was wrong with it.

    The loss or accuracy there.
    """

    condition: str
    phase: str
    option: str
    learning_rate: float
    seed: int
    epoch: int
    value: float


def compared(study: Study, condition: str) -> list[Row]:
    """The rows of the summary under one condition, in the order of `study.options`."""
    rows = [row for row in study.summary if row['condition'] == condition]
    return sorted(rows, key=lambda row: study.options.index(row['option']))


def curves(study: Study, condition: str, option: str, split: str) -> np.ndarray:
    """Accuracy in the measure phase, [seed, epoch]; empty where none was recorded."""
    values = collections.defaultdict(dict)
    for row in study.series.get((condition, 'measure', option, split, protocol.METRIC), []):
        values[row['seed']][row['epoch']] = row['value']
    return np.array(
        [[by_epoch[e] for e in sorted(by_epoch)] for _, by_epoch in sorted(values.items())]
    )


def by_seed(study: Study, condition: str, option: str) -> dict[int, float]:
    """Test accuracy of each measuring seed, in the order of the seeds."""
    rows = study.series[condition, 'measure', option, 'test', protocol.METRIC]
    return {row['seed']: row['value'] for row in sorted(rows, key=lambda row: row['seed'])}


def differences(study: Study, condition: str, option: str) -> list[float]:
    """Test accuracy of an option less that of the baseline, one a seed."""
    baseline = by_seed(study, condition, study.baseline)
    return [value - baseline[seed] for seed, value in by_seed(study, condition, option).items()]


def image_differences(study: Study, condition: str, option: str) -> np.ndarray | None:
    """1 where the option was right and the baseline wrong, -1 the other way round, else 0: [seed.

    Image].

    A diverged member counts as chance on every image. Only images that every member saw; None where
    that leaves fewer than two, where there is one seed, and where the workdir tells nothing of
    single images.
    """
    if study.correct is None:
        return None
    one, other = (
        _right(study, study.correct, condition, name) for name in (option, study.baseline)
    )
    if one.shape != other.shape or len(one) < 2:
        return None
    d = one - other
    d = d[:, np.isfinite(d).all(0)]
    return d if d.shape[1] > 1 else None


def tuning(study: Study, condition: str, option: str) -> Tuning | None:
    """The tuning phase of an option, or None where its learning rate was given."""
    rows = study.series.get((condition, 'tune', option, 'val', protocol.METRIC), [])
    means = protocol.validation_means(rows, option, condition)
    if not means:
        return None
    last = max(row['epoch'] for row in rows)
    values = {
        rate: [r['value'] for r in rows if r['learning_rate'] == rate and r['epoch'] == last]
        for rate in means
    }
    best = protocol.best_rate(means)
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


def usable(tuning: Tuning) -> tuple[float, float]:
    """The widest run of neighbouring rates within a point of the best.

    Of equals that of the chosen: (low, high).
    """
    least = max(tuning.means.values()) - POINT - 1e-12
    runs, rates = [], sorted(tuning.means)
    for good, together in itertools.groupby(rates, key=lambda rate: tuning.means[rate] >= least):
        run = list(together)
        if good:
            runs.append((run[-1] / run[0], run[0] <= tuning.chosen <= run[-1], run[0], run[-1]))
    return max(runs)[2:]


def diverged(table: Sequence[Row]) -> list[Trouble]:
    """Every member whose loss is not finite in some epoch, with the first such epoch.

    In the order of the table.
    """
    first: dict[tuple[str, str, str, float, int], tuple[int, float]] = {}
    for row in table:
        if row['metric'] == 'loss' and not math.isfinite(row['value']):
            member = (
                row['condition'],
                row['phase'],
                row['option'],
                row['learning_rate'],
                row['seed'],
            )
            if row['epoch'] < first.get(member, (math.inf, 0.0))[0]:
                first[member] = row['epoch'], row['value']
    return [Trouble(*member, *found) for member, found in first.items()]


def _right(
    study: Study, correct: Mapping[str, np.ndarray], condition: str, option: str
) -> np.ndarray:
    """1 where the members of an option were right, 0 where not, nan where not asked, [seed.

    Image].
    """
    members = np.flatnonzero((correct['condition'] == condition) & (correct['option'] == option))
    members = members[np.argsort(correct['seed'][members], kind='stable')]
    right = np.where(correct['tested'][members], correct['correct'][members].astype(float), np.nan)
    measured = [lost for lost in diverged(study.table) if lost.phase == 'measure']
    lost = [
        member.seed
        for member in measured
        if (member.condition, member.option) == (condition, option)
    ]
    chance = 1 / len(study.data[condition]['classes'])
    return np.where(np.isin(correct['seed'][members], lost)[:, None], chance + 0 * right, right)


def _scale(study: Study, condition: str, option: str) -> float:
    """What the option's rates are multiplied by.

    So that the grid as planned can be told from what was added.
    """
    overrides = {
        key.removeprefix('variant.'): value
        for key, value in study.config['options'][option].items()
    }
    return (study.design(condition)['variant'] | overrides).get('learning_rate_scale', 1.0)
