"""Untrusted settings, tables, workdirs and names at random: read, or refused in one line.

Names are displayed and never obeyed: not by a browser, Markdown, a spreadsheet, a terminal or the
file system.
"""

import ast
import csv
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import warnings

import pytest
import workdirs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

import jaxdl
from jaxdl import fields, main, report, workdir
from jaxdl.cli import flags, modes
from jaxdl.config import load
from jaxdl.config.load import as_dict, load_experiment
from jaxdl.config.overrides import check, field_paths, override
from jaxdl.data import Data
from jaxdl.data.sources import huggingface
from jaxdl.errors import LONGEST, InputError, visible
from jaxdl.inference import commands, submission
from jaxdl.report import compare_runs
from jaxdl.report.page import markup, plots
from jaxdl.workdir import journal, lock, tables
from jaxdl.workdir.records import GroupPlan

TRIES = int(os.environ.get('HOSTILE', '1'))
NAMES = (
    '<script>alert(1)</script>',
    '"onload="x',
    '=cmd()',
    '../../x',
    'a|b',
    '`x`',
    'a\nb',
    '\x1b[2J',
    '\u202egpj.exe',
    '[/x]',
    '![a](b)',
    '$x$',
    '\x00',
    '\u2066',
    "'",
    '\\',
    '&lt;',
    '\x85',
    '~',
    'C:\\x',
)
EXPERIMENTS = {
    name: load_experiment(name) for name in ('batch_norm', 'challenge', 'assignment', 'symmetry')
}
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from((*NAMES, 10**400, '1' * 9000)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
DEEP = st.integers(0, 50_000).map('['.__mul__) | st.integers(0, 9000).map('9'.__mul__)
many = settings(
    max_examples=200 * TRIES, deadline=5000, suppress_health_check=list(HealthCheck), database=None
)


def tried(read, *arguments):
    """Value of `read`, or None after a complaint of one short line."""
    try:
        return read(*arguments)
    except InputError as error:
        complaint = str(error)
        assert visible(complaint) == complaint
        assert len(complaint) <= LONGEST + 5
        return None


@many
@given(st.sampled_from(list(EXPERIMENTS)), st.data(), VALUES)
def test_overrides(name, data, value):
    paths = field_paths(EXPERIMENTS[name])
    key = data.draw(
        st.sampled_from(paths)
        | st.sampled_from(paths).map(lambda k: k.rpartition('.')[2])
        | st.text()
    )
    tried(lambda: check(override(EXPERIMENTS[name], {key: value})))


@many
@given(st.text() | st.tuples(st.text(), st.text() | VALUES.map(json.dumps) | DEEP).map('='.join))
def test_settings_on_the_command_line(text):
    result = tried(flags.parse_pairs, [text])
    assert result is None or result[0][0] == text.partition('=')[0]


@many
@given(
    VALUES.map(json.dumps)
    | DEEP
    | st.text()
    | st.dictionaries(st.just('kind') | st.text(), VALUES).map(json.dumps)
)
def test_config(text):
    path = pathlib.Path('config.json')
    path.write_text(text, encoding='utf-8', errors='replace')
    tried(load.load_config, path)


@many
@given(
    st.text() | st.lists(st.lists(st.text(), min_size=9, max_size=9)).map(tables.format_rows),
    st.booleans(),
)
def test_results(text, headed):
    path = pathlib.Path('results.csv')
    path.write_text(
        ','.join(tables.RESULTS) * headed + '\n' * headed + text, encoding='utf-8', errors='replace'
    )
    tried(tables.read_table, path, tables.RESULTS)


def test_a_cell_that_no_table_has(tmp_path):
    (tmp_path / 'results.csv').write_text(
        ','.join(tables.RESULTS) + '\n' + 'x' * 200_000 + ',' * 8 + '\n'
    )
    with pytest.raises(InputError, match='is damaged'):
        tables.read_table(tmp_path / 'results.csv', tables.RESULTS)


def leaves(tree, path=()):
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from leaves(value, (*path, key))


def spoilt(content, rng):
    """The same JSON with something odd in one place."""
    *path, last = rng.choice(list(leaves(content)))
    inner = content
    for key in path:
        inner = inner[key]
    inner[last] = rng.choice(
        (None, -1, 0, 1e308, 10**300, float('nan'), 'odd', '', [], [[]], {}, dict(odd=1), *NAMES)
    )
    return content


@pytest.fixture
def undrawn(monkeypatch):
    """Figures cost seconds, and what is on them is not looked at here."""
    drawing = plots.draw(lambda width: Figure(figsize=(1, 1)))
    monkeypatch.setattr(plots, 'draw', lambda plot: drawing)


@pytest.mark.parametrize(
    'name', ['config.json', 'plan.json', 'run.json', 'results.csv', 'costs.csv']
)
def test_a_workdir_that_was_tampered_with(tmp_path, undrawn, name):
    rng, top = (
        random.Random(name),
        workdirs.make(
            tmp_path / 'runs' / 'one',
            options=workdirs.first(2),
            seeds=2,
            epochs=2,
            tuning_seeds=1,
            rates=(0.1,),
        ),
    )
    whole, refused = (top / name).read_text(), 0
    for _ in range(25 * TRIES):
        if name.endswith('.json'):
            (top / name).write_text(json.dumps(spoilt(json.loads(whole), rng)))
        else:
            rows = list(csv.reader(whole.splitlines()))
            rows[rng.randrange(len(rows))][rng.randrange(len(rows[0]))] = rng.choice(
                ('', 'nan', '-1', '1e999', 'x')
            )
            (top / name).write_text(tables.format_rows(rows))
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of NumPy, about numbers that no run wrote
            refused += not tried(report.build, top)
            tried(compare_runs.compare, top, top)
    assert refused
    assert [path.name for path in tmp_path.iterdir()] == ['runs']
    assert [path.name for path in (tmp_path / 'runs').iterdir()] == ['one']


def test_events_that_are_none_are_passed_over(tmp_path):
    good = dict(session=1, seconds=0.5, event='epoch')
    lines = [
        json.dumps(good),
        '{"session": "x"}',
        '{}',
        '{"a": }',
        '[' * 9000 + '}',
        '\xff{}',
        json.dumps(good),
    ]
    (tmp_path / 'metrics.jsonl').write_text('\n'.join(lines) + '\n')
    assert journal.read(tmp_path) == [good, good]
    assert journal.session_seconds(tmp_path) == [0.5]


@pytest.mark.parametrize(
    'change', [dict(name='../../x'), dict(name='/x'), dict(name='a\nb'), dict(name='..')]
)
def test_the_name_of_a_config_is_no_path(tmp_path, change):
    content = as_dict(EXPERIMENTS['batch_norm']) | change
    (tmp_path / 'config.json').write_text(json.dumps(content))
    assert main.main(['--config=config.json', '--mode=plan']) == 2
    with pytest.raises(InputError, match='must be the name of a folder'):
        load.load_config(tmp_path / 'config.json')


@pytest.mark.parametrize('part', ['mine.py', '../mine', '/tmp/mine.py'])
def test_no_part_of_an_assignment_is_code_of_the_config(tmp_path, part):
    (tmp_path / 'mine.py').write_text('raise SystemExit(7)')
    content = as_dict(EXPERIMENTS['assignment']) | dict(parts=dict(x=[part]))
    (tmp_path / 'config.json').write_text(json.dumps(content))
    with pytest.raises(InputError, match=r'is not an experiment of jaxdl|must be a list of names'):
        load.load_config(tmp_path / 'config.json')


@pytest.mark.parametrize('name', ['artifacts', 'figures', 'checkpoints/final', 'report.html'])
def test_a_link_in_a_workdir_leads_nowhere_else(tmp_path, name):
    (tmp_path / 'elsewhere').mkdir()
    top = workdirs.make(
        tmp_path / 'run', options=workdirs.first(2), seeds=2, epochs=1, tuning_seeds=1, rates=(0.1,)
    )
    (top / name).parent.mkdir(exist_ok=True)
    (top / name).symlink_to(tmp_path / 'elsewhere')
    for act in (
        lambda: report.build(top),
        lambda: lock.lock_workdir(top).__enter__(),
        lambda: jaxdl.Predictor.from_checkpoint(top),
    ):
        with pytest.raises(InputError, match='is a link that leaves the workdir'):
            act()
    assert not list((tmp_path / 'elsewhere').iterdir())


def test_pipes_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / 'plan.json')
    with pytest.raises(InputError, match='neither a file nor a folder'):
        workdir.check_inside(tmp_path)


