"""What a chunk of members measured, in a file of its own: a run that resumes reads it, and trains the rest."""

import pathlib
import zipfile
from collections.abc import Sequence

import numpy as np

from jaxdl import ensemble, workdir

Outcome = dict[str, np.ndarray]  # of a chunk: what every member measured [epoch, row, column], its seconds


def write(file: pathlib.Path, outcome: Outcome) -> None:
    """Writes a finished chunk."""
    workdir.write_arrays(file, outcome)


def read(file: pathlib.Path) -> Outcome | None:
    """A finished chunk; None where there is none, or where it cannot be read: it is then trained again."""
    try:
        with file.open('rb') as stream, np.load(stream) as content:
            return dict(content)
    except FileNotFoundError:
        return None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        print(f'jaxdl: {file.name} cannot be read ({type(error).__name__}): its chunk is trained again')
        return None


def by_member(chunks: Sequence[np.ndarray], outcomes: Sequence[Outcome], count: int) -> list[Outcome]:
    """Each member's own part of its chunk; what padding repeated is the same twice."""
    found: list[Outcome] = [{} for _ in range(count)]
    for chunk, outcome in zip(chunks, outcomes, strict=True):
        for (row, column), member in np.ndenumerate(chunk):
            histories = {k: outcome[k][:, row, column] for k in ensemble.HISTORY}
            tested = {
                k: v[row, column] for k, v in outcome.items() if k.startswith(('test_', 'probe.')) or k == 'correct'
            }
            found[member] = histories | tested
    return found
