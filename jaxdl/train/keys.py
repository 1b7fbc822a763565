"""Derived random streams: root -> seed -> stream name -> step or parameter name."""

import zlib

import jax


def seed_key(seed: int) -> jax.Array:
    """Root threefry key of a seed: `rbg` under vmap uses only the first key (jax#19085).

    Args:
      seed: non-negative integer.

    Returns:
      A key.
    """
    return jax.random.key(seed, impl='threefry2x32')


def fold(key: jax.Array, name: str) -> jax.Array:
    """Key of a named stream (`init`, `order`, `augment`, `dropout`) or of a named parameter.

    Args:
      key: parent key.
      name: name of the stream.

    Returns:
      A key.
    """
    return jax.random.fold_in(key, zlib.crc32(name.encode()))
