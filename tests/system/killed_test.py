"""Killed, interrupted and failing runs: the same command ends with the same bytes."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import finetunes
import forked
import jax
import local_processes
import numpy as np
import pytest
from PIL import Image

from jaxdl.inference import model_file
from jaxdl.models import ARCHITECTURES
from jaxdl.runtime import checkpoint

KILLS = int(os.environ.get('KILLS', '5'))  # one per kind of run
STUDY = [
    '--options=avg',
    '--seeds=2',
    '--set=tuning_seeds=2',
    '--set=epochs=4',
    '--set=learning_rates=[0.1]',
]
STUDY += ['--set=variant.width=4', '--set=conv=patches', '--set=checkpoint_seconds=0']
FINE = finetunes.SETTINGS | dict(checkpoint_seconds=0.2, explain=0)
PROBE = {name: FINE[name] for name in finetunes.OF_PROBE}
KINDS = dict(
    ablation=lambda top, where: ['--experiment=pooling', *STUDY, f'--workdir={where}'],
    demonstration=lambda top, where: [
        '--experiment=conv_arithmetic',
        '--quick',
        f'--workdir={where}',
    ],
    probe=lambda top, where: [
        '--experiment=probe',
        *finetunes.flags(top, **PROBE),
        f'--workdir={where}',
    ],
    finetune=lambda top, where: [
        '--experiment=finetune',
        *finetunes.flags(top, **FINE),
        f'--workdir={where}',
    ],
    predict=lambda top, where: [
        '--mode=predict',
        f'--checkpoint={top / "finetune"}',
        f'--images={top / "pictures"}',
        f'--output={where}.csv',
    ],
)
TABLES = ('config.json', 'plan.json', 'results.csv', 'summary.csv', 'claims.csv')


def words(top, kind, where):
    return KINDS[kind](top, where)


def variables(top):
    return os.environ | dict(XDG_CACHE_HOME=str(top / 'cache'))


def run(top, kind, where, before=()):
    """Run a command to its end; with `before`, a process of its own below another program."""
    if not before:
        return forked.run(words(top, kind, where), variables(top))
    command = [*before, sys.executable, '-m', 'jaxdl.main', *words(top, kind, where)]
    return subprocess.run(command, env=variables(top), capture_output=True, text=True, check=False)


def start(top, kind, where):
    return forked.Process(words(top, kind, where), variables(top))


def left(where):
    """Final bytes of a run: its tables, its predictions and the content of its networks."""
    files = [where / name for name in TABLES] + [where.with_name(f'{where.name}.csv')]
    contents = {
        path.name.replace(where.name, 'run'): path.read_bytes() for path in files if path.exists()
    }
    if (where / model_file.FINAL).exists():
        members, _ = checkpoint.read_model(where / model_file.FINAL)
        leaves = b''.join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(members))
        contents['networks'] = hashlib.sha256(leaves).digest()
    return contents


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    """A folder with one finished run of each kind, and for each the seconds that it took."""
    top, seconds = tmp_path_factory.mktemp('killed'), {}
    finetunes.weights(top, ARCHITECTURES['resnet20'])
    finetunes.images(top, count=80)
    (top / 'pictures').mkdir()
    for i, picture in enumerate(np.load(top / 'images.npz')['images'][:4]):
        Image.fromarray(picture).save(top / 'pictures' / f'{i}.png')
    for kind in ('finetune', *(other for other in KINDS if other != 'finetune')):
        began = time.monotonic()
        process = run(top, kind, top / kind)
        assert process.returncode == 0, process.stderr
        seconds[kind] = time.monotonic() - began
    return top, seconds


@pytest.mark.parametrize('number', range(KILLS))
def test_killed_at_a_random_moment(undisturbed, number):
    top, seconds = undisturbed
    kind = list(KINDS)[number % len(KINDS)]
    where = top / f'killed{number}'
    process = start(top, kind, where)
    time.sleep(random.Random(number).uniform(0.2, 1) * seconds[kind])
    process.kill()
    process.wait()
    whole = where.with_name(f'{where.name}.csv')
    assert not whole.exists() or whole.read_bytes() == (top / f'{kind}.csv').read_bytes()
    again = run(top, kind, where)
    if (
        kind == 'predict' and 'exists' in again.stderr
    ):  # it was killed after its end, and nothing is written over
        whole.unlink()
        again = run(top, kind, where)
    assert again.returncode == 0, again.stderr
    assert left(where) == left(top / kind)


def test_an_extension_that_is_killed(undisturbed):
    top, seconds = undisturbed
    wanted, where = top / 'extended', top / 'killed_extension'
    for folder in (wanted, where):
        shutil.copytree(top / 'ablation', folder)

    def extend(folder):
        return ['--experiment=pooling', *STUDY, '--seeds=3', f'--workdir={folder}']

    whole = forked.run(extend(wanted), variables(top))
    assert whole.returncode == 0, whole.stderr
    process = forked.Process(extend(where), variables(top))
    time.sleep(random.Random(7).uniform(0.2, 0.8) * seconds['ablation'])
    process.kill()
    process.wait()
    tables = [where / name for name in ('results.csv', 'summary.csv')]
    if len(tables[0].read_text().splitlines()) < len(
        (wanted / 'results.csv').read_text().splitlines()
    ):
        for path in tables:
            assert path.read_bytes() == (top / 'ablation' / path.name).read_bytes()
    again = forked.run(extend(where), variables(top))
    assert again.returncode == 0, again.stderr
    names = [name for name in TABLES if name != 'plan.json']  # it has the workdir of the command
    for name in names:
        if (wanted / name).exists():
            assert (where / name).read_bytes() == (wanted / name).read_bytes(), name


@pytest.mark.parametrize(
    ('signals', 'status'), [([signal.SIGTERM], 143), ([signal.SIGINT, signal.SIGINT], 130)]
)
def test_interrupted(undisturbed, signals, status):
    top, _ = undisturbed
    where = top / f'interrupted{len(signals)}'
    process = start(top, 'ablation', where)
    while not list(where.glob('checkpoints/*')) and process.poll() is None:
        time.sleep(0.02)
    for number in signals:
        process.send_signal(number)
        time.sleep(0.05)
    assert process.wait() == status
    assert run(top, 'ablation', where).returncode == 0
    assert left(where) == left(top / 'ablation')


@pytest.mark.parametrize('blocks', [2, 40])  # of 512 bytes: too few for the plan, or for a report
def test_a_disk_that_is_full(undisturbed, blocks):
    top, _ = undisturbed
    where = top / f'full{blocks}'
    full = run(top, 'ablation', where, before=['sh', '-c', f'ulimit -f {blocks}; exec "$@"', 'sh'])
    assert full.returncode == 2, full.stderr
    assert full.stderr.splitlines()[-1].startswith('jaxdl: error: ')
    assert run(top, 'ablation', where).returncode == 0
    assert left(where) == left(top / 'ablation')


READ_ONLY = [
    'unshare',
    '--map-root-user',
    '--mount',
    'sh',
    '-c',
]  # a name space in which a folder can be so


@pytest.mark.skipif(
    bool(
        subprocess.run(
            [*READ_ONLY, 'mount -t tmpfs none /mnt'], capture_output=True, check=False
        ).returncode
    ),
    reason='no mounts of its own for a process here',
)
def test_a_file_system_that_only_reads(undisturbed, tmp_path):
    top, _ = undisturbed
    shutil.copytree(top / 'ablation', tmp_path / 'run')
    (tmp_path / 'run' / 'report.html').unlink()
    before = left(tmp_path / 'run')
    mounted = (
        f'mount --bind {tmp_path} {tmp_path} && mount -o remount,bind,ro {tmp_path} && exec "$@"'
    )
    refused = run(top, 'ablation', tmp_path / 'run', before=[*READ_ONLY, mounted, 'sh'])
    assert refused.returncode == 2, refused.stderr
    assert refused.stderr.splitlines()[-1].startswith('jaxdl: error: workdir ')
    assert left(tmp_path / 'run') == before
    assert run(top, 'ablation', tmp_path / 'run').returncode == 0
    assert left(tmp_path / 'run') == before


FLEET = [
    '--set=epochs=1',
    '--set=conv=grouped',
]  # the way to convolve that any number of processes has


@pytest.fixture(scope='module')
def one(tmp_path_factory):
    """A folder with the same fine-tuning finished by one process."""
    top = tmp_path_factory.mktemp('several')
    finetunes.weights(top, ARCHITECTURES['resnet20'])
    finetunes.images(top, count=80)
    local_processes.wait_for_all(fleet(top, 'one', [[]]))
    return top


def fleet(top, name, more):
    """The fine-tuning in processes of its own: one for each list of flags in `more`."""
    command = [*words(top, 'finetune', top / name), *FLEET]
    return [forked.Process([*command, *joined], variables(top)) for joined in more]


def same_networks(top, name):
    many, alone = (
        checkpoint.read_model(top / folder / model_file.FINAL)[0] for folder in (name, 'one')
    )
    jax.tree.map(lambda *leaves: np.testing.assert_allclose(*leaves, atol=1e-4), many, alone)


@pytest.mark.parametrize('count', [2, 4])
def test_several_processes_do_the_whole_run(one, count):
    local_processes.wait_for_all(fleet(one, f'of{count}', local_processes.flags(count)))
    same_networks(one, f'of{count}')


@pytest.mark.parametrize(('before', 'after'), [(2, 1)])
def test_a_fine_tuning_resumes_with_another_number_of_processes(one, before, after):
    name, joined = (
        f'from{before}to{after}',
        lambda count: local_processes.flags(count) if count > 1 else [[]],
    )
    started = fleet(one, name, joined(before))
    while (
        not list((one / name / 'checkpoints' / 'train').glob('finetune*/[0-9]*'))
        and started[0].poll() is None
    ):
        time.sleep(0.02)
    for process in started:
        process.kill()
        process.communicate()
    assert not (one / name / model_file.FINAL).exists()
    local_processes.wait_for_all(fleet(one, name, joined(after)))
    same_networks(one, name)
