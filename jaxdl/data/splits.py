"""Splits of a data set into train, validation and test: disjoint index arrays, by a seed.

A split that the source fixes stays as it is: a test set of other shops is not mixed into training.
The rest is drawn: all three splits, or validation from the training images. A test split of share 0
is empty, unless the source fixes it. A source may have other images for test (`Listing.roles`).
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from jaxdl.data import near_duplicates
from jaxdl.data.listing import Dataset, Listing, drop_empty_classes
from jaxdl.errors import InputError

PARTS = ('train', 'val', 'test')


@dataclasses.dataclass(frozen=True)
class Splits:
    """Indices into the data set.

    Attributes:
      train: int [n], ascending indices; the three parts are disjoint.
      val: int [n], ascending.
      test: int [n], ascending.
      drawn: in words, how they were drawn.
    """

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    drawn: str = ''


def stratified(dataset: Dataset, fractions: Sequence[float], seed: int) -> Splits:
    """Split at random, with the same share of each class in every split.

    Args:
      dataset: images and labels.
      fractions: shares of train, val and test.
      seed: of the order.

    Raises:
      InputError: a class has fewer images than there are splits.
    """
    return _split(
        dataset,
        fractions,
        'at random',
        lambda labels, _, shares: _assign_at_random(labels, shares, seed),
    )


def grouped(dataset: Dataset, fractions: Sequence[float], seed: int) -> Splits:
    """Split in whole groups, with shares of classes as equal as that allows.

    Groups are those of the source, else clusters of near-duplicates
    (`near_duplicates.group_images`).

    Args:
      dataset: images and labels.
      fractions: shares of train, val and test.
      seed: of the order.

    Raises:
      InputError: the images are too small for near-duplicates, or the groups are too large.
    """
    names = dataset.groups
    if names is None and not near_duplicates.is_checkable(dataset.images):
        height, width = dataset.images.shape[1:3]
        raise InputError(
            f'data.split=grouped: images of {height} x {width} pixels are too small to find '
            f'near-duplicates (at least {near_duplicates.SMALLEST}); name the groups, as in '
            '--set=group_column=shop, or use split=stratified'
        )
    groups = (
        near_duplicates.group_images(dataset.images)
        if names is None
        else np.unique(np.array(names), return_inverse=True)[1]
    )
    kind = 'clusters of near-duplicates' if names is None else 'groups that the source names'
    return _split(
        dataset,
        fractions,
        f'in whole {kind}',
        lambda labels, chosen, shares: assign(labels, groups[chosen], shares, seed),
    )


def image_groups(dataset: Dataset) -> list[str]:
    """Group of each image, for the variance of a result.

    Args:
      dataset: images, and the groups that the source names.

    Returns:
      [n], equal for images that belong together: the group that the source names, otherwise the id
      of the first image of a cluster of near-duplicates. An image without near-duplicates, or of
      a data set in which a perceptual hash cannot find any, is a group by itself.
    """
    if dataset.groups is not None:
        return list(dataset.groups)
    if not near_duplicates.is_checkable(dataset.images):
        return list(dataset.ids)
    try:
        clusters = near_duplicates.group_images(dataset.images)
    except InputError:  # more pairs than a perceptual hash can distinguish; the data check says so
        return list(dataset.ids)
    first, numbers = np.unique(clusters, return_index=True, return_inverse=True)[1:]
    return [dataset.ids[i] for i in first[numbers]]


SPLITS: dict[str, Callable[[Dataset, Sequence[float], int], Splits]] = {
    'stratified': stratified,
    'grouped': grouped,
}


def check_groups(dataset: Dataset, subject: str) -> None:
    """Check that no group is in two splits that the source fixes.

    Args:
      dataset: images with groups and fixed splits, or without.
      subject: start of the message, such as `data.group_column=shop`.

    Raises:
      InputError: a group is in two of them.
    """
    if dataset.groups is None or dataset.parts is None:
        return
    places = sorted({*zip(dataset.groups, dataset.parts, strict=True)})
    spans = {
        group: [part for _, part in pairs]
        for group, pairs in itertools.groupby(places, key=lambda place: place[0])
    }
    several = [group for group, names in spans.items() if len(names) > 1]
    if several:
        others = f', as are {len(several) - 1} more groups' if len(several) > 1 else ''
        named = ' and '.join(part for part in PARTS if part in spans[several[0]])
        raise InputError(
            f'{subject}: group {several[0]!r} is in the given splits {named}{others}; '
            'a group must be in one split: correct the groups, or name none'
        )


def thin(train: np.ndarray, labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Select a share of the training images, stratified, with at least one image per class.

    With the same seed, a smaller share is a subset of a larger one.

    Args:
      train: int [n], into the labels.
      labels: int [m].
      share: above 0, at most 1.
      seed: of the order.

    Returns:
      int [k], ascending.
    """
    count = max(round(share * len(train)), len(np.unique(labels[train])))
    return np.sort(train[_rank(labels[train], np.ones(len(train)), seed)[:count]])


