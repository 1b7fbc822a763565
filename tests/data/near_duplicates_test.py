"""Hashes of near-duplicates: the same photograph against others, and all pairs."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance
from sklearn.datasets import load_sample_images

from jaxdl.data import near_duplicates
from jaxdl.errors import InputError
from jaxdl.report.page import data_check

SIDE = 64


def photos():
    """Twelve different views: quarters and more of two photographs."""
    boxes = [(x, y, x + 200, y + 200) for x in (0, 210, 420) for y in (0, 210)]
    return [
        Image.fromarray(image).crop(box) for image in load_sample_images().images for box in boxes
    ]


def small(images):
    return np.stack(
        [np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for image in images]
    )


def encoded(image):
    file = io.BytesIO()
    image.save(file, 'JPEG', quality=40)
    return Image.open(file)


CHANGES = {
    'brighter': lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    'less contrast': lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    'encoded again': encoded,
    'grey': lambda image: image.convert('L').convert('RGB'),
    'smaller': lambda image: image.resize((96, 96)),
    'cropped': lambda image: image.crop((2, 2, 198, 198)),
}


@pytest.mark.parametrize('change', CHANGES)
def test_a_changed_photograph_pairs_with_itself_and_no_other(change):
    originals = photos()
    both = np.concatenate(
        [small(originals), small([CHANGES[change](image) for image in originals])]
    )
    pairs = near_duplicates.find_pairs(near_duplicates.compute_hashes(both))
    np.testing.assert_array_equal(pairs, [(i, i + len(originals)) for i in range(len(originals))])


def products(count):
    """Rectangles and trapezoids of similar size on white, each in a colour of its own."""
    rng, images = np.random.default_rng(1), []
    for i in range(count):
        image = Image.new('RGB', (200, 200), (250, 250, 250))
        top, bottom = rng.uniform(40, 48), rng.uniform(52, 60)
        outline = [(100 - top, 30), (100 + top, 30), (100 + bottom, 170), (100 - bottom, 170)]
        fill = tuple(map(int, rng.integers(10, 230, 3)))
        ImageDraw.Draw(image).polygon(outline, fill)
        stripe = [60, 40 + 3 * i, 140, 60 + 3 * i]
        ImageDraw.Draw(image).rectangle(stripe, tuple(map(int, rng.integers(10, 230, 3))))
        images.append(image)
    return images


def test_different_objects_on_a_plain_background_are_no_pairs():
    images = small(products(30))
    by_hash = near_duplicates.find_pairs(near_duplicates.compute_hashes(images))
    assert len(by_hash) > 10
    assert not len(near_duplicates.find_similar(images))
    floats = images.astype(np.float32) / 255 - 0.5
    assert not len(near_duplicates.find_similar(floats))


@pytest.mark.parametrize('change', [name for name in CHANGES if name != 'grey'])
def test_an_edited_photograph_of_an_object_on_a_plain_background_is_a_pair(change):
    originals = products(12)
    both = np.concatenate(
        [small(originals), small([CHANGES[change](image) for image in originals])]
    )
    pairs = near_duplicates.find_similar(both)
    np.testing.assert_array_equal(pairs, [(i, i + len(originals)) for i in range(len(originals))])


def test_only_pairs_of_two_plain_backgrounds_are_compared_by_pixels():
    images = np.concatenate([small(photos()[:2]), small(products(2))])
    confirm = near_duplicates.compare_pixels(images)
    one, other = np.array([0, 0, 2]), np.array([1, 2, 3])
    assert confirm(one, other).tolist() == [True, True, False]


def test_hashes_depend_on_neither_size_nor_type_nor_chunk(monkeypatch):
    images = small(photos())
    hashes = near_duplicates.compute_hashes(images)
    np.testing.assert_array_equal(
        near_duplicates.compute_hashes(images.repeat(2, 1).repeat(2, 2)), hashes
    )
    np.testing.assert_array_equal(near_duplicates.compute_hashes(images.astype(np.float32)), hashes)
    monkeypatch.setattr(near_duplicates, '_CHUNK', 5)
    np.testing.assert_array_equal(near_duplicates.compute_hashes(images), hashes)


@pytest.mark.parametrize('shape', [(33, 47, 1), (100, 32, 4)])
def test_any_shape_of_image_is_hashed(shape):
    images = np.random.default_rng(0).integers(0, 256, (6, *shape), np.uint8)
    hashes = near_duplicates.compute_hashes(images)
    assert len(near_duplicates.find_pairs(hashes)) == 0
    assert np.bitwise_count(hashes).sum(1).tolist() == [128] * 6


def test_flat_images_are_like_none():
    noise = np.random.default_rng(0).integers(0, 3, (20, SIDE, SIDE, 3))
    images = (np.linspace(0, 250, 20)[:, None, None, None] + noise).astype(np.uint8)
    hashes = near_duplicates.compute_hashes(images)
    assert not hashes.any()
    assert len(near_duplicates.find_pairs(hashes)) == 0


def test_small_images_are_not_checked():
    assert not near_duplicates.is_checkable(np.zeros((2, 8, 8, 1)))
    assert near_duplicates.is_checkable(np.zeros((2, 32, 32, 3)))


@pytest.mark.parametrize('distance', [20, 40, 80])
def test_pairs_are_those_of_brute_force(distance, monkeypatch):
    monkeypatch.setattr(near_duplicates, '_TILE', (16, 48))
    random = np.random.default_rng(distance)
    bits = random.random((150, 256)) < 0.5
    bits[75:] = bits[:75] ^ (random.random((75, 256)) < np.linspace(0, 0.5, 75)[:, None])
    bits[10:12] = False
    differ = bits[:, None] ^ bits[None]
    alike = (differ.sum(-1) <= distance) & (
        differ[..., :64].sum(-1) <= near_duplicates.COARSE * distance // near_duplicates.DISTANCE
    )
    alike[10:12] = alike[:, 10:12] = False
    hashes = np.packbits(bits, axis=1).view(np.uint64)
    np.testing.assert_array_equal(
        near_duplicates.find_pairs(hashes, distance), np.argwhere(np.triu(alike, 1))
    )


def test_pairs_without_end_are_refused():
    with pytest.raises(InputError, match=r'more than 200 near-duplicates for each of 500 images'):
        near_duplicates.find_pairs(np.ones((500, 4), np.uint64))


def test_clusters_follow_chains():
    clusters = near_duplicates.number_clusters(6, np.array([(0, 3), (3, 5), (1, 2)]))
    assert (
        clusters[0]
        == clusters[3]
        == clusters[5]
        != clusters[1]
        == clusters[2]
        != clusters[4]
        != clusters[0]
    )


def test_equal_images_are_one_group_and_are_looked_for_once(monkeypatch):
    images = np.concatenate(
        [small(photos()), small(photos()[:1]), np.full((2, SIDE, SIDE, 3), 9, np.uint8)]
    )
    groups = near_duplicates.group_images(images)
    assert groups[0] == groups[12]
    assert groups[13] == groups[14]
    assert len(np.unique(groups)) == 13
    monkeypatch.setattr(near_duplicates, 'compute_hashes', None)
    assert near_duplicates.find_similar(images).tolist() == [[0, 12]]


def test_the_report_states_the_false_alarms_that_the_benchmark_finds():
    """Products on a plain background; the characters depend on Pillow's font."""
    benchmark = pytest.importorskip('benchmarks.near_duplicates', reason='the tests stand alone')
    rng = np.random.default_rng(0)
    images = np.stack([np.asarray(benchmark.draw_product(rng)) for _ in range(600)])
    share = len(np.unique(near_duplicates.find_similar(images))) / len(images)
    assert f'{100 * share:.1f} % (products on a plain background)' in data_check.ALARMS
