"""A data set of a user's own: a function that gives images, labels and the names of the classes."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxdl.data.listing import Listing
from jaxdl.data.sources.columns import listing
from jaxdl.errors import InputError, blamed

FORM = 'must give (images [n, height, width, channel], uint8 or float32, labels [n], class_names) or a Listing'


def source(name: str, function: Callable[..., Any]) -> Callable[..., Listing]:
    """A row of SOURCES: it has the parameters of `function`.

    Which need not have one for what follows the colon.

    Raises:
      InputError: it is no function, now; or gives something else, when it is called.
    """
    if not callable(function):
        raise InputError(f'dataset {name!r} is {type(function).__name__}: must be a function')
    located = 'where' in inspect.signature(function).parameters

    @functools.wraps(function)
    def own(where: str, **options: Any) -> Listing:
        if where and not located:
            raise InputError(
                f'--dataset={name}:{where}: nothing goes after the name; right is --dataset={name}'
            )
        with blamed(f'dataset {name!r}', FORM):
            found = function(**options, **(dict(where=where) if located else {}))
            return found if isinstance(found, Listing) else _listing(name, *found)

    return own


def _listing(name: str, images: Any, labels: Any, class_names: Any) -> Listing:
    images, labels, names = (
        np.asarray(images),
        np.asarray(labels),
        [str(own) for own in class_names],
    )
    if images.ndim != 4 or images.dtype not in (np.uint8, np.float32):
        raise InputError(
            f'dataset {name!r}: images are {images.dtype} {list(images.shape)}: {FORM}'
        )
    whole = labels.ndim == 1 and labels.dtype.kind in 'iu' and len(labels) == len(images)
    if not whole or not len(labels) or labels.min() < 0 or labels.max() >= len(names):
        right = f'{len(images)} whole numbers from 0 to {len(names) - 1}, one an image'
        raise InputError(
            f'dataset {name!r}: labels are {labels.dtype} {list(labels.shape)}: must be {right}'
        )
    classes = [names[label] for label in labels]
    return listing(
        name,
        images,
        classes,
        map(str, range(len(images))),
        known=names,
        note='registered by the study',
    )
