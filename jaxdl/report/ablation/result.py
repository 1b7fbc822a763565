"""Result of an ablation under one condition: comparison with the baseline, learning curves."""

from collections.abc import Sequence

import numpy as np

from jaxdl import statistics
from jaxdl.report.ablation import curves, divergence, finetuning, forest, queries, verdicts
from jaxdl.report.ablation.study import AblationRun, Study
from jaxdl.report.page import exports, markup, scale, words
from jaxdl.report.page.blocks import Block, Items, Paragraph, Table
from jaxdl.statistics import protocol
from jaxdl.workdir import tables
from jaxdl.workdir.tables import Row

COLUMNS = (
    'Interval over seeds and images',
    'p (Holm), these images',
    'p (Holm), new images',
    'Verdict, these images',
    'Verdict, new images',
)
OVER_SEEDS = {1: 'p (Holm)', 3: 'Verdict'}  # columns without a comparison for new images
NEAR = 0.05  # distance of a mean share from 0 or 1 below which its interval is a logit interval
NOTES = (
    'Square brackets: intervals corrected for the number of comparisons, which exclude 0 exactly '
    'if p (Holm) < 0.05; they are compatible with the test, and not simultaneous for all options. '
    '{pairs} p (Holm): corrected for the number of comparisons. An option is better or worse if '
    'p (Holm) < 0.05. "No difference found" does not mean equal. The appendix has '
    'minimum detectable differences.'
)
NO_IMAGES = (
    'There is no comparison for new images: the metric is not defined without some of the test '
    'images. The verdict holds for new seeds on these test images.'
)
PAIRED = f'Differences are paired: option {words.MINUS} baseline on the same seed.'
UNPAIRED = (
    f'Differences are unpaired: mean of the option {words.MINUS} mean of the baseline, since their '
    "seeds are not the same (Welch's t test)."
)
SPLIT_PER_SEED = (
    'Every seed has another test split. The interval over seeds therefore covers new test images, '
    'and both verdicts are equal.'
)
LEARNING_COLUMNS = ('Option', 'Training', 'Validation', 'Test')
EPOCHS_TO = (
    'Last column: the first epoch at which the mean {quantity} is {limit} that of the '
    'baseline at its last epoch.'
)
VALIDATION_ONLY = 'The metric was not measured on training images.'
TRAINING_ERROR = (
    'Training error is the mean over the steps of an epoch in training mode: with dropout, with '
    'batch statistics, and before the later steps of that epoch. It can exceed the validation '
    'error.'
)


def forest_plot(study: Study, condition: str, figure: str) -> list[Block]:
    """Differences with both intervals as a figure named `figure`; empty without a comparison."""
    compared = queries.options_compared(study, condition)
    per_seed = {
        row['option']: queries.differences(study, condition, row['option']) for row in compared
    }
    return [forest.figure(figure, compared, per_seed, study.options)] if compared else []


def comparison(
    study: Study, condition: str, warnings: Sequence[str], no_images: str = NO_IMAGES
) -> list[Block]:
    """Values of the metric, differences and both verdicts as a table with notes.

    Args:
      study: the study.
      condition: name of the condition.
      warnings: sentences on rows that a reader may misread.
      no_images: reason why there is no comparison for new images.
    """
    summary = queries.compared(study, condition)
    compared = queries.options_compared(study, condition)
    seeds = words.counts([row['seeds'] for row in summary], 'seed')
    unit = study.scale
    caption = f'{words.capital(unit.compared)}{study.moment}, over {seeds} per option'
    head = ('Option', unit.head())
    if not compared:
        rows = [[markup.name(row['option']), mean(row)] for row in summary]
        return [Table(caption, head, rows, 'lr')]
    over_images = compared[0]['verdict_images'] is not None
    chosen = dict(enumerate(COLUMNS)) if over_images else OVER_SEEDS
    columns = (*head, unit.difference_head(), *chosen.values())
    align = 'lrr' + ''.join('rrrww'[i] for i in chosen)
    rows = [[*row[:3], *(row[3 + i] for i in chosen)] for row in map(_row, summary)]
    images = [
        _images(row) for row in compared if row['images'] and row['images_differ'] is not None
    ]
    notes = (
        _brackets(study, compared),
        *_notes(compared, no_images),
        *_not_significant(compared, study.comparisons),
        *warnings,
    )
    return [
        Table(caption, columns, rows, align),
        *([Items(images)] if images else []),
        *(Paragraph(text, 'note') for text in notes),
    ]


