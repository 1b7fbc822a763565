"""Two one-sided tests of equivalence to the baseline, against the margin of the experiment."""

from jaxdl import statistics
from jaxdl.report.ablation import queries, verdicts
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.statistics import protocol

NOT_SHOWN = 'not shown'


def blocks(study: AblationRun, condition: str) -> list[Block]:
    """Test of equivalence of every option as a table with notes; empty if nothing was compared."""
    tests = run_tests(study, condition)
    if not tests:
        return []
    margin, unit = _margin(study, condition), study.scale
    summary = {row['option']: row for row in queries.compared(study, condition)}
    rows = [
        [
            markup.name(option),
            f'{unit.points(summary[option]["difference"])} ({unit.span(*test.interval90)})',
            words.p_value(p_holm),
            _finding(p_holm, margin, different=summary[option]['verdict'] != verdicts.NONE),
        ]
        for option, (test, p_holm) in tests.items()
    ]
    n = words.count(summary[study.baseline]['seeds'], 'seed')
    caption = f'Equivalence to {markup.name(study.baseline)} within {margin}, n = {n}'
    head = unit.difference_head(f'Difference (90{words.SPACE}% interval)')
    columns = ('Option', head, 'p (Holm)', 'Finding')
    return [Table(caption, columns, rows, 'lrrw'), Paragraph(_note(study, condition), 'note')]


def sentence(study: AblationRun, condition: str) -> str:
    """Sentence on the options that are equivalent to the baseline; empty if none is."""
    tests = run_tests(study, condition)
    names = [
        markup.name(option) for option, (_, p_holm) in tests.items() if p_holm < statistics.ALPHA
    ]
    if not names:
        return ''
    different = [
        f'{markup.name(row["option"])} is {row["verdict"]} and equivalent: the difference is '
        'significant and smaller than the margin.'
        for row in queries.compared(study, condition)
        if markup.name(row['option']) in names and row['verdict'] != verdicts.NONE
    ]
    default = ''
    if study.design(condition)['margin'] is None:
        share = f'{100 * protocol.MARGIN:.0f}{words.SPACE}%'
        default = f", the default margin of {share} of the baseline's {study.validation_error}"
    equivalent = (
        f'Equivalent to {markup.name(study.baseline)} within {_margin(study, condition)}{default}: '
        f'{words.listing(names)} (two one-sided tests).'
    )
    return ' '.join([equivalent, *different])


def run_tests(
    study: AblationRun, condition: str
) -> dict[str, tuple[statistics.Equivalence, float]]:
    """Option (without the baseline) -> its test, and the p-value after Holm over the options.

    Empty without a margin.
    """
    margin, ratio = study.margin(condition), study.test_train_ratio(condition)
    if margin is None:
        return {}
    options = study.options[1:]
    baseline = list(queries.by_seed(study, condition, study.baseline).values())
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


def _margin(study: AblationRun, condition: str) -> str:
    """The margin with its unit."""
    return study.scale.in_points(study.scale.size(study.margin(condition) or 0.0))


def _finding(p_holm: float, margin: str, different: bool) -> str:
    if p_holm >= statistics.ALPHA:
        return NOT_SHOWN
    return f'equivalent within {margin}' + (
        '; significantly different, by less than the margin' if different else ''
    )


def _note(study: AblationRun, condition: str) -> str:
    source = (
        f"{100 * protocol.MARGIN:.0f}{words.SPACE}% of the baseline's {study.validation_error} in "
        'the tuning phase, fixed before the first measurement'
        if study.design(condition)['margin'] is None
        else f'the setting {markup.code("margin")} of the experiment'
    )
    return (
        'Two one-sided paired t tests (Schuirmann 1987) at level 0.05, Holm over the options. A '
        f'small p is evidence against a true difference of {_margin(study, condition)} or more in '
        f'either direction. The margin is {source}. '
        '"Not shown" does not mean different.'
    )
