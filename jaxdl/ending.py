"""What a run tells its user at its end: what came out, where the report is, and one command worth trying next."""

import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jaxdl import seeds as seeded
from jaxdl import statistics
from jaxdl.errors import visible
from jaxdl.results import Results, Row

COLOURS = {'better': 'bold green', 'worse': 'bold red', 'baseline': 'dim'}
MANY = 12  # claims: beyond that a table has only those that fail
NEXT = dict(  # demonstration -> what takes its question further
    backprop='vanishing_gradients', vanishing_gradients='activations', activations='hidden_activation', symmetry='init',
    conv_arithmetic='fc_as_conv', fc_as_conv='global_pooling', residual='depth', triplet='pooling',
)  # fmt: skip


def tell(found: Results, config: Mapping[str, Any], arguments: Sequence[str], say: Callable[[str], None]) -> None:
    """Tables on a terminal; plain lines, one a fact, where somebody or something else reads.

    `config`: the fields of the experiment; `arguments`: the command line that ran it.
    """
    if sys.stdout.isatty():
        _tables(found)
    else:
        for text in (*found.notes, *map(line, found.summary), *map(claim, found.claims)):
            say(text)
    say(f'report: {found.workdir / "report.html"}')
    following = after(found, config, arguments)
    if following:
        words, why = following
        say(f'next: {shlex.join(["python", "-m", "jaxdl.main", *words])}  # {why}')


def after(found: Results, config: Mapping[str, Any], arguments: Sequence[str]) -> tuple[list[str], str] | None:
    """One command worth trying, and why; None where nothing suggests itself."""
    words = [word for word in arguments if word.lstrip('-').partition('=')[0] not in ('quick', 'workdir', 'overwrite')]
    beside = f'--workdir={found.workdir}'
    if config.get('scale') == 'quick':
        return [*words, f'{beside}-full'], 'this run was shrunk, and is no evidence'
    if config['kind'] == 'FineTune':
        predict = ['--mode=predict', f'--checkpoint={found.workdir}', '--images=DIR', '--output=predictions.csv']
        return predict, 'the classes of new images'
    if config['kind'] == 'Demonstration':
        follows = NEXT.get(config['name'])
        return ([f'--experiment={follows}'], 'takes the question further') if follows else None
    return _after_ablation(found, config, words, beside) if found.summary else None


def _after_ablation(
    found: Results, config: Mapping[str, Any], words: Sequence[str], beside: str
) -> tuple[list[str], str] | None:
    edge = _edge(found, config)
    if edge:
        return [*words, f'--set=learning_rates={edge[1]}', f'{beside}-rates'], f'{edge[0]} was best at the edge'
    margin, unsure = config['margin'], [row for row in found.summary if row['verdict'] == 'no difference found']
    row = max(unsure, key=lambda own: own['detectable'], default=None)
    if row and row['detectable'] > margin:
        seeds = statistics.seeds_needed(
            seeded.spread(found.table, row['baseline'], row['condition'])[row['option']][0], margin
        )
        kept = [word for word in words if not word.lstrip('-').startswith('seeds')]
        why = f'{row["seeds"]} seeds find {100 * row["detectable"]:.2f} points at least for {row["option"]}'
        return [*kept, f'--seeds={seeds}', f'{beside}-{seeds}-seeds'], f'{why}; these find {100 * margin:g}'
    if config['data']['resample_split']:
        return None
    return [*words, '--set=resample_split=true', f'{beside}-splits'], 'do the verdicts hold for other splits, too?'


def _edge(found: Results, config: Mapping[str, Any]) -> tuple[str, str] | None:
    """An option whose chosen rate is the last that was tried on one side, and a grid that goes further."""
    for row in found.summary:
        own = {r['learning_rate'] for r in found.table if r['phase'] == 'tune' and r['option'] == row['option']}
        if len(own) > 1 and row['learning_rate'] in (min(own), max(own)):
            scale = dict(config['options'][row['option']]).get('learning_rate_scale', 1.0)
            low, high = min(own) / scale, max(own) / scale
            further = [low / 10, low] if row['learning_rate'] == min(own) else [high, high * 10]
            grid = sorted({*config['learning_rates'], *further})
            return row['option'], '[' + ','.join(f'{rate:.3g}' for rate in grid) + ']'
    return None


def line(row: Row) -> str:
    """A row of a summary, in one line."""
    mean = f'{100 * row["mean"]:.2f} %'
    if row['difference'] is None:
        return f'{row["condition"]} {row["option"]:16} {mean}'.strip()
    low, middle, high = (100 * row[f'difference{end}'] for end in ('_low', '', '_high'))
    compared = f'{middle:+.2f} [{low:+.2f}, {high:+.2f}] points: {row["verdict"]}'
    return f'{row["condition"]} {row["option"]:16} {mean}  {compared}'.strip()


def claim(row: Row) -> str:
    """A claim and what was measured, in one line."""
    numbers = f'measured {row["measured"]:.6g}, expected {row["expected"]:.6g}'
    within = f' to {row["tolerance"]:.3g}' if row['tolerance'] else ''
    return f'{"holds" if row["holds"] == "true" else "FAILS"}  {row["claim"]}: {numbers}{within}'


def _tables(found: Results) -> None:
    console = Console(width=shutil.get_terminal_size().columns, highlight=False)
    for note in found.notes:
        console.print(visible(note), markup=False)
    if found.summary:
        console.print(_verdicts(found.summary, wide=console.width >= 76))
    if found.claims:
        failed = [row for row in found.claims if row['holds'] != 'true']
        console.print(f'{len(found.claims) - len(failed)} of {len(found.claims)} claims hold', markup=False)
        for row in found.claims if len(found.claims) <= MANY else failed:
            console.print(visible(claim(row)), markup=False, style=None if row['holds'] == 'true' else 'bold red')


def _verdicts(summary: Sequence[Row], wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style='bold')
    named = len({row['condition'] for row in summary}) > 1
    for heading in (['condition'] if named else []) + ['option']:
        table.add_column(heading, overflow='fold')
    for heading in (['test accuracy, %'] if wide else []) + ['difference, points']:
        table.add_column(heading, justify='right')
    table.add_column('verdict', overflow='fold')
    for row in summary:
        table.add_row(*_cells(row, named, wide), style=COLOURS.get(row['verdict'] or 'baseline'))
    return table


def _cells(row: Row, named: bool, wide: bool) -> list[Any]:
    names = [row['condition'], row['option']] if named else [row['option']]
    cells = [Text(visible(name)) for name in names]  # a Text is no markup, whatever stands in it
    difference = ''
    if row['difference'] is not None:
        low, middle, high = (100 * row[f'difference{end}'] for end in ('_low', '', '_high'))
        difference = f'{middle:+.2f} ({low:+.2f} to {high:+.2f})' if wide else f'{middle:+.2f}'
    return [*cells, *([f'{100 * row["mean"]:.2f}'] if wide else []), difference, row['verdict'] or 'baseline']
