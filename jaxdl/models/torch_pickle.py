"""Read PyTorch checkpoints without PyTorch, and without running code of the file.

A checkpoint is a pickle, which may name any function and call it. This reader knows the few names
that tensors and dictionaries need. An object of another data class, such as the command line that
a training script saves, becomes a `StandIn`. Any other name is refused. No name is ever looked up:
nothing of the file is imported or called. Both formats are read: the zip file of PyTorch 1.6 and
later (data.pkl, and one file per storage), and the older sequence of pickles followed by storages.
"""

import math
import pathlib
import pickle
import pickletools
import re
import struct
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from jaxdl.errors import InputError
from jaxdl.workdir import zip_safety

MAGIC = 0x1950A86A20F9469CFC6C  # of the older form
NAMED = 100  # classes of stand-ins that remember their name: a class takes a kilobyte
PUTS = ('PUT', 'BINPUT', 'LONG_BINPUT')
_CLASS = re.compile(r'_*[A-Z]\w*')  # a name that is not dotted and begins as those of classes do
# Data classes of Python's library, and functions that rebuild the numbers of NumPy and PyTorch.
# Their results are stand-ins too.
DATA = {
    'argparse': ('Namespace',),
    'builtins': (
        *('bool', 'bytearray', 'bytes', 'complex', 'dict', 'float', 'frozenset', 'int', 'list'),
        *('long', 'object', 'range', 'set', 'slice', 'str', 'tuple', 'unicode', 'xrange'),
    ),
    'collections': ('Counter', 'defaultdict', 'deque'),
    'copyreg': ('_reconstructor',),
    'datetime': ('date', 'datetime', 'time', 'timedelta', 'timezone'),
    'decimal': ('Decimal',),
    'fractions': ('Fraction',),
    'pathlib': ('Path', 'PosixPath', 'PurePath', 'PurePosixPath', 'PureWindowsPath', 'WindowsPath'),
    'types': ('SimpleNamespace',),
    'typing': ('Any', 'Dict', 'List', 'Optional', 'Tuple', 'Union'),
    'uuid': ('UUID',),
    '_codecs': ('encode',),
    'numpy': ('dtype', 'ndarray'),
    'numpy.core.multiarray': ('_reconstruct', 'scalar'),
    'numpy.core.numeric': ('_frombuffer',),
    'torch': (
        *('device', 'dtype', 'bfloat16', 'bool', 'float16', 'float32', 'float64'),
        *('int16', 'int32', 'int64', 'int8', 'uint8'),
    ),
}
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


# Other names of these modules, in files of Python 2's protocol and of other versions.
ALIASES = {
    '__builtin__': 'builtins',
    'copy_reg': 'copyreg',
    'pathlib._local': 'pathlib',
    'numpy._core.multiarray': 'numpy.core.multiarray',
    'numpy._core.numeric': 'numpy.core.numeric',
}


class StandIn(dict[Any, Any]):
    """An object of an unknown data class: its items, and nothing of its code.

    Attributes:
      origin: name of the class in the file.
    """

    __slots__ = ()
    origin = ''

    def __init__(self, *_: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        """Pass over the attributes of the object."""

    def append(self, item: Any) -> None:
        """Pass over an item of a list."""

    def extend(self, items: Any) -> None:
        """Pass over items of a list."""

    def add(self, item: Any) -> None:
        """Pass over an item of a set."""

    __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType]
    __eq__ = object.__eq__


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


def flatten(content: Any, path: pathlib.Path) -> dict[str, np.ndarray]:
    """Arrays of a checkpoint by the names that lead to them: `state_dict.layer1.0.conv1.weight`.

    A dictionary that is in several places is read at the first of them.

    Args:
      content: of a checkpoint.
      path: of the file, for the message.

    Returns:
      Name -> array.

    Raises:
      InputError: there are none.
    """
    tensors: dict[str, np.ndarray] = {}
    visited: set[int] = set()
    objects: dict[str, None] = {}

    def visit(value: Any, name: str) -> None:
        if isinstance(value, np.ndarray):
            tensors.setdefault(name, value)
        if isinstance(value, StandIn) and not value:
            objects[value.origin] = None
        if not isinstance(value, Mapping) or id(value) in visited:
            return
        visited.add(id(value))
        for key, inner in value.items():
            if isinstance(key, str | int):
                visit(inner, f'{name}.{key}' if name else str(key))

    visit(content, '')
    if not tensors:
        others = f', but objects of {", ".join(list(objects)[:3])}' if objects else ''
        raise InputError(f'weights {path}: no tensor in it{others}: save the state_dict')
    return tensors


class _Unpickler(pickle.Unpickler):
    """Unpickle tensors, dictionaries, plain values and stand-ins only."""

    def __init__(self, stream: Any, path: pathlib.Path) -> None:
        super().__init__(stream, encoding='utf-8')
        self.path, self.stream = path, stream
        self.storages: dict[str, Storage] = {}
        self.stand_ins: dict[str, type[StandIn]] = {}

    def load(self) -> Any:
        _scan(self.stream)
        return super().load()

    def find_class(self, module: str, name: str) -> Any:
        if module in ('torch', 'torch.storage') and name in DTYPES:
            return DTYPES[name]
        if (module, name) in KNOWN:
            return KNOWN[module, name]
        if _is_data(module, name):
            origin = f'{module}.{name}'
            if len(self.stand_ins) < NAMED:
                row = {'__slots__': (), 'origin': origin}
                self.stand_ins.setdefault(origin, type('StandIn', (StandIn,), row))
            return self.stand_ins.get(origin, StandIn)
        raise InputError(
            f'weights {self.path}: refused, since reading it would call {module}.{name}: '
            'save the plain state_dict, or better a .safetensors file'
        )

    def persistent_load(self, pid: Any) -> Storage:
        kind, dtype, key, _, count, *view = pid
        if kind != 'storage' or not isinstance(dtype, str) or (view and view[0] is not None):
            raise InputError(
                f'weights {self.path}: holds {kind!r} where a storage of numbers should be: '
                'save the plain state_dict'
            )
        return self.storages.setdefault(str(key), Storage(dtype, str(key), int(count)))


def _is_data(module: str, name: str) -> bool:
    """Whether a name is that of data, by what Python programmers call classes and functions.

    Safety does not depend on it: a stand-in is inert, whatever its name. A file that names a
    function or a class of Python's library wants more than to hold data, and is refused.
    """
    if name in DATA.get(ALIASES.get(module, module), ()):
        return True
    return module.split('.')[0] not in sys.stdlib_module_names and bool(_CLASS.fullmatch(name))


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
    ('torch._utils', '_rebuild_parameter_with_state'): lambda tensor, *_: tensor,
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
    if isinstance(content, StandIn) and not content:
        return content
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
