"""The machine of a run and its settings.

What may change a number and stands in no file of the project.
"""

import os
import platform
from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax.extend import backend

from jaxdl import native

INSTRUCTIONS = (
    'avx',
    'fma',
    'f16c',
    'amx',
    'asimd',
    'sve',
)  # how the kernel's names of vector instructions begin

# A row is a name and how it is found.
MACHINE: dict[str, Callable[[], Any]] = dict(
    system=platform.platform,
    processor=lambda: _value('model name') or platform.processor() or platform.machine(),
    instructions=lambda: ' '.join(sorted(f for f in _flags() if f.startswith(INSTRUCTIONS))),
    cores=os.cpu_count,
    usable_cores=lambda: (
        len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    ),
    memory_gib=lambda: round(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30),
    runtime=lambda: ' '.join(backend.get_backend().platform_version.split()),
    processes=jax.process_count,
)

# Variables of the environment whose names begin so may change a number; where a cache or another
# process is does not.
PREFIXES = (
    'JAX_',
    'XLA_',
    'TF_XLA_',
    'OMP_',
    'MKL_',
    'OPENBLAS_',
    'DNNL_',
    'ONEDNN_',
    'CUDA_',
    'CUBLAS_',
    'CUDNN_',
    'NCCL_',
    'NVIDIA_TF32_OVERRIDE',
    'LD_PRELOAD',
)
PLACES = ('_DIR', '_ADDRESS', '_HOME', '_PATH')

# Of jax, however they were set.
SETTINGS = (
    'jax_enable_x64',
    'jax_default_matmul_precision',
    'jax_default_prng_impl',
    'jax_threefry_partitionable',
)


def machine() -> dict[str, Any]:
    """Every row of MACHINE, found."""
    return {name: find() for name, find in MACHINE.items()}


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Those of `variables` that may change a number, in order of their names."""
    chosen = (
        name
        for name in sorted(variables)
        if name.startswith(PREFIXES) and not name.endswith(PLACES)
    )
    return {name: variables[name] for name in chosen}


def settings() -> dict[str, Any]:
    """Every one of SETTINGS."""
    return {name: getattr(jax.config, name) for name in SETTINGS}


def _value(key: str) -> str:
    return native.cpuinfo(key).partition(':')[2].strip()


def _flags() -> list[str]:
    return (_value('flags') or _value('Features')).split()
