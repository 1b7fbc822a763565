"""Protocol of an ablation: tuning of hyperparameters, comparison on evaluation seeds, verdicts.

Pure functions of the rows of results.csv, which the run and the report share.
"""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from jaxdl import statistics
from jaxdl.errors import InputError
from jaxdl.statistics import search
from jaxdl.statistics.metrics import ACCURACY, Metric
from jaxdl.workdir.contributions import ContributionTable
from jaxdl.workdir.correct import CorrectTable
from jaxdl.workdir.records import SearchPlan
from jaxdl.workdir.tables import Point, Row, hyperparameters, point_of

NONE = 'no difference found'  # the verdict on an option
TEST = 'test'  # the split that is compared
REFUSED, WELCH = 'refused', 'welch'  # of options whose seeds are not those of the baseline
MARGIN = 0.2  # margin of equivalence as a share of the baseline's validation error in tuning
POINT = 0.01  # distance from the best mean within which settings are about as good
NEAR = 0.05  # the same as a share of the best mean, for a metric that has no largest value
Setting = TypeVar('Setting', bound=Any)
Member = tuple[str, str, str, Point, int]  # condition, phase, option, point, seed
# First seed of each phase; evaluation seeds are never tuning seeds.
TUNING_SEED, MEASURING_SEED, VARIANCE_SEED = 0, 1000, 2000
# Of a search: points of each option that run on further tuning seeds, and number of these seeds.
FINALISTS, FURTHER_SEEDS = 4, 3


