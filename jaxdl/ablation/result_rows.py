"""Turn the results of members into the content of results.csv, costs.csv and correct.npz."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl.ablation.planning import Condition
from jaxdl.config.experiment import Ablation, option_variant
from jaxdl.data.splits import image_groups
from jaxdl.ensemble import Member, Result
from jaxdl.train import train_step
from jaxdl.workdir.correct import CorrectTable
from jaxdl.workdir.records import GroupRecord
from jaxdl.workdir.tables import Row, point_of

SPLITS, METRICS = ('train', 'val', 'test'), ('loss', 'accuracy')


def result_rows(
    condition: str,
    phase: str,
    members: Sequence[tuple[Member, Result]],
    num_classes: int,
    columns: Sequence[str] = (),
) -> list[Row]:
    """Rows of results.csv of one group.

    A member counts as chance from the first epoch with a loss that is not finite.

    Args:
      condition: name of the condition.
      phase: `tune` or `measure`.
      members: each member and its result.
      num_classes: the accuracy of chance is 1 / num_classes.
      columns: further hyperparameters, which follow `value`; None where a network lacks the field.
    """
    rows = []
    for member, result in members:
        first, further = len(rows), {name: getattr(member.variant, name, None) for name in columns}
        head = dict(condition=condition, phase=phase, option=member.option)
        head |= dict(learning_rate=member.variant.learning_rate, seed=member.seed)
        alive = _is_finite(result)
        for split in SPLITS:
            if f'{split}_loss' not in result:
                continue
            loss, accuracy = (np.atleast_1d(result[f'{split}_{metric}']) for metric in METRICS)
            for i in range(len(loss)):
                epoch = len(alive) if split == 'test' else i + 1
                tail = dict(head, epoch=epoch, split=split)
                finite = alive[epoch - 1] and np.isfinite(loss[i])
                # A finite loss after one that was not finite means nothing.
                written = float(loss[i]) if finite or np.isinf(loss[i]) else float('nan')
                rows.append(tail | dict(metric='loss', value=written))
                value = float(accuracy[i]) if finite else 1 / num_classes
                rows.append(tail | dict(metric='accuracy', value=value))
        for name, value in result.items():
            if name.startswith('own.'):  # of the last epoch; chance is not known for these metrics
                _, split, metric = name.split('.', 2)
                written = float(value) if alive[-1] else float('nan')
                rows.append(dict(head, epoch=len(alive), split=split, metric=metric, value=written))
        rows[first:] = [row | further for row in rows[first:]]
    return rows


def test_accuracy(result: Result, num_classes: int) -> float:
    """Accuracy on the test split; chance for a member that diverged.

    Args:
      result: of a member after its test.
      num_classes: the accuracy of chance is 1 / num_classes.
    """
    finite = _is_finite(result)[-1] and np.isfinite(result['test_loss'])
    return float(result['test_accuracy']) if finite else 1 / num_classes


def sort_rows(rows: Sequence[Row], ablation: Ablation) -> list[Row]:
    """Rows of one condition in the order of results.csv.

    The order is by phase, option, hyperparameters, seed, epoch, split and metric.
    """
    options = list(ablation.options)
    metrics = (*METRICS, *sorted({row['metric'] for row in rows} - {*METRICS}))

    def place(row: Row) -> tuple[Any, ...]:
        return (
            row['phase'] == 'measure',
            options.index(row['option']),
            point_of(row),
            row['seed'],
            row['epoch'],
            SPLITS.index(row['split']),
            metrics.index(row['metric']),
        )

    return sorted(rows, key=place)


def forward_flops(condition: Condition) -> dict[str, float]:
    """Option -> FLOPs of the forward pass of one image, as XLA counts them."""
    flops = {}
    for option in condition.study.options:
        module, variables = _network(condition, option)
        image = jnp.zeros((1, *condition.dataset.images.shape[1:]))
        cost: Any = jax.jit(module.apply).lower(variables, image).cost_analysis()
        flops[option] = float(cost['flops'])
    return flops


def cost_rows(condition: Condition, groups: Sequence[GroupRecord]) -> list[Row]:
    """Rows of costs.csv: parameters, FLOPs of the forward pass, seconds of training per member.

    Args:
      condition: with the study and its data.
      groups: entries of run.json of this condition.
    """
    rows = []
    for option, flops in forward_flops(condition).items():
        _, variables = _network(condition, option)
        parameters = sum(leaf.size for leaf in jax.tree.leaves(variables['params']))
        group = next(g for g in groups if g.phase == 'measure' and option in g.options)
        seconds = round(group.train_seconds / group.members, 4)
        head = dict(condition=condition.name, option=option, parameters=parameters)
        rows.append(head | dict(flops=flops, seconds_per_member=seconds))
    return rows


def _network(condition: Condition, option: str) -> tuple[nn.Module, Any]:
    """Network of an option, and shapes of its variables."""
    variant = option_variant(condition.study, option)
    # XLA does not count the FLOPs of a custom call.
    module = train_step.module_of(variant, len(condition.dataset.class_names), 'grouped')
    shape = condition.dataset.images.shape[1:]
    state = jax.eval_shape(lambda: train_step.init_state(variant, 0, module, shape))
    return module, dict(params=state.params, batch_stats=state.batch_stats)


def correct_table(tested: Sequence[tuple[Condition, Member, Result]]) -> CorrectTable:
    """Which test images every measured member classified correctly.

    Conditions with different test images share the columns of the images that they have in common.

    Args:
      tested: condition, member and result of each measured member.

    Returns:
      The content of correct.npz.
    """
    keys = {}
    for condition in {condition.name: condition for condition, _, _ in tested}.values():
        groups = image_groups(condition.dataset)
        for number, splits in condition.splits.items():
            rows = splits.test
            keys[condition.name, number] = [(condition.dataset.ids[i], groups[i]) for i in rows]
    images = list(dict.fromkeys(image for row in keys.values() for image in row))
    column = {image: i for i, image in enumerate(images)}
    correct, covered = np.zeros((2, len(tested), len(images)), bool)
    for row, (condition, member, result) in enumerate(tested):
        places = [column[image] for image in keys[condition.name, member.split]]
        covered[row, places] = True
        correct[row, places] = result['correct'][: len(places)] & _is_finite(result)[-1]
    return CorrectTable(
        correct=correct,
        tested=covered,
        image=np.asarray([image for image, _ in images]),
        condition=np.asarray([condition.name for condition, _, _ in tested]),
        option=np.asarray([member.option for _, member, _ in tested]),
        seed=np.asarray([member.seed for _, member, _ in tested]),
        group=np.asarray([group for _, group in images]),
    )


def _is_finite(result: Result) -> np.ndarray:
    """bool [epoch]: whether every loss was finite up to this epoch."""
    return np.logical_and.accumulate(
        np.isfinite(result['train_loss']) & np.isfinite(result['val_loss'])
    )
