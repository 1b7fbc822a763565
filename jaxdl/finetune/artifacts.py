"""Artifacts of a fine-tuning: held-out logits, worst mistakes, Grad-CAM images, predictions."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import workdir
from jaxdl.config.experiment import FineTune
from jaxdl.data import Data, Dataset, audit, decode
from jaxdl.data.cache import images as cache
from jaxdl.data.listing import Note, note
from jaxdl.data.splits import image_groups
from jaxdl.errors import InputError, warn
from jaxdl.finetune.evidence import find_evidence
from jaxdl.finetune.probe import ProbeResult
from jaxdl.finetune.records import FinalNetworks, FineTuneRun
from jaxdl.inference import gradcam, submission, tta
from jaxdl.runtime import checkpoint, distributed
from jaxdl.runtime.progress import show_progress
from jaxdl.runtime.signals import Interrupted
from jaxdl.statistics import classification
from jaxdl.workdir import records
from jaxdl.workdir.records import DataPlan, FineTunePlan, GroupRecord, ModelCard

SIDE = 160  # pixels of an image in the report
MISTAKES = 24  # of the worst mistakes
UNREAD = 'Images to predict that cannot be read; they get the most frequent predicted class'


@dataclasses.dataclass(frozen=True)
class Unlabelled:
    """Images to predict.

    Attributes:
      table: the table that lists them.
      ids: [n], in the table's order.
      paths: [n], their files.
      images: uint8 [n, side, side, 3]; None until they are decoded. An image that cannot be read
        is black.
      reasons: place -> why the image cannot be read, with `on_bad_image=skip`.
    """

    table: pathlib.Path
    ids: list[str]
    paths: list[pathlib.Path]
    images: np.ndarray | None = None
    reasons: Mapping[int, str] = dataclasses.field(default_factory=dict)


def find_unlabelled(experiment: FineTune) -> Unlabelled | None:
    """The challenge's test images; None where the data set has none.

    Raises:
      InputError: a listed image does not exist, and `on_bad_image` is `stop`.
    """
    kind, _, where = experiment.data.dataset.partition(':')
    table = pathlib.Path(where).expanduser() / 'test.csv'
    if kind != 'foodc' or not table.exists():
        return None
    ids, paths = submission.read_test(table, experiment.data.on_bad_image)
    return Unlabelled(table, list(ids), list(paths))


def decode_unlabelled(
    unlabelled: Unlabelled | None, dataset: Dataset, data: Data
) -> Unlabelled | None:
    """Decode the images to predict as those of the data set.

    Raises:
      InputError: an image cannot be read, and `on_bad_image` is `stop`.
    """
    if unlabelled is None:
        return None
    decoded = cache.decode_images(
        unlabelled.paths, unlabelled.ids, dataset.images.shape[1], data.on_bad_image, data.fit
    )
    unlabelled = dataclasses.replace(unlabelled, images=decoded.images, reasons=decoded.bad)
    for finding in _unread(unlabelled) if distributed.is_first() else ():
        warn(f'{unlabelled.table}: {finding}')
    return unlabelled


def _unread(unlabelled: Unlabelled | None) -> tuple[Note, ...]:
    """Note of the images to predict that cannot be read."""
    if unlabelled is None:
        return ()
    names = (f'{unlabelled.ids[i]} {why}' for i, why in unlabelled.reasons.items())
    return note(UNREAD, names)


def data_plan(run: FineTuneRun, unlabelled: Unlabelled | None) -> DataPlan:
    """The entry of the data in plan.json."""
    dataset, splits = run.dataset, run.splits
    dataset = dataclasses.replace(dataset, notes=(*dataset.notes, *_unread(unlabelled)))
    return DataPlan(
        name=dataset.name,
        description=dataset.description,
        classes=dataset.class_names,
        image_shape=dataset.images.shape[1:],
        train=len(splits.train),
        val=len(splits.val),
        test=len(splits.test),
        checksum=dataset.checksum(),
        decoder=decode.describe_decoder() if dataset.digests else '',
        fit=dataset.fit,
        findings=audit.examine(dataset, splits),
        split=splits.drawn,
        unlabelled=len(unlabelled.ids) if unlabelled else 0,
    )


def compute_scores(logits: np.ndarray, labels: np.ndarray, temperature: float) -> dict[str, float]:
    """Scores of held-out images, with the calibration error before and after the temperature.

    Args:
      logits: float [n, classes].
      labels: int [n].
      temperature: divides the logits.
    """
    calibrated = classification.scores(logits / temperature, labels)['ece']
    more = dict(ece_calibrated=calibrated, temperature=temperature)
    return classification.scores(logits, labels) | more


def probe_scores(run: FineTuneRun, result: ProbeResult) -> dict[str, Any]:
    """The probe's entry in run.json: scores of the head fitted on the training images alone."""
    labels = run.dataset.labels[run.splits.val]
    logits = classification.log_softmax(result.val_logits - result.adjustments)
    temperature = classification.fit_temperature(logits, labels)
    return compute_scores(logits, labels, temperature) | dict(
        split='val',
        images=len(labels),
        learning_rate=result.learning_rate,
        weight_decay=result.weight_decay,
        logit_adjustment=result.adjustment,
    )


