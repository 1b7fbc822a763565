"""Pretrained networks against timm's, as ratios: images per second, and memory.

Run    python -m benchmarks.resnet [resnet18 resnet50 ...]
Takes  about 9 minutes on 2 cores
Gives  a line for each network and work; each side in a process of its own, in turn
"""

import contextlib
import statistics
import sys

from benchmarks import sides

BATCH, CLASSES = 16, 81
NETWORKS = dict(resnet18=160, resnet50=160, tf_efficientnet_lite0=224)  # side in pixels
WORKS = ('training', 'inference')
ROUNDS, SECONDS = 7, 4.0


def measured(name: str, work: str) -> dict[str, list[sides.Answer]]:
    """Answers of each side, round by round."""
    size = dict(batch=BATCH, side=NETWORKS.get(name, 224))
    rows = {
        side: dict(module=f'resnet_{side}', options=dict(name=name, work=work))
        for side in ('ours', 'timm')
    }
    with contextlib.ExitStack() as stack:
        started = {
            side: stack.enter_context(sides.started(row, size, CLASSES))
            for side, row in rows.items()
        }
        parameters = {side.facts['parameters'] for side in started.values()}
        if len(parameters) > 1:
            raise SystemExit(f'{name}: not the same network: parameters {parameters}')
        answers = {side: [] for side in started}
        for _ in range(ROUNDS):
            for side, process in started.items():
                answers[side].append(sides.ask(process, SECONDS))
        return answers


def line(name: str, work: str, by_side: dict[str, list[sides.Answer]]) -> str:
    """Both rates and the ratio of the medians, with its extremes over the rounds."""
    seconds = {side: [answer['seconds'] for answer in answers] for side, answers in by_side.items()}
    ratios = sorted(theirs / ours for ours, theirs in zip(*seconds.values(), strict=True))
    ours, timm = (1 / statistics.median(each) for each in seconds.values())
    memory = ' and '.join(f'{answers[-1]["peak_gib"]:.2f}' for answers in by_side.values())
    return (
        f'{name} {work}, {NETWORKS.get(name, 224)} px: {ours:.1f} images/s, timm {timm:.1f}, '
        f'ratio {statistics.median(ratios):.2f} '
        f'({ratios[0]:.2f} to {ratios[-1]:.2f}); peak {memory} GiB'
    )


def main(names: list[str]) -> None:
    """Measures and prints."""
    print(f'batch {BATCH}, float32, {sides.CORES} cores; timm in channels_last')
    for name in names or NETWORKS:
        for work in WORKS:
            print(line(name, work, measured(name, work)), flush=True)


if __name__ == '__main__':
    main(sys.argv[1:])
