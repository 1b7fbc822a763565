"""The command line: every mode, and one line and status 2 for every kind of bad input."""

import json
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import studies

import jaxdl
from jaxdl import main as command
from jaxdl import workdir
from jaxdl.cli import flags, modes
from jaxdl.config import catalogue
from jaxdl.config.load import load_experiment

TINY = [
    '--experiment=pooling',
    '--options=avg',
    '--set=learning_rates=[0.1]',
    '--set=epochs=1',
    '--seeds=2',
    '--set=width=2',
]


def call(*arguments, blocked=''):
    """A process of its own; `blocked` modules cannot be imported in it."""
    code = (
        f'import sys\nfor m in {blocked.split()!r}: sys.modules[m] = None\n'
        'from jaxdl.main import entry\nentry()'
    )
    process = subprocess.run(
        [sys.executable, '-c', code, *arguments], capture_output=True, text=True, check=False
    )
    return process.returncode, process.stdout, process.stderr


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (
            ['--experiment=poling'],
            "unknown experiment 'poling': did you mean pooling or global_pooling?",
        ),
        (['--experiment=nothing.py'], "unknown experiment 'nothing.py'"),
        (['--mode=repot'], "unknown mode 'repot': did you mean report or export?"),
        (
            ['--expriment=pooling'],
            "unknown flag '--expriment': did you mean --experiment or --checkpoint?",
        ),
        (['pooling'], 'such as --experiment=pooling'),
        ([], 'use --experiment=NAME'),
        (['--experiment=pooling', '--quick=3'], '--quick=3: must be true or false'),
        (['--experiment=pooling', '--process=one'], '--process=one: must be a whole number'),
        (
            ['--experiment=pooling', '--set'],
            'Missing value for flag --set: every argument is --FLAG=VALUE',
        ),
        (['--flagfile=none'], 'Unable to open flagfile'),
        (['--helpfull'], 'did you mean --help'),
        (['--helpxml'], 'did you mean --help'),
        (
            ['--experiment=pooling', '--set=lr=0.1'],
            "unknown override 'lr': did you mean learning_rate",
        ),
        (['--experiment=pooling', '--set=epochs'], 'must be KEY=VALUE'),
        (
            ['--experiment=pooling', '--set=epoch=3'],
            "unknown override 'epoch': did you mean epochs",
        ),
        (
            ['--experiment=pooling', '--options=avgg'],
            "unknown option 'avgg' of pooling: did you mean avg",
        ),
        (['--experiment=pooling', '--set=epochs=-1'], 'epochs=-1: must be a number of at least 1'),
        (['--experiment=pooling', '--set=epochs=many'], 'must be a whole number'),
        (['--experiment=pooling', '--seeds=0'], 'seeds=0'),
        (['--experiment=pooling', '--seeds=1'], 'at least 2 seeds, to compare'),
        (['--experiment=pooling', '--set=learning_rate=nan'], 'learning_rates'),
        (['--experiment=pooling', '--set=learning_rates=[NaN]'], 'must be a finite number above 0'),
        (['--experiment=pooling', '--set=dropout=1.5'], 'must be at least 0 and below 1'),
        (['--experiment=pooling', '--dataset=digit'], 'did you mean digits'),
        (['--experiment=pooling', '--set=batch_size=5000'], 'at most the 902 training images'),
        (['--mode=report'], 'use --workdir=DIR'),
        (['--mode=report', '--workdir=empty'], 'not the workdir of a run'),
        (['--experiment=pooling', '--workdir=taken/below'], 'cannot be written'),
    ],
)
def test_bad_input(arguments, words, capsys, tmp_path):
    (tmp_path / 'taken').write_text('a file')
    assert command.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ''
    (line,) = [
        line for line in err.splitlines() if not line.startswith('jaxdl: convolutions will be')
    ]
    assert line.startswith('jaxdl: error: ')
    assert words in line
    assert sorted(p.name for p in tmp_path.iterdir()) == ['taken']


