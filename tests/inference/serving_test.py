"""Web page of a checkpoint: equal to the predictor's outputs, limits, use in a browser."""

import base64
import collections
import contextlib
import io
import json
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import chromium
import finetunes
import numpy as np
import pytest
import tiny
from PIL import Image

from jaxdl import main
from jaxdl.errors import InputError
from jaxdl.finetune import run as finetune
from jaxdl.inference import gradcam, serving
from jaxdl.inference.predictor import Predictor
from jaxdl.inference.serving import service
from jaxdl.inference.serving.neighbours import Neighbours
from jaxdl.runtime import caches

pytest.importorskip('starlette')
pytest.importorskip('uvicorn')

from jaxdl.inference.serving import app

SETTINGS = serving.ServeSettings(max_bytes=200_000)
USE = """<script src="/use.js"></script>"""
DRIVE = """
const result = { width: innerWidth }
const until = async test => { while (!test()) await new Promise(done => setTimeout(done, 30)) }
addEventListener('load', async () => {
  const frame = document.querySelector('iframe'), page = frame.contentDocument
  const get = selector => [...page.querySelectorAll(selector)]
  const bytes = await (await fetch('/sample')).blob(), box = new frame.contentWindow.DataTransfer()
  box.items.add(new File([bytes], 'apple.png', { type: 'image/png' }))
  box.items.add(new File(['no image'], 'words.txt', { type: 'text/plain' }))
  const options = { dataTransfer: box, bubbles: true, cancelable: true }
  const drop = new frame.contentWindow.DragEvent('drop', options)
  page.querySelector('#drop').dispatchEvent(drop)
  await until(() => get('.classes li').length && get('.error:not([hidden])').length)
  result.order = get('h2').map(each => each.textContent)
  result.about = page.querySelector('#about').textContent
  result.names = get('.classes b').map(each => each.textContent)
  result.shares = get('.classes span').map(each => parseFloat(each.textContent))
  result.nearest = get('.nearest li').map(each => each.textContent)
  result.error = get('.error:not([hidden])')[0].textContent
  const why = get('.why:not([hidden])')[0], image = why.parentElement.querySelector('.seen')
  const before = image.src
  why.click()
  result.explained = image.src !== before
  why.click()
  result.back = image.src === before
  await until(() => get('.nearest img').every(each => each.complete))
  result.pictures = get('.nearest img').every(each => each.naturalWidth === 96)
  page.querySelector('#choose').focus()
  result.focused = page.activeElement.id
  result.needed = page.documentElement.scrollWidth - frame.contentWindow.innerWidth
  const output = document.createElement('pre')
  document.body.append(Object.assign(output, { textContent: JSON.stringify(result) }))
})
"""


@pytest.fixture(scope='module')
def checkpoint(tiny_network, tmp_path_factory):
    """A finished probe whose images are where its config says."""
    top = tmp_path_factory.mktemp('serving')
    finetunes.weights(top)
    finetunes.images(top)
    finetune.run(finetunes.experiment(top, stages=('probe',)), top / 'run')
    return top / 'run'


@pytest.fixture(scope='module')
def classifier(checkpoint):
    return service.load(checkpoint, SETTINGS)


@pytest.fixture(scope='module')
def client(classifier):
    from starlette.testclient import TestClient

    return TestClient(app.make_app(classifier, SETTINGS), base_url='http://127.0.0.1:8000')


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, 'PNG')
    return file.getvalue()


def pixels(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(',')[2]))))


def of(checkpoint, place):
    return np.load(checkpoint.parent / 'images.npz')['images'][place]


def test_a_response_equals_the_predictors_output(client, checkpoint):
    image = of(checkpoint, 3)
    response = client.post('/predict', content=png(image)).json()
    predictor = Predictor.from_checkpoint(checkpoint)
    expected = predictor.predict([image])
    likely = dict(zip(expected.classes, expected.probabilities[0].tolist(), strict=True))
    assert {entry['name']: entry['probability'] for entry in response['classes']} == likely
    shares = [entry['probability'] for entry in response['classes']]
    assert shares == sorted(shares, reverse=True)
    ((maps, crops),) = predictor.gradcam_batches([image], batch_size=1)
    np.testing.assert_array_equal(pixels(response['seen']), crops[0])
    np.testing.assert_array_equal(pixels(response['explained']), gradcam.overlay(crops, maps)[0])


