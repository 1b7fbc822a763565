"""Diverged members in the report, with their treatment in the statistics."""

import math

import numpy as np
import pytest
import workdirs

from jaxdl import report
from jaxdl.ablation import result_rows
from jaxdl.ensemble import Member
from jaxdl.report.ablation import divergence, reading
from jaxdl.report.page import plots
from jaxdl.report.page.blocks import Drawing
from jaxdl.statistics import protocol
from jaxdl.train.variant import Variant

SEEDS = range(protocol.MEASURING_SEED, protocol.MEASURING_SEED + 4)
# What is planted (seed -> epoch, loss, accuracy from then on), the heading or words that name it,
# and the seeds' cell.
PLANTED = {
    'no number': ({1001: (3, math.nan, 0.1)}, 'Diverged runs', 'seed 1001 (epoch 3)'),
    'infinite': ({1001: (3, math.inf, 0.1)}, 'Diverged runs', 'seed 1001 (epoch 3, infinite)'),
    'exploding': ({1002: (4, 1e20, 0.7)}, 'Exploded runs', 'seed 1002 (epoch 4)'),
    'all dead': ({1003: (2, 2.3026, 0.1)}, 'Runs that learned nothing', 'seed 1003 (epoch 2)'),
    'dead from the start': (
        {1000: (1, 2.3026, 0.1)},
        'Runs that learned nothing',
        'seed 1000 (epoch 1)',
    ),
}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Study of three options whose `avg` has the planted members, and the text of its report."""
    monkeypatch.setattr(
        plots, 'draw', lambda plot: Drawing(b'<svg/>', b'<svg/>', b'', (1, 1), (1, 1))
    )

    def make(planted):
        members = {('avg', seed): losses for seed, losses in planted.items()}
        small = dict(options=workdirs.first(3), seeds=4, epochs=6, tuning_seeds=1, planted=members)
        workdir = workdirs.make(tmp_path / 'run', **small)
        report.build(workdir)
        return reading.read(workdir), (workdir / 'report.md').read_text().replace(
            '\N{NO-BREAK SPACE}', ' '
        )

    return make


@pytest.mark.parametrize('name', PLANTED)
def test_each_is_named_with_seed_and_epoch(made, name):
    planted, heading, cell = PLANTED[name]
    study, text = made(planted)
    assert heading in text
    (row,) = [line for line in text.splitlines() if cell in line]
    assert row.startswith('| **avg** | measure | 0.1 |')
    failure = dict(Diverged='diverged', Exploded='exploded').get(
        heading.split()[0], 'learned nothing'
    )
    assert f'Evaluation runs that {failure}: 1 of **avg**' in text
    others = {'Diverged runs', 'Exploded runs', 'Runs that learned nothing'} - {heading}
    assert not [other for other in others if other in text]  # each under one heading alone
    values = [row['value'] for row in study.series['', 'measure', 'avg', 'test', 'accuracy']]
    assert next(row for row in study.summary if row['option'] == 'avg')['mean'] == pytest.approx(
        np.mean(values)
    )


def test_a_study_in_which_all_went_well_names_none(made):
    study, text = made({})
    assert 'No run diverged.' in text
    assert not divergence.find_exploded(study) + divergence.find_idle(study)
    assert 'width 0' not in text


def test_members_that_recover_are_not_named(made):
    study, _ = made({})
    rows = study.series['', 'measure', 'avg', 'train', 'loss']
    rows[0]['value'] = 1e20  # the first epoch of a wild start
    assert divergence.find_exploded(study) == []


def test_equal_seeds_are_reported_as_no_evidence(made):
    study, text = made(dict.fromkeys(SEEDS, (1, 0.5, 0.9)))
    assert 'All 4 seeds of **avg** have the same test accuracy, 90.00 %' in text
    row = next(row for row in study.summary if row['option'] == 'avg')
    assert row['ci_low'] == pytest.approx(row['ci_high'])


@pytest.mark.parametrize('shift', [0.0, -0.25])
def test_the_same_difference_on_every_seed_names_its_p_value(made, shift):
    study, _ = made({})
    baseline = {
        row['seed']: row['value'] for row in study.series['', 'measure', 'max', 'test', 'accuracy']
    }
    for row in study.series['', 'measure', 'avg', 'test', 'accuracy']:
        row['value'] = baseline[row['seed']] + shift
    (text,) = divergence.warnings(study, '')
    assert 'avg' in text
    assert 'minimum detectable difference is not estimable' in text
    p_value = 1.0 if shift == 0 else 2.0 ** (1 - len(baseline))  # the exact sign-flip test
    assert f', p = {"1" if shift == 0 else f"{p_value:.3f}"}.' in text
    (row,) = [row for row in protocol.summarize(study.table, 'max') if row['option'] == 'avg']
    assert row['difference_low'] == pytest.approx(row['difference_high'])
    assert row['p_value'] == p_value
    assert row['detectable'] == 0


def test_the_table_of_results_tells_infinite_from_no_number():
    member = Member('a', 1000, Variant())
    loss = np.array([2.0, math.inf, 3.0])
    outcome = dict.fromkeys(('train_loss', 'val_loss'), loss) | dict.fromkeys(
        ('train_accuracy', 'val_accuracy'), loss
    )
    rows = result_rows.result_rows('', 'measure', [(member, outcome)], 4)
    rows = [row for row in rows if row['split'] == 'train']
    assert str([row['value'] for row in rows if row['metric'] == 'loss']) == '[2.0, inf, nan]'
    assert [row['value'] for row in rows if row['metric'] == 'accuracy'] == [2.0, 0.25, 0.25]
