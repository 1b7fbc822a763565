"""Downloads from a local server: interrupted, resumed, changed meanwhile, refused, unpacked."""

import contextlib
import hashlib
import http.server
import io
import json
import pathlib
import stat
import threading
import zipfile

import numpy as np
import pytest

from jaxdl.data import download
from jaxdl.data.sources import foodc
from jaxdl.errors import InputError

BODY = np.random.default_rng(0).bytes(1_000_000)


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; stops once after `stop` bytes. With `ranges` it knows Range and If-Range."""

    daemon_threads = True

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.files, self.stop, self.ranges, self.tag, self.seen, self.sizes = (
            {},
            None,
            True,
            '"one"',
            [],
            True,
        )

    @property
    def url(self):
        return f'http://127.0.0.1:{self.server_address[1]}'


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_):
        pass

    def do_GET(self):
        server, body = self.server, self.server.files.get(self.path)
        server.seen.append((self.path, self.headers.get('Range')))
        if isinstance(body, str):
            self.send_response(302)
            self.send_header('Location', body)
            self.end_headers()
            return
        if body is None:
            self.send_error(404)
            return
        first, requested = 0, self.headers.get('Range')
        if requested and server.ranges and self.headers.get('If-Range') in (None, server.tag):
            first = int(requested.removeprefix('bytes=').rstrip('-'))
            if first >= len(body):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header('Content-Range', f'bytes {first}-{len(body) - 1}/{len(body)}')
        else:
            self.send_response(200)
        if server.tag:
            self.send_header('ETag', server.tag)
        if server.sizes:
            self.send_header('Content-Length', str(len(body) - first))
        self.end_headers()
        stop = server.stop if (server.stop or 0) < len(body) else None
        server.stop = None if stop else server.stop
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body[first:stop])


@pytest.fixture
def server():
    with Server() as started:
        thread = threading.Thread(target=started.serve_forever, kwargs=dict(poll_interval=0.01))
        thread.start()
        yield started
        started.shutdown()
        thread.join()


def zipped(files, **options):
    data = io.BytesIO()
    with zipfile.ZipFile(data, 'w', **options) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def test_a_download_is_complete_and_announced(server, capsys):
    server.files['/a'] = BODY
    path = download.fetch(f'{server.url}/a', pathlib.Path('new/a'))
    digest = hashlib.sha256(BODY).hexdigest()
    assert pathlib.Path('new/a').read_bytes() == BODY
    assert path == dict(url=f'{server.url}/a', bytes=len(BODY), sha256=digest)
    assert digest in capsys.readouterr().err
    assert [p.name for p in pathlib.Path('new').iterdir()] == ['a']
    assert download.fetch(f'{server.url}/a', pathlib.Path('new/a')) == path
    assert len(server.seen) == 1  # what is there is not fetched again


def interrupted(server):
    server.files['/a'], server.stop = BODY, 400_000
    with pytest.raises(
        InputError, match='after 400,000 of 1,000,000 bytes; the same command resumes'
    ):
        download.fetch(f'{server.url}/a', pathlib.Path('a'))
    assert not pathlib.Path('a').exists()
    assert pathlib.Path('a.part').read_bytes() == BODY[:400_000]


def test_an_interrupted_download_resumes(server):
    interrupted(server)
    download.fetch(f'{server.url}/a', pathlib.Path('a'))
    assert pathlib.Path('a').read_bytes() == BODY
    assert server.seen == [('/a', None), ('/a', 'bytes=400000-')]


def test_interrupted_twice(server):
    interrupted(server)
    server.stop = 700_000
    with pytest.raises(InputError, match='after 700,000 of 1,000,000'):
        download.fetch(f'{server.url}/a', pathlib.Path('a'))
    download.fetch(f'{server.url}/a', pathlib.Path('a'))
    assert pathlib.Path('a').read_bytes() == BODY
    assert server.seen[-1] == ('/a', 'bytes=700000-')


@pytest.mark.parametrize('tag', ['"two"', None, 'W/"one"'])
def test_a_changed_file_is_downloaded_again(server, tag):
    interrupted(server)
    server.tag, server.files['/a'] = tag, BODY[::-1]
    download.fetch(f'{server.url}/a', pathlib.Path('a'))
    assert pathlib.Path('a').read_bytes() == BODY[::-1]


@pytest.mark.parametrize('tag', [None, 'W/"one"'])
def test_without_a_strong_etag_no_parts_are_joined(server, tag):
    server.tag = tag
    interrupted(server)
    server.files['/a'] = BODY[::-1]
    download.fetch(f'{server.url}/a', pathlib.Path('a'))
    assert pathlib.Path('a').read_bytes() == BODY[::-1]
    assert server.seen[-1] == ('/a', None)


def test_a_server_without_ranges_and_one_without_sizes(server):
    interrupted(server)
    server.ranges = False
    download.fetch(f'{server.url}/a', pathlib.Path('a'))
    assert pathlib.Path('a').read_bytes() == BODY
    server.sizes, server.files['/b'] = False, BODY
    download.fetch(f'{server.url}/b', pathlib.Path('b'))
    assert pathlib.Path('b').read_bytes() == BODY


def test_a_partial_file_of_another_address_or_length_is_discarded(server):
    interrupted(server)
    server.files['/b'] = BODY[::-1]
    pathlib.Path('a.part').rename('b.part')
    pathlib.Path('a.part.json').rename('b.part.json')
    download.fetch(f'{server.url}/b', pathlib.Path('b'))
    assert pathlib.Path('b').read_bytes() == BODY[::-1]
    interrupted(server)
    pathlib.Path('a.part').write_bytes(BODY + b'more')
    download.fetch(f'{server.url}/a', pathlib.Path('a'))
    assert pathlib.Path('a').read_bytes() == BODY


@pytest.mark.parametrize('state', ['', '{', '[]', '{"url": 3}'])
def test_a_broken_note_of_the_state_starts_again(server, state):
    interrupted(server)
    pathlib.Path('a.part.json').write_text(state)
    download.fetch(f'{server.url}/a', pathlib.Path('a'))
    assert pathlib.Path('a').read_bytes() == BODY


@pytest.mark.parametrize(
    'url', ['http://example.org/a', 'ftp://example.org/a', 'file:///etc/hostname', 'a']
)
def test_only_https(server, url):
    with pytest.raises(InputError, match='only https'):
        download.fetch(url, pathlib.Path('a'))
    server.files['/a'] = url
    with pytest.raises(InputError, match=r'cannot fetch|only https'):
        download.fetch(f'{server.url}/a', pathlib.Path('b'))
    assert not pathlib.Path('b').exists()


@pytest.mark.parametrize(
    'url', ['http://127.0.0.1/a', 'http://localhost:80/a', 'http://example.org/a']
)
def test_no_other_machine_redirects_to_this_one(url):
    with pytest.raises(InputError, match='only https'):
        download._check_url(url, by='https://example.org/a')
    download._check_url('https://example.org/b', by='https://example.org/a')


def test_no_such_file_and_no_server(server):
    with pytest.raises(InputError, match='returned 404'):
        download.fetch(f'{server.url}/none', pathlib.Path('a'))
    free = Server()
    free.server_close()
    with pytest.raises(InputError, match='cannot fetch'):
        download.fetch(f'{free.url}/a', pathlib.Path('a'))
    assert not list(pathlib.Path().iterdir())


def test_a_full_disk_keeps_what_has_come(server, monkeypatch):
    server.files['/a'] = BODY
    whole = download._chunks

    def full(*arguments):
        yield next(whole(*arguments))
        raise OSError(28, 'No space left on device')  # as the write of the next chunk would

    monkeypatch.setattr(download, '_chunks', full)
    with pytest.raises(InputError, match='No space left'):
        download.fetch(f'{server.url}/a', pathlib.Path('a'))
    monkeypatch.setattr(download, '_chunks', whole)
    size = pathlib.Path('a.part').stat().st_size
    assert size
    download.fetch(f'{server.url}/a', pathlib.Path('a'))
    assert pathlib.Path('a').read_bytes() == BODY
    assert server.seen[-1] == ('/a', f'bytes={size}-')


@pytest.mark.parametrize('prefix', ['', 'train_images/', './train_images/', 'a/b/', 'back\\'])
def test_shared_folders_are_left_out_and_litter_too(prefix):
    files = {'1.jpg': b'one', '2.jpg': b'two', '.DS_Store': b'x'}
    data = zipped({**{prefix + k: v for k, v in files.items()}, '__MACOSX/._1.jpg': b'x'})
    pathlib.Path('z.zip').write_bytes(data)
    assert download.unpack(pathlib.Path('z.zip'), pathlib.Path('out')) == 2
    assert {p.name: p.read_bytes() for p in pathlib.Path('out').iterdir()} == {
        '1.jpg': b'one',
        '2.jpg': b'two',
    }


def test_interrupted_unpacking_resumes(monkeypatch):
    pathlib.Path('z.zip').write_bytes(zipped({'x/a.jpg': b'aaa', 'y/b.jpg': b'bbb'}))
    out = pathlib.Path('out')
    download.unpack(pathlib.Path('z.zip'), out)
    (out / 'x/a.jpg').write_bytes(b'aa')  # as an interruption leaves it
    there = (out / 'y/b.jpg').stat().st_mtime_ns
    download.unpack(pathlib.Path('z.zip'), out)
    assert (out / 'x/a.jpg').read_bytes() == b'aaa'
    assert (out / 'y/b.jpg').stat().st_mtime_ns == there


def link():
    entry = zipfile.ZipInfo('link.jpg')
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return {entry: '/etc/hostname'}


BAD_ZIPS = {
    'escape': (zipped({'a.jpg': b'1', '../../b.jpg': b'2'}), 'leads out of the folder'),
    'escape backslash': (zipped({'..\\b.jpg': b'2'}), 'leads out of the folder'),
    'absolute': (zipped({'/b.jpg': b'2'}), 'leads out of the folder'),
    'drive': (zipped({'C:/b.jpg': b'2'}), 'leads out of the folder'),
    'link': (zipped(link()), 'is a link'),
    'bomb': (
        zipped({'a.jpg': bytes(20_000_000)}, compression=zipfile.ZIP_DEFLATED),
        'decompression bomb',
    ),
    'no zip': (b'<html>not found</html>', 'broken zip'),
    'empty': (b'', 'broken zip'),
    'cut': (zipped({'a.jpg': b'1' * 999})[:500], 'broken zip'),
    'flipped': (zipped({'a.jpg': b'1' * 999}).replace(b'111', b'121', 1), 'broken zip'),
    'a file and a folder': (zipped({'a': b'1', 'a/b': b'1'}), 'cannot unpack'),
}


@pytest.mark.parametrize('kind', BAD_ZIPS)
def test_bad_zips_change_no_files(kind):
    data, words = BAD_ZIPS[kind]
    pathlib.Path('in').mkdir()
    pathlib.Path('in/z.zip').write_bytes(data)
    with pytest.raises(InputError, match=words) as error:
        download.unpack(pathlib.Path('in/z.zip'), pathlib.Path('in/out'))
    assert '\n' not in str(error.value)
    assert [p.name for p in pathlib.Path().iterdir()] == ['in']
    assert {p.name for p in pathlib.Path('in').iterdir()} <= {'z.zip', 'out'}


def published(prefix=''):
    table = 'ImageId,ClassName\n' + ''.join(f'{i}.jpg,{"ab"[i % 2]}\n' for i in range(6))
    images = {f'{prefix}{i}.jpg': bytes([i]) * 3000 for i in range(6)}
    return {
        '/train.csv': table.encode(),
        '/test.csv': b'ImageId\n9.jpg\n',
        '/train_images.zip': zipped(images),
        '/test_images.zip': zipped({'9.jpg': b'9'}),
    }


@pytest.mark.parametrize('prefix', ['', 'train_images/'])
def test_the_challenge_is_fetched_across_interruptions(server, monkeypatch, prefix):
    server.files = published(prefix)
    monkeypatch.setattr(foodc, 'SITE', f'{server.url}/')
    for stop in (10, 5000):
        server.stop = stop
        with pytest.raises(InputError, match='the same command resumes'):
            foodc.foodc('data/food', download=True)
        assert not pathlib.Path('data/food/train_images').exists()
    listing = foodc.foodc('data/food', download=True)
    assert listing.class_names == ('a', 'b')
    assert [p.read_bytes() for p in listing.images] == [bytes([i]) * 3000 for i in range(6)]
    record = json.loads(pathlib.Path('data/food/downloads.json').read_text())
    assert {f'/{name}': entry['sha256'] for name, entry in record.items()} == {
        name: hashlib.sha256(body).hexdigest() for name, body in server.files.items()
    }
    assert not list(pathlib.Path('data/food').glob('*.part*'))
    requests = len(server.seen)
    assert foodc.foodc('data/food', download=True).ids == listing.ids
    assert len(server.seen) == requests


def test_the_challenge_with_a_broken_zip_and_one_that_is_not_there(server, monkeypatch):
    server.files = published() | {'/train_images.zip': b'<html>'}
    monkeypatch.setattr(foodc, 'SITE', f'{server.url}/')
    with pytest.raises(InputError, match=r'broken zip.*delete it'):
        foodc.foodc('food', download=True)
    pathlib.Path('food/train_images.zip').unlink()
    del server.files['/train_images.zip']
    with pytest.raises(InputError, match='404'):
        foodc.foodc('food', download=True)
    server.files = published()
    assert len(foodc.foodc('food', download=True).ids) == 6


def test_the_challenge_that_is_missing_is_explained():
    pathlib.Path('food/train_images').mkdir(parents=True)
    with pytest.raises(InputError) as error:
        foodc.foodc('food')
    words = (
        'train.csv',
        'test_images.zip',
        'aicrowd-practice-challenges/public/foodc/v0.1/',
        '--set=download=true',
    )
    assert all(word in str(error.value) for word in words)
    with pytest.raises(InputError, match='foodc:DIR'):
        foodc.foodc('')
    pathlib.Path('file').touch()
    with pytest.raises(InputError, match='is a file'):
        foodc.foodc('file')
