"""Sources of variance: order, noise and split apart, noise of equal strength; probes."""

import dataclasses

import numpy as np
import pytest
import studies

from jaxdl import ensemble, report
from jaxdl.ablation import planning, run
from jaxdl.data import Data, load, split
from jaxdl.data.on_device import place_on_device
from jaxdl.ensemble import Member, chunks
from jaxdl.train.diagnostics import PROBES
from jaxdl.train.figure_data import PICTURES
from jaxdl.train.variant import Variant
from jaxdl.workdir import tables

BASE = Variant(width=2, depth=1)
NOISY = BASE.replace(rotation=10.0, translation=0.1, mixup=0.2, dropout=0.1)


def losses(trained, chunk=None):
    chunk = chunks.rectangle([m.stream for m in trained]) if chunk is None else chunk
    training, _, _ = studies.train(trained, chunk)
    ordered = np.empty(len(trained))
    ordered[np.asarray(chunk)] = training.history['train_loss'][0]
    return ordered


def test_augmentation_of_equal_strength_is_done_once_a_row_and_changes_nothing():
    rates = [NOISY.replace(learning_rate=rate) for rate in (0.1, 0.02)]
    even = studies.members(rates, [0, 1])
    assert ensemble.find_optional_parts(even).even == ('rotation', 'translation', 'mixup')
    uneven = [*even, *studies.members([NOISY.replace(rotation=0.0)], [0, 1])]
    assert ensemble.find_optional_parts(uneven).even == ('translation', 'mixup')
    np.testing.assert_allclose(losses(even), losses(uneven)[: len(even)], atol=1e-5)


def test_the_noise_of_a_group_reaches_its_later_chunks():
    calm, noisy = Member('calm', 0, BASE), Member('noisy', 0, NOISY)
    assert ensemble.find_optional_parts([calm, noisy]).kinds == (
        'dropout',
        'rotation',
        'translation',
        'mixup',
    )
    whole = losses([calm, noisy], [[0, 1]])
    alone = losses([noisy], [[0]])
    assert whole[1] == pytest.approx(alone[0], abs=1e-5)
    assert whole[0] != pytest.approx(whole[1], abs=1e-4)


@pytest.mark.parametrize('source', planning.SOURCES)
def test_each_source_of_chance_changes_the_run_by_itself(source):
    changed = dataclasses.replace(NOISY, **{source: 1})
    member = Member('', 0, changed, split=changed.split_offset)
    splits = [split(load(Data()), Data(), number) for number in (0, 1)]
    resident_data = place_on_device(load(Data()), splits)
    both = [Member('', 0, NOISY), member]
    training, _, _ = studies.train(both, [[0], [1]], data=resident_data.rows([0, member.split]))
    first, second = training.history['train_loss'][0].ravel()
    assert first == pytest.approx(losses(both[:1])[0], abs=1e-5)
    assert abs(first - second) > 3e-5  # one alone and in a group agree to 1e-5


def test_rows_with_their_own_splits_equal_single_runs():
    dataset = load(Data())
    splits = [split(dataset, Data(), number) for number in range(3)]
    members = [Member('', seed, BASE, split=seed) for seed in range(3)]
    resident_data = place_on_device(dataset, splits)
    training, _, tested = studies.train(
        members, [[0], [1], [2]], data=resident_data.rows([0, 1, 2])
    )
    for seed in range(3):
        alone = place_on_device(dataset, [splits[seed]])
        single, _, single_tested = studies.train(members[seed : seed + 1], [[0]], data=alone)
        for name in ('train_loss', 'val_loss'):
            assert training.history[name][0, seed, 0] == pytest.approx(
                single.history[name][0, 0, 0], abs=1e-5
            )
        assert np.mean(tested['correct'][seed, 0] == single_tested['correct'][0, 0]) > 0.99


def test_moments_are_those_of_the_training_images():
    dataset, parts = load(Data()), split(load(Data()), Data())
    resident_data = place_on_device(dataset, [parts])
    pixels = dataset.images[parts.train] / 255
    assert float(resident_data.mean[0, 0]) == pytest.approx(pixels.mean(), rel=1e-5)
    assert float(resident_data.std[0, 0]) == pytest.approx(pixels.std(), rel=1e-5)
    table = load(Data(dataset='breast_cancer'))
    parts_of_table = split(table, Data())
    rows = table.images[parts_of_table.train][:, 0, 0]
    np.testing.assert_allclose(
        place_on_device(table, [parts_of_table]).std[0], rows.std(0), rtol=1e-4
    )


