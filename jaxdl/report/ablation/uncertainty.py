"""Uncertainty of a difference: seeds and test images, A/A control, effect of pairing."""

from collections.abc import Sequence

import numpy as np

from jaxdl import statistics
from jaxdl.report.ablation import queries, verdicts
from jaxdl.report.ablation.study import Study
from jaxdl.report.page import markup, scale, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.statistics import CorrectComparison, protocol
from jaxdl.statistics.metrics import SPLIT, Metric
from jaxdl.workdir.tables import Row

SEEDS_COLUMNS = (
    'Corrected interval',
    'p\n(Holm)',
    'Probability of improvement',
    'Minimum detectable difference',
)
IMAGES_COLUMNS = (
    'Corrected interval',
    'p\n(Holm)',
    'Minimum detectable difference',
    'Images that differ',
)
SHARES_COLUMNS = ('Make up half', 'Make up all')  # of the difference, for accuracy
SEEDS_NOTES = (
    'p: {tests}, two-sided; (Holm): corrected for the number of comparisons. Corrected interval: '
    'excludes 0 exactly if p (Holm) < 0.05; it is compatible with the test, and not simultaneous '
    'for all options. Probability of improvement: share of seeds on which the option wins, ties '
    "counting half, with Wilson's interval (an approximation with ties){pairs}; 0.75 is the "
    'threshold proposed by Bouthillier et al. (2021). Minimum detectable difference: smallest true '
    f'difference that this number of seeds finds with 80{words.SPACE}% power at the first step of '
    "Holm's correction."
)
IMAGES_NOTES = (
    'The intervals hold for new seeds and new test images of the same kind. Seeds and groups of '
    'images are crossed random effects. Images that differ: images that option and baseline '
    'classify differently on at least one seed.{shares}'
)
FIXED = ' The test was fixed before the run, as was that over seeds.'
PAIRS = "; for unpaired seeds the share of all pairs of runs, with Newcombe's interval (2006)"
SHARES_NOTES = (
    ' Make up half, all: the fewest images whose differences sum to half of the difference, and to '
    'all of it.'
)
JACKKNIFE = (
    ' The metric is one of the whole split, so an image has no value of its own. The contributions '
    'of groups of images are pseudo-values of a jackknife.'
)
ROUNDING = (
    'Rounding alone changes a run: the same seed on another machine, another number of cores or '
    'another size of a group ends with other predictions for some images. Runs of different seeds '
    f'differ by this as well, so intervals over seeds include it. {markup.code("--mode=check")} '
    'measures it.'
)
ALIKE = 0.02  # relative difference of two widths
COLUMNS = (
    'Option',
    'Over seeds',
    'Over seeds and images',
    'Share of seeds',
    'Share of images',
    'Residual',
    'Dominant source',
)
NOTES = (
    f'Widths of the 95{words.SPACE}% intervals{{unit}}, and shares of the variance '
    'of the mean difference (two-way random effects). Residual: interaction of seed and image. '
    'Dominant source: twice as many of these would narrow the interval most (neither: both alike).'
)
CONTROL = ('Compared', 'Pairs')


def blocks(study: Study, condition: str, fixed: str = FIXED) -> list[Block]:
    """Both comparisons, shares of the variance and a control; empty if nothing was compared.

    Args:
      study: the study.
      condition: name of the condition.
      fixed: sentence on the time at which the tests were chosen.
    """
    compared = queries.options_compared(study, condition)
    if not compared:
        return []
    return [
        *_over_seeds(compared),
        *_over_images(compared, study.metric, fixed),
        *_components(compared),
        _spread(study, condition),
        *_control(study, condition, compared),
    ]


