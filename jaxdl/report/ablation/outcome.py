"""What came out of an ablation under one condition: the comparison with the baseline.

And how each option learned.
"""

from collections.abc import Sequence

from jaxdl.report.ablation import curves, divergence, forest, queries, verdicts
from jaxdl.report.ablation.study import Study
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.workdir.tables import Row

COLUMNS = (
    'Option',
    'Test accuracy, %',
    'Difference, percentage points',
    'p',
    'p (Holm)',
    'P(better)',
    'Detectable',
    'Learning rate',
    'Verdict',
)
HOW_TO_READ = (
    f'Intervals, in brackets, are 95{words.SPACE}%. Differences are paired: option less baseline on the same seed. '
    'The verdict goes by p (Holm), the p-value of the paired t test corrected for the number of options, against '
    '0.05. P(better) is the share of seeds on which the option wins, a tie counting half; 0.75 is the usual bar '
    '(Bouthillier et al. 2021). Detectable is the true difference that this number of seeds finds with '
    'probability 0.8.'
)
TRAINING_ERROR = (
    'Training error is the mean over the steps of an epoch, in training mode: with dropout, with the statistics of '
    'each batch, and before the later steps of that epoch. So it can lie above the validation error.'
)


def result(study: Study, condition: str, figure: str) -> list[Block]:
    """The summary as a table, how to read it, and the differences as a figure named `figure`."""
    summary = queries.compared(study, condition)
    caption = (
        f'Test accuracy at the last epoch, {words.count(summary[0]["seeds"], "seed")} an option'
    )
    blocks: list[Block] = [Table(caption, COLUMNS, [_row(row) for row in summary], 'lrrrrrrrw')]
    compared = [row for row in summary if row['option'] != study.baseline]
    if compared:
        blocks += [
            Paragraph(text, 'note') for text in (HOW_TO_READ, *_doubts(study, condition, compared))
        ]
        per_seed = {
            row['option']: queries.differences(study, condition, row['option']) for row in compared
        }
        blocks.append(forest.figure(figure, compared, per_seed))
    return blocks


def learning(study: Study, condition: str, figure: str) -> list[Block]:
    """Error against epoch as a figure named `figure`.

    And the errors at the last epoch as a table.
    """
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
    lost = divergence.measured(queries.diverged(study.table), condition)
    return [
        curves.figure(figure, both, study.baseline, lost, study.data[condition]['val']),
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


def _doubts(study: Study, condition: str, compared: Sequence[Row]) -> list[str]:
    """What a reader would stumble over in this very table."""
    doubts = []
    apart = [row for row in compared if row['verdict'] == verdicts.NONE and row['p_value'] < 0.05]
    if apart:
        names = words.listing(markup.name(row['option']) for row in apart)
        doubts.append(
            f'The interval of {names} leaves out 0, and the verdict is still no difference found: an interval holds '
            'for one comparison by itself, the verdict for all of them together.'
        )
    return doubts + divergence.doubts(study, condition)
