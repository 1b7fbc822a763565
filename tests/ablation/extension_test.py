"""Growing a finished study: seeds, options and conditions are added, everything else is refused."""

import dataclasses
import json
import pathlib
import shutil
import signal
import sys

import jax
import numpy as np
import pytest
import studies
from interruptions import Killed, run_until

import jaxdl
from jaxdl import main as command
from jaxdl import report, workdir
from jaxdl.ablation import chunk_files, estimate, extension
from jaxdl.ablation import run as ablation_run
from jaxdl.cli import plan_text
from jaxdl.config.overrides import check, override, select_options
from jaxdl.errors import InputError
from jaxdl.runtime import provenance, signals
from jaxdl.statistics import search
from jaxdl.workdir import records, tables
from jaxdl.workdir.records import Extension, Plan, SearchPlan, SearchRange

BYTES = ('config.json', 'plan.json', 'results.csv', 'summary.csv', 'correct.npz')


def study(seeds=2, options=('zeros',), conditions=('one',), **overrides):
    """Initialisations under conditions: every addition trains in one program."""
    every = {'one': {}, 'two': {'data.split_seed': 1}}
    settings = dict(checkpoint_seconds=0, conv='patches', seeds=seeds, keep_networks=True)
    whole = select_options(studies.initialisations(**settings), options)
    whole = dataclasses.replace(whole, conditions={name: every[name] for name in conditions})
    return check(override(whole, overrides))


GROWN = study(seeds=3, options=('zeros', 'glorot_normal'), conditions=('one', 'two'))


def content(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob('*') if p.is_file()}


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp('finished') / 'run'
    jaxdl.run(study(), folder)
    return folder


