"""Reading config.json: the same experiment again; one line for a damaged or hostile file."""

import importlib
import json
import sys

import pytest

from jaxdl import errors, main
from jaxdl.config import catalogue, load
from jaxdl.config.load import as_dict, load_experiment
from jaxdl.config.overrides import check, quick
from jaxdl.errors import InputError

EXPERIMENTS = {name: load_experiment(name) for name in catalogue.read_questions()}
ODD = (
    None,
    -1,
    10**400,
    1e999,
    float('nan'),
    'odd',
    '',
    True,
    [],
    [[]],
    {},
    {'odd': 1},
    {'odd': {}},
    ['odd'],
)


def written(folder, content):
    (folder / 'config.json').write_text(json.dumps(content))
    return folder / 'config.json'


@pytest.mark.parametrize('scale', [lambda loaded: loaded, quick])
@pytest.mark.parametrize('name', EXPERIMENTS)
def test_every_experiment_comes_back(tmp_path, name, scale):
    expected = check(scale(EXPERIMENTS[name]))
    loaded = load.load_config(written(tmp_path, as_dict(expected)))
    assert loaded == expected


def leaves(tree, path=()):
    for key, value in tree.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))


@pytest.mark.parametrize('name', ['batch_norm', 'challenge', 'assignment', 'symmetry'])
def test_any_field_value_is_accepted_or_refused_in_one_line(tmp_path, name):
    whole, complaints = json.loads(json.dumps(as_dict(EXPERIMENTS[name]))), []
    for path in leaves(whole):
        for value in ODD:
            content = json.loads(json.dumps(whole))
            inner = content
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value
            try:
                load.load_config(written(tmp_path, content))
            except InputError as error:
                complaints.append(str(error))
    assert len(complaints) > 2 * len(list(leaves(whole)))
    longest = errors.LONGEST + len(str(tmp_path))  # a message names the file
    assert not any('\n' in complaint or len(complaint) > longest for complaint in complaints)


def test_no_code_is_read_from_a_config(tmp_path):
    (tmp_path / 'mine.py').write_text('raise SystemExit(7)')
    content = as_dict(EXPERIMENTS['symmetry']) | dict(
        name=str(tmp_path / 'mine.py'), answer='os.system'
    )
    with pytest.raises(InputError, match=r'mine.py.* is not an experiment of jaxdl'):
        load.load_config(written(tmp_path, content))


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (dict(kind='Study'), "kind='Study': must be Ablation, Demonstration"),
        (dict(widht=3), "unknown field 'widht': "),
        (dict(variant=dict(widht=3)), "unknown field 'widht': did you mean width"),
        (dict(variant=3), 'variant=3: must be an object'),
        (dict(conditions={'a': 3}), "condition 'a' is 3: must be a dict"),
    ],
)
def test_invalid_configs_are_refused_with_path_and_reason(tmp_path, change, words):
    path = written(tmp_path, as_dict(EXPERIMENTS['pooling']) | change)
    with pytest.raises(InputError) as caught:
        load.load_config(path)
    assert str(caught.value).startswith(f'{path}: ')
    assert words in str(caught.value)


def test_the_command_repeats_a_run_and_says_where_two_things_are_asked(tmp_path, capsys):
    path = written(tmp_path, as_dict(EXPERIMENTS['conv_arithmetic']))
    assert main.main([f'--config={path}', '--quick', '--workdir=again']) == 0
    assert (tmp_path / 'again' / 'report.html').exists()
    assert json.loads((tmp_path / 'again' / 'config.json').read_text())['scale'] == 'quick'
    assert main.main([f'--config={path}', '--experiment=pooling']) == 2
    assert 'use only one of them' in capsys.readouterr().err
    assert main.main(['--config=nowhere.json']) == 2
    assert 'holds no nowhere.json' in capsys.readouterr().err


def test_an_imported_experiment_and_its_file_have_one_configuration(tmp_path, monkeypatch):
    (tmp_path / 'my_study.py').write_text(
        '"""Does it learn?"""\nimport jaxdl\n'
        'options = dict(max={}, avg=dict(pooling="avg"))\n'
        'EXPERIMENT = jaxdl.Ablation("pooling", "max", options=options)'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, 'my_study', None)  # removed after the test
    del sys.modules['my_study']
    module = importlib.import_module('my_study')
    named = check(load.name_by_module(module.EXPERIMENT))
    assert as_dict(named) == as_dict(load_experiment('my_study.py'))
    assert (named.name, named.question) == ('my_study', 'Does it learn?')
    assert load.name_by_module(named) is named
