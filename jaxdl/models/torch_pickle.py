"""Read PyTorch checkpoints without PyTorch, and without running code of the file.

A checkpoint is a pickle, which may name any function and call it. This reader accepts the few
names that tensors and dictionaries need, and no others. It reads both formats: the zip file of
PyTorch 1.6 and later (data.pkl, and one file per storage), and the older sequence of pickles
followed by storages.
"""

import math
import pathlib
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from jaxdl.errors import InputError
from jaxdl.workdir import zip_safety

MAGIC = 0x1950A86A20F9469CFC6C  # of the older form
PUTS = ('PUT', 'BINPUT', 'LONG_BINPUT')
INSIDE = (
    'state_dict_ema',
    'state_dict',
    'model_state_dict',
    'model',
)  # where a checkpoint of training has the weights
# Storage -> dtype of its bytes; bfloat16 has none in NumPy, and is the upper half of a float32.
DTYPES = dict(
    FloatStorage='<f4',
    DoubleStorage='<f8',
    HalfStorage='<f2',
    BFloat16Storage='bfloat16',
    LongStorage='<i8',
    IntStorage='<i4',
    ShortStorage='<i2',
    CharStorage='i1',
    ByteStorage='u1',
    BoolStorage='?',
)


@dataclass(frozen=True)
class Storage:
    """Consecutive numbers that tensors are slices of, named by `key`."""

    dtype: str
    key: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A tensor as the pickle describes it: its numbers may only come later in the file."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def load_zip(path: pathlib.Path) -> Any:
    """Read a zip checkpoint.

    Args:
      path: of the file.

    Returns:
      Content of the checkpoint, with tensors as arrays.

    Raises:
      InputError: a big-endian file, a zip bomb, or a pickle that would call other functions.
    """
    zip_safety.check(path, 'weights ')
    with zipfile.ZipFile(path) as archive:
        (name,) = [
            name for name in archive.namelist() if name.endswith('/data.pkl') or name == 'data.pkl'
        ]
        folder = name.removesuffix('data.pkl')
        if (
            folder + 'byteorder' in archive.namelist()
            and archive.read(folder + 'byteorder') != b'little'
        ):
            raise InputError(
                f'weights {path}: its numbers are big-endian, which are not read: '
                'save a .safetensors file'
            )
        with archive.open(name) as stream:
            content = _Unpickler(stream, path).load()
        return _fill_tensors(content, lambda storage: archive.read(f'{folder}data/{storage.key}'))


def load_legacy(path: pathlib.Path) -> Any:
    """Read a checkpoint of the older format.

    Args:
      path: of the file.

    Returns:
      Content of the checkpoint, with tensors as arrays.

    Raises:
      InputError: no checkpoint, or a pickle that would call other functions.
    """
    with path.open('rb') as stream:
        if _Unpickler(stream, path).load() != MAGIC:
            raise InputError(
                f'weights {path}: no checkpoint of PyTorch: give what torch.save wrote'
            )
        for _ in ('protocol', 'machine'):
            _Unpickler(stream, path).load()
        reader = _Unpickler(stream, path)
        content = reader.load()
        keys, storages = _Unpickler(stream, path).load(), {}
        for key in keys:
            (count,) = struct.unpack('<q', stream.read(8))
            dtype = reader.storages[key].dtype
            if not 0 <= count * _width(dtype) <= path.stat().st_size:
                raise ValueError('a storage that is larger than its file')
            storages[key] = stream.read(count * _width(dtype))
    return _fill_tensors(content, lambda storage: storages[storage.key])


def state_dict(content: Any, path: pathlib.Path) -> dict[str, np.ndarray]:
    """Take the arrays out of the dictionaries that a training script puts around them.

    Args:
      content: of a checkpoint.
      path: of the file, for the message.

    Returns:
      Name -> array.

    Raises:
      InputError: the content is no dictionary.
    """
    for name in INSIDE:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            return state_dict(content[name], path)
    if not isinstance(content, Mapping):
        raise InputError(f'weights {path}: holds no dictionary of tensors: save the state_dict')
    return {str(name): value for name, value in content.items() if isinstance(value, np.ndarray)}


