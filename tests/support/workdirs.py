"""Synthetic workdir of an ablation, for tests of its readers; deterministic."""

import dataclasses
import math
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl import workdir as folder
from jaxdl.statistics import protocol
from jaxdl.statistics import variance as components
from jaxdl.workdir import tables
from jaxdl.workdir.correct import CorrectTable, write_correct

RATES = (0.01, 0.0316, 0.1, 0.316, 1.0)
# option -> (its error in the end, its best learning rate): avg is better than max, strided worse,
# the rest are close.
OPTIONS = {
    'max': (0.030, 0.1),
    'avg': (0.022, 0.1),
    'avgmax': (0.0295, 0.1),
    'l2': (0.026, 0.316),
    'strided': (0.06, 0.0316),
    'gem': (0.029, 0.1),
    'lp3': (0.031, 0.1),
    'median': (0.034, 0.0316),
    'blur': (0.0275, 0.1),
}
IMAGES = dict(train=1078, val=359, test=360)
VARIANCE = dict(condition=str, init=int, order=int, augmentation=int, split=int, accuracy=float)
VERSIONS = dict(
    python='3.11.7', jaxdl='0.1.0', jax='0.10.2', flax='0.12.0', optax='0.2.6', numpy='2.4.6'
)


@dataclasses.dataclass(frozen=True)
class Study:
    """Settings of a synthetic ablation.

    `diverged`: (option, learning rate, seed) -> the epoch in which that member diverges.
    `planted`: (option, measuring seed) -> epoch, and the loss and the accuracy that it has from
    then on.

    The first option is the baseline; a best rate outside of `rates` makes the grid grow.
    """

    options: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=lambda: first(5))
    seeds: int = 10
    tuning_seeds: int = 3
    epochs: int = 20
    rates: Sequence[float] = RATES
    conditions: Mapping[str, dict[str, Any]] = dataclasses.field(default_factory=lambda: {'': {}})
    diverged: Mapping[tuple[str, float, int], int] = dataclasses.field(default_factory=dict)
    planted: Mapping[tuple[str, int], tuple[int, float, float]] = dataclasses.field(
        default_factory=dict
    )
    scale: str = 'full'
    question: str = 'Does the way a network pools change what it learns?'
    classes: Sequence[str] = tuple('0123456789')
    margin: float | None = None
    second_factor: str = ''
    comparisons: Sequence[tuple[str, str]] = ()
    effects: Mapping[tuple[str, str], float] = dataclasses.field(
        default_factory=dict
    )  # (condition, option) -> error
    variance: Mapping[str, float] | None = (
        None  # source -> planted standard deviation, for artifacts/variance.csv
    )


def first(count: int) -> dict[str, tuple[float, float]]:
    """The first `count` of OPTIONS."""
    return dict(list(OPTIONS.items())[:count])


def make(path: pathlib.Path, **changes: Any) -> pathlib.Path:
    """Writes the finished workdir of `Made(**changes)` to `path`, which it returns."""
    study = Study(**changes)
    rows = [
        row
        for condition in study.conditions
        for option in study.options
        for row in _option(study, condition, option)
    ]
    tables.write_table(path / 'results.csv', tables.RESULTS, rows)
    tables.write_table(path / 'costs.csv', tables.COSTS, _costs(study))
    folder.write_json(path / 'config.json', _config(study))
    folder.write_json(
        path / 'plan.json',
        dict(
            data=dict.fromkeys(study.conditions, _data(study)),
            devices=dict(platform='cpu', kind='cpu', count=1),
            cores=2,
            versions=VERSIONS,
            groups=[],
            defaults={key: _config(study)[key] for key in ('variant', 'data')},
        ),
    )
    folder.write_json(path / 'run.json', _run(study, len(rows)))
    _correct(path / 'correct.npz', rows)
    if study.variance:
        tables.write_table(
            path / 'artifacts' / 'variance.csv', VARIANCE, _variance(study, study.variance)
        )
    return path


def _option(study: Study, condition: str, option: str) -> list[tables.Row]:
    """Both phases of an option: its grid grows as the protocol says."""
    rows, tried, todo, best = [], [], sorted(study.rates), study.rates[0]
    while len(study.rates) > 1 and todo and len(tried) < len(study.rates) + 2:
        for rate in todo:
            for seed in range(study.tuning_seeds):
                rows += _member(study, condition, 'tune', option, rate, seed)
        tried += todo
        best = protocol.best_rate(protocol.validation_means(rows, option, condition))
        grown = protocol.grow(tried, best)
        todo = [grown] if grown else []
    for seed in range(protocol.MEASURING_SEED, protocol.MEASURING_SEED + study.seeds):
        rows += _member(study, condition, 'measure', option, best, seed)
    return rows


def _member(
    study: Study, condition: str, phase: str, option: str, rate: float, seed: int
) -> Iterator[tables.Row]:
    error, best = study.options[option]
    error += study.effects.get((condition, option), 0.0)
    last, chance = error + 0.03 * math.log10(rate / best) ** 2, 1 / len(study.classes)
    noise = _noise(seed, condition) + 0.6 * _noise(
        seed, option
    )  # the first is shared by a seed: pairing
    stops = study.diverged.get((option, rate, seed), math.inf)
    head = dict(condition=condition, phase=phase, option=option, learning_rate=rate, seed=seed)
    for epoch in range(1, study.epochs + 1):
        fade = (1 - chance) * math.exp(-1.1 * epoch**0.75)
        errors = dict(
            train=0.35 * last + fade + 0.001 * noise[0],
            val=1.3 * last + 0.8 * fade + 0.006 * noise[1],
        )
        if phase == 'measure' and epoch == study.epochs:
            errors['test'] = last + 0.8 * fade + 0.006 * noise[2]
        for split, wrong in errors.items():
            accuracy = 1 - round(min(max(wrong, 0.0), 1.0) * IMAGES[split]) / IMAGES[split]
            loss, accuracy = (
                (math.nan, chance) if epoch >= stops else (3 * max(wrong, 1e-4), accuracy)
            )
            if phase == 'measure' and epoch >= study.planted.get((option, seed), (math.inf,))[0]:
                loss, accuracy = study.planted[option, seed][1:]
            yield head | dict(epoch=epoch, split=split, metric='loss', value=loss)
            yield head | dict(epoch=epoch, split=split, metric='accuracy', value=accuracy)