def test_experiments_that_are_no_experiments(tmp_path, capsys):
    (tmp_path / 'mine.py').write_text('"""Mine?"""\n')
    assert command.main(['--experiment=mine.py']) == 2
    assert 'sets no EXPERIMENT = Ablation(...)' in capsys.readouterr().err
    for text, words in (
        ('\n1 +', 'SyntaxError: invalid syntax (mine.py line 2)'),
        ('import jaxdl\nEXPERIMENT = jaxdl.Ablation()', 'TypeError'),
        ('import jaxdl\nEXPERIMENT = jaxdl.Variant(widht=2)', '(mine.py line 2)'),
        (
            'import jaxdl\nEXPERIMENT = jaxdl.Ablation("p", "a", {"a": 3})',
            'must be a dict of overrides',
        ),
    ):
        (tmp_path / 'mine.py').write_text(text)
        assert command.main(['--experiment=mine.py']) == 2
        err = capsys.readouterr().err
        assert words in err
        assert err.count('\n') == 1


@pytest.mark.system
def test_bad_input_ends_a_process_with_status_2():
    status, out, err = call('--experiment=poling', blocked='')
    assert (status, out, err) == (
        2,
        '',
        "jaxdl: error: unknown experiment 'poling': did you mean pooling or global_pooling?\n",
    )


@pytest.mark.system
def test_help_and_list_need_no_jax():
    status, out, err = call('--help', blocked='jax flax optax')
    assert (status, err) == (0, '')
    assert all(f'--{name}' in out for name in flags.FLAGS)
    assert all(f'--mode={mode}' in out for mode in modes.MODES)
    lines, words = out.splitlines(), ' '.join(out.split())
    assert max(map(len, lines)) <= flags.WIDTH
    assert all(f'{status} {meaning}' in words for status, meaning in flags.EXITS.items())
    meanings = [flag.metadata['meaning'] for flag in flags.FLAGS.values()]
    assert all(' '.join(meaning.split()) in words for meaning in meanings)
    status, out, err = call('--mode=list', blocked='jax flax optax')
    assert (status, err) == (0, '')
    assert 'pooling' in out


