"""Initial weights of a network from a file, or from a stored network of another ablation."""

import functools
import hashlib
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import traverse_util

from jaxdl.errors import InputError, nearest
from jaxdl.models import weights
from jaxdl.workdir import tables
from jaxdl.workdir.networks import FOLDER, INDEX

SUFFIXES = ('.safetensors', '.npz')
FORMS = (
    'must be a .safetensors or .npz file, or WORKDIR:OPTION:SEED of an ablation that ran with '
    'keep_networks=true'
)
MOMENTS = ('mean', 'std')  # of the images of a stored network, next to its variables
REQUIRED = ('params', 'batch_stats')  # other collections start as the network declares them
MOST = 3  # names in a message


def find_file(source: str) -> pathlib.Path:
    """The file of a value of `init_from`.

    Args:
      source: a file, or WORKDIR:OPTION:SEED; with conditions WORKDIR:CONDITION:OPTION:SEED.

    Returns:
      Its path.

    Raises:
      InputError: there is no such file or stored network.
    """
    path = pathlib.Path(source)
    if path.is_file():
        if path.suffix not in SUFFIXES:
            raise InputError(f'init_from={source}: {FORMS}')
        return path
    parts = source.split(':')
    for end in range(len(parts), 0, -1):
        folder = pathlib.Path(':'.join(parts[:end]))
        if (folder / FOLDER / 'index.csv').is_file():
            return _find_stored(source, folder, ':'.join(parts[end:]))
    raise InputError(f'init_from={source}: no such file or stored network: {FORMS}')


def _find_stored(source: str, folder: pathlib.Path, name: str) -> pathlib.Path:
    rows = tables.read_table(folder / FOLDER / 'index.csv', INDEX, further=float)
    files = {f'{row["condition"]}:{row["option"]}:{row["seed"]}': row['file'] for row in rows}
    if len({row['condition'] for row in rows}) == 1:
        files = {f'{row["option"]}:{row["seed"]}': row['file'] for row in rows}
    if name not in files:
        raise InputError(
            f'init_from={source}: {folder} has no network {name!r}: {nearest(name, files)}'
        )
    return folder / FOLDER / files[name]


def checksum(source: str) -> str:
    """SHA-256 of the file of a value of `init_from`; InputError without the file."""
    with find_file(source).open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def read(source: str, shapes: Mapping[str, Any]) -> dict[str, Any]:
    """Read the variables of a network.

    Names are the path of a variable with `/` or `.`, with or without its collection:
    `params/conv/kernel`, `conv.kernel`.

    Args:
      source: value of `init_from`.
      shapes: collection -> tree of shapes and types, as the network declares its variables.

    Returns:
      collection -> tree of arrays; only `params`, `batch_stats` and other collections of the file.

    Raises:
      InputError: there is no such file, or its names, shapes or values do not fit the network.
    """
    path = find_file(source)
    stat = path.stat()
    arrays = dict(_arrays(path, stat.st_mtime_ns, stat.st_size))
    flat: dict[tuple[str, ...], Any] = traverse_util.flatten_dict(dict(shapes))
    values, missing, unlike = {}, [], []
    for key, shape in flat.items():
        names = ('/'.join(key), '/'.join(key[1:]))
        name = next((name for name in names if name in arrays), None)
        if name is None:
            missing += [names[1]] if key[0] in REQUIRED else []
            continue
        value = arrays.pop(name)
        if value.shape != shape.shape:
            unlike.append(f'{names[1]} has {list(value.shape)}, must be {list(shape.shape)}')
        elif value.dtype.kind == 'f' and not np.isfinite(value).all():
            unlike.append(f'{names[1]} has values that are not finite')
        values[key] = value.astype(shape.dtype)
    unexpected = [name for name in arrays if name not in MOMENTS]
    problems = [
        f'{text} {", ".join(names[:MOST])}{f" and {len(names) - MOST} more" * (len(names) > MOST)}'
        for text, names in (
            ('it lacks', missing),
            ('the network lacks', unexpected),
            ('parameters differ:', unlike),
        )
        if names
    ]
    if problems:
        raise InputError(
            f'init_from={source}: does not fit the network: {"; ".join(problems)}: give a file '
            'with all variables of this network'
        )
    return traverse_util.unflatten_dict(values)


@functools.lru_cache(maxsize=8)
def _arrays(path: pathlib.Path, changed: int, size: int) -> dict[str, np.ndarray]:
    """Arrays of a file by path; `changed` and `size` keep an old content from being returned."""
    del changed, size
    tensors = weights.read(str(path)).tensors
    return {name.replace('.', '/'): value for name, value in tensors.items()}
