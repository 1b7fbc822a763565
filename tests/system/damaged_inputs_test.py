"""Randomly damaged files of every kind that jaxdl reads: read, or refused in one line.

HOSTILE=N tries so many times as many.
"""

import io
import json
import os
import random
import time

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save

from jaxdl.config import load as config
from jaxdl.data import decode, image_headers
from jaxdl.data.sources import csv_table
from jaxdl.data.sources import npz as arrays
from jaxdl.errors import InputError
from jaxdl.inference import submission
from jaxdl.models import weights
from jaxdl.workdir import tables as results

TRIES = 100 * int(os.environ.get('HOSTILE', '1'))
SECONDS = 5  # at most, of any one: all files here are small
TENSORS = {
    'conv1.weight': np.ones((4, 3, 3, 3), np.float32),
    'fc.bias': np.arange(5.0),
    'count': np.array(3),
}
PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8))
SHOUTS = (
    b'\xff' * 4,
    b'\0' * 8,
    b'"',
    b',',
    b'\n',
    b'../',
    b'9' * 40,
    b'-1',
    b'NaN',
    b'{}',
    b'[',
    b'\xef\xbb\xbf',
)


def npz(keep, **content):
    out = io.BytesIO()
    keep(out, **content)
    return out.getvalue()


def image(kind, **options):
    out = io.BytesIO()
    PHOTO.save(out, kind, **options)
    return out.getvalue()


def checkpoint(zipped):
    torch = pytest.importorskip('torch')
    out = io.BytesIO()
    content = dict(state_dict={name: torch.tensor(value) for name, value in TENSORS.items()})
    torch.save(content, out, _use_new_zipfile_serialization=zipped)
    return out.getvalue()


def load(path):
    return weights.read(str(path))


def decoded(path):
    try:
        decode.decode(path, 16)
    except image_headers.BadImage as error:  # which the callers name with the image
        raise InputError(str(error)) from None


def table():
    header = ','.join(results.RESULTS)
    return '\n'.join(
        [header, *(f',measure,max,0.1,{i},20,test,accuracy,0.9{i}' for i in range(9)), '']
    ).encode()


def settings():
    return json.dumps(config.as_dict(config.load_experiment('batch_norm')), indent=1).encode()


ROWS = b'ImageId,ClassName\n' + b''.join(b'%d.jpg,"class, %d"\n' % (i, i % 3) for i in range(9))
TEST = b'ImageId\n' + b''.join(b'%d.jpg\n' % i for i in range(9))
PIXELS = dict(
    images=np.zeros((6, 4, 4, 3), np.uint8),
    labels=np.arange(6) % 3,
    class_names=np.array(list('abc')),
)

FILES = {  # name: what is in one, and what reads it
    'x.safetensors': (lambda: save(TENSORS), load),
    'x.npz': (lambda: npz(np.savez, **TENSORS), load),
    'small.npz': (lambda: npz(np.savez_compressed, **TENSORS), load),
    'x.pth': (lambda: checkpoint(zipped=True), load),
    'old.pth': (lambda: checkpoint(zipped=False), load),
    'images.npz': (lambda: npz(np.savez, **PIXELS), lambda path: arrays.npz(f'npz:{path}')),
    'x.jpg': (lambda: image('JPEG'), decoded),
    'x.png': (lambda: image('PNG'), decoded),
    'x.webp': (lambda: image('WEBP'), decoded),
    'x.gif': (lambda: image('GIF'), decoded),
    'x.tif': (lambda: image('TIFF'), decoded),
    'x.bmp': (lambda: image('BMP'), decoded),
    'train.csv': (lambda: ROWS, lambda path: csv_table.csv(f'csv:{path}')),
    'test.csv': (lambda: TEST, submission.read_test),
    'results.csv': (table, lambda path: results.read_table(path, results.RESULTS)),
    'config.json': (settings, config.load_config),
}


def damaged(content, rng):
    """Cut, with bits that are wrong, or with something that does not belong there."""
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        place = rng.randrange(max(1, len(content)))
        damage = rng.choice(('bit', 'cut', 'shout', 'twice', 'digit'))
        digits = [i for i, byte in enumerate(content[:2000]) if chr(byte).isdigit()]
        if damage == 'bit' and content:
            content[place] ^= 1 << rng.randrange(8)
        elif damage == 'cut':
            del content[place : place + rng.choice((1, 40, len(content)))]
        elif damage == 'shout':
            shout = rng.choice(SHOUTS)
            content[place : place + rng.choice((0, len(shout)))] = shout
        elif damage == 'twice':
            content[place:place] = content[max(0, place - rng.randrange(64)) : place]
        elif digits:
            content[rng.choice(digits)] = rng.choice(b'0123456789.-e')
    return bytes(content)


@pytest.mark.parametrize('name', FILES)
def test_a_damaged_file_is_read_or_refused_in_a_line(tmp_path, name):
    content, read = FILES[name]
    whole, path, rng, refused = content(), tmp_path / name, random.Random(name), 0
    for folder in ('train_images', 'test_images'):
        (tmp_path / folder).mkdir()
        for i in range(9):
            (tmp_path / folder / f'{i}.jpg').touch()
    for _ in range(TRIES):
        path.write_bytes(damaged(whole, rng))
        began = time.perf_counter()
        try:
            read(path)
        except InputError as error:
            refused += 1
            complaint = str(error)
            if '\n' in complaint or len(complaint) > 2000:
                pytest.fail(f'not a line: {complaint!r}')
        assert time.perf_counter() - began < SECONDS
    assert refused
