"""Functions that take all members at once, however `vmap` brings them: nested.

Over some of the arguments only.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

Operation = Callable[..., list[jax.Array]]


def over_members(operation: Operation, *arguments: jax.Array) -> list[jax.Array]:
    """`operation` on arrays of one member, to be batched by vmap as often as one likes.

    The operation itself sees a leading axis of members on every array, and gives arrays [members,
    ...]. An array with fewer entries than there are members serves so many of them in a row, so
    what members share is not copied. It may be differentiated only inside a rule of its own
    (`jax.custom_vjp`).
    """

    @custom_vmap
    def members(*arguments: jax.Array) -> list[jax.Array]:
        return operation(*arguments)

    @members.def_vmap
    def _(
        size: int, batched: list[bool], *arguments: jax.Array
    ) -> tuple[list[jax.Array], list[bool]]:
        def fold(argument: jax.Array, own: bool) -> jax.Array:
            if not own and len(argument) == 1:
                return argument
            whole = argument if own else jnp.broadcast_to(argument, (size, *argument.shape))
            return whole.reshape(size * whole.shape[1], *whole.shape[2:])

        results = members(*map(fold, arguments, batched))
        return [
            result.reshape(size, len(result) // size, *result.shape[1:]) for result in results
        ], [True] * len(results)

    return [result[0] for result in members(*(argument[None] for argument in arguments))]


def count(*arguments: jax.Array) -> int:
    """How many members the arguments of an operation are for."""
    return max(len(argument) for argument in arguments)


def spread(argument: jax.Array, members: int) -> jax.Array:
    """An entry for every member."""
    return jnp.repeat(argument, members // len(argument), axis=0)
