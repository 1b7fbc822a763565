"""A whole study with a search: equal budgets, tables, report, resumption, and a known optimum."""

import collections
import contextlib
import dataclasses
import json
import math
import shutil
import signal

import jax.numpy as jnp
import numpy as np
import pytest
import studies
from flax import linen as nn

import jaxdl
from jaxdl import report, workdir
from jaxdl.ablation import estimate, planning
from jaxdl.ablation import run as ablation_run
from jaxdl.config.overrides import check
from jaxdl.errors import InputError
from jaxdl.runtime import signals
from jaxdl.statistics import protocol, search
from jaxdl.statistics.metrics import ACCURACY
from jaxdl.statistics.search import log_uniform, uniform
from jaxdl.workdir import journal, records, tables

SEARCH = dict(learning_rate=log_uniform(0.01, 0.3), dropout=uniform(0, 0.5))
# They share one program.
OPTIONS = {'none': {}, 'smooth': dict(label_smoothing=0.1, learning_rate_scale=2.0)}


def searched(**changes):
    study = dataclasses.replace(
        studies.small(), options=OPTIONS, baseline='none', search=SEARCH, trials=5
    )
    return check(dataclasses.replace(study, **changes))


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp('searched') / 'run'
    jaxdl.run(searched(keep_networks=True), folder)
    return folder


def points_by_seed(rows):
    """(option, seed) -> points of the tuning phase."""
    points = {}
    for row in rows:
        if row['phase'] == 'tune':
            points.setdefault((row['option'], row['seed']), set()).add(tables.point_of(row))
    return points


def test_the_points_are_in_the_plan_and_the_budgets_are_equal(finished):
    plan = records.read(finished / 'plan.json', records.Plan)
    assert plan.search
    search = plan.search['']
    assert (search.fields, search.trials, search.further) == (('learning_rate', 'dropout'), 5, 3)
    assert search.ranges['smooth']['learning_rate'].low == 0.02
    rows = tables.read_results(finished / 'results.csv')
    points = points_by_seed(rows)
    planned = set()
    for unit, *further in search.points[:5]:
        rate = SEARCH['learning_rate'].value(unit)
        planned.add((rate, SEARCH['dropout'].value(further[0])))
    assert planned <= points['none', 0]
    assert len(points['none', 0]) == len(points['smooth', 0]) >= 5
    for seed in (1, 2, 3):
        for option in OPTIONS:
            assert len(points[option, seed]) == protocol.FINALISTS
            assert points[option, seed] <= points[option, 0]
    assert {seed for _, seed in points} == {0, 1, 2, 3}


def test_the_chosen_points_follow_from_the_results(finished):
    rows = tables.read_results(finished / 'results.csv')
    assert list(rows[0])[-2:] == ['value', 'dropout']
    chosen = tables.read_table(
        finished / 'tables' / 'chosen.csv',
        dict(condition=str, option=str, learning_rate=float, dropout=float, trials=int)
        | dict(epochs=int, metric=str, validation=float)
        | dict(validation_further_seeds=float, share_close=float),
    )
    summary = tables.read_table(finished / 'summary.csv', tables.SUMMARY)
    for row, of_summary in zip(chosen, summary, strict=True):
        tuned = protocol.tuned_points(rows, row['option'])
        point = protocol.choose_point(tuned, 1)
        assert (row['learning_rate'], row['dropout']) == point
        assert of_summary['learning_rate'] == point[0]
        measured = [r for r in rows if (r['phase'], r['option']) == ('measure', row['option'])]
        assert {tables.point_of(r) for r in measured} == {point}
        further = [
            np.mean([r['value'] for r in rows if r['option'] == row['option'] and is_last(r, p)])
            for p in tuned.values
            if any(is_last(r, p) and r['option'] == row['option'] for r in rows)
        ]
        assert row['validation_further_seeds'] == pytest.approx(max(further))
    assert chosen[0]['trials'] == chosen[1]['trials']
    assert chosen[0]['epochs'] == chosen[1]['epochs'] == 2 * (chosen[0]['trials'] + 12)


