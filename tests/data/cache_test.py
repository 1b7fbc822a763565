"""Cache of decoded images: the same pixels after every failure, no half-written entry."""

import concurrent.futures
import contextlib
import errno
import io
import json
import multiprocessing
import os
import pathlib
import stat
import time

import numpy as np
import pytest
from PIL import Image

from jaxdl.data.cache import digests, entries, images
from jaxdl.data.cache.images import decode_images
from jaxdl.data.decode import decode
from jaxdl.errors import InputError
from jaxdl.runtime import progress

SIZE = 8


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache of its own for every test."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'jaxdl' / 'images'


def image(seed, kind='PNG'):
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8)).save(
        out, kind
    )
    return out.getvalue()


def files(count, first=0):
    """Paths of images that changed long ago, so that the index trusts them."""
    paths = []
    pathlib.Path('images').mkdir(exist_ok=True)
    for i in range(first, first + count):
        path = pathlib.Path('images', f'{i}.png')
        path.write_bytes(image(i))
        paths.append(path)
    return paths


@pytest.fixture
def old(monkeypatch):
    """Files count as old at once: the index looks three seconds later."""
    real = time.time_ns
    monkeypatch.setattr(images.time, 'time_ns', lambda: real() + 3_000_000_000)


def names(sources):
    return [f'image {i}' for i in range(len(sources))]


def get(sources, **options):
    return decode_images(sources, names(sources), SIZE, **options)


def pixels(sources):
    return np.stack([decode(source, SIZE) for source in sources])


def forbid(monkeypatch, *names):
    def never(*args):
        raise AssertionError('done again')

    for name in names:
        monkeypatch.setattr(images, name, never)


def left(folder):
    """Files that no whole entry and no index is."""
    return [p.name for p in folder.iterdir() if p.suffix not in ('.raw', '.json')]


def test_images_in_order_with_digests(folder):
    sources = [*files(40), image(99), *files(3)]
    images = get(sources)
    np.testing.assert_array_equal(images.images, pixels(sources))
    assert images.images.dtype == np.uint8
    assert not images.images.flags.writeable
    assert isinstance(images.images, np.memmap)
    assert images.bad == {}
    assert images.digests[0] == images.digests[41]
    assert len(set(images.digests)) == 41
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not left(folder)
    assert get([]).images.shape == (0, SIZE, SIZE, 3)


@pytest.mark.usefixtures('old')
def test_the_second_time_nothing_is_read_or_decoded(monkeypatch):
    sources = files(20)
    first = get(sources)
    forbid(monkeypatch, 'read', 'decode')
    again = get(sources)
    np.testing.assert_array_equal(again.images, first.images)
    assert again.digests == first.digests
    np.testing.assert_array_equal(get(sources[::-1]).images, first.images[::-1])  # rows are copied
    np.testing.assert_array_equal(get(sources[3:7]).images, first.images[3:7])


def test_files_that_changed_just_now_are_read_again(monkeypatch):
    sources = files(3)
    get(sources)
    reads = []
    monkeypatch.setattr(images, 'read', lambda path: reads.append(path) or path.read_bytes())
    forbid(monkeypatch, 'decode')
    get(sources)
    assert reads == sources


@pytest.mark.usefixtures('old')
def test_changed_content_gives_changed_images(monkeypatch):
    sources = files(6)
    first = get(sources)
    times = sources[2].stat()
    changed = image(100)
    sources[2].write_bytes(changed[: times.st_size].ljust(times.st_size, b'\0'))
    os.utime(
        sources[2], ns=(times.st_atime_ns, times.st_mtime_ns)
    )  # the same size and time: the inode's time tells
    calls = []
    monkeypatch.setattr(
        images, 'decode', lambda data, size, fit: calls.append(data) or decode(data, size)
    )
    again = get(sources)
    assert len(calls) == 1  # only what is new
    assert again.digests[2] != first.digests[2]
    np.testing.assert_array_equal(again.images[2], decode(image(100), SIZE))
    np.testing.assert_array_equal(np.delete(again.images, 2, 0), np.delete(first.images, 2, 0))


