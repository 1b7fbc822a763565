"""Checks before training, for every option of a study, as one table.

Data: names and images stay together, every class is in every split, augmentation of strength 0
changes nothing. Options, at the middle of their learning rates: first loss, gradients of inputs,
outputs that depend on the image, gradients against differences, overfitting a small batch, and the
size of the updates. Baseline: trainings that differ by rounding alone.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxdl.ablation import planning
from jaxdl.ablation.checks import images, networks, ranges
from jaxdl.ablation.checks.gradients import gradient_errors
from jaxdl.ablation.checks.networks import Subject
from jaxdl.ablation.checks.rows import ALL, FAILS, LOOK, OK, Check, Row, failed, table
from jaxdl.config import search_space
from jaxdl.config.experiment import Ablation, option_variant
from jaxdl.data import Dataset, Splits, read_listing, split
from jaxdl.data.loading import SPLITTING
from jaxdl.data.on_device import place_on_device
from jaxdl.ensemble import Member, autotune
from jaxdl.train import losses

__all__ = ['FAILS', 'LOOK', 'OK', 'Check', 'Row', 'checks', 'failed', 'table']
Note = Callable[[str], None]


def checks(experiment: Ablation, note: Note = lambda text: None) -> list[Check]:
    """Check a study before it trains.

    A condition whose networks see the same images as those of an earlier condition has checks of
    the data only.

    Args:
      experiment: a checked ablation.
      note: called with a line of progress per measurement.

    Returns:
      The checks in the order of the table.
    """
    checks, measured = [], []
    for condition, study, dataset in planning.load_conditions(experiment):
        splits = split(dataset, study.data)
        checks += [Check(condition, ALL, row) for row in _check_data(study, dataset, splits)]
        undivided = dataclasses.replace(
            study.data, **{name: getattr(type(study.data), name) for name in SPLITTING}
        )
        same = (study.variant, undivided, study.learning_rates, study.search)
        if same not in measured:
            checks += [
                Check(condition, option, row)
                for option, row in _check_options(study, dataset, splits, note)
            ]
        measured.append(same)
    return checks


def _check_data(study: Ablation, dataset: Dataset, splits: Splits) -> Iterator[Row]:
    again = read_listing(study.data)
    yield images.check_label_order(dataset, again)
    yield images.check_image_order(dataset, again, study.data)
    yield images.check_classes(dataset, splits)
    used = {
        name: None
        for option in study.options
        for name in images.strengths_of(option_variant(study, option))
    }
    if used:
        yield images.check_identity(*_select_images(dataset, splits), list(used))


def _check_options(
    study: Ablation, dataset: Dataset, splits: Splits, note: Note
) -> Iterator[tuple[str, Row]]:
    """Checks of the options, one check after another, such that options can be compared."""
    grids = {option: search_space.typical_rates(study, option) for option in study.options}
    middle = {option: rates[len(rates) // 2] for option, rates in grids.items()}
    members = [_member(study, option, rate) for option, rate in middle.items()]
    order = np.random.default_rng(0).permutation(splits.train)
    conv = autotune.find_forced_lowering(study.conv, len(members)) or 'auto'
    subject = Subject(place_on_device(dataset, [splits]), order, len(dataset.class_names), conv)
    note('the first loss, inputs and outputs')
    yield from _initial_outputs(members, subject)
    note('gradients and differences')
    for member, errors in zip(members, gradient_errors(members, subject), strict=True):
        yield member.option, ranges.check_gradients(errors)
    note(f'overfitting of {networks.OVERFIT_IMAGES} images')
    yield from _overfit(study, grids, subject)
    note('updates and weights')
    for member, norms in zip(members, networks.measure_updates(members, subject), strict=True):
        yield member.option, ranges.check_update_size(member.variant.learning_rate, norms)
    note(f'rounding: {networks.ROUNDING_RUNS} trainings of {study.baseline}')
    baseline = next(member for member in members if member.option == study.baseline)
    accuracies = networks.measure_rounding(baseline, subject, study.epochs)
    if np.isfinite(accuracies).all():
        yield study.baseline, ranges.check_rounding(accuracies, len(splits.val))
    for member in members:
        strengths = images.strengths_of(member.variant)
        if strengths:
            yield (
                member.option,
                images.check_augmentation(*_select_images(dataset, splits), strengths),
            )


def _initial_outputs(members: Sequence[Member], subject: Subject) -> Iterator[tuple[str, Row]]:
    seeds = range(networks.SEEDS)
    results = networks.measure_initial_outputs(
        [dataclasses.replace(m, seed=seed) for m in members for seed in seeds], subject
    )
    by_option = {
        m.option: results[i * len(seeds) : (i + 1) * len(seeds)] for i, m in enumerate(members)
    }
    for member in members:
        of_seeds = by_option[member.option]
        yield member.option, ranges.check_first_loss(member.variant, subject.num_classes, of_seeds)
    yield from (
        (option, ranges.check_dead_inputs(results[0])) for option, results in by_option.items()
    )
    yield from (
        (option, ranges.check_outputs_differ(each[0])) for option, each in by_option.items()
    )


def _overfit(
    study: Ablation, grids: Mapping[str, Sequence[float]], subject: Subject
) -> Iterator[tuple[str, Row]]:
    members = [_member(study, option, rate) for option, rates in grids.items() for rate in rates]
    grid_results: dict[str, dict[float, Any]] = {}
    for member, result in zip(members, networks.measure_overfitting(members, subject), strict=True):
        grid_results.setdefault(member.option, {})[member.variant.learning_rate] = result
    number = min(networks.OVERFIT_IMAGES, len(subject.order))
    for option, results in grid_results.items():
        yield option, ranges.check_overfitting(results, number)


def _member(study: Ablation, option: str, rate: float) -> Member:
    return Member(option, 0, dataclasses.replace(option_variant(study, option), learning_rate=rate))


def _select_images(dataset: Dataset, splits: Splits) -> tuple[Any, Any]:
    """Images and one-hot targets of some of the training images."""
    chosen = splits.train[: networks.IMAGES]
    targets = losses.targets(jnp.asarray(dataset.labels[chosen]), len(dataset.class_names))
    return jnp.asarray(np.asarray(dataset.images[chosen])), targets
