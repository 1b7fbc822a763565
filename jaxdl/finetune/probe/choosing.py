"""Choose the probe's learning rate, weight decay and logit adjustment on validation images.

A cell is a learning rate and a weight decay. Every cell trains with several seeds. The result is
the mean of the heads of the best cell: its logits are the mean of their logits. The strength of the
logit adjustment needs no training.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl.config.experiment import FineTune
from jaxdl.data import Dataset, Splits
from jaxdl.data.bursts import stratified
from jaxdl.finetune.probe.heads import (
    Cell,
    Head,
    Heads,
    HeadTraining,
    average_heads,
    log_probabilities,
    train_heads,
)
from jaxdl.statistics import classification, protocol
from jaxdl.workdir.records import GroupRecord

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
    """The chosen head and the measurements that chose it.

    Attributes:
      head: fitted on the training and validation images.
      head_train_only: fitted on the training images; the scores are of this head.
      learning_rate: of the chosen cell.
      weight_decay: of the chosen cell.
      adjustment: chosen strength of the logit adjustment.
      adjustments: subtracted from logits, [classes]: strength times log of the class shares.
      rows: of artifacts/probe.csv.
      val_logits: log-probabilities averaged over the views, not adjusted, [n, classes].
      scores: of the validation images, adjusted.
      train_scores: of the training images, adjusted.
      groups: entries of run.json.
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
    groups: list[GroupRecord]


def ignore(name: str, **facts: Any) -> None:
    """A journal that writes nothing."""


def run(
    experiment: FineTune,
    dataset: Dataset,
    splits: Splits,
    features: np.ndarray,
    *,
    seed: int = 0,
    note: Callable[..., None] = ignore,
    interrupted: Callable[[], int | None] = lambda: None,
) -> ProbeResult:
    """Train the grid of `experiment.probe`, and choose by `finetune.metric` on validation images.

    Args:
      experiment: a checked fine-tuning.
      dataset: labels and class names.
      splits: indices of the images.
      features: float32 [n, view, f] of all images; training uses every view, prediction their mean.
      seed: first seed of the heads.
      note: writes an event to the journal, one per epoch.
      interrupted: the number of a signal that came, or None; a signal stops after an epoch.

    Raises:
      Interrupted: a signal came.
    """
    work = _work(experiment, dataset, features, note, interrupted, seed)
    heads, rows = _train_grid(work, splits)
    (cell, adjustment), priors = _best(rows, work.metric), _priors(work, splits.train)
    head, train_and_val = average_heads(heads[cell]), np.concatenate([splits.train, splits.val])
    final_head = average_heads(train_heads(work, [cell], np.sort(train_and_val), splits.val)[cell])
    logits = {
        split: log_probabilities(head, features[getattr(splits, split)])
        for split in ('train', 'val')
    }
    scores = {
        split: classification.scores(
            classification.adjust(values, priors, adjustment), work.labels[getattr(splits, split)]
        )
        for split, values in logits.items()
    }
    adjustments = -classification.adjust(np.zeros((1, len(priors))), priors, adjustment)[0]
    rate, decay = cell
    return ProbeResult(
        head=final_head,
        head_train_only=head,
        learning_rate=rate,
        weight_decay=decay,
        adjustment=adjustment,
        adjustments=adjustments.astype(np.float32),
        rows=[{name: row[name] for name in COLUMNS} for row in rows],
        val_logits=logits['val'],
        scores=scores['val'],
        train_scores=scores['train'],
        groups=work.groups,
    )


def score_random_split(
    experiment: FineTune,
    dataset: Dataset,
    splits: Splits,
    features: np.ndarray,
    result: ProbeResult,
    *,
    note: Callable[..., None] = ignore,
    interrupted: Callable[[], int | None] = lambda: None,
) -> list[dict[str, Any]]:
    """Score the chosen cell on a random split too, to show the effect of near-duplicates.

    Returns:
      Rows of artifacts/split.json: the random split, then the split of the run. Only the latter if
      it is random, or if the source fixes the validation images.
    """
    grouped = 'in whole' in splits.drawn
    row = dict(split='in whole groups' if grouped else 'at random') | _score(result.scores, splits)
    if not grouped or 'val' in (dataset.parts or ()):
        return [row]
    random_splits = stratified(dataset, experiment.data)
    head = fit_head(
        experiment, dataset, random_splits, features, result, note=note, interrupted=interrupted
    )
    work = _work(experiment, dataset, features, note, interrupted)
    logits = log_probabilities(head, features[random_splits.val])
    adjusted = classification.adjust(logits, _priors(work, random_splits.train), result.adjustment)
    scores = classification.scores(adjusted, work.labels[random_splits.val])
    return [dict(split='at random') | _score(scores, random_splits), row]


