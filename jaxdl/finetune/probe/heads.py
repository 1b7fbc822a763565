"""Linear heads of frozen features, all of them in one group of the ensemble engine.

On features that are whitened.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import ensemble
from jaxdl.config.recipe import Probe
from jaxdl.data import Dataset, Splits
from jaxdl.data.on_device import Resident, resident
from jaxdl.ensemble import Member, Programs, Training, autotune, chunks
from jaxdl.runtime.signals import Interrupted
from jaxdl.statistics import classification
from jaxdl.train.variant import Variant

BATCH = 128
# on the grocery photographs 0.01 to 0.1 are within a point; without whitening it is five points
# less
SHRINKAGE = 0.1

Head = dict[
    str, np.ndarray
]  # kernel float32 [features, classes], bias [classes]: of the features as they are
Cell = tuple[float, float]  # learning rate, weight decay
Heads = dict[Cell, list[Head]]  # one a seed
White = tuple[np.ndarray, np.ndarray]  # mean [f] and matrix [f, f]


@dataclasses.dataclass(frozen=True)
class Work:
    """What heads are trained on, features float32 [n, view, f] and labels int [n].

    And who is told of it.
    """

    probe: Probe
    metric: str
    features: np.ndarray
    labels: np.ndarray
    num_classes: int
    note: Callable[..., None]
    interrupted: Callable[[], int | None]
    entries: list[dict[str, Any]]


def trained(work: Work, cells: Sequence[Cell], train: np.ndarray, val: np.ndarray) -> Heads:
    """Heads of every cell and seed on the images `train`: all at once, or as many as fit."""
    white = whitening(work.features[train].reshape(-1, work.features.shape[-1]))
    data = _resident(work, train, val, white)
    size = min(BATCH, data.train.shape[-1])
    seeds = range(work.probe.repeats)
    own = [Member('probe', seed, _variant(cell, size)) for seed in seeds for cell in cells]
    trained, programs = {}, None
    for chunk in _chunks(own, work):
        training = ensemble.start(
            np.zeros_like(chunk), own, data, work.num_classes, work.probe.passes
        )  # all at 0
        variants, row_keys = ensemble.inputs(chunk, own)
        if programs is None:
            _note(work, 'compile', chunk)
            programs = ensemble.compile_programs(
                variants, row_keys, training.states, data, work.num_classes, ensemble.noise_of(own)
            )
            _enter(work, programs, training, data, size, len(own))
        ensemble.train(
            training,
            programs,
            variants,
            row_keys,
            data,
            functools.partial(_after_epoch, work, chunk),
        )
        trained |= dict(zip(chunk.flat, _heads(training, white), strict=True))
        _spent(work, training)
    return {
        cell: [trained[seed * len(cells) + i] for seed in seeds] for i, cell in enumerate(cells)
    }


def log_probabilities(head: Mapping[str, np.ndarray], features: np.ndarray) -> np.ndarray:
    """What a head says of features [n, view, f]: log softmax, averaged over the views, float32 [n.

    Classes].
    """
    logits = features @ head['kernel'] + head['bias']
    return classification.log_softmax(logits).mean(1).astype(np.float32)


def mean_of(heads: Sequence[Head]) -> Head:
    """The head whose logits are the mean of theirs."""
    return {name: np.mean([head[name] for head in heads], 0) for name in ('kernel', 'bias')}


def whitening(features: np.ndarray) -> White:
    """Mean [f] and matrix [f.

    F] such that (features - mean) @ matrix varies alike in most directions.

    Of features [n, f]; the matrix is (covariance + SHRINKAGE of the mean variance)^-1/2, scaled to
    a mean variance of 1. Few directions hold most of the variance, and weight decay ties the head
    to them; without them in the way the grid is well conditioned too, and converges in a few
    passes.
    """
    mean = features.mean(0, dtype=np.float64)
    centred = features - mean.astype(np.float32)
    values, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64) / len(features))
    values = np.maximum(values, 0)
    shrunk = values + SHRINKAGE * max(values.mean(), 1e-12)
    scale = np.sqrt(np.mean(values / shrunk)) or 1.0
    return mean, (vectors / (scale * np.sqrt(shrunk))) @ vectors.T


def _variant(cell: Cell, batch_size: int) -> Variant:
    rate, decay = cell
    return Variant(
        learning_rate=rate, weight_decay=decay, model='linear', init='zeros', batch_size=batch_size
    )


def _resident(work: Work, train: np.ndarray, val: np.ndarray, white: White) -> Resident:
    """The whitened features as images of one pixel, a row a view."""
    (_, views, width), (mean, matrix) = work.features.shape, white
    rows = lambda indices: (indices[:, None] * views + np.arange(views)).ravel()
    pixels = (work.features.reshape(-1, width) - mean.astype(np.float32)) @ matrix.astype(
        np.float32
    )
    labels, names = np.repeat(work.labels, views), tuple(map(str, range(work.num_classes)))
    dataset = Dataset('features', '', pixels.reshape(-1, 1, 1, width), labels, (), names)
    data = resident(dataset, [Splits(rows(train), rows(val), rows(val[:0]))])
    return data._replace(mean=jnp.zeros((1, width)), std=jnp.ones((1, width)))


def _chunks(own: Sequence[Member], work: Work) -> list[np.ndarray]:
    """Member indices [row, column], a row for each seed."""
    state = (
        3 * 4 * (work.features.shape[-1] + 1) * work.num_classes
    )  # bytes: weights, their averages, their gradients
    devices = jax.local_device_count()
    rows, sides = chunks.layout(
        [m.stream for m in own], devices, chunks.at_once(state), chunks.cores_of_a_device()
    )
    return chunks.cut(rows, sides, devices)


def _heads(training: Training, white: White) -> list[Head]:
    """The heads of a chunk, in order, as they apply to features that are not whitened."""
    kernels, biases = (
        np.asarray(training.states.params['head'][name], np.float64) for name in ('kernel', 'bias')
    )
    mean, matrix = white
    kernels = matrix @ kernels.reshape(-1, *kernels.shape[2:])
    biases = biases.reshape(len(kernels), -1) - mean @ kernels
    return [
        dict(kernel=k.astype(np.float32), bias=b.astype(np.float32))
        for k, b in zip(kernels, biases, strict=True)
    ]


def _after_epoch(work: Work, chunk: np.ndarray, training: Training) -> None:
    lost = int(np.sum(~np.isfinite(training.history['train_loss'][training.epoch - 1])))
    _note(work, 'epoch', chunk, epoch=training.epoch, epochs=work.probe.passes, diverged=lost)
    if signal := work.interrupted():
        raise Interrupted(signal)


def _note(work: Work, name: str, chunk: np.ndarray, **facts: Any) -> None:
    work.note(
        name, condition='', phase='probe', options=['probe'], members=len(np.unique(chunk)), **facts
    )


def _enter(
    work: Work, programs: Programs, training: Training, data: Resident, size: int, count: int
) -> None:
    """A new entry of run.json."""
    steps = work.probe.passes * ensemble.steps_per_epoch(data, size)
    entry = dict(
        condition='',
        phase='probe',
        options=['probe'],
        members=count,
        traces=programs.traces,
        steps=steps,
    )
    seconds = dict(
        compile_seconds=round(programs.seconds, 3), train_seconds=0.0, evaluate_seconds=0.0
    )
    work.entries.append(entry | dict(batch_size=size) | seconds | dict(conv=autotune.NONE))


def _spent(work: Work, training: Training) -> None:
    for name in ('train', 'evaluate'):
        key = f'{name}_seconds'
        work.entries[-1][key] = round(work.entries[-1][key] + training.seconds[name], 3)
