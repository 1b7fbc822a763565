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
from jaxdl.statistics.protocol import ImageValues
from jaxdl.train.figure_data import PICTURES
from jaxdl.workdir import tables
from jaxdl.workdir.correct import CorrectTable
from jaxdl.workdir.tables import Row

MOST_IMAGES = 24  # in differing.npz
LEAST_SIDE, MOST_SIDE = 4, 128  # pixels per side of an image there; larger images are averaged down


def write(folder: pathlib.Path, condition: Condition, findings: Mapping) -> None:
    """Write the figure data that a study names, and the near-duplicates of its data.

    Args:
      folder: of the condition.
      condition: with study, data and splits.
      findings: result of the check of the data, from plan.json.
    """
    study, dataset = condition.study, condition.dataset
    splits = condition.splits[min(condition.splits)]
    options = study.options if study.pictures else ()
    variants = {option: option_variant(study, option) for option in options}
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


def write_differing(
    folder: pathlib.Path, condition: Condition, correct: CorrectTable, by_image: ImageValues
) -> None:
    """Write differing.npz: the test images on which the options differ most from the baseline.

    At most MOST_IMAGES, the largest difference in the number of correct seeds first. `images` is
    uint8 [image, height, width, channel], `id` and `label` are str [image]. `correct` and `tested`
    are int [option, image]: seeds that classify the image correctly, and seeds that test it.
    `option` is str [option], the baseline first, and `differing` the number of all images that
    differ. There is no file without such images, or for data that are no pictures.

    Args:
      folder: of the condition.
      condition: with study and data.
      correct: content of correct.npz.
      by_image: correctness of the runs of the condition.
    """
    dataset, baseline = condition.dataset, condition.study.baseline
    options = sorted(by_image.by_option, key=lambda option: option != baseline)
    height, width, channels = dataset.images.shape[1:]
    if len(options) < 2 or min(height, width) < LEAST_SIDE or channels not in (1, 3):
        return
    values = np.stack([by_image.by_option[option] for option in options])  # [option, seed, image]
    differences = np.nan_to_num(values[1:] - values[0])
    net, seeds = np.abs(differences.sum(1)).max(0), (differences != 0).sum(1).max(0)
    differing = np.flatnonzero(seeds)
    order = np.lexsort((differing, -seeds[differing], -net[differing].round(9)))
    images = differing[order[:MOST_IMAGES]]
    if not images.size:
        return
    tested = correct.tested[correct.condition == condition.name].any(0)
    ids = correct.image[tested][images]
    place = {name: i for i, name in enumerate(dataset.ids)}
    rows = np.array([place[name] for name in ids])
    arrays = dict(
        images=_pictures(dataset.images[rows]),
        id=ids,
        label=np.asarray([dataset.class_names[dataset.labels[row]] for row in rows]),
        option=np.asarray(options),
        correct=(values[..., images] == 1).sum(1),
        tested=np.isfinite(values[..., images]).sum(1),
        differing=np.asarray(len(differing)),
    )
    _write(folder / 'differing.npz', arrays)


def variance_rows(condition: Condition, varied: Sequence[tuple[Member, Result]]) -> list[Row]:
    """Rows of variance.csv: levels of the sources of variance and metric of every member.

    A diverged member counts as chance, as in results.csv.
    """
    return [
        {
            'condition': condition.name,
            'init': member.variant.init_offset,
            'order': member.variant.order_offset,
            'augmentation': member.variant.noise_offset,
            'split': member.split,
            condition.study.metric: result_rows.test_value(condition, member, result),
        }
        for member, result in varied
    ]


def write_variance(folder: pathlib.Path, rows: Sequence[Row], metric: str) -> None:
    """Write artifacts/variance.csv if there are rows; `metric` is the one that decides."""
    if rows:
        columns = tables.variance_columns(metric)
        tables.write_table(folder / 'artifacts' / 'variance.csv', columns, rows)


def _pictures(images: np.ndarray) -> np.ndarray:
    """uint8 [image, height, width, channel]; block means of images above MOST_SIDE pixels."""
    values = images.astype(np.float64)
    if images.dtype != np.uint8:
        low, high = values.min(), values.max()
        values = 255 * (values - low) / max(high - low, 1e-12)
    step = -(-max(images.shape[1:3]) // MOST_SIDE)
    height, width = (max(1, side // step) for side in images.shape[1:3])
    cut = values[:, : height * step, : width * step]
    blocks = cut.reshape(len(images), height, cut.shape[1] // height, width, -1, images.shape[-1])
    return blocks.mean((2, 4)).round().astype(np.uint8)


def _write(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
    if arrays:
        workdir.write_arrays(path, arrays)
