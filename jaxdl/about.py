"""What a run was done with: command, revision, date, versions, device."""

import os
import pathlib
import platform
import subprocess
import time
from typing import Any

import flax
import jax
import numpy as np
import optax

from jaxdl import native


def about(command: str) -> dict[str, Any]:
    """What run.json says of a run before its first step."""
    found = devices()
    device = f'{found["count"]} x {found["kind"]} ({os.cpu_count()} cores)'
    device += f' in {jax.process_count()} processes' * (jax.process_count() > 1)
    return dict(
        command=command, git=_git_revision(), date=time.strftime('%Y-%m-%d'), versions=versions(), device=device
    )  # fmt: skip


def devices() -> dict[str, Any]:
    """Platform, kind and count of the devices of all processes of the run."""
    local = jax.devices()
    return dict(platform=local[0].platform, kind=local[0].device_kind, count=len(local))


def versions() -> dict[str, str]:
    """Of everything that could change a number."""
    import jaxlib

    import jaxdl

    modules: dict[str, Any] = dict(jaxdl=jaxdl, jax=jax, jaxlib=jaxlib, flax=flax, optax=optax, numpy=np)
    parts = dict(python=platform.python_version(), native='' if native.missing() else native.library().stem)
    return parts | {name: m.__version__ for name, m in modules.items()}


def _git_revision() -> str:
    """The commit of the checkout that jaxdl runs from, with `+` where it is changed; empty outside one."""
    package = pathlib.Path(__file__).parent
    if not (package.parent / '.git').exists():
        return ''
    command = ['git', '-C', str(package), 'describe', '--always', '--dirty=+', '--abbrev=12', '--exclude=*']
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ''
