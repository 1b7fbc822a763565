"""Formats of images: each by suffix and by content, readers that are missing or come later."""

import io
import sys
import types

import numpy as np
import pytest
import tiny
from PIL import Image, ImageFile
from sklearn.datasets import load_sample_images

from jaxdl import main as command
from jaxdl.data import Data, decode, image_headers, jpeg_xl, load
from jaxdl.data.sources import files, folder
from jaxdl.errors import InputError

PHOTO = Image.fromarray(load_sample_images().images[0]).resize((96, 64))
HEIC = b'\0\0\0\x18ftypheic\0\0\0\0mif1heic'
KINDS = sorted(set(files.SUFFIXES.values()))


def encode(kind, image=PHOTO):
    if kind in image_headers.PLUGINS:
        pytest.importorskip(image_headers.PLUGINS[kind].module)
        image_headers.formats()
    elif kind not in image_headers.formats():
        pytest.skip(f'this Pillow reads no {kind}')
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def is_close(pixels):
    box = (16, 0, 80, 64)
    expected = np.asarray(PHOTO.resize((32, 32), Image.Resampling.BILINEAR, box), np.float32)
    return np.abs(pixels.astype(np.float32) - expected).mean() < 8


def list_messages(capsys):
    """Messages on stderr, without lines of progress."""
    lines = capsys.readouterr().err.splitlines()
    return [line for line in lines if line.startswith('jaxdl: ')]


@pytest.fixture
def without_readers(monkeypatch):
    """No plugin is installed."""
    names = tuple(name for name in image_headers.formats() if name not in image_headers.PLUGINS)
    monkeypatch.setattr(image_headers, 'formats', lambda: names)


@pytest.mark.parametrize('kind', KINDS)
def test_every_format_is_read_by_suffix(kind, tmp_path):
    data = encode(kind)
    for suffix in (s for s, name in files.SUFFIXES.items() if name == kind):
        path = tmp_path / 'in' / 'cat' / f'1{suffix.upper()}'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    listing = folder.folder('in')
    assert len(listing.ids) == list(files.SUFFIXES.values()).count(kind)
    assert not listing.notes
    assert is_close(decode.decode(path, 32))


@pytest.mark.parametrize('kind', sorted(set(KINDS) - {'TGA'}))
def test_every_format_is_read_by_content(kind, tmp_path):
    data = encode(kind)
    for name in ('picture', 'IMG_1.2', 'README'):
        (tmp_path / name).write_bytes(data if name != 'README' else b'P1 is a car\nBM too')
    tree = files.walk(tmp_path)
    assert tree.images == ['IMG_1.2', 'picture']
    assert [str(note) for note in files.passed_over(tree.others)] == [
        f'{files.NO_IMAGES}: 1 (1 without suffix)'
    ]
    assert is_close(decode.decode(tmp_path / 'picture', 32))


def test_the_first_picture_of_a_stereo_photograph(tmp_path):
    PHOTO.save(tmp_path / '1.mpo', save_all=True, append_images=[PHOTO.convert('L')])
    assert files.walk(tmp_path).images == ['1.mpo']
    assert is_close(decode.decode(tmp_path / '1.mpo', 32))


@pytest.mark.parametrize('compression', ['raw', 'tiff_lzw', 'jpeg', 'tiff_adobe_deflate'])
def test_compressed_tiffs(compression):
    out = io.BytesIO()
    PHOTO.save(out, 'TIFF', compression=compression)
    assert is_close(decode.decode(out.getvalue(), 32))


@pytest.mark.usefixtures('without_readers')
def test_files_without_a_reader_are_counted_with_the_command(tmp_path, capsys):
    for kind in ('cat', 'dog'):
        tiny.files(tmp_path / 'in' / kind, tiny.images(2))
        for name in ('3.heic', '4.HEIC', '5.jxl', '6', '7.cr2', '8.txt'):
            (tmp_path / 'in' / kind / name).write_bytes(HEIC)
    heif = "pip install 'jaxdl[heif]'"
    lines = [
        f'{files.NO_READER}: 8 (4 .heic: {heif}, 2 .jxl: pip install pillow-jxl-plugin, '
        f'2 HEIF: {heif})',
        f'{files.OTHER_KINDS}: 2 (2 .cr2)',
        f'{files.NO_IMAGES}: 2 (2 .txt)',
    ]
    load(Data(dataset='folder:in', image_size=8))
    assert list_messages(capsys) == [f'jaxdl: in: {line}' for line in lines]
    run = tiny.workdir(tmp_path / 'run')
    predict = ['--mode=predict', f'--checkpoint={run}', '--output=p.csv']
    assert command.main([*predict, '--images=in']) == 0
    assert list_messages(capsys) == [f'jaxdl: in: {line}' for line in lines]
    assert command.main([*predict, '--images=in/cat/3.heic']) == 2
    assert f'3.heic (HEIF, which needs: {heif})' in capsys.readouterr().err


@pytest.mark.usefixtures('without_readers')
def test_a_folder_of_such_files_and_a_table_of_them_name_the_command(tmp_path):
    for kind in ('cat', 'dog'):
        (tmp_path / 'in' / kind).mkdir(parents=True)
        (tmp_path / 'in' / kind / f'{kind}1.heic').write_bytes(HEIC)
    with pytest.raises(InputError, match=r"no images.*2 \.heic: pip install 'jaxdl\[heif\]'"):
        folder.folder('in')
    (tmp_path / 't.csv').write_text('image,label\ncat1,cat\ndog1.heic,dog\n')
    with pytest.raises(InputError, match=r"cat1 \(HEIF, which needs: pip install 'jaxdl\[heif"):
        load(Data(dataset='csv:t.csv', images='in'))


