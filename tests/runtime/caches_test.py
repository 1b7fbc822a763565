"""Cache folders: private to the user, and ignored where others may write."""

import os
import pathlib
import stat

import pytest

from jaxdl.runtime import caches


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'home'))
    caches._temporary_folder.cache_clear()
    return tmp_path / 'home' / 'jaxdl'


@pytest.mark.parametrize('umask', [0o000, 0o022, 0o077])
def test_cache_folders_are_private(home, umask):
    before = os.umask(umask)
    try:
        folder = caches.folder('images')
    finally:
        os.umask(before)
    assert folder == home / 'images'
    assert [stat.S_IMODE(path.stat().st_mode) for path in (home, folder)] == [0o700, 0o700]


@pytest.mark.parametrize('mode', [0o770, 0o702, 0o777])
@pytest.mark.parametrize('name', ['', 'images'])
def test_caches_that_others_can_write_are_not_used(home, capsys, mode, name):
    caches.folder('images')
    (home / name).chmod(mode)
    folders = [caches.folder('images') for _ in range(2)]
    assert folders[0] == folders[1]
    assert not folders[0].is_relative_to(home)
    assert stat.S_IMODE(folders[0].stat().st_mode) == 0o700
    message = capsys.readouterr().err
    assert message.count('\n') == 1
    assert 'can be written to by others; nothing is written there' in message


def test_caches_of_another_user_are_not_used(home, capsys, monkeypatch):
    caches.folder()
    monkeypatch.setattr(caches.os, 'getuid', lambda: home.stat().st_uid + 1)
    assert not caches.folder().is_relative_to(home)
    assert 'belongs to another user' in capsys.readouterr().err


def test_no_home_is_an_error_of_the_system(monkeypatch):
    def none():
        raise RuntimeError

    monkeypatch.delenv('XDG_CACHE_HOME')
    monkeypatch.setattr(pathlib.Path, 'home', none)
    with pytest.raises(OSError, match='no home'):
        caches.folder()
