"""Files of a workdir cut, emptied, changed by a bit, or gone: the file named, or a recovery.

Each file of five workdirs in four ways, one at a time; some forty of these pairs by a fixed seed,
all with DAMAGED=all.
"""

import contextlib
import os
import pathlib
import random
import shutil
import signal

import demonstrations
import finetunes
import numpy as np
import pytest
from PIL import Image

from jaxdl import main
from jaxdl.finetune import loop
from jaxdl.report.page import plots
from jaxdl.report.page.blocks import Drawing
from jaxdl.runtime import signals

STUDY = """\"\"\"Does it run?\"\"\"
from jaxdl import Ablation, Variant
EXPERIMENT = Ablation(
    factor='init', baseline='he_normal',
    options={o: dict(init=o) for o in ('he_normal', 'zeros')}, chunk=2,
    variant=Variant(width=2, depth=1), learning_rates=(0.1, 0.3), tuning_seeds=1, seeds=2, epochs=2,
    checkpoint_seconds=0)
"""
TABLES = ('results.csv', 'summary.csv', 'claims.csv', 'config.json', 'plan.json')
# What every command writes anew without a look at it, nobody reads, or which is a log: it may be
# replaced in silence.
UNREAD = ('figures/', 'tables/', 'metrics.jsonl', '_CHECKPOINT_METADATA', 'commit_success.txt')
PARTS = 8  # of the pairs of each workdir


def bit(content, rng):
    changed = bytearray(content)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


