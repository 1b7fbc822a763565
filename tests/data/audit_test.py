"""Checks of a data set: planted defects are found, counted, named, pictured and reported."""

import json
import types

import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from jaxdl.data import audit
from jaxdl.data.listing import Dataset
from jaxdl.data.splits import Splits, grouped
from jaxdl.report.page import blocks, data_check, markup

SIDE = 64


def photos(count):
    corners = [(y, x) for y in range(0, 360, 70) for x in range(0, 560, 70)]
    images = [
        image[y : y + SIDE, x : x + SIDE]
        for image in load_sample_images().images
        for y, x in corners
    ]
    textured = [image for image in images if image.std() > 25]
    return np.stack(textured[:count])


def dataset(images, digests=(), skipped=()):
    labels = np.arange(len(images), dtype=np.int32) % 2
    ids = tuple(f'<i>{i}|.jpg' for i in range(len(images)))
    return Dataset(
        'made', 'made', images, labels, ids, ('cat', 'dog'), digests=digests, skipped=skipped
    )


PARTS = Splits(np.arange(20), np.arange(20, 26), np.arange(26, 32), 'at random')


def planted():
    """0 and 21 are one file; 2 and 28 (same class), 3 and 30 (other class) equal; 5, 31 alike."""
    images = photos(32)
    images[21] = images[0]
    images[28] = images[2]
    images[30] = images[3]
    images[31] = np.clip(images[5] * 0.9 + 10, 0, 255)
    digests = [str(i) for i in range(32)]
    digests[21] = digests[0]
    return dataset(images, tuple(digests), (('broken.jpg', 'truncated'),))


def test_planted_duplicates_are_counted():
    findings = audit.examine(planted(), PARTS)
    assert json.loads(json.dumps(findings)) == findings
    same, near = findings['identical'], findings['near']
    assert [counts['pairs'] for counts in same['across'].values()] == [1, 2, 0]
    assert [counts['images'] for counts in same['across'].values()] == [1, 2, 0]
    assert list(same['across']) == ['train-val', 'train-test', 'val-test']
    assert (same['pairs'], same['files']) == (3, 1)
    assert {tuple(pair['ids']) for pair in same['conflicts']['examples']} == {
        ('<i>0|.jpg', '<i>21|.jpg'),
        ('<i>3|.jpg', '<i>30|.jpg'),
    }
    assert near['across']['train-test'] == dict(pairs=1, images=1)
    assert near['examples'] == [
        dict(ids=['<i>5|.jpg', '<i>31|.jpg'], parts=['train', 'test'], classes=['dog', 'dog'])
    ]
    assert (near['pairs'], near['clusters'], near['clustered'], near['largest']) == (1, 4, 8, 2)
    assert findings['skipped'] == dict(count=1, examples=[['broken.jpg', 'truncated']])
    assert findings['parts']['train']['images'] == 20


def test_images_outside_the_split_do_not_count():
    thinned = Splits(np.arange(6, 20), PARTS.val, PARTS.test)
    findings = audit.examine(planted(), thinned)
    assert findings['identical']['pairs'] == findings['near']['pairs'] == 0


def test_a_grouped_split_has_no_duplicates_across_its_parts():
    duplicates = planted()
    findings = audit.examine(duplicates, grouped(duplicates, (0.6, 0.2, 0.2), 0))
    across = [*findings['identical']['across'].values(), *findings['near']['across'].values()]
    assert not any(counts['pairs'] for counts in across)
    assert (findings['identical']['pairs'], findings['near']['pairs']) == (3, 1)


def test_many_equal_images_make_few_pairs():
    equal_images = dataset(np.zeros((32, 8, 8, 1), np.uint8))
    findings = audit.examine(equal_images, PARTS)['identical']
    assert findings['pairs'] < 3 * 32
    assert findings['across']['train-test']['images'] == 6


def test_small_images_and_single_classes_are_reported():
    labels = np.array([0] * 31 + [1], np.int32)
    small_images = Dataset(
        'm',
        'm',
        np.random.default_rng(0).random((32, 8, 8, 1), np.float32),
        labels,
        PARTS_IDS,
        ('a', 'b'),
    )
    findings = audit.examine(small_images, PARTS)
    assert findings['single'] == dict(count=1, examples=['b'])
    assert findings['parts']['val']['missing'] == dict(count=1, examples=['b'])
    assert not findings['near']['checked']
    assert '8 x 8' in findings['near']['why']
    assert audit.pictures(small_images, findings) == {}


PARTS_IDS = tuple(map(str, range(32)))


@pytest.mark.parametrize('kind', [np.uint8, np.float32])
def test_pictures_are_the_pairs(kind):
    duplicates = planted()
    duplicates = dataset(duplicates.images.astype(kind).repeat(5, 1).repeat(5, 2))
    pictures = audit.pictures(duplicates, audit.examine(duplicates, PARTS))
    assert pictures['first'].shape == pictures['second'].shape == (1, 160, 160, 3)
    assert pictures['first'].dtype == np.uint8
    if kind == np.uint8:
        np.testing.assert_array_equal(pictures['second'][0], duplicates.images[31, ::2, ::2])


def study(tmp_path, dataset):
    findings = audit.examine(dataset, PARTS)
    (tmp_path / '0').mkdir()
    pictures = audit.pictures(dataset, findings)
    if pictures:
        np.savez(tmp_path / '0' / 'near_duplicates.npz', **pictures)
    return types.SimpleNamespace(
        data={'': types.SimpleNamespace(findings=findings)}, folder=lambda _: tmp_path / '0'
    )


def test_the_report_states_the_findings(tmp_path):
    result = data_check.blocks(study(tmp_path, planted()), '', 'near_duplicates')
    parts, table = (block for block in result if isinstance(block, blocks.Table))
    assert [row[:2] for row in parts.rows] == [['train', '20'], ['val', '6'], ['test', '6']]
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows['Identical images of train in test, pairs'][0] == '2'
    assert rows['Possible near-duplicates of train in test, pairs'][0] == '1'
    assert rows['Identical images of different classes, pairs'][0] == '2'
    assert 'truncated' in rows['Left out: cannot be decoded'][1]
    text = ' '.join(block.text for block in result if isinstance(block, blocks.Paragraph))
    assert markup.code('--set=split=grouped') in text
    figure = result[-1]
    assert isinstance(figure, blocks.Figure)
    assert '<i>5|.jpg' in figure.alt
    assert figure.drawing.png.startswith(b'\x89PNG')
    assert b'<i>' not in figure.drawing.svg


def test_the_report_of_clean_data_says_so_and_is_empty_without_findings(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 1), np.uint8)
    result = data_check.blocks(study(tmp_path, dataset(images)), '', 'near_duplicates')
    assert (
        next(block.text for block in result if isinstance(block, blocks.Paragraph))
        == data_check.CLEAN
    )
    old = types.SimpleNamespace(
        data={'': types.SimpleNamespace(findings={})}, folder=lambda _: tmp_path / '0'
    )
    assert data_check.blocks(old, '', 'near_duplicates') == []
