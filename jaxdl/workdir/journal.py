"""The journal metrics.jsonl: one line per event, appended by all sessions of a run."""

import json
import pathlib
import time
from collections.abc import Callable
from typing import Any

from jaxdl import workdir as folder

Event = dict[str, Any]


def open_journal(workdir: pathlib.Path, display: Callable[[Event], None]) -> Callable[..., None]:
    """Open the journal of a run for a new session.

    Args:
      workdir: the folder of the run.
      display: called with every event.

    Returns:
      A function (event name, further values) that appends an event with the number of the session
      and its seconds so far.
    """
    path, began = workdir / 'metrics.jsonl', time.perf_counter()
    earlier = read(workdir)
    if path.exists():  # a killed run may have left half a line
        folder.write(path, ''.join(json.dumps(event) + '\n' for event in earlier))
    session = max((event['session'] for event in earlier), default=0) + 1

    def note(name: str, **facts: Any) -> None:
        event = (
            dict(session=session, seconds=round(time.perf_counter() - began, 3), event=name) | facts
        )
        with path.open('a') as file:
            file.write(json.dumps(event) + '\n')
        display(event)

    return note


def ignore_events(name: str, **facts: Any) -> None:
    """Stand in for the journal in a process that does not write it."""


def read(workdir: pathlib.Path) -> list[Event]:
    """Read the events so far, without lines that are cut short or damaged."""
    path = workdir / 'metrics.jsonl'
    lines = (
        path.read_text(encoding='utf-8', errors='replace').splitlines(keepends=True)
        if path.exists()
        else []
    )
    return [event for line in lines if line.endswith('}\n') and (event := _parse_event(line))]


def _parse_event(line: str) -> Event | None:
    """The event in a line; None where the line holds none."""
    try:
        event = folder.parse(line)
    except ValueError:
        return None
    valid = isinstance(event.get('session'), int) and isinstance(event.get('seconds'), int | float)
    return event if valid else None


def session_seconds(workdir: pathlib.Path) -> list[float]:
    """Seconds from the start to the last event, per session."""
    longest: dict[int, float] = {}
    for event in read(workdir):
        longest[event['session']] = max(longest.get(event['session'], 0.0), event['seconds'])
    return list(longest.values())
