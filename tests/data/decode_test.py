"""Decoding: every mode and format, orientation, agreement of decoders, unreadable files."""

import io
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_images

from jaxdl.data import decode as module
from jaxdl.data import image_headers
from jaxdl.data.decode import BadImage, decode, list_decoders

PHOTO = Image.fromarray(load_sample_images().images[0]).resize((320, 214))
DECODERS = list_decoders()


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def reference(image, size):
    """The centred square by Pillow's own helpers, from all pixels."""
    return np.asarray(
        ImageOps.fit(image.convert('RGB'), (size, size), Image.Resampling.BILINEAR), np.float32
    )


def difference(decoded, expected):
    return np.abs(decoded.astype(np.float32) - expected).mean()


@pytest.mark.parametrize('size', [17, 32, 64, 200, 300])
@pytest.mark.parametrize('name', DECODERS)
@pytest.mark.parametrize(
    'options', [{}, dict(progressive=True), dict(subsampling=0), dict(subsampling=1)]
)
def test_decoders_agree_with_all_pixels(name, size, options):
    data = encoded(PHOTO, 'JPEG', quality=92, **options)
    decoded = decode(data, size, name)
    assert decoded.shape == (size, size, 3)
    assert decoded.dtype == np.uint8
    assert difference(decoded, reference(Image.open(io.BytesIO(data)), size)) < 3.5
    assert difference(decoded, decode(data, size, 'pillow')) < 0.5


@pytest.mark.parametrize('name', DECODERS)
@pytest.mark.parametrize(
    'shape', [(321, 215), (215, 321), (97, 97), (8, 300), (33, 32), (5, 3), (1, 1)]
)
def test_odd_sides_agree(name, shape):
    data = encoded(PHOTO.resize(shape), 'JPEG', quality=95)
    assert difference(decode(data, 32, name), decode(data, 32, 'pillow')) < 0.5
    assert difference(decode(data, 32, name), reference(Image.open(io.BytesIO(data)), 32)) < 5


@pytest.mark.parametrize('turn', range(1, 9))
@pytest.mark.parametrize('name', DECODERS)
@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP', 'TIFF'])
def test_exif_orientation_is_applied(kind, name, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encoded(PHOTO, kind, exif=exif, **(dict(quality=95) if kind == 'JPEG' else {}))
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert difference(decode(data, 48, name), reference(upright, 48)) < 4
    others = [
        Image.Transpose.ROTATE_90,
        Image.Transpose.FLIP_LEFT_RIGHT,
        Image.Transpose.ROTATE_180,
    ]
    for other in others:
        assert difference(decode(data, 48, name), reference(upright.transpose(other), 48)) > 15


@pytest.mark.parametrize(
    ('mode', 'kind'),
    [('RGB', k) for k in ('PNG', 'BMP', 'WEBP', 'TIFF', 'PPM', 'GIF')]
    + [('L', k) for k in ('PNG', 'BMP', 'JPEG', 'TIFF', 'PPM', 'GIF')]
    + [
        ('P', 'PNG'),
        ('P', 'BMP'),
        ('1', 'PNG'),
        ('CMYK', 'JPEG'),
        ('CMYK', 'TIFF'),
        ('LA', 'PNG'),
        ('RGBA', 'PNG'),
    ],
)
def test_modes_and_formats(mode, kind):
    image = PHOTO.convert(mode)
    options = dict(lossless=True) if kind == 'WEBP' else dict(quality=95) if kind == 'JPEG' else {}
    decoded = decode(encoded(image, kind, **options), 40)
    assert difference(decoded, reference(image, 40)) < 4


@pytest.mark.parametrize('name', DECODERS)
def test_cmyk_is_not_inverted(name):
    colours = Image.new('CMYK', (64, 64), (0, 200, 180, 20))
    decoded = decode(encoded(colours, 'JPEG', quality=95), 16, name)
    np.testing.assert_allclose(decoded[8, 8], np.asarray(colours.convert('RGB'))[8, 8], atol=4)
    assert decoded[8, 8, 0] > 200


@pytest.mark.parametrize('kind', ['PNG', 'TIFF', 'PPM'])
def test_sixteen_bits_are_scaled_and_not_clipped(kind):
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1))
    decoded = decode(encoded(Image.fromarray(ramp), kind), 64)
    np.testing.assert_allclose(decoded[..., 0], ramp / 257, atol=0.51)


def test_transparent_pixels_lie_over_white():
    image = Image.new('RGBA', (40, 40), (200, 0, 0, 0))
    image.paste((0, 0, 200, 255), (0, 0, 20, 40))
    for data in (
        encoded(image, 'PNG'),
        encoded(image, 'WEBP', lossless=True),
        encoded(image.quantize(), 'PNG'),
    ):
        decoded = decode(data, 40)
        assert tuple(decoded[20, 35]) == (255, 255, 255)
        np.testing.assert_allclose(decoded[20, 5], (0, 0, 200), atol=2)
    keyed = encoded(Image.new('L', (8, 8), 7), 'PNG', transparency=7)
    assert decode(keyed, 8).min() == 255


