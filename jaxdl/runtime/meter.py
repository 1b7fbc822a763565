"""How far a long piece of work is, and how fast: a live line on a terminal.

Plain lines elsewhere.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

FIRST = 0.5  # seconds after which work is long enough to be shown
EVERY = 5.0  # seconds between plain lines


@contextlib.contextmanager
def metered(what: str, total: int, unit: str = 'images') -> Iterator[Callable[[int], None]]:
    """Gives a function to be told how many more are done; stderr shows what, how many.

    The rate and the time left.
    """
    if not sys.stderr.isatty():
        yield _plain(what, total, unit)
        return
    columns = (
        TextColumn('{task.description}', markup=False),
        BarColumn(),
        TextColumn('{task.fields[words]}'),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task, done, began = bar.add_task(what, total=total, words=''), 0, time.monotonic()

        def more(count: int) -> None:
            nonlocal done
            done += count
            bar.update(
                task, completed=done, words=words(done, total, time.monotonic() - began, unit)
            )

        yield more


def _plain(what: str, total: int, unit: str) -> Callable[[int], None]:
    done, began = 0, time.monotonic()
    due = began + FIRST

    def more(count: int) -> None:
        nonlocal done, due
        done, now = done + count, time.monotonic()
        if now >= due or (done >= total and due > began + FIRST):
            due = now + EVERY
            sys.stderr.write(f'{what}: {words(done, total, now - began, unit)}\n')
            sys.stderr.flush()

    return more


def words(done: int, total: int, seconds: float, unit: str) -> str:
    """`1,024 of 100,000, 512 images/s, about 193 s left`."""
    if not done or not seconds:
        return f'{done:,} of {total:,}'
    rate = done / seconds
    left = (total - done) / rate
    about = f'{left:.0f} s' if left < 90 else f'{left / 60:.0f} min'
    return f'{done:,} of {total:,}, {rate:,.0f} {unit}/s, about {about} left'
