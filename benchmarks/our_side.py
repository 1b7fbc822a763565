"""Our side: the ensemble engine as a study calls it."""

import contextlib
import math
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks import workload
from benchmarks.workload import CLASSES, Size
from jaxdl import ensemble
from jaxdl.data import Dataset, Splits
from jaxdl.data.on_device import Resident, place_on_device
from jaxdl.ensemble import Member, autotune
from jaxdl.train import train_step
from jaxdl.train.variant import Variant

HELD_OUT, EPOCHS = (
    32,
    10_000,
)  # images of validation and of test: a run wants them, the clock leaves them out


class _Enough(Exception):
    pass


def prepare(size: Size, members: int) -> tuple[dict[str, Any], Callable[..., Any]]:
    """Facts of a group at its start, and the function that trains it for about so many seconds."""
    data, listed = data_of(size), members_of(size, members)
    chunk = np.arange(members).reshape(_rows(members), -1)
    states = ensemble.initial_states(chunk, listed, CLASSES, data.images.shape[1:])
    training = ensemble.new_training(states, EPOCHS)
    variants, row_keys = ensemble.inputs(chunk, listed)
    conv = fastest_conv(size, listed)
    programs = ensemble.compile_programs(chunk, listed, data, CLASSES, conv)

    def until(enough: Callable[[], bool]) -> None:
        def after_epoch(training: ensemble.Training) -> None:
            if enough():
                raise _Enough

        with contextlib.suppress(_Enough):
            ensemble.train(training, programs, variants, row_keys, data, after_epoch)

    count = sum(leaf.size for leaf in jax.tree.leaves(training.states.params)) // members
    until(lambda: True)
    facts = dict(parameters=count, loss=_loss(training), compile_seconds=programs.seconds)
    facts['setting'] = (
        f'conv={conv}, {chunk.shape[0]} seeds x {chunk.shape[1]} learning rates in one program'
    )
    return facts, lambda seconds: _timed(
        training, until, seconds, size['images'] // size['batch'] * members
    )


def data_of(size: Size) -> Resident:
    """Images on the device, uint8 as in a study; every step normalises its own."""
    images, labels = workload.dataset(size, 2 * HELD_OUT)
    ids, names = tuple(map(str, range(len(images)))), tuple(map(str, range(CLASSES)))
    val = np.arange(size['images'], size['images'] + HELD_OUT)
    parts = Splits(np.arange(size['images']), val, val + HELD_OUT)
    return place_on_device(Dataset('patterns', '', images, labels, ids, names), [parts])


def members_of(size: Size, members: int) -> list[Member]:
    """Members of one group; every row of the rectangle has a seed of its own."""
    base = Variant(width=size['width'], depth=size['depth'], batch_size=size['batch'])
    rates = workload.rates(members // _rows(members))
    replaced = [base.replace(learning_rate=float(rate)) for rate in rates]
    return [Member('', seed, variant) for seed in range(_rows(members)) for variant in replaced]


def fastest_conv(size: Size, members: list[Member]) -> str:
    """The lowering of convolutions that a study would choose here: timed once, remembered."""
    module = train_step.module_of(members[0].variant, CLASSES)
    shape = size['batch'], size['side'], size['side'], size['channels']
    return autotune.Timer().fastest(autotune.convolutions(module, shape), len(members))


def _rows(members: int) -> int:
    """The most square rectangle: 15 members are 3 seeds x 5 rates, as in the demo's tuning."""
    return max(rows for rows in range(1, math.isqrt(members) + 1) if members % rows == 0)


def _timed(
    training: ensemble.Training, until: Callable[..., None], seconds: float, steps: int
) -> dict[str, float]:
    """`steps` are those of all members in an epoch.

    The engine is asked in epochs: at least one, after the warm-up.
    """
    for limit in (seconds / 10, seconds):
        began, epochs, spent = time.perf_counter(), training.epoch, training.seconds['train']
        until(lambda end=began + limit: time.perf_counter() > end)
    taken = (training.seconds['train'] - spent) / (training.epoch - epochs) / steps
    return dict(seconds=taken, loss=_loss(training))


def _loss(training: ensemble.Training) -> float:
    return float(training.history['train_loss'][training.epoch - 1].mean())
