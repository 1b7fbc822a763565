"""Which images train, which choose, which measure: disjoint index arrays, fixed by a seed.

A part that the source fixes stays as it is, whatever the split: a test set of other shops is not
mixed into training. A split draws what the source leaves open: all three parts, or a validation
part from the training images. A test part of share 0 is empty, unless the source fixes it.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from jaxdl.data import near_duplicates
from jaxdl.data.listing import Dataset, Listing
from jaxdl.errors import InputError

PARTS = ('train', 'val', 'test')


@dataclasses.dataclass(frozen=True)
class Splits:
    """Indices into the data set, int [n] each, ascending and disjoint; `drawn` says how.

    For the report.
    """

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    drawn: str = ''


def stratified(dataset: Dataset, fractions: Sequence[float], seed: int) -> Splits:
    """Random, with each class in its share of every part.

    InputError: a class with fewer images than parts.
    """
    return _split(
        dataset, fractions, 'at random', lambda labels, _, shares: _shuffled(labels, shares, seed)
    )


def grouped(dataset: Dataset, fractions: Sequence[float], seed: int) -> Splits:
    """Each group on one side, classes as near to their shares as that allows.

    Groups are those of the source, else the clusters of near-duplicates (`similar.groups`).
    InputError: there are none to be had, or they are too large to give every part its images.
    """
    names = dataset.groups
    if names is None and not near_duplicates.checkable(dataset.images):
        height, width = dataset.images.shape[1:3]
        raise InputError(
            f'data.split=grouped: images of {height} x {width} pixels are too small to show which belong together '
            f'(at least {near_duplicates.SMALLEST}); name the groups, as in --set=group_column=shop, or take split=stratified'
        )
    groups = (
        near_duplicates.groups(dataset.images)
        if names is None
        else np.unique(np.array(names), return_inverse=True)[1]
    )
    how = f'in whole {"clusters of near-duplicates" if names is None else "groups that the source names"}'
    return _split(
        dataset,
        fractions,
        how,
        lambda labels, chosen, shares: dealt(labels, groups[chosen], shares, seed),
    )


SPLITS: dict[str, Callable[[Dataset, Sequence[float], int], Splits]] = {
    'stratified': stratified,
    'grouped': grouped,
}


def thin(train: np.ndarray, labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """A share of the indices `train`, ascending, each class with its own, one image at least.

    Those of a smaller share are among those of a larger one, with the same seed.
    """
    count = max(round(share * len(train)), len(np.unique(labels[train])))
    return np.sort(train[_ranked(labels[train], np.ones(len(train)), seed)[:count]])


def narrow(listing: Listing, *, subset: int | None, classes: int | None, seed: int) -> Listing:
    """The `classes` largest classes (of equal ones the first) and of those `subset` images.

    Each class with its share.

    A class keeps at least as many images as there are parts to draw from it, where it has them.
    Both are upper limits.
    InputError: fewer images than that needs.
    """
    if classes is not None:
        largest = np.argsort(
            -np.bincount(listing.labels, minlength=len(listing.class_names)), kind='stable'
        )[:classes]
        listing = _described(
            _compact(listing.take(np.flatnonzero(np.isin(listing.labels, largest))))
        )
    if subset is None or subset >= len(listing.labels):
        return listing
    part = np.array(listing.parts or ['train'] * len(listing.labels))
    strata = np.unique(listing.labels * len(PARTS) + _numbers(part), return_inverse=True)[1]
    least = np.where(part == 'train', len(PARTS) + 1 - len(np.unique(part)), 1)
    order = _ranked(strata, least, seed)
    needed = int(np.minimum(np.bincount(strata), _first(strata, least)).sum())
    if subset < needed:
        raise InputError(
            f'data.subset={subset}: {len(listing.class_names)} classes need {needed} images, so that each is in every '
            f'part; take --set=subset={needed} or fewer classes, as in --set=classes={max(2, subset // 3)}'
        )
    return _described(listing.take(np.sort(order[:subset])))


def _split(
    dataset: Dataset, fractions: Sequence[float], how: str, draw: Callable[..., np.ndarray]
) -> Splits:
    """What the source fixes, and the rest drawn from its training images by draw(labels, indices.

    Shares) -> part.
    """
    numbers = _numbers(np.array(dataset.parts or ['train'] * len(dataset.labels)))
    fixed = [number for number in (1, 2) if (numbers == number).any()]
    if len(fixed) < 2:
        shares = np.array(
            [0.0 if number in fixed else share for number, share in enumerate(fractions)]
        )
        chosen = np.flatnonzero(numbers == 0)
        labels = dataset.labels[chosen]
        _enough(labels, dataset.class_names, int(np.count_nonzero(shares)))
        numbers[chosen] = draw(labels, chosen, shares / shares.sum() if fixed else shares)
    kept = ' and '.join(PARTS[number] for number in fixed)
    drawn = (
        how
        if not fixed
        else f'{kept} as the source fixes them' + (f', the rest {how}' if len(fixed) < 2 else '')
    )
    train, val, test = (np.flatnonzero(numbers == number) for number in range(3))
    return Splits(train, val, test, drawn)


def _enough(labels: np.ndarray, class_names: Sequence[str], parts: int) -> None:
    counts = np.bincount(labels, minlength=len(class_names))
    few = np.flatnonzero((counts > 0) & (counts < parts))
    if len(few):
        others = f' (and {len(few) - 1} more classes have too few)' if len(few) > 1 else ''
        kept = int((counts >= parts).sum())
        instead = (
            f'or keep the largest with --set=classes={kept}' if kept > 1 else 'or merge classes'
        )
        raise InputError(
            f'class {class_names[few[0]]!r} has {counts[few[0]]} of the {parts} images that {parts} parts need'
            f'{others}; add images, {instead}'
        )


def _shuffled(labels: np.ndarray, shares: np.ndarray, seed: int) -> np.ndarray:
    """The part of each image, int [n], by scikit-learn; where that leaves a class out of a part.

    Dealt one by one.
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
    except ValueError:  # it refuses small classes and small parts
        part[:] = 0
    classes = len(np.unique(labels))
    covered = all(
        len(np.unique(labels[part == number])) == classes for number in np.flatnonzero(shares)
    )
    return part if covered else dealt(labels, np.arange(len(labels)), shares, seed)