def narrow(
    listing: Listing, *, subset: int | None, classes: int | None, seed: int, per_class: int = 0
) -> Listing:
    """Select the largest classes, and a stratified subset of their images.

    A class keeps at least as many images as there are splits to draw from it, if it has as many.
    Of a source with roles, whole groups are selected, so that every image has its counterpart.

    Args:
      listing: labelled images.
      subset: most images; None for all.
      classes: most classes; None for all. Of equal ones the first are taken.
      seed: of the order.
      per_class: images per class that a smaller `subset` grows to.

    Raises:
      InputError: `subset` is smaller than the classes need.
    """
    if classes is not None:
        largest = np.argsort(
            -np.bincount(listing.labels, minlength=len(listing.class_names)), kind='stable'
        )[:classes]
        listing = describe(
            drop_empty_classes(listing.take(np.flatnonzero(np.isin(listing.labels, largest))))
        )
    if subset is not None:
        subset = max(subset, per_class * len(listing.class_names))
    if subset is None or subset >= len(listing.labels):
        return listing
    part = np.array(listing.parts or ['train'] * len(listing.labels))
    unit = np.arange(len(part))
    if listing.roles is not None:
        unit = np.unique(np.array(listing.groups), return_inverse=True)[1]
    sizes, first = np.bincount(unit), np.unique(unit, return_index=True)[1]
    strata = np.unique(listing.labels * len(PARTS) + _numbers(part), return_inverse=True)[1][first]
    least = np.where(part == 'train', len(PARTS) + 1 - len(np.unique(part)), 1)[first]
    order = _rank(strata, least, seed)
    needed = int(np.minimum(np.bincount(strata), _first(strata, least)).sum() * sizes.max())
    if subset < needed:
        raise InputError(
            f'data.subset={subset}: {len(listing.class_names)} classes need '
            f'{needed} images, so that '
            f'each is in every split; use --set=subset={needed} or fewer classes, as in '
            f'--set=classes={max(2, subset // 3)}'
        )
    chosen = order[np.cumsum(sizes[order]) <= subset]
    return describe(listing.take(np.flatnonzero(np.isin(unit, chosen))))


def _split(
    dataset: Dataset, fractions: Sequence[float], how: str, draw: Callable[..., np.ndarray]
) -> Splits:
    """Keep what the source fixes, and draw the rest from its training images.

    Args:
      dataset: images and labels.
      fractions: shares of train, val and test.
      how: the rule in words.
      draw: (labels [n], indices [n], shares [3]) -> number of the split of each image [n].
    """
    numbers = _numbers(np.array(dataset.parts or ['train'] * len(dataset.labels)))
    fixed = [number for number in (1, 2) if (numbers == number).any()]
    if len(fixed) < 2:
        shares = np.array(
            [0.0 if number in fixed else share for number, share in enumerate(fractions)]
        )
        chosen = np.flatnonzero(numbers == 0)
        labels = dataset.labels[chosen]
        _check_class_sizes(labels, dataset.class_names, int(np.count_nonzero(shares)))
        numbers[chosen] = draw(labels, chosen, shares / shares.sum() if fixed else shares)
    if dataset.roles is not None:
        numbers[(np.array(dataset.roles) == 'test') != (numbers == 2)] = -1
    names = ' and '.join(PARTS[number] for number in fixed)
    drawn = (
        how
        if not fixed
        else f'{names} as the source fixes them' + (f', the rest {how}' if len(fixed) < 2 else '')
    )
    train, val, test = (np.flatnonzero(numbers == number) for number in range(3))
    return Splits(train, val, test, drawn)


def _check_class_sizes(labels: np.ndarray, class_names: Sequence[str], parts: int) -> None:
    counts = np.bincount(labels, minlength=len(class_names))
    few = np.flatnonzero((counts > 0) & (counts < parts))
    if len(few):
        others = f' (and {len(few) - 1} more classes have too few)' if len(few) > 1 else ''
        large = int((counts >= parts).sum())
        instead = (
            f'or keep the largest with --set=classes={large}' if large > 1 else 'or merge classes'
        )
        raise InputError(
            f'class {class_names[few[0]]!r} has {counts[few[0]]} of the {parts} '
            f'images that {parts} '
            f'splits need{others}; add images, {instead}'
        )


