"""Result summary at the end of a run: tables, path of the report, and a next command."""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jaxdl.cli import flags
from jaxdl.errors import visible
from jaxdl.report.ablation import verdicts
from jaxdl.report.page import scale, words
from jaxdl.report.page.scale import Scale
from jaxdl.statistics.metrics import ACCURACY
from jaxdl.workdir.tables import Results, Row

COLOURS = dict(
    better='bold green', worse='bold red', false='bold red', baseline='dim'
)  # of the verdicts
MANY = 12  # claims: beyond that a table has only those that fail
MEDIUM, WIDE = 76, 100  # columns of a terminal
PARTS = dict(val='validation', test='test', folds='held-out')
WORDS = (
    'condition',
    'option',
    'metric',
    'verdict',
    'stage',
    'claim',
    '',
)  # columns that begin at the left
FEW = ('stage', 'accuracy, %', 'macro F1')  # of the scores, where there is no room for all
DIFFERENCE = ('difference', 'difference_low', 'difference_high')
Columns = dict[str, Callable[[Row], str]]  # heading -> cell of a row
SCORES: Columns = {
    'stage': lambda row: row['stage'],
    'accuracy, %': lambda row: f'{100 * row["accuracy"]:.2f}',
    'macro F1': lambda row: f'{row["macro_f1"]:.3f}',
    'loss': lambda row: f'{row["loss"]:.3f}' if 'loss' in row else '',
    'images': lambda row: f'{row["images"]:,} {PARTS[row["split"]]}',
}
CLAIMS: Columns = {
    '': lambda row: format_claim(row).partition('  ')[0],
    'claim': lambda row: format_claim(row).partition('  ')[2],
}


def write(
    results: Results,
    config: Mapping[str, Any],
    command: flags.CommandLine,
    say: Callable[[str], None],
) -> None:
    """Write the results: tables on a terminal, otherwise one line per row.

    Args:
      results: of the finished run.
      config: the fields of the experiment.
      command: the command line that ran it.
      say: writes a line.
    """
    write_results(results, say)
    following = next_command(results, config, command)
    if following:
        say(f'next: {flags.format_command(following)}')


def write_results(results: Results, say: Callable[[str], None]) -> None:
    """Write the results and the path of the report, without a next command."""
    if sys.stdout.isatty():
        _tables(results)
    else:
        for text in (
            *map(format_scores, results.scores),
            *results.notes,
            *map(format_row, results.summary),
            *map(format_claim, results.claims),
        ):
            say(text)
    say(f'report: {results.workdir / "report.html"}')


def next_command(
    results: Results, config: Mapping[str, Any], command: flags.CommandLine
) -> list[str]:
    """A command about the same experiment: the full run, the seeds needed, or predictions.

    Args:
      results: of the finished run.
      config: the fields of the experiment.
      command: the command line that ran it.

    Returns:
      The arguments of the command; empty where no command follows.
    """
    if config['scale'] == 'quick':
        repeated = flags.format_flags(command, 'quick', 'workdir', 'overwrite')
        return [*repeated, f'--workdir={results.workdir}-full']
    if config['kind'] == 'FineTune':
        checkpoint = f'--checkpoint={results.workdir}'
        return ['--mode=predict', checkpoint, '--images=DIR', '--output=predictions.csv']
    if any(row['verdict'] == verdicts.NONE for row in results.summary):
        design = [name for name in flags.FLAGS if name not in flags.MODE_FLAGS['plan']]
        return [
            *flags.format_flags(command, *design, 'workdir'),
            '--mode=plan',
            f'--workdir={results.workdir}',
        ]
    return []


def format_row(row: Row) -> str:
    """One row of a summary, in one line."""
    unit = scale.of(row)
    mean = f'{unit.factor * row["mean"]:{unit.drawn_form}}' + ' %' * unit.percent
    if unit.metric is not ACCURACY:
        mean = f'{unit.name} {mean}'
    if row['difference'] is None:
        return f'{row["condition"]} {row["option"]:16} {mean}'.strip()
    low, middle, high = (_signed(row[f'difference{end}'], unit) for end in ('_low', '', '_high'))
    difference = unit.in_points(f'{middle} [{low}, {high}]')
    compared = f'{difference}: {verdicts.combined(row)}'
    return f'{row["condition"]} {row["option"]:16} {mean}  {compared}'.strip()


