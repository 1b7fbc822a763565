"""A fine-tuning that is killed, not asked to stop: started again by the same command, it ends with the same bytes."""

import hashlib
import os
import pathlib
import random
import socket
import subprocess
import sys
import time

import finetunes
import jax
import numpy as np
from tensors import filled

from jaxdl import checkpoint, snapshot
from jaxdl.models import ARCHITECTURES
from jaxdl.models.port import to_tensors
from jaxdl.models.resnet import ResNet

KILLS = int(os.environ.get('KILLS', '1'))  # each costs seconds: the suite has one, ten were made by hand


def weights(folder):
    """A ResNet-20 of random values: an architecture that a process of its own knows."""
    row = ARCHITECTURES['resnet20']
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32)
    shapes = jax.eval_shape(ResNet(row, 10, row.preprocessing).init, jax.random.key(0), images)
    zeros = jax.tree.map(lambda leaf: np.broadcast_to(np.float32(0), leaf.shape), shapes)
    np.savez(folder / 'weights.npz', **filled({k: own.shape for k, own in to_tensors(zeros, row).items()}))


def command(top, workdir):
    settings = dict(
        weights=top / 'weights.npz', checkpoint_seconds=0.2, epochs=4, sizes='[]', train_size=12, eval_size=12,
        explain=0, batch_size=8, repeats=1, passes=2, learning_rates='[0.1]', weight_decays='[0.01]', probe_size=16,
    )  # fmt: skip
    own = [f'--set={name}={value}' for name, value in settings.items()]
    where = [f'--dataset=npz:{top / "images.npz"}', f'--workdir={workdir}']
    return [sys.executable, '-m', 'jaxdl.main', '--experiment=finetune', *where, *own]


def left(workdir):
    members, _ = checkpoint.read_model(workdir / snapshot.FINAL)
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(members):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest(), *((workdir / name).read_bytes() for name in ('results.csv', 'plan.json', 'config.json'))


def test_killed_at_random_moments(tmp_path):
    weights(tmp_path)
    finetunes.images(tmp_path, count=80)
    environment = os.environ | dict(XDG_CACHE_HOME=str(tmp_path / 'cache'))
    whole = subprocess.run(command(tmp_path, tmp_path / 'whole'), env=environment, capture_output=True, check=False)
    assert whole.returncode == 0, whole.stderr.decode()[-2000:]
    expected, kills = left(tmp_path / 'whole'), 0
    while kills < KILLS:
        killed = tmp_path / f'killed{kills}'
        kills += _killed(command(tmp_path, killed), killed, environment)
        again = subprocess.run(command(tmp_path, killed), env=environment, capture_output=True, check=False)
        assert again.returncode == 0, again.stderr.decode()[-2000:]
        assert left(killed) == expected


def test_two_processes_do_the_whole_run(tmp_path):
    weights(tmp_path)
    finetunes.images(tmp_path, count=80)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    environment = os.environ | dict(XDG_CACHE_HOME=str(tmp_path / 'cache'))
    own = [*command(tmp_path, tmp_path / 'run'), '--set=epochs=1', '--set=conv=grouped']
    joined = [f'--coordinator=127.0.0.1:{port}', '--processes=2']
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    started = [subprocess.Popen([*own, *joined, f'--process={i}'], env=environment, **pipes) for i in range(2)]
    told = [process.communicate(timeout=300)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], told[0][-2000:] + told[1][-2000:]
    alone = [word.replace(str(tmp_path / 'run'), str(tmp_path / 'alone')) for word in own]
    assert subprocess.run(alone, env=environment, capture_output=True, check=False).returncode == 0
    two, one = (checkpoint.read_model(tmp_path / name / snapshot.FINAL)[0] for name in ('run', 'alone'))
    jax.tree.map(lambda *leaves: np.testing.assert_allclose(*leaves, atol=1e-4), two, one)


def _killed(words: list[str], workdir: pathlib.Path, environment: dict[str, str]) -> int:
    """Starts a run and kills it a moment after its journal began; 0 where it had ended before."""
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (workdir / 'metrics.jsonl').exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(random.uniform(0, 10))
    process.kill()
    return int(process.wait() != 0)
