"""Whether an option is equivalent to the baseline.

Two one-sided tests against the margin of the experiment.
"""

from jaxdl import statistics
from jaxdl.report.ablation import queries, verdicts
from jaxdl.report.ablation.study import Study
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table

COLUMNS = (
    'Option',
    f'Difference (90{words.SPACE}% interval), percentage points',
    'p (Holm)',
    'Finding',
)
NOT_SHOWN = 'not shown'


def blocks(study: Study, condition: str) -> list[Block]:
    """The test of equivalence of every option as a table, and how to read it.

    Nothing where nothing was compared.
    """
    found = tested(study, condition)
    if not found:
        return []
    margin = words.number(study.margin(condition))
    summary = {row['option']: row for row in queries.compared(study, condition)}
    rows = [
        [
            markup.name(option),
            f'{words.points(summary[option]["difference"])} ({words.span(*test.interval90)})',
            words.p_value(p_holm),
            _finding(p_holm, margin, apart=summary[option]['verdict'] != verdicts.NONE),
        ]
        for option, (test, p_holm) in found.items()
    ]
    n = words.count(summary[study.baseline]['seeds'], 'seed')
    caption = (
        f'Equivalence to {markup.name(study.baseline)} within {margin} {verdicts.POINTS}, n = {n}'
    )
    return [Table(caption, COLUMNS, rows, 'lrrw'), Paragraph(_how_to_read(margin), 'note')]


def sentence(study: Study, condition: str) -> str:
    """Which options are equivalent to the baseline; empty where none is."""
    found = tested(study, condition)
    names = [
        markup.name(option) for option, (_, p_holm) in found.items() if p_holm < statistics.ALPHA
    ]
    if not names:
        return ''
    margin = words.number(study.margin(condition))
    return (
        f'Equivalent to {markup.name(study.baseline)} within {margin} {verdicts.POINTS}: {words.listing(names)} '
        '(two one-sided tests).'
    )


def tested(study: Study, condition: str) -> dict[str, tuple[statistics.Equivalence, float]]:
    """Each option but the baseline -> its test.

    And the p-value of that after Holm over the options.
    """
    options = study.options[1:]
    baseline = list(queries.by_seed(study, condition, study.baseline).values())
    margin, ratio = study.margin(condition), study.test_train_ratio(condition)
    tests = [
        statistics.equivalence(
            list(queries.by_seed(study, condition, option).values()), baseline, margin, ratio
        )
        for option in options
    ]
    adjusted = statistics.holm([test.p_value for test in tests])
    return {
        option: (test, float(p)) for option, test, p in zip(options, tests, adjusted, strict=True)
    }


def _finding(p_holm: float, margin: str, apart: bool) -> str:
    if p_holm >= statistics.ALPHA:
        return NOT_SHOWN
    return f'equivalent within {margin} points' + (
        '; a difference, smaller than the margin' if apart else ''
    )


def _how_to_read(margin: str) -> str:
    return (
        'Two one-sided paired t tests (Schuirmann 1987), Holm over the options, against 0.05: a small p speaks against '
        f'a true difference of {margin} points or more, either way. The margin stands in the experiment, as '
        f'{markup.code("margin")}. Not shown does not mean different.'
    )