def test_size_and_decoder_are_part_of_the_key(monkeypatch):
    sources = [image(i) for i in range(3)]
    get(sources)
    assert decode_images(sources, names(sources), 12).images.shape == (3, 12, 12, 3)
    monkeypatch.setattr(images, 'describe_decoder', lambda fit: 'another 1.0')
    monkeypatch.setattr(
        images, 'decode', lambda data, size, fit: np.full((size, size, 3), 7, np.uint8)
    )
    assert np.all(get(sources).images == 7)


@pytest.mark.usefixtures('old')
def test_bad_images_stop_or_are_skipped(monkeypatch):
    sources = files(5)
    sources[1].write_bytes(b'not an image')
    sources[3].write_bytes(image(3)[:200])
    sources[4].unlink()
    sources.append(pathlib.Path('images'))
    with pytest.raises(
        InputError, match=r'4 of 6 images .*image 1 \(not an image.*on_bad_image=skip'
    ) as caught:
        get(sources)
    assert '\n' not in str(caught.value)
    forbid(monkeypatch, 'decode')  # it was kept all the same
    for _ in range(2):
        images = get(sources, on_bad_image='skip')
        assert list(images.bad) == [1, 3, 4, 5]
        assert images.bad[4] == 'no such file'
        assert images.digests[4] == images.digests[5] == ''
        assert not images.images[[1, 3, 4, 5]].any()
        np.testing.assert_array_equal(images.images[[0, 2]], pixels([sources[0], sources[2]]))


def test_a_file_that_appears_is_decoded():
    sources = files(3)
    sources[0].unlink()
    assert get(sources, on_bad_image='skip').bad == {0: 'no such file'}
    files(1)
    assert get(sources).bad == {}


# What happens to the pixels and to the JSON of an entry.
DAMAGE = {
    'cut': lambda raw, about: raw.write_bytes(raw.read_bytes()[:-1]),
    'longer': lambda raw, about: raw.write_bytes(raw.read_bytes() + b'\0'),
    'flipped': lambda raw, about: raw.write_bytes(
        raw.read_bytes()[:-1] + bytes([raw.read_bytes()[-1] ^ 1])
    ),
    'gone': lambda raw, about: raw.unlink(),
    'json cut': lambda raw, about: about.write_text(about.read_text()[:90]),
    'json empty': lambda raw, about: about.write_text(''),
    'json other': lambda raw, about: about.write_text('[1, 2]'),
    'json of none': lambda raw, about: about.write_text(
        json.dumps(json.loads(about.read_text()) | dict(digests=[]))
    ),
}


@pytest.mark.parametrize('damage', DAMAGE)
def test_a_damaged_entry_is_built_again(folder, damage):
    sources = [image(i) for i in range(4)]
    get(sources)
    (raw,), (about,) = folder.glob('*.raw'), folder.glob('*px-*.json')
    data = raw.read_bytes()
    DAMAGE[damage](raw, about)
    np.testing.assert_array_equal(get(sources).images, pixels(sources))
    assert raw.read_bytes() == data


@pytest.mark.usefixtures('old')
@pytest.mark.parametrize('text', ['', '{', '[]', '{"a": 1}', '{"a": [1, 2]}'])
def test_a_damaged_index_is_made_again(folder, text):
    sources = files(3)
    get(sources)
    index = digests.index_path(folder, sources)
    assert len(json.loads(index.read_text())) == 3
    index.write_text(text)
    np.testing.assert_array_equal(get(sources).images, pixels(sources))
    assert len(json.loads(index.read_text())) == 3


def _process(sources):
    return decode_images(sources, names(sources), SIZE).images.tobytes()