def _assign_at_random(labels: np.ndarray, shares: np.ndarray, seed: int) -> np.ndarray:
    """Number of the split of each image, int [n], by scikit-learn.

    Where scikit-learn leaves a class out of a split, by `assign`.
    """
    from sklearn.model_selection import train_test_split

    _, val, test = shares
    part, rest = np.zeros(len(labels), int), np.arange(len(labels))
    try:
        for number, share in ((2, test), (1, val / (1 - test))):
            if share:
                rest, taken = train_test_split(
                    rest, test_size=share, stratify=labels[rest], random_state=seed
                )
                part[taken] = number
    except ValueError:  # small classes and small splits are refused
        part[:] = 0
    classes = len(np.unique(labels))
    covered = all(
        len(np.unique(labels[part == number])) == classes for number in np.flatnonzero(shares)
    )
    return part if covered else assign(labels, np.arange(len(labels)), shares, seed)


def assign(labels: np.ndarray, groups: np.ndarray, shares: np.ndarray, seed: int) -> np.ndarray:
    """Assign whole groups to splits, greedily and about the largest first.

    Each group goes to the split with the smallest growth of the sum of squared relative errors of
    the number of images per class.

    Args:
      labels: int [n].
      groups: [n].
      shares: share of each split.
      seed: of the order of groups of similar size.

    Returns:
      Number of the split of each image, int [n].

    Raises:
      InputError: a split gets no group.
    """
    groups, sizes = np.unique(groups, return_inverse=True, return_counts=True)[1:]
    classes, parts = int(labels.max()) + 1, np.flatnonzero(shares).tolist()
    cells, counts = np.unique(groups.astype(np.int64) * classes + labels, return_counts=True)
    content: list[list[tuple[int, int]]] = [[] for _ in sizes]
    for cell, count in zip(cells.tolist(), counts.tolist(), strict=True):
        content[cell // classes].append((cell % classes, count))
    # A split with a share gets at least one image.
    targets = np.maximum(np.outer(shares, np.bincount(labels)), 1).tolist()
    have = [[0] * classes for _ in shares]
    order = np.argsort(
        -sizes * np.random.default_rng(seed).uniform(0.5, 1, len(sizes)), kind='stable'
    )
    placed = np.zeros(len(sizes), int)
    for group in order.tolist():
        errors = [_added_error(content[group], have[part], targets[part]) for part in parts]
        placed[group] = best = parts[errors.index(min(errors))]
        for label, count in content[group]:
            have[best][label] += count
    if len(np.unique(placed)) < len(parts):
        raise InputError(
            f'data.split=grouped: the largest of {len(sizes)} groups holds {sizes.max()} of '
            f'{len(labels)} images, too many for {len(parts)} splits; name smaller groups, '
            'or use split=stratified'
        )
    return placed[groups]


def _added_error(group: list[tuple[int, int]], have: list[int], target: list[float]) -> float:
    """Growth of a split's squared relative error with a group of (class, count)."""
    return sum(
        count * (2 * (have[label] - target[label]) + count) / target[label] ** 2
        for label, count in group
    )


def _rank(strata: np.ndarray, least: np.ndarray, seed: int) -> np.ndarray:
    """Shuffle the indices of `strata` [n] so that every prefix is stratified.

    `least` [n] images of each stratum come first. Then the k-th image (from 1) of a stratum of c
    is placed at (k - 1/2) / c, which is rounding by Webster's method.
    """
    shuffled = np.random.default_rng(seed).permutation(len(strata))
    together = shuffled[np.argsort(strata[shuffled], kind='stable')]
    counts = np.bincount(strata)
    rank = np.arange(len(strata)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = np.where(rank < least[together], -1, (rank + 0.5) / np.repeat(counts, counts))
    return together[np.lexsort((rank, place))]


def _first(strata: np.ndarray, values: np.ndarray) -> np.ndarray:
    return values[np.unique(strata, return_index=True)[1]]


def _numbers(parts: np.ndarray) -> np.ndarray:
    return np.select([parts == 'val', parts == 'test'], [1, 2], 0)


def describe(listing: Listing) -> Listing:
    """Add the numbers of images and classes that were selected to the description."""
    selected = f'{len(listing.labels):,} images of {len(listing.class_names)} classes'
    return dataclasses.replace(
        listing, description=f'{listing.description.split("; of these")[0]}; of these {selected}'
    )
