"""Check of a data set before training: classes, duplicates, and leaks between splits."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl.data import near_duplicates
from jaxdl.data.listing import Dataset
from jaxdl.data.splits import PARTS, Splits
from jaxdl.errors import InputError

NAMED, SHOWN = 20, 8  # examples by name, and as pictures
SIDE = 128  # approximate side of a picture in pixels


def examine(dataset: Dataset, splits: Splits) -> dict[str, Any]:
    """Check a data set and its split.

    Args:
      dataset: images and labels.
      splits: indices of the three splits.

    Returns:
      JSON of numbers and names. `split`: how it was drawn. `parts`: images and classes of each
      split. `imbalance`: largest class / smallest class. `single`: classes of one image.
      `skipped`: images that cannot be decoded. `notes`: things that were left out, guessed or
      renamed. `identical`, `near`: pairs of equal and of similar images, `across` splits, and with
      `conflicts` of labels.
    """
    part = np.full(len(dataset.labels), -1)
    for number, name in enumerate(PARTS):
        part[getattr(splits, name)] = number
    used = np.flatnonzero(part >= 0)
    counts = np.bincount(dataset.labels[used], minlength=len(dataset.class_names))
    return dict(
        split=splits.drawn,
        parts={name: _count_classes(dataset, getattr(splits, name)) for name in PARTS},
        imbalance=float(counts.max() / max(counts[counts > 0].min(), 1)),
        single=_count_and_name(dataset.class_names[label] for label in np.flatnonzero(counts == 1)),
        skipped=_count_and_name([list(pair) for pair in dataset.skipped]),
        notes=[
            dict(finding=n.finding, count=n.count, examples=list(n.examples)) for n in dataset.notes
        ],
        identical=_find_identical(dataset, part),
        near=_find_similar(dataset, part),
    )


def pictures(
    dataset: Dataset, findings: Mapping[str, Any], most: int = SHOWN
) -> dict[str, np.ndarray]:
    """Make pictures of near-duplicates on two sides of a split.

    Args:
      dataset: the data set that was checked.
      findings: the result of `examine`.
      most: number of pairs.

    Returns:
      `first` and `second`, uint8 [pair, height, width, channel] each; empty without pairs.
    """
    examples = findings['near'].get('examples', ())[:most]
    place = {name: i for i, name in enumerate(dataset.ids)} if examples else {}
    sides = dict(
        first=[place[pair['ids'][0]] for pair in examples],
        second=[place[pair['ids'][1]] for pair in examples],
    )
    return {side: _pictures(dataset.images[rows]) for side, rows in sides.items() if rows}


def _count_classes(dataset: Dataset, indices: np.ndarray) -> dict[str, Any]:
    """Count images and classes; name the smallest, the largest and the empty classes."""
    counts = np.bincount(dataset.labels[indices], minlength=len(dataset.class_names))
    extremes = {
        name: [dataset.class_names[label], int(counts[label])]
        for name, label in dict(smallest=int(counts.argmin()), largest=int(counts.argmax())).items()
    }
    missing = _count_and_name(dataset.class_names[label] for label in np.flatnonzero(counts == 0))
    return dict(images=len(indices), classes=int((counts > 0).sum()), missing=missing, **extremes)


def _find_identical(dataset: Dataset, part: np.ndarray) -> dict[str, Any]:
    """Find images of equal pixels; `files` counts the pairs whose files are equal too."""
    kinds, counts = np.unique(
        near_duplicates.digest_pixels(dataset.images), return_inverse=True, return_counts=True
    )[1:]
    twice = np.flatnonzero((counts[kinds] > 1) & (part >= 0))
    order = twice[np.argsort(kinds[twice], kind='stable')].tolist()
    pairs = [
        pair
        for _, kind in itertools.groupby(order, key=lambda i: kinds[i])
        for pair in _pair_equal(list(kind), part)
    ]
    files = sum(
        bool(dataset.digests) and dataset.digests[one] == dataset.digests[other]
        for one, other in pairs
    )
    return dict(
        files=files, **_describe_pairs(dataset, part, np.array(pairs, np.int64).reshape(-1, 2))
    )


def _pair_equal(members: Sequence[int], part: np.ndarray) -> list[tuple[int, int]]:
    """Pair each image with the first equal one of its split and of each split before.

    This gives a few pairs per image, not a pair for each two images.
    """
    first: dict[int, int] = {}
    for member in members:
        first.setdefault(int(part[member]), member)
    return [
        (one, other)
        for other in members
        for one in first.values()
        if one != other and part[one] <= part[other]
    ]


def _find_similar(dataset: Dataset, part: np.ndarray) -> dict[str, Any]:
    """Find pairs of similar images that are not equal, and count their clusters.

    `why` is the reason where similarity was not computed.
    """
    height, width = dataset.images.shape[1:3]
    if not near_duplicates.is_checkable(dataset.images):
        smallest = near_duplicates.SMALLEST
        small = f'images of {height} x {width} pixels are too small for it (at least {smallest})'
        return dict(checked=False, why=small)
    try:
        pairs = near_duplicates.find_similar(dataset.images)
    except InputError as error:
        return dict(checked=False, why=str(error))
    pairs = pairs[(part[pairs] >= 0).all(1)]
    sizes = np.bincount(near_duplicates.number_clusters(len(part), pairs))
    keys = near_duplicates.digest_pixels(dataset.images[np.unique(pairs)])
    key = dict(zip(np.unique(pairs).tolist(), keys.tolist(), strict=True))
    pairs = pairs[[key[one] != key[other] for one, other in pairs.tolist()]]
    return dict(
        checked=True,
        clusters=int((sizes > 1).sum()),
        clustered=int(sizes[sizes > 1].sum()),
        largest=int(sizes.max()),
        **_describe_pairs(dataset, part, pairs),
    )


def _describe_pairs(dataset: Dataset, part: np.ndarray, pairs: np.ndarray) -> dict[str, Any]:
    """Count pairs across splits, their images in the later split, and conflicts of labels.

    Each count has examples.
    """
    pairs = np.where((part[pairs[:, 0]] <= part[pairs[:, 1]])[:, None], pairs, pairs[:, ::-1])
    sides = part[pairs]
    across, conflict = sides[:, 0] != sides[:, 1], np.diff(dataset.labels[pairs], axis=1)[:, 0] != 0
    between = {}
    for one, other in itertools.combinations(range(3), 2):
        crossing = pairs[(sides == (one, other)).all(1)]
        between[f'{PARTS[one]}-{PARTS[other]}'] = dict(
            pairs=len(crossing), images=len(np.unique(crossing[:, 1]))
        )
    return dict(
        pairs=len(pairs),
        across=between,
        examples=_describe_examples(dataset, part, pairs[across]),
        conflicts=dict(
            count=int(conflict.sum()), examples=_describe_examples(dataset, part, pairs[conflict])
        ),
    )


def _describe_examples(
    dataset: Dataset, part: np.ndarray, pairs: np.ndarray
) -> list[dict[str, Any]]:
    """Describe NAMED pairs by ids, splits and classes: first those across train and test.

    Where there are more such pairs, the examples are spread evenly over them.
    """
    apart = part[pairs[:, 1]] - part[pairs[:, 0]]
    order = pairs[np.argsort(-apart, kind='stable')]
    pool = order[: max(NAMED, int((apart == 2).sum()))]
    chosen = pool[np.linspace(0, len(pool) - 1, min(NAMED, len(pool))).astype(int)]
    return [
        dict(
            ids=[dataset.ids[i] for i in pair],
            parts=[PARTS[part[i]] for i in pair],
            classes=[dataset.class_names[dataset.labels[i]] for i in pair],
        )
        for pair in chosen.tolist()
    ]


def _count_and_name(items: Iterable[Any]) -> dict[str, Any]:
    items = list(items)
    return dict(count=len(items), examples=items[:NAMED])


def _pictures(images: np.ndarray) -> np.ndarray:
    step = max(1, max(images.shape[1:3]) // SIDE)
    images = images[:, ::step, ::step]
    if images.dtype == np.uint8:
        return images
    low, high = images.min(), images.max()
    return np.round(255 * (images - low) / max(high - low, 1e-12)).astype(np.uint8)
