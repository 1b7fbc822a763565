"""Networks of measured members: kept ones, and ones that are trained again alone."""

import dataclasses

import jax
import numpy as np
import pytest
import studies

import jaxdl
from jaxdl.data import load, split
from jaxdl.errors import InputError
from jaxdl.workdir import tables

pytestmark = pytest.mark.engine
SEED = 1001


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A finished study of two poolings and listed seeds with kept networks, one averaged."""
    study = dataclasses.replace(
        studies.small(), options={'max': {}, 'avg': dict(pooling='avg', ema=0.5)}
    )
    folder = tmp_path_factory.mktemp('kept') / 'run'
    jaxdl.run(jaxdl.override(study, {'keep_networks': True, 'seeds': [1003, SEED]}), folder)
    return study, folder


def accuracy(study, network):
    dataset = load(study.data)
    test = split(dataset, study.data).test
    scores = network.scores(dataset.images[test])
    assert scores.sum(1) == pytest.approx(1, abs=1e-5)
    return float((scores.argmax(1) == dataset.labels[test]).mean())


@pytest.mark.parametrize('option', ['max', 'avg'])
@pytest.mark.parametrize('make', [jaxdl.load_member, jaxdl.train_member])
def test_a_network_has_the_accuracy_of_its_member(run, make, option):
    study, folder = run
    network = make(folder, option, SEED)
    rows = tables.read_table(folder / 'results.csv', tables.RESULTS)
    (measured,) = (
        row['value']
        for row in rows
        if (row['phase'], row['option'], row['seed']) == ('measure', option, SEED)
        and (row['split'], row['metric']) == ('test', 'accuracy')
    )
    assert accuracy(study, network) == pytest.approx(measured, abs=1 / 360 + 1e-9)
    assert network.config['option'] == option
    assert network.config['variant']['pooling'] == option
    assert network.config['class_names'] == [str(digit) for digit in range(10)]


def test_listed_seeds_are_measured_and_stated(run):
    _, folder = run
    rows = tables.read_results(folder / 'results.csv')
    assert {row['seed'] for row in rows if row['phase'] == 'measure'} == {SEED, 1003}
    text = (folder / 'report.md').read_text(encoding='utf-8')
    assert '2 (1001, 1003); none of the tuning seeds' in text
    assert 'trained with 2 evaluation seeds' in text


def test_a_network_that_is_trained_again_equals_the_kept_one(run):
    _, folder = run
    kept, again = (make(folder, 'avg', SEED) for make in (jaxdl.load_member, jaxdl.train_member))
    leaves = zip(*(jax.tree.leaves(each.variables) for each in (kept, again)), strict=True)
    for one, other in leaves:
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (('mox', SEED), "unknown option 'mox': did you mean max"),
        (('max', 7), 'seed 7: the evaluation seeds of the study are 1001, 1003'),
        (('max', SEED, 'other'), "unknown condition 'other'"),
    ],
)
def test_members_that_are_not_there(run, arguments, words):
    with pytest.raises(InputError, match=words):
        jaxdl.load_member(run[1], *arguments)


def test_a_run_without_networks_names_both_ways(tmp_path):
    jaxdl.run(studies.small(), tmp_path / 'run')
    with pytest.raises(InputError, match=r'keep_networks=true, or use jaxdl\.train_member'):
        jaxdl.load_member(tmp_path / 'run', 'max', SEED)
