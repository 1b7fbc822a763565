"""Every run of a study, and the rule that it was decided by, fixed before the first of them."""

import collections

from jaxdl import statistics
from jaxdl.report.ablation import queries, verdicts
from jaxdl.report.ablation.study import Study
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.statistics import protocol

SPLITS = ('train', 'val', 'test')
COLUMNS = (
    'Option',
    'Phase',
    'Learning rate',
    'Seed',
    'Training accuracy, %',
    'Validation accuracy, %',
    'Test accuracy, %',
    'Diverged at epoch',
)
CHOICE = 'best mean validation accuracy at the last epoch; of equal ones the smaller'
ELSEWHERE = f'every epoch of every one is in {markup.code("results.csv")} of the workdir.'


def blocks(study: Study) -> list[Block]:
    """A row for every member of both phases, diverged ones too, folded away."""
    rows = _rows(study)
    phases = collections.Counter(row[1 + study.repeated] for row in rows)
    counts = words.listing(
        f'{words.count(number, "run")} to {phase}' for phase, number in phases.items()
    )
    columns = ('Condition', *COLUMNS) if study.repeated else COLUMNS
    align = 'l' * study.repeated + 'llrrrrrr'
    caption = f'Every run, with its accuracies at the last epoch: {counts}'
    return [Table(caption, columns, rows, align, elsewhere=ELSEWHERE)]


def rule(study: Study) -> list[Block]:
    """The decision rule as a table: nothing of it was chosen after a run."""
    text = (
        'The decision rule was fixed before the first run: it stands in the experiment, and '
        f'{markup.code("config.json")} of the workdir has held it from then on; another configuration would have been '
        'refused.'
    )
    return [Paragraph(text), Table('The decision rule', ('What', 'As fixed'), _rule(study), 'lw')]


def _rule(study: Study) -> list[list[str]]:
    tuned = any(
        len(study.design(condition)['learning_rates']) > 1 for condition in study.conditions
    )
    factor = (
        f'{markup.name(study.config["factor"])}: {words.listing(map(markup.name, study.options))}'
    )
    margins = dict.fromkeys(words.number(study.margin(condition)) for condition in study.conditions)
    facts = {
        'Factor': factor,
        'Baseline': markup.name(study.baseline),
        'Learning rates': _rates(study),
        'Choice of a rate': CHOICE if tuned else '',
        'Seeds that choose a rate': study.varying('tuning_seeds') if tuned else '',
        'Seeds that measure': f'{study.varying("seeds")}, from {protocol.MEASURING_SEED} on: none of those that choose',
        'What is measured': f'accuracy on the test split at epoch {study.varying("epochs")}, the last one',
        'Verdict': f'paired t test, two-sided, Holm over the options, p < {statistics.ALPHA:g}: better or worse; '
        f'else {verdicts.NONE}',
        'Equivalence': f'two one-sided t tests, Holm over the options, p < {statistics.ALPHA:g}, margin '
        f'{words.listing(margins)} {verdicts.POINTS}',
        'A diverged run': 'counts as chance from that epoch on; none is left out',
        'A run that explodes or learns nothing': 'counts as it was measured, and is named',
        'The same difference on every seed': 'p = 1 if the difference is 0, else that of the exact sign-flip test; '
        'the minimum detectable difference is not estimable',
    }
    return [[name, value] for name, value in facts.items() if value]


def _rates(study: Study) -> str:
    """The grid as planned, of each condition where they differ."""
    grids = {
        condition: ', '.join(f'{rate:g}' for rate in study.design(condition)['learning_rates'])
        for condition in study.conditions
    }
    if len(set(grids.values())) == 1:
        return next(iter(grids.values()))
    return '; '.join(f'{words.condition(condition)}: {grid}' for condition, grid in grids.items())


def _rows(study: Study) -> list[list[str]]:
    last = collections.defaultdict(dict)
    for row in study.table:  # ascending epochs: the last one stays
        if row['metric'] == protocol.METRIC:
            member = (
                row['condition'],
                row['option'],
                row['phase'],
                row['learning_rate'],
                row['seed'],
            )
            last[member][row['split']] = words.number(row['value'])
    lost = {
        (m.condition, m.option, m.phase, m.learning_rate, m.seed): m.epoch
        for m in queries.diverged(study.table)
    }
    return [
        [
            *([markup.plain(words.condition(condition))] if study.repeated else []),
            markup.flat(option),
            phase,
            f'{rate:g}',
            str(seed),
            *(accuracies.get(split, words.DASH) for split in SPLITS),
            str(lost.get((condition, option, phase, rate, seed), '')),
        ]
        for (condition, option, phase, rate, seed), accuracies in last.items()
    ]
