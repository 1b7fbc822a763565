"""Images in NumPy archives."""

from typing import NamedTuple

import numpy as np

from jaxdl import workdir
from jaxdl.data.listing import Listing, note
from jaxdl.data.sources.class_names import join
from jaxdl.data.sources.columns import listing, place, short
from jaxdl.data.sources.split_names import WORDS, assign_parts
from jaxdl.errors import InputError

ADVICE = 'save it with numpy.savez'
_IMAGES = ('images', 'image', 'x', 'data')
_LABELS = ('labels', 'label', 'y', 'targets', 'target')


def npz(where: str, *, on_several_labels: str = 'stop') -> Listing:
    """List the images of a NumPy archive.

    The archive holds `images` and `labels`, or `x_train, y_train, x_test, y_test` (also as
    `train_images` and so on). Images are uint8, or float in [0, 1], [n, height, width] or [n,
    height, width, channel]. Labels are whole numbers, strings or one-hot
    [n, classes]. Optional are `class_names`, in the order of the numbers, and `ids` and `groups`
    [n].

    Args:
      where: the file.
      on_several_labels: as `columns.listing` takes it.

    Raises:
      InputError: it is damaged, or an array is missing or wrong.
    """
    content = workdir.read_arrays(place(where, 'npz:FILE'), ADVICE)
    arrays = {name.lower(): array for name, array in content.items()}
    arrays_of = {part: _pair(where, arrays, part) for part in ('', *WORDS)}
    arrays_of = {part: pair for part, pair in arrays_of.items() if pair}
    names_of = assign_parts(filter(None, arrays_of))
    pairs = {names_of.get(part, ''): pair for part, pair in arrays_of.items()}
    if len(pairs) < len(arrays_of):
        raise InputError(
            f'{where}: {" and ".join(arrays_of)} name the same split twice; keep one of them'
        )
    if '' not in pairs and 'train' not in pairs:
        names = ', '.join(map(short, arrays)) or 'nothing'
        raise InputError(
            f'{where} holds {names}; right are images and labels, or x_train, '
            'y_train, x_test, y_test'
        )
    pairs = {'': pairs['']} if '' in pairs else pairs
    images = [_images(where, pair.image, pair.images) for pair in pairs.values()]
    if len({(x.shape[1:], x.dtype) for x in images}) > 1:
        raise InputError(
            f'{where}: the parts differ in size or type: {", ".join(str(x.shape) for x in images)}'
        )
    class_names = _texts(where, arrays, 'class_names')
    classes = [_classes(where, pair, class_names) for pair in pairs.values()]
    parts = [part for part, names in zip(pairs, classes, strict=True) for _ in names]
    names = [name for some in classes for name in some]
    ids = [
        f'{part}/{i}'.lstrip('/')
        for part, some in zip(pairs, classes, strict=True)
        for i in range(len(some))
    ]
    ids, groups = (
        (_texts(where, arrays, key, len(names)) for key in ('ids', 'groups'))
        if '' in pairs
        else (ids, None)
    )
    ids = ids or [str(i) for i in range(len(names))]
    fixed = None if '' in pairs else parts
    read = {name for pair in pairs.values() for name in (pair.image, pair.label)}
    read |= {'class_names', 'ids', 'groups'} if '' in pairs else {'class_names'}
    return listing(
        where,
        np.concatenate(images),
        names,
        ids,
        class_order=class_names or (),
        parts=fixed,
        groups=groups,
        on_several_labels=on_several_labels,
        notes=note('Passed over: arrays', (name for name in arrays if name not in read)),
    )


class _Pair(NamedTuple):
    """Images and labels of a split, with the names of their arrays."""

    image: str
    label: str
    images: np.ndarray
    labels: np.ndarray


