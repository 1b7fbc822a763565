"""Data sets of users: functions that return images, labels and class names."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxdl.data.listing import Listing
from jaxdl.data.sources.columns import listing
from jaxdl.errors import InputError, blamed

FORM = (
    'must return (images [n, height, width, channel], uint8 or float32, labels [n], class_names) '
    'or a Listing'
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


def _listing(name: str, images: Any, labels: Any, class_names: Any) -> Listing:
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
        note='registered by the study',
    )
