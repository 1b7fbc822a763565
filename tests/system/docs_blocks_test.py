"""Code blocks of the guides: Python runs, and the command line takes every command."""

import pathlib
import re

import jax
import pytest

import jaxdl
from jaxdl import register
from jaxdl.ablation import estimate
from jaxdl.cli import flags
from jaxdl.config.load import load_experiment
from jaxdl.config.overrides import check, keep, override
from jaxdl.data import Data, load
from tests.config import register_test

DOCS = pathlib.Path(__file__).parents[2] / 'docs'
FILES = ('guide.md', 'own_study.md')
TINY = {
    'epochs': 1,
    'seeds': 2,
    'learning_rates': (0.1,),
    'variant.width': 2,
    'variant.depth': 1,
    'conv': 'patches',
}

pytestmark = pytest.mark.skipif(not DOCS.exists(), reason='the tests stand alone')
_as_before = register_test._as_before


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
    (line,) = estimate.apart(space['study'])[2:]
    assert line.split() == ['width', '16', '(0;', '0.5)', '|', '32', '(0.5,', 'wide)']


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
    shrunk = override(keep(study, ['tiny', 'perceptron']), TINY)
    results = jaxdl.run(shrunk, tmp_path / 'run')
    assert {row['metric'] for row in results.table} == {'loss', 'accuracy', 'log_loss'}
    for kind, name in sorted(added - {('metric', 'log_loss'), ('dataset', 'stripes')}):
        check(override(study, {f'variant.{kind}': name}))


@pytest.mark.parametrize('name', FILES)
def test_every_command_is_one(name):
    lines = [line for block in blocks(name, 'sh') for line in block.splitlines()]
    assert lines
    for line in [*lines, *re.findall(r'`(python -m jaxdl.main [^`]*)`', (DOCS / name).read_text())]:
        words = line.removeprefix('python -m jaxdl.main ').split()
        line = flags.parse(words)
        assert not line.positional or line.mode in flags.POSITIONAL
