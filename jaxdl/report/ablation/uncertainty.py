"""Uncertainty of a difference: seeds and test images, A/A control, effect of pairing."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxdl import statistics
from jaxdl.report.ablation import queries, verdicts
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.statistics import variance
from jaxdl.statistics.variance import TwoWay
from jaxdl.workdir.tables import Row

TWO_WAYS = (
    'Option',
    'Difference',
    'Over seeds',
    'Over seeds and images',
    'Share of seeds',
    'Share of images',
    'Residual',
    'Dominant source',
)
NOTES = (
    f'95{words.SPACE}% intervals of the mean difference, percentage points. Over seeds: new seeds '
    "on these test images (Student's t). Over seeds and images: new seeds on new test images of "
    'the same kind (paired bootstrap of seeds and images; conservative if the residual is large, '
    'Owen 2007). Shares of the variance of the mean difference: two-way analysis of variance. '
    'Residual: interaction of seed and image. Dominant source: more of these reduce the '
    'uncertainty most (neither: both reduce it alike).'
)
CONTROL = ('Compared', 'Pairs', 'Difference, percentage points')
SPLIT_PER_SEED = 'Every seed has another test split, so seeds and test images cannot be separated.'


def blocks(study: AblationRun, condition: str) -> list[Block]:
    """Uncertainty as two tables with notes; empty if nothing was compared."""
    compared = [
        row for row in queries.compared(study, condition) if row['option'] != study.baseline
    ]
    return (
        [*_two_ways(study, condition, compared), *_control(study, condition, compared)]
        if compared
        else []
    )


def _two_ways(study: AblationRun, condition: str, compared: Sequence[Row]) -> list[Block]:
    by_image = {
        row['option']: queries.image_differences(study, condition, row['option'])
        for row in compared
    }
    by_image = {
        option: differences for option, differences in by_image.items() if differences is not None
    }
    if not by_image:
        return [Paragraph(SPLIT_PER_SEED)] if study.test_train_ratio(condition) else []
    bootstraps = {
        option: variance.two_way_bootstrap(differences) for option, differences in by_image.items()
    }
    seeds, images = next(iter(by_image.values())).shape
    sizes = words.product(words.count(seeds, 'seed'), words.count(images, 'test image'))
    rows = [
        _two_way(row, bootstraps[row['option']]) for row in compared if row['option'] in bootstraps
    ]
    return [
        Table(f'Uncertainty from seeds and from test images, {sizes}', TWO_WAYS, rows, 'lrrrrrrl'),
        *(
            Paragraph(text)
            for text in (_dominant(bootstraps), *_open_verdicts(compared, bootstraps))
            if text
        ),
        Paragraph(NOTES, 'note'),
    ]


def _two_way(row: Row, bootstrap: TwoWay) -> list[str]:
    shares = (bootstrap.share_seeds, bootstrap.share_images, bootstrap.share_rest)
    return [
        markup.name(row['option']),
        words.points(row['difference']),
        verdicts.interval(row),
        words.span(*bootstrap.interval),
        *(f'{100 * share:.0f}{words.SPACE}%' for share in shares),
        _source(bootstrap),
    ]


def _source(bootstrap: TwoWay) -> str:
    if bootstrap.share_seeds == bootstrap.share_images:
        return 'neither'
    return 'seeds' if bootstrap.share_seeds > bootstrap.share_images else 'test images'


def _dominant(bootstraps: Mapping[str, TwoWay]) -> str:
    """Sentence on the dominant source of uncertainty of each option."""
    parts = []
    for source in ('test images', 'seeds'):
        names = [
            markup.name(o) for o, bootstrap in bootstraps.items() if _source(bootstrap) == source
        ]
        if names:
            options = 'every option' if len(names) == len(bootstraps) else words.listing(names)
            parts.append(f'{source} for {options}')
    return f'Dominant source of uncertainty: {", ".join(parts)}.' if parts else ''


def _open_verdicts(compared: Sequence[Row], bootstraps: Mapping[str, TwoWay]) -> list[str]:
    """Verdicts that other test images may overturn."""
    names = [
        markup.name(row['option'])
        for row in compared
        if row['verdict'] != verdicts.NONE
        and row['option'] in bootstraps
        and bootstraps[row['option']].interval[0] <= 0 <= bootstraps[row['option']].interval[1]
    ]
    if not names:
        return []
    return [
        f'With test images resampled as well, the (conservative) {verdicts.INTERVAL} of '
        f'{words.listing(names)} includes 0: not established for new images.'
    ]


def _control(study: AblationRun, condition: str, compared: Sequence[Row]) -> list[Block]:
    baseline = np.array(list(queries.by_seed(study, condition, study.baseline).values()))
    rows, n = [_control_row(study, condition, baseline)], words.count(len(baseline), 'seed')
    for row in compared:
        option = np.array(list(queries.by_seed(study, condition, row['option']).values()))
        difference = f'{words.points(row["difference"])} ({verdicts.interval(row)})'
        cells = [_cell(name, option, baseline) for name in statistics.STATISTICS]
        rows.append([markup.name(row['option']), f'{row["seeds"]}', difference, *cells])
    text = (
        f"Control (A/A): the baseline's first {words.count(len(baseline) // 2, 'seed')} against as "
        'many other seeds of the baseline, unpaired. There is no true difference, so 19 of 20 such '
        'intervals include 0; the width shows the effect of chance. Unpaired seeds per side: seeds '
        f'needed for the same standard error if option and baseline had different seeds. From {n} '
        'these numbers are rough.'
    )
    columns = (*CONTROL, *statistics.STATISTICS)
    caption = 'A/A control, and variance reduction by pairing'
    return [Table(caption, columns, rows, 'l' + 'r' * (len(columns) - 1)), Paragraph(text, 'note')]


def _control_row(study: AblationRun, condition: str, baseline: np.ndarray) -> list[str]:
    half = len(baseline) // 2
    difference = f'{words.DASH} (needs 4 seeds)'
    if half > 1:
        first, second = baseline[:half], baseline[half : 2 * half]
        comparison = statistics.compare(
            second, first, test_train_ratio=study.test_train_ratio(condition)
        )
        difference = f'{words.points(comparison.difference)} ({words.span(*comparison.interval)})'
    return [
        f'{markup.name(study.baseline)} (control)',
        f'{half}',
        difference,
        *[words.DASH] * len(statistics.STATISTICS),
    ]


def _cell(name: str, option: np.ndarray, baseline: np.ndarray) -> str:
    statistic, form = statistics.STATISTICS[name]
    value = statistic(option, baseline)
    return words.DASH if value is None else format(value, form).replace('-', words.MINUS)
