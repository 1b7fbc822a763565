"""Intervals and minimum detectable differences at levels corrected for several options."""

from collections.abc import Sequence

import numpy as np

from jaxdl import statistics
from jaxdl.statistics import protocol
from jaxdl.statistics.protocol import ImageValues
from jaxdl.workdir.tables import Row


def extend(
    summary: Sequence[Row], table: Sequence[Row], by_image: ImageValues, ratio: float
) -> list[Row]:
    """Add the numbers that the page has beyond summary.csv to the rows of one condition.

    Args:
      summary: rows of summary.csv.
      table: rows of results.csv.
      by_image: correctness of the runs.
      ratio: as in `jaxdl.statistics.compare`.

    Returns:
      The rows. Rows of compared options have, in addition: `corrected` and `corrected_images`, the
      corrected intervals;
      `corrected_detectable`, the minimum detectable difference at the first step of Holm's
      correction; `images_differ`, the number of test images on which option and baseline differ in
      at least one seed; `images_half` and `images_all`, the smallest number of images that make up
      half of the difference and all of it; `components`, the comparison over seeds and images;
      `detectable_images`, its minimum detectable difference at the first step of Holm's correction.
      The last four are None where each seed has a test split of its own.
    """
    compared = [row for row in summary if row['option'] != row['baseline']]
    if not compared:
        return list(summary)
    level, level_images = (
        statistics.corrected_level([row[name] for row in compared])
        for name in ('p_holm', 'p_holm_images')
    )
    measured = protocol.measured_of(table, compared[0]['condition'])
    extended = []
    for row in summary:
        if row not in compared:
            extended.append(row)
            continue
        seeds = sorted(measured[row['option']])
        option, baseline = (
            [measured[row[side]][seed][0] for seed in seeds] for side in ('option', 'baseline')
        )
        over_seeds = statistics.compare(option, baseline, test_train_ratio=ratio)
        at_first_step = statistics.ALPHA / len(compared)
        sd = over_seeds.error / np.sqrt(1 / over_seeds.n + ratio)
        more: Row = dict(
            corrected=over_seeds.interval_at(level),
            corrected_images=over_seeds.interval_at(level_images),
            corrected_detectable=statistics.detectable(
                float(sd), over_seeds.n, at_first_step, test_train_ratio=ratio
            ),
            images_half=None,
            images_all=None,
            components=None,
            detectable_images=None,
        )
        one, other = (by_image.by_option[row[side]] for side in ('option', 'baseline'))
        d = one - other
        more['images_differ'] = int((np.nan_to_num(d) != 0).any(0).sum())
        if by_image.complete:
            components = statistics.compare_correct(one, other, by_image.groups)
            more |= dict(
                components=components,
                corrected_images=components.interval_at(level_images),
                images_half=_fewest(d.mean(0), 0.5),
                images_all=_fewest(d.mean(0), 1.0),
                detectable_images=components.detectable_at(at_first_step),
            )
        extended.append(row | more)
    return extended


def _fewest(per_image: np.ndarray, share: float) -> int:
    """Smallest number of images whose differences sum to a share of the total, or more."""
    total = per_image.sum()
    largest = np.sort(per_image * np.sign(total))[::-1]
    return int(np.argmax(np.cumsum(largest) >= share * abs(total) - 1e-9)) + 1 if total else 0
