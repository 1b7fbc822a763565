"""The processes of a run: how they find one another, agree, and end together.

The first one writes.
"""

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import jax
import numpy as np

from jaxdl.errors import InputError
from jaxdl.runtime.signals import Failed

Tree = TypeVar('Tree')
Found = TypeVar('Found')
GONE = (
    'Gloo',
    'gloo',
    'heartbeat',
    'arrier',
    'UNAVAILABLE',
    'coordination',
)  # in what JAX raises of a lost process
HEARTBEAT = 60  # seconds without a sign of life after which a process counts as dead

# What launchers set in each process that they start: how many there are, and which this one is.
LAUNCHERS: dict[str, tuple[str, tuple[str, ...]]] = dict(
    Slurm=('SLURM_STEP_NUM_TASKS', ('SLURM_PROCID',)),  # of srun; a batch script has others
    OpenMPI=('OMPI_COMM_WORLD_SIZE', ('OMPI_COMM_WORLD_RANK',)),
    Kubernetes=('JAX_NUM_PROCESSES', ('JAX_PROCESS_ID', 'JOB_COMPLETION_INDEX')),
)
COORDINATOR = 'JAX_COORDINATOR_ADDRESS'
GIVE = 'give --coordinator=HOST:PORT of the first process, or set JAX_COORDINATOR_ADDRESS'


class Lost(Failed):
    """Another process of the run has ended.

    This one should end without a good-bye, which would wait for the other.
    """


def first() -> bool:
    """Whether this process is the one that writes."""
    return jax.process_index() == 0


def several() -> bool:
    """Whether the run has more than one process."""
    return jax.process_count() > 1


def agreed(tree: Tree) -> Tree:
    """What the first process holds, on the host of each."""
    if not several():
        return tree
    from jax.experimental import multihost_utils

    return multihost_utils.broadcast_one_to_all(tree)


def agreed_record(record: Tree) -> Tree:
    """A dataclass as the first process has it.

    Its arrays (what else it holds is the same everywhere).
    """
    if not several():
        return record
    arrays = {
        k: v
        for k, v in vars(record).items()
        if all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(v))
    }
    arrays = {k: v for k, v in arrays.items() if jax.tree.leaves(v)}
    return dataclasses.replace(record, **agreed(arrays))  # type: ignore[type-var]


def told(make: Callable[[], Found]) -> Found:
    """What `make` gives in the first process, as JSON, in all of them; its InputError too."""
    if not several():
        return make()
    text = _as_json(make) if first() else b''
    size = int(agreed(np.int32(len(text))))
    letters = np.frombuffer(text, np.uint8) if first() else np.zeros(size, np.uint8)
    answer = json.loads(bytes(np.asarray(agreed(letters))))
    if 'error' in answer:
        raise InputError(answer['error'])
    return answer['found']


def _as_json(make: Callable[[], Any]) -> bytes:
    try:
        return json.dumps(dict(found=make())).encode()
    except InputError as error:
        return json.dumps(dict(error=str(error))).encode()


def together(asked: Callable[[], int | None]) -> Callable[[], int | None]:
    """A question whose answer is a number, asked of all processes at once.

    The largest that any of them gives.
    """
    return lambda: int(most(np.int32(asked() or 0))) or None


def most(values: np.ndarray | np.generic) -> np.ndarray:
    """The largest that any process has, place by place."""
    if not several():
        return np.asarray(values)
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(values)).max(0)


def wait(name: str) -> None:
    """Until all processes have come here."""
    if several():
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def join(
    coordinator: str | None = None, processes: int | None = None, process: int | None = None
) -> None:
    """Joins the processes of a run, where there are several; before anything else is done with jax.

    Args:
      coordinator: `host:port` of the first process; without it, what Slurm, Open MPI or Kubernetes
        has set.
      processes: how many there are; without it, what the launcher has set.
      process: which this one is, from 0; without it, what the launcher has set.

    Raises:
      InputError: they say how many there are and not how to meet, or cannot meet.
    """
    given = dict(coordinator_address=coordinator, num_processes=processes, process_id=process)
    launched = _launched(os.environ)
    found: dict[str, Any] = launched | {
        name: value for name, value in given.items() if value is not None
    }
    if not found:
        return
    if not launched and len(found) < len(given):
        raise InputError(
            '--coordinator=HOST:PORT, --processes=N and --process=I belong together: give all three'
        )
    found |= dict(heartbeat_timeout_seconds=HEARTBEAT, shutdown_timeout_seconds=HEARTBEAT)
    try:
        jax.distributed.initialize(**found)
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f'the processes of the run do not meet ({str(error).splitlines()[0]}): {GIVE}'
        ) from None


def _launched(variables: Mapping[str, str]) -> dict[str, Any]:
    """What a launcher says of the processes that it has started; nothing where there is none.

    Or one process.
    """
    for count, ranks in LAUNCHERS.values():
        rank = next((variables[name] for name in ranks if name in variables), '')
        if (
            not variables.get(count, '').isdigit()
            or not rank.isdigit()
            or int(variables[count]) < 2
        ):
            continue
        own: dict[str, Any] = dict(num_processes=int(variables[count]), process_id=int(rank))
        return own | (
            {'coordinator_address': variables[COORDINATOR]} if COORDINATOR in variables else {}
        )
    return {}


@contextlib.contextmanager
def one_fate() -> Iterator[None]:
    """Raises Lost where another process of the run has gone: none goes on alone.

    On CPUs that is at the next exchange with it. Where the first process has gone, or on an
    accelerator, JAX ends this one itself, within HEARTBEAT seconds and in its own words.
    """
    try:
        yield
    except (ValueError, RuntimeError) as error:
        if (
            not several()
            or isinstance(error, InputError)
            or not any(word in str(error) for word in GONE)
        ):
            raise
        raise Lost(
            f'another process of this run has ended ({str(error).splitlines()[0][:160]}): what was saved stays, and '
            'the same command in all processes, or in another number of them, resumes'
        ) from error