def compared_probe_scores(final: FinalNetworks, labels: np.ndarray) -> dict[str, dict[str, Any]]:
    """Entry `probe_compared` of run.json: the probe on the images of the final scores.

    Args:
      final: the final networks.
      labels: of their held-out images.

    Returns:
      Accuracy and macro F1; empty where the entry `probe` has them, and where the probe did not
      predict these images.
    """
    if final.split == 'val' or final.probe_predicted is None:
        return {}
    confusion = classification.confusion(labels, final.probe_predicted, final.logits.shape[1])
    return dict(
        probe_compared=dict(
            accuracy=float(np.mean(final.probe_predicted == labels)),
            macro_f1=classification.macro_f1(confusion),
            split=final.split,
            images=len(labels),
        )
    )


def write_probe(folder: pathlib.Path, result: ProbeResult) -> None:
    """Write a fitted probe for a session that resumes."""
    names = ('head', 'head_train_only', 'adjustments', 'val_logits')
    arrays = {name: getattr(result, name) for name in names}
    fields = [f.name for f in dataclasses.fields(result) if f.name not in names]
    values = {name: getattr(result, name) for name in fields}
    values['groups'] = [records.as_json(group) for group in result.groups]
    checkpoint.write_model(folder, arrays, json.loads(json.dumps(values)))


def read_probe(folder: pathlib.Path) -> ProbeResult | None:
    """A fitted probe; None where there is none that can be read."""
    if not folder.is_dir():
        return None
    try:
        arrays, values = checkpoint.read_model(folder)
        groups = [records.parse(GroupRecord, group) for group in values.pop('groups')]
        return ProbeResult(**jax.tree.map(np.asarray, arrays), **values, groups=groups)
    except (InputError, TypeError, KeyError) as error:
        warn(f'the probe cannot be read ({error}): it is fitted again')
        return None


def write_predictions(
    run: FineTuneRun, members: Sequence[Any], card: ModelCard, unlabelled: Unlabelled | None
) -> dict[str, Any] | None:
    """Write predictions.csv and submission.csv of the images to predict.

    Returns:
      The entry `submission` of run.json; None where there are no such images.

    Raises:
      Interrupted: a signal came; the trained networks are saved.
    """
    if unlabelled is None or unlabelled.images is None:
        return None
    images, class_names = unlabelled.images, card.class_names
    module = run.network.module.clone(num_classes=len(class_names))
    interrupted = distributed.make_maximum(run.context.interrupted)
    with show_progress('predicting', len(images)) as advance:

        def count_done(count: int) -> None:
            advance(count)
            if signal := interrupted():
                raise Interrupted(signal)

        logits = tta.log_probabilities(module, members, card, images, progress=count_done)
    if distributed.is_first():
        top, ids = run.context.workdir, unlabelled.ids
        probabilities = tta.probabilities(logits, card.temperature)
        reasons, skip = unlabelled.reasons, run.experiment.data.on_bad_image == 'skip'
        probabilities[list(reasons)] = np.nan
        submission.write_predictions(
            top / 'predictions.csv',
            ids,
            class_names,
            probabilities,
            reasons=reasons if skip else None,
        )
        predicted = submission.name_classes(class_names, probabilities, reasons)
        submission.write_submission(top / 'submission.csv', predicted, ids, ids)
        frequent = class_names[submission.most_frequent(probabilities)[0]]
        unread = dict(unread=len(reasons), unread_as=frequent) if reasons else {}
        return dict(file='submission.csv', rows=len(ids), **unread)
    return None


