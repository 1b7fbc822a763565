"""Before you train: the checks that every course teaches, for every option of a study.

As one table.

Of the data: names and images stay together, every class is in every part, augmentation of strength
0 does nothing. Of every option, at the middle of its learning rates: the first loss, inputs and
outputs that are alive, gradients against differences, a few images learnt by heart, and how far a
step moves the weights.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxdl.ablation import planning
from jaxdl.ablation.checks import images, judging, networks
from jaxdl.ablation.checks.gradients import gradient_errors
from jaxdl.ablation.checks.networks import Subject
from jaxdl.ablation.checks.rows import ALL, FAILS, LOOK, OK, Check, Row, failed, table
from jaxdl.config.experiment import Ablation, option_variant
from jaxdl.config.overrides import override
from jaxdl.data import Dataset, Splits, load, read_listing, split
from jaxdl.data.loading import SPLITTING
from jaxdl.data.on_device import resident
from jaxdl.ensemble import Member, autotune
from jaxdl.train import losses

__all__ = ['FAILS', 'LOOK', 'OK', 'Check', 'Row', 'checks', 'failed', 'table']
Note = Callable[[str], None]


def checks(experiment: Ablation, note: Note = lambda text: None) -> list[Check]:
    """Every check of a study, in the order of the table; `note` is told what is being measured.

    A condition whose networks see the same images as those of one before it has its own check of
    the data only.
    """
    found, seen = [], []
    for condition, overrides in experiment.conditions.items():
        study = override(experiment, overrides)
        dataset, splits = load(study.data), split(load(study.data), study.data)
        found += [Check(condition, ALL, row) for row in _of_data(study, dataset, splits)]
        whole = dataclasses.replace(
            study.data, **{name: getattr(type(study.data), name) for name in SPLITTING}
        )
        same = (study.variant, whole, study.learning_rates)
        if same not in seen:
            found += [
                Check(condition, option, row)
                for option, row in _of_options(study, dataset, splits, note)
            ]
        seen.append(same)
    return found


def _of_data(study: Ablation, dataset: Dataset, splits: Splits) -> Iterator[Row]:
    again = read_listing(study.data)
    yield images.label_order(dataset, again)
    yield images.image_order(dataset, again, study.data.image_size)
    yield images.all_classes(dataset, splits)
    used = {
        name: None
        for option in study.options
        for name in images.strengths_of(option_variant(study, option))
    }
    if used:
        yield images.identity(*_some(dataset, splits), list(used))


def _of_options(
    study: Ablation, dataset: Dataset, splits: Splits, note: Note
) -> Iterator[tuple[str, Row]]:
    """Check by check, so that what is to be compared stands together."""
    grids = planning.grids(study)
    middle = {option: rates[len(rates) // 2] for option, rates in grids.items()}
    members = [_member(study, option, rate) for option, rate in middle.items()]
    order = np.random.default_rng(0).permutation(splits.train)
    conv = autotune.forced(study.conv, len(members)) or 'auto'
    subject = Subject(resident(dataset, [splits]), order, len(dataset.class_names), conv)
    note('the first loss, inputs and outputs')
    yield from _beginnings(members, subject)
    note('gradients and differences')
    for member, errors in zip(members, gradient_errors(members, subject), strict=True):
        yield member.option, judging.gradients(errors)
    note(f'{networks.HEART} images by heart')
    yield from _by_heart(study, grids, subject)
    note('updates and weights')
    for member, found in zip(members, networks.strides(members, subject), strict=True):
        yield member.option, judging.stride(member.variant.learning_rate, found)
    for member in members:
        strengths = images.strengths_of(member.variant)
        if strengths:
            yield member.option, images.augmented(*_some(dataset, splits), strengths)


def _beginnings(members: Sequence[Member], subject: Subject) -> Iterator[tuple[str, Row]]:
    seeds = range(networks.SEEDS)
    found = networks.beginnings(
        [dataclasses.replace(m, seed=seed) for m in members for seed in seeds], subject
    )
    own = {m.option: found[i * len(seeds) : (i + 1) * len(seeds)] for i, m in enumerate(members)}
    for member in members:
        yield (
            member.option,
            judging.first_loss(member.variant, subject.num_classes, own[member.option]),
        )
    yield from ((option, judging.dead_inputs(of_seeds[0])) for option, of_seeds in own.items())
    yield from ((option, judging.outputs_differ(of_seeds[0])) for option, of_seeds in own.items())


def _by_heart(
    study: Ablation, grids: Mapping[str, Sequence[float]], subject: Subject
) -> Iterator[tuple[str, Row]]:
    members = [_member(study, option, rate) for option, rates in grids.items() for rate in rates]
    found: dict[str, dict[float, Any]] = {}
    for member, answer in zip(members, networks.by_heart(members, subject), strict=True):
        found.setdefault(member.option, {})[member.variant.learning_rate] = answer
    number = min(networks.HEART, len(subject.order))
    yield from ((option, judging.by_heart(answers, number)) for option, answers in found.items())


def _member(study: Ablation, option: str, rate: float) -> Member:
    return Member(option, 0, dataclasses.replace(option_variant(study, option), learning_rate=rate))


def _some(dataset: Dataset, splits: Splits) -> tuple[Any, Any]:
    """Images and one-hot targets of some of the training images."""
    chosen = splits.train[: networks.IMAGES]
    targets = losses.targets(jnp.asarray(dataset.labels[chosen]), len(dataset.class_names))
    return jnp.asarray(np.asarray(dataset.images[chosen])), targets
