"""Seconds for one training step of one member, against every peer; compiling apart.

And spread over a study.
"""

from collections.abc import Sequence

from benchmarks import peers, rounds, rows
from benchmarks.rounds import Measured
from benchmarks.rows import Row

AMORTISED = (
    'torch',
    'torch.compile',
    'jax.jit',
)  # families compared once more, compiling spread over a study
OUR_PROGRAMS, PEER_PROGRAMS = (
    10,
    5,
)  # that the demo compiles: one an option and phase; a peer's serve both phases
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
    alive = [found for found in theirs if not found.failed]
    refused = [rows.left_out(work, found.name, found.failed) for found in theirs if found.failed]
    return (
        [_row(work, ours, found, alive) for found in alive] + amortised(work, ours, alive) + refused
    )


def _row(work: str, ours: Measured, found: Measured, alive: Sequence[Measured]) -> Row:
    facts = dict(setting=found.peer['setting'], ours_setting=ours.facts['setting'])
    facts |= dict(members=ours.members, peer_members=found.members)
    facts |= dict(
        ours_compile_seconds=ours.facts['compile_seconds'],
        peer_compile_seconds=_compiling(found, alive),
    )
    peaks = dict(
        ours_peak_gib=ours.answers[-1]['peak_gib'], peer_peak_gib=found.answers[-1]['peak_gib']
    )
    return rows.row(work, found.name, ours.seconds, found.seconds, **facts, **peaks)


def _compiling(found: Measured, alive: Sequence[Measured]) -> float | None:
    """The longest of its family: later ones find its programs in torch's cache.

    None: there is nothing to compile.
    """
    family = [other for other in alive if other.peer['family'] == found.peer['family']]
    return max(other.facts.get('compile_seconds', 0.0) for other in family) or None


def amortised(work: str, ours: Measured, alive: Sequence[Measured]) -> list[Row]:
    """The better way of each family.

    The compiling of both sides spread over the steps of the demo's study.
    """
    found = []
    for family in AMORTISED:
        ways = [other for other in alive if other.peer['family'] == family]
        if ways:
            better = min(ways, key=lambda way: way.median)
            found.append(_amortised(work, ours, better, _compiling(better, alive)))
    return found


def _amortised(work: str, ours: Measured, better: Measured, compiling: float | None) -> Row:
    spread = f'compiling spread over {DEMO_MEMBER_STEPS:,} steps: ours {OUR_PROGRAMS} times, the peer {PEER_PROGRAMS}'
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
