"""Trackers: the files of TensorBoard, Weights & Biases, MLflow and Trackio, read back."""

import contextlib
import importlib.util
import json
import os
import pathlib
import posixpath
import re
import sqlite3
import subprocess
import sys
import sysconfig
import venv
from unittest import mock

import huggingface_hub
import pytest
import studies

from jaxdl import main, workdir
from jaxdl.ablation import run
from jaxdl.errors import InputError
from jaxdl.runtime import trackers, tracking

FACTS = [
    ('start', {}),
    ('step', dict(task='finetune', step=3, steps=9, loss=0.5)),
    ('epoch', dict(task='finetune', epoch=1, val_accuracy=0.25)),
]
RESUMED = [('step', dict(task='finetune', step=6, steps=9, loss=0.125))]
TOLD = {('finetune/loss', 3): 0.5, ('finetune/val_accuracy', 3): 0.25, ('finetune/loss', 6): 0.125}
CONFIG = dict(epochs=2, data=dict(dataset='digits'), rates=[0.1, 0.3])
RUN = """
import pathlib, sys
from contextlib import suppress
from jaxdl.runtime import tracking
folder, tracker = pathlib.Path(sys.argv[1]), sys.argv[2]
with suppress(InterruptedError), tracking.open_trackers(folder / 'other', [tracker]) as other:
    for facts in {sessions!r}:
        with suppress(InterruptedError), tracking.open_trackers(folder, [tracker]) as tell:
            note = tracking.track_journal(lambda name, **facts: None, tell)
            for name, values in facts:
                note(name, **values)
            raise InterruptedError
    other({{'other/loss': 2.0}}, 1)
    raise InterruptedError
"""
Content = tuple[dict, dict | None, int]  # (name, step) -> value; configuration; number of runs


def tensorboard(folder) -> Content:
    """From the event files, which hold no configuration."""
    from tensorboardX.proto import event_pb2

    scalars = {}
    for path in sorted((folder / 'tensorboard').iterdir()):
        content, at = path.read_bytes(), 0
        while at < len(content):  # length, its checksum, the event, its checksum
            length = int.from_bytes(content[at : at + 8], 'little')
            event = event_pb2.Event.FromString(content[at + 12 : at + 12 + length])
            scalars |= {
                (value.tag, event.step): value.simple_value for value in event.summary.value
            }
            at += 16 + length
    return scalars, None, 1


def wandb(folder) -> Content:
    """From offline runs: a header of 7 bytes, a LevelDB log in blocks of 32 KiB."""
    from wandb.proto import wandb_internal_pb2

    scalars, config, runs = {}, {}, set()
    for path in sorted((folder / 'wandb').glob('offline-run-*/run-*.wandb')):
        content, at, data = path.read_bytes(), 7, b''
        runs.add(path.stem)
        while at + 7 <= len(content):
            if 32768 - at % 32768 < 7:  # too little of a block for a head
                at += 32768 - at % 32768
            length, kind = int.from_bytes(content[at + 4 : at + 6], 'little'), content[at + 6]
            data, at = data + content[at + 7 : at + 7 + length], at + 7 + length
            if kind in (1, 4):  # whole, or the last piece
                record, data = wandb_internal_pb2.Record.FromString(data), b''
                items = {
                    item.key or '.'.join(item.nested_key): item.value_json
                    for item in record.history.item
                }
                scalars |= {
                    (name, json.loads(items['at'])): json.loads(v)
                    for name, v in items.items()
                    if '/' in name
                }
                config |= {i.key: json.loads(i.value_json) for i in record.run.config.update}
    return scalars, {name: config[name] for name in CONFIG if name in config}, len(runs)


def select(path, query):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def mlflow(folder) -> Content:
    path = folder / 'mlflow' / 'mlflow.db'
    scalars = {
        (n, step): value for n, step, value in select(path, 'select key, step, value from metrics')
    }
    names = {'epochs': '0', 'rates': '0', 'data.dataset': ''}
    names |= dict(select(path, 'select key, value from params'))
    config = dict(epochs=int(names['epochs']), data=dict(dataset=names['data.dataset']))
    config = dict(config, rates=json.loads(names['rates']))
    return scalars, config, len(select(path, 'select * from runs'))


