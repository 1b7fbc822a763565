"""Images in NumPy archives and in sets of Hugging Face's `datasets`."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxdl.data.labels import IMAGE_COLUMNS, LABEL_COLUMNS, PARTS, column, home, listing, place, short, there
from jaxdl.data.listing import Listing, Undecoded
from jaxdl.errors import InputError

_IMAGES = ('images', 'image', 'x', 'data')
_LABELS = ('labels', 'label', 'y', 'targets', 'target')


def npz(where: str) -> Listing:
    """`images` and `labels`, or `x_train, y_train, x_test, y_test` (or `train_images` ...), of a NumPy archive.

    images: uint8, or float in [0, 1], [n, height, width] or [n, height, width, channel]; labels: whole numbers or
    strings. Optional: `class_names` that the numbers count, `ids` and `groups` [n].
    """
    arrays = _archive(place(where, 'npz:FILE'))
    found = {part: _pair(where, arrays, part) for part in ('', *PARTS)}
    pairs = {PARTS.get(part, ''): pair for part, pair in found.items() if pair}
    if '' not in pairs and 'train' not in pairs:
        names = ', '.join(map(short, arrays)) or 'nothing'
        raise InputError(f'{where} holds {names}; right are images and labels, or x_train, y_train, x_test, y_test')
    pairs = {'': pairs['']} if '' in pairs else pairs
    images = [_images(where, *pair[:2]) for pair in pairs.values()]
    if len({(x.shape[1:], x.dtype) for x in images}) > 1:
        raise InputError(f'{where}: the parts differ in size or type: {", ".join(str(x.shape) for x in images)}')
    known = _texts(where, arrays, 'class_names')
    classes = [_classes(where, *pair, known) for pair in pairs.values()]
    parts = [part for part, names in zip(pairs, classes, strict=True) for _ in names]
    names = [name for some in classes for name in some]
    ids = [f'{part}/{i}'.lstrip('/') for part, some in zip(pairs, classes, strict=True) for i in range(len(some))]
    ids, groups = (_texts(where, arrays, key, len(names)) for key in ('ids', 'groups')) if '' in pairs else (ids, None)
    ids = ids or [str(i) for i in range(len(names))]
    fixed = None if '' in pairs else parts
    return listing(where, np.concatenate(images), names, ids, known=known or (), parts=fixed, groups=groups)


def _archive(file: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        with file.open('rb') as data:  # a file that np.load opens stays open where it is no archive
            archive: Any = np.load(data, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise ValueError('it is one array, not an archive of several')
            return {name.lower(): archive[name] for name in archive.files}
    except Exception as error:  # an archive breaks in many ways: zip, zlib, header, pickled objects, memory
        raise InputError(f'cannot read {file} as an .npz of plain arrays: {short(str(error), str)}') from None


def _pair(where: str, arrays: dict[str, np.ndarray], part: str) -> tuple[str, np.ndarray, np.ndarray] | None:
    """(name, images, labels) of a part, where the archive has its images."""
    names = [[f'{n}_{part}' if part else n for n in known] for known in (_IMAGES, _LABELS)]
    if part:
        names = [
            [*some, *(f'{part}_{n}' for n in known)] for some, known in zip(names, (_IMAGES, _LABELS), strict=True)
        ]
    image, label = (next((n for n in some if n in arrays), None) for some in names)
    if image is None:
        return None
    if label is None:
        raise InputError(f'{where}: {image} has no labels beside it; right is {names[1][0]}')
    if arrays[image].ndim == 0 or len(arrays[image]) != arrays[label].size:
        raise InputError(
            f'{where}: {image} has shape {arrays[image].shape} and {label} {arrays[label].shape}; n differs'
        )
    return image, arrays[image], arrays[label].reshape(-1)


def _images(where: str, name: str, images: np.ndarray) -> np.ndarray:
    what = f'{where}: {name} is {images.dtype} {list(images.shape)}'
    if images.ndim not in (3, 4) or 0 in images.shape:
        raise InputError(f'{what}; right is [n, height, width] or [n, height, width, channel]')
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[-1] > 4:
        raise InputError(f'{what}: the channels come last: transpose it to [n, height, width, channel]')
    if np.issubdtype(images.dtype, np.floating):
        if not (images.min() >= 0 and images.max() <= 1):  # false for NaN too
            raise InputError(f'{what} and not within [0, 1]: divide it by its largest value, or give uint8')
        images = images.astype(np.float32)
    elif images.dtype != np.uint8:
        raise InputError(f'{what}; right is uint8, or float in [0, 1]')
    return images if images.ndim == 4 else images[..., None]


def _classes(where: str, name: str, _: np.ndarray, labels: np.ndarray, known: list[str] | None) -> list[str]:
    if labels.dtype.kind not in 'iuUS':
        raise InputError(f'{where}: the labels of {name} are {labels.dtype}; right are whole numbers or strings')
    if labels.dtype.kind not in 'iu' or not known:
        return _strings(labels)
    if labels.min() < 0 or labels.max() >= len(known):
        raise InputError(
            f'{where}: the labels of {name} are {labels.min()} to {labels.max()}, class_names {len(known)}'
        )
    return [known[i] for i in labels]


def _texts(where: str, arrays: dict[str, np.ndarray], key: str, n: int | None = None) -> list[str] | None:
    """The strings of an optional array [n]."""
    if key not in arrays:
        return None
    array = arrays[key]
    if array.ndim != 1 or array.dtype.kind not in 'iuUS' or (n is not None and len(array) != n):
        right = f'[{"n" if n is None else n}] strings'
        raise InputError(f'{where}: {key} is {array.dtype} {list(array.shape)}; right is {right}')
    names = _strings(array)
    if key == 'class_names' and len(set(names)) < len(names):
        raise InputError(f'{where}: class_names has a name twice')
    return names


def _strings(array: np.ndarray) -> list[str]:
    return [v.decode(errors='surrogateescape') if isinstance(v, bytes) else str(v) for v in array.tolist()]


def hf(where: str, *, image_column: str = '', label_column: str = '') -> Listing:
    """A set of Hugging Face's `datasets`: a folder of `save_to_disk`, parquet, or `NAME[:CONFIG]` on the hub."""
    if not where:
        raise InputError('--dataset=hf names no set: --dataset=hf:NAME_OR_PATH')
    try:
        import datasets
    except ImportError:
        raise InputError("--dataset=hf needs the package datasets: pip install 'jaxdl[hf]'") from None
    splits, note = _splits(where, _opened(datasets, where))
    how = '--set=data.image_column=NAME, --set=data.label_column=NAME'
    rows, classes, ids, parts = list[Any](), list[str](), list[str](), list[str]()
    known: Sequence[str] = ()
    for part, table in splits.items():
        image = _column(table, image_column, IMAGE_COLUMNS, datasets.Image, f'hf:{where}: the column of images', how)
        label = _column(
            table, label_column, LABEL_COLUMNS, datasets.ClassLabel, f'hf:{where}: the column of classes', how
        )
        rows.append(_encoded(datasets, where, table, image))
        known = known or getattr(table.features[label], 'names', ())
        classes += _names(where, table, label)
        ids += (f'{part}/{i}' if len(splits) > 1 else str(i) for i in range(len(table)))
        parts += [part] * len(table)
    images = _Images(rows)
    return listing(f'hf:{where}', images, classes, ids, known=known, parts=parts, note=note)


