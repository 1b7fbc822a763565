"""Trackers: TensorBoard and Weights & Biases files, read back."""

import contextlib
import json
import os
import subprocess
import sys
from unittest import mock

import pytest
import studies

from jaxdl import main, workdir
from jaxdl.ablation import run
from jaxdl.errors import InputError
from jaxdl.runtime import tracking

FACTS = [
    ('start', {}),
    ('step', dict(task='finetune', step=3, steps=9, loss=0.5)),
    ('epoch', dict(task='finetune', epoch=1, val_accuracy=0.25)),
    ('step', dict(task='finetune', step=6, steps=9, loss=0.125)),
]
TOLD = {('finetune/loss', 3): 0.5, ('finetune/val_accuracy', 3): 0.25, ('finetune/loss', 6): 0.125}
RUN = """
import pathlib, sys
from contextlib import suppress
from jaxdl.runtime import tracking
folder, tracker = pathlib.Path(sys.argv[1]), sys.argv[2]
with suppress(InterruptedError), tracking.open_trackers(folder / 'other', [tracker]) as other:
    with tracking.open_trackers(folder, [tracker]) as tell:
        note = tracking.track_journal(lambda name, **facts: None, tell)
        for name, facts in {facts!r}:
            note(name, **facts)
    other({{'other/loss': 2.0}}, 1)
    raise InterruptedError
"""


def tensorboard(folder):
    """(name, step) -> value, of every scalar in the event files."""
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
    return scalars


def wandb(folder):
    """The same from an offline run: a header of 7 bytes, a LevelDB log in blocks of 32 KiB."""
    from wandb.proto import wandb_internal_pb2

    (path,) = (folder / 'wandb').glob('offline-run-*/run-*.wandb')
    content, at, data, scalars = path.read_bytes(), 7, b'', {}
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
    return scalars


READERS = dict(tensorboard=tensorboard, wandb=wandb)


@pytest.mark.system
@pytest.mark.parametrize('name', tracking.TRACKERS)
@pytest.mark.filterwarnings('ignore::DeprecationWarning')
def test_a_tracker_holds_every_number_of_a_step_and_an_epoch(tmp_path, name):
    pytest.importorskip(tracking.TRACKERS[name].module)
    quiet = {key: value for key, value in os.environ.items() if not key.startswith('WANDB')}
    (tmp_path / 'other').mkdir()
    words = [sys.executable, '-c', RUN.format(facts=FACTS), str(tmp_path), name]
    process = subprocess.run(
        words, env=quiet, capture_output=True, text=True, check=False, timeout=120
    )
    assert (process.returncode, process.stdout) == (0, ''), process.stderr
    assert 'Traceback' not in process.stderr
    workdir.check_inside(tmp_path)  # as a report does before it reads
    assert READERS[name](tmp_path) == pytest.approx(TOLD)
    assert READERS[name](tmp_path / 'other') == {
        ('other/loss', 1): 2.0
    }  # of a second run in the same process


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
        tracking.Tracker('json', lambda folder: contextlib.nullcontext(tell)),
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
