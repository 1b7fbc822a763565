"""Trackers: TensorBoard and Weights & Biases.

A tracker is open while its run trains, and takes named numbers at a step. Nothing leaves the
machine by default: Weights & Biases writes into the workdir (`offline`), to be sent by `wandb
sync`, unless WANDB_MODE is another.
"""

import collections
import contextlib
import dataclasses
import hashlib
import importlib.util
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl import workdir
from jaxdl.errors import InputError
from jaxdl.workdir.tables import hyperparameters

Note = Callable[..., None]
Tell = Callable[[Mapping[str, float], int], None]  # (named numbers, step)
FLUSH = 1  # seconds until numbers are in the file


@dataclasses.dataclass(frozen=True)
class Tracker:
    """A row of TRACKERS.

    Attributes:
      module: the module that it needs.
      begin: opens it for a workdir and closes it.
    """

    module: str
    begin: Callable[[pathlib.Path], contextlib.AbstractContextManager[Tell]]


@contextlib.contextmanager
def _tensorboard(folder: pathlib.Path) -> Iterator[Tell]:
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(folder / 'tensorboard'), flush_secs=FLUSH) as writer:

        def tell(numbers: Mapping[str, float], step: int) -> None:
            for name, value in numbers.items():
                writer.add_scalar(name, value, step)

        yield tell


@contextlib.contextmanager
def _wandb(folder: pathlib.Path) -> Iterator[Tell]:
    """Open a run of Weights & Biases.

    Its id is derived from the workdir's path and configuration, so a resumed run is the same one.
    """
    import wandb

    mode, top = os.environ.get('WANDB_MODE', 'offline'), folder.resolve()
    if mode not in MODES:
        raise InputError(
            f'WANDB_MODE={mode}: must be one of {", ".join(MODES)}; unset, nothing is sent'
        )
    config = (top / 'config.json').read_bytes() if (top / 'config.json').exists() else b'{}'
    try:
        run = wandb.init(
            project='jaxdl',
            name=top.name,
            id=hashlib.sha256(str(top).encode() + config).hexdigest()[:16],
            config=workdir.parse(config.decode()),
            dir=str(top),
            mode=mode,  # type: ignore[arg-type]
            resume='allow',
            reinit='create_new',
            settings=wandb.Settings(**QUIET),
        )
    except wandb.Error as error:
        raise InputError(f'trackers: wandb failed ({error}): use WANDB_MODE=offline') from None
    run.define_metric(
        '*', step_metric='at'
    )  # groups follow one another, each from its own first epoch
    try:
        yield lambda numbers, step: run.log(dict(numbers, at=step))
    except BaseException:  # `with run` would print its traceback
        run.finish(exit_code=1)
        raise
    run.finish()


MODES = ('online', 'offline', 'disabled')
QUIET: dict[str, Any] = dict(
    console='off', silent=True, x_disable_stats=True, save_code=False, disable_git=True
)
TRACKERS = {'tensorboard': Tracker('tensorboardX', _tensorboard), 'wandb': Tracker('wandb', _wandb)}


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