def _over_seeds(compared: Sequence[Row]) -> list[Block]:
    """Comparison over seeds as a table with notes."""
    rows = [
        [
            markup.name(row['option']),
            f'{scale.of(row).points(row["difference"])}\n({verdicts.interval(row)})',
            verdicts.corrected(row),
            _p_values(row['p_value'], row['p_holm']),
            f'{row["p_better"]:.2f}\n({row["p_better_low"]:.2f} to {row["p_better_high"]:.2f})',
            verdicts.detectable(row),
        ]
        for row in compared
    ]
    caption = f'Comparison over {words.counts(verdicts.seeds(compared), "seed")}'
    columns = (*_head(compared), *SEEDS_COLUMNS)
    paired = dict.fromkeys(row['paired'] for row in compared)
    tests = words.listing('paired t test' if each else "Welch's t test" for each in paired)
    notes = SEEDS_NOTES.format(tests=tests, pairs='' if all(paired) else PAIRS)
    return [Table(caption, columns, rows, 'lrrrrr'), Paragraph(notes, 'note')]


def _spread(study: Study, condition: str) -> Table:
    """Standard deviations over seeds, of every option and of its differences."""
    unit, rows = study.scale, []
    baseline = queries.by_seed(study, condition, study.baseline)
    for option in study.options:
        if (condition, 'measure', option, study.split, study.metric.name) not in study.series:
            continue  # results trained elsewhere may lack an option under a condition
        values = queries.by_seed(study, condition, option)
        deviation = difference = words.DASH
        if len(values) > 1:
            deviation = unit.size(float(np.std(list(values.values()), ddof=1)))
        if option != study.baseline and protocol.is_paired(values, baseline) and len(values) > 1:
            differences = queries.differences(study, condition, option)
            difference = unit.size(float(np.std(differences, ddof=1)))
        mean = unit.number(float(np.mean(list(values.values()))))
        rows.append([markup.name(option), mean, deviation, difference, str(len(values))])
    columns = (
        'Option',
        unit.head(),
        unit.difference_head('Standard deviation'),
        unit.difference_head('Standard deviation of the paired difference'),
        'Seeds',
    )
    return Table('Standard deviation over seeds', columns, rows, 'lrrrr')


def _head(compared: Sequence[Row]) -> tuple[str, str]:
    return 'Option', scale.of(compared[0]).difference_head()


def _over_images(compared: Sequence[Row], metric: Metric, fixed: str) -> list[Block]:
    """Comparison over seeds and images as a table; empty where each seed has a test split."""
    if compared[0]['components'] is None:
        return []
    images, groups = compared[0]['images'], compared[0]['image_groups']
    seeds = words.counts(verdicts.seeds(compared), 'seed')
    sizes = words.product(seeds, words.count(images, 'test image'))
    if groups < images:
        sizes += f' in {words.count(groups, "group")}'
    shares = any(row['images_half'] is not None for row in compared)
    counts = ('images_differ', *(('images_half', 'images_all') if shares else ()))
    rows = [
        [
            markup.name(row['option']),
            f'{scale.of(row).points(row["difference"])}\n({verdicts.interval_images(row)})',
            verdicts.corrected(row, '_images'),
            _p_values(row['p_value_images'], row['p_holm_images']),
            verdicts.detectable_images(row),
            *(words.exactly(row[key]) for key in counts),
        ]
        for row in compared
    ]
    columns = (*_head(compared), *IMAGES_COLUMNS, *(SHARES_COLUMNS if shares else ()))
    notes = IMAGES_NOTES.format(shares=SHARES_NOTES if shares else '')
    jackknife = JACKKNIFE if metric.over == SPLIT else ''
    table = Table(f'Comparison over {sizes}', columns, rows, 'l' + 'r' * (len(columns) - 1))
    return [table, Paragraph(f'{notes}{fixed}{jackknife}', 'note')]


def _p_values(p_value: float, p_holm: float) -> str:
    return f'{words.p_value(p_value)}\n({words.p_value(p_holm)})'


