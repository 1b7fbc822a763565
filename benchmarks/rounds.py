"""Rounds of measurement: all sides in turn, so that a slow minute of the machine meets all."""

import contextlib
import dataclasses
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import sides
from benchmarks.sides import Answer, Side
from benchmarks.workload import Size


@dataclasses.dataclass
class Measured:
    """A side and its answers; `failed` says why it is left out."""

    name: str
    peer: dict[str, Any]
    members: int
    answers: list[Answer] = dataclasses.field(default_factory=list)
    side: Side | None = None
    failed: str = ''

    @property
    def facts(self) -> Answer:
        return self.side.facts if self.side else {}

    @property
    def seconds(self) -> list[float]:
        """Of a member's step, by round."""
        return [answer['seconds'] for answer in self.answers]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@contextlib.contextmanager
def running(listed: Sequence[Measured], size: Size, work: str) -> Iterator[None]:
    """Start all sides; a side that cannot start is left out."""
    with contextlib.ExitStack() as stack:
        for entry in listed:
            with left_out(entry, work):
                entry.side = stack.enter_context(sides.started(entry.peer, size, entry.members))
                compiling = entry.facts.get('compile_seconds')
                print(
                    f'{work}: {entry.name} is ready'
                    + (f', compiling {compiling:.1f} s' if compiling else ''),
                    flush=True,
                )
        yield


def measure(listed: Sequence[Measured], rounds: int, seconds: float, work: str) -> None:
    """Ask all sides in turn; a slow peer in fewer rounds."""
    for number in range(rounds):
        for entry in listed:
            if not entry.failed and number < entry.peer.get('rounds', rounds):
                with left_out(entry, work):
                    entry.answers.append(sides.ask(entry.side, seconds))
        spent = ', '.join(
            f'{entry.name} {1e3 * entry.seconds[-1]:.3f}' for entry in listed if entry.answers
        )
        print(f'{work}: round {number + 1} of {rounds}, ms: {spent}', flush=True)
    check(entry for entry in listed if not entry.failed)


def check(listed: Iterator[Measured]) -> None:
    """Check that every side has the same network and learns."""
    parameters = {}
    for entry in listed:
        parameters[entry.name] = entry.facts['parameters']
        first, last = entry.facts['loss'], entry.answers[-1]['loss']
        if not last < first:
            print(
                f'{entry.name}: the loss did not fall in these few steps, '
                f'{first:.3f} to {last:.3f}',
                flush=True,
            )
    if len(set(parameters.values())) > 1:
        raise SystemExit(f'not the same network: parameters {parameters}')


@contextlib.contextmanager
def left_out(entry: Measured, work: str) -> Iterator[None]:
    """Go on without a peer that fails; its row will say why."""
    try:
        yield
    except sides.Failed as error:
        print(f'{work}: {entry.name} is left out: {error}', flush=True)
        entry.failed = str(error)