class _Images(Sequence[Undecoded]):
    """The encoded images of several tables one after another, read from their memory map when asked for."""

    def __init__(self, tables: Sequence[Any]) -> None:
        self.rows = [(table, i) for table in tables for i in range(len(table))]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        table, i = self.rows[index]
        (image,) = table[i].values()
        found = image or {}
        if found.get('bytes') is None and found.get('path'):
            return pathlib.Path(found['path'])
        return found.get('bytes') or b''  # nothing there: the decoder says so


def _opened(datasets: Any, where: str) -> Any:
    try:
        if not there(where):
            name, _, config = where.partition(':')
            return datasets.load_dataset(name, config or None)
        path = home(where)
        if path.is_file():
            return datasets.load_dataset('parquet', data_files=str(path))
        if any((path / name).is_file() for name in ('dataset_dict.json', 'state.json')):
            return datasets.load_from_disk(str(path))
        return datasets.load_dataset(str(path))
    except Exception as error:  # of the network, the hub, arrow and the set itself
        what = f'{type(error).__name__}: {short(str(error), str)}'
        raise InputError(f'cannot open hf:{where}, which is on this disk or needs the network: {what}') from None


def _splits(where: str, found: Any) -> tuple[dict[str, Any], str]:
    """The tables of `train`, `val` and `test`, as far as there are any with labels."""
    if not isinstance(found, dict):
        return dict(train=found), ''
    if len(found) == 1:
        return dict(train=next(iter(found.values()))), ''
    parts = {PARTS[name]: table for name, table in found.items() if name in PARTS and not _unlabelled(table)}
    if 'train' not in parts:
        raise InputError(f'hf:{where} has the splits {", ".join(found)}; one must be train')
    out = [name for name in found if PARTS.get(name) not in parts]
    return parts, f'left out: {", ".join(out)}' if out else ''


def _unlabelled(table: Any) -> bool:
    """Whether every class label is -1, the hub's way to keep a test set's labels."""
    columns = [name for name, feature in table.features.items() if hasattr(feature, 'names')]
    return bool(columns) and all(set(table.unique(name)) <= {-1, None} for name in columns)


def _column(table: Any, asked: str, known: tuple[frozenset[str], ...], kind: type, what: str, how: str) -> str:
    typed = [name for name, feature in table.features.items() if isinstance(feature, kind)]
    if not asked and len(typed) == 1:
        return typed[0]
    header = typed if typed and not asked else list(table.features)
    return header[column(header, asked, known, what, how)]


def _encoded(datasets: Any, where: str, table: Any, image: str) -> Any:
    try:
        return table.select_columns([image]).with_format(None).cast_column(image, datasets.Image(decode=False))
    except Exception as error:  # arrow has no one error for a column of another type
        what = short(str(error), str)
        raise InputError(f'hf:{where}: column {short(image)} does not hold encoded images: {what}') from None


def _names(where: str, table: Any, label: str) -> list[str]:
    names = getattr(table.features[label], 'names', None)
    values = list(table.with_format(None)[label])
    for i, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, (int, str)) or (names and not 0 <= int(value) < len(names)):
            raise InputError(f'hf:{where}: row {i} of {short(label)} is {short(str(value))}, no class')
    return [names[v] for v in values] if names else list(map(str, values))