def is_last(row, point):
    """Whether a row is the validation accuracy of a point on a further seed, after 2 epochs."""
    key = row['phase'], row['split'], row['metric'], row['epoch']
    return (
        key == ('tune', 'val', 'accuracy', 2)
        and row['seed'] > 0
        and point == (row['learning_rate'], row['dropout'])
    )


def test_a_network_is_trained_again_at_its_chosen_point(finished):
    rows = tables.read_results(finished / 'results.csv')
    row = next(r for r in rows if (r['phase'], r['option']) == ('measure', 'smooth'))
    network = jaxdl.train_member(finished, 'smooth', 1000)
    assert (network.variant.learning_rate, network.variant.dropout) == tables.point_of(row)
    loaded = jaxdl.load_member(finished, 'smooth', 1000)
    assert loaded.variant == network.variant
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), np.uint8)
    np.testing.assert_allclose(network.scores(images), loaded.scores(images), atol=1e-5)


def test_networks_that_lack_a_searched_field_are_not_searched_over_it(restored_registries):
    jaxdl.register.model('leaky')(Leaky)
    options = {'none': {}, 'leaky': dict(model='leaky')}
    search = SEARCH | dict(leak=uniform(0, 0.5))
    plan = planning.make_plan(searched(options=options, search=search))
    assert plan.columns == ('dropout', 'leak')
    members = [m for group in plan.conditions[0].groups for m in group.members]
    assert {hasattr(m.variant, 'leak') for m in members if m.option == 'none'} == {False}
    assert len({m.variant.leak for m in members if m.option == 'leaky'}) == 5


class Leaky(nn.Module):
    """A dense network with a traced number."""

    num_classes: int
    leak: float = jaxdl.traced(0.1)

    @nn.compact
    def __call__(self, images):
        hidden = nn.Dense(4)(images.reshape(len(images), -1))
        return nn.Dense(self.num_classes)(jnp.where(hidden > 0, hidden, self.leak * hidden))


def test_all_points_of_a_stage_are_members_of_one_program(finished):
    run = json.loads((finished / 'run.json').read_text())
    groups = [(g['phase'], g['stage'], tuple(g['options']), g['traces']) for g in run['groups']]
    assert groups[0] == ('tune', '', tuple(OPTIONS), 1)
    assert groups[-2:] == [
        ('tune', records.FINAL, tuple(OPTIONS), 1),
        ('measure', '', tuple(OPTIONS), 1),
    ]


def test_the_report_states_the_search(finished):
    text = (finished / 'report.md').read_text()
    for words in (
        'of a scrambled Sobol sequence over learning rate 0.01 to 0.3 (log)',
        'the 4 best points on 3 further seeds',
        'Values close to the best',
        'points tried',
        'Deep Learning Tuning Playbook',
    ):
        assert words in text, words
    for field in SEARCH:
        assert (finished / 'figures' / f'search_{field}.svg').exists()
    before = (finished / 'tables' / 'chosen.csv').read_bytes()
    report.build(finished)
    assert (finished / 'tables' / 'chosen.csv').read_bytes() == before


def test_resumed_in_the_middle_gives_the_same_bytes(finished, tmp_path):
    folder = tmp_path / 'cut'
    shutil.copytree(finished, folder)
    run = json.loads((folder / 'run.json').read_text())
    (folder / 'run.json').write_text(json.dumps(run | dict(finished=False)))
    for name in ('results.csv', 'summary.csv', 'correct.npz'):
        (folder / name).unlink()
    for chunk in (folder / 'checkpoints').glob('*.npz'):
        if not chunk.name.startswith('0-tune0'):
            chunk.unlink()
    jaxdl.run(searched(keep_networks=True), folder)
    for name in ('results.csv', 'summary.csv', 'plan.json', 'tables/chosen.csv'):
        assert (folder / name).read_bytes() == (finished / name).read_bytes(), name
    read = [event for event in journal.read(folder) if event['event'] == 'read']
    assert [(event['phase'], event['stage']) for event in read] == [('tune', '')]


