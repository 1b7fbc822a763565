"""Splits: disjoint, complete, stratified, as the source fixes them; too small classes named."""

import dataclasses
import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from labelled import PARTS, arrays, check_whole, dataset

from jaxdl.data import loading, splits
from jaxdl.data.listing import Listing
from jaxdl.errors import InputError

FRACTIONS = (0.6, 0.2, 0.2)


def listing(labels, parts=None):
    source = dataset(labels, parts)
    return Listing(
        source.name,
        'made: all',
        source.images,
        source.labels,
        source.ids,
        source.class_names,
        source.parts,
        source.groups,
    )


counts = st.lists(st.integers(3, 40), min_size=2, max_size=12)


@hypothesis.given(
    counts,
    st.integers(0, 1000),
    st.sampled_from([FRACTIONS, (0.9, 0.05, 0.05), (0.34, 0.33, 0.33)]),
)
@hypothesis.settings(deadline=None, max_examples=50)
def test_stratified_is_whole_and_every_class_is_in_every_part(counts, seed, fractions):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    parts = splits.stratified(dataset(labels), fractions, seed)
    check_whole(parts, len(labels))
    for indices, fraction in zip(arrays(parts), fractions, strict=True):
        counts_of_part = np.bincount(labels[indices], minlength=len(counts))
        assert (counts_of_part >= 1).all()
        assert (np.abs(counts_of_part - fraction * np.array(counts)) <= 2).all()


def test_large_classes_are_split_as_scikit_learn_does():
    from sklearn.model_selection import train_test_split

    labels = np.arange(300) % 3
    rest, test = train_test_split(np.arange(300), test_size=0.2, stratify=labels, random_state=4)
    parts = splits.stratified(dataset(labels), FRACTIONS, 4)
    np.testing.assert_array_equal(parts.test, np.sort(test))
    assert set(parts.train) | set(parts.val) == set(rest)


@hypothesis.given(st.integers(0, 1000), st.integers(12, 60), st.booleans())
@hypothesis.settings(deadline=None, max_examples=50)
def test_groups_never_straddle(seed, count, pure):
    random = np.random.default_rng(seed)
    groups = np.sort(np.concatenate([np.arange(count), random.integers(0, count, 4 * count)]))
    labels = groups % 3 if pure else random.integers(0, 3, len(groups))
    source = dataset(labels, groups=tuple(map(str, groups)))
    parts = splits.grouped(source, FRACTIONS, seed)
    check_whole(parts, len(labels))
    sides = [set(groups[indices]) for indices in arrays(parts)]
    assert sum(map(len, sides)) == len(set.union(*sides))
    largest = np.bincount(groups).max()
    for indices, fraction in zip(arrays(parts), FRACTIONS, strict=True):
        assert abs(len(indices) - fraction * len(labels)) <= 3 * largest + 2


