import errno
import io
import os
import pickle
import resource
import stat
import zipfile

import numpy as np
import pytest

from jaxdl import workdir
from jaxdl.errors import InputError
from jaxdl.workdir import zip_safety

LIMIT = 2**16  # bytes


@pytest.fixture
def old(tmp_path):
    path = tmp_path / 'run.json'
    path.write_bytes(b'old')
    return path


def only(path):
    return [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize('content', ['größer', b'\x00\xff', ''])
def test_a_file_is_replaced_and_nothing_is_left_next_to_it(old, content):
    workdir.write(old, content)
    assert old.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert only(old)


def test_a_failed_write_leaves_the_old_file_alone(old):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    try:
        with pytest.raises(OSError, match='File too large'):
            workdir.write(old, bytes(2 * LIMIT))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert old.read_bytes() == b'old'
    assert only(old)


@pytest.mark.parametrize('error', [OSError(errno.ENOSPC, 'No space'), KeyboardInterrupt()])
def test_a_write_that_is_not_synced_leaves_the_old_file_alone(old, monkeypatch, error):
    def fail(descriptor):
        raise error

    monkeypatch.setattr(os, 'fsync', fail)
    with pytest.raises(type(error)):
        workdir.write(old, b'new')
    assert old.read_bytes() == b'old'
    assert only(old)


def test_the_folder_is_synced_after_the_rename(old, monkeypatch):
    synced, fsync = [], os.fsync

    def note(descriptor):
        kind = 'folder' if stat.S_ISDIR(os.fstat(descriptor).st_mode) else 'file'
        synced.append((kind, old.read_bytes()))
        fsync(descriptor)

    monkeypatch.setattr(os, 'fsync', note)
    workdir.write(old, b'new')
    assert synced == [('file', b'old'), ('folder', b'new')]


def test_clear_removes_what_a_killed_run_left(tmp_path):
    (tmp_path / 'config.json').touch()
    (tmp_path / '.mine.tmp').touch()
    with workdir.temporary_file(tmp_path) as path:
        pass
    path.touch()
    workdir.clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['.mine.tmp']


def test_arrays_are_read_as_they_were_written(tmp_path):
    arrays = dict(numbers=np.arange(6.0).reshape(2, 3), words=np.array(['a', 'bc']))
    workdir.write_arrays(tmp_path / 'a.npz', arrays)
    back = workdir.read_arrays(tmp_path / 'a.npz')
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == array.dtype


def _object_array():
    content = io.BytesIO()
    np.savez(content, a=np.array([dict()], object))
    return content.getvalue()


def _whole():
    content = io.BytesIO()
    np.savez(content, a=np.arange(100))
    return content.getvalue()


DAMAGED = {
    'empty': b'',
    'text': b'no zip',
    'cut short': _whole()[:300],
    'another number': _whole().replace(np.int64(7).tobytes(), np.int64(8).tobytes()),
    'an object array': _object_array(),
    'a pickle': pickle.dumps([1]),
}


@pytest.mark.parametrize('kind', DAMAGED)
def test_a_damaged_archive_is_an_input_error(tmp_path, kind):
    (tmp_path / 'a.npz').write_bytes(DAMAGED[kind])
    with pytest.raises(workdir.DamagedFile, match=r'a\.npz is damaged .*: run it again$'):
        workdir.read_arrays(tmp_path / 'a.npz', 'run it again')


def test_a_zip_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(zip_safety, 'LARGE', 2**20)
    with zipfile.ZipFile(tmp_path / 'a.npz', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('a.npy', bytes(2**22))
    with pytest.raises(InputError, match='would unpack from'):
        workdir.read_arrays(tmp_path / 'a.npz')


def test_an_absent_archive_is_no_damage(tmp_path):
    with pytest.raises(FileNotFoundError):
        workdir.read_arrays(tmp_path / 'a.npz')