def write(run: FineTuneRun, final: FinalNetworks, card: ModelCard) -> None:
    """Write artifacts/: held-out logits, mistakes, Grad-CAM, near-duplicates, evidence."""
    folder, dataset = run.context.workdir / 'artifacts', run.dataset
    labels, groups = dataset.labels[final.indices], image_groups(dataset)
    evaluation = dict(
        logits=final.logits,
        labels=labels.astype(np.int32),
        ids=np.asarray([dataset.ids[i] for i in final.indices]),
        group=np.asarray([groups[i] for i in final.indices]),
        split=np.asarray(final.split),
        temperature=np.asarray(card.temperature),
    )
    if final.probe_predicted is not None:
        evaluation |= dict(probe_predicted=final.probe_predicted.astype(np.int32))
    workdir.write_arrays(folder / 'evaluation.npz', evaluation)
    probabilities = tta.probabilities(final.logits, card.temperature)
    predicted = probabilities.argmax(1)
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind='stable')]
    worst = worst[:MISTAKES]
    images = make_thumbnails(dataset, final.indices[worst])
    _write_images(folder / 'mistakes.npz', dataset, final, worst, probabilities, images)
    if run.experiment.finetune.explain and 'finetune' in run.experiment.stages:
        correct = np.flatnonzero(predicted == labels)
        _write_gradcam(folder, run, final, card, worst, correct, probabilities)
    plan = records.read(run.context.workdir / 'plan.json', FineTunePlan)
    pairs = audit.pictures(dataset, plan.data.findings)
    if pairs:
        workdir.write_arrays(folder / 'near_duplicates.npz', pairs)
    entries = find_evidence(run.experiment, run.context.workdir)
    workdir.write(folder / 'evidence.json', json.dumps(entries, indent=1) + '\n')


def _write_gradcam(
    folder: pathlib.Path,
    run: FineTuneRun,
    final: FinalNetworks,
    card: ModelCard,
    worst: np.ndarray,
    correct: np.ndarray,
    probabilities: np.ndarray,
) -> None:
    """Grad-CAM of the worst mistakes and of as many correct images, drawn at random."""
    count = run.experiment.finetune.explain
    drawn = np.random.default_rng(0).permutation(correct)[: count - count // 2]
    chosen = np.concatenate([worst[: count // 2], drawn])
    module = run.network.module.clone(num_classes=card.num_classes)
    batch = np.stack([run.dataset.images[i] for i in final.indices[chosen]])
    predicted = probabilities[chosen].argmax(1)
    networks = tta.fold_members(module, final.members)
    maps = np.asarray(gradcam.gradcam(networks, card.eval_size, batch, predicted))
    images = gradcam.centre_crops(card.preprocessing.crop, card.eval_size, batch)
    path = folder / 'gradcam.npz'
    _write_images(path, run.dataset, final, chosen, probabilities, images, maps=maps)


def _write_images(
    path: pathlib.Path,
    dataset: Dataset,
    final: FinalNetworks,
    chosen: np.ndarray,
    probabilities: np.ndarray,
    images: np.ndarray,
    **more: np.ndarray,
) -> None:
    """Write held-out images uint8 [m, side, side, 3] and their predictions.

    Args:
      path: the .npz file; nothing is written where no image is chosen.
      dataset: labelled images.
      final: the networks that predict.
      chosen: int [m], rows of `probabilities`.
      probabilities: float [n, classes].
      images: uint8 [m, side, side, 3].
      **more: further arrays [m, ...].
    """
    if not len(chosen):
        return
    indices, predicted = final.indices[chosen], probabilities[chosen].argmax(1)
    arrays = dict(
        images=images,
        ids=np.asarray([dataset.ids[i] for i in indices]),
        labels=dataset.labels[indices].astype(np.int32),
        predicted=predicted.astype(np.int32),
        probability=probabilities[chosen, predicted],
    )
    workdir.write_arrays(path, arrays | more)


def make_thumbnails(dataset: Dataset, indices: np.ndarray) -> np.ndarray:
    """Images as small ones, uint8 [m, SIDE, SIDE, 3]."""
    shape = (max(1, len(indices)), SIDE, SIDE, 3)
    images = np.zeros((1, 1, 1, 3))
    if len(indices):
        images = np.stack([dataset.images[i] for i in indices])
    small = jax.image.resize(jnp.asarray(images, jnp.float32), shape, 'linear')
    return np.clip(np.round(np.asarray(small)), 0, 255).astype(np.uint8)
