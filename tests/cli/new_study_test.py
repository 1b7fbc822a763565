"""Study template of --mode=new: the template and every example in its comments run."""

import dataclasses
import re

import pytest

import jaxdl
from jaxdl import main as command
from jaxdl.cli import flags, new_study
from jaxdl.config.load import load_experiment
from jaxdl.config.overrides import check, override

pytestmark = pytest.mark.usefixtures('restored_registries')
TINY = [
    '--set=learning_rates=[0.1]',
    '--set=epochs=1',
    '--seeds=2',
    '--set=width=2',
    '--set=depth=1',
    '--set=conv=patches',
]


def test_the_template_runs_unchanged(tmp_path, capsys):
    assert command.main(['--mode=new', 'my_study']) == 0
    out = capsys.readouterr().out
    commands = re.findall(r'^  python -m jaxdl.main (.*?) *(?:#.*)?$', out, re.MULTILINE)
    assert len(commands) == 4
    for command_line in commands:
        flags.parse(command_line.split())
    assert command.main(['--experiment=my_study.py', '--quick', '--workdir=run', *TINY]) == 0
    assert (tmp_path / 'run' / 'report.html').exists()
    capsys.readouterr()
    assert (
        command.main(
            ['--experiment=my_study.py', '--mode=plan', '--workdir=run', '--quick', TINY[-1]]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert 'norm              none | batch' in out
    assert re.search(r'^batch +\d+\.\d+', out, re.MULTILINE)


def test_examples_of_the_template_register_existing_options(tmp_path):
    text = new_study.TEMPLATE.read_text()
    (tmp_path / 'mine.py').write_text(
        re.sub(r'^# ?(?! ?Register your own)', '', text, flags=re.MULTILINE)
    )
    study = load_experiment('mine.py')
    assert isinstance(study, jaxdl.Ablation)
    options = re.findall(r'  # (dict\(.*?\))', text)
    assert len(options) == 4
    for option in options:
        options = {'none': {}, 'new': eval(option)}
        check(dataclasses.replace(study, options=options, why={}))
    assert override(study, dict(metrics=['top_3'])).metrics == ('top_3',)
    assert override(study, dict(dataset='stripes')).data.dataset == 'stripes'


@pytest.mark.parametrize(
    'name', ['a/b', '../a', 'a b', '', 'class', '1a', 'pooling', 'jax', 'json', 'ä']
)
def test_names_that_are_none(name, tmp_path, capsys):
    assert command.main(['--mode=new', name]) == 2
    assert capsys.readouterr().err.startswith('jaxdl: error: --mode=new')
    assert not list(tmp_path.iterdir())


def test_existing_files_are_not_overwritten(tmp_path, capsys):
    (tmp_path / 'mine.py').write_text('1')
    assert command.main(['--mode=new', 'mine']) == 2
    assert 'mine.py exists' in capsys.readouterr().err
    assert (tmp_path / 'mine.py').read_text() == '1'
    assert command.main(['--mode=new', 'mine', '--overwrite']) == 0
    assert 'EXPERIMENT' in (tmp_path / 'mine.py').read_text()
    assert command.main(['--mode=new']) == command.main(['--mode=new', 'a', 'b']) == 2