def test_a_plan_with_another_search_is_refused(finished, tmp_path):
    folder = tmp_path / 'changed'
    shutil.copytree(finished, folder)
    plan = json.loads((folder / 'plan.json').read_text())
    plan['search']['']['points'].pop()
    record = records.parse(records.Plan, plan)
    with pytest.raises(InputError, match=r'plan\.json has another search'):
        planning.resume_plan(searched(), record)
    assert workdir.is_finished(finished)


def test_the_plan_states_the_cost():
    lines = estimate.describe(searched(tuning_seeds=2)).splitlines()
    assert (
        'search of every option: 5 points x 2 tuning seeds, then 4 points x 3 further seeds: '
        '22 runs, 44 epochs'
    ) in lines
    assert '  smooth            learning_rate 0.02 to 0.6 (log), dropout 0 to 0.5 (linear)' in lines
    assert any(line.startswith('A best point at a boundary adds 3 points') for line in lines)


def test_a_fixed_learning_rate_stays_in_a_search_of_other_fields():
    study = searched(search=dict(dropout=uniform(0, 0.5)), learning_rates=(0.05,))
    plan = planning.make_plan(study)
    rates = {
        (m.option, m.variant.learning_rate) for g in plan.conditions[0].groups for m in g.members
    }
    assert rates == {('none', 0.05), ('smooth', 0.1)}
    assert plan.columns == ('dropout',)


OPTIMUM = {'none': (0.05, 0.1), 'smooth': (0.4, 0.4)}
SECONDS = 0.01  # of training, per member and epoch of the stand-in


def stand_in(session, groups, workload, study, job, blocks=None, start=None):
    """Results of a quadratic surface with a known optimum, in place of training."""
    for group in groups:
        results, seconds = [], 0.0
        for member in group.members:
            rate, dropout = OPTIMUM[member.option]
            away = math.log10(member.variant.learning_rate / rate) ** 2
            value = 0.95 - 0.2 * away - (member.variant.dropout - dropout) ** 2
            value += 1e-3 * np.random.default_rng(member.seed).normal()
            progress = np.arange(1, study.epochs + 1) / study.epochs
            epochs = np.where(progress <= workload.last / study.epochs, value * progress, np.nan)
            seconds += SECONDS * (workload.last - workload.first)
            result = dict(train_loss=1 - epochs, val_loss=1 - epochs)
            result |= dict(train_accuracy=epochs, val_accuracy=epochs)
            if group.plan.phase == 'measure':
                correct = np.random.default_rng(member.seed).random(360) < value
                result |= dict(test_loss=1 - value, test_accuracy=correct.mean(), correct=correct)
            results.append(result)
        plan = group.plan
        record = records.GroupRecord(
            condition=plan.condition,
            phase=plan.phase,
            options=tuple(group.options),
            members=len(results),
            traces=1,
            steps=1,
            batch_size=32,
            compile_seconds=0.0,
            train_seconds=seconds,
            evaluate_seconds=0.0,
            conv='none',
            stage=plan.stage,
        )
        yield group, results, record


def test_ranges_grow_to_an_optimum_beyond_them(tmp_path, monkeypatch):
    monkeypatch.setattr(ablation_run, 'run_groups', stand_in)
    monkeypatch.setitem(OPTIMUM, 'none', (0.8, 0.1))
    result = jaxdl.run(searched(trials=16), tmp_path / 'run')
    points = points_by_seed(result.table)
    assert {len(points[option, 0]) for option in OPTIONS} <= {24, 32}
    assert len(points['none', 0]) == len(points['smooth', 0])
    rates = {row['option']: row['learning_rate'] for row in result.summary}
    assert 0.3 < rates['none'] < 1.6
    text = (tmp_path / 'run' / 'report.md').read_text()
    assert 'at a boundary. Extended: learning rate 0.01 to 0.3, now 0.01 to' in text
    assert text.count('Every option took the same number of further points') == 1


