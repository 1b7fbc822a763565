"""Seconds for one training step of one member, against PyTorch on the CPU; and the demo, whole.

Run    make bench
Takes  about 5 minutes on 2 cores

PyTorch trains the same network in two ways: models one after another with every thread, and one process a core with one
thread each. The better of the two is the peer. Compiling is shown apart, and spread over the demo's steps.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

ROUNDS, SECONDS, CORES = 5, 3.0, 2
SIZES = {'ensemble 8x8x1, 16 and 32 channels, batch 32': dict(side=8, channels=1, width=16, depth=2, batch=32)}
ROWS, COLUMNS = 3, 5  # the members of a group of the demo in its tuning phase
DEMO_MEMBER_STEPS = (75 + 50) * 33 * 20
DEMO_SECONDS = 120.0  # on two cores, without the installation
OUTPUT = pathlib.Path('build/bench.json')


def side(module: str, **settings: Any) -> Any:
    """Calls `seconds_per_step` of a side in a process of its own: two thread pools in one would slow each other."""
    code = f'import json; from benchmarks.{module} import seconds_per_step as f; print(json.dumps(f(**{settings!r})))'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def torch_in_processes(**settings: Any) -> float:
    """One process a core, one thread each, at once: seconds of a step of one model, as the user waits for it."""
    with ThreadPoolExecutor(CORES) as pool:
        jobs = [pool.submit(side, 'torch_side', threads=1, **settings) for _ in range(CORES)]
        return statistics.fmean(job.result() for job in jobs) / CORES


def compare(work: str, settings: dict[str, int]) -> list[dict[str, Any]]:
    """The rows of one size: both ways of PyTorch, and ours with compiling spread over the demo."""
    ours, compiling, single, processes = [], [], [], []
    for _ in range(ROUNDS):
        step, compile_seconds = side('our_side', seconds=SECONDS, rows=ROWS, columns=COLUMNS, **settings)
        ours.append(step)
        compiling.append(compile_seconds)
        single.append(side('torch_side', seconds=SECONDS, threads=CORES, **settings))
        processes.append(torch_in_processes(seconds=SECONDS, **settings))
    better = min(single, processes, key=statistics.median)
    amortised = [o + 10 * c / DEMO_MEMBER_STEPS for o, c in zip(ours, compiling, strict=True)]
    print(f'{work}: compiling {statistics.median(compiling):.2f} s a group and phase')
    return [
        row(work, 'torch one after another, 2 threads', ours, single),
        row(work, 'torch in 2 processes of 1 thread', ours, processes),
        row(f'{work}, compiling included', "torch's better way", amortised, better),
    ]


def row(work: str, peer: str, ours: list[float], theirs: list[float]) -> dict[str, Any]:
    """Medians, the median of the ratios round by round, and their range."""
    ratios = sorted(t / o for o, t in zip(ours, theirs, strict=True))
    found = dict(work=work, peer=peer, ours_seconds=statistics.median(ours), peer_seconds=statistics.median(theirs))
    found |= dict(ratio=statistics.median(ratios), spread=[ratios[0], ratios[-1]])
    mine, other = (1e3 * found[f'{who}_seconds'] for who in ('ours', 'peer'))
    print(f'{work}: {mine:.3f} ms, {peer} {other:.3f} ms: {found["ratio"]:.2f}x ({ratios[0]:.2f} to {ratios[-1]:.2f})')
    return found


def demo() -> dict[str, Any]:
    """The whole pooling study in a process of its own: wall seconds, the share of compiling, peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, '-m', 'jaxdl.main', '--experiment=pooling', f'--workdir={folder}/demo']
        code = 'import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=2); '
        code += 'print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)'
        began = time.perf_counter()
        done = subprocess.run([sys.executable, '-c', code, *command], stdout=subprocess.PIPE, text=True, check=True)
        wall = time.perf_counter() - began
        seconds = json.loads(pathlib.Path(folder, 'demo', 'run.json').read_text())['seconds']
    peak = int(done.stdout) / 2**20
    share = seconds['compile'] / wall
    print(f'demo: {wall:.1f} s, of which compiling {share:.0%}, training {seconds["train"]:.1f} s; peak {peak:.2f} GiB')
    budget = dict(work='demo', peer='the time that it may take', ours_seconds=wall, peer_seconds=DEMO_SECONDS)
    return budget | dict(ratio=DEMO_SECONDS / wall, spread=None, compile_share=share, peak_gib=peak)


def main() -> None:
    """Measures, prints, and writes build/bench.json."""
    rows = [found for work, settings in SIZES.items() for found in compare(work, settings)]
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps([*rows, demo()], indent=1) + '\n')
    print(f'written to {OUTPUT}')


if __name__ == '__main__':
    main()
