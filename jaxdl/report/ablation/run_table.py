"""Table of all runs of a study, and its decision rule."""

import collections
from collections.abc import Callable

from jaxdl import statistics
from jaxdl.report.ablation import extensions, finetuning, queries, verdicts
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.statistics import protocol
from jaxdl.statistics.search import EDGE

PARTS = dict(train='Training', val='Validation', test='Test')
ELSEWHERE = f'all epochs of all runs are in {markup.code("results.csv")} of the workdir.'


def blocks(study: AblationRun) -> list[Block]:
    """One row per run of both phases, diverged runs included; folded on the page."""
    rows = _rows(study)
    phases = collections.Counter(row[1 + study.repeated] for row in rows)
    counts = words.listing(
        f'{words.count(number, "run")} to {phase}' for phase, number in phases.items()
    )
    splits = [study.scale.head(PARTS[split]) for split in _splits(study)]
    head = [*(['Condition'] if study.repeated else []), 'Option', 'Phase', study.point_head, 'Seed']
    columns = (*head, *splits, 'Diverged at epoch')
    align = 'l' * study.repeated + 'llrr' + 'r' * (len(splits) + 1)
    caption = f'All runs with their {study.scale.name} at the last epoch: {counts}'
    if study.base:
        caption = f'{caption}; test: {finetuning.evaluated(study)}'
    return [Table(caption, columns, rows, align, elsewhere=ELSEWHERE)]


def rule(study: AblationRun) -> list[Block]:
    """The decision rule as a table."""
    text = (
        f'The analysis was fixed in {markup.code("config.json")} before the first run; a run with '
        f'another configuration is refused. {extensions.sentence(study)}'
    ).rstrip()
    return [Paragraph(text), Table('Decision rule', ('Item', 'Rule'), _rule(study), 'lw')]


def _rule(study: AblationRun) -> list[list[str]]:
    searched = any(map(study.search, study.conditions))
    tuned = searched or any(
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
        'Settings': finetuning.FIXED if study.base else '',
        'Search': _conditions(study, _ranges),
        'Learning rates': _conditions(study, _rates),
        'Metric': _direction(study),
        'Choice of the learning rate': f'best mean validation {study.scale.name} at the last '
        'epoch; the smallest of equal ones'
        if tuned and not all(map(study.search, study.conditions))
        else '',
        'Choice of the point of a search': f'best mean validation {study.scale.name} at the last '
        f'epoch over {protocol.FURTHER_SEEDS} further tuning seeds, of the '
        f'{min(protocol.FINALISTS, study.config["trials"])} '
        'best points; of equal ones that with the smaller loss'
        if searched
        else '',
        'Boundary of a search': f'the best point is in the outer {100 * EDGE:g}{words.SPACE}% of '
        'a range, or outermost, and no point of the inner half is within '
        f'{queries.near_words(study)}: the range grows, and all options take as many further points'
        if searched
        else '',
        'Tuning seeds': study.varying('tuning_seeds') if tuned else '',
        'Evaluation seeds': study.seed_words + ('' if study.base else '; none of the tuning seeds'),
        'Measure': f'{study.scale.name} on the test split {_measured(study)}',
        'Verdict': f'paired t test, two-sided, Holm over all comparisons; better or worse if p < '
        f'{statistics.ALPHA:g}, otherwise {verdicts.NONE}',
        'Verdict on new images': 'none: the metric has no comparison over images'
        if all(row.get('verdict_images') is None for row in study.summary)
        else 'seeds and groups of images as crossed random effects, two-sided, '
        f'Holm over all comparisons; needs at least {statistics.FEWEST_GROUPS} groups',
        'Equivalence': 'two one-sided t tests, Holm over the options; '
        f'p < {statistics.ALPHA:g}, margin '
        f'{study.scale.in_points(words.listing(margins))}'
        if margins
        else 'not tested: there is no margin; set margin'
        if study.metric.perfect is None
        else 'not tested: without tuning there is no margin; set margin',
        'Diverged run': f'counts as chance from that epoch on ({study.scale.chance}); none '
        'is left out',
        'Run that explodes or learns nothing': 'enters as measured, and is listed',
        'Same difference on all seeds': 'p = 1 if it is 0, otherwise the exact sign-flip test; '
        'the minimum detectable difference is not estimable',
    }
    return [[name, value] for name, value in facts.items() if value]


def _measured(study: AblationRun) -> str:
    if study.base:
        return f'of {finetuning.evaluated(study)}'
    return f'at epoch {study.varying("epochs")}, the last epoch'


def _direction(study: AblationRun) -> str:
    direction = 'lower' if study.metric.lower_is_better else 'higher'
    return f'{study.scale.name}; {direction} is better'


def _splits(study: AblationRun) -> list[str]:
    """Splits on which the metric was measured."""
    measured = {split for *_, split, metric in study.series if metric == study.metric.name}
    return [split for split in PARTS if split in measured]


def _conditions(study: AblationRun, describe: Callable[[AblationRun, str], str]) -> str:
    """A text of all conditions; of each condition if they differ."""
    texts = {condition: describe(study, condition) for condition in study.conditions}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return '; '.join(f'{words.condition(c)}: {text or "none"}' for c, text in texts.items())


def _rates(study: AblationRun, condition: str) -> str:
    """The planned grid; empty if the learning rate is searched."""
    plan = study.search(condition)
    if plan is not None and 'learning_rate' in plan.fields:
        return ''
    return ', '.join(f'{rate:g}' for rate in study.design(condition)['learning_rates'])


def _ranges(study: AblationRun, condition: str) -> str:
    """Points and ranges of a search; empty without one."""
    plan = study.search(condition)
    if plan is None:
        return ''
    ranges = words.listing(
        f'{words.field(name)} {words.decimal(low)} to {words.decimal(high)} ({scale})'
        for name, (scale, low, high) in study.design(condition)['search'].items()
    )
    return f'{words.count(plan.trials, "point")} of a scrambled Sobol sequence over {ranges}'


def _rows(study: AblationRun) -> list[list[str]]:
    last, splits = collections.defaultdict(dict), _splits(study)
    for row in study.table:  # ascending epochs: the last one stays
        if row['metric'] == study.metric.name:
            last[protocol.member_of(row)][row['split']] = study.scale.number(row['value'])
    diverged = {run.member: run.epoch for run in protocol.diverged(study.table)}
    return [
        [
            *([markup.plain(words.condition(condition))] if study.repeated else []),
            markup.flat(option),
            phase,
            study.point_text(point),
            str(seed),
            *(values.get(split, words.DASH) for split in splits),
            str(diverged.get((condition, phase, option, point, seed), '')),
        ]
        for (condition, phase, option, point, seed), values in last.items()
    ]