def _pair(where: str, arrays: dict[str, np.ndarray], part: str) -> _Pair | None:
    """The pair of a split, where the archive has its images."""
    names = [[f'{n}_{part}' if part else n for n in usual] for usual in (_IMAGES, _LABELS)]
    if part:
        names = [
            [*some, *(f'{part}_{n}' for n in usual)]
            for some, usual in zip(names, (_IMAGES, _LABELS), strict=True)
        ]
    image, label = (next((n for n in some if n in arrays), None) for some in names)
    if image is None:
        return None
    if label is None:
        raise InputError(f'{where}: {image} has no labels beside it; right is {names[1][0]}')
    labels = arrays[label] if _is_one_hot(arrays[label]) else arrays[label].reshape(-1)
    if arrays[image].ndim == 0 or len(arrays[image]) != len(labels):
        raise InputError(
            f'{where}: {image} has shape {arrays[image].shape} and {label} '
            f'{arrays[label].shape}; n differs'
        )
    return _Pair(image, label, arrays[image], labels)


def _is_one_hot(labels: np.ndarray) -> bool:
    several = labels.ndim == 2 and labels.shape[1] > 1 and labels.dtype.kind in 'biuf'
    return several and bool(np.isin(labels, (0, 1)).all())


def _images(where: str, name: str, images: np.ndarray) -> np.ndarray:
    subject = f'{where}: {name} is {images.dtype} {list(images.shape)}'
    if images.ndim not in (3, 4) or 0 in images.shape:
        raise InputError(f'{subject}; right is [n, height, width] or [n, height, width, channel]')
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[-1] > 4:
        raise InputError(
            f'{subject}: the channels come last: transpose it to [n, height, width, channel]'
        )
    if np.issubdtype(images.dtype, np.floating):
        if not (images.min() >= 0 and images.max() <= 1):  # false for NaN too
            raise InputError(
                f'{subject} and not within [0, 1]: divide it by its largest value, or give uint8'
            )
        images = images.astype(np.float32)
    elif images.dtype != np.uint8:
        raise InputError(f'{subject}; right is uint8, or float in [0, 1]')
    return images if images.ndim == 4 else images[..., None]


def _classes(where: str, pair: _Pair, class_names: list[str] | None) -> list[str]:
    name, labels = pair.image, pair.labels
    if labels.ndim == 2:
        columns = class_names or [str(i) for i in range(labels.shape[1])]
        if len(columns) != labels.shape[1] or not labels.any(1).all():
            raise InputError(
                f'{where}: the labels of {name} are one-hot {list(labels.shape)}, class_names '
                f'{len(columns)}; each row must have a 1'
            )
        return [join([columns[i] for i in np.flatnonzero(row)]) for row in labels]
    if labels.dtype.kind not in 'iuUS':
        raise InputError(
            f'{where}: the labels of {name} are {labels.dtype}; right are whole numbers or strings'
        )
    if labels.dtype.kind not in 'iu' or not class_names:
        return _strings(labels)
    if labels.min() < 0 or labels.max() >= len(class_names):
        raise InputError(
            f'{where}: the labels of {name} are {labels.min()} to {labels.max()}, '
            f'class_names {len(class_names)}'
        )
    return [class_names[i] for i in labels]


def _texts(
    where: str, arrays: dict[str, np.ndarray], key: str, n: int | None = None
) -> list[str] | None:
    """Read an optional array [n] of strings."""
    if key not in arrays:
        return None
    array = arrays[key]
    if array.ndim != 1 or array.dtype.kind not in 'iuUS' or (n is not None and len(array) != n):
        right = f'[{"n" if n is None else n}] strings'
        raise InputError(f'{where}: {key} is {array.dtype} {list(array.shape)}; right is {right}')
    names = _strings(array)
    if key == 'class_names' and len(set(names)) < len(names):
        raise InputError(f'{where}: class_names has a name twice; names must differ')
    return names


def _strings(array: np.ndarray) -> list[str]:
    return [
        v.decode(errors='surrogateescape') if isinstance(v, bytes) else str(v)
        for v in array.tolist()
    ]
