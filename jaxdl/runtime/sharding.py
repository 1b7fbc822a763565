"""Where arrays live: members, or a batch, cut over the devices of all processes of a run.

All else on each.
"""

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
    """A mesh that cuts `rows` over the devices: a run planned for eight resumes on four.

    Two or one.

    Of one process they are the most that divide the rows. Of several all take part: where their
    number does not divide the rows, some do the same as others.
    """
    devices = jax.devices()
    several, total = distributed.several(), len(devices)
    count = max(n for n in range(1, total + 1) if rows % n == 0 and not (several and total % n))
    shape = (count, total // count if several else 1)
    auto = (AxisType.Auto, AxisType.Auto)
    return jax.make_mesh(
        shape, (MEMBER, COPY), axis_types=auto, devices=devices[: shape[0] * shape[1]]
    )


def place(tree: Tree, mesh: Mesh) -> Tree:
    """Cuts the leading axis of every array over the mesh; each process holds the whole of it.

    Or already its part.
    """
    return _put(tree, NamedSharding(mesh, PartitionSpec(MEMBER)))


def replicate(tree: Tree, mesh: Mesh) -> Tree:
    """Copies every array to every device of the mesh."""
    return _put(tree, NamedSharding(mesh, PartitionSpec()))


def gathered(tree: Tree) -> Tree:
    """What is cut over several processes, whole in the memory of each; of one process as it is."""
    if not distributed.several():
        return tree
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(tree, tiled=True)


def data_mesh() -> Mesh:
    """A mesh over all devices of all processes, along which a batch is cut."""
    return jax.make_mesh((jax.device_count(),), (DATA,), axis_types=(AxisType.Auto,))


def batch(arrays: Tree, mesh: Mesh) -> Tree:
    """This process's rows of every array, as a part of the batch of all processes."""
    cut = NamedSharding(mesh, PartitionSpec(DATA))
    return jax.tree.map(lambda rows: jax.make_array_from_process_local_data(cut, rows), arrays)


def everywhere(tree: Tree, mesh: Mesh) -> Tree:
    """Every array, keys too, on every device of every process, each of which holds the same values.

    Always copies.
    """
    whole = NamedSharding(mesh, PartitionSpec())
    return _mapped(
        lambda leaf: jax.make_array_from_process_local_data(whole, np.asarray(leaf)), tree
    )


def _put(tree: Tree, sharding: NamedSharding) -> Tree:
    """As `jax.device_put`, which would first compare what the processes hold."""
    if not distributed.several():
        return jax.device_put(tree, sharding)

    def put(leaf: Any) -> jax.Array:
        if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
            return jax.device_put(leaf, sharding)
        host = np.asarray(leaf)
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    return _mapped(put, tree)


def _mapped(put: Callable[[Any], jax.Array], tree: Tree) -> Tree:
    """`put` of every leaf; of the numbers behind a key, which is no array of NumPy's."""

    def each(leaf: Any) -> jax.Array:
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(
                put(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf)
            )
        return put(leaf)

    return jax.tree.map(each, tree)
