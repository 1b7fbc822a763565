"""Revisions of files and versions of packages, without jax."""

import functools
import importlib.metadata
import pathlib
import subprocess
from collections.abc import Sequence


@functools.cache
def find_packages(names: Sequence[str]) -> dict[str, str]:
    """Versions of those packages that are installed."""
    installed = {}
    for name in names:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def name_revision(path: pathlib.Path) -> str:
    """Name the commit of a checkout.

    Args:
      path: the folder of a checkout, or a file in one.

    Returns:
      The abbreviated commit, with `+` if the file, or a tracked file of the folder, has changed.
      Empty outside of a checkout.
    """
    if path.is_dir() and not (path / '.git').exists():
        return ''
    folder, untracked = (path, 'no') if path.is_dir() else (path.parent, 'all')
    commit = _run_git(folder, 'describe', '--always', '--abbrev=12', '--exclude=*')
    changed = commit and _run_git(
        folder, 'status', '--porcelain', f'--untracked-files={untracked}', '--', str(path)
    )
    return commit + ('+' if changed else '')


def _run_git(folder: pathlib.Path, *words: str) -> str:
    """Output of git; empty where there is no git, or no checkout."""
    command = ['git', '-C', str(folder), *words]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ''
