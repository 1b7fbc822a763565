"""Whole ablations: files of the contract, identical bytes after resumption, diverged members."""

import csv
import dataclasses
import itertools
import json
import pathlib
import shutil
import signal
import time

import numpy as np
import pytest
import studies
from interruptions import Killed, count_epochs, run_until
from PIL import Image
from scipy import stats

import jaxdl
from jaxdl import workdir
from jaxdl.ablation import run as ablation_run
from jaxdl.config.overrides import select_options
from jaxdl.data import Data
from jaxdl.errors import InputError
from jaxdl.models.conv import LOWERINGS
from jaxdl.runtime import signals
from jaxdl.statistics import protocol
from jaxdl.train.variant import Variant
from jaxdl.workdir import journal, records, tables

FILES = (
    'config.json',
    'plan.json',
    'results.csv',
    'summary.csv',
    'costs.csv',
    'correct.npz',
    'run.json',
    'metrics.jsonl',
    'report.html',
    'report.md',
)


@pytest.fixture(scope='session')
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp('finished') / 'run'
    jaxdl.run(studies.small(), folder)
    return folder


def test_a_run_writes_whole_files(finished):
    assert all((finished / name).stat().st_size for name in FILES)
    assert list((finished / 'figures').glob('*.png'))
    assert not list(finished.rglob('*.tmp'))
    shown = workdir.read_arrays(finished / 'artifacts' / '0' / 'differing.npz')
    assert list(shown['option']) == ['max', 'avg']
    assert shown['images'].shape[1:] == (8, 8, 1)
    run = json.loads((finished / 'run.json').read_text())
    assert run['finished']
    defaults = records.read(finished / 'plan.json', records.Plan).defaults or {}
    for name, settings in dict(variant=Variant(), data=Data()).items():
        assert defaults[name] == json.loads(json.dumps(dataclasses.asdict(settings)))
    assert set(run['seconds']) == {'compile', 'train', 'evaluate', 'total'}
    for group in run['groups']:
        assert group['traces'] == 1
        assert group['steps'] == 2 * (1077 // 32)
        assert group['batch_size'] == 32
        assert group['conv'] in LOWERINGS
    phases = [(g['phase'], *g['options']) for g in run['groups']]
    assert phases.count(('measure', 'max')) == phases.count(('measure', 'avg')) == 1


def test_results_are_tidy(finished):
    rows = tables.read_table(finished / 'results.csv', tables.RESULTS)
    measured = [r for r in rows if r['phase'] == 'measure']
    for option in ('max', 'avg'):
        for split, epochs in (('train', [1, 2]), ('val', [1, 2]), ('test', [2])):
            for metric in ('loss', 'accuracy'):
                selected = [
                    r
                    for r in measured
                    if (r['option'], r['split'], r['metric']) == (option, split, metric)
                ]
                assert [(r['seed'], r['epoch']) for r in selected] == [
                    (s, e) for s in (1000, 1001) for e in epochs
                ]
    assert {r['seed'] for r in rows if r['phase'] == 'tune'} == {0}
    assert not [r for r in rows if r['phase'] == 'tune' and r['split'] == 'test']


def test_statistics_recomputed_from_the_results(finished):
    rows = tables.read_table(finished / 'results.csv', tables.RESULTS)
    accuracy = {
        option: [
            r['value']
            for r in rows
            if (r['option'], r['split'], r['metric']) == (option, 'test', 'accuracy')
        ]
        for option in ('max', 'avg')
    }
    expected = stats.ttest_rel(accuracy['avg'], accuracy['max'])
    row = tables.read_table(finished / 'summary.csv', tables.SUMMARY)[1]
    assert row['mean'] == pytest.approx(np.mean(accuracy['avg']), abs=1e-12)
    if np.ptp(np.subtract(accuracy['avg'], accuracy['max'])) > 0:
        assert row['p_value'] == pytest.approx(expected.pvalue, abs=1e-9)
        interval = expected.confidence_interval(0.95)
        assert (row['difference_low'], row['difference_high']) == pytest.approx(
            tuple(interval), abs=1e-9
        )


def test_the_chosen_rate_is_best_on_validation(finished):
    rows = tables.read_table(finished / 'results.csv', tables.RESULTS)
    for row in tables.read_table(finished / 'summary.csv', tables.SUMMARY):
        tuned = [
            r
            for r in rows
            if r['phase'] == 'tune' and r['option'] == row['option'] and r['epoch'] == 2
        ]
        tuned = {
            r['learning_rate']: r['value']
            for r in tuned
            if (r['split'], r['metric']) == ('val', 'accuracy')
        }
        assert row['learning_rate'] == min(
            rate for rate in tuned if tuned[rate] == max(tuned.values())
        )


def test_the_margin_is_in_the_journal_before_the_first_measurement(finished):
    events = journal.read(finished)
    rows = tables.read_table(finished / 'results.csv', tables.RESULTS)
    (place,) = [i for i, event in enumerate(events) if event['event'] == 'margin']
    assert events[place]['margin'] == protocol.equivalence_margin(None, rows, 'max')
    phases = [(i, event['phase']) for i, event in enumerate(events) if 'phase' in event]
    assert {phase for i, phase in phases if i < place} == {'tune'}
    assert {phase for i, phase in phases if i > place} == {'measure'}


def test_correct_images_are_the_accuracy(finished):
    rows = tables.read_table(finished / 'results.csv', tables.RESULTS)
    with np.load(finished / 'correct.npz') as result:
        assert result['correct'].shape == (4, 360)
        assert result['correct'].dtype == bool
        for i, (option, seed) in enumerate(zip(result['option'], result['seed'], strict=True)):
            selected = [
                r['value']
                for r in rows
                if (r['option'], r['seed'], r['split']) == (option, seed, 'test')
            ]
            assert result['correct'][i].mean() == selected[1]


def test_costs(finished):
    rows = tables.read_table(finished / 'costs.csv', tables.COSTS)
    kernel, norm, head = 3 * 3 * 2, 2 * 2, 2 * 10 + 10
    assert [r['parameters'] for r in rows] == [kernel + norm + head] * 2
    assert all(2 * 64 * 3 * 3 * 2 < r['flops'] < 10_000 for r in rows)
    assert all(r['seconds_per_member'] > 0 for r in rows)


def test_a_finished_run_is_only_reported_again(finished):
    before = {p: p.read_bytes() for p in finished.rglob('*') if p.is_file()}
    jaxdl.run(studies.small(), finished)
    assert {p: p.read_bytes() for p in finished.rglob('*') if p.is_file()} == before


def test_another_configuration_is_refused_and_nothing_is_written(finished):
    before = {p: p.read_bytes() for p in finished.rglob('*') if p.is_file()}
    with pytest.raises(InputError, match=r'another configuration \(epochs=3, there 2\)'):
        jaxdl.run(studies.small(epochs=3), finished)
    assert {p: p.read_bytes() for p in finished.rglob('*') if p.is_file()} == before


def test_a_bad_study_does_not_cost_the_old_one(finished, tmp_path):
    shutil.copytree(finished, tmp_path / 'copy')
    with pytest.raises(InputError, match='batch_size=5000'):
        jaxdl.run(studies.small(batch_size=5000), tmp_path / 'copy', overwrite=True)
    assert workdir.is_finished(tmp_path / 'copy')


def test_files_of_somebody_else_are_not_written_over(tmp_path):
    (tmp_path / 'report.md').write_text('my own')
    with pytest.raises(InputError, match=r'holds report.md but no config.json'):
        jaxdl.run(studies.small(), tmp_path)
    assert (tmp_path / 'report.md').read_text() == 'my own'


INTERRUPTED = select_options(
    studies.initialisations(checkpoint_seconds=0, epochs=3, chunk=1), ['zeros']
)


@pytest.mark.system
def test_interrupted_three_times_gives_the_same_bytes(tmp_path, monkeypatch):
    ablation_run.run(INTERRUPTED, tmp_path / 'whole')
    for epoch, stop in ((2, signal.SIGINT), (3, signal.SIGTERM), (3, Killed)):
        with pytest.raises(Killed if stop is Killed else signals.Interrupted):
            run_until(INTERRUPTED, tmp_path / 'cut', monkeypatch, epoch, stop)
    assert not (tmp_path / 'cut' / 'results.csv').exists()
    ablation_run.run(INTERRUPTED, tmp_path / 'cut')
    for name in ('results.csv', 'summary.csv', 'correct.npz', 'config.json', 'plan.json'):
        assert (tmp_path / 'cut' / name).read_bytes() == (tmp_path / 'whole' / name).read_bytes(), (
            name
        )
    run = json.loads((tmp_path / 'cut' / 'run.json').read_text())
    assert run['resumed'] == 3
    assert all(group['traces'] == 1 for group in run['groups'])
    whole, cut = (count_epochs(tmp_path / name) for name in ('whole', 'cut'))
    assert whole <= cut <= whole + 1  # a resumed chunk continues: only the kill loses an epoch


def test_a_clock_that_jumps_changes_nothing(finished, tmp_path, monkeypatch):
    now, jumps = time.time(), itertools.cycle((86400, -86400, 0))
    monkeypatch.setattr(time, 'time', lambda: now + next(jumps))
    monkeypatch.setattr(time, 'time_ns', lambda: int((now + next(jumps)) * 1e9))
    jaxdl.run(studies.small(), tmp_path / 'run')
    for name in ('results.csv', 'summary.csv', 'correct.npz', 'plan.json'):
        assert (tmp_path / 'run' / name).read_bytes() == (finished / name).read_bytes()
    assert all(
        seconds >= 0
        for seconds in json.loads((tmp_path / 'run' / 'run.json').read_text())['seconds'].values()
    )


@pytest.fixture
def pictures(tmp_path):
    """Two classes of 30 images of noise, in files."""
    random = np.random.default_rng(0)
    for kind in ('oak', 'ash'):
        (tmp_path / 'trees' / kind).mkdir(parents=True)
        for i in range(30):
            pixels = random.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / 'trees' / kind / f'{i:02}.png')
    return tmp_path / 'trees'