@pytest.fixture(scope='module')
def demonstrated(tmp_path_factory):
    folder = tmp_path_factory.mktemp('demonstrated') / 'run'
    assert main.main(['--experiment=conv_arithmetic', '--quick', f'--workdir={folder}']) == 0
    return folder


@pytest.mark.parametrize('name', ['../../x', '', 'a/b', '<b>', 'a b'])
def test_a_figure_of_a_demonstration_has_the_name_of_a_file(demonstrated, tmp_path, name):
    shutil.copytree(demonstrated, tmp_path / 'run')
    path = tmp_path / 'run' / 'artifacts' / 'answer.json'
    content = json.loads(path.read_text())
    was = content['shown'][0]['name']
    content['shown'][0]['name'] = name
    content['text'] = content['text'].replace(f'![{was}]', f'![{name}]')
    path.write_text(json.dumps(content))
    workdir.record(tmp_path / 'run', ['artifacts/answer.json'])
    with pytest.raises(InputError, match='artifacts is damaged'):
        report.build(tmp_path / 'run')


@pytest.mark.parametrize(
    'tex', [r'\text{<marquee></marquee>}', r'\text{<script></script>}', r'\href{javascript:x}{y}']
)
def test_a_formula_holds_no_other_elements(tex):
    with pytest.raises(ValueError, match='cannot be converted'):
        markup.mathml(tex)