def test_a_variance_study_crosses_its_sources_and_leaves_the_tables_alone(tmp_path):
    study = studies.small(learning_rates=[0.1], variance_study=True, variance_levels=5, epochs=1)
    run.run(study, tmp_path / 'varied')
    plain = dataclasses.replace(study, variance_study=False)
    run.run(plain, tmp_path / 'plain')
    assert (tmp_path / 'varied' / 'results.csv').read_bytes() == (
        tmp_path / 'plain' / 'results.csv'
    ).read_bytes()
    rows = tables.read_table(tmp_path / 'varied' / 'artifacts' / 'variance.csv', tables.VARIANCE)
    for one in ('init', 'order', 'augmentation', 'split'):
        for other in ('init', 'order', 'augmentation', 'split'):
            if one < other:
                assert len({(row[one], row[other]) for row in rows}) == 25 == len(rows)
    assert 'variance' in (tmp_path / 'varied' / 'report.md').read_text()


def test_a_diverged_member_of_a_variance_study_counts_as_chance(tmp_path):
    study = studies.small(learning_rates=[0.1], variance_study=True, variance_levels=5, epochs=1)
    wild = dict(max=dict(pooling='max', learning_rate_scale=1e30))
    run.run(dataclasses.replace(study, options=wild), tmp_path)
    rows = tables.read_table(tmp_path / 'artifacts' / 'variance.csv', tables.VARIANCE)
    assert {row['accuracy'] for row in rows} == {0.1}


def test_every_seed_has_its_own_split_if_requested(tmp_path):
    run.run(studies.small(learning_rates=[0.1], resample_split=True, epochs=1), tmp_path)
    with np.load(tmp_path / 'correct.npz') as arrays:
        tested, seeds = arrays['tested'], arrays['seed']
    assert not np.array_equal(tested[seeds == 1000][0], tested[seeds == 1001][0])
    assert (tested.sum(1) == 360).all()


@pytest.mark.parametrize('name', PROBES)
def test_probes_reach_the_workdir_for_every_member(name, tmp_path):
    study = studies.initialisations(
        learning_rates=[0.1], probes=[name], epochs=1, dataset='moons', model='mlp', norm='none'
    )
    run.run(study, tmp_path)
    with np.load(tmp_path / 'artifacts' / '0' / 'probes.npz') as arrays:
        keys = [key for key in arrays if key not in ('option', 'seed')]
        assert {key.split('.')[0] for key in keys} == {'start', 'end'}
        assert all(len(arrays[key]) == 6 for key in keys)
        if name == 'distinct_units':
            assert (arrays['end.distinct_units.hidden_0'][arrays['option'] == 'zeros'] == 1).all()
            assert (
                arrays['end.distinct_units.hidden_0'][arrays['option'] == 'he_normal'] == 2
            ).all()
        if name == 'gradient_norms':
            assert (
                arrays['start.gradient_norms.layer_0.dense'][arrays['option'] == 'zeros'] == 0
            ).all()


@pytest.mark.parametrize('name', PICTURES)
def test_pictures_reach_the_workdir_and_the_report(name, tmp_path):
    run.run(studies.small(learning_rates=[0.1], pictures=[name], epochs=1), tmp_path)
    assert (tmp_path / 'artifacts' / '0' / f'{name}.npz').exists()
    assert list((tmp_path / 'figures').glob(f'{name}*'))
    page = (tmp_path / 'report.html').read_bytes()
    report.build(tmp_path)
    assert (tmp_path / 'report.html').read_bytes() == page


def test_a_share_of_the_training_images_leaves_the_others_alone():
    dataset = load(Data())
    whole, quarter = split(dataset, Data()), split(dataset, Data(train_share=0.25))
    assert set(quarter.train) < set(whole.train)
    assert len(quarter.train) == pytest.approx(len(whole.train) / 4, abs=5)
    np.testing.assert_array_equal(quarter.test, whole.test)
    assert load(Data(train_share=0.25)).checksum() == dataset.checksum()