def test_a_folder_that_has_changed_is_read_again_in_the_same_process(pictures):
    data = jaxdl.Data(dataset=f'folder:{pictures}', image_size=8)
    before = jaxdl.data.load(data)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(pictures / 'oak' / '00.png')
    assert jaxdl.data.load(data).checksum() != before.checksum()


def test_a_run_is_not_resumed_with_other_images_in_the_same_process(pictures, tmp_path):
    study = studies.small(
        learning_rates=[0.1], epochs=1, dataset=f'folder:{pictures}', image_size=8, batch_size=8
    )
    jaxdl.run(study, tmp_path / 'run')
    content = json.loads((tmp_path / 'run' / 'run.json').read_text())
    (tmp_path / 'run' / 'run.json').write_text(json.dumps(content | dict(finished=False)))
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(pictures / 'oak' / '00.png')
    with pytest.raises(InputError, match=r'data set .* has changed since the run began'):
        jaxdl.run(study, tmp_path / 'run')


def test_diverged_members_count_as_chance_and_are_named(tmp_path):
    study = studies.small(learning_rates=[0.1], **{'variant.weight_decay': 0.0})
    wild = dict(study.options, wild=dict(pooling='avg', learning_rate_scale=1e30))
    study = dataclasses.replace(study, options=wild)
    result = jaxdl.run(study, tmp_path)
    rows = {r['option']: r for r in result.summary}
    assert rows['wild']['mean'] == 0.1
    losses = [r for r in result.table if r['option'] == 'wild' and r['metric'] == 'loss']
    assert all(np.isnan(r['value']) for r in losses)
    selected = [r for r in result.table if r['option'] in ('max', 'avg')]
    assert all(np.isfinite(r['value']) for r in selected)
    with np.load(tmp_path / 'correct.npz') as correct:
        assert not correct['correct'][correct['option'] == 'wild'].any()
    assert 'diverged' in (tmp_path / 'report.md').read_text()
    assert {r['phase'] for r in result.table} == {'measure'}  # one rate: there is nothing to tune