@pytest.mark.parametrize('kind', ['GIF', 'WEBP', 'PNG', 'TIFF'])
def test_an_animation_gives_its_first_frame(kind):
    frames = [Image.new('RGB', (30, 20), colour) for colour in ((250, 10, 10), (10, 250, 10))]
    decoded = decode(encoded(frames[0], kind, save_all=True, append_images=frames[1:]), 10)
    np.testing.assert_allclose(decoded[5, 5], (250, 10, 10), atol=6)


def test_files_and_bytes_are_the_same(tmp_path):
    data = encoded(PHOTO, 'JPEG')
    (tmp_path / 'a.txt').write_bytes(data)
    np.testing.assert_array_equal(decode(tmp_path / 'a.txt', 32), decode(data, 32))
    assert decode(data, 32).flags.c_contiguous
    for path, why in ((tmp_path / 'none', 'no such file'), (tmp_path, 'not a file')):
        with pytest.raises(BadImage, match=why):
            decode(path, 32)


def chunk(name, body):
    return struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body))


def png(width, height, pixels=b''):
    header = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
    return (
        b'\x89PNG\r\n\x1a\n' + header + chunk(b'IDAT', zlib.compress(pixels)) + chunk(b'IEND', b'')
    )


def jpeg(width, height, **options):
    """A JPEG whose header claims another size."""
    data = bytearray(encoded(Image.new('RGB', (64, 64)), 'JPEG', **options))
    at = data.index(b'\xff\xc2' if options else b'\xff\xc0')
    data[at + 5 : at + 9] = struct.pack('>HH', height, width)
    return bytes(data)


@pytest.mark.parametrize('name', DECODERS)
@pytest.mark.parametrize(
    'data', [png(60000, 60000), jpeg(60000, 60000), jpeg(65000, 3000, progressive=True)]
)
def test_decompression_bombs_are_detected_in_the_header(data, name, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError('decoded')

    monkeypatch.setattr(module, '_finish', never)
    monkeypatch.setattr(Image.Image, 'load', never)
    with pytest.raises(BadImage, match='pixels'):
        decode(data, 32, name)


@pytest.mark.parametrize('shape', [(1, 200_000), (200_000, 1)])
def test_a_thread_of_pixels_costs_no_memory(shape):
    image = Image.new('L', shape, 77)
    assert np.all(decode(encoded(image, 'PNG'), 64) == 77)


@pytest.mark.parametrize(
    'data',
    [
        b'',
        b'\xff\xd8',
        b'\xff\xd8\xff',
        b'hello',
        b'<html></html>',
        b'\0' * 5000,
        b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n',
        png(0, 5),
        png(9, 9),
        jpeg(0, 0),
        b'GIF89a',
        b'RIFF\0\0\0\0WEBP',
        b'BM' + b'\xff' * 60,
        b'II*\0' + b'\xff' * 40,
    ],
)
@pytest.mark.parametrize('name', DECODERS)
def test_undecodable_files_have_a_one_line_reason(data, name, capfd):
    with pytest.raises(BadImage) as caught:
        decode(data, 32, name)
    reason = str(caught.value)
    assert reason
    assert '\n' not in reason
    assert '0x' not in reason
    assert capfd.readouterr() == ('', '')


@pytest.mark.parametrize('share', [0.02, 0.1, 0.3, 0.5, 0.8, 0.95])
@pytest.mark.parametrize('name', DECODERS)
@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF'])
def test_a_file_cut_short_is_bad(kind, name, share, capfd):
    data = encoded(PHOTO.resize((120, 90)), kind)
    with pytest.raises(BadImage):
        decode(data[: int(len(data) * share)], 16, name)
    assert capfd.readouterr() == ('', '')


def test_floats_have_no_range():
    with pytest.raises(BadImage, match='floating'):
        decode(encoded(Image.new('F', (9, 9), 0.5), 'TIFF'), 8)


def test_random_damage_gives_pixels_or_a_reason(capfd):
    rng, reasons = np.random.default_rng(0), []
    quiet = [name for name in DECODERS if name != 'cv2']  # its libjpeg speaks to stderr itself
    for kind in ('JPEG', 'PNG', 'WEBP', 'GIF', 'TIFF'):
        whole = np.frombuffer(encoded(PHOTO.resize((60, 40)), kind), np.uint8)
        for name in quiet:
            for _ in range(40):
                data = whole.copy()
                data[rng.integers(0, len(data), 6)] = rng.integers(0, 256, 6)
                try:
                    assert decode(data.tobytes(), 8, name).shape == (8, 8, 3)
                except BadImage as error:
                    reasons.append(str(error))
    assert all(reasons)
    assert capfd.readouterr() == ('', '')


def test_no_warning_leaks_from_any_thread_and_filters_come_back(recwarn):
    image = Image.new('P', (20, 20))
    image.putpalette(list(range(256)) * 3)
    data = encoded(image, 'PNG', transparency=bytes(range(256)))
    before = list(warnings.filters)
    threads = [
        threading.Thread(target=lambda: [decode(data, 8) for _ in range(50)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before
    assert not recwarn.list
    assert not image_headers._inside


def test_the_decoder_is_named_with_its_version():
    named = module.describe_decoder()
    assert DECODERS[0] in named
    assert f'pillow {Image.__version__}' in named
