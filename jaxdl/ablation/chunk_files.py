"""Read and write the result of a finished chunk, one file each; a resumed run reads it."""

import pathlib

import numpy as np

from jaxdl import workdir
from jaxdl.errors import InputError, warn
from jaxdl.workdir.checksums import checksum

SUM = 'sha256'  # name of the SHA-256 of all other arrays in a file


def write(file: pathlib.Path, result: dict[str, np.ndarray]) -> None:
    """Write the result of a chunk, [row, column, ...] each, its costs and a SHA-256 of all."""
    workdir.write_arrays(file, result | {SUM: np.asarray(checksum(result))})


def read(file: pathlib.Path) -> dict[str, np.ndarray] | None:
    """Read the result of a finished chunk.

    Returns:
      The result; None if there is no file. A damaged file gives a warning and None: the chunk is
      trained again.
    """
    if not file.exists():
        return None
    try:
        result = workdir.read_arrays(file, 'its chunk is trained again')
    except InputError as error:
        warn(str(error))
        return None
    written = str(result.pop(SUM, ''))
    if checksum(result) == written:
        return result
    warn(f'{file} is damaged (not what was written): its chunk is trained again')
    return None
