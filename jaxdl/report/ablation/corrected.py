"""Intervals and minimum detectable differences at levels corrected for several options."""

from collections.abc import Sequence

import numpy as np

from jaxdl import statistics
from jaxdl.statistics import protocol
from jaxdl.statistics.metrics import ACCURACY, Metric
from jaxdl.statistics.protocol import ImageValues
from jaxdl.workdir import tables
from jaxdl.workdir.tables import Row


def extend(
    summary: Sequence[Row],
    table: Sequence[Row],
    by_image: ImageValues | None,
    ratio: float,
    metric: Metric = ACCURACY,
    correct: ImageValues | None = None,
    split: str = protocol.TEST,
) -> list[Row]:
    """Add the numbers that the page has beyond summary.csv to the rows of one condition.

    Args:
      summary: rows of summary.csv.
      table: rows of results.csv.
      by_image: values of the test images by the metric; None without a comparison over images.
      ratio: as in `jaxdl.statistics.compare`.
      metric: the metric that decides.
      correct: correctness of the test images; None: `by_image`.
      split: split whose values are compared.

    Returns:
      The rows. Rows of compared options have, in addition: `paired`, whether option and baseline
      have the same seeds; `baseline_seeds`, the number of seeds of the baseline; `improvement`, the
      difference with the sign of an improvement; `corrected` and `corrected_images`, the corrected
      intervals;
      `corrected_detectable`, the minimum detectable difference at the first step of Holm's
      correction; `images_differ`, the number of test images that option and baseline classify
      differently in at least one seed; `images_half` and `images_all`, the smallest number of
      images that make up half of the difference in accuracy and all of it; `components`, the
      comparison over seeds and images; `detectable_images`, its minimum detectable difference at
      the first step of Holm's correction. The last four are None where each seed has a test split
      of its own or the metric has no value per image. `images_half` and `images_all` are None also
      for another metric than accuracy, and all three counts of images for unpaired seeds.
    """
    correct = correct or by_image
    rows: list[Row] = [dict.fromkeys(tables.OVER_IMAGES) | row for row in summary]
    compared = [row for row in rows if row['option'] != row['baseline']]
    if not compared:
        return rows
    level = statistics.corrected_level([row['p_holm'] for row in compared])
    level_images = None
    if by_image is not None:
        level_images = statistics.corrected_level([row['p_holm_images'] for row in compared])
    measured = protocol.measured_of(table, compared[0]['condition'], metric.name, split)
    extended = []
    for row in rows:
        if row not in compared:
            extended.append(row)
            continue
        option, baseline = (measured[row[side]] for side in ('option', 'baseline'))
        paired = protocol.is_paired(option, baseline)
        over_seeds = protocol.compare_measured(option, baseline, ratio, metric)
        at_first_step = statistics.ALPHA / len(compared)
        more: Row = dict(
            paired=paired,
            baseline_seeds=len(baseline),
            improvement=metric.improvement(row['difference']),
            corrected=over_seeds.interval_at(level),
            corrected_images=over_seeds.interval_at(level_images) if level_images else None,
            corrected_detectable=over_seeds.detectable_at(at_first_step),
            images_differ=None,
            images_half=None,
            images_all=None,
            components=None,
            detectable_images=None,
        )
        if correct is not None and paired:
            d = correct.by_option[row['option']] - correct.by_option[row['baseline']]
            more['images_differ'] = int((np.nan_to_num(d) != 0).any(0).sum())
            if correct is by_image and correct.complete:
                more |= dict(images_half=_fewest(d.mean(0), 0.5), images_all=_fewest(d.mean(0), 1))
        if by_image is not None and level_images and by_image.complete:
            components = by_image.compare(row['option'], row['baseline'], metric, paired=paired)
            more |= dict(
                components=components,
                corrected_images=components.interval_at(level_images),
                detectable_images=components.detectable_at(at_first_step),
            )
        extended.append(row | more)
    return extended


def _fewest(per_image: np.ndarray, share: float) -> int:
    """Smallest number of images whose differences sum to a share of the total, or more."""
    total = per_image.sum()
    largest = np.sort(per_image * np.sign(total))[::-1]
    return int(np.argmax(np.cumsum(largest) >= share * abs(total) - 1e-9)) + 1 if total else 0
