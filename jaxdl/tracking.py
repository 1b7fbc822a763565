"""What a run measures, told to others than its own metrics.jsonl: TensorBoard, by tensorboardX."""

import atexit
import importlib.util
import pathlib
from collections.abc import Callable
from typing import Any

from jaxdl.errors import InputError

Note = Callable[..., None]
FLUSH = 1  # seconds after which what was told is in the file: its own thread writes it


def check() -> None:
    """InputError: tensorboardX is not installed."""
    if not importlib.util.find_spec('tensorboardX'):
        raise InputError("tensorboard=true needs tensorboardX: pip install 'jaxdl[tensorboard]'")


def tensorboard(folder: pathlib.Path, note: Note) -> Note:
    """`note`, which also writes every number of a step or an epoch as a scalar `TASK/NAME` into folder/tensorboard."""
    from tensorboardX import SummaryWriter

    writer, done = SummaryWriter(str(folder / 'tensorboard'), flush_secs=FLUSH), dict(step=0)
    atexit.register(writer.close)  # what is in its queue when a run ends

    def told(name: str, **facts: Any) -> None:
        note(name, **facts)
        if name not in ('step', 'epoch') or 'task' not in facts:
            return
        done['step'] = facts.get('step', done['step'])  # an epoch stands at its last step
        for key, value in facts.items():
            if isinstance(value, float):
                writer.add_scalar(f'{facts["task"]}/{key}', value, done['step'])

    return told
