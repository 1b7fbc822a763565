"""What the report needs beside the tables, as files in a workdir's artifacts/.

A folder for each condition.
"""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from jaxdl import workdir
from jaxdl.ablation.chunk_files import Outcome
from jaxdl.config.experiment import Ablation, option_variant
from jaxdl.data import Dataset, Splits, audit
from jaxdl.ensemble import Member
from jaxdl.train.figure_data import PICTURES
from jaxdl.workdir import tables
from jaxdl.workdir.tables import Row


def write(
    folder: pathlib.Path, study: Ablation, dataset: Dataset, splits: Splits, findings: Mapping
) -> None:
    """The pictures that a study asks for, and the pairs that the check of the data found.

    In `folder`.
    """
    variants = {option: option_variant(study, option) for option in study.options}
    for name in study.pictures:
        _write(folder / f'{name}.npz', PICTURES[name](dataset, splits, variants))
    _write(folder / 'near_duplicates.npz', audit.pictures(dataset, findings))


def write_probes(folder: pathlib.Path, tested: Sequence[tuple[Member, Outcome]]) -> None:
    """What every measured member answered to the probes that all could answer alike: `option`.

    `seed` [member].
    """
    shapes = [
        {k: v.shape for k, v in outcome.items() if k.startswith('probe.')} for _, outcome in tested
    ]
    shared = [k for k, shape in shapes[0].items() if all(own.get(k) == shape for own in shapes)]
    found = {
        k.removeprefix('probe.'): np.stack([outcome[k] for _, outcome in tested]) for k in shared
    }
    if found:
        head = dict(
            option=np.asarray([m.option for m, _ in tested]),
            seed=np.asarray([m.seed for m, _ in tested]),
        )
        _write(folder / 'probes.npz', head | found)


def variance_rows(condition: str, tested: Sequence[tuple[Member, Outcome]]) -> list[Row]:
    """The levels and the accuracy of every member that shows where the variance comes from."""
    return [
        dict(
            condition=condition,
            init=member.variant.init_offset,
            order=member.variant.order_offset,
            augmentation=member.variant.noise_offset,
            split=member.split,
            accuracy=float(outcome['test_accuracy']),
        )
        for member, outcome in tested
    ]


def write_variance(folder: pathlib.Path, rows: Sequence[Row]) -> None:
    """artifacts/variance.csv, where there was such a study."""
    if rows:
        tables.write_table(folder / 'artifacts' / 'variance.csv', tables.VARIANCE, rows)


def _write(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
    if arrays:
        workdir.write_arrays(path, arrays)
