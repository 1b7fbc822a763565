"""Which images train, which choose, which measure: disjoint index arrays, fixed by a seed."""

import dataclasses
from collections.abc import Callable

import numpy as np

from jaxdl.errors import InputError


@dataclasses.dataclass(frozen=True)
class Splits:
    """Indices into the data set, int [n] each, ascending and disjoint."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def stratified(labels: np.ndarray, fractions: tuple[float, ...], seed: int) -> Splits:
    """Random, with each class in its share of every part."""
    from sklearn.model_selection import train_test_split

    everything = np.arange(len(labels))
    _, val_share, test_share = fractions
    try:
        rest, test = train_test_split(everything, test_size=test_share, stratify=labels, random_state=seed)
        share = val_share / (1 - test_share)
        train, val = train_test_split(rest, test_size=share, stratify=labels[rest], random_state=seed)
    except ValueError as error:
        raise InputError(f'data.fractions={list(fractions)} cannot be kept on {len(labels)} images: {error}') from None
    return Splits(np.sort(train), np.sort(val), np.sort(test))


SPLITS: dict[str, Callable[[np.ndarray, tuple[float, ...], int], Splits]] = {'stratified': stratified}
