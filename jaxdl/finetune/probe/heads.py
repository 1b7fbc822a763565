"""Train linear heads on whitened features of a frozen network, all heads in one group."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxdl import ensemble
from jaxdl.config.recipe import Probe
from jaxdl.data import Dataset, Splits
from jaxdl.data.on_device import Resident, place_on_device
from jaxdl.ensemble import Chunk, Hooks, Member, Result, Workload, autotune
from jaxdl.finetune.seeds import network_seed
from jaxdl.runtime.signals import Interrupted
from jaxdl.statistics import classification
from jaxdl.train.variant import Variant
from jaxdl.workdir.records import GroupRecord

BATCH = 128  # images per step, at most
# On the grocery photographs values of 0.01 to 0.1 agree within a percentage point. Without
# whitening the accuracy is five percentage points lower.
SHRINKAGE = 0.1

# `kernel` float32 [features, classes] and `bias` [classes], for features that are not whitened.
Head = dict[str, np.ndarray]
Cell = tuple[float, float]  # learning rate, weight decay
Heads = dict[Cell, list[Head]]  # one head per seed
Whitening = tuple[np.ndarray, np.ndarray]  # mean [f] and matrix [f, f]


@dataclasses.dataclass(frozen=True)
class HeadTraining:
    """Data and callbacks of the training of heads.

    Attributes:
      probe: settings.
      metric: of the choice, a name in `classification.scores`.
      features: float32 [n, view, f].
      labels: int [n].
      num_classes: size of the output.
      note: writes an event to the journal.
      interrupted: the number of a signal that came, or None.
      groups: entries of run.json; each training adds one.
      seed: first seed of the heads.
    """

    probe: Probe
    metric: str
    features: np.ndarray
    labels: np.ndarray
    num_classes: int
    note: Callable[..., None]
    interrupted: Callable[[], int | None]
    groups: list[GroupRecord]
    seed: int = 0


def train_heads(
    work: HeadTraining, cells: Sequence[Cell], train: np.ndarray, validation: np.ndarray
) -> Heads:
    """Train a head for every cell and seed, as many at a time as fit into memory.

    Args:
      work: features, labels and settings.
      cells: learning rates and weight decays.
      train: indices of the training images.
      validation: indices of the images that are evaluated after every pass.
    """
    white = compute_whitening(work.features[train].reshape(-1, work.features.shape[-1]))
    data = _place_on_device(work, train, validation, white)
    size = min(BATCH, data.train.shape[-1])
    repeats = range(work.probe.repeats)
    seeds = [network_seed(work.seed, number) for number in repeats]
    members = [Member('probe', seed, _variant(cell, size)) for seed in seeds for cell in cells]
    # Bytes of weights, their averages and their gradients.
    state = 3 * 4 * (work.features.shape[-1] + 1) * work.num_classes
    results, record = ensemble.run_members(
        members,
        Workload(data, work.num_classes, work.probe.passes),
        ensemble.chunks_in_memory(members, state),
        conv=autotune.NONE,
        phase='probe',
        hooks=_hooks(work),
    )
    work.groups.append(record)
    heads = [_fold_whitening(result, white) for result in results]
    return {cell: [heads[k * len(cells) + i] for k in repeats] for i, cell in enumerate(cells)}


def log_probabilities(head: Mapping[str, np.ndarray], features: np.ndarray) -> np.ndarray:
    """Log-probabilities of features [n, view, f], averaged over the views, float32 [n, classes]."""
    logits = features @ head['kernel'] + head['bias']
    return classification.log_softmax(logits).mean(1).astype(np.float32)


def average_heads(heads: Sequence[Head]) -> Head:
    """The head whose logits are the mean of the logits of `heads`."""
    return {name: np.mean([head[name] for head in heads], 0) for name in ('kernel', 'bias')}


def compute_whitening(features: np.ndarray) -> Whitening:
    """Mean and matrix such that (features - mean) @ matrix varies equally in most directions.

    Few directions have most of the variance, and weight decay ties the head to them. Without them
    the grid is well conditioned and converges in a few passes.

    Args:
      features: [n, f].

    Returns:
      The mean [f] and (covariance + SHRINKAGE of the mean variance)^-1/2 [f, f], scaled to a mean
      variance of 1.
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


def _place_on_device(
    work: HeadTraining, train: np.ndarray, validation: np.ndarray, white: Whitening
) -> Resident:
    """Whitened features as images of one pixel, one image per view."""
    (_, views, width), (mean, matrix) = work.features.shape, white
    rows = lambda indices: (indices[:, None] * views + np.arange(views)).ravel()
    pixels = (work.features.reshape(-1, width) - mean.astype(np.float32)) @ matrix.astype(
        np.float32
    )
    labels, names = np.repeat(work.labels, views), tuple(map(str, range(work.num_classes)))
    dataset = Dataset('features', '', pixels.reshape(-1, 1, 1, width), labels, (), names)
    data = place_on_device(dataset, [Splits(rows(train), rows(validation), rows(validation[:0]))])
    return data._replace(mean=jnp.zeros((1, width)), std=jnp.ones((1, width)))


def _fold_whitening(result: Result, white: Whitening) -> Head:
    """Head of a member, for features that are not whitened."""
    kernel, bias = (np.asarray(result['head'][name], np.float64) for name in ('kernel', 'bias'))
    mean, matrix = white
    kernel = matrix @ kernel.reshape(-1, kernel.shape[-1])
    bias = bias.ravel() - mean @ kernel
    return dict(kernel=kernel.astype(np.float32), bias=bias.astype(np.float32))


def _hooks(work: HeadTraining) -> Hooks:
    """Journal, interruption after an epoch, and the heads."""

    def note(name: str, indices: np.ndarray, **facts: Any) -> None:
        members = len(np.unique(indices))
        work.note(name, condition='', phase='probe', options=['probe'], members=members, **facts)

    def before_compile(indices: np.ndarray) -> None:
        if not compiled:
            note('compile', indices)
        compiled.append(True)

    def after_epoch(chunk: Chunk) -> None:
        training = chunk.training
        diverged = int(np.sum(~np.isfinite(training.history['train_loss'][training.epoch - 1])))
        progress = dict(epoch=training.epoch, epochs=work.probe.passes, diverged=diverged)
        note('epoch', chunk.indices, **progress)
        if signal := work.interrupted():
            raise Interrupted(signal)

    def after_training(chunk: Chunk) -> Result:
        head = chunk.training.states.params['head']
        return dict(head={name: np.asarray(head[name]) for name in ('kernel', 'bias')})

    compiled: list[bool] = []
    return Hooks(
        before_compile=before_compile, after_epoch=after_epoch, after_training=after_training
    )
