"""Labels of training and validation images that are probably wrong, by the probe.

The heads of the probe predict each image from folds that do not contain it or its group, and
`jaxdl.statistics.confident_learning` ranks the labels.
"""

import dataclasses
from typing import Any

import numpy as np

from jaxdl import workdir
from jaxdl.data import Splits, bursts
from jaxdl.data.splits import image_groups
from jaxdl.finetune import artifacts, probe
from jaxdl.finetune.probe import ProbeResult
from jaxdl.finetune.records import FineTuneRun
from jaxdl.runtime import distributed
from jaxdl.statistics import classification, confident_learning
from jaxdl.workdir import tables

FILES = ('label_issues.csv', 'artifacts/label_issues.json')
PICTURES = 'artifacts/label_issues.npz'
SHOWN = 24  # issues as pictures
COLUMNS = dict(
    image=str,
    label=str,
    suggested=str,
    probability_of_label=float,
    probability_of_suggested=float,
    split=str,
)


@dataclasses.dataclass(frozen=True)
class OutOfFold:
    """Predictions of images by heads that were not trained on them.

    Attributes:
      indices: int [n], into the data set.
      probabilities: float [n, classes].
      left_out: number of images whose class is in one fold only, which no head can predict.
    """

    indices: np.ndarray
    probabilities: np.ndarray
    left_out: int


def predict_out_of_fold(run: FineTuneRun, result: ProbeResult, **hooks: Any) -> OutOfFold:
    """Predict the training and validation images by the probe's best cell, fold by fold.

    Args:
      run: the run.
      result: the fitted probe.
      **hooks: `note` and `interrupted`, as `probe.run` takes them.
    """
    labels = run.dataset.labels
    labelled = np.union1d(run.splits.train, run.splits.val)
    groups = np.asarray(image_groups(run.dataset), object)[labelled]
    count = min(run.experiment.probe.label_folds, len(set(groups)))
    seed = run.experiment.data.split_seed
    folds = bursts.folds(labels[labelled], groups, count, seed) if count > 1 else []
    probabilities = np.zeros((len(labelled), len(run.class_names)))
    predicted = np.zeros(len(labelled), bool)
    for fold in folds:
        held_out = labelled[fold]
        train = np.setdiff1d(labelled, held_out)
        if not len(fold) or not len(train):
            continue
        splits = Splits(train, held_out, held_out[:0])
        data = run.experiment, run.dataset, splits, run.features, result
        head = distributed.broadcast_arrays(probe.fit_head(*data, seed=run.seed, **hooks))
        logits = probe.log_probabilities(head, run.features[held_out])
        probabilities[fold] = np.exp(classification.log_softmax(logits))
        predicted[fold] = np.isin(labels[held_out], labels[train])
    return OutOfFold(labelled[predicted], probabilities[predicted], int((~predicted).sum()))


def write(run: FineTuneRun, predicted: OutOfFold) -> None:
    """Write FILES, and PICTURES of the first issues where there are some."""
    top, dataset = run.context.workdir, run.dataset
    labels, examined = dataset.labels[predicted.indices], len(predicted.indices)
    issues = confident_learning.LabelIssues(np.zeros(0, int), np.zeros(0, int), 0.0)
    if examined:
        issues = confident_learning.find_label_issues(predicted.probabilities, labels)
    places, suggested = predicted.indices[issues.indices], issues.suggested
    rows = predicted.probabilities[issues.indices]
    each = np.arange(len(places))
    of_label, other = rows[each, dataset.labels[places]], rows[each, suggested]
    in_train = np.isin(places, run.splits.train)
    lines = [
        dict(
            image=dataset.ids[place],
            label=dataset.class_names[dataset.labels[place]],
            suggested=dataset.class_names[suggested[i]],
            probability_of_label=float(of_label[i]),
            probability_of_suggested=float(other[i]),
            split='train' if in_train[i] else 'val',
        )
        for i, place in enumerate(places)
    ]
    tables.write_table(top / FILES[0], COLUMNS, lines)
    facts = dict(examined=examined, left_out=predicted.left_out, issues=len(places))
    folds = run.experiment.probe.label_folds
    workdir.write_json(top / FILES[1], facts | dict(share=issues.share, folds=folds))
    if len(places):
        drawn = places[:SHOWN]
        arrays = dict(
            images=artifacts.make_thumbnails(dataset, drawn),
            ids=np.asarray([dataset.ids[place] for place in drawn]),
            labels=dataset.labels[drawn].astype(np.int32),
            predicted=suggested[:SHOWN].astype(np.int32),
            probability=other[:SHOWN],
        )
        workdir.write_arrays(top / PICTURES, arrays)