@pytest.mark.parametrize('name', splits.SPLITS)
def test_a_seed_fixes_a_split_and_another_changes_it(name):
    source = dataset(np.arange(200) % 4, groups=tuple(str(i // 5) for i in range(200)))
    one, same, other = (splits.SPLITS[name](source, FRACTIONS, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(arrays(one), arrays(same), strict=True))
    assert not np.array_equal(one.test, other.test)


@pytest.mark.parametrize('name', splits.SPLITS)
def test_parts_fixed_by_the_source_stay(name):
    labels = np.arange(120) % 3
    parts = np.array(['train'] * 80 + ['val'] * 20 + ['test'] * 20)
    source = dataset(labels, tuple(parts), groups=tuple(str(i // 2) for i in range(120)))
    result = splits.SPLITS[name](source, FRACTIONS, 0)
    for indices, part in zip(arrays(result), PARTS, strict=True):
        np.testing.assert_array_equal(indices, np.flatnonzero(parts == part))
    for missing in ('val', 'test'):
        left = np.where(parts == missing, 'train', parts)
        result = splits.SPLITS[name](dataclasses.replace(source, parts=tuple(left)), FRACTIONS, 0)
        check_whole(result, 120)
        assert abs(len(getattr(result, missing)) - 25) <= 3  # 0.2 of 0.6 + 0.2, of 100 images
        other = 'test' if missing == 'val' else 'val'
        np.testing.assert_array_equal(getattr(result, other), np.flatnonzero(parts == other))


def test_a_class_with_fewer_images_than_parts_is_named():
    with pytest.raises(InputError, match=r"class 'c1' has 2 of the 3 images .*--set=classes=2"):
        splits.stratified(dataset([0] * 9 + [1] * 2 + [2] * 9), FRACTIONS, 0)
    with pytest.raises(InputError, match=r"class 'c0' has 1 .*1 more"):
        splits.grouped(dataset([0, 1, 1, 2, 2, 2], groups=tuple('abcdef')), FRACTIONS, 0)


def test_groups_that_leave_no_parts_and_images_without_groups_are_refused():
    with pytest.raises(InputError, match=r'largest of 2 groups holds 10 of 20'):
        splits.grouped(dataset([0, 1] * 10, groups=('a', 'b') * 10), FRACTIONS, 0)
    with pytest.raises(InputError, match=r'8 x 8 pixels .*group_column'):
        splits.grouped(dataset([0, 1] * 10, side=8), FRACTIONS, 0)


def test_equal_images_are_one_group_even_if_blank():
    source = dataset(np.arange(90) % 3, side=32)
    source.images[:] = np.random.default_rng(0).integers(0, 256, source.images.shape)
    source.images[:10] = 7
    parts = splits.grouped(source, FRACTIONS, 0)
    assert sum(bool(set(range(10)) & set(indices)) for indices in arrays(parts)) == 1


@hypothesis.given(
    hnp.arrays(np.int32, st.integers(20, 200), elements=st.integers(0, 5)), st.integers(0, 99)
)
@hypothesis.settings(deadline=None, max_examples=50)
def test_a_smaller_share_is_within_a_larger_one(labels, seed):
    train = np.flatnonzero(np.arange(len(labels)) % 3)
    chosen = [splits.thin(train, labels, share, seed) for share in (0.1, 0.25, 0.5, 1.0)]
    for small, large in itertools.pairwise(chosen):
        assert set(small) <= set(large)
    np.testing.assert_array_equal(chosen[-1], train)
    assert set(labels[chosen[0]]) == set(labels[train])
    counts, narrowed = (np.bincount(labels[indices], minlength=6) for indices in (train, chosen[2]))
    forced = (
        counts == 1
    ).sum() / 2  # what classes of one image have beyond their share, the others lack
    assert (np.abs(narrowed - counts / 2) <= 1 + forced).all()


def test_narrow_keeps_the_largest_classes_and_a_share_of_each():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(5), [10, 40, 5, 40, 80]))
    parts = splits.narrow(listing(labels), subset=40, classes=3, seed=0)
    assert parts.class_names == ('c1', 'c3', 'c4')
    assert np.bincount(parts.labels).tolist() == [10, 10, 20]
    assert [parts.class_names[label] for label in parts.labels] == [
        f'c{labels[int(i)]}' for i in parts.ids
    ]
    assert list(map(int, parts.ids)) == sorted(map(int, parts.ids))
    assert parts.description == 'made: all; of these 40 images of 3 classes'
    tied = splits.narrow(listing([2, 2, 1, 1, 0, 0]), subset=None, classes=2, seed=0)
    assert tied.class_names == ('c0', 'c1')


def test_narrow_leaves_enough_images_per_class_or_states_the_number_needed():
    labels = np.repeat(np.arange(81), 36)
    result = splits.narrow(listing(labels), subset=500, classes=None, seed=0)
    assert len(result.labels) == 500
    assert np.bincount(result.labels).min() >= 3
    splits.stratified(dataset(result.labels), FRACTIONS, 0)
    with pytest.raises(InputError, match=r'81 classes need 243 images'):
        splits.narrow(listing(labels), subset=242, classes=None, seed=0)
    parts = tuple(np.where(np.arange(len(labels)) % 3, 'train', 'test'))
    result = splits.narrow(listing(labels, parts), subset=300, classes=None, seed=0)
    splits.stratified(dataset(result.labels, result.parts), FRACTIONS, 0)
    assert set(result.labels[np.array(result.parts) == 'test']) == set(range(81))


OWN = (0.25, 0.25, 0.5)


@pytest.mark.parametrize(
    ('fields', 'kind', 'fractions'),
    [
        ({}, 'stratified', FRACTIONS),
        (dict(groups=True), 'grouped', FRACTIONS),
        (dict(fractions=OWN), 'stratified', OWN),
        (dict(groups=True, fractions=OWN), 'grouped', OWN),
    ],
)
def test_null_is_the_split_of_the_data_set(fields, kind, fractions):
    made = dataset(np.arange(200) % 4, groups=tuple(str(i // 5) for i in range(200)))
    made = dataclasses.replace(
        made,
        groups=made.groups if fields.get('groups') else None,
        fractions=fields.get('fractions'),
    )
    own = loading.split(made, loading.Data(dataset='made'))
    expected = splits.SPLITS[kind](made, fractions, 0)
    for one, other in zip(arrays(own), arrays(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    assert own.drawn == expected.drawn
    chosen = loading.Data(split='stratified', fractions=(0.5, 0.3, 0.2))
    expected = splits.stratified(made, (0.5, 0.3, 0.2), 0)
    np.testing.assert_array_equal(loading.split(made, chosen).val, expected.val)


def test_digits_are_split_as_before():
    made = loading.load(loading.Data())
    explicit = loading.Data(split='stratified', fractions=FRACTIONS)
    for one, other in zip(
        arrays(loading.split(made, loading.Data())),
        arrays(loading.split(made, explicit)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize('kind', [None, 'stratified', 'grouped'])
def test_a_group_in_two_given_splits_is_an_error_that_names_it(kind):
    parts = ('train',) * 20 + ('val',) * 10 + ('test',) * 10
    groups = [f'g{i // 2}' for i in range(40)]
    data = loading.Data(split=kind, group_column='shop')
    made = dataset(np.arange(40) % 2, parts, tuple(groups))
    loading.split(made, data)
    groups[0] = groups[30]
    made = dataclasses.replace(made, groups=tuple(groups))
    with pytest.raises(InputError, match=r"group_column=shop: group 'g15' .* train and test;"):
        loading.split(made, data)
    groups[1] = groups[20]
    made = dataclasses.replace(made, groups=tuple(groups))
    with pytest.raises(InputError, match=r"made: group 'g10' .* train and val, as are 1 more"):
        loading.split(made, loading.Data(split=kind))
