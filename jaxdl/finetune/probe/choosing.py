"""The grid of the probe: which learning rate, weight decay and logit adjustment.

And how sure one can be of it.

A cell is a learning rate and a weight decay. Every cell trains under several seeds; the heads of a
cell average to the head that is kept, exactly, since logits are linear in them. The strength of the
logit adjustment needs no training.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl.config.experiment import FineTune
from jaxdl.data import Dataset, Splits
from jaxdl.data.bursts import stratified
from jaxdl.finetune.probe.heads import Cell, Head, Heads, Work, log_probabilities, mean_of, trained
from jaxdl.statistics import classification as scores
from jaxdl.statistics import protocol

GROWTHS = 2  # how often the grid may grow past an edge that holds the best cell
COLUMNS = dict(
    learning_rate=float,
    weight_decay=float,
    logit_adjustment=float,
    seed=int,
    accuracy=float,
    macro_f1=float,
)


@dataclasses.dataclass(frozen=True)
class ProbeResult:
    """The chosen head and what it was chosen by.

    `head` is fitted on the training and validation images, `head_train_only` on the training
    images: of that one are `val_logits` [n, classes] (log-probabilities averaged over the views,
    not adjusted), `scores` and `train_scores` (adjusted). `adjustments` [classes] is subtracted
    from logits: `adjustment` times the log of the classes' shares. `rows` are those of
    artifacts/probe.csv, `entries` those of the groups in run.json.
    """

    head: Head
    head_train_only: Head
    learning_rate: float
    weight_decay: float
    adjustment: float
    adjustments: np.ndarray
    rows: list[dict[str, Any]]
    val_logits: np.ndarray
    scores: dict[str, float]
    train_scores: dict[str, float]
    entries: list[dict[str, Any]]


def ignore(name: str, **facts: Any) -> None:
    """Where nobody wants to be told."""


def run(
    experiment: FineTune,
    dataset: Dataset,
    splits: Splits,
    features: np.ndarray,
    *,
    note: Callable[..., None] = ignore,
    interrupted: Callable[[], int | None] = lambda: None,
) -> ProbeResult:
    """Trains the grid of `experiment.probe` and chooses by `experiment.finetune.metric` on the validation images.

    Args:
      features: float32 [n, view, f], of all images of the data set; every view is trained on, and
        all are averaged.
      note: the journal's; told of every epoch.
      interrupted: the number of a signal that came, if one did; the grid is then given up at the
        end of an epoch.
    """
    work = _work(experiment, dataset, features, note, interrupted)
    heads, rows = _grown(work, splits)
    (cell, adjustment), priors = _best(rows, work.metric), _priors(work, splits.train)
    kept, whole = mean_of(heads[cell]), np.concatenate([splits.train, splits.val])
    refitted = mean_of(trained(work, [cell], np.sort(whole), splits.val)[cell])
    logits = {
        part: log_probabilities(kept, features[getattr(splits, part)]) for part in ('train', 'val')
    }
    found = {
        part: scores.scores(
            scores.adjust(own, priors, adjustment), work.labels[getattr(splits, part)]
        )
        for part, own in logits.items()
    }
    adjustments = -scores.adjust(np.zeros((1, len(priors))), priors, adjustment)[0]
    table = [{name: row[name] for name in COLUMNS} for row in rows]
    return ProbeResult(
        refitted,
        kept,
        *cell,
        adjustment,
        adjustments.astype(np.float32),
        table,
        logits['val'],
        found['val'],
        found['train'],
        work.entries,
    )


def doubt(
    experiment: FineTune,
    dataset: Dataset,
    splits: Splits,
    features: np.ndarray,
    result: ProbeResult,
    *,
    note: Callable[..., None] = ignore,
    interrupted: Callable[[], int | None] = lambda: None,
) -> list[dict[str, Any]]:
    """The chosen cell where the validation images are drawn at random, and where they are not.

    Rows of split.json.

    One row where they were drawn at random anyway, or the source fixes them.
    """
    whole = dict(split='in whole groups' if 'in whole' in splits.drawn else 'at random')
    given = whole | _score(result.scores, splits)
    if whole['split'] == 'at random' or 'val' in (dataset.parts or ()):
        return [given]
    drawn = stratified(dataset, experiment.data)
    head = head_of(experiment, dataset, drawn, features, result, note=note, interrupted=interrupted)
    work = _work(experiment, dataset, features, note, interrupted)
    logits = log_probabilities(head, features[drawn.val])
    adjusted = scores.adjust(logits, _priors(work, drawn.train), result.adjustment)
    return [
        dict(split='at random') | _score(scores.scores(adjusted, work.labels[drawn.val]), drawn),
        given,
    ]


def head_of(
    experiment: FineTune,
    dataset: Dataset,
    splits: Splits,
    features: np.ndarray,
    result: ProbeResult,
    *,
    note: Callable[..., None] = ignore,
    interrupted: Callable[[], int | None] = lambda: None,
) -> Head:
    """The chosen cell, fitted on the training images of other splits."""
    work, cell = (
        _work(experiment, dataset, features, note, interrupted),
        (result.learning_rate, result.weight_decay),
    )
    return mean_of(trained(work, [cell], splits.train, splits.val)[cell])


def members(experiment: FineTune) -> int:
    """How many heads train at once."""
    probe = experiment.probe
    return len(probe.learning_rates) * len(probe.weight_decays) * probe.repeats


def _work(
    experiment: FineTune,
    dataset: Dataset,
    features: np.ndarray,
    note: Callable[..., None],
    interrupted: Callable[[], int | None],
) -> Work:
    classes = len(dataset.class_names)
    metric = experiment.finetune.metric
    return Work(experiment.probe, metric, features, dataset.labels, classes, note, interrupted, [])


def _grown(work: Work, splits: Splits) -> tuple[Heads, list[dict[str, Any]]]:
    """The heads of the grid, and their rows; the grid grows where its edge holds the best cell."""
    rates, decays = list(work.probe.learning_rates), list(work.probe.weight_decays)
    heads: Heads = {}
    rows: list[dict[str, Any]] = []
    for _ in range(GROWTHS + 1):
        new = [cell for cell in itertools.product(rates, decays) if cell not in heads]
        if not new:
            break
        own = trained(work, new, splits.train, splits.val)
        heads |= own
        rows += [row for cell in new for row in _rows(work, cell, own[cell], splits)]
        (rate, decay), _ = _best(rows, work.metric)
        rates, decays = _past(rates, rate), _past(decays, decay)
    return heads, rows


def _past(values: list[float], best: float) -> list[float]:
    """With one more value where `best` lies at the edge; decay 0 is the end.

    Whatever lies beside it.
    """
    positive = [value for value in values if value > 0]
    inside = best == 0 or (0.0 in values and best == min(positive) < max(positive))
    more = None if inside else protocol.grow(positive, best)
    return values if more is None else [*values, more]


def _rows(work: Work, cell: Cell, heads: Sequence[Head], splits: Splits) -> list[dict[str, Any]]:
    """The scores of a cell on the validation images.

    A row for each seed and each strength of the adjustment.
    """
    labels, priors, rows = work.labels[splits.val], _priors(work, splits.train), []
    for seed, head in enumerate(heads):
        logits = log_probabilities(head, work.features[splits.val])
        for strength in work.probe.logit_adjustments:
            found = scores.scores(scores.adjust(logits, priors, strength), labels)
            named = dict(
                learning_rate=cell[0], weight_decay=cell[1], logit_adjustment=strength, seed=seed
            )
            rows.append(named | {name: found[name] for name in ('accuracy', 'macro_f1', 'loss')})
    return rows


def _best(rows: Sequence[Mapping[str, Any]], metric: str) -> tuple[Cell, float]:
    """The cell and the strength with the best mean over seeds; of equal ones the smaller decay.

    Strength, rate.
    """
    values: dict[tuple[float, float, float], list[float]] = {}
    for row in rows:
        key = row['weight_decay'], row['logit_adjustment'], row['learning_rate']
        values.setdefault(key, []).append(-row[metric] if metric == 'loss' else row[metric])
    means = {key: math.fsum(own) / len(own) for key, own in values.items()}
    finite = {key: mean if math.isfinite(mean) else -math.inf for key, mean in means.items()}
    decay, strength, rate = min(finite, key=lambda key: (-round(finite[key], 12), *key))
    return (rate, decay), strength


def _priors(work: Work, train: np.ndarray) -> np.ndarray:
    """The share of each class among the training images, [classes]."""
    return np.bincount(work.labels[train], minlength=work.num_classes) / len(train)


def _score(found: Mapping[str, float], splits: Splits) -> dict[str, Any]:
    counts = dict(train=len(splits.train), val=len(splits.val))
    return {name: found[name] for name in ('accuracy', 'macro_f1')} | counts