def test_a_grid_grows_twice_at_most(tmp_path):
    study = select_options(studies.small(learning_rates=[1e-6, 2e-6], epochs=1), [])
    rates = {r['learning_rate'] for r in jaxdl.run(study, tmp_path).table if r['phase'] == 'tune'}
    assert 3 <= len(rates) <= 4  # of two rates one is always at an edge
    assert rates <= {2.5e-7, 5e-7, 1e-6, 2e-6, 4e-6, 8e-6}


def test_conditions_are_studied_each_by_itself(tmp_path):
    study = studies.small(learning_rates=[0.1], epochs=1)
    study = dataclasses.replace(study, conditions={'a': {}, 'b': {'data.split_seed': 1}})
    result = jaxdl.run(study, tmp_path)
    assert [(r['condition'], r['option']) for r in result.summary] == [
        (c, o) for c in 'ab' for o in ('max', 'avg')
    ]
    with np.load(tmp_path / 'correct.npz') as correct:
        assert correct['tested'].sum(1).tolist() == [360] * 8
        assert correct['correct'].shape[1] > 360


def test_starting_values_share_a_group(tmp_path):
    study = studies.initialisations(learning_rates=[0.1], epochs=1)
    jaxdl.run(study, tmp_path)
    groups = json.loads((tmp_path / 'run.json').read_text())['groups']
    assert [(g['phase'], g['options'], g['traces']) for g in groups] == [
        ('measure', list(study.options), 1)
    ]


