"""The answer of a study in one sentence, composed from its summary."""

from collections.abc import Sequence

from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Verdict, Verdicts
from jaxdl.workdir.tables import Row

POINTS = 'percentage points'
INTERVAL = f'95{words.SPACE}% interval'
NONE = 'no difference found'
NOT_ESTIMABLE = 'not estimable'  # of a minimum detectable difference: summary.csv has 0 there
HEADS = {'better': 'better than {}', 'worse': 'worse than {}', NONE: 'no difference from {} found'}


def listed(summary: Sequence[Row], condition: str = '') -> list[Block]:
    """The verdict on each option, the largest difference first; nothing where nothing was compared.

    `condition` stands before the caption where there are several.
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
    caption = f'{condition}Test accuracy against {baseline}, {POINTS}, {INTERVAL} of the mean, {_seeds(compared[0])}'
    return [Verdicts(caption, rows)]


def short(summary: Sequence[Row]) -> str:
    """The answer without its numbers, where the list of verdicts has them."""
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
            parts.append(f'{head.format("it" if parts else baseline)}: {which}')
    text = '; '.join(parts)
    return f'{text[0].upper()}{text[1:]}.'


def sentence(summary: Sequence[Row]) -> str:
    """What beats or loses to the baseline, by how much and how sure; or that nothing does.

    And what was detectable.

    `summary`: the rows of one condition, the baseline among them.
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
            parts.append(f'{head.format("it" if parts else baseline)}: {_clauses(verdict, rows)}')
    text = '; '.join(parts)
    return f'{text[0].upper()}{text[1:]}; {_seeds(compared[0])}.'


def interval(row: Row) -> str:
    """The 95 % interval of a row's mean difference, in percentage points."""
    return words.span(row['difference_low'], row['difference_high'])


def detectable(row: Row) -> str:
    """The minimum detectable difference in percentage points, if differences vary over seeds."""
    return words.number(row['detectable']) if row['detectable'] else NOT_ESTIMABLE


def _alone(row: Row) -> str:
    return (
        f'{markup.name(row["option"])} was measured alone: test accuracy {words.percent(row["mean"])} '
        f'({INTERVAL} {words.span(row["ci_low"], row["ci_high"], words.number)}, {_seeds(row)}), '
        'and there is nothing to compare it with.'
    )


def _one(row: Row) -> str:
    option, baseline = markup.name(row['option']), markup.name(row['baseline'])
    found = (
        f'{words.points(row["difference"])} {POINTS} ({INTERVAL} {interval(row)}, {_seeds(row)})'
    )
    if row['verdict'] != NONE:
        return f'{option} is {row["verdict"]} than {baseline}: {found}.'
    return (
        f'No difference found between {option} and {baseline}: {found}; '
        f'minimum detectable difference {detectable(row)}.'
    )


def _clauses(verdict: str, rows: Sequence[Row]) -> str:
    """Each option with its difference.

    Of many without one only the names and what could have been found.
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
