"""SHA-256 checksum of a tree of arrays."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


def checksum(tree: Mapping[str, Any]) -> str:
    """SHA-256 of every array of a tree of nested dicts, each with its path, dtype and shape.

    Args:
      tree: nested dicts whose leaves are arrays.

    Returns:
      The hexadecimal digest. The order of the keys does not matter.
    """
    digest = hashlib.sha256()
    for path, leaf in _leaves(tree, ''):
        value = np.ascontiguousarray(leaf)
        digest.update(f'{path} {value.dtype} {value.shape}'.encode())
        digest.update(value.data)
    return digest.hexdigest()


def _leaves(tree: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        for key in sorted(tree):
            yield from _leaves(tree[key], f'{path}[{key!r}]')
    else:
        yield path, tree
