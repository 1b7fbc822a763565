"""Result of a study in words, composed from the rows of its summary."""

from collections.abc import Sequence

from jaxdl import statistics
from jaxdl.report.page import markup, scale, words
from jaxdl.statistics import protocol
from jaxdl.workdir.tables import Row

INTERVAL = f'95{words.SPACE}% interval'
NONE = protocol.NONE
NOT_ESTIMABLE = 'not estimable'  # of a minimum detectable difference: summary.csv has 0 there
THESE = 'on these images'  # a verdict that is not established for new images
HEADS = {
    'better': 'Better than {baseline}',
    'worse': 'Worse than {baseline}',
    f'better {THESE}': 'Better than {baseline} on these {images}, {open}',
    f'worse {THESE}': 'Worse than {baseline} on these {images}, {open}',
    NONE: 'No difference from {baseline} found',
}


def combined(row: Row) -> str:
    """Verdict of a row on these and on new test images: one of the keys of `HEADS`."""
    verdict = row['verdict']
    established = verdict in (NONE, row.get('verdict_images') or verdict)
    return verdict if established else f'{verdict} {THESE}'


def head(verdict: str, row: Row) -> str:
    """First words of a sentence on options with a combined verdict.

    Args:
      verdict: a key of `HEADS`.
      row: a row of the summary with this verdict.
    """
    few = (row.get('image_groups') or 0) < statistics.FEWEST_GROUPS
    images = words.count(row.get('images') or 0, 'test image')
    unknown = 'too few groups of images for a verdict on new images'
    return HEADS[verdict].format(
        baseline=markup.name(row['baseline']),
        images=images,
        open=unknown if few else 'not established for new images',
    )


def short(summary: Sequence[Row]) -> str:
    """The result in one sentence per verdict, without numbers."""
    compared = [row for row in summary if row['option'] != row['baseline']]
    if len(compared) < 2:
        return sentence(summary)
    parts = []
    for verdict in HEADS:
        rows = [row for row in compared if combined(row) == verdict]
        if rows:
            names = [markup.name(row['option']) for row in rows]
            which = (
                words.listing(names)
                if len(names) < len(compared) or len(names) < 4
                else 'every option'
            )
            parts.append(f'{head(verdict, rows[0])}: {which}.')
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
    parts = []
    for verdict in HEADS:
        rows = [row for row in compared if combined(row) == verdict]
        if rows:
            parts.append(f'{head(verdict, rows[0])}: {_clauses(verdict, rows)}')
    return f'{". ".join(parts)}. All with {words.samples(seeds(compared), "seed")}.'


def interval(row: Row) -> str:
    """The 95 % interval of a row's mean difference over seeds.

    Differences that are equal on too few seeds for a test have none.
    """
    ends = row['difference_low'], row['difference_high']
    if ends[0] == ends[1] != 0 and row['p_value'] >= statistics.ALPHA:
        return NOT_ESTIMABLE
    return scale.of(row).span(row['difference_low'], row['difference_high'])


def interval_images(row: Row) -> str:
    """The 95 % interval over seeds and images; a dash without one."""
    return scale.of(row).span(row['difference_low_images'], row['difference_high_images'])


def corrected_ends(row: Row, over: str = '') -> tuple[float | None, float | None]:
    """Ends of the interval that agrees with the verdict of a row.

    Args:
      row: a row of a compared option.
      over: empty for the interval over seeds, `_images` for that over seeds and images.

    Returns:
      The corrected interval; the unadjusted one where the corrected one is not estimable; None for
      both ends without such an interval.
    """
    ends = row[f'corrected{over}']
    if ends is not None and scale.of(row).estimable(ends):
        return ends
    return row[f'difference_low{over}'], row[f'difference_high{over}']


def interval_of_verdict(row: Row, over: str = '') -> str:
    """The interval of `corrected_ends`."""
    return scale.of(row).span(*corrected_ends(row, over))


def corrected(row: Row, over: str = '') -> str:
    """A corrected interval of a row; `not estimable` if it is not narrower than all.

    A dash without one.
    """
    interval, unit = row[f'corrected{over}'], scale.of(row)
    if interval is None:
        return words.DASH
    return unit.span(*interval) if unit.estimable(interval) else NOT_ESTIMABLE


def detectable(row: Row) -> str:
    """The minimum detectable difference, if differences vary over seeds.

    It is at the first step of Holm's correction where the row has that.
    """
    least = row.get('corrected_detectable', row['detectable'])
    return scale.of(row).size(least) if least else NOT_ESTIMABLE


def detectable_images(row: Row) -> str:
    """`detectable` for new seeds and new images; a dash without a comparison over images."""
    least = row['detectable_images']
    if least is None:
        return words.DASH
    return scale.of(row).size(least) if least else NOT_ESTIMABLE


def _alone(row: Row) -> str:
    unit = scale.of(row)
    name = f'{words.capital(unit.compared)} of {markup.name(row["option"])}'
    return (
        f'{name}: {unit.value(row["mean"])} ({INTERVAL} '
        f'{unit.values(row["ci_low"], row["ci_high"])}, {_seeds(row)}). '
        'There is no other option to compare.'
    )


def _one(row: Row) -> str:
    option, baseline = markup.name(row['option']), markup.name(row['baseline'])
    unit = scale.of(row)
    difference = unit.in_points(unit.points(row['difference']))
    difference = f'{difference} ({INTERVAL} {interval(row)}, {_seeds(row)})'
    if row['verdict'] != NONE:
        phrase = head(combined(row), row)
        return f'{option} is {phrase[0].lower()}{phrase[1:]}: {difference}.'
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
        least = [row.get('corrected_detectable', row['detectable']) for row in rows]
        estimates = [value for value in least if value]
        if not estimates:
            return f'{names} (minimum detectable difference not estimable)'
        unit = scale.of(rows[0])
        least, most = (unit.size(end(estimates)) for end in (min, max))
        sizes = unit.in_points(f'{least} to {most}')
        return f'{names} (minimum detectable difference {sizes})'
    return words.listing(_clause(row, first=row is rows[0]) for row in rows)


def _clause(row: Row, first: bool) -> str:
    unit = scale.of(row)
    difference = unit.points(row['difference'])
    difference = f'{unit.in_points(difference)}, {INTERVAL}' if first else f'{difference},'
    limit = f'; minimum detectable difference {detectable(row)}' if row['verdict'] == NONE else ''
    difference = f'{difference} {interval(row)}'
    return f'{markup.name(row["option"])} ({difference}{limit})'


def seeds(rows: Sequence[Row]) -> list[int]:
    """Numbers of seeds of the options in some rows, and of the baseline."""
    return [n for row in rows for n in (row['seeds'], row.get('baseline_seeds', row['seeds']))]


def _seeds(row: Row) -> str:
    return words.samples(seeds([row]), 'seed')
