"""Turn the results of members into the content of results.csv, costs.csv and .npz files."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl.ablation.planning import Condition
from jaxdl.config.experiment import Ablation, option_variant
from jaxdl.data.splits import image_groups
from jaxdl.ensemble import Member, Result
from jaxdl.statistics.metrics import METRICS
from jaxdl.train import train_step
from jaxdl.workdir.contributions import ContributionTable
from jaxdl.workdir.correct import CorrectTable
from jaxdl.workdir.records import GroupRecord
from jaxdl.workdir.tables import Row, point_of

SPLITS, ALWAYS = ('train', 'val', 'test'), ('loss', 'accuracy')
# (metric, split, number of the split) -> value that a diverged member counts as
Chance = Callable[[str, str, int], float]


def chance_of(condition: Condition) -> Chance:
    """Values that a diverged member of a condition counts as, by the classes of each split."""
    labels, num_classes = condition.dataset.labels, len(condition.dataset.class_names)

    @functools.cache
    def chance(metric: str, split: str, number: int) -> float:
        indices = getattr(condition.splits[number], split)
        return float(METRICS[metric].guess(labels[indices], num_classes))

    return chance


def cut(result: Result, epochs: int) -> Result:
    """The result of a member that trained for so many epochs, without the epochs to come."""
    return {
        name: value[:epochs] if name.startswith(('train_', 'val_')) else value
        for name, value in result.items()
    }


def result_rows(
    condition: str,
    phase: str,
    members: Sequence[tuple[Member, Result]],
    num_classes: int,
    columns: Sequence[str] = (),
    metrics: Sequence[str] = (),
    chance: Chance | None = None,
) -> list[Row]:
    """Rows of results.csv of one group.

    A member counts as chance from the first epoch with a loss that is not finite.

    Args:
      condition: name of the condition.
      phase: `tune` or `measure`.
      members: each member and its result.
      num_classes: the accuracy of chance is 1 / num_classes.
      columns: further hyperparameters, which follow `value`; None where a network lacks the field.
      metrics: further metrics than loss and accuracy, the one that decides among them.
      chance: their values for a diverged member.
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
            loss, accuracy = (np.atleast_1d(result[f'{split}_{metric}']) for metric in ALWAYS)
            for i in range(len(loss)):
                epoch = len(alive) if split == 'test' else i + 1
                tail = dict(head, epoch=epoch, split=split)
                finite = alive[epoch - 1] and np.isfinite(loss[i])
                # A finite loss after one that was not finite means nothing.
                written = float(loss[i]) if finite or np.isinf(loss[i]) else float('nan')
                rows.append(tail | dict(metric='loss', value=written))
                value = float(accuracy[i]) if finite else 1 / num_classes
                rows.append(tail | dict(metric='accuracy', value=value))
        for name in metrics:
            assert chance is not None
            for split in ('val', 'test'):
                guess = chance(name, split, member.split)
                for epoch, value in _epochs(result, name, split, len(alive)):
                    finite = alive[epoch - 1] and np.isfinite(value)
                    tail = dict(head, epoch=epoch, split=split, metric=name)
                    rows.append(tail | dict(value=float(value) if finite else guess))
        rows[first:] = [row | further for row in rows[first:]]
    return rows


def _epochs(result: Result, metric: str, split: str, epochs: int) -> list[tuple[int, float]]:
    """Epoch and value of a metric on a split: of every epoch, or of the last one."""
    every = np.atleast_1d(result.get(f'{split}_{metric}', []))
    if len(every) == epochs:
        return list(enumerate(every, 1))
    last = result.get(f'metric.{split}.{metric}', every)
    return [(epochs, float(value)) for value in np.atleast_1d(last)]


def metric_rows(condition: Condition, members: Sequence[tuple[Member, Result]]) -> list[Row]:
    """Rows of artifacts/metrics.csv: every metric of the measured members at the last epoch."""
    rows, chance = [], chance_of(condition)
    for member, result in members:
        alive = _is_finite(result)[-1]
        for name, value in result.items():
            if not name.startswith('metric.'):
                continue
            _, split, metric = name.split('.', 2)
            is_finite = alive and np.isfinite(value)
            head = dict(condition=condition.name, option=member.option, seed=member.seed)
            value = float(value) if is_finite else chance(metric, split, member.split)
            rows.append(head | dict(split=split, metric=metric, value=value))
    return rows


def test_value(condition: Condition, member: Member, result: Result) -> float:
    """Metric that decides on the test split; chance for a member that diverged."""
    name = condition.study.metric
    value = float(result[f'test_{name}'])
    finite = _is_finite(result)[-1] and np.isfinite([result['test_loss'], value]).all()
    return value if finite else chance_of(condition)(name, 'test', member.split)


def sort_rows(rows: Sequence[Row], ablation: Ablation) -> list[Row]:
    """Rows of one condition in the order of results.csv.

    The order is by phase, option, hyperparameters, seed, epoch, split and metric.
    """
    options = list(ablation.options)
    metrics = (*ALWAYS, *sorted({row['metric'] for row in rows} - {*ALWAYS}))

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
    return module, train_step.variables_of(state)


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


def contribution_table(
    condition: Condition, members: Sequence[tuple[Member, Result]], blocks: np.ndarray
) -> ContributionTable:
    """Contributions of the test images to the metric that decides.

    Args:
      condition: with one split for all members.
      members: each measured member and its result.
      blocks: block of each test image.

    Returns:
      The content of contributions.npz; in a diverged member every image counts as chance.
    """
    number, groups = members[0][0].split, image_groups(condition.dataset)
    guess = chance_of(condition)(condition.study.metric, 'test', number)
    return ContributionTable(
        value=np.stack(
            [
                result['contributions'] if _is_finite(result)[-1] else np.full(len(blocks), guess)
                for _, result in members
            ]
        ),
        option=np.asarray([member.option for member, _ in members]),
        seed=np.asarray([member.seed for member, _ in members]),
        group=np.asarray([groups[i] for i in condition.splits[number].test]),
        block=blocks,
    )


def _is_finite(result: Result) -> np.ndarray:
    """bool [epoch]: whether every loss was finite up to this epoch."""
    return np.logical_and.accumulate(
        np.isfinite(result['train_loss']) & np.isfinite(result['val_loss'])
    )
