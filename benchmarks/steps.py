"""Seconds for one training step of one member, against every peer.

The compile time stands apart, and once more spread over a study.
"""

from collections.abc import Sequence

from benchmarks import peers, rounds, rows
from benchmarks.rounds import Measured
from benchmarks.rows import Row

# Families compared once more, with compiling spread over a study.
AMORTISED = ('torch', 'torch.compile', 'jax.jit')
# Programs that the demo compiles: one per option and phase; a peer's serve both phases.
OUR_PROGRAMS, PEER_PROGRAMS = 10, 5
DEMO_MEMBER_STEPS = (75 + 50) * 33 * 20


def compare(work: str, names: Sequence[str], count: int, seconds: float) -> list[Row]:
    """The rows of one size, in `count` rounds of so many seconds a side."""
    size = peers.SIZES[work]
    ours = Measured('jaxdl', peers.OURS, peers.MEMBERS)
    theirs = [Measured(name, peers.PEERS[name], peers.members_of(name, size)) for name in names]
    with rounds.running([ours, *theirs], size, work):
        if ours.failed:
            return [rows.left_out(work, 'jaxdl', ours.failed)]
        rounds.measure([ours, *theirs], count, seconds, work)
    alive = [entry for entry in theirs if not entry.failed]
    refused = [rows.left_out(work, entry.name, entry.failed) for entry in theirs if entry.failed]
    return (
        [_row(work, ours, entry, alive) for entry in alive] + amortised(work, ours, alive) + refused
    )


def _row(work: str, ours: Measured, entry: Measured, alive: Sequence[Measured]) -> Row:
    facts = dict(setting=entry.peer['setting'], ours_setting=ours.facts['setting'])
    facts |= dict(members=ours.members, peer_members=entry.members)
    facts |= dict(
        ours_compile_seconds=ours.facts['compile_seconds'],
        peer_compile_seconds=_compiling(entry, alive),
    )
    peaks = dict(
        ours_peak_gib=ours.answers[-1]['peak_gib'], peer_peak_gib=entry.answers[-1]['peak_gib']
    )
    return rows.row(work, entry.name, ours.seconds, entry.seconds, **facts, **peaks)


def _compiling(entry: Measured, alive: Sequence[Measured]) -> float | None:
    """Compile seconds: the longest of the family; later members find its programs in torch's cache.

    None: there is nothing to compile.
    """
    family = [other for other in alive if other.peer['family'] == entry.peer['family']]
    return max(other.facts.get('compile_seconds', 0.0) for other in family) or None


def amortised(work: str, ours: Measured, alive: Sequence[Measured]) -> list[Row]:
    """The better way of each family, with compiling spread over the steps of the demo's study."""
    amortised_rows = []
    for family in AMORTISED:
        ways = [other for other in alive if other.peer['family'] == family]
        if ways:
            better = min(ways, key=lambda way: way.median)
            amortised_rows.append(_amortised(work, ours, better, _compiling(better, alive)))
    return amortised_rows


def _amortised(work: str, ours: Measured, better: Measured, compiling: float | None) -> Row:
    spread = (
        f'compiling spread over {DEMO_MEMBER_STEPS:,} steps: ours {OUR_PROGRAMS} times, '
        f'the peer {PEER_PROGRAMS}'
    )
    ours_added = ours.facts['compile_seconds'] * OUR_PROGRAMS / DEMO_MEMBER_STEPS
    theirs_added = (compiling or 0.0) * PEER_PROGRAMS / DEMO_MEMBER_STEPS
    facts = dict(
        setting=f'{better.peer["setting"]}; {spread}',
        members=ours.members,
        peer_members=better.members,
    )
    facts |= dict(
        ours_compile_seconds=ours.facts['compile_seconds'], peer_compile_seconds=compiling
    )
    mine, theirs = (
        [s + ours_added for s in ours.seconds],
        [s + theirs_added for s in better.seconds],
    )
    return rows.row(f'{work}, compiling included', better.name, mine, theirs, **facts)
