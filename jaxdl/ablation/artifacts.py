"""Write what the report needs in addition to the tables: artifacts/, one folder per condition."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from jaxdl import workdir
from jaxdl.ablation import result_rows
from jaxdl.ablation.planning import Condition
from jaxdl.config.experiment import option_variant
from jaxdl.data import audit
from jaxdl.ensemble import Member, Result
from jaxdl.train.figure_data import PICTURES
from jaxdl.workdir import tables
from jaxdl.workdir.tables import Row


def write(folder: pathlib.Path, condition: Condition, findings: Mapping) -> None:
    """Write the figure data that a study asks for, and the near-duplicates of its data.

    Args:
      folder: of the condition.
      condition: with study, data and splits.
      findings: result of the check of the data, from plan.json.
    """
    study, dataset = condition.study, condition.dataset
    splits = condition.splits[min(condition.splits)]
    variants = {option: option_variant(study, option) for option in study.options}
    for name in study.pictures:
        _write(folder / f'{name}.npz', PICTURES[name](dataset, splits, variants))
    _write(folder / 'near_duplicates.npz', audit.pictures(dataset, findings))


def write_probes(folder: pathlib.Path, tested: Sequence[tuple[Member, Result]]) -> None:
    """Write probes.npz: results of the probes that have one shape in all measured members.

    `option` and `seed` are [member]; the other arrays are [member, ...].
    """
    shapes = [
        {name: values.shape for name, values in result.items() if name.startswith('probe.')}
        for _, result in tested
    ]
    shared = [
        name
        for name, shape in shapes[0].items()
        if all(member_shapes.get(name) == shape for member_shapes in shapes)
    ]
    arrays = {
        name.removeprefix('probe.'): np.stack([result[name] for _, result in tested])
        for name in shared
    }
    if arrays:
        options = np.asarray([member.option for member, _ in tested])
        seeds = np.asarray([member.seed for member, _ in tested])
        _write(folder / 'probes.npz', dict(option=options, seed=seeds) | arrays)


def variance_rows(condition: Condition, varied: Sequence[tuple[Member, Result]]) -> list[Row]:
    """Rows of variance.csv: levels of the sources of variance and accuracy of every member.

    A diverged member has the accuracy of chance, as in results.csv.
    """
    num_classes = len(condition.dataset.class_names)
    return [
        dict(
            condition=condition.name,
            init=member.variant.init_offset,
            order=member.variant.order_offset,
            augmentation=member.variant.noise_offset,
            split=member.split,
            accuracy=result_rows.test_accuracy(result, num_classes),
        )
        for member, result in varied
    ]


def write_variance(folder: pathlib.Path, rows: Sequence[Row]) -> None:
    """Write artifacts/variance.csv if there are rows."""
    if rows:
        tables.write_table(folder / 'artifacts' / 'variance.csv', tables.VARIANCE, rows)


def _write(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
    if arrays:
        workdir.write_arrays(path, arrays)
