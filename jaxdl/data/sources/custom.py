"""Data sets of users: functions that return images, labels and class names, maybe splits."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxdl.data.listing import Listing
from jaxdl.data.sources.columns import listing, short
from jaxdl.data.sources.split_names import part_of
from jaxdl.errors import InputError, blamed

FORM = (
    'must return (images [n, height, width, channel], uint8 or float32, labels [n], class_names), '
    'then splits [n] and groups [n] if there are, or a Listing'
)


def source(name: str, function: Callable[..., Any]) -> Callable[..., Listing]:
    """Make a row of SOURCES of a user's function.

    Args:
      name: the name of the data set.
      function: its parameters are `where` (the text after the colon) and fields of `Data`, or none.

    Returns:
      A source; it raises InputError where `function` fails or returns something else.

    Raises:
      InputError: `function` is no function.
    """
    if not callable(function):
        raise InputError(f'dataset {name!r} is {type(function).__name__}: must be a function')
    located = 'where' in inspect.signature(function).parameters

    @functools.wraps(function)
    def read(where: str, **options: Any) -> Listing:
        if where and not located:
            raise InputError(
                f'--dataset={name}:{where}: nothing follows the name; the form is --dataset={name}'
            )
        with blamed(f'dataset {name!r}', FORM):
            result = function(**options, **(dict(where=where) if located else {}))
            return result if isinstance(result, Listing) else _listing(name, *result)

    return read


def _listing(
    name: str, images: Any, labels: Any, class_names: Any, splits: Any = None, groups: Any = None
) -> Listing:
    images, labels, names = (
        np.asarray(images),
        np.asarray(labels),
        [str(class_name) for class_name in class_names],
    )
    if images.ndim != 4 or images.dtype not in (np.uint8, np.float32):
        raise InputError(
            f'dataset {name!r}: images are {images.dtype} {list(images.shape)}: {FORM}'
        )
    integers = labels.ndim == 1 and labels.dtype.kind in 'iu' and len(labels) == len(images)
    if not integers or not len(labels) or labels.min() < 0 or labels.max() >= len(names):
        right = f'{len(images)} whole numbers from 0 to {len(names) - 1}, one per image'
        raise InputError(
            f'dataset {name!r}: labels are {labels.dtype} {list(labels.shape)}: must be {right}'
        )
    classes = [names[label] for label in labels]
    return listing(
        name,
        images,
        classes,
        map(str, range(len(images))),
        class_order=names,
        parts=_parts(name, splits, len(images)),
        groups=_names(name, 'groups', groups, len(images)),
        note='registered by the study',
    )


def _parts(name: str, splits: Any, n: int) -> list[str] | None:
    """Split of each image by the words of jaxdl."""
    words = _names(name, 'splits', splits, n)
    parts = {word: part_of(word) for word in words or ()}
    for word, part in parts.items():
        if not part:
            raise InputError(
                f'dataset {name!r}: splits has {short(word)}: must be train, val or test'
            )
    return words and [parts[word] for word in words]


def _names(name: str, kind: str, values: Any, n: int) -> list[str] | None:
    """A word per image; None without any."""
    if values is None:
        return None
    array = np.asarray(values)
    if array.shape != (n,) or array.dtype.kind not in 'iuU':
        raise InputError(
            f'dataset {name!r}: {kind} are {array.dtype} {list(array.shape)}: must be {n} words, '
            'one per image'
        )
    return [str(value) for value in array.tolist()]
