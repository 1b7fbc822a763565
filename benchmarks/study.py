"""The whole pooling study, ours and the same study in PyTorch in turn, as the user waits."""

import json
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import rows
from benchmarks.rows import Row
from benchmarks.sides import CORES

WORK, PEER = 'study: pooling, whole', f'the same study in torch, {CORES} processes'
SETTING = (
    'python -m benchmarks.torch_study: eager, channels_last, fused SGD, '
    f'{CORES} processes of 1 thread'
)
ROUNDS = 2
# Runs its arguments and prints the peak memory of the child in KiB.
CHILD = (
    'import resource, subprocess, sys; '
    'subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); '
    'print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)'
)


def compare() -> list[Row]:
    """The row of the study.

    Its seconds of compiling, training and evaluating are those of the middle round.
    """
    ours, theirs = [], []
    for number in range(ROUNDS):
        ours.append(our_study())
        theirs.append(torch_study())
        print(
            f'{WORK}: round {number + 1} of {ROUNDS}, {_described(ours[-1])}; '
            f'torch {_described(theirs[-1])}',
            flush=True,
        )
    mine, other = _middle(ours), _middle(theirs)
    facts = dict(
        setting=SETTING,
        members=mine['models'],
        peer_members=other['models'],
        compile_share=mine['share'],
    )
    facts |= dict(
        ours_peak_gib=mine['peak_gib'], ours_parts=mine['seconds'], peer_parts=other['seconds']
    )
    facts |= dict(
        ours_compile_seconds=mine['seconds']['compile'], peer_test_accuracy=other['test_accuracy']
    )
    return [
        rows.row(
            WORK, PEER, *([result['wall'] for result in side] for side in (ours, theirs)), **facts
        )
    ]


def our_study() -> dict[str, Any]:
    """`make demo` without the installation, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            '-m',
            'jaxdl.main',
            '--experiment=pooling',
            f'--workdir={folder}/study',
        ]
        began = time.perf_counter()
        process = subprocess.run(
            [sys.executable, '-c', CHILD, *command], stdout=subprocess.PIPE, text=True, check=True
        )
        wall = time.perf_counter() - began
        run = json.loads(pathlib.Path(folder, 'study', 'run.json').read_text())
    seconds = {name: run['seconds'][name] for name in ('compile', 'train', 'evaluate')}
    models = sum(group['members'] for group in run['groups'])
    peak = int(process.stdout.split()[-1]) / 2**20
    return dict(
        wall=wall, seconds=seconds, models=models, peak_gib=peak, share=seconds['compile'] / wall
    )


def torch_study() -> dict[str, Any]:
    """The same in PyTorch, in a process of its own."""
    began = time.perf_counter()
    command = [sys.executable, '-m', 'benchmarks.torch_study', f'--processes={CORES}']
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(process.stdout.splitlines()[-1]) | dict(wall=time.perf_counter() - began)


def _middle(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return sorted(results, key=lambda study: study['wall'])[len(results) // 2]


def _described(result: dict[str, Any]) -> str:
    parts = ', '.join(f'{name} {value:.1f}' for name, value in result['seconds'].items())
    return f'{result["wall"]:.1f} s ({parts}; {result["models"]} models)'
