"""What a chunk of members measured, in a file of its own: a run that resumes reads it.

And trains the rest.
"""

import pathlib
from collections.abc import Sequence

import numpy as np

from jaxdl import ensemble, workdir
from jaxdl.errors import warn
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
    try:
        with file.open('rb') as stream, np.load(stream) as content:
            outcome = dict(content)
        if checksum({name: value for name, value in outcome.items() if name != SUM}) == str(
            outcome.pop(SUM)
        ):
            return outcome
        why = 'not what was written'
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged file breaks its reader in ways that cannot be listed
        why = type(error).__name__
    warn(f'{file} is damaged ({why}): its chunk is trained again')
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
