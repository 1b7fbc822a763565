"""Build, load and call the native operations.

The build needs g++ and the extra `onednn`. The name of the built file contains a checksum of the
sources and the CPU, and the version of jaxlib: another one of these needs another build.
"""

import ctypes
import functools
import hashlib
import importlib.metadata
import pathlib
import platform
import re
import subprocess
import sys
import zlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import jaxlib.version
import numpy as np

from jaxdl import workdir
from jaxdl.errors import InputError, warn
from jaxdl.native.vmap import count, over_members

PACKAGE = pathlib.Path(__file__).parent
CALLS = (
    *(
        'conv_forward',
        'conv_affine',
        'conv_data',
        'conv_kernel',
        'kernel_gradient',
        'stage_forward',
        'stage_backward',
    ),
    *('depthwise_forward', 'depthwise_data', 'depthwise_kernel'),
    *('norm_forward', 'norm_backward', 'pool_forward', 'pool_backward', 'warp'),
)
BUILD = 'python -m jaxdl.native builds it'
OPTIONS = ('-O3', '-march=native')
LIBRARY, VERSION = 'onednn-cpu-gomp', '2023.2.0'


def library() -> pathlib.Path:
    """Path of the built file, whether or not it exists."""
    digest = zlib.crc32(
        b''.join([*(p.read_bytes() for p in sorted(PACKAGE.glob('*.[ch]*'))), _cpu()])
    )
    return PACKAGE / f'_native-{jaxlib.version.__version__}-{digest:08x}.so'


def onednn() -> pathlib.Path:
    """Find the shared library in the wheel of oneDNN.

    Raises:
      InputError: it is missing, or of another version.
    """
    try:
        distribution = importlib.metadata.distribution(LIBRARY)
    except importlib.metadata.PackageNotFoundError:
        raise InputError(
            f'{LIBRARY} is not installed: pip install {LIBRARY}=={VERSION}, or the extra onednn'
        ) from None
    if distribution.version != VERSION:
        raise InputError(
            f'{LIBRARY} is {distribution.version}: must be {VERSION}: pip install '
            f'{LIBRARY}=={VERSION}'
        )
    file = next((f for f in distribution.files or () if f.name == 'libdnnl.so.3'), None)
    if file is None:
        raise InputError(f'{LIBRARY} {VERSION} holds no libdnnl.so.3: install it again')
    return pathlib.Path(str(distribution.locate_file(file))).resolve()


def build(target: pathlib.Path | None = None, options: Sequence[str] = OPTIONS) -> pathlib.Path:
    """Compile the native part for this machine and jaxlib.

    Args:
      target: the file to be written; by default `library()`.
      options: of the compiler.

    Returns:
      `target`.

    Raises:
      InputError: the platform, oneDNN or the compiler is not suitable.
    """
    if (sys.platform, platform.machine()) != ('linux', 'x86_64'):
        raise InputError(
            f'the native part is for x86-64 Linux: this is {sys.platform} on {platform.machine()}'
        )
    onednn()
    target = target or library()
    sources = [str(path) for path in sorted(PACKAGE.glob('*.cc'))]
    headers = jax.ffi.include_dir()
    always = ['-std=c++17', '-Wall', '-Wextra', '-Wno-psabi', '-shared', '-fPIC']
    always += ['-isystem', headers]
    always += [f'-fmacro-prefix-map={headers}=.']  # the same bytes, wherever jax is installed
    with workdir.temporary_file(target.parent) as temporary:
        command = ['g++', *options, *always, '-o', str(temporary), *sources]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except FileNotFoundError:
            raise InputError('no g++ on the PATH: install a C++ compiler') from None
        except subprocess.CalledProcessError as error:
            reason = error.stderr.strip().splitlines()[0] if error.stderr else error
            raise InputError(f'g++ failed ({reason}): install a newer g++ (C++17)') from None
        try:
            workdir.publish(temporary, target)
        except OSError as error:
            raise InputError(
                f'{target} cannot be written ({error.strerror}): make its folder writable'
            ) from None
    return target


def read_build_info() -> dict[str, str]:
    """Compiler, options and SHA-256 of the built file; empty where it cannot be used."""
    if missing():
        return {}
    content = library().read_bytes()
    compiler = re.search(rb'GCC: [ -~]+', content)  # GCC writes its version into the file
    version = compiler[0].decode() if compiler else ''
    return dict(
        compiler=version, options=' '.join(OPTIONS), sha256=hashlib.sha256(content).hexdigest()
    )


@functools.cache
def missing() -> str:
    """Load the native part; return why it cannot be used, or an empty string."""
    if jax.default_backend() != 'cpu':
        return f'the native part is for CPUs: this is {jax.default_backend()}'
    if not library().exists():
        return f'the native part is not built: {BUILD}'
    try:
        loaded = ctypes.CDLL(str(library()))
        loaded.jaxdl_load.restype = ctypes.c_char_p
        wrong = loaded.jaxdl_load(str(onednn()).encode())
    except (OSError, AttributeError, InputError) as error:
        return str(error)
    if wrong:
        return wrong.decode()
    for name in CALLS:
        jax.ffi.register_ffi_target(
            f'jaxdl_{name}', jax.ffi.pycapsule(getattr(loaded, f'jaxdl_{name}')), platform='cpu'
        )
    return ''


def call(
    name: str, shapes: Sequence[tuple[int, ...]], *arguments: jax.Array, **attributes: Any
) -> list[jax.Array]:
    """Call a handler; under vmap, once for all members.

    Args:
      name: of CALLS.
      shapes: of the results of one member.
      arguments: float32 arrays of one member.
      attributes: numbers that are fixed at compilation.

    Returns:
      float32 arrays of `shapes`.

    Raises:
      InputError: the native part cannot be used.
    """
    if missing():
        raise InputError(missing())
    attributes = {
        k: np.float32(v) if isinstance(v, float) else np.int64(v) for k, v in attributes.items()
    }

    def handler(*arguments: jax.Array) -> list[jax.Array]:
        results = [
            jax.ShapeDtypeStruct((count(*arguments), *shape), jnp.float32) for shape in shapes
        ]
        return list(jax.ffi.ffi_call(f'jaxdl_{name}', results)(*arguments, **attributes))

    return over_members(handler, *arguments)


def cpuinfo(key: str) -> str:
    """First line of `key` in /proc/cpuinfo; empty where there is none."""
    try:
        lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        return ''
    return next((line for line in lines if line.startswith(key)), '')


def _cpu() -> bytes:
    """Instruction sets of the CPU: a file that was built for others would end the process."""
    return (cpuinfo('flags') or platform.machine()).encode()


def main() -> int:
    """Build the native part and print its name; exit status 2 where this is not possible."""
    try:
        print(f'jaxdl: built {build().name}')
    except InputError as error:
        warn(f'the native part is not built, convolutions will be slower: {error}')
        return 2
    return 0