def fit_head(
    experiment: FineTune,
    dataset: Dataset,
    splits: Splits,
    features: np.ndarray,
    result: ProbeResult,
    *,
    seed: int = 0,
    note: Callable[..., None] = ignore,
    interrupted: Callable[[], int | None] = lambda: None,
) -> Head:
    """Fit the chosen cell on the training images of other splits."""
    work, cell = (
        _work(experiment, dataset, features, note, interrupted, seed),
        (result.learning_rate, result.weight_decay),
    )
    return average_heads(train_heads(work, [cell], splits.train, splits.val)[cell])


def count_heads(experiment: FineTune) -> int:
    """Number of heads of the first grid."""
    probe = experiment.probe
    return len(probe.learning_rates) * len(probe.weight_decays) * probe.repeats


def _work(
    experiment: FineTune,
    dataset: Dataset,
    features: np.ndarray,
    note: Callable[..., None],
    interrupted: Callable[[], int | None],
    seed: int = 0,
) -> HeadTraining:
    return HeadTraining(
        probe=experiment.probe,
        metric=experiment.finetune.metric,
        features=features,
        labels=dataset.labels,
        num_classes=len(dataset.class_names),
        note=note,
        interrupted=interrupted,
        groups=[],
        seed=seed,
    )


def _train_grid(work: HeadTraining, splits: Splits) -> tuple[Heads, list[dict[str, Any]]]:
    """Heads of the grid and their rows; the grid grows while its best cell lies on an edge."""
    rates, decays = list(work.probe.learning_rates), list(work.probe.weight_decays)
    heads: Heads = {}
    rows: list[dict[str, Any]] = []
    for _ in range(GROWTHS + 1):
        new = [cell for cell in itertools.product(rates, decays) if cell not in heads]
        if not new:
            break
        heads |= train_heads(work, new, splits.train, splits.val)
        rows += [row for cell in new for row in _rows(work, cell, heads[cell], splits)]
        (rate, decay), _ = _best(rows, work.metric)
        rates, decays = _extend_grid(rates, rate), _extend_grid(decays, decay)
    return heads, rows


def _extend_grid(values: list[float], best: float) -> list[float]:
    """Add a value if `best` lies on the edge; a decay of 0 is the end of its grid."""
    positive = [value for value in values if value > 0]
    inside = best == 0 or (0.0 in values and best == min(positive) < max(positive))
    more = None if inside else protocol.grow(positive, best)
    return values if more is None else [*values, more]


def _rows(
    work: HeadTraining, cell: Cell, heads: Sequence[Head], splits: Splits
) -> list[dict[str, Any]]:
    """Scores of a cell on the validation images, a row per seed and strength of the adjustment."""
    labels, priors, rows = work.labels[splits.val], _priors(work, splits.train), []
    for seed, head in enumerate(heads):
        logits = log_probabilities(head, work.features[splits.val])
        for strength in work.probe.logit_adjustments:
            adjusted = classification.adjust(logits, priors, strength)
            scores = classification.scores(adjusted, labels)
            head_of_row = dict(
                learning_rate=cell[0], weight_decay=cell[1], logit_adjustment=strength, seed=seed
            )
            measured = {name: scores[name] for name in ('accuracy', 'macro_f1', 'loss')}
            rows.append(head_of_row | measured)
    return rows


def _best(rows: Sequence[Mapping[str, Any]], metric: str) -> tuple[Cell, float]:
    """Cell and strength of the logit adjustment with the best mean over seeds.

    Among equal means the smallest mean validation loss decides (on easy images many heads are
    correct on all), then the smaller decay, strength and learning rate.
    """
    scores: dict[tuple[float, float, float], list[float]] = {}
    losses: dict[tuple[float, float, float], list[float]] = {}
    for row in rows:
        key = row['weight_decay'], row['logit_adjustment'], row['learning_rate']
        scores.setdefault(key, []).append(-row[metric] if metric == 'loss' else row[metric])
        losses.setdefault(key, []).append(row['loss'])
    decay, strength, rate = protocol.best_setting(scores, losses)
    return (rate, decay), strength


def _priors(work: HeadTraining, train: np.ndarray) -> np.ndarray:
    """Share of each class among the training images, [classes]."""
    return np.bincount(work.labels[train], minlength=work.num_classes) / len(train)


def _score(scores: Mapping[str, float], splits: Splits) -> dict[str, Any]:
    counts = dict(train=len(splits.train), val=len(splits.val))
    return {name: scores[name] for name in ('accuracy', 'macro_f1')} | counts