def pairs_compared(study: AblationRun, condition: str) -> list[Block]:
    """Comparisons of options with other options than the baseline; empty without any."""
    compared = [row for row in study.pairs if row['condition'] == condition]
    if not compared:
        return []
    over_images = compared[0]['verdict_images'] is not None
    chosen = dict(enumerate(COLUMNS)) if over_images else OVER_SEEDS
    names = ([markup.name(row[side]) for side in ('option', 'baseline')] for row in compared)
    cells = ([row[0], *(row[1 + i] for i in chosen)] for row in map(_cells, compared))
    rows = [[*pair, *row] for pair, row in zip(names, cells, strict=True)]
    columns = ('Option', 'Compared with', study.scale.difference_head(), *chosen.values())
    caption = 'Comparisons of options with each other'
    note = (
        f'Each difference is option {words.MINUS} the option that it is compared with, on the same '
        f'seed. Holm over all {words.count(study.comparisons, "comparison")} of the study, '
        f'including those with the baseline. Brackets as in the result. All numbers: '
        f'{markup.code("tables/comparisons.csv")}.'
    )
    sentences = [verdicts.sentence([row]) for row in compared]
    return [
        Items(sentences),
        Table(caption, columns, rows, 'llr' + ''.join('rrrww'[i] for i in chosen)),
        *(
            Paragraph(text, 'note')
            for text in (note, *_not_significant(compared, study.comparisons))
        ),
    ]


def pairs_as_csv(study: AblationRun) -> str:
    """Content of tables/comparisons.csv; no cell is a formula to a spreadsheet."""
    rows = [exports.disarmed(row) for row in study.pairs]
    for row in rows:
        for over in ('', '_images'):
            ends = row[f'corrected{over}'] or (None, None)
            row |= {f'corrected_low{over}': ends[0], f'corrected_high{over}': ends[1]}
    return tables.as_csv(tables.COMPARISONS, rows)


def _brackets(study: Study, compared: Sequence[Row]) -> str:
    """Meaning of the numbers in brackets, direction of the metric, pairing of the seeds."""
    unit = study.scale
    near = f'5{words.SPACE}% of 0 or 100{words.SPACE}%' if unit.percent else f'{NEAR:g} of 0 or 1'
    logit = f'; of values within {near} on the logit scale' if study.metric.largest == 1 else ''
    notes = NOTES.format(pairs=pairs(compared))
    lower = (
        f' {words.capital(unit.name)} is better where it is lower.'
        if study.metric.lower_is_better
        else ''
    )
    return f'Round brackets: 95{words.SPACE}% intervals over seeds{logit}.{lower} {notes}'


def pairs(compared: Sequence[Row]) -> str:
    """Sentences on the pairing of the seeds of options and baseline."""
    unpaired = [markup.name(row['option']) for row in compared if not row['paired']]
    if not unpaired:
        return PAIRED
    if len(unpaired) == len(compared):
        return UNPAIRED
    return f'{PAIRED} Exception, {words.listing(unpaired)}: {UNPAIRED}'


def _images(row: Row) -> str:
    """Sentences on the images that differ, and on those that make up the difference."""
    option, baseline = markup.name(row['option']), markup.name(row['baseline'])
    verb = 'differ on' if row['images_half'] is not None else 'classify differently'
    text = (
        f'{option} and {baseline} {verb} {row["images_differ"]:,} of '
        f'{words.count(row["images"], "test image")}, in at least one seed.'
    )
    if not row['images_half']:
        return text
    half, every = row['images_half'], row['images_all']
    return f'{text} Images that make up half of the difference: {half:,}; all of it: {every:,}.'


def _notes(compared: Sequence[Row], no_images: str) -> list[str]:
    """Groups of the test images, and splits per seed."""
    if compared[0]['verdict_images'] is None:
        return [no_images]
    images, groups = compared[0]['images'], compared[0]['image_groups']
    notes = [] if compared[0]['components'] else [SPLIT_PER_SEED]
    if groups < statistics.FEWEST_GROUPS:
        notes.append(
            f'Too few groups: the test images form {words.count(groups, "group")}. A verdict on '
            f'new images needs at least {statistics.FEWEST_GROUPS} groups.'
        )
    elif groups < images:
        notes.append(
            f'The {images:,} test images form {groups:,} groups of near-duplicates or of images '
            'that the data set keeps together. Groups are the units of the comparison over images.'
        )
    return notes


