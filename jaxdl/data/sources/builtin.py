"""Data sets that need no file: of scikit-learn, or drawn at random."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxdl.data.listing import Listing
from jaxdl.data.sources.columns import listing
from jaxdl.data.sources.hard_digits import hard_digits
from jaxdl.errors import InputError


def digits(where: str = '') -> Listing:
    """Handwritten digits, uint8 [n, 8, 8, 1] (UCI, Alpaydin and Kaynak 1998)."""
    _nothing('digits', where)
    from sklearn import datasets  # takes a second

    bunch: Any = datasets.load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    return _listing('digits', images, bunch, "scikit-learn's: handwritten, 8 x 8 pixels, grey")


def breast_cancer(where: str = '') -> Listing:
    """Malignant or benign tumours by 30 measurements, float32 [n, 1, 1, 30] (UCI, 1993)."""
    _nothing('breast_cancer', where)
    from sklearn import datasets

    bunch: Any = datasets.load_breast_cancer()
    images = bunch.data.astype(np.float32)[:, None, None]
    return _listing(
        'breast_cancer', images, bunch, "scikit-learn's: 30 measurements of cell nuclei"
    )


def moons(where: str = '') -> Listing:
    """Two interleaved half circles with noise, float32 [1000, 1, 1, 2]; always the same points."""
    _nothing('moons', where)
    from sklearn import datasets

    drawn: Any = datasets.make_moons(1000, noise=0.2, random_state=0)
    points, labels = drawn
    ids = map(str, range(len(points)))
    images = points.astype(np.float32)[:, None, None]
    return listing(
        'moons',
        images,
        [str(label) for label in labels],
        ids,
        note='points in the plane, noise 0.2',
    )


SOURCES: dict[str, Callable[..., Listing]] = {
    'digits': digits,
    'hard_digits': hard_digits,
    'breast_cancer': breast_cancer,
    'moons': moons,
}


def _listing(name: str, images: np.ndarray, bunch: Any, note: str) -> Listing:
    names = [str(n) for n in bunch.target_names]
    classes = [names[label] for label in bunch.target]
    return listing(
        name, images, classes, map(str, range(len(images))), class_order=names, note=note
    )


def _nothing(name: str, where: str) -> None:
    if where:
        raise InputError(
            f'--dataset={name}:{where}: nothing follows the name; the form is --dataset={name}'
        )