def format_claim(row: Row) -> str:
    """One claim and its measurement, in one line."""
    numbers = f'measured {row["measured"]:.6g}, expected {row["expected"]:.6g}'
    within = f' to {row["tolerance"]:.3g}' if row['tolerance'] else ''
    return f'{"holds" if row["holds"] == "true" else "FAILS"}  {row["claim"]}: {numbers}{within}'


def format_scores(row: Row) -> str:
    """Scores of one stage of a fine-tuning, in one line."""
    measured = f'accuracy {100 * row["accuracy"]:.2f} %, macro F1 {row["macro_f1"]:.3f}'
    if 'loss' in row:
        measured += f', loss {row["loss"]:.3f}'
    return f'{row["stage"]:10} {measured} on {row["images"]:,} {PARTS[row["split"]]} images'


def _tables(results: Results) -> None:
    console = Console(width=shutil.get_terminal_size().columns, highlight=False)
    failed = [row for row in results.claims if row['holds'] != 'true']
    claims = results.claims if len(results.claims) <= MANY else failed
    scores = SCORES if console.width >= MEDIUM else {name: SCORES[name] for name in FEW}
    columns = _columns(results.summary, console.width)
    for rows, layout in ((results.scores, scores), (results.summary, columns), (claims, CLAIMS)):
        if rows:
            console.print(_table(rows, layout))
    for note in results.notes:
        console.print(visible(note), markup=False)
    if results.claims:
        console.print(
            f'{len(results.claims) - len(failed)} of {len(results.claims)} claims hold',
            markup=False,
        )


def _table(rows: Sequence[Row], columns: Columns) -> Table:
    table = Table(box=None, pad_edge=False, header_style='bold')
    for heading, write in columns.items():
        number = heading not in WORDS  # which is never broken over two lines
        least = max(len(write(row)) for row in rows) if number else 1
        table.add_column(
            heading, justify='right' if number else 'left', overflow='fold', min_width=least
        )
    for row in rows:
        cells = [
            Text(visible(write(row))) for write in columns.values()
        ]  # rich does not parse a Text as markup
        table.add_row(
            *cells, style=COLOURS.get(row.get('holds', row.get('verdict', 'score')) or 'baseline')
        )
    return table


def _columns(summary: Sequence[Row], width: int) -> Columns:
    """Columns of a summary that fit the width.

    The verdict is always among them. The interval of the difference, p and the interval of each
    mean follow as the width allows.
    """
    several = len({row['condition'] for row in summary}) > 1
    columns: Columns = {'condition': lambda row: row['condition']} if several else {}
    columns['option'] = lambda row: row['option']
    scales = dict.fromkeys(map(scale.of, summary))
    alone = next(iter(scales)) if len(scales) == 1 else None
    if not alone:  # parts of an assignment, each by its own metric
        columns['metric'] = lambda row: scale.of(row).name
    per_cent = bool(alone and alone.percent)
    if width >= MEDIUM:
        head = alone.name if alone else 'mean'
        columns[head + ', %' * per_cent] = lambda row: _format_estimate(
            row, ('mean', 'ci_low', 'ci_high'), '', width >= WIDE
        )
    head = 'difference' + ', points' * per_cent if width >= MEDIUM or not per_cent else 'points'
    columns[head] = lambda row: _format_estimate(row, DIFFERENCE, '+', width >= MEDIUM)
    if width >= MEDIUM:
        columns['p (Holm)'] = lambda row: (
            '' if row['p_holm'] is None else words.p_value(row['p_holm'])
        )
    columns['verdict'] = lambda row: verdicts.combined(row) if row['verdict'] else 'baseline'
    return columns


def _signed(difference: float, unit: Scale) -> str:
    """A difference with its sign, in the unit of its metric."""
    return f'{unit.factor * difference:+{unit.drawn_form}}'


def _format_estimate(row: Row, names: tuple[str, str, str], sign: str, with_interval: bool) -> str:
    """A number in its unit, and its interval where there is room; empty where it has none."""
    if row[names[0]] is None:
        return ''
    unit = scale.of(row)
    form = f'{sign}{unit.drawn_form}'
    middle, low, high = (f'{unit.factor * row[name]:{form}}' for name in names)
    return f'{middle} [{low}, {high}]' if with_interval else middle