def _components(compared: Sequence[Row]) -> list[Block]:
    """Shares of seeds and images in the variance; empty where each seed has a test split."""
    if compared[0]['components'] is None:
        return []
    seeds = words.counts(verdicts.seeds(compared), 'seed')
    sizes = words.product(seeds, words.count(compared[0]['images'], 'test image'))
    return [
        Table(
            f'Uncertainty from seeds and from test images, {sizes}',
            COLUMNS,
            [_shares(row) for row in compared],
            'lrrrrrl',
        ),
        *(Paragraph(text) for text in _dominant(compared)),
        Paragraph(NOTES.format(unit=scale.of(compared[0]).in_unit), 'note'),
    ]


def _shares(row: Row) -> list[str]:
    components = row['components']
    shares = (components.share_seeds, components.share_images, components.share_rest)
    widths = (
        row[f'difference_high{over}'] - row[f'difference_low{over}'] for over in ('', '_images')
    )
    return [
        markup.name(row['option']),
        *(scale.of(row).size(width) for width in widths),
        *(f'{100 * share:.0f}{words.SPACE}%' for share in shares),
        dominant_source(components),
    ]


def dominant_source(components: CorrectComparison) -> str:
    """What narrows the interval most if doubled: `seeds`, `test images` or `neither`.

    With few seeds the quantile of t is large, so that more seeds may help most where images have
    the larger share of the variance.
    """
    by_seeds, by_images = components.half_width(2, 1), components.half_width(1, 2)
    if abs(by_seeds - by_images) <= ALIKE * max(by_seeds, by_images):
        return 'neither'
    return 'seeds' if by_seeds < by_images else 'test images'


def _dominant(compared: Sequence[Row]) -> list[str]:
    """Sentence on the dominant source of uncertainty of each option."""
    parts = []
    for source in ('test images', 'seeds'):
        names = [
            markup.name(r['option']) for r in compared if dominant_source(r['components']) == source
        ]
        if names:
            options = 'every option' if len(names) == len(compared) else words.listing(names)
            parts.append(f'{source} for {options}')
    return [f'Dominant source of uncertainty: {", ".join(parts)}.'] if parts else []


def _control(study: Study, condition: str, compared: Sequence[Row]) -> list[Block]:
    baseline = np.array(list(queries.by_seed(study, condition, study.baseline).values()))
    rows, n = [_control_row(study, condition, baseline)], words.count(len(baseline), 'seed')
    for row in compared:
        option = np.array(list(queries.by_seed(study, condition, row['option']).values()))
        difference = f'{scale.of(row).points(row["difference"])} ({verdicts.interval(row)})'
        cells = [words.DASH] * len(statistics.STATISTICS)
        if row['paired']:
            cells = [_cell(name, option, baseline) for name in statistics.STATISTICS]
        count = f'{row["seeds"]}' if row['paired'] else words.DASH
        rows.append([markup.name(row['option']), count, difference, *cells])
    text = (
        f"Control (A/A): the baseline's first {words.count(len(baseline) // 2, 'seed')} against as "
        'many other seeds of the baseline, unpaired. There is no true difference, so 19 of 20 such '
        'intervals include 0; the width shows the effect of chance. Unpaired seeds per side: seeds '
        f'needed for the same standard error if option and baseline had different seeds. From {n} '
        'these numbers are rough.'
    )
    columns = (*CONTROL, study.scale.difference_head(), *statistics.STATISTICS)
    caption = 'A/A control, and variance reduction by pairing'
    return [Table(caption, columns, rows, 'l' + 'r' * (len(columns) - 1)), Paragraph(text, 'note')]


def _control_row(study: Study, condition: str, baseline: np.ndarray) -> list[str]:
    half = len(baseline) // 2
    difference = f'{words.DASH} (needs 4 seeds)'
    if half > 1:
        first, second = baseline[:half], baseline[half : 2 * half]
        comparison = statistics.compare(
            second, first, test_train_ratio=study.test_train_ratio(condition)
        )
        unit = study.scale
        difference = f'{unit.points(comparison.difference)} ({unit.span(*comparison.interval)})'
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
