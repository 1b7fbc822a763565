"""Lock of a workdir: one run at a time, released however the run ended."""

import os
import signal
import subprocess
import sys

import pytest

import jaxdl
from jaxdl.errors import InputError
from jaxdl.workdir import lock

HOLDING = """
import pathlib, sys, time
import jaxdl
from jaxdl.workdir import lock
with lock.lock_workdir(pathlib.Path(sys.argv[1])):
    print('held', flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds `run`."""
    process = subprocess.Popen(
        [sys.executable, '-c', HOLDING, str(tmp_path / 'run')], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b'held\n'
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.system
def test_a_second_run_is_refused_with_the_owner_of_the_lock(holder, tmp_path):
    words = f'run is in use by process {holder.pid} on .*name another --workdir'
    with pytest.raises(InputError, match=words), lock.lock_workdir(tmp_path / 'run'):
        pass
    assert holder.poll() is None


def test_no_kind_of_run_begins_where_another_is_at_work(tmp_path):
    for name in ('pooling', 'symmetry', 'assignment', 'probe'):
        with (
            lock.lock_workdir(tmp_path / name),
            pytest.raises(InputError, match=f'{name} is in use by process'),
        ):
            jaxdl.run(jaxdl.load_experiment(name), tmp_path / name)
        assert not (tmp_path / name).exists()


@pytest.mark.system
@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_dead_run_leaves_no_lock(holder, tmp_path, number):
    holder.send_signal(number)
    holder.wait()
    with lock.lock_workdir(tmp_path / 'run'):
        assert (tmp_path / 'run' / lock.LOCK).read_text().startswith(f'process {os.getpid()} on ')
    assert not (tmp_path / 'run' / lock.LOCK).exists()


def test_one_run_after_another(tmp_path):
    for _ in range(3):
        with lock.lock_workdir(tmp_path):
            (tmp_path / 'kept').touch()
    assert [path.name for path in tmp_path.iterdir()] == ['kept']


def test_only_a_folder_made_by_the_failed_run_is_removed(tmp_path):
    (tmp_path / 'there').mkdir()
    with lock.lock_workdir(tmp_path / 'there' / 'new' / 'run'):
        pass
    assert list((tmp_path / 'there').iterdir()) == []
    with lock.lock_workdir(tmp_path / 'there'):
        pass
    assert (tmp_path / 'there').is_dir()


def test_a_folder_that_cannot_be_made_is_reported_in_one_line(tmp_path):
    (tmp_path / 'file').touch()
    words = r'file/run cannot be written \(Not a directory\)'
    with pytest.raises(InputError, match=words), lock.lock_workdir(tmp_path / 'file' / 'run'):
        pass
