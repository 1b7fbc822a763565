"""Searches: ranges, unit points, growth at a boundary, and the choice on further seeds."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.stats import qmc

from jaxdl.statistics import metrics, protocol, search
from jaxdl.statistics.search import Range, log_uniform, uniform
from jaxdl.workdir.records import SearchPlan, SearchRange

RATE, DROPOUT = log_uniform(0.001, 10.0), uniform(0, 0.5)
SEEDS = 2


def plan_of(ranges, trials=16, lowest=None, highest=None):
    """The plan of a search; ranges grow without limit unless there is one."""
    fields = tuple(dict.fromkeys(name for limits in ranges.values() for name in limits))
    further = trials // 2
    points = search.unit_points(trials + search.GROWTHS * further, len(fields), 7)
    limits = {
        option: {
            name: SearchRange(
                *each,
                lowest=-math.inf if lowest is None else lowest,
                highest=math.inf if highest is None else highest,
            )
            for name, each in of_option.items()
        }
        for option, of_option in ranges.items()
    }
    return SearchPlan(fields, trials, further, 7, tuple(map(tuple, points.tolist())), limits)


def run(plan, surface, noise=0.0, seed=0):
    """Runs a search on a surface (option, setting) -> accuracy in place of training.

    Returns:
      Rounds, rows of results.csv, and option -> setting that is chosen.
    """
    random, rows = np.random.default_rng(seed), []

    def train(settings, seeds):
        for option, of_option in settings.items():
            for setting in of_option:
                for seed in seeds:
                    head = dict(condition='', phase='tune', option=option)
                    head |= dict(learning_rate=setting['learning_rate'], seed=seed, epoch=3)
                    further = {k: v for k, v in setting.items() if k != 'learning_rate'}
                    value = surface(option, setting) + noise * random.normal()
                    for metric, number in (('accuracy', value), ('loss', 1 - value)):
                        row = head | dict(split='val', metric=metric, value=number)
                        rows.append(row | further)

    def tuned():
        return {option: protocol.tuned_points(rows, option) for option in plan.ranges}

    trained = 0
    while trained < len(rounds := protocol.search_rounds(plan, tuned(), SEEDS)):
        train({o: each.settings for o, each in rounds[trained].items()}, range(SEEDS))
        trained += 1
    best = {
        option: [points.setting(p, points.names) for p in protocol.finalists(points, SEEDS)]
        for option, points in tuned().items()
    }
    train(best, protocol.further_seeds(SEEDS))
    chosen = {
        option: points.setting(protocol.choose_point(points, SEEDS), points.names)
        for option, points in tuned().items()
    }
    return rounds, rows, chosen


def quadratic(optimum):
    """Accuracy that falls with the squared distance from an optimum, in decades and in units."""

    def surface(option, setting):
        rate, dropout = optimum[option]
        away = (math.log10(setting['learning_rate'] / rate)) ** 2
        return 0.95 - 0.1 * away - 0.5 * (setting['dropout'] - dropout) ** 2

    return surface


def points_of(rows, option):
    return {(r['learning_rate'], r['dropout']) for r in rows if r['option'] == option}


@pytest.mark.parametrize('limits', [RATE, DROPOUT, log_uniform(1e-6, 1e-2), uniform(-2, 3)])
def test_unit_and_value_are_inverse(limits):
    units = np.linspace(0, 1, 11)
    values = [limits.value(unit) for unit in units]
    assert (values[0], values[-1]) == (limits.low, limits.high)
    np.testing.assert_allclose([limits.unit(value) for value in values], units, atol=1e-5)


def test_unit_points_are_balanced_and_begin_alike():
    points = search.unit_points(32, 3, 5)
    assert (points[:11] == search.unit_points(11, 3, 5)).all()
    assert (points != search.unit_points(32, 3, 6)).any()
    for column in points.T:  # one point in each of 32 equal parts
        assert sorted((column * 32).astype(int)) == list(range(32))
    assert qmc.discrepancy(points) < qmc.discrepancy(np.random.default_rng(0).random((32, 3)))


def test_options_have_the_same_unit_points_over_their_ranges():
    shifted = Range('log', RATE.low * 30, RATE.high * 30)
    plan = plan_of(
        {'a': dict(learning_rate=RATE, dropout=DROPOUT), 'b': dict(learning_rate=shifted)}
    )
    first = search.first_round(plan)
    assert len(first['a'].settings) == len(first['b'].settings) == 16
    for one, other in zip(first['a'].settings, first['b'].settings, strict=True):
        assert other['learning_rate'] == pytest.approx(30 * one['learning_rate'], rel=1e-4)
        assert set(other) == {'learning_rate'}


def test_a_known_optimum_is_found_for_every_option_with_one_budget():
    optimum = {'a': (0.1, 0.2), 'b': (1.0, 0.4), 'c': (0.03, 0.1)}
    plan = plan_of({option: dict(learning_rate=RATE, dropout=DROPOUT) for option in optimum}, 32)
    rounds, rows, chosen = run(plan, quadratic(optimum))
    assert len(rounds) == 1  # no optimum lies at a boundary
    for option, (rate, dropout) in optimum.items():
        assert len(points_of(rows, option)) == 32
        assert abs(math.log10(chosen[option]['learning_rate'] / rate)) < 0.5
        assert abs(chosen[option]['dropout'] - dropout) < 0.15


def test_an_optimum_beyond_the_range_adds_points_for_all_options():
    optimum = {'a': (0.1, 0.2), 'b': (60.0, 0.2)}
    plan = plan_of({option: dict(learning_rate=RATE, dropout=DROPOUT) for option in optimum})
    rounds, rows, chosen = run(plan, quadratic(optimum))
    assert [len(each['a'].settings) for each in rounds] == [16, 8]
    assert [len(each['b'].settings) for each in rounds] == [16, 8]
    assert len(points_of(rows, 'a')) == len(points_of(rows, 'b')) == 24
    assert rounds[1]['a'].ranges == rounds[0]['a'].ranges  # only the range at its boundary grows
    assert rounds[1]['b'].ranges['learning_rate'].high > RATE.high
    assert chosen['b']['learning_rate'] > RATE.high
    following = [point for round_ in rounds for point in round_['a'].settings]
    units = [DROPOUT.unit(point['dropout']) for point in following]
    np.testing.assert_allclose(units, [point[1] for point in plan.points[:24]], atol=1e-5)


def test_ranges_grow_twice_at_most_and_never_beyond_their_limits():
    optimum = {'a': (1e9, 0.2)}
    ranges = {'a': dict(learning_rate=RATE, dropout=DROPOUT)}
    rounds, _, _ = run(plan_of(ranges), quadratic(optimum))
    assert len(rounds) == 1 + search.GROWTHS
    rounds, _, _ = run(plan_of(ranges, lowest=-math.inf, highest=10.0), quadratic(optimum))
    assert len(rounds) == 1


def test_a_field_without_effect_has_no_boundary():
    plan = plan_of({'a': dict(learning_rate=RATE, dropout=DROPOUT)})
    peaked = quadratic({'a': (0.1, 0.0)})
    flat = lambda option, setting: (
        peaked(option, {**setting, 'dropout': 0.0}) - 1e-4 * (0.5 - setting['dropout'])
    )
    assert len(run(plan, flat)[0]) == 1
    steep = lambda option, setting: flat(option, setting) + setting['dropout']
    assert len(run(plan, steep)[0]) > 1  # the same with an effect


def test_the_further_seeds_alone_choose():
    values = {0.1: [0.99, 0.99, 0.5, 0.5, 0.5], 0.2: [0.9, 0.9, 0.8, 0.8, 0.8]}
    values |= {rate: [0.85, 0.85] for rate in (0.3, 0.4)} | {0.5: [0.1, 0.1], 0.6: [0.2, 0.2]}
    rows = [
        dict(condition='', phase='tune', option='a', learning_rate=rate, seed=seed, epoch=1)
        | dict(split='val', metric=metric, value=value)
        for rate, of_rate in values.items()
        for seed, value in enumerate(of_rate)
        for metric in ('accuracy', 'loss')
    ]
    tuned = protocol.tuned_points(rows, 'a')
    assert protocol.finalists(tuned, SEEDS) == [(0.1,), (0.2,), (0.3,), (0.4,)]
    assert protocol.choose_point(tuned, SEEDS) == (0.2,)
    assert protocol.equivalence_margin(None, rows, 'a', searched_seeds=SEEDS) == pytest.approx(
        0.2 * (1 - 0.8)
    )


def test_of_equal_means_the_smaller_loss_is_chosen():
    losses = {(0.1,): 0.5, (0.2,): 0.4, (0.3,): 0.4, (0.4,): math.nan}
    seeds = list(protocol.further_seeds(SEEDS))
    tuned = protocol.Tuned(
        ('learning_rate',),
        {point: dict.fromkeys([0, 1, *seeds], 0.9) for point in losses},
        {point: dict.fromkeys([0, 1, *seeds], loss) for point, loss in losses.items()},
    )
    assert protocol.choose_point(tuned, SEEDS) == (0.2,)
    falling = dataclasses.replace(metrics.ACCURACY, lower_is_better=True)
    assert protocol.choose_point(tuned, SEEDS, falling) == (0.2,)


def test_further_seeds_remove_the_bias_of_the_best_of_many():
    plan = plan_of({'a': dict(learning_rate=RATE, dropout=DROPOUT)})
    level = lambda option, setting: 0.9  # all points are equal: the best one was only lucky
    biases = []
    for seed in range(20):
        _, rows, _ = run(plan, level, noise=0.02, seed=seed)
        tuned = protocol.tuned_points(rows, 'a')
        best = max(tuned.means(range(SEEDS)).values())
        further = tuned.means(protocol.further_seeds(SEEDS))
        biases.append((best - 0.9, further[protocol.finalists(tuned, SEEDS)[0]] - 0.9))
    first, again = np.mean(biases, 0)
    assert first > 0.015
    assert abs(again) < 0.006  # the same points on other seeds
