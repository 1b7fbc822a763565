"""What a run measures, told to others than its own metrics.jsonl: TensorBoard, by tensorboardX."""

import pathlib
from collections.abc import Callable
from typing import Any

from jaxdl.errors import InputError

Note = Callable[..., None]


def tensorboard(folder: pathlib.Path, note: Note) -> Note:
    """`note`, which also writes every number of a step or an epoch as a scalar `TASK/NAME` into folder/tensorboard.

    InputError: tensorboardX is not installed.
    """
    try:
        from tensorboardX import SummaryWriter  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError("tensorboard=true needs tensorboardX: pip install 'jaxdl[tensorboard]'") from None
    writer, done = SummaryWriter(str(folder / 'tensorboard')), dict(step=0)

    def told(name: str, **facts: Any) -> None:
        note(name, **facts)
        if name not in ('step', 'epoch') or 'task' not in facts:
            return
        done['step'] = facts.get('step', done['step'])  # an epoch stands at its last step
        for key, value in facts.items():
            if isinstance(value, float):
                writer.add_scalar(f'{facts["task"]}/{key}', value, done['step'])
        writer.flush()

    return told
