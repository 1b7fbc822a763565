"""Tune the options of one condition: a grid of learning rates, or a search."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jaxdl.ablation import planning
from jaxdl.ablation.chunk_runner import Session
from jaxdl.ablation.planning import Condition, Stage
from jaxdl.ensemble import Member, Result
from jaxdl.runtime import distributed
from jaxdl.statistics import protocol, search
from jaxdl.statistics.metrics import ACCURACY, Metric
from jaxdl.statistics.search import GROWTHS, Setting
from jaxdl.workdir.records import FINAL
from jaxdl.workdir.tables import Row

Settings = Mapping[str, Sequence[Setting]]  # option -> hyperparameters of its points
Trained = list[tuple[Member, Result]]


@dataclasses.dataclass(frozen=True)
class Trainer:
    """Training of members of the phase `tune`, and their rows of results.csv.

    Attributes:
      train: (settings, part of the training, label of its files, results of members that were
        paused before this part) -> members and results of each group.
      rows_of: (members and results, epochs that they trained) -> rows.
      add: adds rows to the results.
      rows: results of the condition so far.
      session: the process.
      metric: the metric that decides.
    """

    train: Callable[[Settings, Stage, str, Mapping[Member, Result]], Iterator[Trained]]
    rows_of: Callable[[Trained, int], list[Row]]
    add: Callable[[list[Row]], None]
    rows: Sequence[Row]
    session: Session
    metric: Metric = ACCURACY


def tune(condition: Condition, trainer: Trainer) -> dict[str, Setting]:
    """Choose the hyperparameters of every option with equal budgets.

    Args:
      condition: with its plan.
      trainer: trains members and adds their rows.

    Returns:
      option -> chosen setting.
    """
    return _search(condition, trainer) if condition.search else _grid(condition, trainer)


def _grid(condition: Condition, trainer: Trainer) -> dict[str, Setting]:
    """The best learning rate of a grid, which grows past an edge that holds the best one."""
    study, metric = condition.study, trainer.metric
    planned, full_stage = planning.planned_settings(study, None), Stage('', 0, study.epochs)
    best: dict[str, Setting] = {option: settings[0] for option, settings in planned.items()}
    growing: Mapping[str, Sequence[Setting]] = {
        option: settings for option, settings in planned.items() if len(settings) > 1
    }
    for growth in range(GROWTHS + 1):
        if growing:
            _train(growing, full_stage, f'tune{growth}', trainer)
            means = {
                option: protocol.validation_means(trainer.rows, option, condition.name, metric.name)
                for option in planned
            }
            rates = {option: protocol.best_rate(means[option], metric) for option in planned}
            past = {
                option: protocol.grow(tuple(means[option]), rates[option]) for option in growing
            }
            best = {option: dict(learning_rate=rate) for option, rate in rates.items()}
            growing = {option: [dict(learning_rate=rate)] for option, rate in past.items() if rate}
    return best


def _train(
    settings: Settings,
    part: Stage,
    label: str,
    trainer: Trainer,
    start: Mapping[Member, Result] | None = None,
) -> None:
    """Train members to the last epoch and add their rows."""
    for members in trainer.train(settings, part, label, start or {}):
        trainer.add(trainer.rows_of(members, part.until))


def _search(condition: Condition, trainer: Trainer) -> dict[str, Setting]:
    """The best point of a search on further seeds, after points were added at a boundary."""
    plan, study, metric = condition.search, condition.study, trainer.metric
    assert plan is not None
    seeds = study.tuning_seeds

    def tuned() -> dict[str, protocol.Tuned]:
        return _tuned(condition, trainer.rows, metric)

    number = 0
    while number < len(rounds := protocol.search_rounds(plan, tuned(), seeds, metric)):
        points = {option: each.settings for option, each in rounds[number].items()}
        _train_rungs(condition, points, f'tune{number}', trainer)
        number += 1
    finalists = {
        option: [
            points.setting(point, plan.ranges[option])
            for point in protocol.finalists(points, seeds, metric)
        ]
        for option, points in tuned().items()
    }
    _train(finalists, Stage(FINAL, 0, study.epochs), 'final', trainer)
    return {
        option: points.setting(protocol.choose_point(points, seeds, metric), plan.ranges[option])
        for option, points in tuned().items()
    }


def _tuned(condition: Condition, rows: Sequence[Row], metric: Metric) -> dict[str, protocol.Tuned]:
    """Option -> validation of its points at the last epoch among these rows."""
    return {
        option: protocol.tuned_points(rows, option, condition.name, metric.name)
        for option in condition.study.options
    }


def _train_rungs(condition: Condition, settings: Settings, label: str, trainer: Trainer) -> None:
    """Train the points of a round; with halving, fewer of them after each rung.

    Points of one option are compared with each other, and every option stops as many.
    """
    plan = condition.search
    assert plan is not None
    *early, last = planning.stages(condition.study, plan)
    start: dict[Member, Result] = {}
    for number, part in enumerate(early, 1):
        groups = trainer.train(settings, part, f'{label}r{number}', start)
        members = [member for group in groups for member in group]
        rows = trainer.rows_of(members, part.until)
        event = dict(condition=condition.name, label=label, rung=number)
        decision = _decide(condition, settings, rows, trainer, event)
        settings = {o: [settings[o][place] for place in decision[o]] for o in settings}
        stopped = [pair for pair in members if not _continues(pair[0], settings)]
        trainer.add(trainer.rows_of(stopped, part.until))
        start = {member: result for member, result in members if _continues(member, settings)}
    _train(settings, last, f'{label}r{len(early) + 1}' if early else label, trainer, start)


def _continues(member: Member, settings: Settings) -> bool:
    """Whether a member has one of these settings."""
    return any(
        all(getattr(member.variant, name) == value for name, value in setting.items())
        for setting in settings[member.option]
    )


def _decide(
    condition: Condition,
    settings: Settings,
    rows: Sequence[Row],
    trainer: Trainer,
    event: dict[str, Any],
) -> dict[str, list[int]]:
    """Places of the points that continue after a rung, per option.

    The decision is in the journal. A resumed run reads it there.
    """
    plan, session = condition.search, trainer.session
    assert plan is not None
    counts = {o: search.survivors(len(each), plan.halving) for o, each in settings.items()}

    def rank(option: str) -> list[int]:
        seeds = range(protocol.TUNING_SEED, protocol.TUNING_SEED + condition.study.tuning_seeds)
        tuned = _tuned(condition, rows, trainer.metric)[option]
        best = tuned.rank(seeds, trainer.metric)[: counts[option]]
        chosen = [tuned.setting(point, plan.ranges[option]) for point in best]
        return sorted(settings[option].index(setting) for setting in chosen)

    def decide() -> dict[str, list[int]]:
        decision = {}
        for earlier in session.earlier:
            places = earlier.get('continue')
            if isinstance(places, dict) and event.items() <= earlier.items():
                decision |= {
                    option: places[option]
                    for option in settings
                    if _is_decision(places.get(option), len(settings[option]), counts[option])
                }
        new = {option: rank(option) for option in settings if option not in decision}
        if new:
            session.note('rung', **event, **{'continue': new})
        return decision | new

    return distributed.share_result(decide)


def _is_decision(places: Any, points: int, count: int) -> bool:
    """Whether an entry of the journal names as many points of an option as continue."""
    return (
        isinstance(places, list)
        and len(places) == count
        and all(type(place) is int and place in range(points) for place in places)
        and len(set(places)) == count
    )
