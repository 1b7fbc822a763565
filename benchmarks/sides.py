"""One side in processes of its own, asked for one round at a time.

Two thread pools in one process slow each other.

A side is a module with `prepare(size, members, **options) -> (facts, run)`. `facts` has the
parameters of a member and its first loss; `run(seconds)` trains for about that long and returns the
seconds of a step of one member, and the last loss.
"""

import contextlib
import importlib
import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from benchmarks.workload import Size
from jaxdl.runtime.machine import usable_cores

CORES = usable_cores()
START_LIMIT, ROUND_LIMIT = 180.0, 60.0  # seconds until a side is given up
Answer = dict[str, Any]


class Side(NamedTuple):
    """One process, or one a core, all asked at the same time."""

    connections: list[Connection]
    facts: Answer


class Failed(Exception):
    """A side broke, or took too long."""


@contextlib.contextmanager
def started(peer: dict[str, Any], size: Size, members: int) -> Iterator[Side]:
    """Start the processes of a row of PEERS one after another, so that they compile alone."""
    context = multiprocessing.get_context('spawn')
    processes, connections, facts = [], [], []
    try:
        for number in range(peer.get('processes', 1)):
            here, there = context.Pipe()
            core = number if peer.get('pinned') else None
            arguments = there, peer['module'], size, members, peer['options'], core
            process = context.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            there.close()
            processes.append(process)
            connections.append(here)
            facts.append(_answer(here, START_LIMIT))
        yield Side(connections, facts[0])  # the first: its programs were in no cache
    finally:
        for process in processes:
            process.kill()
            process.join()


def repeat(step: Callable[[], float], images: int) -> Callable[[float], dict[str, float]]:
    """The function `run` of a side: a step again and again, at least once.

    Args:
      step: returns its loss.
      images: in a step; `run` returns the seconds of one.
    """

    def run(seconds: float) -> dict[str, float]:
        began, steps, loss = time.perf_counter(), 1, step()
        while time.perf_counter() < began + seconds:
            loss, steps = step(), steps + 1
        return dict(seconds=(time.perf_counter() - began) / steps / images, loss=loss)

    return run


def ask(side: Side, seconds: float) -> Answer:
    """One round of all processes at once: seconds of a step, last loss and memory.

    The seconds are those that the user waits.
    """
    for connection in side.connections:
        connection.send(seconds)
    answers = [_answer(connection, ROUND_LIMIT + seconds) for connection in side.connections]
    waited = statistics.fmean(answer['seconds'] for answer in answers) / len(answers)
    peak = sum(answer['peak_gib'] for answer in answers)
    return dict(seconds=waited, loss=answers[0]['loss'], peak_gib=peak)


def _answer(connection: Connection, limit: float) -> Answer:
    if not connection.poll(limit):
        raise Failed(f'no answer in {limit:.0f} s')
    try:
        answer = connection.recv()
    except EOFError:
        raise Failed('the process ended') from None
    if 'error' in answer:
        raise Failed(answer['error'])
    return answer


def _serve(
    connection: Connection,
    module: str,
    size: Size,
    members: int,
    options: dict[str, Any],
    core: int | None,
) -> None:
    """The process of a side, until it is killed."""
    if core is not None and hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(
            0, {sorted(os.sched_getaffinity(0))[core]}
        )  # before XLA counts the cores
    try:
        facts, run = importlib.import_module(f'benchmarks.{module}').prepare(
            size, members, **options
        )
        connection.send(facts)
        while True:
            peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            connection.send(run(connection.recv()) | dict(peak_gib=peak()))
    except EOFError:
        return
    except Exception as error:
        lines = str(error).strip().splitlines() or ['']
        connection.send(dict(error=f'{type(error).__name__}: {lines[0][:200]}'))