def trackio(folder) -> Content:
    """From the local folder of Trackio: its runs have the name of the workdir in front."""
    path, start = folder.parent / 'trackio' / 'jaxdl.db', f'{folder.name}-'
    rows = select(path, 'select run_name, step, metrics, run_id from metrics')
    rows = [row for row in rows if row[0].startswith(start)]
    scalars = {
        (name, step): value
        for _, step, metrics, _ in rows
        for name, value in json.loads(metrics).items()
    }
    configs = {
        json.dumps({k: v for k, v in json.loads(config).items() if k[0] != '_'})
        for name, config in select(path, 'select run_name, config from configs')
        if name.startswith(start)
    }
    (config,) = configs
    return scalars, json.loads(config), len({row[3] for row in rows})


READERS = dict(tensorboard=tensorboard, wandb=wandb, mlflow=mlflow, trackio=trackio)
# Packages that are not in the environment of the tests: MLflow's are many, and Trackio needs an
# older Pillow. They are installed next to it.
APART = dict(
    mlflow=['mlflow-skinny==3.17.2', 'sqlalchemy==2.1.9', 'alembic==1.20.1'],
    trackio=['trackio==0.43.0'],
)


def find_python(name, top):
    """An interpreter that has the module of a tracker; a skipped test where there is none."""
    if importlib.util.find_spec(tracking.TRACKERS[name].module):
        return sys.executable
    if name not in APART:
        pytest.skip(f'{name} is not installed')
    environment = top / 'environment'
    venv.create(environment, with_pip=False, symlinks=os.name != 'nt')
    python = environment / ('Scripts/python.exe' if os.name == 'nt' else 'bin/python')
    places = sysconfig.get_path('purelib', vars=dict(base=str(environment)))
    (pathlib.Path(places) / 'tests.pth').write_text(sysconfig.get_path('purelib'))
    words = [sys.executable, '-m', 'pip', '--python', str(python), 'install', '--quiet']
    installed = subprocess.run([*words, *APART[name]], capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(f'{name} cannot be installed: {installed.stderr.strip()[-200:]}')
    return str(python)


@pytest.mark.system
@pytest.mark.parametrize('name', tracking.TRACKERS)
@pytest.mark.filterwarnings('ignore::DeprecationWarning')
def test_a_tracker_holds_every_number_and_setting_and_resumes_its_run(tmp_path, name):
    python, folder = find_python(name, tmp_path), tmp_path / 'a run'
    places = dict(TRACKIO_DIR=str(tmp_path / 'trackio'), PYTHONPATH=os.pathsep.join(sys.path))
    ours = ('WANDB', 'MLFLOW', 'TRACKIO')
    quiet = {key: value for key, value in os.environ.items() if not key.startswith(ours)} | places
    (folder / 'other').mkdir(parents=True)
    (folder / 'config.json').write_text(json.dumps(CONFIG))
    process = subprocess.run(
        [python, '-c', RUN.format(sessions=(FACTS, RESUMED)), str(folder), name],
        env=quiet,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (process.returncode, process.stdout) == (0, ''), process.stderr
    assert 'Traceback' not in process.stderr
    workdir.check_inside(folder)  # as a report does before it reads
    scalars, config, runs = READERS[name](folder)
    assert scalars == pytest.approx(TOLD)
    assert config in (None, CONFIG)
    assert runs == 1
    if name != 'trackio':  # which has all runs in one folder
        assert READERS[name](folder / 'other')[0] == {('other/loss', 1): 2.0}


class Service:
    """Stands for the module wandb: keeps what a run was begun with."""

    class Error(Exception):
        """Failure of the service."""

    def __init__(self, monkeypatch, refuses=''):
        self.runs, self.refuses = [], refuses
        self.Settings = dict
        monkeypatch.setitem(sys.modules, 'wandb', self)

    def init(self, **settings):
        if self.refuses:
            raise self.Error(self.refuses)
        self.runs.append(settings)
        return mock.Mock()


def test_a_resumed_run_is_the_same_run(tmp_path, monkeypatch):
    monkeypatch.delenv('WANDB_MODE', raising=False)
    service = Service(monkeypatch)

    def begun(folder, config):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / 'config.json').write_text(json.dumps(config))
        with tracking.open_trackers(tmp_path / folder, ['wandb']):
            return service.runs[-1]

    first = begun('one', dict(epochs=1))
    assert (first['mode'], first['dir'], first['config']) == (
        'offline',
        str(tmp_path / 'one'),
        dict(epochs=1),
    )
    assert begun('one', dict(epochs=1))['id'] == first['id']
    assert (
        len(
            {begun(*other)['id'] for other in (('one', dict(epochs=2)), ('two', dict(epochs=1)))}
            - {first['id']}
        )
        == 2
    )


def test_trackio_does_not_ask_the_hub_for_the_user(tmp_path, monkeypatch):
    requests = []
    monkeypatch.setattr(huggingface_hub, 'whoami', lambda *args, **kwargs: requests.append(args))

    def init(project, **settings):
        with contextlib.suppress(OSError):
            huggingface_hub.whoami('token')
        print('a message')
        return mock.Mock()

    monkeypatch.setitem(sys.modules, 'trackio', mock.Mock(init=init))
    for name in ('TRACKIO_SPACE_ID', 'TRACKIO_SERVER_URL'):
        monkeypatch.delenv(name, raising=False)
    for remote, number in (('', 0), ('user/space', 1)):
        monkeypatch.setenv('TRACKIO_SPACE_ID', remote)
        with tracking.open_trackers(tmp_path, ['trackio']):
            assert len(requests) == number


def test_names_for_mlflow_are_valid_and_stay_different():
    names = ['a/b', 'tune/x/0.1, dropout=0.2/val loss', 'tune/x/0.1, dropout:0.2/val loss', 'a//b']
    names += ['../a', 'a/../b', '/a', '.', 'é/ü', 'x' * 300, 'x' * 301, 'a/b/']
    renamed = [trackers._mlflow_name(name) for name in names]
    assert renamed[0] == 'a/b'
    assert renamed[8] == 'é/ü'
    assert len({*renamed}) == len(names)
    for name in renamed:
        assert re.fullmatch(r'[/\w.\- ]{1,250}', name)
        assert posixpath.normpath(name) == name
        assert name[0] not in './'


@pytest.mark.parametrize(
    ('mode', 'words'),
    [('online', 'No key.*WANDB_MODE=offline'), ('onlin', 'must be one of online, ')],
)
def test_failed_starts_of_a_tracker_are_reported(tmp_path, monkeypatch, mode, words):
    monkeypatch.setenv('WANDB_MODE', mode)
    Service(monkeypatch, refuses='No key.')
    with pytest.raises(InputError, match=words), tracking.open_trackers(tmp_path, ['wandb']):
        pass


def test_missing_packages_are_named_with_their_install_command(monkeypatch):
    monkeypatch.setattr(tracking.importlib.util, 'find_spec', lambda name: None)
    for name in tracking.TRACKERS:
        with pytest.raises(InputError, match=rf"pip install 'jaxdl\[{name}\]'"):
            tracking.check([name])


def test_an_ablation_tracks_means_over_seeds_and_writes_the_same_files(tmp_path, monkeypatch):
    scalars = {}
    tell = lambda numbers, step: scalars.update(
        {(name, step): value for name, value in numbers.items()}
    )
    monkeypatch.setitem(
        tracking.TRACKERS,
        'tensorboard',
        trackers.Tracker('json', lambda folder: contextlib.nullcontext(tell)),
    )
    short = dict(epochs=1, learning_rates=(0.1,))
    plain = run.run(studies.initialisations(**short), tmp_path / 'plain')
    tracked = run.run(
        studies.initialisations(**short, trackers=('tensorboard',)), tmp_path / 'tracked'
    )
    assert (tmp_path / 'plain' / 'results.csv').read_bytes() == (
        tmp_path / 'tracked' / 'results.csv'
    ).read_bytes()
    rows = [row for row in tracked.table if row['split'] == 'val' and row['metric'] == 'accuracy']
    assert rows
    for row in rows:
        same = [
            r['value']
            for r in rows
            if all(r[k] == row[k] for k in ('phase', 'option', 'learning_rate', 'epoch'))
        ]
        name = f'{row["phase"]}/{row["option"]}/{row["learning_rate"]:g}/val accuracy'
        assert scalars[name, row['epoch']] == pytest.approx(sum(same) / len(same))
    assert plain.summary == tracked.summary


def test_a_renamed_field_is_refused_with_its_new_name(capsys):
    assert (
        main.main(['--experiment=finetune', '--set=finetune.tensorboard=true', '--mode=plan']) == 2
    )
    assert """is now trackers: --set=trackers=["tensorboard"]""" in capsys.readouterr().err


def test_a_tracker_that_does_not_exist(capsys):
    assert main.main(['--experiment=pooling', '--set=trackers=["tensorbord"]', '--mode=plan']) == 2
    assert 'did you mean tensorboard?' in capsys.readouterr().err


def test_without_trackers_no_file_is_written(tmp_path):
    with tracking.open_trackers(tmp_path, ()) as tell:
        tell({'a/b': 1.0}, 1)
    assert not list(tmp_path.iterdir())