def dealt(labels: np.ndarray, groups: np.ndarray, shares: np.ndarray, seed: int) -> np.ndarray:
    """The part of each image, int [n]: groups one by one, about the largest first.

    Each where it misses least.

    What is kept small is the sum of squared relative errors of each part's count of each class.
    """
    groups, sizes = np.unique(groups, return_inverse=True, return_counts=True)[1:]
    classes, parts = int(labels.max()) + 1, np.flatnonzero(shares).tolist()
    cells, counts = np.unique(groups.astype(np.int64) * classes + labels, return_counts=True)
    holds: list[list[tuple[int, int]]] = [[] for _ in sizes]
    for cell, count in zip(cells.tolist(), counts.tolist(), strict=True):
        holds[cell // classes].append((cell % classes, count))
    targets = np.maximum(
        np.outer(shares, np.bincount(labels)), 1
    ).tolist()  # a part with a share gets one
    have = [[0] * classes for _ in shares]
    order = np.argsort(
        -sizes * np.random.default_rng(seed).uniform(0.5, 1, len(sizes)), kind='stable'
    )
    placed = np.zeros(len(sizes), int)
    for group in order.tolist():
        errors = [_added_error(holds[group], have[part], targets[part]) for part in parts]
        placed[group] = best = parts[errors.index(min(errors))]
        for label, count in holds[group]:
            have[best][label] += count
    if len(np.unique(placed)) < len(parts):
        raise InputError(
            f'data.split=grouped: the largest of {len(sizes)} groups holds {sizes.max()} of {len(labels)} images, too '
            f'many to leave {len(parts)} parts; name smaller groups, or take split=stratified'
        )
    return placed[groups]


def _added_error(held: list[tuple[int, int]], have: list[int], target: list[float]) -> float:
    """By how much a part's squared relative error grows with a group of (class, count)."""
    return sum(
        count * (2 * (have[label] - target[label]) + count) / target[label] ** 2
        for label, count in held
    )


def _ranked(strata: np.ndarray, least: np.ndarray, seed: int) -> np.ndarray:
    """All indices of `strata` [n], shuffled so that each stratum has its share of any first few.

    `least` [n] of each stratum come before all else. The k-th image (from 1) of a stratum of c
    comes at (k - 1/2) / c: rounding by Webster's method.
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


def _described(listing: Listing) -> Listing:
    kept = f'{len(listing.labels):,} images of {len(listing.class_names)} classes'
    return dataclasses.replace(
        listing, description=f'{listing.description.split("; of these")[0]}; of these {kept}'
    )


def _compact(listing: Listing) -> Listing:
    """With the classes that have images only, numbered anew in the same order."""
    present, labels = np.unique(listing.labels, return_inverse=True)
    names = tuple(listing.class_names[label] for label in present)
    return dataclasses.replace(listing, labels=labels.astype(np.int32), class_names=names)
