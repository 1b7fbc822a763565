"""Send numbers of a run to trackers while the run trains."""

import collections
import contextlib
import importlib.util
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl.errors import InputError
from jaxdl.runtime.trackers import TRACKERS, Tell
from jaxdl.workdir.tables import hyperparameters

Note = Callable[..., None]


def check(names: Sequence[str]) -> None:
    """Check that the modules of trackers are installed.

    Raises:
      InputError: one is not.
    """
    for name in names:
        if not importlib.util.find_spec(TRACKERS[name].module):
            raise InputError(
                f"trackers: {name} needs {TRACKERS[name].module}: pip install 'jaxdl[{name}]'"
            )


@contextlib.contextmanager
def open_trackers(folder: pathlib.Path, names: Sequence[str]) -> Iterator[Tell]:
    """Open the trackers of a run.

    Args:
      folder: the workdir.
      names: rows of TRACKERS.

    Yields:
      A function (named numbers, step) that writes to all of them.

    Raises:
      InputError: one of them cannot be opened.
    """
    with contextlib.ExitStack() as stack:
        trackers = [stack.enter_context(TRACKERS[name].begin(folder)) for name in names]

        def tell(numbers: Mapping[str, float], step: int) -> None:
            for tracker in trackers:
                tracker(numbers, step)

        yield tell


def track_journal(note: Note, tell: Tell) -> Note:
    """Extend a journal's `note`: numbers of steps and epochs also go to `tell`, as `TASK/NAME`."""
    last = dict(step=0)

    def note_and_track(name: str, **facts: Any) -> None:
        note(name, **facts)
        if name in ('step', 'epoch') and 'task' in facts:
            last['step'] = facts.get('step', last['step'])  # an epoch is at its last step
            numbers = {
                f'{facts["task"]}/{key}': value
                for key, value in facts.items()
                if isinstance(value, float)
            }
            tell(numbers, last['step'])

    return note_and_track


def track_rows(tell: Tell, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the means over seeds of an ablation's group to trackers, per epoch.

    The names are `CONDITION/PHASE/OPTION/LEARNING_RATE/SPLIT METRIC`, without the condition where
    there is one. Other hyperparameters of a search follow the learning rate: `0.1, dropout=0.2`.

    Args:
      tell: (named numbers, step).
      rows: rows of results.csv.
    """
    values: dict[int, dict[str, list[float]]] = collections.defaultdict(
        lambda: collections.defaultdict(list)
    )
    for row in rows:
        _, *further = hyperparameters(row)
        point = ', '.join(
            [
                f'{row["learning_rate"]:g}',
                *(f'{key}={row[key]:g}' for key in further if row[key] is not None),
            ]
        )
        parts = (row['condition'], row['phase'], row['option'], point)
        name = '/'.join(part for part in parts if part) + f'/{row["split"]} {row["metric"]}'
        values[row['epoch']][name].append(row['value'])
    for epoch in sorted(values):
        tell({name: float(np.mean(v)) for name, v in values[epoch].items()}, epoch)