def _noise(seed: int, name: str) -> np.ndarray:
    return np.random.default_rng([seed, *map(ord, name)]).standard_normal(3)


def _correct(path: pathlib.Path, rows: Sequence[tables.Row]) -> None:
    """Correct test images of each measured member: easy images first, as many as its accuracy."""
    tested = [row for row in rows if row['phase'] == 'measure' and row['split'] == 'test']
    losses = [row['value'] for row in tested if row['metric'] == 'loss']
    tested = [row for row in tested if row['metric'] == 'accuracy']
    images, correct = IMAGES['test'], []
    ease = np.random.default_rng(0).normal(0, 1, images)
    for row, loss in zip(tested, losses, strict=True):
        order = np.argsort(
            -ease
            - np.random.default_rng([row['seed'], *map(ord, row['option'])]).normal(0, 0.5, images)
        )
        right = 0 if math.isnan(loss) else round(row['value'] * images)
        correct.append(np.isin(np.arange(images), order[:right]))
    columns = {
        key: np.asarray([row[key] for row in tested]) for key in ('condition', 'option', 'seed')
    }
    names, right = np.asarray([f'digit {i:04}' for i in range(images)]), np.array(correct)
    table = CorrectTable(right, np.ones_like(right), names, group=names, **columns)
    write_correct(path, table)


def _variance(study: Study, deviations: Mapping[str, float]) -> list[tables.Row]:
    """One run for each row of an orthogonal array, its accuracy the sum of what each level adds."""
    sources, rng = ('init', 'order', 'augmentation', 'split'), np.random.default_rng(0)
    levels = components.orthogonal_array(7, len(sources))
    adds = {source: rng.normal(0, deviations.get(source, 0.0), 7) for source in sources}
    rest = rng.normal(0, deviations['rest'], (len(study.conditions), len(levels)))
    return [
        dict(zip(sources, map(int, run), strict=True))
        | dict(condition=condition)
        | dict(
            accuracy=0.95
            + rest[c, i]
            + sum(adds[s][level] for s, level in zip(sources, run, strict=True))
        )
        for c, condition in enumerate(study.conditions)
        for i, run in enumerate(levels)
    ]


def _costs(study: Study) -> list[tables.Row]:
    return [
        dict(
            condition=condition,
            option=option,
            parameters=12346 + 640 * (option == 'strided'),
            flops=1.23e6 + 2e4 * i,
            seconds_per_member=0.41 + 0.03 * i,
        )
        for condition in study.conditions
        for i, option in enumerate(study.options)
    ]


def _config(study: Study) -> dict[str, Any]:
    return dict(
        margin=study.margin,
        second_factor=study.second_factor,
        comparisons=[list(pair) for pair in study.comparisons],
        kind='Ablation',
        name='pooling',
        scale=study.scale,
        question=study.question,
        factor='pooling',
        baseline=next(iter(study.options)),
        options={option: dict(pooling=option) for option in study.options},
        why={
            option: f'the {option} of four neighbours is what is passed on'
            for option in study.options
        },
        conditions=dict(study.conditions),
        variant=dict(
            learning_rate=0.1,
            momentum=0.9,
            dropout=0.0,
            model='cnn',
            width=16,
            depth=2,
            pooling='max',
        ),
        data=dict(dataset='digits', split='stratified', fractions=[0.6, 0.2, 0.2], split_seed=0),
        learning_rates=list(study.rates),
        seeds=study.seeds,
        tuning_seeds=study.tuning_seeds,
        epochs=study.epochs,
    )


def _data(study: Study) -> dict[str, Any]:
    return dict(
        name='digits',
        description="scikit-learn's digits: handwritten digits, 8 by 8 pixels, 1797 images",
        classes=list(study.classes),
        image_shape=[8, 8, 1],
        checksum='5f0c2a9e17b3',
        **IMAGES,
    )


def _run(study: Study, rows: int) -> dict[str, Any]:
    phases = dict(tune=study.tuning_seeds * len(study.rates), measure=study.seeds)
    groups = [
        dict(
            condition=condition,
            phase=phase,
            options=[option],
            members=members,
            traces=1,
            steps=34 * study.epochs,
            batch_size=32,
            compile_seconds=3.04,
            train_seconds=0.41 * members,
            evaluate_seconds=0.1,
            conv='patches',
        )
        for condition in study.conditions
        for phase, members in phases.items()
        for option in study.options
    ]
    return dict(
        command='python -m jaxdl.main --experiment=pooling --workdir=/home/someone/runs/pooling',
        git='abc1234',
        date='2026-11-23',
        versions=VERSIONS,
        device='1 x cpu (2 cores)',
        groups=groups,
        results_rows=rows,
        resumed=0,
        seconds=dict(compile=30.1, train=51.0, evaluate=4.0, total=92.5),
        finished=True,
    )