def test_the_nearest_to_a_training_image_is_itself(client, classifier, checkpoint):
    trained = np.load(checkpoint / 'artifacts' / 'split.npz')['train']
    data = np.load(checkpoint.parent / 'images.npz')
    assert classifier.neighbours.size == len(trained)
    for at in (0, 7, len(trained) - 1):
        nearest = client.post('/predict', content=png(data['images'][trained[at]])).json()[
            'nearest'
        ]
        assert nearest[0]['image'] == at
        assert nearest[0]['similarity'] == pytest.approx(1, abs=1e-5)
        assert len(nearest) == SETTINGS.nearest
        assert [entry['similarity'] for entry in nearest] == sorted(
            (entry['similarity'] for entry in nearest), reverse=True
        )
        assert client.get(f'/training/{at}').headers['content-type'] == 'image/jpeg'
    assert client.get(f'/training/{len(trained)}').status_code == 404


def test_no_uploaded_image_is_stored(client, checkpoint, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    top = caches.folder('features').parent
    before = sorted(top.rglob('*'))
    assert client.post('/predict', content=png(of(checkpoint, 3) ^ 1)).status_code == 200
    assert client.post('/predict', content=b'no image').status_code == 422
    assert sorted(top.rglob('*')) == before
    assert not list(tmp_path.iterdir())
    assert not caplog.records


def test_of_many_training_images_each_class_keeps_its_share(checkpoint):
    near = service.load(checkpoint, serving.ServeSettings(training_images=9)).neighbours
    assert collections.Counter(near.classes) == dict.fromkeys('012', 3)


def changed_images(run):
    config = json.loads((run / 'config.json').read_text())
    arrays = dict(np.load(config['data']['dataset'].removeprefix('npz:')))
    np.savez(run / 'own.npz', **arrays | dict(images=arrays['images'] ^ 1))
    config['data']['dataset'] = f'npz:{run / "own.npz"}'
    (run / 'config.json').write_text(json.dumps(config))


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda run: (run / 'config.json').unlink(), 'holds no config.json'),
        (lambda run: (run / 'artifacts' / 'split.npz').unlink(), 'No such file'),
        (
            lambda run: (run / 'artifacts' / 'split.npz').write_bytes(b'PK\x03\x04' + bytes(40)),
            'not available',
        ),
        (
            lambda run: np.savez(run / 'artifacts' / 'split.npz', train=np.asarray([10**6])),
            'does not list its training images',
        ),
        (changed_images, 'has changed since the run'),
    ],
)
def test_the_reason_for_missing_training_images_is_reported(checkpoint, tmp_path, change, words):
    run = shutil.copytree(checkpoint, tmp_path / 'run')
    change(run)
    classifier = service.load(run, SETTINGS)
    assert classifier.neighbours.size == 0
    assert words in classifier.metadata()['missing']


def test_cosines_by_hand():
    one = Neighbours(np.asarray([[1, 0], [1, 1], [0, -2.0]]), ('a', 'b', 'c'), (b'', b'', b''), 2)
    nearest = one.nearest(np.asarray([3.0, 0]))
    assert [entry['class'] for entry in nearest] == ['a', 'b']
    assert [entry['similarity'] for entry in nearest] == pytest.approx([1, 0.5**0.5])
    assert Neighbours(missing='gone').size == 0


@pytest.mark.parametrize(
    ('content', 'headers', 'status', 'words'),
    [
        (b'', {}, 400, 'must be an image'),
        (b'no image', {}, 422, 'cannot be read'),
        (b'\x89PNG\r\n\x1a\n' + b'x' * 50, {}, 422, 'cannot be read'),
        (b'P6 30000 30000 255\n', {}, 422, 'pixels'),
        (b'x' * 200_001, {}, 413, '200,000 bytes'),
        (
            [b'x' * 150_000, b'x' * 150_000],
            {},
            413,
            '200,000 bytes',
        ),  # whose length nobody said before
        (b'x', {'Host': 'evil.example'}, 403, 'that name'),
        (b'x', {'Host': '127.0.0.1.evil.example:8000'}, 403, 'that name'),
        (b'x', {'Host': '192.168.1.5:8000'}, 403, 'that name'),
        (b'x', {'Origin': 'https://evil.example'}, 403, 'other pages'),
        (b'x', {'Origin': 'null'}, 403, 'other pages'),
    ],
)
def test_invalid_requests_are_refused(client, content, headers, status, words):
    response = client.post(
        '/predict', content=iter(content) if isinstance(content, list) else content, headers=headers
    )
    assert response.status_code == status
    assert words in response.json()['error']