@pytest.mark.parametrize('damage', ['cut', 'line', 'empty'])
def test_a_cut_results_file_is_refused_by_the_report(finished, tmp_path, damage):
    from jaxdl import report

    shutil.copytree(finished, tmp_path / 'copy')
    path = tmp_path / 'copy' / 'results.csv'
    text = path.read_text()
    path.write_text(
        dict(cut=text[:-7], line=text[: text.rindex('\n', 0, -1) + 1], empty='')[damage]
    )
    page = (tmp_path / 'copy' / 'report.html').read_bytes()
    with pytest.raises(InputError, match=r'results.csv is damaged'):
        report.build(tmp_path / 'copy')
    assert (tmp_path / 'copy' / 'report.html').read_bytes() == page
    jaxdl.run(
        studies.small(), tmp_path / 'copy'
    )  # as the message says: nothing is trained, the tables are written again
    assert path.read_text() == text
    events = [
        json.loads(line)['event']
        for line in (tmp_path / 'copy' / 'metrics.jsonl').read_text().splitlines()
    ]
    assert 'compile' not in events[events.index('trained') :]


def test_a_damaged_chunk_is_trained_again(finished, tmp_path, capsys):
    shutil.copytree(finished, tmp_path / 'copy')
    run = json.loads((tmp_path / 'copy' / 'run.json').read_text())
    (tmp_path / 'copy' / 'run.json').write_text(json.dumps(run | dict(finished=False)))
    chunk = min((tmp_path / 'copy' / 'checkpoints').glob('*.npz'))
    chunk.write_bytes(chunk.read_bytes()[:100])
    jaxdl.run(studies.small(), tmp_path / 'copy')
    assert 'is trained again' in capsys.readouterr().err
    assert (tmp_path / 'copy' / 'results.csv').read_bytes() == (
        finished / 'results.csv'
    ).read_bytes()


def test_rows_are_written_without_loss(finished):
    with (finished / 'results.csv').open(newline='') as file:
        for row in csv.DictReader(file):
            assert repr(float(row['value'])) == row['value']
            assert repr(float(row['learning_rate'])) == row['learning_rate']
    assert pathlib.Path(finished, 'results.csv').read_text().endswith('\n')
