"""What data there is: one row of SOURCES for each form of `--dataset`."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxdl import fields
from jaxdl.data.splits import SPLITS, Splits
from jaxdl.errors import unknown


def _dataset(spec: str) -> str | None:
    return fields.one_of(SOURCES)(spec.split(':', 1)[0])


def _fractions(values: tuple[float, ...]) -> str | None:
    right = len(values) == 3 and all(v > 0 for v in values) and abs(sum(values) - 1) < 1e-9
    return None if right else 'must be three positive numbers, for train, val and test, whose sum is 1'


@dataclasses.dataclass(frozen=True)
class Data:
    """Which images, and how they are split."""

    dataset: str = fields.ruled('digits', _dataset)
    split: str = fields.ruled('stratified', fields.one_of(SPLITS))
    fractions: tuple[float, ...] = fields.ruled((0.6, 0.2, 0.2), _fractions)
    split_seed: int = fields.ruled(0, fields.at_least(0))


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Labelled images: uint8 [n, height, width, channel], labels int32 [n], an id [n] and the names of the classes."""

    name: str
    description: str
    images: np.ndarray
    labels: np.ndarray
    ids: tuple[str, ...]
    class_names: tuple[str, ...]

    def checksum(self) -> str:
        """SHA-256 of the images and labels: the same bytes give the same run."""
        return hashlib.sha256(self.images.tobytes() + self.labels.tobytes()).hexdigest()


def digits(_: str = '') -> Dataset:
    """The 1,797 handwritten digits of 8 x 8 pixels that ship inside scikit-learn (UCI, Alpaydin and Kaynak 1998)."""
    from sklearn import datasets  # a second to import, and only this source needs it

    found: Any = datasets.load_digits()
    images = np.round(found.images * (255 / 16)).astype(np.uint8)[..., None]
    return Dataset(
        name='digits',
        description="scikit-learn's digits: 1,797 handwritten digits, 8 x 8 pixels, grey",
        images=images,
        labels=found.target.astype(np.int32),
        ids=tuple(map(str, range(len(images)))),
        class_names=tuple(map(str, found.target_names)),
    )


SOURCES: dict[str, Callable[[str], Dataset]] = {'digits': digits}


@functools.lru_cache(maxsize=2)
def load(spec: str) -> Dataset:
    """The data set of a `--dataset=KIND[:WHERE]`; InputError where there is none of that kind."""
    kind, _, where = spec.partition(':')
    if kind not in SOURCES:
        raise unknown('dataset', kind, SOURCES)
    return SOURCES[kind](where)


def split(dataset: Dataset, data: Data) -> Splits:
    """The parts of `dataset` that `data` asks for."""
    return SPLITS[data.split](dataset.labels, data.fractions, data.split_seed)
