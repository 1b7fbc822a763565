"""What TensorBoard and Weights & Biases hold of a run, read back from the files that they wrote."""

import json
import os
import subprocess
import sys

import pytest
import studies

from jaxdl import ablation, main, tracking
from jaxdl.errors import InputError

FACTS = [
    ('start', {}),
    ('step', dict(task='finetune', step=3, steps=9, loss=0.5)),
    ('epoch', dict(task='finetune', epoch=1, val_accuracy=0.25)),
    ('step', dict(task='finetune', step=6, steps=9, loss=0.125)),
]
TOLD = {('finetune/loss', 3): 0.5, ('finetune/val_accuracy', 3): 0.25, ('finetune/loss', 6): 0.125}
RUN = """
import pathlib, sys
from jaxdl import tracking
note = tracking.tracked(lambda name, **facts: None, tracking.begin(pathlib.Path(sys.argv[1]), [sys.argv[2]]))
for name, facts in {facts!r}:
    note(name, **facts)
"""


def tensorboard(folder):
    """(name, step) -> value, of every scalar in the event files."""
    from tensorboardX.proto import event_pb2

    found = {}
    for path in sorted((folder / 'tensorboard').iterdir()):
        content, at = path.read_bytes(), 0
        while at < len(content):  # length, its checksum, the event, its checksum
            length = int.from_bytes(content[at : at + 8], 'little')
            event = event_pb2.Event.FromString(content[at + 12 : at + 12 + length])
            found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
            at += 16 + length
    return found


def wandb(folder):
    """The same of an offline run, from its own file: a header of 7 bytes, then a LevelDB log in blocks of 32 KiB."""
    from wandb.proto import wandb_internal_pb2

    (path,) = (folder / 'wandb').glob('offline-run-*/run-*.wandb')
    content, at, data, found = path.read_bytes(), 7, b'', {}
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:  # too little of a block for a head
            at += 32768 - at % 32768
        length, kind = int.from_bytes(content[at + 4 : at + 6], 'little'), content[at + 6]
        data, at = data + content[at + 7 : at + 7 + length], at + 7 + length
        if kind in (1, 4):  # whole, or the last piece
            record, data = wandb_internal_pb2.Record.FromString(data), b''
            items = {item.key or '.'.join(item.nested_key): item.value_json for item in record.history.item}
            found |= {(name, json.loads(items['at'])): json.loads(v) for name, v in items.items() if '/' in name}
    return found


READERS = dict(tensorboard=tensorboard, wandb=wandb)


@pytest.mark.parametrize('name', tracking.TRACKERS)
@pytest.mark.filterwarnings('ignore::DeprecationWarning')
def test_a_tracker_holds_every_number_of_a_step_and_an_epoch(tmp_path, name):
    pytest.importorskip(tracking.TRACKERS[name].module)
    quiet = {key: value for key, value in os.environ.items() if not key.startswith('WANDB')}
    words = [sys.executable, '-c', RUN.format(facts=FACTS), str(tmp_path), name]
    done = subprocess.run(words, env=quiet, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (0, ''), done.stderr
    assert READERS[name](tmp_path) == pytest.approx(TOLD)


def test_what_is_not_installed_is_said(monkeypatch):
    monkeypatch.setattr(tracking.importlib.util, 'find_spec', lambda name: None)
    for name in tracking.TRACKERS:
        with pytest.raises(InputError, match=rf"pip install 'jaxdl\[{name}\]'"):
            tracking.check([name])


def test_an_ablation_tells_the_means_over_its_seeds_and_writes_the_same(tmp_path, monkeypatch):
    told = {}
    tell = lambda numbers, step: told.update({(name, step): value for name, value in numbers.items()})
    monkeypatch.setitem(tracking.TRACKERS, 'tensorboard', tracking.Tracker('json', lambda folder: tell))
    plain = ablation.run(studies.starts(epochs=1, tuning_seeds=2), tmp_path / 'plain')
    tracked = ablation.run(studies.starts(epochs=1, tuning_seeds=2, trackers=('tensorboard',)), tmp_path / 'tracked')
    assert (tmp_path / 'plain' / 'results.csv').read_bytes() == (tmp_path / 'tracked' / 'results.csv').read_bytes()
    rows = [row for row in tracked.table if row['split'] == 'val' and row['metric'] == 'accuracy']
    assert rows
    for row in rows:
        same = [r['value'] for r in rows if all(r[k] == row[k] for k in ('phase', 'option', 'learning_rate', 'epoch'))]
        name = f'{row["phase"]}/{row["option"]}/{row["learning_rate"]:g}/val accuracy'
        assert told[name, row['epoch']] == pytest.approx(sum(same) / len(same))
    assert plain.summary == tracked.summary


def test_a_tracker_that_does_not_exist(capsys):
    assert main.main(['--experiment=pooling', '--set=trackers=["tensorbord"]', '--mode=plan']) == 2
    assert 'did you mean tensorboard?' in capsys.readouterr().err


def test_where_nothing_is_asked_nothing_is_written(tmp_path):
    tracking.begin(tmp_path, ())({'a/b': 1.0}, 1)
    assert not list(tmp_path.iterdir())
