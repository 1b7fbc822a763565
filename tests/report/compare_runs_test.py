"""Comparison of two runs: agreement within chance, and different settings by name."""

import numpy as np
import pytest
import run_records
from scipy import stats

from jaxdl import main, workdir
from jaxdl.errors import InputError
from jaxdl.report import compare_runs
from jaxdl.runtime import provenance
from jaxdl.workdir import claims, records, tables


def ablation(folder, values, **config):
    """Finished ablation as `compare` reads it: accuracies by option, in the order of the seeds."""
    workdir.write_records(
        folder, config=dict(kind='Ablation') | config, plan={}, run=run_records.make()
    )
    facts = dict(
        condition='', phase='measure', learning_rate=0.1, epoch=1, split='test', metric='accuracy'
    )
    rows = [
        facts | dict(option=k, seed=i, value=v)
        for k, accuracies in values.items()
        for i, v in enumerate(accuracies)
    ]
    other = dict(facts, option='tuned', phase='tune', seed=0, value=0.5)
    tables.write_table(folder / 'results.csv', tables.RESULTS, [*rows, other])
    return folder


def finetuning(folder, correct, groups):
    """Finished fine-tuning as `compare` reads it: images [n] of class 0, correct or not."""
    run = run_records.make(scores={})
    workdir.write_records(folder, config=dict(kind='FineTune'), plan={}, run=run)
    logits = np.stack([correct, np.logical_not(correct)], 1).astype(np.float32)
    labels = np.zeros(len(correct), np.int32)
    arrays = dict(logits=logits, labels=labels, group=groups, probe_predicted=1 - labels)
    arrays['ids'] = np.array([f'{i}.jpg' for i in range(len(correct))])
    workdir.write_arrays(folder / 'artifacts' / 'evaluation.npz', arrays)
    return folder


def demonstration(folder, *holds):
    workdir.write_records(
        folder, config=dict(kind='Demonstration'), plan={}, run=run_records.make()
    )
    rows = [
        dict(claim=f'claim {i}', expected=1, measured=1, error=0, tolerance=0, holds=outcome)
        for i, outcome in enumerate(holds)
    ]
    tables.write_table(folder / 'claims.csv', claims.COLUMNS, rows)
    return folder


def test_runs_of_the_same_truth_rarely_disagree_and_those_of_another_do(tmp_path):
    rng, apart = np.random.default_rng(0), 0
    for i in range(200):
        draws = {name: 0.7 + 0.02 * rng.normal(size=(2, 8)) for name in 'abcd'}
        one, two = (
            ablation(tmp_path / f'{i}-{j}', {k: v[j] for k, v in draws.items()}) for j in (0, 1)
        )
        apart += any(comparison.differs for comparison in compare_runs.compare(one, two))
    assert apart <= 20  # 5 % of 200 are 10, four standard deviations above
    better = ablation(tmp_path / 'better', {k: v[1] + (k == 'c') * 0.1 for k, v in draws.items()})
    assert [
        comparison.name for comparison in compare_runs.compare(one, better) if comparison.differs
    ] == ['c', compare_runs.ALL]


def test_numbers_that_do_not_vary_agree_where_they_are_the_same(tmp_path):
    one, same, other = (
        ablation(tmp_path / str(i), dict(a=[v, v])) for i, v in enumerate((0.5, 0.5, 0.625))
    )
    assert [comparison.differs for comparison in compare_runs.compare(one, same)] == [False]
    (result,) = compare_runs.compare(one, other)
    assert (result.differs, result.low, result.high) == (True, -0.125, -0.125)


@pytest.mark.parametrize(
    ('accuracy', 'images', 'size', 'differs'),
    [(0.80, 400, 1, False), (0.70, 401, 1, True), (0.70, 20, 1, False), (0.70, 600, 20, False)],
)
def test_fine_tunings_are_compared_over_groups_of_images(tmp_path, accuracy, images, size, differs):
    # All images of a group are correct or wrong together.
    runs = []
    for name, share, count in (('one', 0.80, 400), ('other', accuracy, images)):
        groups = np.arange(count) // size
        correct = groups < round(share * (groups[-1] + 1))
        runs.append(finetuning(tmp_path / name, correct, groups))
    result, probe = compare_runs.compare(*runs)
    assert result.differs == differs
    assert (result.first, result.second) == pytest.approx((0.80, accuracy), abs=2e-3)
    assert (probe.name, probe.first, probe.second) == ('accuracy of the probe', 0, 0)


def test_equal_seeds_are_pairs_and_a_shift_of_all_options_is_found(tmp_path, capsys):
    rng = np.random.default_rng(0)
    shared = 0.05 * rng.normal(size=10)
    draws = {name: 0.8 + shared + 0.004 * rng.normal(size=10) for name in 'abcdef'}
    shifted = {name: v - 0.003 + 0.004 * rng.normal(size=10) for name, v in draws.items()}
    one, other = ablation(tmp_path / 'one', draws), ablation(tmp_path / 'other', shifted)
    *options, overall = compare_runs.compare(one, other)
    assert overall.name == compare_runs.ALL
    assert overall.differs
    interval = stats.ttest_1samp(draws['a'] - shifted['a'], 0).confidence_interval(1 - 0.05 / 7)
    assert (options[0].low, options[0].high) == pytest.approx(tuple(interval), abs=1e-12)
    assert main.main(['--mode=compare', str(one), str(other)]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].endswith('DIFFERENT')
    assert any('not distinguishable (+-0.' in line for line in lines)


