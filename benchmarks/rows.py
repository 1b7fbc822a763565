"""Rows of build/bench.json, their table, and the machine that they were measured on."""

import os
import pathlib
import platform
import statistics
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from jaxdl.runtime.machine import usable_cores

Row = dict[str, Any]
PACKAGES = ('jaxdl', 'jax', 'jaxlib', 'flax', 'optax', 'torch', 'numpy')


def row(work: str, peer: str, ours: Sequence[float], theirs: Sequence[float], **more: Any) -> Row:
    """Medians, the median of the ratios round by round, and their range.

    `ours` may have more rounds.
    """
    ratios = sorted(t / o for o, t in zip(ours, theirs, strict=False))
    seconds = dict(ours_seconds=statistics.median(ours), peer_seconds=statistics.median(theirs))
    compared = dict(
        ratio=statistics.median(ratios), spread=[ratios[0], ratios[-1]], rounds=len(ratios)
    )
    return dict(work=f'ensemble {work}', peer=peer) | more | seconds | compared


def left_out(work: str, peer: str, reason: str) -> Row:
    """A peer that could not be measured says why."""
    empty = dict(setting=reason, members=None, ours_seconds=None, peer_seconds=None)
    return (
        dict(work=f'ensemble {work}', peer=peer) | empty | dict(ratio=None, spread=None, rounds=0)
    )


def machine() -> Row:
    """The header: what the ratios depend on."""
    versions = {name: metadata.version(name) for name in PACKAGES}
    memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30
    about = dict(
        cpu=_cpu(), cores=usable_cores(), memory_gib=round(memory, 1), load=os.getloadavg()[0]
    )
    return (
        dict(work='ensemble machine', peer=None, ratio=None, spread=None)
        | about
        | dict(versions=versions | dict(python=platform.python_version()))
    )


def _cpu() -> str:
    file = pathlib.Path('/proc/cpuinfo')
    lines = file.read_text().splitlines() if file.exists() else []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return next(iter(names), platform.processor() or platform.machine())


def table(rows: Sequence[Row]) -> str:
    """All rows for a reader: one block for each work, the settings of the peers below."""
    measured = [entry for entry in rows if entry['work'] != 'ensemble machine']
    lines = [f'{"":44}{"members":>9}{"ours":>12}{"peer":>12}   ratio (range)']
    for work in dict.fromkeys(entry['work'] for entry in measured):
        lines += [work, *(_line(entry) for entry in measured if entry['work'] == work)]
    settings: dict[str, str] = {}  # of each peer where it first stands
    for entry in (entry for entry in measured if entry['rounds']):
        settings.setdefault(entry['peer'], entry['setting'])
    return '\n'.join([*lines, '', *(f'{peer}: {setting}' for peer, setting in settings.items())])


def _line(entry: Row) -> str:
    if not entry['rounds']:
        return f'  {entry["peer"]:44} left out: {entry["setting"]}'
    ours, theirs = (_duration(entry[f'{who}_seconds']) for who in ('ours', 'peer'))
    ratio = '{:5.2f}x ({:.2f} to {:.2f})'.format(entry['ratio'], *entry['spread'])
    return f'  {entry["peer"]:44}{entry["members"]:7}{ours:>12}{theirs:>12}  {ratio}'


def _duration(seconds: float) -> str:
    return f'{seconds:.1f} s' if seconds >= 5 else f'{1e3 * seconds:.3f} ms'
