"""Result of a study in words, composed from the rows of its summary."""

from collections.abc import Sequence

from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Verdict, VerdictList
from jaxdl.workdir.tables import Row

POINTS = 'percentage points'
INTERVAL = f'95{words.SPACE}% interval'
NONE = 'no difference found'
NOT_ESTIMABLE = 'not estimable'  # of a minimum detectable difference: summary.csv has 0 there
HEADS = {'better': 'Better than {}', 'worse': 'Worse than {}', NONE: 'No difference from {} found'}


def list_verdicts(summary: Sequence[Row], condition: str = '') -> list[Block]:
    """Verdict of each option, the largest difference first.

    Args:
      summary: rows of one condition.
      condition: prefix of the caption if there are several conditions.

    Returns:
      One list; no block if nothing was compared.
    """
    compared = [row for row in summary if row['option'] != row['baseline']]
    if not compared:
        return []
    baseline, order = (
        markup.name(compared[0]['baseline']),
        sorted(compared, key=lambda row: -row['difference']),
    )
    rows = [
        Verdict(
            markup.name(row['option']),
            row['verdict'],
            f'{words.points(row["difference"])} ({interval(row)})',
            (row['difference_low'], row['difference'], row['difference_high']),
        )
        for row in order
    ]
    caption = (
        f'{condition}Difference in test accuracy from {baseline}, {POINTS}, {INTERVAL}, '
        f'{_seeds(compared[0])}'
    )
    return [VerdictList(caption, rows)]


def short(summary: Sequence[Row]) -> str:
    """The result in one sentence per verdict, without numbers."""
    compared = [row for row in summary if row['option'] != row['baseline']]
    if len(compared) < 2:
        return sentence(summary)
    baseline, parts = markup.name(compared[0]['baseline']), []
    for verdict, head in HEADS.items():
        names = [markup.name(row['option']) for row in compared if row['verdict'] == verdict]
        if names:
            which = (
                words.listing(names)
                if len(names) < len(compared) or len(names) < 4
                else 'every option'
            )
            parts.append(f'{head.format(baseline)}: {which}.')
    return ' '.join(parts)


def sentence(summary: Sequence[Row]) -> str:
    """The result with differences, intervals and minimum detectable differences.

    Args:
      summary: rows of one condition, including the baseline.

    Returns:
      One sentence per verdict.
    """
    compared = [row for row in summary if row['option'] != row['baseline']]
    if not compared:
        return _alone(summary[0])
    if len(compared) == 1:
        return _one(compared[0])
    baseline, parts = markup.name(compared[0]['baseline']), []
    for verdict, head in HEADS.items():
        rows = [row for row in compared if row['verdict'] == verdict]
        if rows:
            parts.append(f'{head.format(baseline)}: {_clauses(verdict, rows)}')
    return f'{". ".join(parts)}. All with {_seeds(compared[0])}.'


def interval(row: Row) -> str:
    """The 95 % interval of a row's mean difference, in percentage points."""
    return words.span(row['difference_low'], row['difference_high'])


def detectable(row: Row) -> str:
    """The minimum detectable difference in percentage points, if differences vary over seeds."""
    return words.number(row['detectable']) if row['detectable'] else NOT_ESTIMABLE


def _alone(row: Row) -> str:
    return (
        f'Test accuracy of {markup.name(row["option"])}: {words.percent(row["mean"])} '
        f'({INTERVAL} {words.span(row["ci_low"], row["ci_high"], words.number)}, {_seeds(row)}). '
        'There is no other option to compare.'
    )


def _one(row: Row) -> str:
    option, baseline = markup.name(row['option']), markup.name(row['baseline'])
    difference = (
        f'{words.points(row["difference"])} {POINTS} ({INTERVAL} {interval(row)}, {_seeds(row)})'
    )
    if row['verdict'] != NONE:
        return f'{option} is {row["verdict"]} than {baseline}: {difference}.'
    return (
        f'No difference found between {option} and {baseline}: {difference}. '
        f'Minimum detectable difference: {detectable(row)}.'
    )


def _clauses(verdict: str, rows: Sequence[Row]) -> str:
    """Each option with its difference.

    Of more than two without a difference only the names and the minimum detectable differences.
    """
    if verdict == NONE and len(rows) > 2:
        names = words.listing(markup.name(row['option']) for row in rows)
        estimates = [row['detectable'] for row in rows if row['detectable']]
        if not estimates:
            return f'{names} (minimum detectable difference not estimable)'
        least, most = (words.number(end(estimates)) for end in (min, max))
        return f'{names} (minimum detectable difference {least} to {most} {POINTS})'
    return words.listing(_clause(row, first=row is rows[0]) for row in rows)


def _clause(row: Row, first: bool) -> str:
    unit = f' {POINTS}, {INTERVAL}' if first else ','
    limit = f'; minimum detectable difference {detectable(row)}' if row['verdict'] == NONE else ''
    difference = f'{words.points(row["difference"])}{unit} {interval(row)}'
    return f'{markup.name(row["option"])} ({difference}{limit})'


def _seeds(row: Row) -> str:
    return f'n{words.SPACE}={words.SPACE}{words.count(row["seeds"], "seed")}'