def test_shared_seeds_of_a_run_and_a_longer_one_are_pairs(tmp_path, capsys):
    values = np.random.default_rng(0).uniform(0.5, 0.9, 5)
    one = ablation(tmp_path / 'one', dict(a=values[:3]))
    other = ablation(tmp_path / 'other', dict(a=values))
    (result,) = compare_runs.compare(one, other)
    assert (result.first, result.low, result.high) == (result.second, 0, 0)
    assert result.method == '3 shared seeds as pairs'
    assert main.main(['--mode=compare', str(one), str(other)]) == 0
    assert '[+0.00, +0.00] (3 shared seeds as pairs): equal' in capsys.readouterr().out


def test_groups_of_one_image_give_welch_s_interval_over_images(tmp_path):
    rng = np.random.default_rng(0)
    one, other = rng.random(90) < 0.8, rng.random(70) < 0.6
    runs = [
        finetuning(tmp_path / name, correct, rng.permutation(len(correct)))
        for name, correct in (('one', one), ('other', other))
    ]
    result, _ = compare_runs.compare(*runs)
    interval = stats.ttest_ind(1.0 * one, 1.0 * other, equal_var=False).confidence_interval(0.975)
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high), abs=1e-12)


def test_a_claim_that_fails_in_one_run_is_named(tmp_path):
    one, other = (
        demonstration(tmp_path / 'one', 'true', 'true'),
        demonstration(tmp_path / 'other', 'true', 'false'),
    )
    assert [comparison.differs for comparison in compare_runs.compare(one, other)] == [False, True]


def test_the_command_says_what_differs_and_its_status_whether_it_matters(tmp_path, capsys):
    one = ablation(tmp_path / 'one', dict(a=[0.5, 0.6, 0.7]), variant=dict(width=8))
    other = ablation(tmp_path / 'other', dict(a=[0.9, 0.9, 0.91]), variant=dict(width=16))
    assert main.main(['--mode=compare', str(one), str(other)]) == 3
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ['config.variant.width', 'first', '8,', 'second', '16']
    assert out[1].startswith('a ')
    assert out[1].endswith('DIFFERENT')
    assert out[2] == '1 of 1 results differ'
    assert main.main(['--mode=compare', str(one), str(one)]) == 0
    assert (
        capsys.readouterr().out.splitlines()[-1]
        == '0 of 1 results differ; results.csv has the same bytes'
    )


@pytest.mark.parametrize(
    'key', ['git', 'file', 'versions', 'device', 'machine', 'native', 'settings', 'environment']
)
def test_differing_provenance_is_named(tmp_path, key):
    facts = records.as_json(provenance.collect('python -m jaxdl.main --experiment=pooling'))
    assert facts.keys() >= {key}
    changed = 'other' if isinstance(facts[key], str) else facts[key] | dict(added='other')
    folders = [ablation(tmp_path / name, dict(a=[0.5, 0.6])) for name in ('one', 'two')]
    for folder, run in zip(folders, (facts, facts | {key: changed}), strict=True):
        workdir.write_records(folder, run=run | dict(finished=True))
    (difference,) = compare_runs.differences(*folders)
    assert difference[0].startswith(f'run.{key}')
    assert difference[2] == 'other'
    assert compare_runs.differences(folders[0], folders[0]) == []


def test_incomparable_runs_are_reported_in_one_line(tmp_path, capsys):
    one, other = (
        ablation(tmp_path / 'one', dict(a=[0.5, 0.6])),
        ablation(tmp_path / 'other', dict(b=[0.5, 0.6])),
    )
    with pytest.raises(
        InputError, match=r'no result in common \(for example a is only in the first\)'
    ):
        compare_runs.compare(one, other)
    with pytest.raises(
        InputError, match=r'kind Ablation, .* kind Demonstration: use two runs of the same kind'
    ):
        compare_runs.compare(one, demonstration(tmp_path / 'third', 'true'))
    workdir.write_records(other, run=run_records.make(finished=False))
    with pytest.raises(InputError, match='other: the run is not finished'):
        compare_runs.compare(one, other)
    assert main.main(['--mode=compare', str(one)]) == 2
    assert 'needs two workdirs' in capsys.readouterr().err
    assert main.main(['--mode=compare', str(one), 'nowhere']) == 2
    assert 'nowhere holds no config.json' in capsys.readouterr().err


def test_a_run_whose_files_are_damaged_is_not_compared(tmp_path):
    one, two = (ablation(tmp_path / name, dict(a=[0.5, 0.6])) for name in ('one', 'two'))
    for folder in (one, two):
        workdir.seal(folder)
    assert compare_runs.compare(one, two)
    (two / 'results.csv').write_text((two / 'results.csv').read_text().replace('0.6', '0.7'))
    with pytest.raises(InputError, match=r'two/results.csv is damaged or gone, by sha256.json'):
        compare_runs.compare(one, two)
