"""Where arrays live: members cut over the local devices, data on each of them."""

from typing import TypeVar

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

MEMBER = 'member'
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
