"""Code blocks of the pages: Python runs, and the command line takes every command."""

import dataclasses
import pathlib
import re
import shlex

import jax
import numpy as np
import pytest

import jaxdl
from jaxdl import register
from jaxdl.ablation import estimate
from jaxdl.cli import flags, modes
from jaxdl.config import catalogue
from jaxdl.config.load import load_experiment
from jaxdl.config.overrides import check, override, select_options
from jaxdl.data import Data, load

DOCS = pathlib.Path(__file__).parents[2] / 'docs'
README = DOCS.parent / 'README.md'
PAGES = sorted([README, *DOCS.rglob('*.md')])
PROGRAM = 'python -m jaxdl.main '
TINY = {
    'epochs': 1,
    'seeds': 2,
    'learning_rates': (0.1,),
    'variant.width': 2,
    'variant.depth': 1,
    'conv': 'patches',
}

pytestmark = [
    pytest.mark.skipif(not DOCS.exists(), reason='the tests stand alone'),
    pytest.mark.usefixtures('restored_registries'),
]


@pytest.fixture(autouse=True)
def _as_for_users():
    with jax.numpy_rank_promotion('allow'):
        yield


def blocks(name, language):
    return re.findall(
        rf'^```{language}\n(.*?)^```', (DOCS / name).read_text(), re.DOTALL | re.MULTILINE
    )


def test_python_blocks_give_the_stated_results(capsys):
    space = {}
    for block in blocks('guide.md', 'python'):
        exec(block, space)
        assert capsys.readouterr().out.split() == re.findall(
            r'^print.*  # (.*)$', block, re.MULTILINE
        )
    (line,) = estimate.list_differing_fields(space['study'])[2:]
    assert line.split() == ['width', '16', '(0;', '0.5)', '|', '32', '(0.5,', 'wide)']


def test_rows_of_a_table_are_a_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'table.csv').write_text('a,b,class\n1,2.5,red\n3,4,blue\n5,6,red\n')
    space = {}
    exec(blocks('guide.md', 'python')[-1], space)
    dataset = load(space['EXPERIMENT'].data)
    assert dataset.images.dtype == np.float32
    assert dataset.images[:, 0, 0].tolist() == [[1, 2.5], [3, 4], [5, 6]]
    assert [dataset.class_names[label] for label in dataset.labels] == ['red', 'blue', 'red']


def test_ten_lines_are_a_study(tmp_path):
    first = blocks('own_study.md', 'python')[0]
    (tmp_path / 'my_study.py').write_text(first)
    study = load_experiment('my_study.py')
    assert check(override(study, TINY)).question == 'Does a second stage help?'


def test_every_registration_is_one_and_the_study_of_them_runs(tmp_path):
    (tmp_path / 'mine.py').write_text('\n\n'.join(blocks('own_study.md', 'python')[1:]))
    before = {kind: set(table) for kind, table in register.TABLES.items()}
    study = load_experiment('mine.py')
    added = {
        (kind, name)
        for kind, table in register.TABLES.items()
        for name in set(table) - before[kind]
    }
    assert {kind for kind, _ in added} == set(register.TABLES) - {'global_pooling', 'norm', 'init'}
    assert len(load(Data(dataset='stripes')).class_names) == 2
    shrunk = override(select_options(study, ['tiny', 'perceptron']), TINY)
    results = jaxdl.run(shrunk, tmp_path / 'run')
    assert {row['metric'] for row in results.table} == {'loss', 'accuracy', 'log_loss'}
    for kind, name in sorted(added):
        if kind in ('metric', 'dataset'):
            check(override(study, {'data.dataset' if kind == 'dataset' else kind: name}))
            continue
        options = {'before': {}, 'new': {kind: name}}
        check(dataclasses.replace(study, options=options, baseline='before', why={}))


def commands(path):
    """Commands of a page as the words after the program, from its shell blocks and its code."""
    text = path.read_text()
    shell = '\n'.join(re.findall(r'^```sh\n(.*?)^```', text, re.DOTALL | re.MULTILINE))
    lines = shell.replace('\\\n', ' ').splitlines()
    lines += re.findall(rf'`({PROGRAM}[^`]*)`', text)
    return [
        shlex.split(line.removeprefix(PROGRAM), comments=True)
        for line in lines
        if line.startswith(PROGRAM) and '--FLAG=' not in line
    ]


def test_commands_have_one_form():
    other = re.compile(r'(?:^|`)(?:jaxdl|\$\w+|\S+/python -m jaxdl\.main) +-\S', re.MULTILINE)
    assert [path.name for path in PAGES if other.search(path.read_text())] == []
    assert sum(map(bool, map(commands, PAGES))) > 5


@pytest.mark.parametrize('path', PAGES, ids=lambda path: path.stem)
def test_every_command_is_one(path):
    for words in commands(path):
        line = flags.parse(words)
        assert not line.positional or line.mode in flags.POSITIONAL
        shipped = line.experiment in catalogue.read_questions()
        if shipped and line.mode in ('run', 'plan', 'check') and 'DIR' not in ' '.join(words):
            modes._experiment(line)


def test_list_of_experiments_has_their_questions_times_and_results():
    text, kinds = (DOCS / 'studies.md').read_text(), catalogue.by_kind()
    rows = re.findall(r'^\| `(\w+)` \| ([^|]*\?) \| ([^|]*) \|$', text, re.MULTILINE)
    questions = kinds['Ablation'] | kinds['Demonstration']
    assert {name: question for name, question, _ in rows} == questions
    assert [
        name for name, _, time in rows if not catalogue.read_measured_time(name).startswith(time)
    ] == []
    plain = text.replace('\N{MINUS SIGN}', '-')
    row = r'^\| `(\w+)`.*\| ([+-][\d.]+) \(.*?\) \| ([+-][^|]*) \| [^|]* \| [^|]* \|$'
    cells = re.findall(row, plain, re.MULTILINE)
    assert len(cells) > 30
    for study, difference, interval in cells:
        source = ' '.join((catalogue.folder() / f'{study}.py').read_text().split())
        assert f'{difference} ({interval})' in source, study
