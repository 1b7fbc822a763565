"""Features: independent of the batches, computed once, checked when read again."""

import os
import pathlib

import jax
import numpy as np
import pytest

from jaxdl.augment import centre_boxes, resized_crop
from jaxdl.errors import InputError
from jaxdl.inference import features
from jaxdl.models.architectures import Preprocessing
from jaxdl.models.resnet import ResNet
from jaxdl.models.resnet_rows import ResNetRow

TINY = ResNetRow(
    'tiny', 'basic', (1,), (4,), 'cifar', preprocessing=Preprocessing(size=8, crop=0.75)
)
MODULE = ResNet(TINY, 0, TINY.preprocessing)
VARIABLES = jax.jit(MODULE.init)(jax.random.key(0), np.zeros((1, 8, 8, 3), np.float32))
IMAGES = np.random.default_rng(0).integers(0, 256, (37, 12, 12, 3), np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr(features, 'BATCH', 8)
    monkeypatch.setattr(features, 'PIECE', 16)
    return tmp_path / 'jaxdl' / 'features'


def extracted(images=IMAGES, **options):
    """The features, and how many images were told of as computed or read."""
    counts = []
    return features.extract(MODULE, VARIABLES, images, progress=counts.append, **options), sum(
        counts
    )


@pytest.fixture
def calls(monkeypatch):
    """Sizes of the batches that went through the network."""
    sizes, compute = [], features._features

    def counted(network, images, size):
        sizes.append(len(images))
        return compute(network, images, size=size)

    monkeypatch.setattr(features, '_features', counted)
    return sizes


def test_out_of_memory_is_reported_in_one_line(monkeypatch):
    def refuses(network, images, size):
        raise jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: Out of memory allocating 9999 bytes.')

    monkeypatch.setattr(features, '_features', refuses)
    with pytest.raises(
        InputError, match='out of memory with 8 images at a time: a smaller probe_size'
    ):
        extracted()


def direct(images, size=8):
    crops = resized_crop(images.astype(np.float32) / 255, centre_boxes(len(images), 0.75), size)
    prepared = TINY.preprocessing
    mean, std = (
        np.array(moment, np.float32).reshape(1, 1, 1, 3) for moment in (prepared.mean, prepared.std)
    )
    return MODULE.apply(VARIABLES, (crops - mean) / std, method='features')


@pytest.mark.parametrize('size', [0, 10])
def test_features_are_those_of_normalised_centre_crops(size):
    features, counts = extracted(size=size, flips=True)
    assert features.shape == (37, 2, 4)
    assert counts == 2 * 37
    np.testing.assert_allclose(features[:, 0], direct(IMAGES, size or 8), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        features[:, 1], direct(IMAGES[:, :, ::-1], size or 8), rtol=1e-4, atol=1e-5
    )


def test_indices_choose_images_in_their_order():
    whole, chosen = extracted()[0], np.array([30, 2, 2, 17])
    np.testing.assert_allclose(extracted(indices=chosen)[0], whole[chosen], rtol=1e-5, atol=1e-6)


def test_one_channel_is_three_equal_ones():
    grey = IMAGES[..., :1]
    np.testing.assert_array_equal(extracted(grey)[0], extracted(np.repeat(grey, 3, axis=-1))[0])


def test_the_second_call_reads_what_the_first_wrote(calls):
    first = extracted()[0]
    assert calls == [8] * 5
    np.testing.assert_array_equal(extracted()[0], first)
    assert extracted()[1] == 37
    assert calls == [8] * 5
    extracted(flips=True)  # only the mirrored view is new
    assert calls == [8] * 10


@pytest.mark.parametrize('kind', ['weights', 'size', 'image', 'digest'])
def test_other_settings_give_other_features(kind, calls):
    extracted(digests=['d'] * 37 if kind == 'digest' else ())
    before, images = len(calls), IMAGES.copy()
    images[0, 0, 0, 0] ^= 255
    other = jax.tree.map(lambda leaf: leaf * 2, VARIABLES)
    options = dict(size=dict(size=9), digest=dict(digests=['d'] * 36 + ['e'])).get(kind, {})
    variables = other if kind == 'weights' else VARIABLES
    features.extract(
        MODULE, variables, images if kind == 'image' else IMAGES, progress=lambda _: None, **options
    )
    # Where one image changes, its piece alone is computed again.
    assert len(calls) - before == dict(weights=5, size=5, image=2, digest=1)[kind]


@pytest.mark.parametrize('damage', ['flipped', 'cut', 'gone', 'empty'])
def test_a_damaged_piece_is_computed_again(damage, folder, calls):
    first = extracted()[0]
    piece = max(folder.glob('*.piece'))
    content = bytearray(piece.read_bytes())
    content[20] ^= 1
    changed = dict(flipped=bytes(content), cut=bytes(content[:-4]), empty=b'')
    piece.unlink() if damage == 'gone' else piece.write_bytes(changed[damage])
    calls.clear()
    np.testing.assert_array_equal(extracted()[0], first)
    assert 1 <= len(calls) <= 2


def test_interrupted_work_keeps_what_is_finished(calls):
    counts = []

    def stopping(count):
        counts.append(count)
        if len(counts) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        features.extract(MODULE, VARIABLES, IMAGES, progress=stopping)
    before = len(calls)
    extracted()
    assert len(calls) - before == 3  # two of the five batches are in a finished piece


def test_the_cache_is_private_and_the_oldest_files_go(folder, monkeypatch):
    extracted()
    assert folder.stat().st_mode & 0o777 == 0o700
    first = set(folder.iterdir())
    for path in first:
        os.utime(path, (1, 1))
    monkeypatch.setattr(features, 'LIMIT', sum(path.stat().st_size for path in first))
    extracted(size=9)
    assert len(set(folder.iterdir()) - first) == 3
    assert not set(folder.iterdir()) & first


def test_features_come_without_a_place_to_keep_them(tmp_path, monkeypatch):
    stored = extracted()[0]
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(pathlib.Path(tmp_path / 'file')))
    np.testing.assert_array_equal(extracted()[0], stored)


def test_progress_says_how_fast_and_how_long(capsys, monkeypatch):
    monkeypatch.setattr('jaxdl.runtime.progress.SHORT', 0.0)
    features.extract(MODULE, VARIABLES, IMAGES)
    assert 'images/s' in capsys.readouterr().err
