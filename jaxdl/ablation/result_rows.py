"""From what members measured to the tables of a workdir."""

import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import workdir
from jaxdl.ablation.chunk_files import Outcome
from jaxdl.ablation.planning import Group
from jaxdl.config.experiment import Ablation, option_variant
from jaxdl.data import Dataset
from jaxdl.ensemble import Member
from jaxdl.train import train_step
from jaxdl.workdir.tables import Row

SPLITS, METRICS = ('train', 'val', 'test'), ('loss', 'accuracy')


def result_rows(group: Group, outcomes: Sequence[Outcome], num_classes: int) -> list[Row]:
    """The tidy rows of a group.

    A member counts as chance from the epoch on at which its loss is not finite.
    """
    rows = []
    for member, outcome in zip(group.members, outcomes, strict=True):
        head = dict(condition=group.condition, phase=group.phase, option=member.option)
        head |= dict(learning_rate=member.variant.learning_rate, seed=member.seed)
        alive = _alive(outcome)
        for split in SPLITS:
            if f'{split}_loss' not in outcome:
                continue
            loss, accuracy = (np.atleast_1d(outcome[f'{split}_{metric}']) for metric in METRICS)
            for i in range(len(loss)):
                epoch = len(alive) if split == 'test' else i + 1
                tail = dict(head, epoch=epoch, split=split)
                ok = alive[epoch - 1] and np.isfinite(loss[i])
                told = ok or np.isinf(loss[i])  # a finite loss after one that was not says nothing
                rows.append(
                    tail | dict(metric='loss', value=float(loss[i]) if told else float('nan'))
                )
                rows.append(
                    tail
                    | dict(metric='accuracy', value=float(accuracy[i]) if ok else 1 / num_classes)
                )
        for name, value in outcome.items():
            if name.startswith('own.'):  # of the last epoch; what chance would be is not known
                _, split, metric = name.split('.', 2)
                known = float(value) if alive[-1] else float('nan')
                rows.append(dict(head, epoch=len(alive), split=split, metric=metric, value=known))
    return rows


def in_order(rows: Sequence[Row], ablation: Ablation) -> list[Row]:
    """The rows of one condition as results.csv has them: phase, option, rate, seed, epoch, split.

    Metric.
    """
    options, metrics = (
        list(ablation.options),
        (*METRICS, *sorted({row['metric'] for row in rows} - {*METRICS})),
    )

    def place(row: Row) -> tuple[Any, ...]:
        return (
            row['phase'] == 'measure',
            options.index(row['option']),
            row['learning_rate'],
            row['seed'],
            row['epoch'],
            SPLITS.index(row['split']),
            metrics.index(row['metric']),
        )

    return sorted(rows, key=place)


def forward_flops(ablation: Ablation, dataset: Dataset) -> dict[str, float]:
    """FLOPs of one image's forward pass, as XLA counts them, for each option."""
    found = {}
    for option in ablation.options:
        module, variables = _network(ablation, option, dataset)
        image = jnp.zeros((1, *dataset.images.shape[1:]))
        cost: Any = jax.jit(module.apply).lower(variables, image).cost_analysis()
        found[option] = float(cost['flops'])
    return found


def cost_rows(
    ablation: Ablation, condition: str, dataset: Dataset, entries: Sequence[dict[str, Any]]
) -> list[Row]:
    """What each option costs: parameters, FLOPs of one image's forward pass.

    Seconds of training of one member.
    """
    rows = []
    for option, flops in forward_flops(ablation, dataset).items():
        _, variables = _network(ablation, option, dataset)
        parameters = sum(leaf.size for leaf in jax.tree.leaves(variables['params']))
        entry = next(e for e in entries if e['phase'] == 'measure' and option in e['options'])
        seconds = round(entry['train_seconds'] / entry['members'], 4)
        head = dict(condition=condition, option=option, parameters=parameters)
        rows.append(head | dict(flops=flops, seconds_per_member=seconds))
    return rows


def _network(ablation: Ablation, option: str, dataset: Dataset) -> tuple[nn.Module, dict[str, Any]]:
    variant = option_variant(ablation, option)
    module = train_step.module_of(
        variant, len(dataset.class_names), 'grouped'
    )  # XLA knows no FLOPs of a custom call
    state = train_step.init_state(variant, 0, module, dataset.images.shape[1:])
    return module, dict(params=state.params, batch_stats=state.batch_stats)


def write_correct(
    path: pathlib.Path, tested: Sequence[tuple[str, Member, Outcome, Sequence[str]]]
) -> None:
    """Writes which test images every measured member got right: (condition, member, outcome.

    Image ids) each.

    `correct` and `tested` are bool [member, image]: conditions with other test images share the
    columns that they can. A diverged member is right about none.
    """
    images = list(dict.fromkeys(image for *_, ids in tested for image in ids))
    column = {image: i for i, image in enumerate(images)}
    correct, seen = np.zeros((2, len(tested), len(images)), bool)
    for row, (_, _, outcome, ids) in enumerate(tested):
        places = [column[image] for image in ids]
        seen[row, places] = True
        correct[row, places] = outcome['correct'][: len(ids)] & _alive(outcome)[-1]
    conditions, members = [t[0] for t in tested], [t[1] for t in tested]
    arrays = dict(
        correct=correct,
        tested=seen,
        image=np.asarray(images),
        condition=np.asarray(conditions),
        option=np.asarray([m.option for m in members]),
        seed=np.asarray([m.seed for m in members]),
    )
    workdir.write_arrays(path, arrays)


def _alive(outcome: Outcome) -> np.ndarray:
    """bool [epoch]: whether every loss was finite up to there."""
    return np.logical_and.accumulate(
        np.isfinite(outcome['train_loss']) & np.isfinite(outcome['val_loss'])
    )
