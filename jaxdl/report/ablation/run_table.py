"""Table of all runs of a study, and its decision rule."""

import collections

from jaxdl import statistics
from jaxdl.report.ablation import verdicts
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.statistics import protocol

PARTS = dict(train='Training', val='Validation', test='Test')
HEAD = ('Option', 'Phase', 'Learning rate', 'Seed')
ELSEWHERE = f'all epochs of all runs are in {markup.code("results.csv")} of the workdir.'


def blocks(study: AblationRun) -> list[Block]:
    """One row per run of both phases, diverged runs included; folded on the page."""
    rows = _rows(study)
    phases = collections.Counter(row[1 + study.repeated] for row in rows)
    counts = words.listing(
        f'{words.count(number, "run")} to {phase}' for phase, number in phases.items()
    )
    splits = [study.scale.head(PARTS[split]) for split in _splits(study)]
    columns = (*(['Condition'] if study.repeated else []), *HEAD, *splits, 'Diverged at epoch')
    align = 'l' * study.repeated + 'llrr' + 'r' * (len(splits) + 1)
    caption = f'All runs with their {study.scale.name} at the last epoch: {counts}'
    return [Table(caption, columns, rows, align, elsewhere=ELSEWHERE)]


def rule(study: AblationRun) -> list[Block]:
    """The decision rule as a table."""
    text = (
        f'The analysis was fixed in {markup.code("config.json")} before the first run; a run with '
        'another configuration is refused.'
    )
    return [Paragraph(text), Table('Decision rule', ('Item', 'Rule'), _rule(study), 'lw')]


def _rule(study: AblationRun) -> list[list[str]]:
    tuned = any(
        len(study.design(condition)['learning_rates']) > 1 for condition in study.conditions
    )
    factor = (
        f'{markup.name(study.config["factor"])}: {words.listing(map(markup.name, study.options))}'
    )
    margins = dict.fromkeys(
        study.scale.size(margin)
        for condition in study.conditions
        if (margin := study.margin(condition)) is not None
    )
    facts = {
        'Factor': factor,
        'Baseline': markup.name(study.baseline),
        'Learning rates': _rates(study),
        'Metric': _direction(study),
        'Choice of the learning rate': f'best mean validation {study.scale.name} at the last '
        'epoch; the smallest of equal ones'
        if tuned
        else '',
        'Tuning seeds': study.varying('tuning_seeds') if tuned else '',
        'Evaluation seeds': f'{study.varying("seeds")}, from {protocol.MEASURING_SEED} on; '
        'none of the tuning seeds',
        'Measure': f'{study.scale.name} on the test split at epoch {study.varying("epochs")}, '
        'the last epoch',
        'Verdict': f'paired t test, two-sided, Holm over the options; better or worse if p < '
        f'{statistics.ALPHA:g}, otherwise {verdicts.NONE}',
        'Verdict on new images': 'none: the metric has no comparison over images'
        if all(row.get('verdict_images') is None for row in study.summary)
        else 'seeds and groups of images as crossed random effects, two-sided, '
        f'Holm over the options; needs at least {statistics.FEWEST_GROUPS} groups',
        'Equivalence': 'two one-sided t tests, Holm over the options; '
        f'p < {statistics.ALPHA:g}, margin '
        f'{study.scale.in_points(words.listing(margins))}'
        if margins
        else 'not tested: there is no margin; set margin'
        if study.metric.perfect is None
        else 'not tested: without tuning there is no margin; set margin',
        'Diverged run': f'counts as chance from that epoch on ({study.metric.guess_words}); none '
        'is left out',
        'Run that explodes or learns nothing': 'enters as measured, and is listed',
        'Same difference on all seeds': 'p = 1 if it is 0, otherwise the exact sign-flip test; '
        'the minimum detectable difference is not estimable',
    }
    return [[name, value] for name, value in facts.items() if value]


def _direction(study: AblationRun) -> str:
    direction = 'lower' if study.metric.lower_is_better else 'higher'
    return f'{study.scale.name}; {direction} is better'


def _splits(study: AblationRun) -> list[str]:
    """Splits on which the metric was measured."""
    measured = {split for *_, split, metric in study.series if metric == study.metric.name}
    return [split for split in PARTS if split in measured]


def _rates(study: AblationRun) -> str:
    """The planned grid; of each condition if they differ."""
    grids = {
        condition: ', '.join(f'{rate:g}' for rate in study.design(condition)['learning_rates'])
        for condition in study.conditions
    }
    if len(set(grids.values())) == 1:
        return next(iter(grids.values()))
    return '; '.join(f'{words.condition(condition)}: {grid}' for condition, grid in grids.items())


def _rows(study: AblationRun) -> list[list[str]]:
    last, splits = collections.defaultdict(dict), _splits(study)
    for row in study.table:  # ascending epochs: the last one stays
        if row['metric'] == study.metric.name:
            member = (
                row['condition'],
                row['option'],
                row['phase'],
                row['learning_rate'],
                row['seed'],
            )
            last[member][row['split']] = study.scale.number(row['value'])
    diverged = {
        (m.condition, m.option, m.phase, m.learning_rate, m.seed): m.epoch
        for m in protocol.diverged(study.table)
    }
    return [
        [
            *([markup.plain(words.condition(condition))] if study.repeated else []),
            markup.flat(option),
            phase,
            f'{rate:g}',
            str(seed),
            *(values.get(split, words.DASH) for split in splits),
            str(diverged.get((condition, option, phase, rate, seed), '')),
        ]
        for (condition, option, phase, rate, seed), values in last.items()
    ]
