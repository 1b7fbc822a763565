"""Interruptions wait until what is in hand is saved."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


class Interrupted(Exception):
    """A signal asked the run to stop, and its state is saved; `signal` is the number."""

    def __init__(self, number: int) -> None:
        super().__init__(f'interrupted by {signal.Signals(number).name}')
        self.signal = number


class Failed(Exception):
    """A training came to nothing, and says why and what to do; what was saved before stays."""


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """Raises Interrupted where SIGINT or SIGTERM comes.

    For work that leaves nothing behind to be saved.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise Interrupted(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def deferred() -> Iterator[Callable[[], int | None]]:
    """Holds the first SIGINT or SIGTERM back, and gives a function that tells its number.

    A second acts at once.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None  # only the main thread may set handlers
        return

    def note(number: int, frame: Any) -> None:
        received.append(number)
        signal.signal(number, before[number])

    before: dict[int, Any] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, note)
    try:
        yield lambda: received[0] if received else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
