"""Runs that diverged, exploded or learned nothing, by name, and their effect on the statistics."""

import collections
import math
from collections.abc import Callable, Sequence

from jaxdl import statistics
from jaxdl.report.ablation import queries, verdicts
from jaxdl.report.ablation.study import AblationRun, Study
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.statistics import protocol
from jaxdl.statistics.protocol import FailedRun

HUGE = 10  # a run explodes above this multiple of the loss of a guess
ERRORS = 3  # an accuracy of up to this many standard errors above a guess counts as a guess
COUNTS = 'Each enters the statistics as measured; none is left out.'


def blocks(study: AblationRun) -> list[Block]:
    """All runs that diverged, exploded or learned nothing, and options without variation."""
    return [
        *_diverged(study),
        *_named_failures(
            study,
            find_exploded(study),
            'Exploded runs',
            'exploded',
            f'from some epoch to the end, training loss exceeded {HUGE} times that of a guess, '
            'ln(number of classes).',
        ),
        *_named_failures(
            study,
            find_idle(study),
            'Runs that learned nothing',
            'learned nothing, or nothing that lasted',
            'from some epoch to the end, predictions on validation images were no better than '
            'always predicting one class, as with dead units.',
        ),
        *[Paragraph(text) for condition in study.conditions for text in _equal(study, condition)],
    ]


def find_exploded(study: AblationRun) -> list[FailedRun]:
    """Runs whose training loss stays finite, and huge to the end."""
    return _find_lasting(
        study, 'train', 'loss', lambda study, condition: HUGE * math.log(_classes(study, condition))
    )


def find_idle(study: AblationRun) -> list[FailedRun]:
    """Runs whose validation accuracy stays that of a guess to the end."""
    return _find_lasting(study, 'val', 'accuracy', _guess, below=True)


def warnings(study: AblationRun, condition: str) -> list[str]:
    """Sentences on failed evaluation runs, and on options without variation, of a condition."""
    kinds = {
        'diverged': protocol.diverged(study.table),
        'exploded': find_exploded(study),
        'learned nothing': find_idle(study),
    }
    texts = []
    for failure, members in kinds.items():
        counts = [
            f'{n} of {markup.name(option)}' for option, n in count_runs(members, condition).items()
        ]
        value = 'chance in this table' if failure == 'diverged' else 'measured'
        if counts:
            texts.append(
                f'Evaluation runs that {failure}: {words.listing(counts)}. Each counts as {value} '
                'and is listed in the appendix, section "Limits".'
            )
    return texts + same_difference(study, condition)


def count_runs(members: Sequence[FailedRun], condition: str) -> collections.Counter[str]:
    """Number of evaluation runs of each option under a condition, among `members`."""
    return collections.Counter(
        m.option for m in members if (m.condition, m.phase) == (condition, 'measure')
    )


def _diverged(study: AblationRun) -> list[Block]:
    failed = protocol.diverged(study.table)
    if not failed:
        return [Paragraph('No run diverged.')]
    chances = words.listing(map(study.scale.value, _chances(study, failed)))
    text = (
        f'{words.count(len(failed), "run")} diverged: the loss was not finite. From that epoch on '
        f'the {study.scale.name} counts as chance, {chances} ({study.scale.chance}), in '
        'every mean above. None is left out.'
    )
    columns = ('Option', 'Phase', study.point_head, 'Seeds, with the epoch of divergence')
    return [Paragraph(text), Table('Diverged runs', columns, _rows(study, failed), 'llrw')]


def _chances(study: AblationRun, failed: Sequence[FailedRun]) -> list[float]:
    """Values that diverged runs count as, ascending."""
    first = {run.member: run.epoch for run in failed}
    return sorted(
        {
            row['value']
            for row in study.table
            if row['metric'] == study.metric.name
            and row['epoch'] >= first.get(protocol.member_of(row), math.inf)
        }
    )


