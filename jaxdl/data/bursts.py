"""Bursts of photographs of one scene, by a network's features, and splits of whole bursts.

Photographs of one shelf at one moment are near-duplicates. On both sides of a split they make a
measurement too optimistic.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxdl.data import loading, splits
from jaxdl.data.listing import Dataset
from jaxdl.data.loading import Data
from jaxdl.data.splits import Splits

LEAST = 5  # fewest clusters per class that has as many images
BLOCK = 4096  # most images of a class that are compared with each other


def clusters(
    features: np.ndarray, labels: np.ndarray, threshold: float = 0.5, least: int = LEAST
) -> np.ndarray:
    """Number the burst of each photograph, within its class.

    Average linkage (Sokal and Michener 1958) of the cosines between centred features. Unlike single
    linkage it does not join a chain of neighbours to one cluster.

    Args:
      features: [n, f].
      labels: int [n].
      threshold: clusters with a larger mean cosine are joined.
      least: fewest clusters per class.

    Returns:
      int64 [n], from 0.
    """
    normal = centred_directions(features)
    burst, count = np.zeros(len(labels), np.int64), 0
    for label in np.unique(labels):
        for block in _blocks(normal, np.flatnonzero(labels == label)):
            numbers = _cluster(normal[block], threshold, least)
            burst[block] = numbers + count
            count += numbers.max() + 1
    return burst


def centred_directions(features: np.ndarray) -> np.ndarray:
    """Centre features [n, f] and scale each to length 1, so that products of rows are cosines."""
    centred = np.asarray(features, np.float32) - features.mean(0, dtype=np.float64).astype(
        np.float32
    )
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)


def _blocks(normal: np.ndarray, indices: np.ndarray) -> list[np.ndarray]:
    """Divide the images of a large class into blocks of neighbours along its longest axis."""
    if len(indices) <= BLOCK:
        return [indices]
    centred = normal[indices] - normal[indices].mean(0)
    along = np.linalg.svd(centred, full_matrices=False)[2][0]
    ordered = indices[np.argsort(normal[indices] @ along, kind='stable')]
    return np.array_split(ordered, -(-len(indices) // BLOCK))


def _cluster(normal: np.ndarray, threshold: float, least: int) -> np.ndarray:
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
    """Split as `data.split` does, but `grouped` keeps bursts together.

    Groups that the source names take precedence. Without bursts the split is stratified.

    Args:
      dataset: images and labels.
      data: kind, shares and seed of the split.
      features: [n, f] or [n, view, f], of which the first view is used.
      number: repetition, from 0.

    Returns:
      The data set, with bursts as its `groups`, and the split. Images of a split that the source
      fixes have bursts of their own.
    """
    if data.split != 'grouped' or dataset.groups is not None:
        return dataset, loading.split(dataset, data, number)
    left_open = np.flatnonzero(
        np.array(dataset.parts or ['train'] * len(dataset.labels)) == 'train'
    )
    first = features if features.ndim == 2 else features[:, 0]
    burst = clusters(first[left_open], dataset.labels[left_open])
    if len(np.unique(burst)) == len(burst):
        splits = stratified(dataset, data, number)
        return dataset, dataclasses.replace(
            splits, drawn=f'{splits.drawn}: there are no bursts of photographs'
        )
    names = np.empty(len(dataset.labels), object)
    names[left_open] = [f'burst {cluster}' for cluster in burst]
    for part in ('val', 'test'):  # fixed by the source
        chosen = np.flatnonzero(np.array(dataset.parts or ()) == part)
        if len(chosen):
            burst = clusters(first[chosen], dataset.labels[chosen])
            names[chosen] = [f'{part} burst {cluster}' for cluster in burst]
    dataset = dataclasses.replace(dataset, groups=tuple(names))
    splits = loading.split(dataset, data, number)
    words = splits.drawn.replace('groups that the source names', 'bursts of photographs')
    return dataset, dataclasses.replace(splits, drawn=words)


def count_train(dataset: Dataset, data: Data) -> tuple[int, bool]:
    """Number of training images before features are known.

    Args:
      dataset: images and labels.
      data: kind, shares and seed of the split.

    Returns:
      The number, and whether it is exact: bursts that `split` finds may change it.
    """
    if data.split != 'grouped' or dataset.groups is not None:
        return len(loading.split(dataset, data).train), True
    return len(stratified(dataset, data).train), False


def stratified(dataset: Dataset, data: Data, number: int = 0) -> Splits:
    """Split as `data` says, but stratified, with every image by itself."""
    return loading.split(dataset, dataclasses.replace(data, split='stratified'), number)


def describe_groups(dataset: Dataset, splits: Splits) -> dict[str, Any]:
    """Describe the groups of a split for artifacts/split.json."""
    grouped = 'in whole' in splits.drawn and dataset.groups is not None
    chosen = np.concatenate([splits.train, splits.val])
    sizes = (
        np.unique(np.array(dataset.groups)[chosen], return_counts=True)[1]
        if grouped
        else np.ones(len(chosen), int)
    )
    return dict(drawn=splits.drawn, groups=len(sizes), largest=int(sizes.max()), grouped=grouped)


def folds(
    labels: np.ndarray, groups: Sequence[Any] | np.ndarray, k: int, seed: int
) -> list[np.ndarray]:
    """Divide labelled images into `k` validation sets of whole groups.

    Args:
      labels: int [n].
      groups: [n].
      k: number of sets.
      seed: of the order in which groups are placed.

    Returns:
      `k` arrays of indices, int [m] each, ascending and disjoint, together all n. The share of a
      class in each is as equal as the groups allow.

    Raises:
      InputError: there are too few groups.
    """
    numbers = np.unique(np.asarray(groups), return_inverse=True)[1]
    placed = splits.assign(labels, numbers, np.full(k, 1 / k), seed)
    return [np.flatnonzero(placed == fold) for fold in range(k)]