def learning(study: AblationRun, condition: str, figure: str) -> list[Block]:
    """The metric against epoch as a figure named `figure`; its last values as a table."""
    unit = study.scale
    both = {
        option: (
            queries.curves(study, condition, option, 'train'),
            queries.curves(study, condition, option, 'val'),
        )
        for option in study.options
    }
    if not all(val.size for _, val in both.values()):
        return [Paragraph('This run recorded no learning curves.')]
    trained = all(train.size for train, _ in both.values())
    test = {row['option']: row['mean'] for row in queries.compared(study, condition)}
    target = both[study.baseline][1].mean(0)[-1]
    rows = []
    for option, (train, val) in both.items():
        last = ([train[:, -1].mean()] if trained else []) + [val[:, -1].mean(), test[option]]
        numbers = (unit.drawn_number(value) for value in last)
        rows.append([markup.name(option), *numbers, _epochs_to(target, val.mean(0), study)])
    name = f'{unit.drawn_name[0].upper()}{unit.drawn_name[1:]}'
    last = 'the last epoch' if study.base else f'epoch {study.design(condition)["epochs"]}'
    caption = f'{name} at {last}{", %" if unit.percent else ""}, mean over seeds'
    diverged = divergence.count_runs(protocol.diverged(study.table), condition)
    columns = [column for column in LEARNING_COLUMNS if trained or column != 'Training']
    notes = EPOCHS_TO.format(quantity=f'validation {unit.drawn_name}', **_reached(study))
    if study.base:
        notes += f' Test: {finetuning.evaluated(study)}. {finetuning.ONE_POINT}'
    return [
        curves.figure(
            figure,
            both,
            study.baseline,
            diverged,
            study.data[condition].val,
            unit,
            tuned=not study.base,
        ),
        Table(
            caption,
            (*columns, f'Epochs to {unit.drawn_value(target)}'),
            rows,
            'l' + 'r' * len(columns),
        ),
        Paragraph(f'{notes} {TRAINING_ERROR if trained else VALIDATION_ONLY}', 'note'),
    ]


def _reached(study: AblationRun) -> dict[str, str]:
    return dict(limit='at most' if study.scale.drawn_best == 'lowest' else 'at least')


def _epochs_to(target: float, values: np.ndarray, study: AblationRun) -> str:
    """First epoch with a value as good as `target`; a dash without one."""
    improved = study.metric.improvement(1.0) * (values - target)
    reached = np.flatnonzero(improved >= 0)
    return f'{reached[0] + 1:,}' if reached.size else words.DASH


def mean(row: Row) -> str:
    """Mean of a row on the test split, with its interval over seeds."""
    unit = scale.of(row)
    text = unit.number(row['mean'])
    if row['ci_low'] is None:
        return text
    return f'{text}\n({unit.values(*_interval(row))})'


def _row(row: Row) -> list[str]:
    """Cells of all columns."""
    head = [markup.name(row['option']), mean(row)]
    if row['option'] == row['baseline']:
        return [*head, *[words.DASH] * 4, 'baseline', 'baseline']
    return [*head, *_cells(row)]


def _cells(row: Row) -> list[str]:
    """Cells of a comparison: the difference, and those of COLUMNS."""
    return [
        f'{scale.of(row).points(row["difference"])}\n({verdicts.interval(row)})'
        f'\n[{verdicts.corrected(row)}]',
        f'{verdicts.interval_images(row)}\n[{verdicts.corrected(row, "_images")}]',
        words.p_value(row['p_holm']),
        words.DASH if row['p_holm_images'] is None else words.p_value(row['p_holm_images']),
        row['verdict'],
        row['verdict_images'] or words.DASH,
    ]


def _interval(row: Row) -> tuple[float, float]:
    """95 % interval of a mean; of a metric from 0 to 1 inside this range."""
    if scale.of(row).metric.largest != 1 or NEAR <= row['mean'] <= 1 - NEAR:
        return row['ci_low'], row['ci_high']
    return statistics.logit_interval(row['mean'], row['ci_low'], row['ci_high'])


def _not_significant(compared: Sequence[Row], number: int) -> list[str]:
    """Sentences on rows whose unadjusted interval excludes 0 without a verdict."""
    comparisons = words.count(number, 'comparison')
    return [
        f'The unadjusted interval of {markup.name(row["option"])} excludes 0, but the difference '
        f"is not significant after Holm's correction for {comparisons} (p = "
        f'{words.p_value(row["p_holm"])}).'
        for row in compared
        if row['verdict'] == verdicts.NONE and row['p_value'] < statistics.ALPHA
    ]
