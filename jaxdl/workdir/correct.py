"""correct.npz: which test images every measured run classified correctly."""

import dataclasses
import pathlib

import numpy as np

from jaxdl import workdir
from jaxdl.errors import InputError
from jaxdl.workdir.tables import ALL


@dataclasses.dataclass(frozen=True)
class CorrectTable:
    """Correctness of every measured run on every test image.

    Attributes:
      correct: bool [run, image]; a diverged run is correct on no image.
      tested: bool [run, image]: whether the image is in the test split of the run.
      image: str [image], the id of each image.
      condition: str [run].
      option: str [run].
      seed: int [run].
      group: str [image], equal for images that belong together: the group that the data set names,
        otherwise the id of the first image of a cluster of near-duplicates.
    """

    correct: np.ndarray
    tested: np.ndarray
    image: np.ndarray
    condition: np.ndarray
    option: np.ndarray
    seed: np.ndarray
    group: np.ndarray

    def by_seed(self, condition: str, option: str) -> tuple[np.ndarray, np.ndarray]:
        """Correctness of the runs of an option, in ascending order of the seeds.

        Args:
          condition: name of the condition.
          option: name of the option.

        Returns:
          Seeds, int [seed], and correctness, float [seed, image]; nan where not tested.
        """
        runs = np.flatnonzero((self.condition == condition) & (self.option == option))
        runs = runs[np.argsort(self.seed[runs], kind='stable')]
        correct = self.correct[runs].astype(float)
        return self.seed[runs], np.where(self.tested[runs], correct, np.nan)


def write_correct(path: pathlib.Path, table: CorrectTable) -> None:
    """Write correct.npz, whole or not at all."""
    arrays = {field.name: getattr(table, field.name) for field in dataclasses.fields(table)}
    arrays['condition'] = np.where(table.condition == '', ALL, table.condition)
    workdir.write_arrays(path, arrays)


def read_correct(path: pathlib.Path) -> CorrectTable:
    """Read correct.npz.

    Args:
      path: the file.

    Returns:
      Its content.

    Raises:
      InputError: the file is missing, is damaged, lacks an array, or is of another version.
    """
    try:
        arrays = workdir.read_arrays(path)
    except FileNotFoundError:
        raise InputError(
            f'{path} is missing: copy the whole workdir, or run the experiment again with '
            '--overwrite'
        ) from None
    names = [field.name for field in dataclasses.fields(CorrectTable)]
    missing = [name for name in names if name not in arrays]
    if missing:
        raise InputError(
            f'{path} has no array {missing[0]!r}: it is damaged or of another version; run the '
            'experiment again with --overwrite'
        )
    if arrays['condition'].dtype.kind == 'U':
        arrays['condition'] = np.where(arrays['condition'] == ALL, '', arrays['condition'])
    table = CorrectTable(**{name: arrays[name] for name in names})
    runs, images = len(table.seed), len(table.image)
    shapes = dict(
        correct=(runs, images),
        tested=(runs, images),
        condition=(runs,),
        option=(runs,),
        group=(images,),
    )
    for name, shape in shapes.items():
        if getattr(table, name).shape != shape:
            raise InputError(
                f'{path}: {name} has the shape {getattr(table, name).shape} instead of {shape}; '
                'run the experiment again with --overwrite'
            )
    return table
