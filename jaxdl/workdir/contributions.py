"""contributions.npz: contribution of every test image to the metric that decides, per run."""

import dataclasses
import pathlib

import numpy as np

from jaxdl import workdir
from jaxdl.errors import InputError

FILE = 'contributions.npz'  # in the artifacts of a condition


@dataclasses.dataclass(frozen=True)
class ContributionTable:
    """Contributions of the test images of one condition, whose mean is the value of the split.

    Attributes:
      value: float [run, image]; nan in all images of a run without contributions.
      option: str [run].
      seed: int [run].
      group: str [image], equal for images that belong together.
      block: int [image], merged groups: the units of the comparison over images.
    """

    value: np.ndarray
    option: np.ndarray
    seed: np.ndarray
    group: np.ndarray
    block: np.ndarray


def write_contributions(path: pathlib.Path, table: ContributionTable) -> None:
    """Write contributions.npz, whole or not at all."""
    arrays = {field.name: getattr(table, field.name) for field in dataclasses.fields(table)}
    workdir.write_arrays(path, arrays)


def read_contributions(path: pathlib.Path) -> ContributionTable:
    """Read contributions.npz.

    Args:
      path: the file.

    Returns:
      Its content.

    Raises:
      InputError: the file is missing, is damaged, or is of another version.
    """
    advice = 'run the experiment again with --overwrite'
    try:
        arrays = workdir.read_arrays(path, advice)
    except FileNotFoundError:
        raise InputError(f'{path} is missing: copy the whole workdir, or {advice}') from None
    names = [field.name for field in dataclasses.fields(ContributionTable)]
    if any(name not in arrays for name in names):
        raise InputError(f'{path} is damaged or of another version: {advice}')
    table = ContributionTable(**{name: arrays[name] for name in names})
    runs, images = len(np.atleast_1d(table.seed)), len(np.atleast_1d(table.group))
    shapes = dict(
        value=(runs, images), option=(runs,), seed=(runs,), group=(images,), block=(images,)
    )
    for name, shape in shapes.items():
        if getattr(table, name).shape != shape:
            raise InputError(
                f'{path}: {name} has the shape {getattr(table, name).shape} instead of {shape}: '
                f'{advice}'
            )
    return table