@pytest.mark.parametrize(
    ('name', 'accepted'),
    [
        *((host, True) for host in ('192.168.1.5', '::1', 'localhost', 'Photos.home')),
        *((host, False) for host in ('evil.example', 'photos.home.evil.example', '')),
    ],
)
def test_only_host_names_of_the_server_are_accepted(name, accepted):
    assert app.is_own_name(name, serving.ServeSettings(host='photos.home')) == accepted


def test_every_response_keeps_the_browser_to_this_server(client):
    for path in ('/', '/page.js', '/page.css', '/about', '/health', '/nothing', '/../etc/passwd'):
        headers = client.get(path).headers
        assert headers['content-security-policy'].startswith("default-src 'none'")
        assert headers['x-content-type-options'] == 'nosniff'
        assert headers['cross-origin-resource-policy'] == 'same-origin'
    assert client.get('/health').json() == dict(ready=True)
    for path in ('/', '/page.js', '/page.css'):
        assert not re.search(r'https?:|url\(|@import', client.get(path).text)
    assert client.get('/predict').status_code == 405


def test_a_checkpoint_without_training_images_is_served(tmp_path, capsys):
    classifier = service.load(tiny.workdir(tmp_path / 'run'), SETTINGS)
    assert classifier.neighbours.size == 0
    assert 'not available' in classifier.metadata()['missing']
    assert len(classifier.classify(png(tiny.images(1)[0]))['classes']) == 3


def test_a_port_that_is_taken(capsys, checkpoint):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        assert main.main(['--mode=serve', f'--checkpoint={checkpoint}', f'--set=port={port}']) == 2
    assert '--set=port=0 for a free port' in capsys.readouterr().err


def test_a_missing_package_is_named_with_its_install_command(monkeypatch, checkpoint):
    monkeypatch.setattr(serving.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'jaxdl\[serve\]'"):
        serving.serve(checkpoint, SETTINGS, print)


@contextlib.contextmanager
def served(application):
    """The address of a server in a thread of its own."""
    import uvicorn

    with socket.create_server(('127.0.0.1', 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(application, log_level='warning', access_log=False))
        thread = threading.Thread(target=server.run, kwargs=dict(sockets=[listening]))
        thread.start()
        until = time.monotonic() + 30
        while not server.started and time.monotonic() < until:
            time.sleep(0.02)
        yield f'http://127.0.0.1:{listening.getsockname()[1]}'
        server.should_exit = True
        thread.join()


@pytest.mark.system
@pytest.mark.browser
@pytest.mark.skipif(not chromium.CHROMIUM, reason='no chromium on this machine')
@pytest.mark.parametrize('width', chromium.WIDTHS)
def test_a_reader_drops_images(classifier, checkpoint, tmp_path, width):
    from starlette.responses import Response
    from starlette.routing import Route

    application = app.make_app(classifier, SETTINGS)
    around = f'<!doctype html><body><iframe src="/" width="{width}" height="900"></iframe>{USE}'
    for path, content, kind in (
        ('/around', around, 'text/html'),
        ('/use.js', DRIVE, 'text/javascript'),
        ('/sample', png(of(checkpoint, 3)), 'image/png'),
    ):
        application.routes.append(
            Route(path, lambda request, body=(content, kind): Response(body[0], media_type=body[1]))
        )
    policy = f"{app.HEADERS['Content-Security-Policy']}; frame-src 'self'"
    with pytest.MonkeyPatch.context() as patch, served(application) as address:
        patch.setitem(app.HEADERS, 'Content-Security-Policy', policy)
        flags = [
            flag.replace('~NOTFOUND', '~NOTFOUND, EXCLUDE 127.0.0.1') for flag in chromium.FLAGS
        ]
        words = [str(chromium.CHROMIUM), *flags, f'--user-data-dir={tmp_path}', f'{address}/around']
        dom = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
    (result,) = map(json.loads, re.findall(r'<pre>({.*?})</pre>', dom))
    assert 'tiny, 3 classes' in result['about']
    assert result['order'] == ['apple.png', 'words.txt']
    assert len(result['names']) == len(result['shares']) == 3
    assert sum(result['shares']) == pytest.approx(100, abs=0.3)
    assert len(result['nearest']) == SETTINGS.nearest
    assert all(re.search(r', (1|0)\.\d\d$', line) for line in result['nearest'])
    assert 'cannot be read' in result['error']
    assert result['explained']
    assert result['back']
    assert result['pictures']
    assert result['focused'] == 'choose'
    assert result['needed'] <= 0