HARMS = dict(
    cut=lambda content, _: content[: len(content) // 2],
    emptied=lambda *_: b'',
    bit=bit,
    gone=lambda *_: None,
)


@pytest.fixture(scope='module', autouse=True)
def quick(tiny_network):
    """The small network as a row of the table, and figures that cost nothing."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            plots, 'draw', lambda plot: Drawing(b'<svg/>', b'<svg/>', b'picture', (1, 1), (1, 1))
        )
        yield


class Runs:
    """The commands of the five runs, and the workdirs that they left."""

    def __init__(self, top):
        self.top = top
        self.commands = dict(
            ablation=self._ablation(),
            finetune=self._finetune(),
            demonstration=self._demonstration(),
        )

    def __call__(self, kind, workdir):
        return main.main([*self.commands[kind], f'--workdir={workdir}'])

    def _ablation(self):
        (self.top / 'study.py').write_text(STUDY)
        return [f'--experiment={self.top / "study.py"}']

    def _demonstration(self):
        return [f'--experiment={demonstrations.write_file(self.top)}']

    def _finetune(self):
        finetunes.weights(self.top)
        finetunes.images(self.top)
        settings = finetunes.SETTINGS | dict(explain=2, ema=0.9, keep=2)
        return ['--experiment=finetune', *finetunes.flags(self.top, **settings)]


def stopping(patched, after):
    """Sends a signal to an ablation at its n-th request, and to a fine-tuning in its last epoch."""
    numbers = iter(range(1, 1000))
    patched.setattr(
        signals,
        'defer_signals',
        lambda: contextlib.nullcontext(lambda: signal.SIGTERM if next(numbers) == after else None),
    )
    patched.setattr(
        loop._Loop,
        '_stop_or_save',
        lambda self, step, *_: (signal.SIGTERM if step == 7 else 0, False),
    )


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    started = Runs(tmp_path_factory.mktemp('damaged'))
    for kind in started.commands:
        assert started(kind, started.top / kind) == 0
    with pytest.MonkeyPatch.context() as patched:
        for kind in ('ablation', 'finetune'):
            stopping(patched, 3)
            assert started(kind, started.top / f'{kind} interrupted') == 143
    pictures = started.top / 'pictures'
    pictures.mkdir()
    for i, image in enumerate(np.load(started.top / 'images.npz')['images'][:2]):
        Image.fromarray(image).save(pictures / f'{i}.png')
    return started


def pairs(workdir):
    """(file, harm) in an order that the seed gives; one figure stands for all figures."""
    names = sorted(
        path.relative_to(workdir).as_posix() for path in workdir.rglob('*') if path.is_file()
    )
    if os.environ.get('DAMAGED') != 'all':
        names = [name for name in names if not name.startswith(UNREAD)]
    cases = [(name, harm) for name in names for harm in HARMS]
    random.Random(0).shuffle(cases)
    return cases


def damaged(workdir, copy, name, harm):
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(workdir, copy)
    content = HARMS[harm]((copy / name).read_bytes(), random.Random(name + harm))
    (copy / name).unlink()
    if content is not None:
        (copy / name).write_bytes(content)
    return copy


def asked(capsys, call, *arguments):
    """Exit status and stderr of a command; a traceback fails the test by itself."""
    capsys.readouterr()
    status = call(*arguments)
    return status, capsys.readouterr().err


def names_file(err, name):
    lines = [line for line in err.splitlines() if line.startswith('jaxdl: ')]
    return any(pathlib.PurePath(name).name in line or 'sha256.json' in line for line in lines)


def wrong_of(status, err, name, same, quiet):
    """Complaint about the treatment of a damaged file by a command; empty if there is none."""
    errors = [line for line in err.splitlines() if line.startswith('jaxdl: error: ')]
    if status == 2:
        return (
            ''
            if len(errors) == 1 and names_file(errors[0], name)
            else f'an error that does not name it: {err}'
        )
    if status or errors:
        return f'status {status}: {err}'
    if not same():
        return f'another result: {err}'
    return '' if quiet or names_file(err, name) else f'silence: {err}'


def same_tables(one, other):
    return all(
        (one / name).read_bytes() == (other / name).read_bytes()
        for name in TABLES
        if (other / name).exists()
    )


def same_answers(one, other):
    for name in ('correct.npz', 'artifacts/evaluation.npz'):
        if (other / name).exists():
            a, b = np.load(one / name), np.load(other / name)
            if not all(np.array_equal(a[k], b[k]) for k in b.files):
                return False
    return True


@pytest.mark.parametrize('part', range(PARTS))
@pytest.mark.parametrize(
    'state',
    ['ablation', 'ablation interrupted', 'finetune', 'finetune interrupted', 'demonstration'],
)
def test_the_same_command_recovers_or_names_the_file(runs, state, part, capsys, tmp_path):
    whole, kind, wrong = runs.top / state, state.partition(' ')[0], {}
    every = os.environ.get('DAMAGED') == 'all'
    for name, harm in pairs(whole)[part :: PARTS if every else 10**9]:
        copy = damaged(whole, tmp_path / 'copy', name, harm)
        quiet = any(item in name for item in UNREAD) or (state == kind and kept_apart(name))
        status, err = asked(capsys, runs, kind, copy)
        quiet |= (
            harm == 'gone' and name.endswith('.npz') and 'compiling' in err
        )  # a chunk that was never there
        same = lambda copy=copy: (
            same_tables(copy, runs.top / kind) and same_answers(copy, runs.top / kind)
        )
        wrong[f'{name} {harm}'] = wrong_of(status, err, name, same, quiet)
    assert not {k: v for k, v in wrong.items() if v}


def kept_apart(name):
    """Whether a finished run no longer reads the file: chunks and networks behind its tables."""
    return name.startswith('checkpoints/') and not name.startswith('checkpoints/final/')


@pytest.mark.parametrize('part', range(4))
@pytest.mark.parametrize('state', ['ablation', 'finetune', 'demonstration'])
def test_a_report_is_the_same_or_names_the_file(runs, state, part, capsys, tmp_path):
    whole, wrong = runs.top / state, {}
    every = os.environ.get('DAMAGED') == 'all'
    cases = [(name, harm) for name, harm in pairs(whole) if not name.startswith('checkpoints/')]
    for name, harm in cases[part :: 4 if every else 10**9]:
        copy = damaged(whole, tmp_path / state, name, harm)
        status, err = asked(capsys, main.main, ['--mode=report', f'--workdir={copy}'])
        same = lambda copy=copy: same_tables(copy, whole) and same_report(copy, whole)
        wrong[f'{name} {harm}'] = wrong_of(
            status, err, name, same, any(item in name for item in UNREAD)
        )
    assert not {k: v for k, v in wrong.items() if v}


def same_report(one, other):
    return all(
        (one / name).read_bytes() == (other / name).read_bytes()
        for name in ('report.md', 'report.html')
    )


@pytest.mark.parametrize('part', range(4))
@pytest.mark.parametrize('state', ['finetune', 'finetune interrupted'])
def test_predictions_are_the_same_or_say_why_not(runs, state, part, capsys, tmp_path):
    whole, wrong = runs.top / state, {}
    every = os.environ.get('DAMAGED') == 'all'
    read = 'checkpoints/final/' if state == 'finetune' else 'checkpoints/train/'
    cases = [(name, harm) for name, harm in pairs(whole) if name.startswith(read)]
    for name, harm in cases[part :: 4 if every else 10**9]:
        copy = damaged(whole, tmp_path / 'copy', name, harm)
        output = tmp_path / 'predictions.csv'
        arguments = [f'--images={runs.top / "pictures"}', f'--output={output}', '--overwrite']
        status, err = asked(
            capsys, main.main, ['--mode=predict', f'--checkpoint={copy}', *arguments]
        )
        wrong[f'{name} {harm}'] = wrong_of(
            status, err, name, output.exists, any(item in name for item in UNREAD)
        )
    assert not {k: v for k, v in wrong.items() if v}
