"""Shardings: members or a batch over the devices of all processes, other arrays on every device."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxdl.runtime import distributed

MEMBER, COPY, DATA = 'member', 'copy', 'data'
Tree = TypeVar('Tree')


def member_mesh(rows: int) -> Mesh:
    """Make a mesh that shards `rows` of members, on any number of devices.

    A run that was planned for eight devices resumes on four, two or one. One process uses the most
    devices whose number divides the rows. Several processes use all devices; where their number
    does not divide the rows, some devices compute the same.
    """
    devices = jax.devices()
    several, total = distributed.has_several(), len(devices)
    count = max(n for n in range(1, total + 1) if rows % n == 0 and not (several and total % n))
    shape = (count, total // count if several else 1)
    auto = (AxisType.Auto, AxisType.Auto)
    return jax.make_mesh(
        shape, (MEMBER, COPY), axis_types=auto, devices=devices[: shape[0] * shape[1]]
    )


def place(tree: Tree, mesh: Mesh) -> Tree:
    """Shard the leading axis of every array over the mesh.

    Args:
      tree: arrays [row, ...]; each process has all of them, or its shards.
      mesh: of `member_mesh`.
    """
    return _put(tree, NamedSharding(mesh, PartitionSpec(MEMBER)))


def replicate(tree: Tree, mesh: Mesh) -> Tree:
    """Copy every array to every device of the mesh."""
    return _put(tree, NamedSharding(mesh, PartitionSpec()))


def gather(tree: Tree) -> Tree:
    """Gather arrays that are sharded over several processes, in the memory of each process."""
    if not distributed.has_several():
        return tree
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(tree, tiled=True)


def data_mesh() -> Mesh:
    """Make a mesh of all devices of all processes, which shards a batch."""
    return jax.make_mesh((jax.device_count(),), (DATA,), axis_types=(AxisType.Auto,))


def shard_batch(arrays: Tree, mesh: Mesh) -> Tree:
    """Make the batch of all processes from this process's rows of every array."""
    cut = NamedSharding(mesh, PartitionSpec(DATA))
    return jax.tree.map(lambda rows: jax.make_array_from_process_local_data(cut, rows), arrays)


def replicate_on_processes(tree: Tree, mesh: Mesh) -> Tree:
    """Copy every array and key to every device of every process.

    All processes must have the same values. The result never shares memory with `tree`.
    """
    replicated = NamedSharding(mesh, PartitionSpec())
    return _map_leaves(
        lambda leaf: jax.make_array_from_process_local_data(replicated, np.asarray(leaf)), tree
    )


def _put(tree: Tree, sharding: NamedSharding) -> Tree:
    """Put arrays as `jax.device_put` does, without its comparison of all processes."""
    if not distributed.has_several():
        return jax.device_put(tree, sharding)

    def put(leaf: Any) -> jax.Array:
        if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
            return jax.device_put(leaf, sharding)
        host = np.asarray(leaf)
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    return _map_leaves(put, tree)


def _map_leaves(put: Callable[[Any], jax.Array], tree: Tree) -> Tree:
    """Apply `put` to every leaf; for a key, to its data, since NumPy has no keys."""

    def each(leaf: Any) -> jax.Array:
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(
                put(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf)
            )
        return put(leaf)

    return jax.tree.map(each, tree)