def test_a_known_optimum_is_found_and_halving_saves_the_stated_time(tmp_path, monkeypatch):
    monkeypatch.setattr(ablation_run, 'run_groups', stand_in)
    monkeypatch.setattr(report, 'build', lambda folder: None)
    chosen, epochs, seconds = {}, {}, {}
    for halving in (None, 3):
        folder = tmp_path / str(halving)
        result = jaxdl.run(searched(trials=32, epochs=20, halving=halving), folder)
        for option, (rate, dropout) in OPTIMUM.items():
            row = next(r for r in result.table if (r['phase'], r['option']) == ('measure', option))
            assert abs(math.log10(row['learning_rate'] / rate)) < 0.3
            assert abs(row['dropout'] - dropout) < 0.15
            chosen[halving, option] = tables.point_of(row)
        last = {
            protocol.member_of(row): row['epoch']
            for row in result.table
            if (row['phase'], row['seed']) == ('tune', 0)
        }
        epochs[halving] = {o: [e for m, e in last.items() if m[2] == o] for o in OPTIONS}
        run = json.loads((folder / 'run.json').read_text())
        groups = [g for g in run['groups'] if (g['phase'], g['stage']) != ('tune', records.FINAL)]
        seconds[halving] = sum(g['train_seconds'] for g in groups if g['phase'] == 'tune')
    for option in OPTIONS:
        assert chosen[3, option] == chosen[None, option]
        assert epochs[None][option] == [20] * 32
        counts = collections.Counter(epochs[3][option])
        assert counts == {2: 32 - 11, 7: 11 - 4, 20: 4}
    assert round(100 * (1 - seconds[3] / seconds[None])) == 73
    lines = estimate.describe(searched(trials=32, epochs=20, halving=3)).splitlines()
    saving = '171 epochs of 640, 73 % fewer'
    assert (
        f'  halving=3: 32 to epoch 2, 11 to epoch 7, 4 to epoch 20 of every option: {saving}'
        in lines
    )


HALVED = dict(trials=14, halving=3, epochs=3, checkpoint_seconds=0.0)


@pytest.fixture(scope='module')
def halved(tmp_path_factory):
    folder = tmp_path_factory.mktemp('halved') / 'run'
    jaxdl.run(searched(**HALVED), folder)
    return folder


def decisions(folder):
    return [event for event in journal.read(folder) if event['event'] == 'rung']


def test_every_option_stops_the_same_share_after_each_rung(halved):
    plan = records.read(halved / 'plan.json', records.Plan)
    assert plan.search
    assert plan.search[''].rungs == (1, 3)
    tuning = [g for g in plan.groups if g.phase == 'tune']
    assert [(g.stage, g.members) for g in tuning] == [
        ('rung 1', 28),
        ('rung 2', 10),
        (records.FINAL, 24),
    ]
    assert tuning[0].steps == tuning[1].steps // 2 == tuning[2].steps // 3
    run = json.loads((halved / 'run.json').read_text())
    assert [g['stage'] for g in run['groups'][:2]] == ['rung 1', 'rung 2']
    assert run['groups'][1]['steps'] == tuning[1].steps
    rows = tables.read_results(halved / 'results.csv')
    last = {}
    for row in rows:
        if (row['phase'], row['seed']) == ('tune', 0):
            last.setdefault(row['option'], {})[tables.point_of(row)] = row['epoch']
    rounds = len(decisions(halved))
    for option in OPTIONS:
        epochs = list(last[option].values())
        assert (epochs.count(1), epochs.count(3)) == (9 + 4 * (rounds - 1), 5 + 3 * (rounds - 1))
    first = decisions(halved)[0]
    for option, places in first['continue'].items():
        tuned = protocol.tuned_points([r for r in rows if r['epoch'] == 1], option)
        points = search_points(plan.search[''], option)
        best = {tuple(tuned.setting(p, SEARCH).items()) for p in tuned.rank([0], ACCURACY)[:5]}
        if rounds == 1:
            assert {tuple(points[place].items()) for place in places} == best
        assert len(places) == 5


def search_points(plan, option):
    return search.first_round(plan)[option].settings


