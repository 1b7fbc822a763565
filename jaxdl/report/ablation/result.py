"""Result of an ablation under one condition: comparison with the baseline, learning curves."""

from collections.abc import Sequence

from jaxdl.report.ablation import curves, divergence, forest, queries, verdicts
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.workdir.tables import Row

COLUMNS = (
    'Option',
    'Test accuracy, %',
    'Difference, percentage points',
    'p',
    'p (Holm)',
    'Probability of improvement',
    'Minimum detectable difference',
    'Learning rate',
    'Verdict',
)
NOTES = (
    f'Brackets: 95{words.SPACE}% intervals over seeds. Differences are paired: option '
    f'{words.MINUS} baseline on the same seed. p: paired t test, two-sided. p (Holm): corrected '
    'for the number of options; an option is better or worse if p (Holm) < 0.05. Probability of '
    'improvement: share of seeds on which the option wins, ties counting half; Bouthillier et al. '
    '(2021) propose the threshold 0.75. Minimum detectable difference: smallest true difference '
    f'that this number of seeds finds with 80{words.SPACE}% power at level 0.05.'
)
TRAINING_ERROR = (
    'Training error is the mean over the steps of an epoch in training mode: with dropout, with '
    'batch statistics, and before the later steps of that epoch. It can exceed the validation '
    'error.'
)


def comparison(study: AblationRun, condition: str, figure: str) -> list[Block]:
    """Summary as a table with notes, and the differences as a figure named `figure`."""
    summary = queries.compared(study, condition)
    caption = (
        f'Test accuracy at the last epoch, {words.count(summary[0]["seeds"], "seed")} per option'
    )
    blocks: list[Block] = [Table(caption, COLUMNS, [_row(row) for row in summary], 'lrrrrrrrw')]
    compared = [row for row in summary if row['option'] != study.baseline]
    if compared:
        blocks += [
            Paragraph(text, 'note') for text in (NOTES, *_warnings(study, condition, compared))
        ]
        per_seed = {
            row['option']: queries.differences(study, condition, row['option']) for row in compared
        }
        blocks.append(forest.figure(figure, compared, per_seed))
    return blocks


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
        accuracy += f'\n({words.span(row["ci_low"], row["ci_high"], words.number)})'
    head, rate = [markup.name(row['option']), accuracy], f'{row["learning_rate"]:g}'
    if row['option'] == row['baseline']:
        return [*head, *[words.DASH] * 5, rate, 'baseline']
    difference = f'{words.points(row["difference"])}\n({verdicts.interval(row)})'
    better = f'{row["p_better"]:.2f}\n({row["p_better_low"]:.2f} to {row["p_better_high"]:.2f})'
    tests = [words.p_value(row['p_value']), words.p_value(row['p_holm'])]
    return [*head, difference, *tests, better, verdicts.detectable(row), rate, row['verdict']]


def _warnings(study: AblationRun, condition: str, compared: Sequence[Row]) -> list[str]:
    """Rows of this table that a reader may misread."""
    significant_alone = [
        row for row in compared if row['verdict'] == verdicts.NONE and row['p_value'] < 0.05
    ]
    comparisons = words.count(len(compared), 'comparison')
    warnings = [
        f'The unadjusted interval of {markup.name(row["option"])} excludes 0, but the difference '
        f"is not significant after Holm's correction for {comparisons} (p = "
        f'{words.p_value(row["p_holm"])}).'
        for row in significant_alone
    ]
    return warnings + divergence.warnings(study, condition)