def _named_failures(
    study: AblationRun, failed: Sequence[FailedRun], caption: str, failure: str, reason: str
) -> list[Block]:
    if not failed:
        return []
    columns = ('Option', 'Phase', study.point_head, 'Seeds, with the first such epoch')
    text = f'{words.count(len(failed), "run")} {failure}: {reason} {COUNTS}'
    return [Paragraph(text), Table(caption, columns, _rows(study, failed), 'llrw')]


def _rows(study: AblationRun, failed: Sequence[FailedRun]) -> list[list[str]]:
    """One row per option and hyperparameters."""
    together = collections.defaultdict(list)
    for member in failed:
        option = markup.name(member.option) + (
            f' ({words.condition(member.condition)})' if member.condition else ''
        )
        infinite = ', infinite' if math.isinf(member.value) else ''
        seed = f'seed {member.seed} (epoch {member.epoch}{infinite})'
        together[option, member.phase, study.point_text(member.point)].append(seed)
    return [[*head, ', '.join(seeds)] for head, seeds in together.items()]


def _find_lasting(
    study: AblationRun,
    split: str,
    metric: str,
    limit: Callable[[AblationRun, str], float],
    below: bool = False,
) -> list[FailedRun]:
    """Runs with a metric beyond its limit from some epoch to the end, without diverged runs."""
    diverged = {run.member for run in protocol.diverged(study.table)}
    histories = collections.defaultdict(dict)
    for (_, _, _, *series), rows in study.series.items():
        for row in rows if series == [split, metric] else ():
            histories[protocol.member_of(row)][row['epoch']] = row['value']
    failed = []
    for member, values in histories.items():
        bound, first = limit(study, member[0]), None
        for epoch in sorted(values, reverse=True):
            if (values[epoch] > bound) == below:
                break
            first = epoch
        if first is not None and member not in diverged:
            failed.append(FailedRun(*member, epoch=first, value=values[first]))
    return failed


def _classes(study: AblationRun, condition: str) -> int:
    return len(study.data[condition].classes)


def _guess(study: AblationRun, condition: str) -> float:
    """Accuracy of always predicting one class, plus ERRORS standard errors."""
    data = study.data[condition]
    part = (data.findings.get('parts') or {}).get('val') or {}
    share = max(1 / _classes(study, condition), part.get('largest', ('', 0))[1] / max(1, data.val))
    return share + ERRORS * math.sqrt(share * (1 - share) / max(1, data.val))


def _equal(study: AblationRun, condition: str) -> list[str]:
    """Sentences on options with the same metric on the test split on all seeds."""
    under, texts = f' ({words.condition(condition)})' if study.repeated else '', []
    for option in study.options:
        values = list(queries.by_seed(study, condition, option).values())
        if len(values) > 1 and statistics.constant(values):
            texts.append(
                f'All {len(values)} seeds of {markup.name(option)}{under} have the same test '
                f'{study.scale.name}, {study.scale.value(values[0])}. The interval over seeds has '
                'width 0 and does not describe other seeds.'
            )
    return texts


def same_difference(study: Study, condition: str) -> list[str]:
    """Sentences on options with the same difference from the baseline on all paired seeds."""
    texts = []
    for row in queries.options_compared(study, condition):
        option = row['option']
        d = queries.differences(study, condition, option)
        if row['paired'] and len(d) > 1 and statistics.constant(d):
            p = (
                'p = 1'
                if statistics.constant([*d, 0])
                else f'p = {words.p_value(2 ** (1 - len(d)))}'
            )
            texts.append(
                f'The difference of {markup.name(option)} is the same on every seed, '
                f'{study.scale.in_points(study.scale.points(d[0]))}. The t test needs variation, '
                f'so the p-value is that of the exact sign-flip test, {p}. The minimum detectable '
                f'difference is {verdicts.NOT_ESTIMABLE}.'
            )
    return texts