def test_list_groups_the_experiments_by_kind(capsys):
    assert command.main(['--mode=list']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    kinds, kind = {}, ''
    for line in lines:
        if not line.startswith(' '):
            kind = next(name for name, heading in catalogue.KINDS.items() if heading == line)
            continue
        name, question = line.split(maxsplit=1)
        assert question[0].isupper()
        assert question.endswith('?')
        assert question == load_experiment(name).question
        kinds[name] = kind
    assert kinds == {
        name: type(load_experiment(name)).__name__ for name in catalogue.read_questions()
    }
    assert sorted(set(kinds.values())) == sorted(catalogue.KINDS)


def test_the_short_help_fits_a_screen(capsys):
    assert command.main(['--helpshort']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    named = re.findall(r'--mode=(\w+)', '\n'.join(lines))
    assert {'list', 'plan', 'predict'} <= set(named) <= set(modes.MODES)


@pytest.mark.system
def test_import_is_without_jax():
    code = (
        'import jaxdl, sys; jaxdl.statistics.holm([0.1]); '
        'assert not {"jax", "flax", "optax"} & set(sys.modules)'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
    with pytest.raises(AttributeError, match='no attribute'):
        jaxdl.nothing  # noqa: B018
    assert 'Ablation' in dir(jaxdl)


def test_plan_trains_nothing(capsys, tmp_path):
    assert command.main(['--experiment=pooling', '--mode=plan']) == 0
    out = capsys.readouterr().out
    assert '125 members in 10 compiled programs' in out
    assert '902 train, 894 val, 1,798 test' in out
    assert 'about ' in out
    assert not list(tmp_path.iterdir())


def test_a_misspelt_field_in_a_file_has_a_suggestion(tmp_path, capsys):
    (tmp_path / 'mine.py').write_text(
        "import jaxdl\nEXPERIMENT = jaxdl.Ablation(factor='a', baseline='a', options={}, sedes=3)\n"
    )
    assert command.main(['--experiment=mine.py', '--mode=plan']) == 2
    assert "keyword argument 'sedes': did you mean seeds? (mine.py line 2)" in (
        capsys.readouterr().err
    )


def test_another_data_set_leaves_out_the_conditions_that_name_one(capsys):
    assert command.main(['--experiment=init', '--mode=plan', '--dataset=digits']) == 0
    out, err = capsys.readouterr()
    assert 'data: digits' in out
    assert 'moons' not in out
    assert 'dataset=digits: without the conditions two moons, which are other data sets' in err


@pytest.mark.system
def test_run_report_and_run_again(capsys, tmp_path):
    assert command.main([*TINY, '--workdir=run']) == 0
    out = capsys.readouterr().out
    assert 'max' in out
    assert 'avg' in out
    assert 'strided' not in out
    assert 'percentage points: ' in out
    assert f'report: {pathlib.Path("run") / "report.html"}' in out
    config = json.loads((tmp_path / 'run' / 'config.json').read_text())
    assert (config['epochs'], config['seeds'], config['variant']['width']) == (1, 2, 2)
    assert json.loads((tmp_path / 'run' / 'run.json').read_text())['command'].endswith(
        '--workdir=run'
    )
    before = (tmp_path / 'run' / 'report.html').read_bytes()
    for name in ('report.html', 'report.md', 'summary.csv'):
        (tmp_path / 'run' / name).unlink()
    shutil.rmtree(tmp_path / 'run' / 'figures')
    status, out, err = call('--mode=report', '--workdir=run', blocked='jax flax optax orbax')
    assert status == 0
    assert [line.endswith('it is written again') for line in err.splitlines()] == [True] * 3
    assert (tmp_path / 'run' / 'report.html').read_bytes() == before
    assert command.main([*TINY, '--workdir=run', '--set=epochs=2']) == 2
    assert 'epochs=2, there 1' in capsys.readouterr().err
    assert command.main([*TINY, '--workdir=run', '--set=epochs=2', '--overwrite']) == 0
    assert json.loads((tmp_path / 'run' / 'config.json').read_text())['epochs'] == 2


def test_the_same_command_gives_the_same_bytes(tmp_path):
    for folder in ('one', 'two'):
        assert command.main([*TINY, f'--workdir={folder}']) == 0
    for name in ('results.csv', 'summary.csv', 'correct.npz', 'plan.json', 'config.json'):
        assert (tmp_path / 'one' / name).read_bytes() == (tmp_path / 'two' / name).read_bytes(), (
            name
        )


def test_an_unfinished_run_has_no_report(tmp_path, capsys):
    jaxdl.run(studies.small(learning_rates=[0.1], epochs=1), tmp_path / 'run')
    run = json.loads((tmp_path / 'run' / 'run.json').read_text())
    (tmp_path / 'run' / 'run.json').write_text(json.dumps(run | dict(finished=False)))
    workdir.record(tmp_path / 'run', ['run.json'])
    assert command.main(['--mode=report', '--workdir=run']) == 2
    assert 'not finished' in capsys.readouterr().err


@pytest.mark.parametrize('flag', ['--overwrite', '--overwrite=true', '-overwrite'])
def test_the_resume_command_does_not_restart(flag):
    line = flags.parse(['--experiment=pooling', flag, '--seeds=3'])
    assert flags.format_command(flags.format_flags(line, 'overwrite')) == (
        'python -m jaxdl.main --experiment=pooling --seeds=3'
    )


@pytest.mark.parametrize('flag', ['--help', '--mode=list'])
def test_a_reader_of_a_pipe_may_stop_early(flag):
    command = f'{sys.executable} -m jaxdl.main {flag}; echo $? >&2'
    with subprocess.Popen(
        ['bash', '-c', command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == '141\n'