class StandIn(ImageFile.ImageFile):
    """A reader of HEIC that reads a PNG behind the head."""

    format, format_description = 'HEIF', ''

    def _open(self):
        with Image.open(io.BytesIO(self.fp.read()[len(HEIC) :])) as image:
            self._size, self._mode, self.inner = image.size, image.mode, image.copy()
        self.tile = []

    def load(self):
        self.im = self.inner.im
        return super().load()


def test_a_reader_that_is_installed_later_is_used(tmp_path, monkeypatch):
    """Also for images that an earlier run could not read, whose cached entry is not used."""
    for kind, seed in (('cat', 0), ('dog', 1)):
        out = io.BytesIO()
        Image.fromarray(tiny.images(1, seed=seed)[0]).save(out, 'PNG')
        for name in ('1.heic', '2.png', '3.png'):
            path = tmp_path / 'in' / kind / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(out.getvalue() if name != '1.heic' else HEIC + out.getvalue())
    lines = [f'cat/{i},cat' for i in ('1.heic', '2.png', '3.png')]
    lines += [f'dog/{i},dog' for i in ('1.heic', '2.png', '3.png')]
    (tmp_path / 't.csv').write_text('\n'.join(('image,label', *lines)))
    data = Data(dataset='csv:t.csv', images='in', image_size=32, on_bad_image='skip')
    plain = tuple(name for name in image_headers.formats() if name not in image_headers.PLUGINS)
    with monkeypatch.context() as patch:
        patch.setattr(image_headers, 'formats', lambda: plain)
        assert len(load(data).ids) == 4
    tables = (Image.OPEN, Image.ID, Image.MIME, Image.EXTENSION)
    before = [table.copy() for table in tables]
    register = lambda: Image.register_open('HEIF', StandIn, lambda head: head[4:8] == b'ftyp')
    module = types.SimpleNamespace(register_heif_opener=register)
    monkeypatch.setitem(sys.modules, 'pillow_heif', module)
    monkeypatch.setattr(image_headers.metadata, 'version', lambda name: '1.0')
    image_headers.formats.cache_clear()
    try:
        dataset = load(data)
        assert len(dataset.ids) == 6
        np.testing.assert_array_equal(dataset.images[0], dataset.images[1])
        assert 'pillow-heif 1.0' in decode.describe_decoder()
    finally:
        for table, rows in zip(tables, before, strict=True):
            table.clear()
            table.extend(rows) if isinstance(table, list) else table.update(rows)
        image_headers.formats.cache_clear()


def write_size(width, height, ratio=0, small=False):
    """The size header as text of bits, the lowest first."""
    bits = str(int(small))

    def add(value, count):
        nonlocal bits
        bits += f'{value:0{count}b}'[::-1]

    def add_side(side):
        if small:
            return add(side // 8 - 1, 5)
        selector = next(i for i, n in enumerate(jpeg_xl.BITS) if side - 1 < 2**n)
        add(selector, 2)
        return add(side - 1, jpeg_xl.BITS[selector])

    add_side(height)
    add(ratio, 3)
    if not ratio:
        add_side(width)
    return jpeg_xl.CODESTREAM + int(bits[::-1], 2).to_bytes(16, 'little')


@pytest.mark.parametrize(
    ('size', 'options'),
    [
        ((8, 256), dict(small=True)),
        ((160, 120), dict(ratio=3, small=True)),
        ((1, 1), {}),
        ((513, 512), {}),
        ((9000, 70_000), {}),
        ((2**30, 2**18 + 1), {}),
        ((300, 200), dict(ratio=4)),
        ((2**20, 2**19), dict(ratio=7)),
    ],
)
@pytest.mark.parametrize('boxes', [b'', b'jxlc', b'jxlp'])
def test_the_size_of_a_jpeg_xl_is_in_its_header(size, options, boxes):
    data = write_size(*size, **options)
    if boxes:
        content = boxes + b'\x80\0\0\0' * (boxes == b'jxlp') + data
        before = (20).to_bytes(4) + b'ftypjxl \0\0\0\0jxl '
        data = jpeg_xl.CONTAINER + before + (len(content) + 4).to_bytes(4) + content
    assert jpeg_xl.is_jpeg_xl(data)
    assert jpeg_xl.read_size(data) == size
    if size[0] * size[1] > image_headers.PIXELS:
        with pytest.raises(decode.BadImage, match='pixels, more than'):
            decode.decode(data, 8)


def test_a_jpeg_xl_without_size_is_bad():
    for data in (jpeg_xl.CONTAINER, jpeg_xl.CONTAINER + b'\0\0\0\x09jxlc\xff'):
        with pytest.raises(decode.BadImage, match='without an image'):
            decode.decode(data, 8)


@pytest.mark.parametrize('size', [(8, 8), (97, 61), (1000, 30), (320, 240)])
def test_a_plugin_agrees_with_the_size_of_a_jpeg_xl(size):
    assert jpeg_xl.read_size(encode('JXL', PHOTO.resize(size))) == size


def test_heic_files_are_upright():
    """The plugin turns the pixels itself."""
    pytest.importorskip('pillow_heif')
    image_headers.formats()
    exif, out = Image.Exif(), io.BytesIO()
    exif[image_headers.ORIENTATION] = 6
    PHOTO.save(out, 'HEIF', exif=exif.tobytes(), quality=90)
    decoded = decode.decode(out.getvalue(), 32).astype(np.float32)
    turned = PHOTO.transpose(Image.Transpose.ROTATE_270)
    expected = np.asarray(turned.resize((32, 32), Image.Resampling.BILINEAR, (0, 16, 64, 80)))
    assert np.abs(decoded - expected.astype(np.float32)).mean() < 8