@pytest.fixture(scope='module')
def extended(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp('extended') / 'run'
    shutil.copytree(finished, folder)
    jaxdl.run(GROWN, folder, command='jaxdl --experiment=mine.py --seeds=3')
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    shutil.copytree(finished, tmp_path / 'run')
    return tmp_path / 'run'


def test_an_extended_study_equals_a_fresh_run(extended, tmp_path):
    fresh = jaxdl.run(GROWN, tmp_path / 'fresh')
    grown = ablation_run.read(extended)
    assert len(grown.table) == len(fresh.table)
    for one, other in zip(grown.table, fresh.table, strict=True):
        assert one | dict(value=0) == other | dict(value=0)
        assert one['value'] == pytest.approx(other['value'], abs=1e-5)
    for one, other in zip(grown.summary, fresh.summary, strict=True):
        assert one['verdict'] == other['verdict']
        assert one['mean'] == pytest.approx(other['mean'], abs=1e-5)
    with np.load(extended / 'correct.npz') as one, np.load(tmp_path / 'fresh/correct.npz') as other:
        for name in ('option', 'seed', 'condition', 'image', 'tested'):
            np.testing.assert_array_equal(one[name], other[name])


def test_an_extension_changes_no_earlier_result_and_no_earlier_entry(finished, extended):
    before, after = (
        json.loads((folder / 'plan.json').read_text()) for folder in (finished, extended)
    )
    (entry,) = after.pop('extensions')
    assert before.pop('extensions') == []
    assert after == before
    assert entry['seeds'] == {'one': [1002]}
    assert entry['options'] == ['glorot_normal']
    assert entry['conditions'] == ['two']
    assert entry['config'] == json.loads((extended / 'config.json').read_text())
    assert entry['command'] == 'jaxdl --experiment=mine.py --seeds=3'
    old, new = (tables.read_results(folder / 'results.csv') for folder in (finished, extended))
    assert len(new) > len(old)
    assert [row for row in new if row in old] == old
    run = json.loads((extended / 'run.json').read_text())
    assert run['finished']
    assert run['resumed'] == 0
    assert workdir.is_finished(extended)
    assert not (extended / extension.STAGED).exists()


def test_the_report_says_that_the_study_was_extended(finished, extended):
    text = (extended / 'report.md').read_text()
    assert 'This study was extended after its result was visible' in text
    assert 'evaluation seed 1002, option glorot_normal, condition two' in text.replace('\\', '')
    assert 'optional stopping' in text
    assert '`jaxdl --experiment=mine.py --seeds=3`' in text
    assert 'extended after its result' not in (finished / 'report.md').read_text()


def test_a_study_grows_again(extended, tmp_path):
    shutil.copytree(extended, tmp_path / 'run')
    before = json.loads((extended / 'plan.json').read_text())
    again = override(GROWN, dict(seeds=4))
    result = jaxdl.run(again, tmp_path / 'run')
    assert {row['seeds'] for row in result.summary} == {4}
    plan = json.loads((tmp_path / 'run' / 'plan.json').read_text())
    assert plan['extensions'][:1] == before['extensions']
    assert plan['extensions'][1]['seeds'] == {'one': [1003], 'two': [1003]}
    old = tables.read_results(extended / 'results.csv')
    assert [row for row in result.table if row in old] == old
    for trained in (jaxdl.train_member, jaxdl.load_member):
        member = trained(tmp_path / 'run', 'glorot_normal', 1003, 'two')
        assert member.config['condition'] == 'two'
    kept, before = (
        jaxdl.load_member(folder, 'zeros', 1001, 'one').variables
        for folder in (tmp_path / 'run', extended)
    )
    jax.tree.map(np.testing.assert_array_equal, kept, before)


def test_the_plan_of_an_extension_has_its_new_members_alone(extended):
    before = content(extended)
    more = override(GROWN, dict(seeds=4))
    text = plan_text.describe(more, extended)
    assert 'Extension of a finished run by evaluation seed 1003; only new members' in text
    assert '6 members in 2 compiled programs' in text
    assert 'grow' not in text.partition('only new members')[2].partition('How many')[0]
    assert content(extended) == before
    fresh = estimate.describe(more)
    assert 'A grid with its best learning rate at an edge grows' in fresh
    assert ' if all of them grow, on 1 x cpu' in fresh


CHANGES = {
    'fewer seeds': (dict(seeds=3), 'seeds=2 of condition'),
    'fewer options': (dict(options=['zeros']), "options without 'glorot_normal'"),
    'other epochs': (dict(epochs=3, seeds=9), 'epochs=3, there 2'),
    'other data': (dict(conditions=('two',)), "conditions without 'one'"),
    'other network': (dict(width=3), 'variant.width=3, there 2'),
}


@pytest.mark.parametrize('change', CHANGES)
def test_anything_but_growth_is_refused_and_no_file_changes(extended, change):
    overrides, message = CHANGES[change]
    grown = dict(seeds=4, options=('zeros', 'glorot_normal'), conditions=('one', 'two'))
    changed = (
        study(**grown | overrides) if change != 'fewer seeds' else override(GROWN, {'seeds': 2})
    )
    before = content(extended)
    with pytest.raises(InputError, match='holds another configuration') as error:
        jaxdl.run(changed, extended)
    assert message in str(error.value)
    assert extension.RULE in str(error.value)
    assert content(extended) == before


def replaced(**changes):
    """The grown study with other entries of its options or conditions."""
    return dataclasses.replace(GROWN, **changes)


@pytest.mark.parametrize(
    'changed',
    [
        replaced(options=dict(reversed(GROWN.options.items())), seeds=4),
        replaced(options=GROWN.options | dict(zeros=dict(init='glorot_uniform'))),
        replaced(conditions=GROWN.conditions | dict(one={'epochs': 1})),
        replaced(why=dict(zeros='known afterwards')),
        replaced(baseline='zeros'),
        replaced(question='Another one?', options=study().options),
    ],
)
def test_changed_entries_are_refused(extended, changed):
    before = content(extended)
    with pytest.raises(InputError, match='holds another configuration'):
        jaxdl.run(changed, extended)
    assert content(extended) == before


def test_an_unfinished_run_does_not_grow(copy):
    run = json.loads((copy / 'run.json').read_text())
    workdir.write_records(copy, run=run | dict(finished=False))
    before = content(copy)
    with pytest.raises(InputError, match='not finished'):
        jaxdl.run(GROWN, copy)
    assert content(copy) == before


def test_a_damaged_run_does_not_grow(copy):
    (copy / 'results.csv').write_text('damaged')
    with pytest.raises(InputError, match=r'results.csv is damaged or gone'):
        jaxdl.run(GROWN, copy)


@pytest.mark.parametrize('package', extension.PACKAGES)
def test_another_version_is_refused(copy, monkeypatch, package):
    versions = provenance.collect_versions() | {package: '9.9'}
    monkeypatch.setattr(provenance, 'collect_versions', lambda: versions)
    before = content(copy)
    with pytest.raises(InputError, match=f'{package} 9.9 is installed'):
        jaxdl.run(GROWN, copy)
    assert content(copy) == before


def test_another_device_or_setting_is_refused(copy, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(provenance, 'describe_devices', lambda: records.Devices('gpu', 'H200', 1))
        with pytest.raises(InputError, match='the device is 1 x H200'):
            jaxdl.run(GROWN, copy)
    settings = provenance.read_settings() | dict(jax_enable_x64=True)
    monkeypatch.setattr(provenance, 'read_settings', lambda: settings)
    with pytest.raises(InputError, match='jax_enable_x64=True'):
        jaxdl.run(GROWN, copy)


def extend_until(folder, monkeypatch, more, stop):
    command_line = 'jaxdl --experiment=mine.py --seeds=3'
    run_until(GROWN, folder, monkeypatch, more, stop, command=command_line)


@pytest.mark.system
def test_an_interrupted_extension_keeps_the_old_result_and_ends_with_the_same_bytes(
    extended, copy, monkeypatch
):
    old = {path: data for path, data in content(copy).items() if path.suffix in ('.csv', '.html')}
    for more, stop in ((1, Killed), (2, signal.SIGTERM)):
        with pytest.raises(Killed if stop is Killed else signals.Interrupted):
            extend_until(copy, monkeypatch, more, stop)
        report.build(copy)
        assert old.items() <= content(copy).items()
        jaxdl.run(study(), copy)  # the command of the finished run reports it again
        assert old.items() <= content(copy).items()
        assert jaxdl.train_member(copy, 'zeros', 1000, 'one').config['seed'] == 1000
    with pytest.raises(InputError, match='holds an unfinished extension by evaluation seed 1002'):
        jaxdl.run(override(GROWN, dict(seeds=5)), copy)
    jaxdl.run(GROWN, copy, command='another way to start it')
    for name in BYTES:
        assert (copy / name).read_bytes() == (extended / name).read_bytes(), name
    assert json.loads((copy / 'run.json').read_text())['resumed'] == 2


@pytest.mark.system
@pytest.mark.parametrize('moment', ['plan', 'table', 'run', 'config', 'seal'])
def test_killed_while_files_are_written(extended, copy, monkeypatch, moment):
    old = (copy / 'results.csv').read_bytes()
    for path in (extended / 'checkpoints').glob('*extension*'):  # so that nothing has to train
        shutil.copy(path, copy / 'checkpoints')
    owner, name = dict(table=(tables, 'write_table'), seal=(workdir, 'seal')).get(
        moment, (workdir, 'write_records')
    )
    original = getattr(owner, name)

    def kill(*arguments, **records):
        original(*arguments, **records)
        if name != 'write_records' or moment in records:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, kill)
        with pytest.raises(Killed):
            jaxdl.run(GROWN, copy, command='jaxdl --experiment=mine.py --seeds=3')
    if moment in ('plan', 'table', 'run'):  # the command of the finished run restores its results
        jaxdl.run(study(), copy)
        assert (copy / 'results.csv').read_bytes() == old
    jaxdl.run(GROWN, copy)
    for file in BYTES:
        assert (copy / file).read_bytes() == (extended / file).read_bytes(), file


def test_members_that_are_trained_again_with_other_values_are_not_published(
    extended, copy, monkeypatch
):
    for path in (extended / 'checkpoints').glob('*extension*'):  # so that nothing has to train
        shutil.copy(path, copy / 'checkpoints')
    (chunk,) = (copy / 'checkpoints').glob('0-measure-0-0.npz')
    result = chunk_files.read(chunk)
    chunk_files.write(chunk, result | dict(test_loss=result['test_loss'] + 1))
    before = content(copy)
    with pytest.raises(InputError, match=r'4 rows of the finished run have other values'):
        jaxdl.run(GROWN, copy)
    after = content(copy)
    for name in ('results.csv', 'summary.csv', 'config.json', 'run.json', 'report.html'):
        assert after[pathlib.Path(name)] == before[pathlib.Path(name)]
    report.build(copy)


def test_other_versions_of_an_extension_are_in_the_report(extended, tmp_path):
    shutil.copytree(extended, tmp_path / 'run')
    plan = json.loads((tmp_path / 'run' / 'plan.json').read_text())
    plan['extensions'][0]['plan']['versions']['flax'] = '9.9'
    workdir.write_records(tmp_path / 'run', plan=plan)
    report.build(tmp_path / 'run')
    flax = plan['versions']['flax']
    assert f'Other versions: flax 9.9 (before {flax}).' in (tmp_path / 'run/report.md').read_text()


def searched(options):
    ranges = dict(learning_rate=jaxdl.log_uniform(0.05, 0.3), momentum=jaxdl.uniform(0.5, 0.9))
    return study(options=options, trials=2, search=ranges, epochs=1)


def test_a_new_option_is_searched_with_the_budget_of_the_others(tmp_path):
    jaxdl.run(searched(['zeros']), tmp_path / 'run')
    old = tables.read_results(tmp_path / 'run' / 'results.csv')
    rows = jaxdl.run(searched(['zeros', 'glorot_normal']), tmp_path / 'run').table
    assert [row for row in rows if row in old] == old
    points = {
        option: [
            {(row['learning_rate'], row['momentum']) for row in rows if selects(row, option, seed)}
            for seed in range(4)
        ]
        for option in ('he_normal', 'zeros', 'glorot_normal')
    }
    assert len({tuple(map(len, of_option)) for of_option in points.values()}) == 1


def selects(row, option, seed):
    return (row['phase'], row['option'], row['seed']) == ('tune', option, seed)


def test_only_options_of_the_first_run_add_points_to_a_search():
    limits = SearchRange('log', 0.01, 1.0, 0.001, 10.0)
    points = tuple((i / 8,) for i in range(8))
    plan = SearchPlan(('x',), 4, 2, 0, points, dict(old=dict(x=limits), new=dict(x=limits)))
    rounds = [search.first_round(plan)]
    assert search.next_round(plan, rounds, dict(new=dict(x='high'))) is not None
    late = dataclasses.replace(plan, late=('new',))
    assert search.next_round(late, rounds, dict(new=dict(x='high'))) is None
    both = search.next_round(late, rounds, dict(new=dict(x='high'), old=dict(x='low')))
    assert both is not None
    assert both['new'].ranges['x'].high > 1.0


HELPER = """import jaxdl

@jaxdl.register.loss('mine')
def mine(logits, targets):
    \"\"\"Cross entropy.\"\"\"
    return -(targets * logits).sum(-1) + {more}  # {comment}
"""
STUDY = """\"\"\"Does my loss learn?\"\"\"
import jaxdl
import helper

EXPERIMENT = jaxdl.Ablation(
    factor='loss', baseline='ours', options=dict(ours={{}}, mine=dict(loss='mine'){option}),
    variant=jaxdl.Variant(width=2, depth=1), learning_rates=(0.01,), seeds=2, epochs=1,
)
"""


@pytest.fixture
def own(tmp_path, monkeypatch, restored_registries):
    """Writes a study and its helper, and runs it as a process of its own would."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(*flags, option='', comment='', **changes):
        (tmp_path / 'mine.py').write_text(STUDY.format(option=option))
        helper = HELPER.format(more=changes.get('more', '1.0'), comment=comment)
        (tmp_path / 'helper.py').write_text(helper)
        sys.modules.pop('helper', None)
        return command.main(['--experiment=mine.py', '--workdir=run', *flags])

    yield run
    sys.modules.pop('helper', None)


def test_a_changed_comment_or_option_is_accepted_and_changed_code_is_refused(own, tmp_path, capsys):
    assert own() == 0
    before = content(tmp_path / 'run')
    capsys.readouterr()
    assert own('--set=seeds=3', more='2.0') == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert 'helper.py is not the code with which the run in run began' in error
    assert content(tmp_path / 'run') == before
    added = ', wide=dict(width=3)'
    assert own('--set=seeds=3', option=added, comment='the usual one') == 0
    assert 'by evaluation seed 1002, option wide: 5 new members' in capsys.readouterr().err
    summary = tables.read_table(tmp_path / 'run' / 'summary.csv', tables.SUMMARY)
    assert [(row['option'], row['seeds']) for row in summary] == [
        ('ours', 3),
        ('mine', 3),
        ('wide', 3),
    ]


@pytest.mark.parametrize(
    ('before', 'after', 'seeds'),
    [
        (dict(seeds=2), dict(seeds=4), {'one': (1002, 1003)}),
        (dict(seeds=2), dict(seeds=[1000, 1001, 1007]), {'one': (1007,)}),
        (dict(seeds=[1003, 1001]), dict(seeds=[1001, 1002, 1003]), {'one': (1002,)}),
        (dict(seeds=[1000, 1001]), dict(seeds=2), {}),
        (dict(seeds=4), dict(seeds=[1000, 1001]), None),
    ],
)
def test_seeds_of_a_condition_that_are_new(before, after, seeds):
    old, new = (extension.read_config(study(**each)) for each in (before, after))
    if seeds is None:
        assert list(extension._differences(old, new)) == [
            "seeds=[1000, 1001] of condition 'one', there 4"
        ]
        return
    assert not list(extension._differences(old, new))
    assert extension._growth(old, new, '').seeds == seeds


def test_a_condition_with_seeds_of_its_own_grows_by_itself():
    def config(seeds, own):
        conditions = {'one': {}, 'two': {'data.split_seed': 1, 'seeds': own}}
        return extension.read_config(dataclasses.replace(study(seeds), conditions=conditions))

    assert extension._growth(config(2, 3), config(4, 3), '').seeds == {'one': (1002, 1003)}
    assert extension._growth(config(2, 3), config(2, 4), '').seeds == {'two': (1003,)}
    assert not list(extension._differences(config(2, 3), config(2, 4)))
    (text,) = extension._differences(config(2, 3), config(4, 2))
    assert text == "seeds=2 of condition 'two', there 3"


def test_growth_in_words():
    added = Extension('', '', {}, ('l2', 'a, b'), (), {'a': (1010, 1011, 1012), 'b': (1003,)})
    assert added.growth == 'evaluation seeds 1010 to 1012, evaluation seed 1003, options l2, "a, b"'


def test_a_plan_is_merged_up_to_the_configuration_of_a_result(extended):
    plan = records.read(extended / 'plan.json', Plan)
    assert list(plan.merged().data) == ['one', 'two']
    assert list(plan.of({}).merged().data) == ['one']
