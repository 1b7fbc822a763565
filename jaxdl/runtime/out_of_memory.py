"""A lack of memory, said in a line."""

import contextlib
from collections.abc import Iterator

import jax

from jaxdl.errors import InputError

TRAINING = 'a smaller batch_size or train_size, accumulation=2, remat=true, or precision=bfloat16'
ASKING = 'a smaller batch_size, or smaller images'


@contextlib.contextmanager
def guarded(what: str, advice: str) -> Iterator[None]:
    """Turns a lack of memory, wherever in here it shows, into an InputError of one line.

    `what` names the sizes.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if 'RESOURCE_EXHAUSTED' not in str(error) and 'out of memory' not in str(error).lower():
            raise
        raise InputError(f'out of memory with {what}: {advice}') from None
