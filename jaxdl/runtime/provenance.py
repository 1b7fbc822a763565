"""Provenance of a run: command, revisions, date, versions, machine and settings."""

import hashlib
import os
import pathlib
import platform
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import psutil
from jax.extend import backend

from jaxdl import native
from jaxdl._version import __version__
from jaxdl.runtime import distributed, machine
from jaxdl.runtime.versions import find_packages, name_revision
from jaxdl.workdir.records import Devices, RunRecord

# Packages that could change a number, a figure or a decoded image; installed ones are named with
# their versions.
PACKAGES = (
    'jax',
    'jaxlib',
    'jax-cuda12-plugin',
    'jax-cuda13-plugin',
    'flax',
    'optax',
    'orbax-checkpoint',
    'grain',
    'numpy',
    'ml-dtypes',
    'scipy',
    'scikit-learn',
    'matplotlib',
    'pillow',
    'simplejpeg',
    'opencv-python-headless',
    'datasets',
    'safetensors',
    native.LIBRARY,
)


# How the names of vector instructions begin.
INSTRUCTIONS = ('avx', 'fma', 'f16c', 'amx', 'asimd', 'sve')

# Key of `machine` in run.json -> a function that gives its value.
MACHINE: dict[str, Callable[[], Any]] = dict(
    system=platform.platform,
    processor=lambda: _cpuinfo('model name') or platform.processor() or platform.machine(),
    instructions=lambda: _instructions(),
    cores=psutil.cpu_count,
    usable_cores=machine.usable_cores,
    memory_gib=lambda: round(psutil.virtual_memory().total / 2**30),
    runtime=lambda: ' '.join(backend.get_backend().platform_version.split()),
    processes=jax.process_count,
)

# Prefixes of environment variables that may change a number, and suffixes of those among them that
# name a place and change none.
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

# Settings of jax, however they were set.
SETTINGS = (
    'jax_enable_x64',
    'jax_default_matmul_precision',
    'jax_default_prng_impl',
    'jax_threefry_partitionable',
)


def collect(command: str) -> RunRecord:
    """Collect the provenance of a run before its first step: run.json of an unfinished run.

    Args:
      command: the command line; empty where Python code started the run.
    """
    devices = describe_devices()
    device = f'{devices.count} x {devices.kind} ({machine.usable_cores()} cores)'
    device += f' in {jax.process_count()} processes' * distributed.has_several()
    return RunRecord(
        command=command,
        git=name_revision(pathlib.Path(__file__).parents[2]),
        file=_name_file(command),
        date=time.strftime('%Y-%m-%d'),
        versions=collect_versions(),
        device=device,
        machine={name: value() for name, value in MACHINE.items()},
        native=native.read_build_info(),
        settings=read_settings(),
        environment=select_environment(os.environ),
        finished=False,
    )


def read_settings() -> dict[str, Any]:
    """Settings of jax that may change a number, however they were set."""
    return {name: getattr(jax.config, name) for name in SETTINGS}


def select_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Select the environment variables that may change a number, in order of their names."""
    chosen = (
        name
        for name in sorted(variables)
        if name.startswith(PREFIXES) and not name.endswith(PLACES)
    )
    return {name: variables[name] for name in chosen}


def _cpuinfo(key: str) -> str:
    return native.cpuinfo(key).partition(':')[2].strip()


def _instructions() -> str:
    flags = (_cpuinfo('flags') or _cpuinfo('Features')).split()
    return ' '.join(sorted(flag for flag in flags if flag.startswith(INSTRUCTIONS)))


def describe_devices() -> Devices:
    """Platform, kind and count of the devices of all processes of the run."""
    every = jax.devices()
    return Devices(every[0].platform, every[0].device_kind, len(every))


def collect_versions() -> dict[str, str]:
    """Versions of Python, jaxdl, its native part and the installed PACKAGES."""
    parts = dict(
        python=platform.python_version(), native='' if native.missing() else native.library().stem
    )
    return parts | dict(jaxdl=__version__) | find_packages(PACKAGES)


def _name_file(command: str) -> dict[str, str]:
    """Name the user's file that defines the run: that of --experiment, or the calling program."""
    words = [word.rpartition('=')[2] for word in shlex.split(command)]
    named = next((word for word in words if word.endswith('.py')), '')
    caller = '' if command else getattr(sys.modules['__main__'], '__file__', None) or ''
    path = pathlib.Path(named or caller).resolve()
    if not path.is_file():
        return {}
    return dict(
        name=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        git=name_revision(path),
    )
