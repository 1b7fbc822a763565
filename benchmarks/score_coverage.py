"""Coverage of the intervals of a fine-tuning's scores, by simulation.

    python -m benchmarks.score_coverage [--studies=1000]

A network classifies an image correctly if a latent score is above 0. The score has a mean of 1 and
deviations per group and per image, shared by two networks, and deviations of each network per group
and per image. Both networks have the same distribution, so there is no true difference. A wrong
prediction is one of three other classes. The true accuracy follows from the normal distribution.
The true macro F1 is the mean over the studies: macro F1 depends on the number of images. Prints one
row per design for docs/statistics.md.
"""

import argparse

import numpy as np
from scipy import stats

from jaxdl import statistics

SHARED, OWN = (0.7, 1.0), (0.3, 0.3)  # standard deviations per group and per image
LARGEST = 7  # images of a group
DESIGNS = ((10, 4), (20, 4), (50, 10), (100, 80), (400, 80))  # groups, classes (at least 4)


def simulate(rng: np.random.Generator, groups: int, classes: int) -> tuple[np.ndarray, ...]:
    """Labels, predictions of two networks, and groups, int [images] each."""
    sizes = rng.integers(1, LARGEST + 1, groups)
    group = np.repeat(np.arange(groups), sizes)
    labels = rng.integers(0, classes, groups)[group]

    def deviations(per_group: float, per_image: float) -> np.ndarray:
        return rng.normal(0, per_group, groups)[group] + rng.normal(0, per_image, len(group))

    shared = 1 + deviations(*SHARED)
    predicted = [
        np.where(
            shared + deviations(*OWN) > 0,
            labels,
            (labels + rng.integers(1, 4, len(labels))) % classes,
        )
        for _ in range(2)
    ]
    return labels, *predicted, group


def main() -> None:
    """Print the coverage of each design."""
    parser = argparse.ArgumentParser(description='Coverage of the intervals of scores.')
    parser.add_argument('--studies', type=int, default=1000)
    studies = parser.parse_args().studies
    rng = np.random.default_rng(0)
    accuracy = stats.norm.cdf(1 / np.sqrt(np.sum(np.square(SHARED + OWN))))
    print('| groups | classes | accuracy | macro F1 | false differences | Wilson |')
    print('|---:|---:|---:|---:|---:|---:|')
    for groups, classes in DESIGNS:
        found, wilson, established = [], [], 0
        for _ in range(studies):
            labels, one, other, group = simulate(rng, groups, classes)
            comparison = statistics.compare_predictions(labels, one, other, group, resamples=1000)
            established += comparison.verdict == 'established'
            found.append((comparison.option.accuracy, comparison.option.macro_f1))
            wilson.append(statistics.wilson(float(np.mean(labels == one)), len(labels)))
        mean_f1 = np.mean([macro_f1.value for _, macro_f1 in found])
        intervals = (
            [(each.interval, accuracy) for each, _ in found],
            [(each.interval, mean_f1) for _, each in found],
            [(interval, accuracy) for interval in wilson],
        )
        covered = [
            np.mean([i is not None and i[0] <= true <= i[1] for i, true in each])
            for each in intervals
        ]
        rates = (*covered[:2], established / studies, covered[2])
        print(f'| {groups} | {classes} | {" | ".join(f"{100 * rate:.1f}" for rate in rates)} |')


if __name__ == '__main__':
    main()
