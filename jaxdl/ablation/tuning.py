"""Tune the options of one condition: a grid of learning rates, or a search."""

from collections.abc import Callable, Mapping, Sequence

from jaxdl.ablation import planning
from jaxdl.ablation.planning import Condition
from jaxdl.statistics import protocol
from jaxdl.statistics.metrics import ACCURACY, Metric
from jaxdl.statistics.search import GROWTHS, Setting
from jaxdl.workdir.records import FINAL
from jaxdl.workdir.tables import Row

# (settings of each option, stage of the plan, label of its files) -> trains them, and adds rows.
Train = Callable[[Mapping[str, Sequence[Setting]], str, str], None]


def tune(
    condition: Condition, rows: Sequence[Row], train: Train, metric: Metric = ACCURACY
) -> dict[str, Setting]:
    """Choose the hyperparameters of every option with equal budgets.

    Args:
      condition: with its plan.
      rows: rows of results.csv of this condition, to which `train` adds.
      train: trains members of the phase `tune`.
      metric: the metric that decides.

    Returns:
      option -> chosen setting.
    """
    if condition.search:
        return _search(condition, rows, train, metric)
    return _grid(condition, rows, train, metric)


def _grid(
    condition: Condition, rows: Sequence[Row], train: Train, metric: Metric
) -> dict[str, Setting]:
    """The best learning rate of a grid, which grows past an edge that holds the best one."""
    planned = planning.planned_settings(condition.study, None)
    best: dict[str, Setting] = {option: settings[0] for option, settings in planned.items()}
    growing: Mapping[str, Sequence[Setting]] = {
        option: settings for option, settings in planned.items() if len(settings) > 1
    }
    for growth in range(GROWTHS + 1):
        if growing:
            train(growing, '', f'tune{growth}')
            means = {
                option: protocol.validation_means(rows, option, condition.name, metric.name)
                for option in planned
            }
            rates = {option: protocol.best_rate(means[option], metric) for option in planned}
            past = {
                option: protocol.grow(tuple(means[option]), rates[option]) for option in growing
            }
            best = {option: dict(learning_rate=rate) for option, rate in rates.items()}
            growing = {option: [dict(learning_rate=rate)] for option, rate in past.items() if rate}
    return best


def _search(
    condition: Condition, rows: Sequence[Row], train: Train, metric: Metric
) -> dict[str, Setting]:
    """The best point of a search on further seeds, after points were added at a boundary."""
    plan, seeds = condition.search, condition.study.tuning_seeds
    assert plan is not None

    def tuned() -> dict[str, protocol.Tuned]:
        return {o: protocol.tuned_points(rows, o, condition.name, metric.name) for o in plan.ranges}

    number = 0
    while number < len(rounds := protocol.search_rounds(plan, tuned(), seeds, metric)):
        train({o: each.settings for o, each in rounds[number].items()}, '', f'tune{number}')
        number += 1
    finalists = {
        option: [
            points.setting(point, plan.ranges[option])
            for point in protocol.finalists(points, seeds, metric)
        ]
        for option, points in tuned().items()
    }
    train(finalists, FINAL, 'final')
    return {
        option: points.setting(protocol.choose_point(points, seeds, metric), plan.ranges[option])
        for option, points in tuned().items()
    }
