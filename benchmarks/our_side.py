"""Our side: the ensemble engine as a study calls it, on random images."""

import contextlib
import time

import numpy as np

from jaxdl import ensemble
from jaxdl.data import Dataset, Splits
from jaxdl.data.resident import resident
from jaxdl.ensemble import Member
from jaxdl.variant import Variant


def seconds_per_step(
    side: int, channels: int, width: int, depth: int, batch: int, seconds: float, rows: int, columns: int
) -> tuple[float, float]:
    """Seconds of one training step of one member, and of compiling; rows x columns members, a row sharing its seed."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (1024 + 64, side, side, channels), np.uint8)
    dataset = Dataset('random', '', images, rng.integers(0, 10, len(images), np.int32), (), tuple('0123456789'))
    parts = Splits(np.arange(1024), np.arange(1024, 1056), np.arange(1056, 1088))
    data = resident(dataset, parts)
    base = Variant(width=width, depth=depth, batch_size=batch)
    members = [
        Member('', seed, base.replace(learning_rate=0.01 * (1 + i))) for seed in range(rows) for i in range(columns)
    ]
    chunk = np.arange(len(members)).reshape(rows, columns)
    epochs = 10_000
    training = ensemble.start(chunk, members, data, 10, epochs)
    variants, row_keys = ensemble.inputs(chunk, members)
    programs = ensemble.compile_programs(variants, row_keys, training.states, data, 10, epochs)

    class Enough(Exception):
        pass

    began = time.perf_counter()
    warm = [0, 0.0]  # epochs and seconds of training before the clock counts

    def after_epoch(training: ensemble.Training) -> None:
        spent = time.perf_counter() - began
        if spent < seconds / 10:
            warm[:] = [training.epoch, training.seconds['train']]
        if spent > 1.1 * seconds:
            raise Enough

    with contextlib.suppress(Enough):
        ensemble.train(training, programs, variants, row_keys, data, after_epoch)
    steps = (training.epoch - warm[0]) * (1024 // batch)
    return (training.seconds['train'] - warm[1]) / steps / len(members), programs.seconds