class _Unpickler(pickle.Unpickler):
    """Unpickle tensors, dictionaries and plain values only."""

    def __init__(self, stream: Any, path: pathlib.Path) -> None:
        super().__init__(stream, encoding='utf-8')
        self.path, self.stream = path, stream
        self.storages: dict[str, Storage] = {}

    def load(self) -> Any:
        _scan(self.stream)
        return super().load()

    def find_class(self, module: str, name: str) -> Any:
        if module in ('torch', 'torch.storage') and name in DTYPES:
            return DTYPES[name]
        if (module, name) not in KNOWN:
            raise InputError(
                f'weights {self.path}: refused, since reading it would call {module}.{name}: '
                'save the plain state_dict, or better a .safetensors file'
            )
        return KNOWN[module, name]

    def persistent_load(self, pid: Any) -> Storage:
        kind, dtype, key, _, count, *view = pid
        if kind != 'storage' or not isinstance(dtype, str) or (view and view[0] is not None):
            raise InputError(
                f'weights {self.path}: holds {kind!r} where a storage of numbers should be: '
                'save the plain state_dict'
            )
        return self.storages.setdefault(str(key), Storage(dtype, str(key), int(count)))


def _scan(stream: Any) -> None:
    """ValueError where the pickle that comes next numbers its memo beyond what it can hold.

    Python's reader makes room for the largest number: of five bytes, 64 GiB.
    """
    start = stream.tell()
    puts = [
        int(cast(int, argument))
        for code, argument, _ in pickletools.genops(stream)
        if code.name in PUTS
    ]
    if max(puts, default=0) > len(puts):
        raise ValueError('its memo is numbered beyond its entries')
    stream.seek(start)


def _rebuild_tensor(
    storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> Tensor:
    return Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ('collections', 'OrderedDict'): OrderedDict,
    ('torch', 'Size'): tuple,
    ('torch._utils', '_rebuild_tensor'): _rebuild_tensor,
    ('torch._utils', '_rebuild_tensor_v2'): _rebuild_tensor,
    ('torch._utils', '_rebuild_parameter'): lambda tensor, *_: tensor,
}


def _fill_tensors(
    content: Any, bytes_of: Callable[[Storage], bytes], visited: dict[int, Any] | None = None
) -> Any:
    """`content` with every Tensor as an array of its own.

    A pickle may hold one thing in many places, and a dictionary within itself: each is visited
    once.
    """
    visited = {} if visited is None else visited
    if id(content) in visited:
        return visited[id(content)]
    if isinstance(content, Mapping):
        filled = visited[id(content)] = {}
        filled |= {name: _fill_tensors(value, bytes_of, visited) for name, value in content.items()}
        return filled
    if isinstance(content, Tensor):
        visited[id(content)] = _array(
            content, _numbers(bytes_of(content.storage), content.storage.dtype)
        )
        return visited[id(content)]
    return content


def _array(tensor: Tensor, numbers: np.ndarray) -> np.ndarray:
    last = tensor.offset + sum(
        (n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True)
    )
    empty = 0 in tensor.shape
    if min((tensor.offset, *tensor.shape, *tensor.strides)) < 0 or (
        not empty and last >= len(numbers)
    ):
        raise ValueError('a tensor that reaches beyond its numbers')
    if math.prod(tensor.shape) > len(numbers):  # by strides that come back to the same ones
        raise ValueError('a tensor of more numbers than are there')
    strides = [s * numbers.itemsize for s in tensor.strides]
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides).copy()


def _numbers(data: bytes, dtype: str) -> np.ndarray:
    if dtype != 'bfloat16':
        return np.frombuffer(data, dtype)
    return (np.frombuffer(data, '<u2').astype('<u4') << 16).view('<f4')


def _width(dtype: str) -> int:
    return 2 if dtype == 'bfloat16' else np.dtype(dtype).itemsize
