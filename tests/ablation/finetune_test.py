"""Ablations of a fine-tuning: paired runs, tables, identical resumption, failures, refusals."""

import dataclasses
import json
import signal

import finetunes
import numpy as np
import pytest

from jaxdl import workdir
from jaxdl.ablation import finetune_plan
from jaxdl.ablation import run as ablation
from jaxdl.config.experiment import Ablation
from jaxdl.config.load import as_dict, load_config
from jaxdl.config.overrides import check, override
from jaxdl.config.recipe import Probe
from jaxdl.errors import InputError
from jaxdl.finetune import loop
from jaxdl.finetune.evidence import find_evidence
from jaxdl.runtime.signals import Interrupted
from jaxdl.workdir import tables
from jaxdl.workdir.correct import read_correct

OPTIONS = {
    'usual': {},
    'same': {'finetune.keep': 2},  # more checkpoints, the same training
    'mixup': dict(mixup=0.4),
    'probe': dict(stages=('probe',)),
}
TABLES = ('config.json', 'plan.json', 'results.csv', 'summary.csv', 'artifacts/metrics.csv')


USUAL = dict(label_folds=Probe().label_folds)  # an ablation looks for no wrong labels


def study(top, options=OPTIONS, **settings):
    """A study of the small network, with settings of the study or of its base."""
    base = finetunes.experiment(top, ema=0.9, explain=8, probe=USUAL)
    data = dataclasses.replace(base.data, fractions=None)
    base = dataclasses.replace(base, name='', data=data)
    names = dict(name='recipe', question='Which recipe?')
    plain = Ablation('recipe', next(iter(options)), options, base=base, seeds=2, **names)
    return check(override(plain, settings))


@pytest.fixture(scope='module')
def run(top):
    """A finished run."""
    return ablation.run(study(top), top / 'run')


def values(table, option):
    """Rows of an option without its name."""
    return [{k: v for k, v in row.items() if k != 'option'} for row in table if _of(row, option)]


def _of(row, option):
    return row['option'] == option


def test_a_run_leaves_the_tables_of_an_ablation(run, top):
    assert [row['option'] for row in run.summary] == list(OPTIONS)
    assert {row['phase'] for row in run.table} == {'measure'}
    assert {row['seed'] for row in run.table} == {1000, 1001}
    assert {row['split'] for row in run.table} == {'train', 'val', 'test'}
    assert {row['epoch'] for row in run.table if row['option'] == 'usual'} == {1, 2}
    costs = tables.read_table(top / 'run' / 'costs.csv', tables.COSTS)
    parameters = {row['option']: row['parameters'] for row in costs}
    assert parameters['probe'] == (8 + 1) * finetunes.CLASSES  # the head
    assert parameters['usual'] == parameters['mixup'] > 10 * parameters['probe']
    plan = workdir.read_json(top / 'run' / 'plan.json')['data']
    correct = read_correct(top / 'run' / 'correct.npz')
    assert correct.correct.shape == (8, next(iter(plan.values()))['test'])
    text = (top / 'run' / 'report.md').read_text()
    assert 'nothing was tuned per option' in text
    assert 'The network was tiny with pretrained weights (weights.npz' in text


def test_runs_of_a_seed_are_paired(run, top):
    """Options that train alike have equal results: order, crops, noise and head are the seed's."""
    assert values(run.table, 'usual') == values(run.table, 'same')
    assert values(run.table, 'usual') != values(run.table, 'mixup')
    losses = [
        row['value']
        for row in run.table
        if (row['option'], row['split'], row['metric'], row['epoch'])
        == ('usual', 'train', 'loss', 1)
    ]
    assert len(set(losses)) == 2  # the seeds differ
    probes = [path.name for path in (top / 'run' / 'checkpoints').glob('*probe*')]
    assert sorted(probes) == ['0-probe0-1000', '0-probe0-1001']  # fitted once per seed


def test_interrupted_and_resumed_it_leaves_the_same_tables(run, top, monkeypatch, tmp_path):
    """In the middle of an epoch of three trainings, of different options and seeds."""
    original, steps = loop._Loop._stop_or_save, []

    def cut(self, step, *rest):
        steps.append(step)
        return (signal.SIGTERM, False) if len(steps) in (3, 14, 20) else original(self, step, *rest)

    monkeypatch.setattr(loop._Loop, '_stop_or_save', cut)
    for _ in range(3):
        with pytest.raises(Interrupted):
            ablation.run(study(top), tmp_path / 'run')
    ablation.run(study(top), tmp_path / 'run')
    assert workdir.read_json(tmp_path / 'run' / 'run.json')['resumed'] == 3
    for name in TABLES:
        assert (tmp_path / 'run' / name).read_bytes() == (top / 'run' / name).read_bytes(), name
    one, other = (read_correct(path / 'run' / 'correct.npz') for path in (tmp_path, top))
    np.testing.assert_array_equal(one.correct, other.correct)