def seed_numbers(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """Evaluation seeds of the field `seeds` of a study.

    Args:
      seeds: number of seeds, or the seeds themselves.

    Returns:
      The seeds in ascending order; those of a number start at MEASURING_SEED.

    Examples:
      >>> seed_numbers(3), seed_numbers([1003, 1000])
      ((1000, 1001, 1002), (1000, 1003))
    """
    if isinstance(seeds, int):
        return tuple(range(MEASURING_SEED, MEASURING_SEED + seeds))
    return tuple(sorted(seeds))


def seed_words(seeds: Sequence[int]) -> str:
    """Seeds in words.

    Examples:
      >>> seed_words((1000, 1001, 1002)), seed_words((1000, 1003))
      ('1000 to 1002', '1000, 1003')
    """
    if len(seeds) == seeds[-1] - seeds[0] + 1:
        return f'{seeds[0]} to {seeds[-1]}'
    return ', '.join(map(str, seeds))


def validation_means(
    rows: Iterable[Row], option: str, condition: str = '', metric: str = ACCURACY.name
) -> dict[float, float]:
    """Mean of a metric on the validation split, per learning rate, at the last epoch of tuning.

    Args:
      rows: rows of results.csv.
      option: name of the option.
      condition: name of the condition.
      metric: name of the metric that decides.

    Returns:
      Learning rate -> mean over tuning seeds, in ascending order.
    """
    rows = [
        r for r in rows if r['phase'] == 'tune' and r['split'] == 'val' and r['metric'] == metric
    ]
    rows = [r for r in rows if r['option'] == option and r['condition'] == condition]
    last = max((r['epoch'] for r in rows), default=0)
    values = defaultdict(list)
    for row in rows:
        if row['epoch'] == last:
            values[row['learning_rate']].append(row['value'])
    return {rate: math.fsum(v) / len(v) for rate, v in sorted(values.items())}


def best_setting(
    scores: Mapping[Setting, Sequence[float]],
    losses: Mapping[Setting, Sequence[float]] | None = None,
    *,
    lower_is_better: bool = False,
) -> Setting:
    """Setting with the best mean score over seeds.

    Means count as equal if they agree to 12 digits, since sums round. Among equal means the
    smallest mean loss decides, then the smallest setting.

    Args:
      scores: setting -> score of each seed. A score that is not finite puts its setting last.
      losses: setting -> validation loss of each seed; None: equal means go to the smallest setting.
      lower_is_better: direction of the scores.

    Examples:
      >>> best_setting({0.01: [0.9, 0.8], 0.1: [0.95, 0.9], 0.3: [0.9, 0.95]})
      0.1
      >>> best_setting({0.01: [1.0], 0.1: [1.0]}, {0.01: [1.2], 0.1: [0.1]})
      0.1
      >>> best_setting({0.01: [0.4], 0.1: [0.2]}, lower_is_better=True)
      0.1
    """
    return rank_settings(scores, losses, lower_is_better=lower_is_better)[0]


def rank_settings(
    scores: Mapping[Setting, Sequence[float]],
    losses: Mapping[Setting, Sequence[float]] | None = None,
    *,
    lower_is_better: bool = False,
) -> list[Setting]:
    """Settings from the best to the worst, by the rule and the arguments of `best_setting`."""
    sign = 1 if lower_is_better else -1

    def place(setting: Setting) -> tuple[float, float, Setting]:
        loss = math.inf if losses is None else _mean_of(losses[setting], math.inf)
        return sign * _mean_of(scores[setting], sign * math.inf), loss, setting

    return sorted(scores, key=place)


def _mean_of(values: Sequence[float], otherwise: float) -> float:
    mean = math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan
    return round(mean, 12) if math.isfinite(mean) else otherwise


def best_rate(means: Mapping[float, float], metric: Metric = ACCURACY) -> float:
    """Select the learning rate with the best mean.

    Args:
      means: learning rate -> mean on the validation split.
      metric: the metric that decides.

    Returns:
      The best learning rate; the smallest of those that are equal to 12 digits.

    Examples:
      >>> best_rate({0.01: 0.9, 0.1: 0.95, 0.3: 0.95})
      0.1
    """
    return best_setting(
        {rate: [mean] for rate, mean in means.items()}, lower_is_better=metric.lower_is_better
    )


@dataclasses.dataclass(frozen=True)
class Tuned:
    """Validation of the points of one option at the last epoch of tuning.

    A point is a learning rate and the other hyperparameters of a search.

    Attributes:
      names: names of the hyperparameters of a point.
      values: point -> tuning seed -> metric that decides.
      losses: point -> tuning seed -> loss.
    """

    names: tuple[str, ...]
    values: Mapping[Point, Mapping[int, float]]
    losses: Mapping[Point, Mapping[int, float]]

    def setting(self, point: Point, names: Iterable[str]) -> dict[str, float]:
        """Some hyperparameters of a point: name -> value."""
        return {name: point[self.names.index(name)] for name in names}

    def among(self, settings: Iterable[search.Setting]) -> 'Tuned':
        """The points with one of these settings."""
        wanted = [tuple(setting.items()) for setting in settings]
        names = [name for name, _ in wanted[0]] if wanted else []
        points = [p for p in self.values if tuple(self.setting(p, names).items()) in wanted]
        return dataclasses.replace(
            self,
            values={point: self.values[point] for point in points},
            losses={point: self.losses[point] for point in points},
        )

    def rank(self, seeds: Iterable[int], metric: Metric) -> list[Point]:
        """Points that ran on all of these seeds, from the best mean over the seeds to the worst.

        Ties go to the smaller mean loss, then to the smaller point.
        """
        seeds = list(seeds)
        scores = {
            point: [values[seed] for seed in seeds]
            for point, values in self.values.items()
            if all(seed in values for seed in seeds)
        }
        losses = {point: [self.losses[point][seed] for seed in seeds] for point in scores}
        return rank_settings(scores, losses, lower_is_better=metric.lower_is_better)

    def means(self, seeds: Iterable[int]) -> dict[Point, float]:
        """Mean of the metric over these seeds, of the points that ran on all of them."""
        seeds = list(seeds)
        return {
            point: math.fsum(values[seed] for seed in seeds) / len(seeds)
            for point, values in self.values.items()
            if all(seed in values for seed in seeds)
        }


def tuned_points(
    rows: Iterable[Row], option: str, condition: str = '', metric: str = ACCURACY.name
) -> Tuned:
    """Validation of every point of an option that trained to the last epoch of tuning.

    Args:
      rows: rows of results.csv.
      option: name of the option.
      condition: name of the condition.
      metric: name of the metric that decides.
    """
    rows = [
        r
        for r in rows
        if (r['phase'], r['split'], r['option'], r['condition'])
        == ('tune', 'val', option, condition)
    ]
    last = max((r['epoch'] for r in rows), default=0)
    tables: dict[str, dict[Point, dict[int, float]]] = {metric: {}, 'loss': {}}
    for row in rows:
        if row['epoch'] == last and row['metric'] in tables:
            tables[row['metric']].setdefault(point_of(row), {})[row['seed']] = row['value']
    names = hyperparameters(rows[0]) if rows else ()
    return Tuned(names, tables[metric], tables['loss'])


def further_seeds(tuning_seeds: int) -> range:
    """Tuning seeds of the best points of a search, after those of every point."""
    return range(TUNING_SEED + tuning_seeds, TUNING_SEED + tuning_seeds + FURTHER_SEEDS)


def finalists(tuned: Tuned, tuning_seeds: int, metric: Metric = ACCURACY) -> list[Point]:
    """Best points of a search, which run on further tuning seeds.

    The best of many means is too good on average (Cawley and Talbot 2010), so it does not choose.
    """
    return tuned.rank(range(TUNING_SEED, TUNING_SEED + tuning_seeds), metric)[:FINALISTS]


def choose_point(tuned: Tuned, tuning_seeds: int, metric: Metric = ACCURACY) -> Point:
    """Point of a search with the best mean over the further tuning seeds alone.

    Args:
      tuned: validation of the points of an option.
      tuning_seeds: number of tuning seeds of every point.
      metric: the metric that decides.

    Returns:
      One of the finalists; of equal ones that with the smallest mean loss over the same seeds.
    """
    return tuned.rank(further_seeds(tuning_seeds), metric)[0]


def search_rounds(
    plan: SearchPlan, tuned: Mapping[str, Tuned], tuning_seeds: int, metric: Metric = ACCURACY
) -> list[search.Rounds]:
    """Rounds of points of a search, as far as results decide them.

    Args:
      plan: the planned search.
      tuned: option -> validation of its points so far.
      tuning_seeds: number of tuning seeds of every point.
      metric: the metric that decides.

    Returns:
      The planned points, then further points of all options for each time that the best point of
      an option lay at a boundary. The last round has no results yet if the search is not finished.
    """
    rounds = [search.first_round(plan)]
    while True:
        edges = {}
        for option, latest in rounds[-1].items():
            if not tuned[option].among(latest.settings).values:
                return rounds
            of_option = [each[option] for each in rounds]
            edges[option] = find_edges(tuned[option], tuning_seeds, of_option, metric)
        following = search.next_round(plan, rounds, edges)
        if following is None:
            return rounds
        rounds.append(following)


def find_edges(
    tuned: Tuned, tuning_seeds: int, rounds: Sequence[search.Round], metric: Metric = ACCURACY
) -> dict[str, str]:
    """Fields of a search whose best value lies at a boundary (`search.edges`).

    Args:
      tuned: validation of points of an option; later points than those of `rounds` do not count.
      tuning_seeds: number of tuning seeds of every point.
      rounds: rounds of points of the option.
      metric: the metric that decides.

    Returns:
      field -> `low` or `high`, an end of the range of the last round.
    """
    ranges, seeds = rounds[-1].ranges, range(TUNING_SEED, TUNING_SEED + tuning_seeds)
    tried = [setting for each in rounds for setting in each.settings]
    among = tuned.among(tried)
    best, *_ = among.rank(seeds, metric)
    close = near_best(among.means(seeds), metric)
    settings = [tuned.setting(point, ranges) for point in (best, *close)]
    return search.edges(ranges, tried, settings[0], settings)


def near_best(means: Mapping[Setting, float], metric: Metric = ACCURACY) -> list[Setting]:
    """Settings with a mean about as good as the best.

    Within POINT, or within NEAR of the best mean for a metric that has no largest value.

    Examples:
      >>> near_best({0.01: 0.7, 0.1: 0.905, 1.0: 0.91})
      [0.1, 1.0]
    """
    gains = {setting: metric.improvement(mean) for setting, mean in means.items()}
    best = max((gain for gain in gains.values() if math.isfinite(gain)), default=math.inf)
    near = POINT if math.isfinite(metric.largest) else NEAR * abs(best)
    return [setting for setting, gain in gains.items() if gain >= best - near - 1e-12]


def best_learning_rates(runs: Iterable[tuple[str, float, float]]) -> dict[str, float]:
    """Best learning rate of every option.

    Args:
      runs: option, learning rate and score of each run; NaN for a run that diverged.

    Returns:
      option -> the learning rate with the largest mean score; among equal means the smallest.

    Examples:
      >>> best_learning_rates([('max', 0.1, 0.9), ('max', 0.3, 0.95), ('avg', 0.1, 0.8)])
      {'max': 0.3, 'avg': 0.1}
    """
    grids: dict[str, dict[float, list[float]]] = {}
    for option, rate, score in runs:
        grids.setdefault(option, {}).setdefault(rate, []).append(score)
    return {option: best_setting(scores) for option, scores in grids.items()}


def equivalence_margin(
    margin: float | None,
    rows: Iterable[Row],
    baseline: str,
    condition: str = '',
    metric: Metric = ACCURACY,
    searched_seeds: int | None = None,
) -> float | None:
    """Margin of equivalence: the one that is set, otherwise one from the tuning phase.

    The margin is fixed before the first measurement, so the test of equivalence stays valid.

    Args:
      margin: the setting of the study, in the unit of the metric; None for a margin from the tuning
        phase.
      rows: rows of results.csv.
      baseline: name of the baseline.
      condition: name of the condition.
      metric: the metric that decides.
      searched_seeds: tuning seeds of every point of a search; None for a grid of learning rates.

    Returns:
      `margin`, otherwise a fifth of the baseline's mean validation error at its selected learning
      rate (at its chosen point over the further seeds of a search); None if nothing was tuned or
      the error is 0. The error is the distance from the value of a perfect classifier: 1 -
      accuracy. None if this value is not known.
    """
    if margin is not None:
        return margin
    tuned = tuned_points(rows, baseline, condition, metric.name)
    further = tuned.means(further_seeds(searched_seeds)) if searched_seeds else {}
    if searched_seeds and further:
        error = metric.error(further[choose_point(tuned, searched_seeds, metric)])
    else:
        means = validation_means(rows, baseline, condition, metric.name)
        error = metric.error(means[best_rate(means, metric)]) if means else None
    return MARGIN * error if error else None


def grow(rates: Sequence[float], best: float) -> float | None:
    """Extend a grid of learning rates whose best rate is at an edge.

    Args:
      rates: learning rates tried so far.
      best: the best of these.

    Returns:
      The next learning rate beyond the edge; None if `best` is inside the grid.

    Examples:
      >>> grow([0.01, 0.1, 1.0], best=1.0), grow([0.01, 0.1, 1.0], best=0.1)
      (10.0, None)
    """
    rates = sorted(rates)
    if len(rates) < 2 or best not in (rates[0], rates[-1]):
        return None
    neighbour = rates[1] if best == rates[0] else rates[-2]
    return float(f'{best * best / neighbour:.3g}')


@dataclasses.dataclass(frozen=True)
class FailedRun:
    """A failed run, the first epoch of its failure, and the loss or accuracy in that epoch.

    Its point is the learning rate and further hyperparameters of a search.
    """

    condition: str
    phase: str
    option: str
    point: Point
    seed: int
    epoch: int
    value: float

    @property
    def member(self) -> Member:
        """The run."""
        return self.condition, self.phase, self.option, self.point, self.seed


def member_of(row: Row) -> Member:
    """Run of a row of results.csv."""
    return row['condition'], row['phase'], row['option'], point_of(row), row['seed']


def diverged(table: Sequence[Row]) -> list[FailedRun]:
    """Runs with a loss that is not finite, and the first such epoch, in the order of the table."""
    first: dict[Member, tuple[int, float]] = {}
    for row in table:
        if row['metric'] == 'loss' and not math.isfinite(row['value']):
            member = member_of(row)
            if row['epoch'] < first.get(member, (math.inf, 0.0))[0]:
                first[member] = row['epoch'], row['value']
    return [FailedRun(*member, *failure) for member, failure in first.items()]


@dataclasses.dataclass(frozen=True)
class ImageValues:
    """Value of every test image in the measured runs of one condition.

    Attributes:
      by_option: option -> float [seed, image], in ascending order of the seeds: whether the image
        is classified correctly, or its contribution to another metric; the value of a guess for a
        diverged run; nan for an image that is not in the test split of that seed.
      groups: [image], equal for images that belong together.
      blocks: [image], merged groups, the units of the comparison; None: the groups.
    """

    by_option: Mapping[str, np.ndarray]
    groups: np.ndarray
    blocks: np.ndarray | None = None

    @property
    def complete(self) -> bool:
        """Whether every run was tested on every image."""
        return not any(np.isnan(values).any() for values in self.by_option.values())

    def compare(
        self, option: str, baseline: str, metric: Metric, *, paired: bool = True
    ) -> statistics.CorrectComparison:
        """Compare two options for new seeds and new images."""
        units = self.groups if self.blocks is None else self.blocks
        return statistics.compare_values(
            self.by_option[option], self.by_option[baseline], units, metric.largest, paired=paired
        )


def correctness(
    rows: Sequence[Row], correct: CorrectTable, condition: str, num_classes: int
) -> ImageValues:
    """Correctness of the measured runs of one condition.

    Args:
      rows: rows of results.csv, which name the diverged runs.
      correct: content of correct.npz.
      condition: name of the condition.
      num_classes: the accuracy of chance is 1 / num_classes.

    Returns:
      Correctness on the images that at least one run of the condition was tested on.
    """
    failed = {
        (run.option, run.seed)
        for run in diverged(rows)
        if (run.phase, run.condition) == ('measure', condition)
    }
    runs = correct.condition == condition
    tested = correct.tested[runs].any(0)
    by_option = {}
    for option in dict.fromkeys(correct.option[runs].tolist()):
        seeds, values = correct.by_seed(condition, option)
        lost = np.array([(option, int(seed)) in failed for seed in seeds])
        chance = np.where(np.isnan(values), np.nan, 1 / num_classes)
        by_option[option] = np.where(lost[:, None], chance, values)[:, tested]
    return ImageValues(by_option, correct.group[tested])


def image_values(
    table: ContributionTable | None, metric: Metric, correct: ImageValues
) -> ImageValues | None:
    """Values of the test images by the metric that decides.

    Args:
      table: contributions of the images to the metric; None for accuracy, or without any.
      metric: the metric that decides.
      correct: correctness of the images.

    Returns:
      `correct` for accuracy and where each seed has a test split of its own; otherwise the
      contributions, or None if a run has none.
    """
    if metric.name == ACCURACY.name or not correct.complete:
        return correct
    if table is None or not np.isfinite(table.value).all():
        return None
    by_option = {}
    for option in dict.fromkeys(table.option.tolist()):
        runs = np.flatnonzero(table.option == option)
        by_option[option] = table.value[runs[np.argsort(table.seed[runs], kind='stable')]]
    return ImageValues(by_option, table.group, table.block)


def summarize(
    rows: Sequence[Row],
    baseline: str,
    condition: str = '',
    test_train_ratio: float = 0.0,
    by_image: ImageValues | None = None,
    metric: Metric = ACCURACY,
    *,
    unpaired: str = REFUSED,
    split: str = TEST,
    pairs: Iterable[Sequence[str]] = (),
) -> list[Row]:
    """Compute the rows of summary.csv of one condition, and comparisons of further pairs.

    Args:
      rows: rows of results.csv.
      baseline: name of the baseline.
      condition: name of the condition.
      test_train_ratio: as in `jaxdl.statistics.compare`.
      by_image: values of the test images; None leaves the columns on images empty.
      metric: the metric that decides.
      unpaired: REFUSED, or WELCH: an option whose seeds are not those of the baseline is compared
        as unpaired.
      split: split whose values are compared.
      pairs: further comparisons, of an option with another one. All comparisons of a condition are
        one family for Holm's correction.

    Returns:
      One row per option: mean, and the comparison with the baseline. Then one row per pair, whose
      `baseline` is the second option.

    Raises:
      InputError: the seeds of an option are not those of the baseline, and this is refused.
    """
    measured = measured_of(rows, condition, metric.name, split)
    if baseline not in measured:
        raise InputError(
            f'no measurement of the baseline {baseline!r}: run the experiment again to resume it'
        )
    summary = [
        _mean(option, baseline, condition, values, metric) for option, values in measured.items()
    ]
    summary += [_mean(one, other, condition, measured[one], metric) for one, other in pairs]
    compared = [row for row in summary if row['option'] != row['baseline']]
    for row in compared:
        option, other = (measured[row[side]] for side in ('option', 'baseline'))
        if unpaired == REFUSED and not is_paired(option, other):
            raise InputError(
                f'option {row["option"]!r} was not measured on the seeds of the baseline: '
                'run the experiment again'
            )
        row |= comparison_columns(compare_measured(option, other, test_train_ratio, metric))
    p_values = statistics.holm([row['p_value'] for row in compared])
    for row, adjusted in zip(compared, p_values, strict=True):
        row |= dict(p_holm=float(adjusted), verdict=verdict_of(row['difference'], adjusted, metric))
    if by_image is not None:
        _compare_images(summary, by_image, metric, measured)
    return summary


def is_paired(option: Mapping[int, Any], baseline: Mapping[int, Any]) -> bool:
    """Whether an option and the baseline have the same seeds."""
    return set(option) == set(baseline)


def compare_measured(
    option: Mapping[int, tuple[float, float]],
    baseline: Mapping[int, tuple[float, float]],
    test_train_ratio: float = 0.0,
    metric: Metric = ACCURACY,
) -> statistics.Comparison:
    """Compare an option with the baseline over seeds: paired where both have the same seeds.

    Args:
      option: seed -> (value, learning rate), as `measured_of` returns.
      baseline: the same of the baseline.
      test_train_ratio: as in `jaxdl.statistics.compare`; for paired seeds.
      metric: the metric that decides.
    """
    paired = is_paired(option, baseline)
    sides = [[side[seed][0] for seed in sorted(side)] for side in (option, baseline)]
    if not paired:
        return statistics.compare_unpaired(*sides, lower_is_better=metric.lower_is_better)
    return statistics.compare(
        *sides, test_train_ratio=test_train_ratio, lower_is_better=metric.lower_is_better
    )


def _compare_images(
    summary: Sequence[Row],
    by_image: ImageValues,
    metric: Metric,
    measured: Mapping[str, Mapping[int, Any]],
) -> None:
    """Add the columns on new seeds and new images to the rows of one condition.

    Where every seed has a test split of its own, the comparison over seeds covers new images.
    """
    groups = len(np.unique(by_image.groups))
    for row in summary:
        row |= dict(images=len(by_image.groups), image_groups=groups)
    compared = [row for row in summary if row['option'] != row['baseline']]
    for row in compared:
        low, high, p_value = (
            row[name] for name in ('difference_low', 'difference_high', 'p_value')
        )
        if by_image.complete:
            paired = is_paired(measured[row['option']], measured[row['baseline']])
            comparison = by_image.compare(row['option'], row['baseline'], metric, paired=paired)
            (low, high), p_value = comparison.interval, comparison.p_value
        row |= dict(difference_low_images=low, difference_high_images=high, p_value_images=p_value)
    p_values = statistics.holm([row['p_value_images'] for row in compared])
    for row, adjusted in zip(compared, p_values, strict=True):
        few = groups < statistics.FEWEST_GROUPS
        verdict = NONE if few else verdict_of(row['difference'], adjusted, metric)
        row |= dict(p_holm_images=float(adjusted), verdict_images=verdict)


def measured_of(
    rows: Iterable[Row], condition: str, metric: str = ACCURACY.name, split: str = TEST
) -> dict[str, dict[int, tuple[float, float]]]:
    """Metric on the test split of the evaluation seeds, at the last epoch.

    Args:
      rows: rows of results.csv; the epochs of a run in ascending order.
      condition: name of the condition.
      metric: name of the metric that decides.
      split: split whose values are compared.

    Returns:
      Option -> seed -> (value, learning rate).
    """
    measured = defaultdict(dict)
    for r in rows:
        if (r['phase'], r['split'], r['metric'], r['condition']) == (
            'measure',
            split,
            metric,
            condition,
        ):
            measured[r['option']][r['seed']] = (r['value'], r['learning_rate'])
    return measured


def _mean(
    option: str,
    baseline: str,
    condition: str,
    values: dict[int, tuple[float, float]],
    metric: Metric,
) -> Row:
    measured = [value for value, _ in values.values()]
    mean, low, high = (
        statistics.mean_interval(measured) if len(measured) > 1 else (measured[0], None, None)
    )
    rate = next(iter(values.values()))[1]
    head = dict(
        condition=condition, option=option, baseline=baseline, learning_rate=rate, seeds=len(values)
    )
    return head | dict(metric=metric.name, mean=mean, ci_low=low, ci_high=high)


def comparison_columns(comparison: statistics.Comparison) -> Row:
    """Columns of summary.csv of a comparison, before corrections."""
    return dict(
        difference=comparison.difference,
        difference_low=comparison.interval[0],
        difference_high=comparison.interval[1],
        p_value=comparison.p_value,
        p_better=comparison.p_better,
        p_better_low=comparison.p_better_interval[0],
        p_better_high=comparison.p_better_interval[1],
        detectable=comparison.detectable,
    )


def verdict_of(difference: float, p_holm: float, metric: Metric) -> str:
    """Verdict on a difference: `better`, `worse` or NONE."""
    if p_holm >= statistics.ALPHA:
        return NONE
    return 'better' if metric.improvement(difference) > 0 else 'worse'
