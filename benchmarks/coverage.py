"""False alarms and coverage of the comparison over seeds and images, by simulation.

    python -m benchmarks.coverage [--studies=2000] [--baseline_seeds=N]

A network classifies an image correctly if a latent score is above 0. The score is the sum of the
difficulty of the image (mean 1, standard deviation 1, the same for both options) and of deviations
of the option: per seed, per group of images, and per seed and image. Both options have the same
distribution, so there is no true difference, or the option's score is shifted, and the true
difference follows from the normal distribution. Prints one row per design for docs/statistics.md.
With `--baseline_seeds` the baseline has N seeds of its own, and the comparison is unpaired.
"""

import argparse
import itertools
from collections.abc import Callable

import numpy as np
from scipy import stats

from jaxdl import statistics

# Dominant source of variance -> standard deviations per seed, per group, per seed and image.
SOURCES = dict(seeds=(0.3, 0.0, 0.3), images=(0.0, 0.7, 0.1), both=(0.1, 0.3, 0.3))
SEEDS = (5, 10, 30)
SHIFT = 0.3
NUMBERS = 3e8  # scores per design; large designs take fewer studies

Sizes = Callable[[np.random.Generator], np.ndarray]
# Layout of the test images -> sizes of the groups.
LAYOUTS: dict[str, Sizes] = {
    '100': lambda rng: np.ones(100, int),
    '1,000': lambda rng: np.ones(1000, int),
    '10,000': lambda rng: np.ones(10_000, int),
    '10 groups of 1 to 20': lambda rng: rng.integers(1, 21, 10),
    '50 groups of 1 to 20': lambda rng: rng.integers(1, 21, 50),
}


def simulate(
    rng: np.random.Generator,
    source: str,
    seeds: int,
    layout: str,
    shift: float,
    baseline_seeds: int = 0,
) -> tuple[bool, bool, bool]:
    """Simulate one study; with a number of seeds of the baseline an unpaired one.

    Returns:
      Whether the test over seeds rejects, whether the test over seeds and images rejects, and
      whether the interval over seeds and images covers the true difference.
    """
    sizes = LAYOUTS[layout](rng)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    per_seed, per_group, rest = SOURCES[source]
    difficulty = rng.normal(1, 1, len(groups))

    def correct(shift: float, seeds: int) -> np.ndarray:
        score = difficulty + shift + rng.normal(0, per_group, len(sizes))[groups]
        score = score + rng.normal(0, per_seed, (seeds, 1))
        if rest:
            score = score + rng.normal(0, rest, (seeds, len(groups)))
        return score > 0

    option, baseline = correct(shift, seeds), correct(0.0, baseline_seeds or seeds)
    compare = statistics.compare_unpaired if baseline_seeds else statistics.compare
    over_seeds = compare(option.mean(1), baseline.mean(1))
    paired = not baseline_seeds
    over_images = statistics.compare_correct(option, baseline, groups, paired=paired)
    deviation = np.sqrt(1 + per_seed**2 + per_group**2 + rest**2)
    truth = stats.norm.cdf((1 + shift) / deviation) - stats.norm.cdf(1 / deviation)
    low, high = over_images.interval
    return over_seeds.p_value < 0.05, over_images.p_value < 0.05, low <= truth <= high


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--studies', type=int, default=2000)
    parser.add_argument('--baseline_seeds', type=int, default=0)
    arguments = parser.parse_args()
    most, other = arguments.studies, arguments.baseline_seeds
    print('| source | seeds | test images | studies | seeds | seeds and images | coverage |')
    print('|---|---:|---|---:|---:|---:|---:|')
    for source, seeds, layout in itertools.product(SOURCES, SEEDS, LAYOUTS):
        rng = np.random.default_rng([*map(ord, source), seeds, len(layout)])
        images = int(LAYOUTS[layout](rng).sum())
        studies = int(min(most, max(200, NUMBERS / (4 * seeds * images))))
        null = [simulate(rng, source, seeds, layout, 0.0, other)[:2] for _ in range(studies)]
        shifted = [simulate(rng, source, seeds, layout, SHIFT, other)[2] for _ in range(studies)]
        over_seeds, over_images = 100 * np.mean(null, 0)
        print(
            f'| {source} | {seeds} | {layout} | {studies:,} | {over_seeds:.1f} % | '
            f'{over_images:.1f} % | {100 * np.mean(shifted):.1f} % |',
            flush=True,
        )


if __name__ == '__main__':
    main()
