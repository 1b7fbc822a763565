"""Number of seeds: against simulation, and from the tables of a run."""

import dataclasses

import numpy as np
import pytest
import run_records
import studies
from scipy import stats

from jaxdl import statistics, workdir
from jaxdl.ablation import estimate
from jaxdl.cli import seed_budget
from jaxdl.config.load import as_dict
from jaxdl.errors import InputError
from jaxdl.workdir import tables


@pytest.mark.parametrize(('effect', 'power'), [(3.0, 0.8), (1.0, 0.8), (0.6, 0.9), (0.3, 0.5)])
def test_seeds_needed_reach_the_requested_power(effect, power):
    n = statistics.seeds_needed(1.0, effect, power)
    draws = np.random.default_rng(0).normal(effect, 1.0, (20_000, n))
    result = (stats.ttest_1samp(draws, 0.0, axis=1).pvalue < 0.05).mean()
    fewer = (
        (stats.ttest_1samp(draws[:, : n - 1], 0.0, axis=1).pvalue < 0.05).mean() if n > 2 else 0.0
    )
    assert result > power - 0.01
    assert fewer < power + 0.01


@pytest.mark.parametrize('n', [2, 5, 10, 40, 300])
def test_it_is_the_inverse_of_what_is_detectable(n):
    sd = 0.02
    assert statistics.seeds_needed(sd, statistics.detectable(sd, n) * (1 + 1e-9)) == n
    assert statistics.seeds_needed(sd, statistics.detectable(sd, n) * (1 - 1e-6)) == n + 1


def test_the_normal_limit_continues_the_noncentral_t():
    near, far = (statistics.seeds_needed(1.0, d) for d in (0.02803, 0.02800))
    assert 9_900 < near < far < 10_100
    assert statistics.seeds_needed(0.0, 0.1) == 2


@pytest.mark.parametrize(
    'arguments', [(0.1, 0.0), (-1.0, 0.1), (np.nan, 0.1), (0.1, 0.1, 1.0), (0.1, np.inf)]
)
def test_invalid_effects_and_powers_are_refused(arguments):
    with pytest.raises(InputError, match='must be'):
        statistics.seeds_needed(*arguments)


def test_the_interval_of_a_standard_deviation_covers_it():
    sds = np.random.default_rng(0).normal(0, 2.0, (4_000, 6)).std(1, ddof=1)
    covered = np.mean(
        [low <= 2.0 <= high for low, high in (statistics.sd_interval(sd, 6) for sd in sds)]
    )
    assert covered == pytest.approx(0.95, abs=0.015)


def measured():
    """Rows of three seeds of two options."""
    return [
        dict(
            condition='',
            phase='measure',
            option=option,
            learning_rate=0.1,
            seed=seed,
            epoch=1,
            split='test',
            metric='accuracy',
            value=value,
        )
        for option, values in dict(max=(0.5, 0.7, 0.6), avg=(0.6, 0.7, 0.9)).items()
        for seed, value in enumerate(values)
    ]


def test_the_spread_is_that_of_the_paired_differences():
    expected = pytest.approx(np.std([0.1, 0.0, 0.3], ddof=1))
    assert seed_budget.measure_spread(measured(), 'max') == {'avg': (expected, 3)}


def test_a_plan_asks_for_a_run_of_the_same_study(tmp_path):
    study, folder = studies.small(), tmp_path / 'run'
    assert 'holds no run' in seed_budget.describe(study, folder)[1]
    workdir.write_records(folder, config=as_dict(study), run=run_records.make(finished=False))
    tables.write_table(folder / 'results.csv', tables.RESULTS, measured())
    assert 'not finished' in seed_budget.describe(study, folder)[1]
    workdir.write_records(folder, run=run_records.make())
    lines = seed_budget.describe(
        dataclasses.replace(study, seeds=40, epochs=9, margin=0.02), folder
    )
    assert [word for word in lines[2].split() if word[0] in 'n0123456789'] == [
        'n=5',
        'n=10',
        'n=20',
        'n=40',
        '0.5',
        '1',
        '2',
    ]
    sd = np.std([0.1, 0.0, 0.3], ddof=1)
    assert lines[3].split()[:2] == ['avg', f'{100 * sd:.2f}']
    assert lines[3].split()[-1] == f'{statistics.seeds_needed(sd, 0.02):,}'
    other = dataclasses.replace(study, options=dict(study.options, avg=dict(pooling='l2')))
    assert 'holds a run with other options' in seed_budget.describe(other, folder)[1]
    assert 'another study' in seed_budget.describe(studies.initialisations(), folder)[1]


def test_settings_that_separate_programs_are_named():
    assert estimate.list_differing_fields(studies.initialisations()) == []
    lines = estimate.list_differing_fields(studies.small())
    assert lines[-1].split() == ['pooling', 'max', '|', 'avg']
    both = dict(one=dict(norm='none', width=3), two=dict(norm='batch', learning_rate_scale=2.0))
    study = dataclasses.replace(studies.small(), options=both, baseline='one')
    assert [line.split()[0] for line in estimate.list_differing_fields(study)[2:]] == [
        'width',
        'norm',
    ]
