"""Synthetic workdir of a fine-tuning, for tests of its readers; deterministic."""

import itertools
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxdl import workdir as folder
from jaxdl.report.finetune import reading
from jaxdl.statistics import classification
from jaxdl.workdir import tables

KINDS = (
    'Golden-Delicious',
    'Granny-Smith',
    'Royal-Gala',
    'Conference-Pear',
    'Beef-Tomato',
    'Vine-Tomato',
    'Yellow-Onion',
    'Green-Bell-Pepper',
    'Red-Grapefruit',
    'Sweet-Potato',
)
SORTS = (
    '',
    '-Organic',
    '-Family-Pack',
    '-Bravo-Juice-2L',
    '-Arla-Ecological-Medium-Fat-Milk',
    '-Tropicana-Smooth-Juice',
    '-Yoggi-Yoghurt-Low-Fat',
    '-God-Morgon-Smoothie',
)
CLASSES = (*(f'{kind}{sort}' for kind, sort in itertools.product(KINDS, SORTS)), 'Zucchini')
COUNTS = dict(train=2496, val=440, test=0)
RATES, DECAYS, ADJUSTMENTS = (0.03, 0.1, 0.3, 1.0), (0.0, 1e-5, 1e-4, 1e-3), (0.0, 0.25, 0.5, 1.0)
VERSIONS = dict(
    python='3.11.7', jaxdl='0.4.0', jax='0.10.2', flax='0.12.0', optax='0.2.7', numpy='2.4.6'
)
SIDE = 96
# Default of some settings; the others of the configuration have no default here.
DEFAULTS: dict[str, Any] = {
    'stages': ['probe', 'finetune'],
    'variant.learning_rate': 0.1,
    'variant.weight_decay': 0.0,
    'variant.dropout': 0.0,
    'variant.label_smoothing': 0.0,
    'variant.colour': 0.0,
    'variant.flip': 0.0,
    'variant.mixup': 0.0,
    'variant.optimizer': 'momentum',
    'variant.schedule': 'cosine',
    'finetune.layer_decay': 1.0,
    'probe.passes': 20,
}
ARTIFACTS = (
    'probe.csv',
    'split.json',
    'evaluation.npz',
    'mistakes.npz',
    'gradcam.npz',
    'evidence.json',
    'label_issues.json',
    'label_issues.npz',
)


def make(
    path: pathlib.Path,
    stages: Sequence[str] = ('probe', 'finetune'),
    classes: Sequence[str] = CLASSES,
    runs: Sequence[str] = ('finetune',),
    epochs: int = 8,
    scale: str = 'full',
    grouped: bool = True,
    images: int = COUNTS['val'],
    leave_out: Sequence[str] = (),
) -> pathlib.Path:
    """Writes a finished workdir to `path` and returns it; artifacts in `leave_out` are missing."""
    by_probe, labels = _logits(len(classes), images, 3.6)
    logits = _logits(len(classes), images, 4.3)[0] if 'finetune' in stages else by_probe
    temperature = classification.fit_temperature(logits, labels)
    evaluation = classification.scores(logits, labels) | dict(
        ece_calibrated=classification.calibration_error(logits / temperature, labels),
        temperature=temperature,
        split='val',
        images=images,
    )
    probe = evaluation | classification.scores(by_probe, labels)
    probe |= dict(learning_rate=0.3, weight_decay=1e-5, logit_adjustment=0.25)
    scores = dict(probe=probe) | (
        dict(finetune=evaluation | dict(epoch=epochs)) if 'finetune' in stages else {}
    )
    rows = [
        *_probe_rows(probe),
        *(_finetune_rows(runs, epochs, evaluation) if 'finetune' in stages else ()),
    ]
    tables.write_table(path / 'results.csv', tables.RESULTS, rows)
    folder.write_json(path / 'config.json', _config(stages, scale))
    folder.write_json(path / 'plan.json', _plan(classes, images))
    folder.write_json(path / 'run.json', _run(scores))
    _artifacts(path / 'artifacts', logits, labels, temperature, len(classes), grouped)
    if 'finetune' in stages:
        file = path / 'artifacts' / 'evaluation.npz'
        predicted = by_probe.argmax(1).astype(np.int32)
        folder.write_arrays(file, dict(np.load(file)) | dict(probe_predicted=predicted))
    for name in leave_out:
        (path / 'artifacts' / name).unlink()
    return path


