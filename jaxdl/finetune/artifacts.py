"""What a fine-tuning leaves for its report and its user: what it said of held-out images, mistakes.

Predictions.
"""

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
from jaxdl.data import Dataset, Splits, audit, decode
from jaxdl.data.cache import images as cache
from jaxdl.errors import InputError, warn
from jaxdl.finetune import setup
from jaxdl.finetune.probe import ProbeResult
from jaxdl.finetune.records import Final, Work
from jaxdl.inference import gradcam, submission, tta
from jaxdl.runtime import checkpoint, distributed
from jaxdl.runtime.meter import metered
from jaxdl.runtime.signals import Interrupted
from jaxdl.statistics import classification
from jaxdl.train import train_step
from jaxdl.workdir import tables

SIDE, MISTAKES = (
    160,
    24,
)  # pixels of a picture in the report, and how many of the worst mistakes it shows
DECISIONS = {  # field of a fine-tuning -> the ablation that tests it
    'variant.optimizer': 'optimizer',
    'variant.schedule': 'schedule',
    'variant.batch_size': 'batch_size',
    'variant.dropout': 'dropout',
    'variant.loss': 'final_activation',
    'variant.flip': 'augmentation',
    'variant.colour': 'augmentation',
    'variant.mixup': 'augmentation',
    'variant.cutmix': 'augmentation',
    'variant.erasing': 'augmentation',
    'architecture.norm': 'batch_norm',
    'architecture.depth': 'depth',
    'architecture.activation': 'hidden_activation',
    'architecture.pooling': 'pooling',
    'architecture.global_pooling': 'global_pooling',
    'finetune.start': 'init',
}


@dataclasses.dataclass(frozen=True)
class Unlabelled:
    """Images whose classes nobody has said: ids [n] in their table's order, their files.

    Once decoded, `images`.
    """

    table: pathlib.Path
    ids: list[str]
    paths: list[pathlib.Path]
    images: np.ndarray | None = None


def unlabelled(experiment: FineTune) -> Unlabelled | None:
    """The challenge's test images, where the data has such.

    InputError where one that is listed does not exist.
    """
    kind, _, where = experiment.data.dataset.partition(':')
    table = pathlib.Path(where).expanduser() / 'test.csv'
    if kind != 'foodc' or not table.exists():
        return None
    ids, paths = submission.read_test(table)
    return Unlabelled(table, list(ids), list(paths))


def decoded(found: Unlabelled | None, dataset: Dataset) -> Unlabelled | None:
    """The same with its images, as those of the data set are.

    InputError: one cannot be read; a submission names a class for every one.
    """
    if found is None:
        return None
    return dataclasses.replace(
        found, images=cache.decoded(found.paths, found.ids, dataset.images.shape[1]).images
    )


def data(dataset: Dataset, parts: Splits) -> dict[str, Any]:
    """What the plan says of the images."""
    return dict(
        name=dataset.name,
        description=dataset.description,
        classes=list(dataset.class_names),
        split=parts.drawn,
        image_shape=list(dataset.images.shape[1:]),
        checksum=dataset.checksum(),
        decoder=decode.decoder() if dataset.digests else '',
        findings=audit.examine(dataset, parts),
    )


def class_shares(work: Work, train: np.ndarray) -> np.ndarray:
    """Shares of the classes among the training images, float [classes]."""
    labels, classes = work.dataset.labels[train], len(work.dataset.class_names)
    return np.asarray(train_step.class_shares(labels, classes))


def judged(logits: np.ndarray, labels: np.ndarray, temperature: float) -> dict[str, float]:
    """Every metric of held-out images.

    And the calibration error before and after the temperature.
    """
    calibrated = classification.scores(logits / temperature, labels)['ece']
    return classification.scores(logits, labels) | dict(
        ece_calibrated=calibrated, temperature=temperature
    )


def of_probe(found: ProbeResult, work: Work) -> dict[str, Any]:
    """What run.json says of the probe: the validated head, fitted on the training images alone."""
    labels, logits = (
        work.dataset.labels[work.parts.val],
        classification.log_softmax(found.val_logits - found.adjustments),
    )
    chosen = dict(
        learning_rate=found.learning_rate,
        weight_decay=found.weight_decay,
        logit_adjustment=found.adjustment,
    )
    return (
        judged(logits, labels, classification.fit_temperature(logits, labels))
        | dict(split='val', images=len(labels))
        | chosen
    )


def write_probe(folder: pathlib.Path, found: ProbeResult) -> None:
    """A finished probe, for a session that resumes."""
    arrays = {
        name: getattr(found, name)
        for name in ('head', 'head_train_only', 'adjustments', 'val_logits')
    }
    rest = {
        f.name: getattr(found, f.name) for f in dataclasses.fields(found) if f.name not in arrays
    }
    checkpoint.write_model(folder, arrays, json.loads(json.dumps(rest)))


def read_probe(folder: pathlib.Path) -> ProbeResult | None:
    """A finished probe; None where there is none that can be read: it is then fitted again."""
    if not folder.is_dir():
        return None
    try:
        arrays, rest = checkpoint.read_model(folder)
        return ProbeResult(**jax.tree.map(np.asarray, arrays), **rest)
    except (InputError, TypeError) as error:
        warn(f'the probe cannot be read ({error}): it is fitted again')
        return None


