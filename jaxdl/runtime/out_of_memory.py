"""Turn XLA's out-of-memory errors into an InputError."""

import contextlib
from collections.abc import Iterator

import jax

from jaxdl.errors import InputError

TRAINING = 'a smaller batch_size or train_size, accumulation=2, remat=true, or precision=bfloat16'
ASKING = 'a smaller batch_size, or smaller images'


@contextlib.contextmanager
def convert_memory_errors(sizes: str, advice: str) -> Iterator[None]:
    """Turn an out-of-memory error in the block into an InputError.

    Args:
      sizes: the sizes that need the memory, such as `batch_size=32`.
      advice: settings that need less.

    Raises:
      InputError: `out of memory with SIZES: ADVICE`.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if 'RESOURCE_EXHAUSTED' not in str(error) and 'out of memory' not in str(error).lower():
            raise
        raise InputError(f'out of memory with {sizes}: {advice}') from None
