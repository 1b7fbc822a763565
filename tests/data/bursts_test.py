"""Bursts of photographs, found by their features and kept on one side of each split or fold."""

import dataclasses

import numpy as np
import pytest
from labelled import check_whole, dataset

from jaxdl.data import Data, bursts, loading
from jaxdl.errors import InputError

DATA = Data(split='grouped', fractions=(0.8, 0.2, 0.0))


def series(classes=4, each=8, images=5, spread=0.05, dim=200, seed=0):
    """Features [n, dim], labels and the number of the series of `images` photographs, shuffled."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((classes, 1, 1, dim)) + 2 * rng.standard_normal(
        (classes, each, 1, dim)
    )
    features = (centres + spread * rng.standard_normal((classes, each, images, dim))).reshape(
        -1, dim
    )
    labels, numbers = (
        np.repeat(np.arange(classes), each * images),
        np.repeat(np.arange(classes * each), images),
    )
    order = rng.permutation(len(labels))
    return features[order].astype(np.float32) + 3, labels[order], numbers[order]


def same_partition(one, other):
    """Whether two names for every image divide the images alike."""
    return len({*zip(one, other, strict=True)}) == len(set(one)) == len(set(other))


def test_series_are_found_whatever_the_scale_and_the_mean():
    features, labels, numbers = series()
    for changed in (features, 100 * features, features + 50):
        assert same_partition(bursts.clusters(changed, labels), numbers)


def test_a_cluster_is_of_one_class_and_every_class_keeps_several():
    features, labels, _ = series(images=3, spread=3.0)
    groups = bursts.clusters(features, labels)
    assert len(np.unique(groups)) == len({*zip(groups, labels, strict=True)})
    assert min(len(np.unique(groups[labels == label])) for label in range(4)) >= bursts.LEAST


def test_without_neighbours_every_photograph_is_alone():
    features = np.eye(40, dtype=np.float32)
    assert len(np.unique(bursts.clusters(features, np.repeat([0, 1], 20)))) == 40


def test_large_classes_are_compared_in_blocks(monkeypatch):
    features, labels, numbers = series(each=16)
    monkeypatch.setattr(bursts, 'BLOCK', 60)
    groups = bursts.clusters(features, labels)
    assert len({*zip(groups, labels, strict=True)}) == len(np.unique(groups))
    assert np.mean([len(np.unique(groups[numbers == number])) for number in range(64)]) < 1.3


def test_a_grouped_split_keeps_series_whole_and_every_class_on_both_sides():
    features, labels, _ = series()
    named, result = bursts.split(dataset(labels), DATA, features)
    check_whole(result, len(labels))
    groups = np.array(named.groups)
    assert not set(groups[result.train]) & set(groups[result.val])
    for part in (result.train, result.val):
        assert set(labels[part]) == set(range(4))
    assert bursts.describe_groups(named, result) == dict(
        drawn='in whole bursts of photographs', groups=32, largest=5, grouped=True
    )


def test_views_and_numbers_of_splits():
    features, labels, _ = series()
    draw = lambda number: bursts.split(
        dataset(labels), DATA, np.stack([features, -features], 1), number
    )[1]
    assert not np.array_equal(draw(0).val, draw(1).val)
    np.testing.assert_array_equal(draw(0).val, bursts.split(dataset(labels), DATA, features)[1].val)


def test_without_bursts_the_split_is_stratified():
    labels = np.repeat([0, 1], 20)
    grouped, groups = bursts.split(dataset(labels), DATA, np.eye(40, dtype=np.float32))
    assert grouped.groups is None
    assert 'at random' in groups.drawn
    assert 'no bursts' in groups.drawn
    assert bursts.describe_groups(grouped, groups) == dict(
        drawn=groups.drawn, groups=40, largest=1, grouped=False
    )


def test_groups_of_the_source_and_other_splits_are_left_alone():
    features, labels, numbers = series()
    named = dataset(labels, groups=tuple(map(str, numbers // 2)))
    for source, data in (
        (named, DATA),
        (dataset(labels), dataclasses.replace(DATA, split='stratified')),
    ):
        same, groups = bursts.split(source, data, features)
        assert same is source
        expected = loading.split(source, data)
        assert groups.drawn == expected.drawn
        np.testing.assert_array_equal(groups.val, expected.val)


def test_a_test_part_of_the_source_stays():
    features, labels, numbers = series()
    parts = tuple('test' if i % 4 == 0 else 'train' for i in range(len(labels)))
    grouped, groups = bursts.split(dataset(labels, parts), DATA, features)
    check_whole(groups, len(labels))
    np.testing.assert_array_equal(groups.test, np.arange(0, len(labels), 4))
    assert not set(np.array(grouped.groups)[groups.train]) & set(
        np.array(grouped.groups)[groups.val]
    )
    assert bursts.describe_groups(grouped, groups)['groups'] <= 32
    fixed = groups.test
    assert same_partition(np.array(grouped.groups)[fixed], numbers[fixed])


@pytest.mark.parametrize('k', [2, 3, 5])
def test_folds_divide_the_images_and_no_group(k):
    _, labels, numbers = series()
    groups = bursts.folds(labels, numbers, k, seed=1)
    np.testing.assert_array_equal(np.sort(np.concatenate(groups)), np.arange(len(labels)))
    for fold in groups:
        rest = np.setdiff1d(np.arange(len(labels)), fold)
        assert not set(numbers[fold]) & set(numbers[rest])
        np.testing.assert_allclose(
            np.bincount(labels[fold], minlength=4), len(labels) / 4 / k, atol=5
        )
    names = [f'shop {number}' for number in numbers]
    for fold, again in zip(groups, bursts.folds(labels, names, k, seed=1), strict=True):
        assert len(again) == pytest.approx(len(fold), abs=10)


def test_more_folds_than_groups_are_refused():
    with pytest.raises(InputError, match='groups'):
        bursts.folds(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), 3, seed=0)


def test_a_part_of_share_0_is_empty_and_the_others_are_whole():
    for split in ('stratified', 'grouped'):
        source = dataset(np.repeat([0, 1], 10), groups=tuple(str(i // 2) for i in range(20)))
        groups = loading.split(source, dataclasses.replace(DATA, split=split))
        check_whole(groups, 20)
        assert (len(groups.train), len(groups.val), len(groups.test)) == (16, 4, 0)


@pytest.mark.parametrize('fractions', [(0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.8, 0.3, -0.1)])
def test_only_the_share_of_the_test_part_may_be_0(fractions):
    from jaxdl.config.experiment import FineTune
    from jaxdl.config.overrides import override

    with pytest.raises(InputError, match='test 0 or more'):
        override(FineTune(), dict(fractions=fractions))
