"""Result of an ablation under one condition: comparison with the baseline, learning curves."""

from collections.abc import Sequence

from jaxdl import statistics
from jaxdl.report.ablation import curves, divergence, forest, queries, verdicts
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.workdir.tables import Row

COLUMNS = (
    'Option',
    'Test accuracy, %',
    'Difference, percentage points',
    'Corrected interval',
    'p\n(Holm)',
    'Probability of improvement',
    'Minimum detectable difference',
    'Learning rate',
    'Verdict, these images',
)
IMAGES_COLUMNS = (
    'Option',
    'Difference, percentage points',
    'Corrected interval',
    'p\n(Holm)',
    'Images that differ',
    'Images that make up half',
    'Verdict, new images',
)
NEAR = 0.05  # distance of a mean accuracy from 0 or 1 below which its interval is a logit interval
NOTES = (
    f'Brackets: 95{words.SPACE}% intervals over seeds; of accuracies within 5{words.SPACE}% of 0 '
    f'or 100{words.SPACE}% on the logit scale, which keeps them inside. Differences are paired: '
    f'option {words.MINUS} baseline on the same seed. p: paired t test, two-sided; (Holm): '
    'corrected for the number of options. An option is better or worse if p (Holm) < 0.05. '
    'Corrected interval: excludes 0 exactly if p (Holm) < 0.05; it is compatible with the test, '
    f'and not simultaneous for all options. Probability of improvement: share of seeds on which '
    "the option wins, ties counting half, with Wilson's interval (an approximation with ties); "
    '0.75 is the threshold proposed by Bouthillier et al. (2021). Minimum detectable difference: '
    f'smallest true difference that this number of seeds finds with 80{words.SPACE}% power at the '
    "first step of Holm's correction."
)
IMAGES_NOTES = (
    'The intervals hold for new seeds and new test images of the same kind. Seeds and groups of '
    'images are crossed random effects. Images that differ: images on which option and baseline '
    'differ on at least one seed. Images that make up half: the fewest images whose differences '
    'sum to half of the total. The test was fixed before the run, as was that over seeds.'
)
SPLIT_PER_SEED = (
    'Every seed has another test split. The interval over seeds therefore covers new test images, '
    'and both verdicts are equal.'
)
TRAINING_ERROR = (
    'Training error is the mean over the steps of an epoch in training mode: with dropout, with '
    'batch statistics, and before the later steps of that epoch. It can exceed the validation '
    'error.'
)


def comparison(study: AblationRun, condition: str, figure: str) -> list[Block]:
    """Summary as tables with notes, and the differences as a figure named `figure`."""
    summary = queries.compared(study, condition)
    seeds = words.count(summary[0]['seeds'], 'seed')
    caption = f'Test accuracy at the last epoch, over {seeds} per option'
    table = Table(caption, COLUMNS, [_row(row) for row in summary], 'lrrrrrrrw')
    compared = [row for row in summary if row['option'] != study.baseline]
    if not compared:
        return [table]
    per_seed = {
        row['option']: queries.differences(study, condition, row['option']) for row in compared
    }
    warnings = _warnings(study, condition, compared)
    return [
        forest.figure(figure, compared, per_seed, study.options),
        table,
        *(Paragraph(text, 'note') for text in (NOTES, *warnings)),
        *_over_images(compared),
    ]


def _over_images(compared: Sequence[Row]) -> list[Block]:
    """Comparison over seeds and images as a table with notes."""
    images, groups = compared[0]['images'], compared[0]['image_groups']
    sizes = words.product(
        words.count(compared[0]['seeds'], 'seed'), words.count(images, 'test image')
    )
    if groups < images:
        sizes += f' in {words.count(groups, "group")}'
    rows = [
        [
            markup.name(row['option']),
            f'{words.points(row["difference"])}\n({verdicts.interval_images(row)})',
            verdicts.corrected(row['corrected_images']),
            _p_values(row['p_value_images'], row['p_holm_images']),
            f'{row["images_differ"]:,}',
            words.exactly(row['images_half']),
            row['verdict_images'],
        ]
        for row in compared
    ]
    notes = [IMAGES_NOTES] if compared[0]['components'] else [SPLIT_PER_SEED]
    if groups < statistics.FEWEST_GROUPS:
        notes.append(
            f'Too few groups: the test images form {words.count(groups, "group")}. A verdict on '
            f'new images needs at least {statistics.FEWEST_GROUPS} groups.'
        )
    return [
        Table(f'Difference over {sizes}', IMAGES_COLUMNS, rows, 'lrrrrrw'),
        *(Paragraph(text, 'note') for text in notes),
    ]


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
    rows = []
    for option, (train, val) in both.items():
        accuracies = (train[:, -1].mean(), val[:, -1].mean(), test[option])
        rows.append([markup.name(option), *(words.number(1 - accuracy) for accuracy in accuracies)])
    caption = f'Error at epoch {study.design(condition)["epochs"]}, %, mean over seeds'
    diverged = divergence.count_runs(queries.diverged(study.table), condition)
    return [
        curves.figure(figure, both, study.baseline, diverged, study.data[condition].val),
        Table(caption, ('Option', 'Training', 'Validation', 'Test'), rows, 'lrrr'),
        Paragraph(TRAINING_ERROR, 'note'),
    ]


def _row(row: Row) -> list[str]:
    accuracy = words.number(row['mean'])
    if row['ci_low'] is not None:
        accuracy += f'\n({words.span(*_accuracy_interval(row), words.number)})'
    head, rate = [markup.name(row['option']), accuracy], f'{row["learning_rate"]:g}'
    if row['option'] == row['baseline']:
        return [*head, *[words.DASH] * 5, rate, 'baseline']
    difference = f'{words.points(row["difference"])}\n({verdicts.interval(row)})'
    better = f'{row["p_better"]:.2f}\n({row["p_better_low"]:.2f} to {row["p_better_high"]:.2f})'
    return [
        *head,
        difference,
        verdicts.corrected(row['corrected']),
        _p_values(row['p_value'], row['p_holm']),
        better,
        verdicts.detectable(row),
        rate,
        row['verdict'],
    ]


def _p_values(p_value: float, p_holm: float) -> str:
    return f'{words.p_value(p_value)}\n({words.p_value(p_holm)})'


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
