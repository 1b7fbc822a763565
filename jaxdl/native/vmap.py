"""Turn nested vmaps of a native operation into one call with a leading axis of members."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

Operation = Callable[..., list[jax.Array]]


def over_members(operation: Operation, *arguments: jax.Array) -> list[jax.Array]:
    """Call an operation of all members on the arrays of one member, under any number of vmaps.

    An array that k members share is not copied: it has one entry for each k consecutive members.
    The call can be differentiated inside a `jax.custom_vjp` only.

    Args:
      operation: arrays [members or fewer, ...] -> arrays [members, ...].
      arguments: arrays of one member, [...].

    Returns:
      Arrays of one member.
    """

    @custom_vmap
    def members(*arguments: jax.Array) -> list[jax.Array]:
        return operation(*arguments)

    @members.def_vmap
    def _(
        size: int, batched: list[bool], *arguments: jax.Array
    ) -> tuple[list[jax.Array], list[bool]]:
        def fold(argument: jax.Array, is_batched: bool) -> jax.Array:
            if not is_batched and len(argument) == 1:
                return argument
            repeated = (
                argument if is_batched else jnp.broadcast_to(argument, (size, *argument.shape))
            )
            return repeated.reshape(size * repeated.shape[1], *repeated.shape[2:])

        results = members(*map(fold, arguments, batched))
        return [
            result.reshape(size, len(result) // size, *result.shape[1:]) for result in results
        ], [True] * len(results)

    return [result[0] for result in members(*(argument[None] for argument in arguments))]


def count(*arguments: jax.Array) -> int:
    """Number of members of the arguments of an operation."""
    return max(len(argument) for argument in arguments)


def repeat_per_member(argument: jax.Array, members: int) -> jax.Array:
    """Repeat an array's entries to one per member."""
    return jnp.repeat(argument, members // len(argument), axis=0)
