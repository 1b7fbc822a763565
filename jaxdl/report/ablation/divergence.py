"""Members that went wrong, each by name: what was seen of them.

And what the statistics made of it.
"""

import collections
import math
from collections.abc import Callable, Sequence

from jaxdl import statistics
from jaxdl.report.ablation import queries, verdicts
from jaxdl.report.ablation.queries import Trouble
from jaxdl.report.ablation.study import Study
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table

HUGE = 10  # times the loss of a guess: what counts as exploded
ERRORS = 3  # standard errors above a guess: up to there an accuracy is one
COUNTS = 'Each counts as it was measured; none was left out.'


def blocks(study: Study) -> list[Block]:
    """Every member that diverged, exploded, or learnt nothing.

    And every option whose seeds are all equal.
    """
    return [
        *_diverged(study),
        *_named(
            exploded(study),
            'Exploded members',
            'exploded',
            f'from some epoch on the training loss stayed above {HUGE} times that of a guess, ln(number of classes).',
        ),
        *_named(
            idle(study),
            'Members that learnt nothing',
            'learnt nothing, or nothing that lasted',
            'from some epoch on validation accuracy was no better than naming one class always, as of a network whose '
            'units are all dead.',
        ),
        *[Paragraph(text) for condition in study.conditions for text in _equal(study, condition)],
    ]


def exploded(study: Study) -> list[Trouble]:
    """Members whose loss stays finite, and huge to the end."""
    return _lasting(
        study, 'train', 'loss', lambda study, condition: HUGE * math.log(_classes(study, condition))
    )


def idle(study: Study) -> list[Trouble]:
    """Members whose validation accuracy stays that of a guess to the end."""
    return _lasting(study, 'val', 'accuracy', _guess, below=True)


def doubts(study: Study, condition: str) -> list[str]:
    """What a reader of the comparison should know of these.

    Which measured members of which option.
    """
    kinds = {
        'diverged': queries.diverged(study.table),
        'exploded': exploded(study),
        'learnt nothing': idle(study),
    }
    found = []
    for what, members in kinds.items():
        counts = [
            f'{n} of {markup.name(option)}' for option, n in measured(members, condition).items()
        ]
        worth = 'chance in this table' if what == 'diverged' else 'it was measured'
        if counts:
            found.append(
                f'Measured members that {what}: {words.listing(counts)}. Each counts as {worth}, and is named in the '
                'section on what this shows.'
            )
    return found + _same_difference(study, condition)


def measured(members: Sequence[Trouble], condition: str) -> collections.Counter[str]:
    """How many members of each option that were measured under a condition are among these."""
    return collections.Counter(
        own.option for own in members if (own.condition, own.phase) == (condition, 'measure')
    )


def _diverged(study: Study) -> list[Block]:
    lost = queries.diverged(study.table)
    if not lost:
        return [Paragraph('No member diverged.')]
    chances = sorted({1 / _classes(study, member.condition) for member in lost})
    text = (
        f'{words.count(len(lost), "member")} diverged: the loss was no finite number any more. From that epoch on '
        f'each counts as chance, {words.listing(map(words.percent, chances))} (1 / number of classes), in every mean '
        'above; none was left out.'
    )
    columns = ('Option', 'Phase', 'Learning rate', 'Seeds, with the epoch of divergence')
    return [Paragraph(text), Table('Diverged members', columns, _rows(lost), 'llrw')]


def _named(found: Sequence[Trouble], caption: str, what: str, why: str) -> list[Block]:
    if not found:
        return []
    columns = ('Option', 'Phase', 'Learning rate', 'Seeds, with the epoch in which it began')
    text = f'{words.count(len(found), "member")} {what}: {why} {COUNTS}'
    return [Paragraph(text), Table(caption, columns, _rows(found), 'llrw')]


def _rows(found: Sequence[Trouble]) -> list[list[str]]:
    """A row for each option and rate, so that a rate that no seed survives takes one line."""
    together = collections.defaultdict(list)
    for member in found:
        option = markup.name(member.option) + (
            f' ({words.condition(member.condition)})' if member.condition else ''
        )
        infinite = ', infinite' if math.isinf(member.value) else ''
        seed = f'seed {member.seed} (epoch {member.epoch}{infinite})'
        together[option, member.phase, f'{member.learning_rate:g}'].append(seed)
    return [[*head, ', '.join(seeds)] for head, seeds in together.items()]


def _lasting(
    study: Study, split: str, metric: str, limit: Callable[[Study, str], float], below: bool = False
) -> list[Trouble]:
    """Members of which a metric is beyond its limit from some epoch on to the end.

    Diverged ones are named as such.
    """
    lost = {
        (m.condition, m.phase, m.option, m.learning_rate, m.seed)
        for m in queries.diverged(study.table)
    }
    histories = collections.defaultdict(dict)
    for (condition, phase, option, own_split, own_metric), rows in study.series.items():
        for row in rows if (own_split, own_metric) == (split, metric) else ():
            histories[condition, phase, option, row['learning_rate'], row['seed']][row['epoch']] = (
                row['value']
            )
    found = []
    for member, values in histories.items():
        bound, first = limit(study, member[0]), None
        for epoch in sorted(values, reverse=True):
            if (values[epoch] > bound) == below:
                break
            first = epoch
        if first is not None and member not in lost:
            found.append(Trouble(*member, epoch=first, value=values[first]))
    return found


def _classes(study: Study, condition: str) -> int:
    return len(study.data[condition]['classes'])


def _guess(study: Study, condition: str) -> float:
    """The accuracy that naming one class always does not exceed, but for chance."""
    data = study.data[condition]
    part = ((data.get('findings') or {}).get('parts') or {}).get('val') or {}
    share = max(
        1 / _classes(study, condition), part.get('largest', ('', 0))[1] / max(1, data['val'])
    )
    return share + ERRORS * math.sqrt(share * (1 - share) / max(1, data['val']))


def _equal(study: Study, condition: str) -> list[str]:
    """Options of which all seeds reached one and the same accuracy."""
    where, found = f' ({words.condition(condition)})' if study.repeated else '', []
    for option in study.options:
        values = list(queries.by_seed(study, condition, option).values())
        if len(values) > 1 and statistics.constant(values):
            found.append(
                f'All {len(values)} seeds of {markup.name(option)}{where} reached the same test '
                f'accuracy, {words.percent(values[0])}: their standard deviation is 0 and their interval of width 0, '
                'which says nothing of another seed.'
            )
    return found


def _same_difference(study: Study, condition: str) -> list[str]:
    """Options that differ from the baseline by the same on every seed.

    The t test has nothing to go by.
    """
    found = []
    for option in study.options[1:]:
        d = queries.differences(study, condition, option)
        if len(d) > 1 and statistics.constant(d):
            p = (
                'p = 1'
                if statistics.constant([*d, 0])
                else f'p = {words.p_value(2 ** (1 - len(d)))}'
            )
            found.append(
                f'The difference of {markup.name(option)} is the same on every seed, '
                f'{words.points(d[0])} {verdicts.POINTS}. The t test needs variation, so the p-value '
                f'is that of the exact sign-flip test, {p}. The minimum detectable difference is '
                f'{verdicts.NOT_ESTIMABLE}.'
            )
    return found