def test_a_point_that_continues_trains_as_without_halving(halved, tmp_path):
    rows = tables.read_results(halved / 'results.csv')
    whole = {
        tables.point_of(r) for r in rows if (r['option'], r['epoch'], r['seed']) == ('none', 3, 0)
    }
    plan = planning.make_plan(searched(**HALVED))
    member, point = next(
        (m, (m.variant.learning_rate, m.variant.dropout))
        for m in plan.conditions[0].groups[0].members
        if m.option == 'none' and (m.variant.learning_rate, m.variant.dropout) in whole
    )
    training, _, _ = studies.train_alone(member, 3)
    expected = [
        r['value']
        for r in rows
        if (r['option'], r['seed'], r['split'], r['metric']) == ('none', 0, 'train', 'loss')
        and tables.point_of(r) == point
    ]
    np.testing.assert_allclose(training.history['train_loss'][:, 0, 0], expected, rtol=1e-5)


def unfinished(folder, target, lost):
    """A copy of a run that lacks its end and some chunks."""
    shutil.copytree(folder, target)
    run = json.loads((target / 'run.json').read_text())
    (target / 'run.json').write_text(json.dumps(run | dict(finished=False)))
    for name in ('results.csv', 'summary.csv', 'correct.npz'):
        (target / name).unlink()
    for chunk in (target / 'checkpoints').glob('*.npz'):
        if lost(chunk.name):
            chunk.unlink()


def test_a_resumed_run_reads_the_decisions_of_rungs(halved, tmp_path):
    folder = tmp_path / 'cut'
    unfinished(halved, folder, lambda name: not name.startswith('0-tune0r1'))
    jaxdl.run(searched(**HALVED), folder)
    for name in ('results.csv', 'summary.csv', 'plan.json'):
        assert (folder / name).read_bytes() == (halved / name).read_bytes(), name
    assert decisions(folder) == decisions(halved)  # no new event

    other = tmp_path / 'other'
    unfinished(halved, other, lambda name: not name.startswith('0-tune0r1'))
    journalled = (other / 'metrics.jsonl').read_text()
    first = decisions(halved)[0]['continue']
    changed = {o: sorted({*range(14)} - {*places})[:5] for o, places in first.items()}
    (other / 'metrics.jsonl').write_text(
        journalled.replace(json.dumps(first), json.dumps(changed), 1)
    )
    result = jaxdl.run(searched(**HALVED), other)
    plan = records.read(other / 'plan.json', records.Plan)
    assert plan.search
    expected = search_points(plan.search[''], 'none')[changed['none'][0]]
    last = [r for r in result.table if (r['option'], r['phase'], r['epoch']) == ('none', 'tune', 3)]
    assert any(r['learning_rate'] == expected['learning_rate'] for r in last)


def test_interrupted_within_a_rung_gives_the_same_bytes(halved, tmp_path, monkeypatch):
    folder = tmp_path / 'cut'
    unfinished(halved, folder, lambda name: not name.startswith('0-tune0r1'))
    count = len(journal.read(folder))

    @contextlib.contextmanager
    def stopped():
        def interrupted():
            events = journal.read(folder)[count:]
            return signal.SIGINT if any(e['event'] == 'epoch' for e in events) else None

        yield interrupted

    with monkeypatch.context() as patch:
        patch.setattr(signals, 'defer_signals', stopped)
        with pytest.raises(signals.Interrupted):
            jaxdl.run(searched(**HALVED), folder)
    assert any(path.is_dir() for path in (folder / 'checkpoints').iterdir())
    jaxdl.run(searched(**HALVED), folder)
    for name in ('results.csv', 'summary.csv'):
        assert (folder / name).read_bytes() == (halved / name).read_bytes(), name


def test_the_plan_and_the_report_state_the_rungs(halved):
    lines = estimate.describe(searched(**HALVED)).splitlines()
    saving = '14 to epoch 1, 5 to epoch 3 of every option: 24 epochs of 42, 43 % fewer'
    assert f'  halving=3: {saving}' in lines
    text = (halved / 'report.md').read_text().replace('\xa0', ' ')
    assert '14 points to epoch 1 and 5 points to epoch 3 of the planned points' in text
    assert 'The planned points took 24 of 42 epochs per seed, 43 % fewer' in text
    assert 'Cross: point that halving stopped' in text
    assert 'Tuning budget' not in text
