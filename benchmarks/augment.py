"""Cost of augmentation: an epoch of 12 members with all augmentations, against none, in turn.

The members have 12 different strengths.

Run    python -m benchmarks.augment
Takes  about a minute on 2 cores
Gives  one line; the issue allows a ratio of 1.5 at 32 x 32
"""

import contextlib
import statistics

import numpy as np

from benchmarks import our_side, peers, workload
from jaxdl import ensemble
from jaxdl.augment import AUGMENTATIONS, geometry

SIZE, MEMBERS, ROUNDS, EPOCHS = '32x32x3, 16 to 64 channels, batch 32', 12, 9, 3


class _Enough(Exception):
    pass


def prepare(size, listed, conv):
    """Compile, warm up, and return a function that trains some epochs.

    The function returns the seconds of a step of a member.
    """
    data = our_side.data_of(size)
    chunk = np.arange(len(listed)).reshape(len({member.seed for member in listed}), -1)
    states = ensemble.initial_states(chunk, listed, workload.CLASSES, data.images.shape[1:])
    training = ensemble.new_training(states, EPOCHS * (ROUNDS + 1))
    variants, keys = ensemble.inputs(chunk, listed)
    programs = ensemble.compile_programs(chunk, listed, data, workload.CLASSES, conv)

    def after_epoch(training):
        if training.epoch % EPOCHS == 0:
            raise _Enough

    def seconds():
        before = training.seconds['train']
        with contextlib.suppress(_Enough):
            ensemble.train(training, programs, variants, keys, data, after_epoch)
        steps = ensemble.steps_per_epoch(data, size['batch']) * EPOCHS
        return (training.seconds['train'] - before) / steps / len(listed)

    seconds()
    return seconds


def augmented(listed):
    """The same members, each with all augmentations at a strength of its own."""
    shares = np.linspace(0, 1, len(listed) + 1)[1:]
    strengths = {name: row.displayed for name, row in AUGMENTATIONS.items()}
    return [
        ensemble.Member(
            '',
            member.seed,
            member.variant.replace(**{k: float(v * share) for k, v in strengths.items()}),
        )
        for member, share in zip(listed, shares, strict=True)
    ]


def main():
    """Measures and prints."""
    size = peers.SIZES[SIZE]
    listed = our_side.members_of(size, MEMBERS)
    conv = our_side.fastest_conv(size, listed)
    without, everything = (prepare(size, members, conv) for members in (listed, augmented(listed)))
    rounds = [(without(), everything()) for _ in range(ROUNDS)]
    ratios = sorted(all_of_them / none for none, all_of_them in rounds)
    none, all_of_them = (1e3 * statistics.median(side) for side in zip(*rounds, strict=True))
    warp = geometry.fastest_lowering()
    setting = f'{SIZE}, {MEMBERS} members, conv={conv}, warp={warp}, {ROUNDS} rounds'
    ratio = f'{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})'
    print(
        f"augmentation: all {all_of_them:.2f} ms, none {none:.2f} ms a member's step, "
        f'ratio {ratio}; {setting}'
    )


if __name__ == '__main__':
    main()
