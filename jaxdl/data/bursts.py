"""Series of photographs, found by what a network makes of them.

And splits that keep each series on one side.

Photographs of one shelf at one moment are near-duplicates in all that matters: on both sides of a
split they flatter. NumPy and SciPy only.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxdl.data import loading, splits
from jaxdl.data.listing import Dataset
from jaxdl.data.loading import Data
from jaxdl.data.splits import Splits

LEAST = 5  # clusters that a class keeps, where it has the images
BLOCK = 4096  # images of a class that are compared with each other at once


def clusters(
    features: np.ndarray, labels: np.ndarray, threshold: float = 0.5, least: int = LEAST
) -> np.ndarray:
    """The series of each photograph, int [n], from 0: of features [n, f].

    Within the classes `labels` int [n].

    Average linkage (Sokal and Michener 1958) of the cosines between features less their mean: a
    chain of neighbours does not become one cluster, as it does by single linkage. Clusters whose
    mean similarity is above `threshold` are one, as long as the class keeps `least` of them.
    """
    normal = centred_directions(features)
    found, count = np.zeros(len(labels), np.int64), 0
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        for block in _blocks(normal, own):
            parts = _cut(normal[block], threshold, least)
            found[block] = parts + count
            count += parts.max() + 1
    return found


def centred_directions(features: np.ndarray) -> np.ndarray:
    """Features [n, f] less their mean, each of length 1 (of none, 0).

    Products of rows are cosines.
    """
    centred = np.asarray(features, np.float32) - features.mean(0, dtype=np.float64).astype(
        np.float32
    )
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)


def _blocks(normal: np.ndarray, own: np.ndarray) -> list[np.ndarray]:
    """The images of a class; of a large one in blocks.

    Neighbours along its longest axis together.
    """
    if len(own) <= BLOCK:
        return [own]
    along = np.linalg.svd(normal[own] - normal[own].mean(0), full_matrices=False)[2][0]
    ordered = own[np.argsort(normal[own] @ along, kind='stable')]
    return np.array_split(ordered, -(-len(own) // BLOCK))


def _cut(normal: np.ndarray, threshold: float, least: int) -> np.ndarray:
    from scipy.cluster import hierarchy

    if len(normal) <= least:
        return np.arange(len(normal))
    upper = np.triu_indices(len(normal), 1)
    tree = hierarchy.linkage(np.maximum(1 - (normal @ normal.T)[upper], 0), 'average')
    by_threshold = hierarchy.fcluster(tree, 1 - threshold, 'distance')
    enough = by_threshold.max() >= least
    return (by_threshold if enough else hierarchy.fcluster(tree, least, 'maxclust')) - 1


def split(
    dataset: Dataset, data: Data, features: np.ndarray, number: int = 0
) -> tuple[Dataset, Splits]:
    """As `sources.split`, but `grouped` keeps series of photographs together that `features` [n.

    F] show.

    The data set comes back with their names as `groups`. Groups of its own stay. Where there are no
    series the split is stratified, and says so. Of features [n, view, f] the first view counts.
    """
    if data.split != 'grouped' or dataset.groups is not None:
        return dataset, loading.split(dataset, data, number)
    left_open = np.flatnonzero(
        np.array(dataset.parts or ['train'] * len(dataset.labels)) == 'train'
    )
    first = features if features.ndim == 2 else features[:, 0]
    found = clusters(first[left_open], dataset.labels[left_open])
    if len(np.unique(found)) == len(found):
        drawn = stratified(dataset, data, number)
        return dataset, dataclasses.replace(
            drawn, drawn=f'{drawn.drawn}: no series of photographs were found'
        )
    names = np.full(len(dataset.labels), 'fixed', object)
    names[left_open] = [f'series {cluster}' for cluster in found]
    dataset = dataclasses.replace(dataset, groups=tuple(names))
    drawn = loading.split(dataset, data, number)
    how = drawn.drawn.replace('groups that the source names', 'series of photographs')
    return dataset, dataclasses.replace(drawn, drawn=how)


def stratified(dataset: Dataset, data: Data, number: int = 0) -> Splits:
    """The same with every image on its own."""
    return loading.split(dataset, dataclasses.replace(data, split='stratified'), number)


def facts(dataset: Dataset, drawn: Splits) -> dict[str, Any]:
    """What artifacts/split.json says of the groups that were kept together, as long as any were."""
    grouped = 'in whole' in drawn.drawn and dataset.groups is not None
    chosen = np.concatenate([drawn.train, drawn.val])
    sizes = (
        np.unique(np.array(dataset.groups)[chosen], return_counts=True)[1]
        if grouped
        else np.ones(len(chosen), int)
    )
    return dict(drawn=drawn.drawn, groups=len(sizes), largest=int(sizes.max()), grouped=grouped)


def folds(
    labels: np.ndarray, groups: Sequence[Any] | np.ndarray, k: int, seed: int
) -> list[np.ndarray]:
    """`k` validation parts, int [n] each, ascending, together all of `labels` int [n].

    Each group [n] in one of them.

    Classes are in every part as near to their share as that allows. InputError: too few groups.
    """
    numbers = np.unique(np.asarray(groups), return_inverse=True)[1]
    placed = splits.dealt(labels, numbers, np.full(k, 1 / k), seed)
    return [np.flatnonzero(placed == fold) for fold in range(k)]
