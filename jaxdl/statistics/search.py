"""Quasi-random search of hyperparameters: ranges, points, and ranges that grow at a boundary.

Every option of a study is searched with equally many points, made of the same unit points
(Bousquet et al. 2017; Godbole et al., Deep Learning Tuning Playbook).
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import qmc

from jaxdl.workdir.records import SearchPlan, SearchRange

SCALES = ('log', 'linear')
GROWTHS = 2  # how often the ranges of a search, or a grid of learning rates, may grow
EXTENSION = 0.5  # width by which a range grows, as a share of the planned width
EDGE = 0.1  # share of a range at each end that counts as its boundary
INNER = 0.25, 0.75  # ends of the inner half of a range
FEWEST = 4  # points from which on a boundary is recognised; of fewer nearly every one is outermost

Setting = Mapping[str, float]  # field -> value


class Range(NamedTuple):
    """Range of a hyperparameter that a study searches.

    Attributes:
      scale: `log` or `linear`, on which points are uniform.
      low: smallest value.
      high: largest value.
    """

    scale: str
    low: float
    high: float

    def value(self, unit: float) -> float:
        """Value at a unit coordinate, 0 for `low` and 1 for `high`, to six digits.

        Examples:
          >>> log_uniform(0.01, 1.0).value(0.5), uniform(0, 0.5).value(0.5)
          (0.1, 0.25)
        """
        low, high = self._ends()
        place = low + unit * (high - low)
        value = float(f'{math.exp(place) if self.scale == "log" else place:.6g}')
        return min(max(value, self.low), self.high)

    def unit(self, value: float) -> float:
        """Unit coordinate of a value.

        Examples:
          >>> log_uniform(0.01, 1.0).unit(0.1)
          0.5
        """
        low, high = self._ends()
        return ((math.log(value) if self.scale == 'log' else value) - low) / (high - low)

    def moved(self, end: str, share: float) -> float:
        """Value beyond an end, `low` or `high`, by a share of the width.

        Examples:
          >>> log_uniform(0.01, 1.0).moved('high', 0.5), uniform(0, 0.5).moved('low', 0.5)
          (10.0, -0.25)
        """
        low, high = self._ends()
        place = high + share * (high - low) if end == 'high' else low - share * (high - low)
        return float(f'{math.exp(place) if self.scale == "log" else place:.6g}')

    def _ends(self) -> tuple[float, float]:
        if self.scale == 'log':
            return math.log(self.low), math.log(self.high)
        return self.low, self.high


Search = Mapping[str, Range]  # field of a variant -> its range


def log_uniform(low: float, high: float) -> Range:
    """Range that is searched on a logarithmic scale: learning rates, weight decay.

    Args:
      low: smallest value, above 0.
      high: largest value.

    Returns:
      The range, an entry of `Ablation(search=...)`.

    Examples:
      >>> log_uniform(0.003, 1.0)
      Range(scale='log', low=0.003, high=1.0)
    """
    return Range('log', low, high)


def uniform(low: float, high: float) -> Range:
    """Range that is searched on a linear scale: probabilities, strengths.

    Args:
      low: smallest value.
      high: largest value.

    Returns:
      The range, an entry of `Ablation(search=...)`.

    Examples:
      >>> uniform(0, 0.5)
      Range(scale='linear', low=0, high=0.5)
    """
    return Range('linear', low, high)


def unit_points(number: int, fields: int, scramble: int) -> np.ndarray:
    """Scrambled Sobol sequence (Owen 1998).

    Args:
      number: of points.
      fields: number of coordinates.
      scramble: seed of the scrambling.

    Returns:
      Points in [0, 1), float64 [number, fields]. More points begin with the same points.

    Examples:
      >>> bool((unit_points(8, 2, 0)[:4] == unit_points(4, 2, 0)).all())
      True
    """
    # `seed` is called `rng` from SciPy 1.15 on, and still accepted.
    random = np.random.default_rng(scramble)
    sequence = qmc.Sobol(fields, scramble=True, seed=random)  # type: ignore[call-arg]
    # Powers of two keep the balance of the sequence, and its first points do not depend on them.
    return sequence.random_base2(math.ceil(math.log2(max(number, 2))))[:number]


@dataclasses.dataclass(frozen=True)
class Round:
    """Points of one option that are tried together.

    Attributes:
      ranges: field -> the range of these points.
      settings: one per point.
    """

    ranges: Mapping[str, Range]
    settings: tuple[Setting, ...]


Rounds = Mapping[str, Round]  # option -> its points


def first_round(plan: SearchPlan) -> Rounds:
    """The planned points of every option."""
    return {
        option: _round(plan, {name: _planned(limits) for name, limits in ranges.items()}, 0)
        for option, ranges in plan.ranges.items()
    }


def next_round(
    plan: SearchPlan, rounds: Sequence[Rounds], edges: Mapping[str, Mapping[str, str]]
) -> Rounds | None:
    """Further points of all options, if the best point of an option lies at a boundary.

    The range of this option grows at this end. All options take the same number of further points,
    the next of the sequence. An option of an extension asks for no further points.

    Args:
      plan: the planned search.
      rounds: rounds so far.
      edges: option -> field -> end of its range (`low` or `high`) at which the best point lies.

    Returns:
      The next points; None if no range can grow, or after GROWTHS rounds of further points.
    """
    if len(rounds) > GROWTHS:
        return None
    latest = {option: each.ranges for option, each in rounds[-1].items()}
    grown = {
        option: {
            name: _grow(limits, latest[option][name], edges.get(option, {}).get(name))
            for name, limits in ranges.items()
        }
        for option, ranges in plan.ranges.items()
    }
    if all(grown[option] == latest[option] for option in grown if option not in plan.late):
        return None
    return {option: _round(plan, ranges, len(rounds)) for option, ranges in grown.items()}


def rungs(trials: int, epochs: int, halving: int, least: int) -> tuple[int, ...]:
    """Epochs after which a search by successive halving stops points, then the last epoch.

    As many rungs as leave at least `least` points at the last epoch (Jamieson and Talwalkar 2016).

    Args:
      trials: number of points of every option.
      epochs: epochs of a whole training.
      halving: of so many points one continues.
      least: number of points that train to the last epoch.

    Examples:
      >>> rungs(32, 20, 3, 4), rungs(16, 20, 3, 4), rungs(8, 20, 3, 4)
      ((2, 7, 20), (7, 20), (20,))
    """
    ends, points = [epochs], survivors(trials, halving)
    while points >= least and 0 < (end := round(epochs / halving ** len(ends))) < ends[0]:
        ends.insert(0, end)
        points = survivors(points, halving)
    return tuple(ends)


def survivors(points: int, halving: int) -> int:
    """Number of points that continue after a rung: one of `halving`, rounded up."""
    return -(-points // halving)


def edges(
    ranges: Mapping[str, Range], tried: Sequence[Setting], best: Setting, close: Sequence[Setting]
) -> dict[str, str]:
    """Fields whose best value lies at a boundary of the range.

    The best value is within EDGE of an end, or no point is closer to this end. A field is left out
    if a point in the inner half of its range is about as good: then the field does not matter.
    Fewer than FEWEST points have no boundary.

    Args:
      ranges: field -> range.
      tried: all points.
      best: the best point.
      close: points that are about as good.

    Returns:
      field -> `low` or `high`.

    Examples:
      >>> ranges, tried = dict(dropout=uniform(0, 1)), [dict(dropout=i / 10) for i in range(10)]
      >>> edges(ranges, tried, tried[0], tried[:2])
      {'dropout': 'low'}
      >>> edges(ranges, tried, tried[0], tried), edges(ranges, tried, tried[4], tried[4:5])
      ({}, {})
      >>> edges(ranges, tried[:2], tried[0], tried[:1])
      {}
    """
    ends = {}
    for name, limits in ranges.items() if len(tried) >= FEWEST else ():
        units = [limits.unit(setting[name]) for setting in tried]
        if any(INNER[0] <= limits.unit(setting[name]) <= INNER[1] for setting in close):
            continue
        unit = limits.unit(best[name])
        if unit <= max(EDGE, min(units)):
            ends[name] = 'low'
        elif unit >= min(1 - EDGE, max(units)):
            ends[name] = 'high'
    return ends


def _planned(limits: SearchRange) -> Range:
    return Range(limits.scale, limits.low, limits.high)


def _grow(limits: SearchRange, current: Range, end: str | None) -> Range:
    """The range with another end, as far as the plan allows."""
    if end is None:
        return current
    planned = _planned(limits)
    grown = [
        value
        for step in range(1, GROWTHS + 1)
        if limits.lowest <= (value := planned.moved(end, step * EXTENSION)) <= limits.highest
    ]
    beyond = [value for value in grown if not current.low <= value <= current.high]
    if not beyond:
        return current
    return (
        current._replace(high=min(beyond)) if end == 'high' else current._replace(low=max(beyond))
    )


def _round(plan: SearchPlan, ranges: Mapping[str, Range], number: int) -> Round:
    """Round `number` over these ranges."""
    first = number and plan.trials + (number - 1) * plan.further
    points = plan.points[first : first + (plan.further if number else plan.trials)]
    settings = (
        {name: ranges[name].value(point[plan.fields.index(name)]) for name in ranges}
        for point in points
    )
    return Round(ranges, tuple(settings))
