"""SIGINT and SIGTERM: stop at once, or after the state is saved."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


class Interrupted(Exception):
    """A signal stopped the run after its state was saved; `signal` is its number."""

    def __init__(self, number: int) -> None:
        super().__init__(f'interrupted by {signal.Signals(number).name}')
        self.signal = number


class TrainingFailed(Exception):
    """A training failed; the message has the reason and the remedy. Earlier checkpoints stay."""


@contextlib.contextmanager
def interrupt_on_signals() -> Iterator[None]:
    """Raise Interrupted at SIGINT or SIGTERM, for work that has no state to be saved."""
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
def defer_signals() -> Iterator[Callable[[], int | None]]:
    """Defer the first SIGINT or SIGTERM; a second one acts at once.

    Yields:
      A function that returns the number of the deferred signal, or None.
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
