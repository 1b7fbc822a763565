"""Processes of a run: join, exchange values, and end together. The first process writes."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import jax
import numpy as np

from jaxdl.errors import InputError
from jaxdl.runtime.signals import TrainingFailed

Tree = TypeVar('Tree')
Result = TypeVar('Result')
# Words in JAX's errors after another process has ended.
GONE = ('Gloo', 'gloo', 'heartbeat', 'arrier', 'UNAVAILABLE', 'coordination')
HEARTBEAT = 60  # seconds without a sign of life after which a process counts as dead

# Launcher -> environment variables of the number of processes and of the rank of this one.
LAUNCHERS: dict[str, tuple[str, tuple[str, ...]]] = dict(
    Slurm=('SLURM_STEP_NUM_TASKS', ('SLURM_PROCID',)),  # of srun; a batch script has others
    OpenMPI=('OMPI_COMM_WORLD_SIZE', ('OMPI_COMM_WORLD_RANK',)),
    Kubernetes=('JAX_NUM_PROCESSES', ('JAX_PROCESS_ID', 'JOB_COMPLETION_INDEX')),
)
COORDINATOR = 'JAX_COORDINATOR_ADDRESS'
GIVE = 'give --coordinator=HOST:PORT of the first process, or set JAX_COORDINATOR_ADDRESS'


class ProcessLost(TrainingFailed):
    """Another process of the run has ended.

    Exit with os._exit: the barrier of a distributed shutdown would wait for the ended process.
    """


def is_first() -> bool:
    """Whether this process is the first, which writes the files."""
    return jax.process_index() == 0


def has_several() -> bool:
    """Whether the run has more than one process."""
    return jax.process_count() > 1


def broadcast_arrays(tree: Tree) -> Tree:
    """Broadcast the arrays of the first process to all, as NumPy arrays."""
    if not has_several():
        return tree
    from jax.experimental import multihost_utils

    return multihost_utils.broadcast_one_to_all(tree)


def broadcast_record(record: Tree) -> Tree:
    """Broadcast the arrays of a dataclass; its other fields must be the same in all processes."""
    if not has_several():
        return record
    arrays = {
        k: v
        for k, v in vars(record).items()
        if all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(v))
    }
    arrays = {k: v for k, v in arrays.items() if jax.tree.leaves(v)}
    return dataclasses.replace(record, **broadcast_arrays(arrays))  # type: ignore[type-var]


def share_result(make: Callable[[], Result]) -> Result:
    """Call `make` in the first process and give its result, which is JSON, to all.

    Raises:
      InputError: that of `make`, in all processes.
    """
    if not has_several():
        return make()
    text = _as_json(make) if is_first() else b''
    size = int(broadcast_arrays(np.int32(len(text))))
    letters = np.frombuffer(text, np.uint8) if is_first() else np.zeros(size, np.uint8)
    answer = json.loads(bytes(np.asarray(broadcast_arrays(letters))))
    if 'error' in answer:
        raise InputError(answer['error'])
    return answer['result']


def _as_json(make: Callable[[], Any]) -> bytes:
    try:
        return json.dumps(dict(result=make())).encode()
    except InputError as error:
        return json.dumps(dict(error=str(error))).encode()


def make_maximum(local: Callable[[], int | None]) -> Callable[[], int | None]:
    """Make a function that returns the largest number that any process returns, or None."""
    return lambda: int(compute_maximum(np.int32(local() or 0))) or None


def compute_maximum(values: np.ndarray | np.generic) -> np.ndarray:
    """Elementwise maximum over all processes."""
    if not has_several():
        return np.asarray(values)
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(values)).max(0)


def wait(name: str) -> None:
    """Wait until all processes are here."""
    if has_several():
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def join(
    coordinator: str | None = None, processes: int | None = None, process: int | None = None
) -> None:
    """Join the processes of a run, if there are several, before any other use of jax.

    Args:
      coordinator: `host:port` of the first process; by default as set by Slurm, Open MPI or
        Kubernetes.
      processes: number of processes; by default as set by the launcher.
      process: rank of this one, from 0; by default as set by the launcher.

    Raises:
      InputError: only some arguments are known, or the processes cannot connect.
    """
    arguments = dict(coordinator_address=coordinator, num_processes=processes, process_id=process)
    launched = _read_launcher(os.environ)
    settings: dict[str, Any] = launched | {
        name: value for name, value in arguments.items() if value is not None
    }
    if not settings:
        return
    if not launched and len(settings) < len(arguments):
        raise InputError(
            '--coordinator=HOST:PORT, --processes=N and --process=I are needed '
            'together: give all three'
        )
    settings |= dict(heartbeat_timeout_seconds=HEARTBEAT, shutdown_timeout_seconds=HEARTBEAT)
    try:
        jax.distributed.initialize(**settings)
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f'the processes of the run cannot connect ({str(error).splitlines()[0]}): {GIVE}'
        ) from None


def _read_launcher(variables: Mapping[str, str]) -> dict[str, Any]:
    """Number and rank of processes as set by a launcher; empty for a single process."""
    for count, ranks in LAUNCHERS.values():
        rank = next((variables[name] for name in ranks if name in variables), '')
        if (
            not variables.get(count, '').isdigit()
            or not rank.isdigit()
            or int(variables[count]) < 2
        ):
            continue
        launched: dict[str, Any] = dict(num_processes=int(variables[count]), process_id=int(rank))
        return launched | (
            {'coordinator_address': variables[COORDINATOR]} if COORDINATOR in variables else {}
        )
    return {}


@contextlib.contextmanager
def raise_if_process_lost() -> Iterator[None]:
    """Raise ProcessLost if another process of the run has ended, so that none continues alone.

    On CPUs this happens at the next exchange. If the first process has ended, or on an accelerator,
    JAX ends this process itself within HEARTBEAT seconds.
    """
    try:
        yield
    except (ValueError, RuntimeError) as error:
        if (
            not has_several()
            or isinstance(error, InputError)
            or not any(word in str(error) for word in GONE)
        ):
            raise
        raise ProcessLost(
            f'another process of this run has ended ({str(error).splitlines()[0][:160]}): '
            'checkpoints stay, and the same command in any number of processes resumes'
        ) from error