@pytest.mark.parametrize('name', NAMES)
def test_a_name_is_text_on_a_page_and_in_markdown(name):
    marked = f'{markup.name(name)} {markup.code(name)}'
    for written in (str(markup.html(marked)), markup.markdown(marked)):
        assert visible(written) == written
    assert (
        '<script' not in f'{markup.html(marked)}{markup.markdown(markup.name(name))}'
    )  # code stands in Markdown as it is
    assert '|' not in markup.markdown(marked).replace('\\|', '')
    assert '"' not in str(markup.html(name))


@pytest.mark.parametrize('name', NAMES)
def test_a_name_is_text_in_a_spreadsheet_and_on_a_terminal(name, capsys):
    assert not submission._text(name).startswith(submission.FORMULA)
    modes.print_text(name.replace('\n', ' '))
    line = capsys.readouterr().out.removesuffix('\n')
    assert visible(line) == line


@pytest.mark.parametrize('name', [*NAMES, '\u5e73' * 300, 'a/' * 200])
def test_a_gradcam_picture_stays_in_its_folder(tmp_path, monkeypatch, name):
    class FakePredictor:
        def gradcam_batches(self, paths, batch_size):
            yield [0], [0]

    from jaxdl.inference import gradcam

    monkeypatch.setattr(
        gradcam, 'overlay', lambda crops, maps: __import__('numpy').zeros((1, 2, 2, 3), 'uint8')
    )
    commands._write_gradcam(FakePredictor(), [name], [str(tmp_path)], {}, tmp_path / 'x', 1)
    (picture,) = (tmp_path / 'x').iterdir()
    assert visible(picture.name) == picture.name
    assert len(os.fsencode(picture.name)) < 256