@pytest.mark.parametrize('kind', ['threads', 'processes'])
def test_two_may_write_the_same_entry_at_once(folder, kind):
    sources = [image(i) for i in range(60)]
    folder.mkdir(parents=True)
    if kind == 'threads':
        pool = concurrent.futures.ThreadPoolExecutor(3)
    else:
        # A fork server of an earlier test has the environment of that test.
        pool = concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context('spawn'))
    with pool:
        images = list(pool.map(_process, [sources] * 3))
    assert set(images) == {pixels(sources).tobytes()}
    assert not left(folder)
    assert len(list(folder.glob('*.raw'))) == 1


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize('where', ['checksum', 'sync', 'json'])
def test_a_full_disk_is_reported_and_leaves_no_file(folder, monkeypatch, number, where):
    def full(*args):
        raise OSError(number, os.strerror(number))

    sources = [image(i) for i in range(20)]
    owner, name = dict(
        checksum=(images.zlib, 'crc32'), sync=(os, 'fsync'), json=(entries.workdir, 'write')
    )[where]
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, full)
        need = f'{20 * SIZE * SIZE * 3:,}'
        with pytest.raises(
            InputError, match=rf'disk is full.* {need} bytes in {folder}.*XDG_CACHE_HOME'
        ):
            get(sources)
    assert not left(folder)
    assert not list(folder.glob('*px-*'))
    assert len(get(sources).images) == 20


def test_too_little_room_is_known_before_decoding(monkeypatch):
    monkeypatch.setattr(
        images.shutil, 'disk_usage', lambda folder: images.shutil._ntuple_diskusage(10, 10, 0)
    )
    forbid(monkeypatch, 'decode')
    with pytest.raises(InputError, match='disk is full'):
        get([image(0)])


def test_a_cache_that_cannot_be_written(folder):
    folder.parent.parent.write_text('a file in the way')
    with pytest.raises(InputError, match='cannot be written to'):
        get([image(0)])


@pytest.mark.usefixtures('old')
def test_an_interrupted_build_resumes(folder, monkeypatch):
    sources = files(400)

    @contextlib.contextmanager
    def stops(kind, total, unit='images'):
        count_done = 0

        def more(count):
            nonlocal count_done
            count_done += count
            if kind == 'decoding' and count_done >= 100:
                raise KeyboardInterrupt

        yield more

    with monkeypatch.context() as patched:
        patched.setattr(images, 'show_progress', stops)
        with pytest.raises(KeyboardInterrupt):
            get(sources)
    assert not left(folder)
    calls = []
    monkeypatch.setattr(
        images, 'decode', lambda data, size, fit: calls.append(data) or decode(data, size)
    )
    np.testing.assert_array_equal(get(sources).images, pixels(sources))
    assert len(calls) == 400 - 112  # whole batches are kept
    assert len(list(folder.glob('*.raw'))) == 1  # the partial entry has done its work


def test_the_least_recently_used_goes_first(folder, monkeypatch):
    sets = [[image(10 * k + i) for i in range(4)] for k in range(3)]
    monkeypatch.setattr(entries, 'LIMIT', 2 * 4 * SIZE * SIZE * 3)
    for k, sources in enumerate(sets[:2]):
        get(sources)
        for path in folder.glob('*px-*.json'):
            if path.stat().st_mtime > 1e6:
                os.utime(path, (1000 + k, 1000 + k))
    get(sets[0])  # used again
    get(sets[2])
    selected = {
        tuple(json.loads(path.read_text())['digests']) for path in folder.glob('*px-*.json')
    }
    assert selected == {tuple(map(digests.digest, sets[k])) for k in (0, 2)}
    monkeypatch.setattr(entries, 'LIMIT', 1)
    get([image(77)])
    assert len(list(folder.glob('*.raw'))) == 1


def test_old_files_of_killed_processes_are_deleted(folder):
    get([image(0)])
    for name, age in (('.dead.tmp', 2 * entries.STALE), ('.alive.tmp', 5)):
        (folder / name).write_text('half')
        os.utime(folder / name, (time.time() - age, time.time() - age))
    get([image(1)])
    assert left(folder) == ['.alive.tmp']


def test_long_work_is_displayed_with_its_rate(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr(progress.time, 'monotonic', lambda: clock[0])
    with progress.show_progress('decoding', 1000) as more:
        for _ in range(10):
            clock[0] += 1.0
            more(100)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        'decoding: 100 of 1,000, 100 images/s, about 9 s left',
        'decoding: 600 of 1,000, 100 images/s, about 4 s left',
        'decoding: 1,000 of 1,000, 100 images/s',
    ]


def test_short_work_is_silent(capsys):
    get([image(0)])
    assert capsys.readouterr().err == ''
