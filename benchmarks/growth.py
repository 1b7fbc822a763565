"""Growth of the cost of a member's step with the number of members that train at once.

PyTorch's better way trains one model per process whatever the number is: the line that the others
are compared with.
"""

from collections.abc import Sequence
from typing import Any

from benchmarks import peers, rounds, rows
from benchmarks.rounds import Measured
from benchmarks.rows import Row
from benchmarks.sides import CORES
from benchmarks.workload import Size

SMALL, LARGE = '8x8x1, 16 and 32 channels, batch 32', '32x32x3, 16 to 64 channels, batch 32'
LINE = f'torch {peers.PROCESSES}'
FUNC = (
    'vmap of grad_and_value over stacked parameters, running statistics as stacked buffers; '
    'not compiled (each number of members would be compiled anew); '
    f'the members shared out over {CORES} processes'
)


def func(members: int) -> tuple[dict[str, Any], int]:
    """torch.func with the members shared out over the cores, and the members of a process."""
    processes = min(CORES, members)
    options = dict(threads=CORES // processes, compiled=False)
    return dict(
        module='torch_func_side', setting=FUNC, processes=processes, options=options
    ), members // processes


def vmap(members: int) -> tuple[dict[str, Any], int]:
    """Naive vmap, as in the table of sizes."""
    return peers.PEERS['naive vmap over members'], members


STACKED = {'torch.func over members': func, 'naive vmap over members': vmap}
# For each size the members that each name is measured at: beyond, a step takes seconds, or the
# memory 10 GiB.
ALL, FEWER, FEW = (1, 4, 16, 64, 256), (1, 4, 16, 64), (1, 4, 16)
COUNTS: dict[str, dict[str, Sequence[int]]] = {
    SMALL: {'jaxdl': ALL, 'torch.func over members': ALL, 'naive vmap over members': FEWER},
    LARGE: {'jaxdl': ALL, 'torch.func over members': FEW, 'naive vmap over members': FEW},
}


def compare(work: str, names: Sequence[str], count: int, seconds: float) -> list[Row]:
    """The rows of one size, in `count` rounds, at every number of members."""
    line = Measured(LINE, peers.PEERS[LINE], 1)
    with rounds.running([line], peers.SIZES[work], work):
        return [
            entry
            for members in COUNTS[work]['jaxdl']
            for entry in _at(
                work, members, line, [n for n in STACKED if n in names], count, seconds
            )
        ]


def _at(
    work: str, members: int, line: Measured, names: Sequence[str], count: int, seconds: float
) -> list[Row]:
    label, line.answers = f'members: {work}', []
    ours = Measured('jaxdl', peers.OURS, members)
    stacked = [
        Measured(name, *STACKED[name](members)) for name in names if members in COUNTS[work][name]
    ]
    with rounds.running(
        [ours, *stacked], _shortened(peers.SIZES[work], members), f'{members} {label}'
    ):
        if ours.failed:
            return [rows.left_out(label, 'jaxdl', f'{members} members: {ours.failed}')]
        rounds.measure([ours, line, *stacked], count, seconds, f'{members} {label}')
    return [_row(label, ours, entry) for entry in (line, *stacked) if not entry.failed]


def _shortened(size: Size, members: int) -> Size:
    """Fewer steps in an epoch where a step takes long: the engine is asked in epochs."""
    return size | dict(images=size['batch'] * min(32, max(2, 256 // members)))


def _row(label: str, ours: Measured, entry: Measured) -> Row:
    facts = dict(setting=entry.peer['setting'], ours_setting=ours.facts['setting'])
    facts |= dict(members=ours.members, peer_members=entry.members)
    facts |= dict(
        ours_compile_seconds=ours.facts['compile_seconds'],
        ours_peak_gib=ours.answers[-1]['peak_gib'],
    )
    peak = dict(peer_peak_gib=entry.answers[-1]['peak_gib'])
    return rows.row(label, entry.name, ours.seconds, entry.seconds, **facts, **peak)
