"""What a run measures, told to others than its own metrics.jsonl: TensorBoard and Weights & Biases.

A tracker is open while its run trains and is given named numbers at a step. Nothing leaves the
machine unless its user says so: Weights & Biases writes into the workdir (`offline`), to be sent by
`wandb sync`, where WANDB_MODE asks for no other.
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

Note = Callable[..., None]
Tell = Callable[[Mapping[str, float], int], None]  # named numbers, and the step that they are of
FLUSH = 1  # seconds after which what was told is in the file: a thread of its own writes it


@dataclasses.dataclass(frozen=True)
class Tracker:
    """A row of TRACKERS: the module that it needs.

    And how it is opened for a workdir and closed again.
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
    """A run that goes on is the same to it.

    Its id is made of the workdir's place and its configuration.
    """
    import wandb

    mode, top = os.environ.get('WANDB_MODE', 'offline'), folder.resolve()
    if mode not in MODES:
        raise InputError(
            f'WANDB_MODE={mode}: must be {", ".join(MODES)}; without it nothing is sent'
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
        raise InputError(f'trackers: wandb: {error} WANDB_MODE=offline needs none of it') from None
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
    """InputError: what a tracker needs is not installed."""
    for name in names:
        if not importlib.util.find_spec(TRACKERS[name].module):
            raise InputError(
                f"trackers: {name} needs {TRACKERS[name].module}: pip install 'jaxdl[{name}]'"
            )


@contextlib.contextmanager
def begin(folder: pathlib.Path, names: Sequence[str]) -> Iterator[Tell]:
    """Opens the trackers of a run; what is told goes to each of them.

    InputError: one of them cannot begin.
    """
    with contextlib.ExitStack() as stack:
        every = [stack.enter_context(TRACKERS[name].begin(folder)) for name in names]

        def tell(numbers: Mapping[str, float], step: int) -> None:
            for each in every:
                each(numbers, step)

        yield tell


def tracked(note: Note, tell: Tell) -> Note:
    """`note`, which also tells every number of a step or an epoch, as `TASK/NAME`."""
    done = dict(step=0)

    def told(name: str, **facts: Any) -> None:
        note(name, **facts)
        if name in ('step', 'epoch') and 'task' in facts:
            done['step'] = facts.get('step', done['step'])  # an epoch stands at its last step
            numbers = {
                f'{facts["task"]}/{key}': value
                for key, value in facts.items()
                if isinstance(value, float)
            }
            tell(numbers, done['step'])

    return told


def tell_rows(tell: Tell, rows: Iterable[Mapping[str, Any]]) -> None:
    """Tells the rows of an ablation's group.

    At each epoch the mean over the seeds of an option at a rate.

    As `CONDITION/PHASE/OPTION/RATE/SPLIT METRIC`, without a condition where there is one.
    """
    found: dict[int, dict[str, list[float]]] = collections.defaultdict(
        lambda: collections.defaultdict(list)
    )
    for row in rows:
        parts = (row['condition'], row['phase'], row['option'], f'{row["learning_rate"]:g}')
        name = '/'.join(part for part in parts if part) + f'/{row["split"]} {row["metric"]}'
        found[row['epoch']][name].append(row['value'])
    for epoch in sorted(found):
        tell({name: float(np.mean(values)) for name, values in found[epoch].items()}, epoch)
