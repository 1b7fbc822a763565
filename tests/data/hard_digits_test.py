"""Hard digits: fixed draws, whole source digits in one split, tint by class except in test."""

import dataclasses
import hashlib

import numpy as np
import pytest
from scipy import ndimage
from sklearn.datasets import load_digits

from jaxdl.data import Data, audit, load, split
from jaxdl.data.sources import hard_digits as source
from jaxdl.data.sources.hard_digits import hard_digits
from jaxdl.errors import InputError

PLAIN, TINTED = Data(dataset='hard_digits'), Data(dataset='hard_digits:tinted')
PARTS = ('train', 'val', 'test')


@pytest.fixture(scope='module')
def plain():
    return load(PLAIN)


@pytest.fixture(scope='module')
def tinted():
    return load(TINTED)


def hues(images):
    """Hue of the brightest pixel of each image, in turns."""
    flat = images.reshape(len(images), -1, 3).astype(float)
    red, green, blue = np.moveaxis(flat[np.arange(len(flat)), flat.sum(-1).argmax(1)], -1, 0)
    return np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue) / (2 * np.pi) % 1


def hue_of_class(dataset, indices):
    """Length of the mean direction of the hues around those of their classes, 0 to 1."""
    apart = hues(dataset.images[indices]) - dataset.labels[indices] / 10
    return abs(np.exp(2j * np.pi * apart).mean())


def test_the_bytes_are_fixed_and_every_source_digit_has_its_draws(plain):
    labels = load_digits().target
    assert plain.images.shape == (source.DRAWS * len(labels), 12, 12, 3)
    assert plain.images.dtype == np.uint8
    np.testing.assert_array_equal(plain.labels, np.repeat(labels, source.DRAWS))
    assert plain.groups == tuple(name.partition('/')[0] for name in plain.ids)
    assert hashlib.sha256(plain.images.tobytes()).hexdigest()[:16] == '1218ae94b9e1d4cb'
    assert hashlib.sha256(hard_digits('tinted').images).hexdigest()[:16] == '7e02bea49db17a1c'


def test_an_image_is_scipys_rotation_and_shift_of_its_source_digit():
    ink, draws = load_digits().images[:20] / 16, np.random.default_rng(1).random((4, 20, 2))
    images = source._canvas(ink, draws)
    for digit, draw in np.ndindex(20, 2):
        turn, *shift, contrast = draws[:, digit, draw]
        angle = np.deg2rad(source.ANGLE) * (2 * turn - 1)
        matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        centre = 5.5 + source.SHIFT * (2 * np.array(shift) - 1)
        expected = ndimage.affine_transform(
            ink[digit], matrix, 3.5 - matrix @ centre, (12, 12), order=1, mode='grid-constant'
        )
        factor = source.CONTRAST + (1 - source.CONTRAST) * contrast
        np.testing.assert_allclose(images[digit, draw], 0.5 + factor * (expected - 0.5), atol=1e-12)


@pytest.mark.parametrize('number', [0, 1])
@pytest.mark.parametrize('form', ['plain', 'tinted'])
def test_a_quarter_a_quarter_and_a_half_of_the_source_digits(form, number, request):
    dataset = request.getfixturevalue(form)
    splits = split(dataset, PLAIN, number)
    groups = np.array(dataset.groups)
    sources = [set(groups[getattr(splits, part)]) for part in PARTS]
    assert len(set.union(*sources)) == sum(map(len, sources)) == 1797
    for part, names, share in zip(PARTS, sources, (0.25, 0.25, 0.5), strict=True):
        indices = getattr(splits, part)
        assert abs(len(names) - share * 1797) < 5
        assert len(indices) == source.DRAWS * len(names)
        counts = np.bincount(dataset.labels[indices]) / source.DRAWS
        assert (abs(counts - share * np.bincount(load_digits().target)) < 2).all()


def test_another_seed_and_another_number_split_anew(plain):
    numbers = [split(plain, PLAIN, number).test for number in (0, 1)]
    assert not np.array_equal(*numbers)
    seeded = split(plain, dataclasses.replace(PLAIN, split_seed=1)).test
    np.testing.assert_array_equal(seeded, numbers[1])


def test_the_tint_depends_on_the_class_except_in_test(plain, tinted):
    splits = split(tinted, TINTED)
    assert min(hue_of_class(tinted, part) for part in (splits.train, splits.val)) > 0.7
    assert hue_of_class(tinted, splits.test) < 0.1
    ordinary = split(plain, PLAIN)
    assert max(hue_of_class(plain, getattr(ordinary, part)) for part in PARTS) < 0.1


def test_both_forms_have_the_same_test_images(plain, tinted):
    one, other = split(plain, PLAIN).test, split(tinted, TINTED).test
    np.testing.assert_array_equal(plain.images[one], tinted.images[other])
    assert [plain.ids[i] for i in one] == [tinted.ids[i] for i in other]


@pytest.mark.parametrize('kind', ['grouped', 'stratified'])
def test_tints_stay_on_their_side_under_every_kind_of_split(tinted, kind):
    data = dataclasses.replace(TINTED, split=kind, fractions=(0.5, 0.2, 0.3))
    splits = split(tinted, data)
    roles = np.array(tinted.roles)
    assert [set(roles[getattr(splits, part)]) for part in PARTS] == [{'fit'}, {'fit'}, {'test'}]


def test_a_subset_of_the_tinted_form_has_both_tints_of_every_image():
    dataset = load(dataclasses.replace(TINTED, subset=600))
    names = {role: set() for role in ('fit', 'test')}
    for name, role in zip(dataset.ids, dataset.roles or (), strict=True):
        names[role].add(name.removesuffix('/tinted'))
    assert names['fit'] == names['test']
    assert 600 - 2 * source.DRAWS < len(dataset.ids) <= 600
    splits = split(dataset, TINTED)
    assert all(len(set(dataset.labels[getattr(splits, part)])) == 10 for part in PARTS)
    with pytest.raises(InputError, match=f'need {30 * 2 * source.DRAWS} images'):
        load(dataclasses.replace(TINTED, subset=50))


def test_the_data_check_does_not_report_draws_of_one_digit(plain):
    findings = audit.examine(plain, split(plain, PLAIN))
    assert findings['split'] == 'in whole groups that the source names'
    assert findings['identical']['pairs'] == 0
    assert not findings['near']['checked']


@pytest.mark.parametrize('where', ['tint', 'Tinted', 'tinted:2', ' '])
def test_another_form_is_refused(where):
    with pytest.raises(InputError, match='use --dataset=hard_digits or --dataset=hard_digits:tint'):
        hard_digits(where)
