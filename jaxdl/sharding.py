"""Where arrays live: members, or a batch, cut over the devices, all else on each; and the processes of a run."""

import dataclasses
import os
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

MEMBER, DATA = 'member', 'data'
Tree = TypeVar('Tree')


def member_mesh(rows: int) -> Mesh:
    """A mesh over the most local devices that divide `rows`: a run planned for eight resumes on four, two or one."""
    devices = jax.local_devices()
    count = max(n for n in range(1, len(devices) + 1) if rows % n == 0)
    return jax.make_mesh((count,), (MEMBER,), axis_types=(AxisType.Auto,), devices=devices[:count])


def place(tree: Tree, mesh: Mesh) -> Tree:
    """Cuts the leading axis of every array over the mesh."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(MEMBER)))


def replicate(tree: Tree, mesh: Mesh) -> Tree:
    """Copies every array to every device of the mesh."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def data_mesh() -> Mesh:
    """A mesh over all devices of all processes, along which a batch is cut."""
    return jax.make_mesh((jax.device_count(),), (DATA,), axis_types=(AxisType.Auto,))


def batch(arrays: Tree, mesh: Mesh) -> Tree:
    """This process's rows of every array, as a part of the batch of all processes."""
    cut = NamedSharding(mesh, PartitionSpec(DATA))
    return jax.tree.map(lambda rows: jax.make_array_from_process_local_data(cut, rows), arrays)


def everywhere(tree: Tree, mesh: Mesh) -> Tree:
    """Every array, keys too, on every device of every process, each of which holds the same values."""
    whole = NamedSharding(mesh, PartitionSpec())

    def put(leaf: Any) -> jax.Array:
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(put(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        return jax.make_array_from_process_local_data(whole, np.asarray(leaf))

    return jax.tree.map(put, tree)


def first() -> bool:
    """Whether this process is the one that writes."""
    return jax.process_index() == 0


def agreed(tree: Tree) -> Tree:
    """What the first process holds, on the host of each."""
    if jax.process_count() == 1:
        return tree
    from jax.experimental import multihost_utils

    return multihost_utils.broadcast_one_to_all(tree)


def agreed_record(record: Tree) -> Tree:
    """A dataclass as the first process has it: its arrays (what else it holds is the same everywhere)."""
    if jax.process_count() == 1:
        return record
    arrays = {k: v for k, v in vars(record).items() if all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(v))}
    arrays = {k: v for k, v in arrays.items() if jax.tree.leaves(v)}
    return dataclasses.replace(record, **agreed(arrays))  # type: ignore[type-var]


def together(asked: Callable[[], int | None]) -> Callable[[], int | None]:
    """A question whose answer is a number, asked of all processes at once: the largest that any of them gives."""
    return lambda: int(most(np.int32(asked() or 0))) or None


def most(values: np.ndarray | np.generic) -> np.ndarray:
    """The largest that any process has, place by place."""
    if jax.process_count() == 1:
        return np.asarray(values)
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(values)).max(0)


def wait(name: str) -> None:
    """Until all processes have come here."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


# A variable that a launcher sets where it starts several processes, which jax then finds by itself.
LAUNCHERS = dict(SLURM_NTASKS='Slurm', OMPI_COMM_WORLD_SIZE='Open MPI', JOBSET_NAME='Kubernetes')


def join(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> None:
    """Joins the processes of a run, where there are several; before anything else is done with jax.

    Args:
      coordinator: `host:port` of the first process; without it, what Slurm, Open MPI or Kubernetes has set.
      processes: how many there are.
      process: which this one is, from 0.
    """
    given: dict[str, Any] = dict(coordinator_address=coordinator, num_processes=processes, process_id=process)
    if coordinator is not None:
        jax.distributed.initialize(**given)
    elif any(_several(name) for name in LAUNCHERS):
        jax.distributed.initialize()


def _several(name: str) -> bool:
    value = os.environ.get(name, '1')
    return not value.isdigit() or int(value) > 1
