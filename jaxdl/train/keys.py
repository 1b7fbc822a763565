"""Random streams, derived and never threaded.

Root -> seed -> name of the stream -> step or parameter.
"""

import zlib

import jax


def seed_key(seed: int) -> jax.Array:
    """The root key of a seed; threefry by name.

    Since under vmap `rbg` uses only the first of the keys (jax#19085).
    """
    return jax.random.key(seed, impl='threefry2x32')


def fold(key: jax.Array, name: str) -> jax.Array:
    """The key of a named stream (`init`, `order`, `augment`, `dropout`) or of a named parameter."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))