def test_a_finished_run_is_only_reported_again(run, top):
    before = (top / 'run' / 'run.json').read_bytes()
    assert ablation.run(study(top), top / 'run').table == run.table
    assert (top / 'run' / 'run.json').read_bytes() == before
    experiment = load_config(top / 'run' / 'config.json')
    one, other = (json.dumps(as_dict(each)) for each in (experiment, study(top)))
    assert one == other


def test_a_diverged_run_counts_as_chance_and_ends_no_other_run(top, tmp_path):
    options = {'usual': {}, 'huge': dict(learning_rate=1e30)}
    changed = study(top, options, epochs=1, metric='macro_f1')
    results = ablation.run(changed, tmp_path / 'run')
    means = {row['option']: row['mean'] for row in results.summary}
    assert means['huge'] == pytest.approx(1 / 6)  # one class of three: F1 of 1/2, 0, 0
    assert means['usual'] > means['huge']
    text = (tmp_path / 'run' / 'report.md').read_text()
    assert '2 evaluation runs diverged' in text.replace('\u00a0', ' ')


def test_each_seed_may_draw_its_own_split(top, tmp_path):
    options = {'long': {}, 'short': dict(passes=1)}
    probes = study(top, options, stages=('probe',), resample_split=True)
    ablation.run(probes, tmp_path / 'run')
    correct = read_correct(tmp_path / 'run' / 'correct.npz')
    assert not (correct.tested[0] == correct.tested[1]).all()
    assert (correct.tested[0] == correct.tested[2]).all()  # the same seed of the other option


def test_the_plan_counts_runs_and_names_what_is_fixed(top, capsys):
    text = finetune_plan.describe(study(top))
    assert '8 runs, one after another' in text
    assert 'nothing is tuned per option' in text
    rows = [line.split()[:2] for line in text.splitlines()]
    assert [row for row in rows if row and row[0] in OPTIONS] == [[name, '2'] for name in OPTIONS]


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(weights=''), 'no weights are named'),
        (dict(train_size=64), 'smaller than the 64 pixels'),
        (dict(frozen=('layer9',)), 'layer9'),
    ],
)
def test_a_study_that_cannot_run_writes_nothing(top, tmp_path, settings, message):
    with pytest.raises(InputError, match=message) as caught:
        ablation.run(study(top, **settings), tmp_path / 'run')
    assert '\n' not in str(caught.value)
    assert not (tmp_path / 'run').exists()


def test_a_resumed_run_refuses_other_images(top, tmp_path, monkeypatch):
    monkeypatch.setattr(
        loop._Loop, '_stop_or_save', lambda self, step, *rest: (signal.SIGTERM, False)
    )
    finetunes.weights(tmp_path)
    finetunes.images(tmp_path)
    with pytest.raises(Interrupted):
        ablation.run(study(tmp_path), tmp_path / 'run')
    finetunes.images(tmp_path, seed=1)
    with pytest.raises(InputError, match='has changed since the run began'):
        ablation.run(study(tmp_path), tmp_path / 'run')


def test_the_study_is_evidence_on_the_settings_that_its_options_vary(run, top):
    own = override(study(top).base, dict(mixup=0.4, evidence=(str(top / 'run'),)))
    entry, of_stages = find_evidence(own, top / 'own')
    assert (entry['field'], entry['value'], entry['baseline_value']) == ('variant.mixup', 0.4, 0.0)
    assert (of_stages['field'], of_stages['option']) == ('stages', 'probe')
    assert entry['file'] == 'run/summary.csv'
    assert entry['finetuning']
    assert entry['verdict']
    for mixup, count in ((0.0, 2), (0.3, 1)):  # the value of the baseline; one of neither
        assert len(find_evidence(override(own, dict(mixup=mixup)), top / 'own')) == count


def test_a_study_of_new_networks_is_weak_evidence(top, tmp_path):
    options = dict(plain={}, adamw=dict(optimizer='adamw', weight_decay=0.01))
    small = check(Ablation('optimizer', 'plain', options, name='optimizer'))
    workdir.write_json(tmp_path / 'optimizer' / 'config.json', as_dict(small))
    numbers = dict.fromkeys(tables.SUMMARY) | dict(
        condition='', baseline='plain', metric='accuracy', verdict_images='', verdict=''
    )
    better = dict(option='adamw', verdict='better', difference=0.02)
    rows = [numbers | dict(option='plain'), numbers | better]
    tables.write_table(tmp_path / 'optimizer' / 'summary.csv', tables.SUMMARY, rows)
    own = override(study(top).base, dict(optimizer='adamw', weight_decay=0.05))
    (entry,) = find_evidence(own, tmp_path / 'own')
    assert (entry['field'], entry['others']) == ('variant.optimizer', ['variant.weight_decay'])
    assert (entry['finetuning'], entry['file']) == (False, 'optimizer/summary.csv')