def _logits(classes: int, n: int, skill: float) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities and unbalanced labels; neighbouring classes are confused most."""
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(classes, 2.0))
    labels = rng.choice(classes, n, p=shares)
    logits = rng.normal(0, 1, (n, classes))
    alike = 0.55 * (np.arange(classes) // 4 == labels[:, None] // 4)
    logits += skill * np.maximum(np.eye(classes)[labels], alike)
    return classification.log_softmax(3.0 * logits).astype(np.float32), labels.astype(np.int32)


def _row(
    phase: str, option: str, rate: float, epoch: int, split: str, metric: str, value: float
) -> tables.Row:
    return dict(
        condition='',
        phase=phase,
        option=option,
        learning_rate=rate,
        seed=0,
        epoch=epoch,
        split=split,
        metric=metric,
        value=value,
    )


def _probe_rows(probe: dict[str, Any]) -> list[tables.Row]:
    names = ('loss', 'accuracy', 'top5', 'macro_f1', 'weighted_f1', 'ece')
    return [_row('probe', 'probe', 0.3, 60, 'val', name, probe[name]) for name in names] + [
        _row('probe', 'probe', 0.3, 60, 'train', name, value)
        for name, value in dict(loss=0.02, accuracy=0.999).items()
    ]


def _finetune_rows(runs: Sequence[str], epochs: int, scores: dict[str, float]) -> list[tables.Row]:
    rows = []
    for number, run in enumerate(runs):
        noise = np.random.default_rng(number).normal(0, 0.006, (epochs, 2))
        for epoch in range(1, epochs + 1):
            left = np.exp(-3.0 * epoch / epochs) + (
                noise[epoch - 1, 0] if epoch < epochs or number else 0
            )
            val = dict(
                loss=scores['loss'] + 0.4 * left,
                accuracy=scores['accuracy'] - 0.12 * left,
                macro_f1=scores['macro_f1'] - 0.15 * left,
                top5=scores['top5'],
                weighted_f1=scores['weighted_f1'] - 0.1 * left,
                ece=scores['ece'],
            )
            train = dict(loss=0.75 + 0.9 * left, accuracy=0.985 - 0.35 * left)
            for split, values in dict(train=train, val=val).items():
                rows += [
                    _row('finetune', run, 0.01, epoch, split, name, value)
                    for name, value in values.items()
                ]
    return rows


def _config(stages: Sequence[str], scale: str) -> dict[str, Any]:
    variant = dict(
        learning_rate=0.01,
        momentum=0.9,
        beta2=0.999,
        weight_decay=1e-4,
        dropout=0.0,
        label_smoothing=0.1,
        rotation=0.0,
        translation=0.0,
        colour=0.2,
        flip=0.5,
        mixup=0.0,
        cutmix=0.0,
        erasing=0.0,
        init='he_normal',
        loss='softmax_cross_entropy',
        optimizer='momentum',
        schedule='warmup_cosine',
        batch_size=32,
        norm='batch',
        pooling='max',
        global_pooling='avg',
        depth=2,
        model='cnn',
    )
    recipe = dict(
        epochs=8,
        start='probe',
        train_size=128,
        eval_size=160,
        sizes=[],
        crop_area=0.35,
        layer_decay=1.0,
        frozen=[],
        unfreeze_epochs=0.0,
        norms='batch',
        ema=0.0,
        clip=0.0,
        accumulation=1,
        precision='float32',
        imbalance='none',
        adjustment=1.0,
        metric='macro_f1',
        fix_epochs=0,
        folds=1,
        seeds=1,
        average='probabilities',
        views='flip',
    )
    return dict(
        kind='FineTune',
        name='finetune',
        scale=scale,
        stages=list(stages),
        architecture='',
        revision='',
        weights='/home/someone/weights/resnet50v2.npz',
        recipe='sgd',
        variant=variant,
        finetune=recipe,
        question='How good is a pretrained network on your images, '
        'once all of its layers have learnt them?',
        data=dict(
            dataset='foodc:/home/someone/grocery',
            split='grouped',
            fractions=[0.85, 0.15, 0.0],
            split_seed=0,
        ),
        probe=dict(
            learning_rates=RATES,
            weight_decays=DECAYS,
            logit_adjustments=ADJUSTMENTS,
            repeats=3,
            passes=60,
        ),
        evidence=['runs/optimizer', 'runs/augmentation'],
    )


def _plan(classes: Sequence[str], images: int) -> dict[str, Any]:
    part = dict(
        smallest=[classes[3], 0],
        largest=[classes[1], 120],
        missing=dict(count=1, examples=[classes[3]]),
    )
    between = {name: dict(pairs=0, images=0) for name in ('train-val', 'train-test', 'val-test')}
    nothing = dict(count=0, examples=[])
    alike = dict(pairs=12, across=between, examples=[], conflicts=nothing)
    findings = dict(
        split='in whole groups of similar images',
        imbalance=24.0,
        single=nothing,
        skipped=nothing,
        parts=dict(
            train=dict(
                images=COUNTS['train'], classes=len(classes), **part | dict(missing=nothing)
            ),
            val=dict(images=images, classes=len(classes) - 1, **part),
        ),
        identical=dict(files=0, **alike),
        near=dict(checked=True, clusters=310, clustered=1890, largest=48, **alike),
    )
    data = COUNTS | dict(
        name='foodc:/home/someone/grocery',
        description='the challenge in /home/someone/grocery: train.csv, test.csv',
        classes=list(classes),
        image_shape=[96, 96, 3],
        val=images,
        unlabelled=2485,
        checksum='5f0c2a9e17b3d4e5f6a7b8c9',
        findings=findings,
        decoder='simplejpeg 1.8.2',
        split='in whole groups',
    )
    model = dict(
        architecture='resnet50v2_stage3',
        parameters=8_600_000,
        weights='resnet50v2.npz',
        revision='',
        train_size=128,
        eval_size=160,
        weights_checksum='aa11bb22cc33dd44ee55ff66',
        features=1024,
        weights_notes=['the network is under model. (161 tensors)'],
        preprocessing=dict(
            mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225], size=224, crop=0.875
        ),
    )
    return dict(
        data=data,
        model=model,
        steps=dict(per_epoch=78, total=624),
        phases=[],
        heads=48,
        devices=dict(platform='cpu', kind='cpu', count=1),
        processes=1,
        cores=2,
        versions=VERSIONS,
        conv='onednn',
        defaults=DEFAULTS,
    )


def _run(scores: dict[str, Any]) -> dict[str, Any]:
    group = dict(
        condition='',
        phase='probe',
        options=['probe'],
        members=48,
        traces=1,
        steps=4680,
        batch_size=32,
        compile_seconds=1.8,
        train_seconds=21.4,
        evaluate_seconds=0.4,
        conv='none',
    )
    return dict(
        command='python -m jaxdl.main --experiment=finetune --workdir=/home/someone/runs/grocery',
        git='abc1234',
        date='2026-11-25',
        versions=VERSIONS,
        device='1 x cpu (2 cores)',
        groups=[group],
        finished=True,
        resumed=1,
        seconds=dict(
            features=310.0, probe=24.1, compile=31.0, train=2890.0, evaluate=120.0, total=3390.0
        ),
        scores=scores,
        input_wait=0.031,
        images_per_second=6.9,
        submission=dict(file='submission.csv', rows=2485),
    )


def _artifacts(
    path: pathlib.Path,
    logits: np.ndarray,
    labels: np.ndarray,
    temperature: float,
    classes: int,
    grouped: bool,
) -> None:
    tables.write_table(path / 'probe.csv', reading.PROBE, _grid())
    counts = dict(train=COUNTS['train'], val=len(labels))
    doubt = [
        dict(split='at random', accuracy=0.9752, macro_f1=0.9688, **counts),
        dict(split='in whole groups', accuracy=0.7614, macro_f1=0.7306, **counts),
    ]
    drawn = (
        'in whole groups of similar images' if grouped else 'at random, each class with its share'
    )
    folder.write_json(
        path / 'split.json', dict(drawn=drawn, groups=310, largest=48, grouped=grouped, doubt=doubt)
    )
    ids = np.array([f'train_images/{i:05}.jpg' for i in range(len(labels))])
    arrays = dict(
        logits=logits,
        labels=labels,
        ids=ids,
        group=_groups(labels) if grouped else ids,
        temperature=np.array(temperature),
        split=np.array('val'),
    )
    folder.write_arrays(path / 'evaluation.npz', arrays)
    predicted = logits.argmax(1)
    sure = np.exp(classification.log_softmax(logits / temperature).max(1))
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(-sure[wrong])][:24]
    pictures = np.stack([picture(int(i)) for i in range(24)])
    evaluation = dict(
        ids=ids[worst], labels=labels[worst], predicted=predicted[worst], probability=sure[worst]
    )
    folder.write_arrays(path / 'mistakes.npz', dict(images=pictures[: len(worst)], **evaluation))
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]  # type: ignore[misc]
    maps = np.stack(
        [np.exp(-4 * ((x - 0.3 * np.cos(i)) ** 2 + (y - 0.3 * np.sin(i)) ** 2)) for i in range(8)]
    )
    examples = dict(
        ids=ids[:8], labels=np.r_[labels[:6], -1, -1], predicted=predicted[:8], probability=sure[:8]
    )
    folder.write_arrays(
        path / 'gradcam.npz', dict(images=pictures[:8], maps=maps.astype(np.float32), **examples)
    )
    folder.write(path / 'evidence.json', json.dumps(_evidence()))
    suspicious = dict(
        ids=ids[:8],
        labels=labels[:8],
        predicted=(labels[:8] + 1) % classes,
        probability=np.linspace(0.97, 0.6, 8)[: len(ids)],
    )
    folder.write_arrays(
        path / 'label_issues.npz', dict(images=pictures[: len(ids[:8])], **suspicious)
    )
    facts = dict(examined=2936, left_out=2, issues=31, share=0.0124, folds=5)
    folder.write_json(path / 'label_issues.json', facts)


def _groups(labels: np.ndarray) -> np.ndarray:
    """Bursts of four images of one class, in the order of the images."""
    before = [int(np.sum(labels[:i] == label)) for i, label in enumerate(labels)]
    return np.array([f'burst {label}.{n // 4}' for label, n in zip(labels, before, strict=True)])


def _grid() -> list[tables.Row]:
    rng, rows = np.random.default_rng(0), []
    for rate, decay, adjustment, seed in itertools.product(RATES, DECAYS, ADJUSTMENTS, range(3)):
        far = abs(np.log(rate / 0.3)) / 3 + (decay == 1e-3) * 0.6 + abs(adjustment - 0.25) * 0.4
        value = 0.7614 - 0.05 * far + rng.normal(0, 0.002)
        diverged = rate == 1.0 and decay == 1e-3
        rows.append(
            dict(learning_rate=rate, weight_decay=decay, logit_adjustment=adjustment, seed=seed)
            | dict(
                accuracy=np.nan if diverged else value,
                macro_f1=np.nan if diverged else value - 0.03,
            )
        )
    return rows


def _evidence() -> list[dict[str, Any]]:
    def entry(
        field: str,
        option: str,
        difference: float,
        verdict: str,
        study: str = 'finetune_recipe',
        **more: Any,
    ) -> dict[str, Any]:
        spread = dict(difference=difference, low=difference - 0.012, high=difference + 0.012)
        facts = dict(experiment=study, dataset='digits', file=f'{study}/summary.csv')
        compared = dict(field=field, option=option, baseline='usual', verdict=verdict)
        return compared | facts | spread | dict(finetuning=study.startswith('finetune')) | more

    return [
        entry('variant.optimizer', 'adamw', -0.004, 'no difference found', 'optimizer'),
        entry('variant.schedule', 'warmup_cosine', 0.021, 'better', 'schedule'),
        entry('variant.mixup', 'mixup', -0.018, 'worse'),
        entry('finetune.layer_decay', 'layer decay', 0.002, 'no difference found', metric='auroc'),
        entry('variant.flip', 'all', 0.011, 'better', others=['variant.colour']),
        entry('variant.colour', 'all', 0.011, 'better', others=['variant.flip']),
    ]


def picture(seed: int) -> np.ndarray:
    """A round thing on a table: uint8 [96, 96, 3]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]  # type: ignore[misc]
    ground, fruit = rng.uniform(90, 220, 3), rng.uniform(40, 240, 3)
    cx, cy, r = (*rng.uniform(-0.3, 0.3, 2), rng.uniform(0.4, 0.7))
    light = np.clip(1.1 - 0.6 * np.hypot(x - cx + 0.2, y - cy + 0.2), 0, 1.2)[..., None]
    inside = (np.hypot(x - cx, y - cy) < r)[..., None]
    noise = rng.normal(0, 6, (SIDE, SIDE, 3))
    return np.clip(
        np.where(inside, fruit * light, ground * (0.8 + 0.1 * y[..., None])) + noise, 0, 255
    ).astype(np.uint8)
