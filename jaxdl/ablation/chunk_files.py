"""What a chunk of members measured, in a file of its own: a run that resumes reads it.

And trains the rest.
"""

import pathlib
from collections.abc import Sequence

import numpy as np

from jaxdl import ensemble, workdir
from jaxdl.errors import InputError, warn
from jaxdl.workdir.checksums import checksum

Outcome = dict[
    str, np.ndarray
]  # of a chunk: what every member measured [epoch, row, column], its seconds

SUM = 'sha256'  # of the others, beside them


def write(file: pathlib.Path, outcome: Outcome) -> None:
    """Writes a finished chunk, and the SHA-256 of all that is in it."""
    workdir.write_arrays(file, outcome | {SUM: np.asarray(checksum(outcome))})


def read(file: pathlib.Path) -> Outcome | None:
    """A finished chunk; None where there is none, or where it is damaged: a line says so.

    And it is trained again.
    """
    if not file.exists():
        return None
    try:
        outcome = workdir.read_arrays(file, 'its chunk is trained again')
    except InputError as error:
        warn(str(error))
        return None
    written = str(outcome.pop(SUM, ''))
    if checksum(outcome) == written:
        return outcome
    warn(f'{file} is damaged (not what was written): its chunk is trained again')
    return None


def by_member(
    chunks: Sequence[np.ndarray], outcomes: Sequence[Outcome], count: int
) -> list[Outcome]:
    """Each member's own part of its chunk; what padding repeated is the same twice."""
    found: list[Outcome] = [{} for _ in range(count)]
    for chunk, outcome in zip(chunks, outcomes, strict=True):
        for (row, column), member in np.ndenumerate(chunk):
            histories = {k: outcome[k][:, row, column] for k in ensemble.HISTORY}
            tested = {
                k: v[row, column]
                for k, v in outcome.items()
                if k.startswith(('test_', 'probe.', 'own.')) or k == 'correct'
            }
            found[member] = histories | tested
    return found
