"""Result of an ablation under one condition: comparison with the baseline, learning curves."""

from collections.abc import Sequence

import numpy as np

from jaxdl import statistics
from jaxdl.report.ablation import curves, divergence, forest, queries, verdicts
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Items, Paragraph, Table
from jaxdl.statistics import protocol
from jaxdl.workdir.tables import Row

COLUMNS = (
    'Option',
    'Test accuracy, %',
    'Difference, percentage points',
    'Interval over seeds and images',
    'p (Holm), these images',
    'p (Holm), new images',
    'Verdict, these images',
    'Verdict, new images',
)
NEAR = 0.05  # distance of a mean accuracy from 0 or 1 below which its interval is a logit interval
NOTES = (
    f'Round brackets: 95{words.SPACE}% intervals over seeds; of accuracies within 5{words.SPACE}% '
    f'of 0 or 100{words.SPACE}% on the logit scale. Square brackets: intervals corrected for the '
    'number of options, which exclude 0 exactly if p (Holm) < 0.05; they are compatible with the '
    f'test, and not simultaneous for all options. Differences are paired: option {words.MINUS} '
    'baseline on the same seed. p (Holm): corrected for the number of options. An option is better '
    'or worse if p (Holm) < 0.05. "No difference found" does not mean equal. The appendix has '
    'minimum detectable differences.'
)
SPLIT_PER_SEED = (
    'Every seed has another test split. The interval over seeds therefore covers new test images, '
    'and both verdicts are equal.'
)
LEARNING_COLUMNS = ('Option', 'Training', 'Validation', 'Test')
EPOCHS_TO = (
    'Last column: the first epoch at which the mean validation error is at most that of the '
    'baseline at its last epoch.'
)
TRAINING_ERROR = (
    'Training error is the mean over the steps of an epoch in training mode: with dropout, with '
    'batch statistics, and before the later steps of that epoch. It can exceed the validation '
    'error.'
)


def forest_plot(study: AblationRun, condition: str, figure: str) -> list[Block]:
    """Differences with both intervals as a figure named `figure`; empty without a comparison."""
    compared = queries.options_compared(study, condition)
    per_seed = {
        row['option']: queries.differences(study, condition, row['option']) for row in compared
    }
    return [forest.figure(figure, compared, per_seed, study.options)] if compared else []


def comparison(study: AblationRun, condition: str) -> list[Block]:
    """Accuracies, differences and both verdicts as a table with notes."""
    summary = queries.compared(study, condition)
    compared = queries.options_compared(study, condition)
    seeds = words.count(summary[0]['seeds'], 'seed')
    caption = f'Test accuracy at the last epoch, over {seeds} per option'
    if not compared:
        rows = [[markup.name(row['option']), accuracy(row)] for row in summary]
        return [Table(caption, COLUMNS[:2], rows, 'lr')]
    return [
        Table(caption, COLUMNS, [_row(row) for row in summary], 'lrrrrrww'),
        Items([_images(row) for row in compared]),
        *(
            Paragraph(text, 'note')
            for text in (NOTES, *_notes(compared), *_warnings(study, condition, compared))
        ),
    ]


def _images(row: Row) -> str:
    """Sentences on the images that differ, and on those that make up the difference."""
    option, baseline = markup.name(row['option']), markup.name(row['baseline'])
    text = (
        f'{option} and {baseline} differ on {row["images_differ"]:,} of '
        f'{words.count(row["images"], "test image")}, in at least one seed.'
    )
    if not row['images_half']:
        return text
    half, every = row['images_half'], row['images_all']
    return f'{text} Images that make up half of the difference: {half:,}; all of it: {every:,}.'


def _notes(compared: Sequence[Row]) -> list[str]:
    """Groups of the test images, and splits per seed."""
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
    """Error against epoch as a figure named `figure`; errors at the last epoch as a table."""
    both = {
        option: (
            queries.curves(study, condition, option, 'train'),
            queries.curves(study, condition, option, 'val'),
        )
        for option in study.options
    }
    if not all(train.size and val.size for train, val in both.values()):
        return [Paragraph('This run recorded no learning curves.')]
    test = {row['option']: row['mean'] for row in queries.compared(study, condition)}
    target = both[study.baseline][1].mean(0)[-1]
    rows = []
    for option, (train, val) in both.items():
        accuracies = (train[:, -1].mean(), val[:, -1].mean(), test[option])
        errors = (words.number(1 - accuracy) for accuracy in accuracies)
        rows.append([markup.name(option), *errors, _epochs_to(target, val.mean(0))])
    caption = f'Error at epoch {study.design(condition)["epochs"]}, %, mean over seeds'
    diverged = divergence.count_runs(protocol.diverged(study.table), condition)
    columns = (*LEARNING_COLUMNS, f'Epochs to {words.number(1 - target)}{words.SPACE}%')
    return [
        curves.figure(figure, both, study.baseline, diverged, study.data[condition].val),
        Table(caption, columns, rows, 'lrrrr'),
        Paragraph(f'{EPOCHS_TO} {TRAINING_ERROR}', 'note'),
    ]


def _epochs_to(target: float, accuracies: np.ndarray) -> str:
    """First epoch with at least the accuracy `target`; a dash without one."""
    reached = np.flatnonzero(accuracies >= target)
    return f'{reached[0] + 1:,}' if reached.size else words.DASH


def accuracy(row: Row) -> str:
    """Mean test accuracy of a row with its interval over seeds, %."""
    mean = words.number(row['mean'])
    if row['ci_low'] is None:
        return mean
    return f'{mean}\n({words.span(*_accuracy_interval(row), words.number)})'


def _row(row: Row) -> list[str]:
    head = [markup.name(row['option']), accuracy(row)]
    if row['option'] == row['baseline']:
        return [*head, *[words.DASH] * 4, 'baseline', 'baseline']
    return [
        *head,
        f'{words.points(row["difference"])}\n({verdicts.interval(row)})'
        f'\n[{verdicts.corrected(row["corrected"])}]',
        f'{verdicts.interval_images(row)}\n[{verdicts.corrected(row["corrected_images"])}]',
        words.p_value(row['p_holm']),
        words.p_value(row['p_holm_images']),
        row['verdict'],
        row['verdict_images'],
    ]


def _accuracy_interval(row: Row) -> tuple[float, float]:
    """95 % interval of a mean accuracy, inside 0 to 1."""
    if NEAR <= row['mean'] <= 1 - NEAR:
        return row['ci_low'], row['ci_high']
    return statistics.logit_interval(row['mean'], row['ci_low'], row['ci_high'])


def _warnings(study: AblationRun, condition: str, compared: Sequence[Row]) -> list[str]:
    """Rows of this table that a reader may misread."""
    comparisons = words.count(len(compared), 'comparison')
    warnings = [
        f'The unadjusted interval of {markup.name(row["option"])} excludes 0, but the difference '
        f"is not significant after Holm's correction for {comparisons} (p = "
        f'{words.p_value(row["p_holm"])}).'
        for row in compared
        if row['verdict'] == verdicts.NONE and row['p_value'] < statistics.ALPHA
    ]
    return warnings + divergence.warnings(study, condition)