def test_a_terminal_is_no_place_for_markup(monkeypatch, capsys):
    from jaxdl.runtime import progress

    monkeypatch.setattr(sys.stderr, 'isatty', lambda: True, raising=False)
    group = GroupPlan(
        condition='\x1b[2J',
        phase='tune',
        options=('[/x]',),
        members=1,
        steps=1,
        batch_size=1,
        sides=(1, 1),
        chunks=1,
        limit=1,
        cores=1,
        member_bytes=1,
        conv='none',
    )
    event = dict(
        event='epoch',
        condition='\x1b[2J',
        options=['[/x]'],
        phase='tune',
        epoch=1,
        epochs=1,
        members=1,
    )
    with progress.show_ablation([group]) as show:
        show(event)
    assert '\x1b[2J' not in progress.describe_event(event)


def test_the_commit_of_a_data_set_is_resolved_displayed_and_recorded(monkeypatch, capsys):
    import huggingface_hub

    requests = []

    class Api:
        def dataset_info(self, name, revision):
            requests.append((name, revision))
            return type('Found', (), dict(sha='c' * 40))

    monkeypatch.setattr(huggingface_hub, 'HfApi', Api)
    assert huggingface._parsed('some/set:small@v1') == ('some/set', 'small', 'c' * 40)
    assert huggingface._parsed('some/set') == ('some/set', '', 'c' * 40)
    assert requests == [('some/set', 'v1'), ('some/set', None)]
    assert 'c' * 40 in capsys.readouterr().err


def test_a_row_of_a_set_names_no_file_outside_of_it(tmp_path):
    row = [dict(image=dict(bytes=None, path=str(tmp_path / 'x.png')))]
    assert huggingface._Images([row], 'here', [tmp_path])[0] == tmp_path / 'x.png'
    with pytest.raises(InputError, match='outside of the set'):
        huggingface._Images([row], 'here', [tmp_path / 'set'])[0]


PACKAGE = pathlib.Path(jaxdl.__file__).parent
WEB = {
    'urllib.request',
    'http',
    'http.client',
    'socket',
    'ssl',
    'requests',
    'httpx',
    'ftplib',
    'smtplib',
}
WEB |= {'huggingface_hub', 'datasets'}


def test_few_files_know_the_web_and_those_of_serving_listen():
    files = set()
    for path in PACKAGE.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            files |= {path.relative_to(PACKAGE).as_posix() for name in names if name in WEB}
    asking = {name for name in files if not name.startswith('inference/serving/')}
    keeping_silent = {'runtime/trackers.py'}  # replaces a request of Trackio
    downloading = {'data/download.py', 'data/sources/huggingface.py', 'models/weights.py'}
    assert asking == downloading | keeping_silent


def test_telemetry_is_off():
    code = (
        'import jaxdl, huggingface_hub.constants as c; '
        'assert c.HF_HUB_DISABLE_TELEMETRY; print(c.ENDPOINT)'
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith('HF_')}
    process = subprocess.run(
        [sys.executable, '-c', code], env=environment, capture_output=True, text=True, check=True
    )
    assert process.stdout.startswith('https://')
    names = ('HF_UPDATE_DOWNLOAD_COUNTS', 'HF_HUB_DISABLE_TELEMETRY', 'WANDB_ERROR_REPORTING')
    names += ('MLFLOW_DISABLE_TELEMETRY',)
    code = f'import os, jaxdl; print(*[os.environ[name] for name in {names}])'
    environment = {name: value for name, value in environment.items() if name not in names} | dict(
        HF_HUB_DISABLE_TELEMETRY='0'
    )
    process = subprocess.run(
        [sys.executable, '-c', code], env=environment, capture_output=True, text=True, check=True
    )
    assert process.stdout == '0 0 false true\n'


def test_data_are_fetched_only_where_that_is_asked():
    assert Data().download is False
    assert fields.path_part('a study') is None
