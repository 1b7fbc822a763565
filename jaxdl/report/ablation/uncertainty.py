"""How sure a difference is: seeds and test images apart, the baseline against itself.

And what pairing saved.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxdl import statistics
from jaxdl.report.ablation import queries, verdicts
from jaxdl.report.ablation.study import Study
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
    'Due to seeds',
    'Due to images',
    'Rest',
    'Larger doubt',
)
HOW_TO_READ = (
    f'Intervals are 95{words.SPACE}%, of the mean difference in percentage points. Over seeds: what other seeds would '
    "give on these test images (Student's t, as above). Over seeds and images: what other seeds would give on other "
    'test images of the same kind (bootstrap of seeds and images at once, paired; where the rest is large it errs on '
    'the wide side, Owen 2007). The shares are of the variance of the mean difference (two-way analysis of variance). '
    'Rest: an image that the option gets right with one seed and wrong with another. The larger doubt says what there '
    'should be more of (neither: more of either helps).'
)
CONTROL = ('Compared', 'Pairs', 'Difference, percentage points')
OWN_SPLITS = (
    'Every seed has a test split of its own here, so seeds and test images cannot be told apart.'
)


def blocks(study: Study, condition: str) -> list[Block]:
    """The three doubts as two tables, and how to read them; nothing where nothing was compared."""
    compared = [
        row for row in queries.compared(study, condition) if row['option'] != study.baseline
    ]
    return (
        [*_two_ways(study, condition, compared), *_control(study, condition, compared)]
        if compared
        else []
    )


def _two_ways(study: Study, condition: str, compared: Sequence[Row]) -> list[Block]:
    apart = {
        row['option']: queries.image_differences(study, condition, row['option'])
        for row in compared
    }
    apart = {
        option: differences for option, differences in apart.items() if differences is not None
    }
    if not apart:
        return [Paragraph(OWN_SPLITS)] if study.test_train_ratio(condition) else []
    found = {
        option: variance.two_way_bootstrap(differences) for option, differences in apart.items()
    }
    seeds, images = next(iter(apart.values())).shape
    sizes = words.product(words.count(seeds, 'seed'), words.count(images, 'test image'))
    rows = [_two_way(row, found[row['option']]) for row in compared if row['option'] in found]
    return [
        Table(f'Seeds and test images apart: {sizes}', TWO_WAYS, rows, 'lrrrrrrl'),
        *(Paragraph(text) for text in (_larger(found), *_held_by_images(compared, found)) if text),
        Paragraph(HOW_TO_READ, 'note'),
    ]


def _two_way(row: Row, found: TwoWay) -> list[str]:
    shares = (found.share_seeds, found.share_images, found.share_rest)
    return [
        markup.name(row['option']),
        words.points(row['difference']),
        verdicts.interval(row),
        words.span(*found.interval),
        *(f'{100 * share:.0f}{words.SPACE}%' for share in shares),
        _doubt(found),
    ]


def _doubt(found: TwoWay) -> str:
    if found.share_seeds == found.share_images:
        return 'neither'
    return 'seeds' if found.share_seeds > found.share_images else 'test images'


def _larger(found: Mapping[str, TwoWay]) -> str:
    """For which options the seeds are the larger doubt, and for which the test images."""
    parts = []
    for doubt in ('test images', 'seeds'):
        names = [markup.name(option) for option, each in found.items() if _doubt(each) == doubt]
        if names:
            parts.append(
                f'the {doubt} for {"every option" if len(names) == len(found) else words.listing(names)}'
            )
    return f'The larger doubt: {", ".join(parts)}.' if parts else ''


def _held_by_images(compared: Sequence[Row], found: Mapping[str, TwoWay]) -> list[str]:
    """The verdicts that other test images might overturn."""
    names = [
        markup.name(row['option'])
        for row in compared
        if row['verdict'] != verdicts.NONE
        and row['option'] in found
        and found[row['option']].interval[0] <= 0 <= found[row['option']].interval[1]
    ]
    if not names:
        return []
    return [
        f'The verdict on {words.listing(names)} is one for these test images: the {verdicts.INTERVAL} over seeds '
        'and images, which errs on the wide side, takes in 0.'
    ]


def _control(study: Study, condition: str, compared: Sequence[Row]) -> list[Block]:
    baseline = np.array(list(queries.by_seed(study, condition, study.baseline).values()))
    rows, n = [_itself(study, condition, baseline)], words.count(len(baseline), 'seed')
    for row in compared:
        option = np.array(list(queries.by_seed(study, condition, row['option']).values()))
        difference = f'{words.points(row["difference"])} ({verdicts.interval(row)})'
        told = [_told(name, option, baseline) for name in statistics.STATISTICS]
        rows.append([markup.name(row['option']), f'{row["seeds"]}', difference, *told])
    text = (
        f"The control compares the baseline's first {words.count(len(baseline) // 2, 'seed')} with as many others of "
        'its own: it has no difference to find, so its interval should take in 0 (19 times in 20), and shows how far '
        'chance alone reaches with that few, unpaired. Unpaired seeds: how many each side would have needed, with '
        f'other seeds on either side, for the same standard error of the difference. With {n} the correlations and '
        'these numbers are rough.'
    )
    columns = (*CONTROL, *statistics.STATISTICS)
    caption = 'The baseline against itself (control), and what pairing saved'
    return [Table(caption, columns, rows, 'l' + 'r' * (len(columns) - 1)), Paragraph(text, 'note')]


def _itself(study: Study, condition: str, baseline: np.ndarray) -> list[str]:
    half = len(baseline) // 2
    difference = f'{words.DASH} (needs 4 seeds)'
    if half > 1:
        first, second = baseline[:half], baseline[half : 2 * half]
        found = statistics.compare(
            second, first, test_train_ratio=study.test_train_ratio(condition)
        )
        difference = f'{words.points(found.difference)} ({words.span(*found.interval)})'
    return [
        f'{markup.name(study.baseline)} (control)',
        f'{half}',
        difference,
        *[words.DASH] * len(statistics.STATISTICS),
    ]


def _told(name: str, option: np.ndarray, baseline: np.ndarray) -> str:
    of, form = statistics.STATISTICS[name]
    found = of(option, baseline)
    return words.DASH if found is None else format(found, form).replace('-', words.MINUS)
