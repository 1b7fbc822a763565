"""False alarms of the comparison over seeds and images by metrics of a whole split, by simulation.

    python -m benchmarks.metric_coverage [--studies=400]

The logits of a network are those of the image, which both options share, with normal deviations per
option and image, per option and seed, and per image and seed. The deviations of both options have
the same distribution, so there is no true difference for new seeds and new images. Classes have
different numbers of images. Prints one row per design for docs/statistics.md.
"""

import argparse

import numpy as np

from jaxdl.statistics import jackknife, protocol
from jaxdl.statistics.metrics import METRICS

NAMES = ('accuracy', 'balanced_accuracy', 'macro_f1', 'auroc', 'ece', 'log_loss')
DESIGNS = ((5, 200), (10, 200), (10, 1000))  # seeds, images
CLASSES = 5
SHARES = np.array([0.4, 0.3, 0.15, 0.1, 0.05])  # of the classes
SKILL, SHARED = 2.0, 1.0  # mean logit of the label, deviation per image
PER_IMAGE, PER_SEED, REST = 0.5, 0.2, 0.5  # standard deviations of the logits of an option


def simulate(
    rng: np.random.Generator, seeds: int, images: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Labels [images], and option -> logits [seeds, images, classes]."""
    labels = rng.choice(CLASSES, images, p=SHARES)
    shared = SKILL * np.eye(CLASSES)[labels] + rng.normal(0, SHARED, (images, CLASSES))
    return labels, {
        option: shared
        + rng.normal(0, PER_IMAGE, (images, CLASSES))
        + rng.normal(0, PER_SEED, (seeds, 1, CLASSES))
        + rng.normal(0, REST, (seeds, images, CLASSES))
        for option in ('base', 'option')
    }


def compare(name: str, labels: np.ndarray, logits: dict[str, np.ndarray]) -> tuple[float, float]:
    """p-values over seeds, and over seeds and images."""
    metric, groups = METRICS[name], np.arange(len(labels))
    blocks = jackknife.merge_groups(groups)
    values = {
        option: np.stack([jackknife.contributions(metric, z, labels, blocks) for z in runs])
        for option, runs in logits.items()
    }
    place = dict(condition='', phase='measure', split='test', metric=name, epoch=1)
    rows = [
        place | dict(option=option, seed=seed, learning_rate=0.1, value=float(each.mean()))
        for option, runs in values.items()
        for seed, each in enumerate(runs)
    ]
    by_image = protocol.ImageValues(values, groups, blocks)
    row = protocol.summarize(rows, 'base', by_image=by_image, metric=metric)[1]
    return row['p_value'], row['p_value_images']


def main() -> None:
    """Print the false alarms of each design."""
    parser = argparse.ArgumentParser(description='False alarms by metrics of a whole split.')
    parser.add_argument('--studies', type=int, default=400)
    studies = parser.parse_args().studies
    rng = np.random.default_rng(0)
    print(f'| seeds | images | {" | ".join(METRICS[name].words for name in NAMES)} |')
    print(f'|{"---:|" * (2 + len(NAMES))}')
    for seeds, images in DESIGNS:
        alarms = np.zeros((len(NAMES), 2))
        for _ in range(studies):
            labels, logits = simulate(rng, seeds, images)
            alarms += [[p < 0.05 for p in compare(name, labels, logits)] for name in NAMES]
        cells = ' | '.join(f'{one:.1f} / {both:.1f}' for one, both in 100 * alarms / studies)
        print(f'| {seeds} | {images:,} | {cells} |')


if __name__ == '__main__':
    main()
