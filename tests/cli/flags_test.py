"""Flags: each mode takes the flags of its row in the table; values are read by type."""

import pytest

from jaxdl import main
from jaxdl.cli import flags, modes
from jaxdl.config.load import load_experiment
from jaxdl.config.overrides import override, parse
from jaxdl.errors import InputError
from jaxdl.inference import commands
from jaxdl.inference.serving import ServeSettings

VALUES = dict(processes='2', process='1', quick='true', overwrite='true', set='epochs=2')
CHECKED = [name for name in flags.FLAGS if name not in flags.ALWAYS]


def test_the_tables_have_the_same_modes_and_known_flags():
    assert list(flags.MODE_FLAGS) == list(modes.MODES)
    assert all(set(taken) <= set(CHECKED) for taken in flags.MODE_FLAGS.values())
    assert set(CHECKED) == {name for taken in flags.MODE_FLAGS.values() for name in taken}


@pytest.mark.parametrize('mode', flags.MODE_FLAGS)
@pytest.mark.parametrize('name', CHECKED)
def test_a_mode_takes_its_flags_and_refuses_the_others(mode, name):
    arguments = [f'--mode={mode}', f'--{name}={VALUES.get(name, "x")}']
    if name in flags.MODE_FLAGS[mode]:
        assert getattr(flags.parse(arguments), name) not in (None, (), False)
        return
    with pytest.raises(InputError) as caught:
        flags.parse(arguments)
    text = str(caught.value)
    assert text.startswith(f'--{name} has no effect in --mode={mode}: ')
    applies = text.rpartition('applies to ')[2].split(', ')
    assert applies == [other for other in modes.MODES if name in flags.MODE_FLAGS[other]]


def test_a_flag_without_effect_ends_with_status_2(capsys):
    assert main.main(['--mode=predict', '--seeds=3', '--checkpoint=x']) == 2
    assert capsys.readouterr().err == (
        'jaxdl: error: --seeds has no effect in --mode=predict: leave it out; '
        'it applies to run, plan, check\n'
    )


@pytest.mark.parametrize('mode', flags.MODE_FLAGS)
def test_help_lists_the_flags_of_each_mode(mode):
    text = ' '.join(flags.help_text(modes.descriptions()).split())
    row = text.partition(f'--mode={mode} {modes.descriptions()[mode]}.')[2]
    names = ' '.join(f'--{name}' for name in flags.MODE_FLAGS[mode]) or 'no other flags'
    assert row.startswith(f' Flags: {names}')


@pytest.mark.parametrize(
    'arguments',
    [
        ['--experiment=pooling', '--options=avg,"a, b"', '--set=epochs=1', '--set=width=2'],
        ['--experiment', 'pooling', '--quick', '--seeds', '4', '--overwrite'],
        ['--mode=new', '--overwrite'],
    ],
)
def test_the_words_of_a_command_line_parse_to_the_same(arguments):
    line = flags.parse(arguments)
    again = flags.parse(flags.format_flags(line))
    assert all(getattr(line, name) == getattr(again, name) for name in flags.FLAGS)


@pytest.mark.parametrize(
    'arguments',
    [
        ['--options=["avg", "a, b"]'],
        ['--options=avg,"a, b"'],
        ['--options=avg', '--options="a, b"'],
        ['--options=avg, "a, b"'],
    ],
)
def test_names_of_options_may_have_commas(arguments):
    assert flags.parse(['--experiment=pooling', *arguments]).options == ('avg', 'a, b')


def test_a_list_of_options_is_of_names():
    with pytest.raises(InputError, match=r'--options=\[1\]: must be names'):
        flags.parse(['--experiment=pooling', '--options=[1]'])


@pytest.mark.parametrize(
    ('experiment', 'key', 'text', 'value'),
    [
        ('assignment', 'roll_number', '21042', '21042'),
        ('finetune', 'revision', '1e5', '1e5'),
        ('finetune', 'revision', '0123456', '0123456'),
        ('finetune', 'weights', '123', '123'),
        ('finetune', 'label_column', '0', '0'),
        ('finetune', 'group_column', 'true', 'true'),
        ('pooling', 'epochs', '3', 3),
        ('pooling', 'learning_rates', '[0.1]', (0.1,)),
        ('pooling', 'chunk', 'null', None),
        ('pooling', 'conv', 'null', None),
        ('pooling', 'resample_split', 'true', True),
    ],
)
def test_a_value_is_read_by_the_type_of_its_field(experiment, key, text, value):
    study = load_experiment(experiment)
    changed = override(study, {key: parse([study], key, text)})
    records = [changed, getattr(changed, 'data', None)]
    assert [getattr(record, key) for record in records if hasattr(record, key)] == [value]


@pytest.mark.parametrize(
    ('kind', 'key', 'text', 'value'),
    [
        (commands.Data, 'label_column', '0', '0'),
        (commands.EvaluateSettings, 'batch_size', '8', 8),
        (commands.PredictSettings, 'explain', 'true', True),
        (commands.ExportSettings, 'member', '1', 1),
    ],
)
def test_settings_of_a_mode_are_read_by_type(kind, key, text, value):
    (record,) = commands.parse_settings([kind], [(key, text)], 'evaluate')
    assert getattr(record, key) == value


def test_a_port_is_a_number():
    (settings,) = commands.parse_settings([ServeSettings], [('port', '8001')], 'serve')
    assert settings.port == 8001


def test_an_override_of_an_assignment_is_read_by_its_parts():
    line = flags.parse(['--experiment=assignment', '--dataset=123', '--set=epochs=1', '--quick'])
    study = modes._experiment(line)
    assert study.overrides == dict(dataset='123', epochs=1)
