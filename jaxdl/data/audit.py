"""The check of the data before training: what is missing, broken, there twice.

Or on two sides of a split.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl.data import near_duplicates
from jaxdl.data.listing import Dataset
from jaxdl.data.splits import PARTS, Splits
from jaxdl.errors import InputError

NAMED, SHOWN = 20, 8  # examples in words, and in pictures
SIDE = 128  # pixels of a picture, about


def examine(dataset: Dataset, splits: Splits) -> dict[str, Any]:
    """What there is to say about a data set and its split, as plain numbers and names (JSON).

    split: how it was drawn. parts: images and classes of each. single: classes of one image.
      skipped: what could not be
    decoded. identical, near: pairs of equal and of nearly equal images, `across` parts, and with
    `conflicts` of labels.
    """
    part = np.full(len(dataset.labels), -1)
    for number, name in enumerate(PARTS):
        part[getattr(splits, name)] = number
    used = np.flatnonzero(part >= 0)
    counts = np.bincount(dataset.labels[used], minlength=len(dataset.class_names))
    return dict(
        split=splits.drawn,
        parts={name: _counts(dataset, getattr(splits, name)) for name in PARTS},
        imbalance=float(counts.max() / max(counts[counts > 0].min(), 1)),
        single=_some(dataset.class_names[label] for label in np.flatnonzero(counts == 1)),
        skipped=_some([list(pair) for pair in dataset.skipped]),
        identical=_identical(dataset, part),
        near=_near(dataset, part),
    )


def pictures(
    dataset: Dataset, findings: Mapping[str, Any], most: int = SHOWN
) -> dict[str, np.ndarray]:
    """The pairs of `findings['near']['examples']`, `first` and `second`: uint8 [pair, height.

    Width, channel].
    """
    examples = findings['near'].get('examples', ())[:most]
    place = {name: i for i, name in enumerate(dataset.ids)} if examples else {}
    sides = dict(
        first=[place[pair['ids'][0]] for pair in examples],
        second=[place[pair['ids'][1]] for pair in examples],
    )
    return {side: _shown(dataset.images[rows]) for side, rows in sides.items() if rows}


def _counts(dataset: Dataset, indices: np.ndarray) -> dict[str, Any]:
    """Images, classes, the smallest and the largest class with its images.

    And classes that have none.
    """
    counts = np.bincount(dataset.labels[indices], minlength=len(dataset.class_names))
    extremes = {
        name: [dataset.class_names[label], int(counts[label])]
        for name, label in dict(smallest=int(counts.argmin()), largest=int(counts.argmax())).items()
    }
    missing = _some(dataset.class_names[label] for label in np.flatnonzero(counts == 0))
    return dict(images=len(indices), classes=int((counts > 0).sum()), missing=missing, **extremes)


def _identical(dataset: Dataset, part: np.ndarray) -> dict[str, Any]:
    """Images of equal pixels; `files`: the pairs that are the same file, byte by byte."""
    kinds, counts = np.unique(
        near_duplicates.keys(dataset.images), return_inverse=True, return_counts=True
    )[1:]
    twice = np.flatnonzero((counts[kinds] > 1) & (part >= 0))
    order = twice[np.argsort(kinds[twice], kind='stable')].tolist()
    pairs = [
        pair
        for _, kind in itertools.groupby(order, key=lambda i: kinds[i])
        for pair in _paired(list(kind), part)
    ]
    files = sum(
        bool(dataset.digests) and dataset.digests[one] == dataset.digests[other]
        for one, other in pairs
    )
    return dict(files=files, **_described(dataset, part, np.array(pairs, np.int64).reshape(-1, 2)))


def _paired(members: Sequence[int], part: np.ndarray) -> list[tuple[int, int]]:
    """Each with the first of its own part and of those before it: a pair for each image.

    Not for each two.
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


def _near(dataset: Dataset, part: np.ndarray) -> dict[str, Any]:
    """Pairs that look alike and are not equal, and their clusters.

    `why` says why that was not looked for.
    """
    height, width = dataset.images.shape[1:3]
    if not near_duplicates.checkable(dataset.images):
        small = f'images of {height} x {width} pixels are too small for it (at least {near_duplicates.SMALLEST})'
        return dict(checked=False, why=small)
    try:
        pairs = near_duplicates.alike(dataset.images)
    except InputError as error:
        return dict(checked=False, why=str(error))
    pairs = pairs[(part[pairs] >= 0).all(1)]
    sizes = np.bincount(near_duplicates.clusters(len(part), pairs))
    keys = near_duplicates.keys(dataset.images[np.unique(pairs)])
    key = dict(zip(np.unique(pairs).tolist(), keys.tolist(), strict=True))
    pairs = pairs[[key[one] != key[other] for one, other in pairs.tolist()]]
    return dict(
        checked=True,
        clusters=int((sizes > 1).sum()),
        clustered=int(sizes[sizes > 1].sum()),
        largest=int(sizes.max()),
        **_described(dataset, part, pairs),
    )


def _described(dataset: Dataset, part: np.ndarray, pairs: np.ndarray) -> dict[str, Any]:
    """Pairs across parts, the images of the later part in them, conflicts of labels.

    And examples of each.
    """
    pairs = np.where((part[pairs[:, 0]] <= part[pairs[:, 1]])[:, None], pairs, pairs[:, ::-1])
    sides = part[pairs]
    across, conflict = sides[:, 0] != sides[:, 1], np.diff(dataset.labels[pairs], axis=1)[:, 0] != 0
    between = {}
    for one, other in itertools.combinations(range(3), 2):
        own = pairs[(sides == (one, other)).all(1)]
        between[f'{PARTS[one]}-{PARTS[other]}'] = dict(
            pairs=len(own), images=len(np.unique(own[:, 1]))
        )
    return dict(
        pairs=len(pairs),
        across=between,
        examples=_examples(dataset, part, pairs[across]),
        conflicts=dict(
            count=int(conflict.sum()), examples=_examples(dataset, part, pairs[conflict])
        ),
    )


def _examples(dataset: Dataset, part: np.ndarray, pairs: np.ndarray) -> list[dict[str, Any]]:
    """NAMED pairs as ids, parts and classes: those of train and test first.

    Spread over them where they are more.
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


def _some(things: Any) -> dict[str, Any]:
    things = list(things)
    return dict(count=len(things), examples=things[:NAMED])


def _shown(images: np.ndarray) -> np.ndarray:
    step = max(1, max(images.shape[1:3]) // SIDE)
    images = images[:, ::step, ::step]
    if images.dtype == np.uint8:
        return images
    low, high = images.min(), images.max()
    return np.round(255 * (images - low) / max(high - low, 1e-12)).astype(np.uint8)