def predictions(
    work: Work, members: Sequence[Any], said: Mapping[str, Any], found: Unlabelled | None
) -> dict[str, Any]:
    """predictions.csv and submission.csv of the unlabelled images; what run.json says of them."""
    if found is None or found.images is None:
        return {}
    images = found.images
    module = work.network.module.clone(num_classes=len(said['class_names']))
    asked = distributed.together(work.session.interrupted)
    with metered('predicting', len(images)) as more:

        def told(count: int) -> None:
            more(count)
            if signal := asked():
                raise Interrupted(signal)  # all runs are saved: the same command comes here again

        logits = setup.answers(module, members, said, images, np.arange(len(images)), told)
    if distributed.first():
        top, names = work.session.workdir, np.asarray(said['class_names'])
        likely = tta.probabilities(logits, said['temperature'])
        submission.write_predictions(
            top / 'predictions.csv', found.ids, said['class_names'], likely
        )
        submission.write_submission(
            top / 'submission.csv', names[likely.argmax(1)].tolist(), found.ids, found.ids
        )
    return dict(submission=dict(file='submission.csv', rows=len(found.ids)))


def write(work: Work, final: Final, said: Mapping[str, Any]) -> None:
    """artifacts/: what the network said of held-out images, the worst mistakes, Grad-CAM.

    And the evidence.
    """
    folder, dataset = work.session.workdir / 'artifacts', work.dataset
    labels, ids = dataset.labels[final.indices], np.asarray([dataset.ids[i] for i in final.indices])
    likely = tta.probabilities(final.logits, said['temperature'])
    arrays = dict(
        logits=final.logits, labels=labels.astype(np.int32), ids=ids, split=np.asarray(final.part)
    )
    workdir.write_arrays(
        folder / 'evaluation.npz', arrays | dict(temperature=np.asarray(said['temperature']))
    )
    predicted = likely.argmax(1)
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(-likely[wrong, predicted[wrong]], kind='stable')][:MISTAKES]
    _pictures(
        folder / 'mistakes.npz',
        dataset,
        final,
        worst,
        likely,
        _small(dataset, final.indices[worst]),
    )
    count = work.experiment.finetune.explain
    if count and 'finetune' in work.experiment.stages:
        right = np.random.default_rng(0).permutation(np.flatnonzero(predicted == labels))[
            : count - count // 2
        ]
        chosen = np.concatenate([worst[: count // 2], right])
        module = work.network.module.clone(num_classes=len(said['class_names']))
        batch = np.stack([dataset.images[i] for i in final.indices[chosen]])
        maps = gradcam.gradcam(module, final.members, said, batch, predicted[chosen])
        seen = gradcam.seen(module, said, batch)
        _pictures(
            folder / 'gradcam.npz', dataset, final, chosen, likely, seen, maps=np.asarray(maps)
        )
    findings = workdir.read_json(work.session.workdir / 'plan.json')['data']['findings']
    pairs = audit.pictures(dataset, findings)
    if pairs:
        workdir.write_arrays(folder / 'near_duplicates.npz', pairs)
    workdir.write(folder / 'evidence.json', json.dumps(evidence(work), indent=1) + '\n')


def evidence(work: Work) -> list[dict[str, Any]]:
    """What ablations found for the decisions of this recipe: those that are named.

    Else those beside this workdir.
    """
    named = [pathlib.Path(path) for path in work.experiment.evidence]
    found, refused = [], {}
    for field, ablation in DECISIONS.items():
        for top in named or [work.session.workdir.resolve().parent / ablation]:
            try:
                config = (
                    workdir.read_json(top / 'config.json') if (top / 'config.json').exists() else {}
                )
                if config.get('factor', config.get('name')) and config.get('name') == ablation:
                    workdir.check(top)
                    found += _verdicts(field, ablation, config, top)
            except InputError as error:
                refused[str(error)] = f'{error}; its verdicts are left out'
    for text in refused.values():
        warn(text)
    return found


def _verdicts(
    field: str, ablation: str, config: Mapping[str, Any], top: pathlib.Path
) -> list[dict[str, Any]]:
    rows = tables.read_table(top / 'summary.csv', tables.SUMMARY)
    return [
        dict(
            field=field,
            value=row['option'],
            experiment=ablation,
            verdict=row['verdict'],
            difference=row['difference'],
            low=row['difference_low'],
            high=row['difference_high'],
            option=row['option'],
            baseline=row['baseline'],
            dataset=config['data']['dataset'],
            workdir=str(top),
            condition=row['condition'],
        )
        for row in rows
        if row['verdict']
    ]


def _pictures(
    path: pathlib.Path,
    dataset: Dataset,
    final: Final,
    chosen: np.ndarray,
    likely: np.ndarray,
    images: np.ndarray,
    **more: np.ndarray,
) -> None:
    """Pictures uint8 [m, side, side, 3] of held-out images and what was said of them.

    `chosen` are rows of `likely`.
    """
    if not len(chosen):
        return
    indices, predicted = final.indices[chosen], likely[chosen].argmax(1)
    arrays = dict(
        images=images,
        ids=np.asarray([dataset.ids[i] for i in indices]),
        labels=dataset.labels[indices].astype(np.int32),
        predicted=predicted.astype(np.int32),
        probability=likely[chosen, predicted],
    )
    workdir.write_arrays(path, arrays | more)


def _small(dataset: Dataset, indices: np.ndarray) -> np.ndarray:
    """Images as small pictures, uint8 [m, SIDE, SIDE, 3]."""
    side = (max(1, len(indices)), SIDE, SIDE, 3)
    images = (
        np.stack([dataset.images[i] for i in indices]) if len(indices) else np.zeros((1, 1, 1, 3))
    )
    small = jax.image.resize(jnp.asarray(images, jnp.float32), side, 'linear')
    return np.clip(np.round(np.asarray(small)), 0, 255).astype(np.uint8)
