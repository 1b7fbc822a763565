"""Report of a demonstration: the derivation, then claims with expected and measured values."""

import dataclasses
import math
import pathlib
import shlex
from collections.abc import Mapping
from typing import Any

from jaxdl import fields
from jaxdl.errors import InputError
from jaxdl.report import provenance
from jaxdl.report.ablation import reading
from jaxdl.report.ablation.page import NO_EVIDENCE
from jaxdl.report.page import markup, prose, words
from jaxdl.report.page.blocks import Block, Code, Drawing, Figure, Page, Paragraph, Section, Table
from jaxdl.workdir import claims, tables
from jaxdl.workdir.records import RunRecord
from jaxdl.workdir.tables import Row

CONFIG = ('name', 'scale', 'question', 'settings')
COLUMNS = ('Claim', 'Expected', 'Measured', 'Error', 'Tolerance', 'Holds')


@dataclasses.dataclass(frozen=True)
class DemonstrationRun:
    """A finished demonstration in memory."""

    name: str
    config: Mapping[str, Any]
    run: RunRecord
    claims: list[Row]
    head: list[Block]
    sections: list[Section]

    @property
    def failed(self) -> list[Row]:
        return [row for row in self.claims if row['holds'] != 'true']


def read(workdir: pathlib.Path) -> DemonstrationRun:
    """Read the workdir of a demonstration.

    Args:
      workdir: workdir of a finished demonstration.

    Returns:
      Its text, figures, tables and claims.

    Raises:
      InputError: the run is not finished, or a file is damaged or truncated.
    """
    config, run = reading.record(workdir / 'config.json', CONFIG), reading.read_finished(workdir)
    answer = reading.record(workdir / 'artifacts' / 'answer.json', ('text', 'shown'))
    try:
        head, sections = prose.read(
            answer['text'], [_figure_or_table(workdir, block) for block in answer['shown']]
        )
    except (OSError, KeyError, TypeError, ValueError):
        artifacts = workdir / 'artifacts'
        raise InputError(f'{artifacts} is damaged: start the run again with --overwrite') from None
    rows = tables.read_table(workdir / 'claims.csv', claims.COLUMNS)
    return DemonstrationRun(workdir.resolve().name, config, run, rows, head, sections)


def page(answered: DemonstrationRun) -> Page:
    """All sections of the report of a demonstration."""
    sections = [
        *answered.sections,
        Section('Claims', claim_table(answered)),
        Section('Provenance', _provenance(answered)),
    ]
    return Page(markup.flat(answered.config['question']), head(answered), sections)


def head(answered: DemonstrationRun) -> list[Block]:
    """The short answer, and failed claims."""
    quick: list[Block] = (
        [Paragraph(NO_EVIDENCE, 'warning')] if answered.config['scale'] == 'quick' else []
    )
    failed = [
        Paragraph(
            f'{words.count(len(answered.failed), "claim")} failed: {_names(answered.failed)}.',
            'warning',
        )
    ]
    facts = (verdict(answered), markup.flat(answered.run.device))
    return [
        *quick,
        *(failed if answered.failed else []),
        *answered.head,
        Paragraph(' · '.join(facts), 'note'),
    ]


def verdict(answered: DemonstrationRun) -> str:
    """Number of claims that hold, in words."""
    total = len(answered.claims)
    return f'{total - len(answered.failed)} of {words.count(total, "claim")} hold'


def claim_table(answered: DemonstrationRun) -> list[Block]:
    """Table of all claims, with a note."""
    rows = [
        [
            markup.flat(row['claim']),
            *(number(row[key]) for key in ('expected', 'measured', 'error', 'tolerance')),
            'yes' if row['holds'] == 'true' else markup.name('NO'),
        ]
        for row in answered.claims
    ]
    caption = f'Claims: expected and measured values; {verdict(answered)}'
    note = (
        'Error: distance of the measured from the expected value; for a bound, the amount by which '
        'the measured value violates it. A claim holds if the error is at most the tolerance. All '
        f'digits are in {markup.code("claims.csv")}.'
    )
    return [Table(caption, COLUMNS, rows, 'wrrrrl'), Paragraph(note, 'note')]


def number(value: float | None) -> str:
    """Format a number: four significant digits, an exponent if very small or large: `2.2e-16`."""
    if value is None or not math.isfinite(value):
        return str(value)
    if value == round(value) and abs(value) < 1e6:
        return f'{value:,.0f}'.replace('-', words.MINUS)
    text = f'{value:.4g}' if 1e-3 <= abs(value) < 1e6 else f'{value:.3g}'
    return text.replace('-', words.MINUS)


def _figure_or_table(workdir: pathlib.Path, block: dict[str, Any]) -> Figure | Table:
    if not block['name'] or fields.file_name(block['name']):  # it becomes a file in figures/
        raise ValueError('no name for a figure')
    if block['kind'] == 'table':
        return Table(**block)
    svg, narrow, png = (
        (workdir / 'artifacts' / f'{block["name"]}.{form}').read_bytes()
        for form in ('svg', 'svg_narrow', 'png')
    )
    sizes = {key: (int(size[0]), int(size[1])) for key, size in block['drawing'].items()}
    drawing = Drawing(svg, narrow, png, sizes['size'], sizes['size_narrow'])
    return Figure(block['name'], drawing, block['alt'], block['caption'])


def _names(rows: list[Row]) -> str:
    return '; '.join(markup.flat(row['claim']) for row in rows)


def _provenance(answered: DemonstrationRun) -> list[Block]:
    run = answered.run
    facts = provenance.facts(answered.config['name'], run)
    facts |= {f'Setting {name}': str(value) for name, value in answered.config['settings'].items()}
    rows = [[name, markup.flat(words.local(str(value)))] for name, value in facts.items()]
    return [
        *provenance.command(run.command),
        Table('Run', ('Item', 'Value'), rows, 'lw'),
        *([groups(run)] if run.groups else []),
        Paragraph('This command rebuilds the report from the workdir, without jax:'),
        Code(f'python -m jaxdl.main --mode=report --workdir={shlex.quote(answered.name)}'),
    ]


def groups(run: RunRecord) -> Table:
    """Table of the groups: runs that trained together in one program."""
    keys = ('members', 'traces', 'steps', 'batch_size')
    rows = [
        [
            ', '.join(markup.name(o) for o in group.options),
            *(f'{getattr(group, key):,}' for key in keys),
            words.significant(group.compile_seconds),
            words.significant(group.train_seconds),
        ]
        for group in run.groups or ()
    ]
    columns = ('Options', 'Runs', 'Programs', 'Steps', 'Batch size', 'Compile, s', 'Train, s')
    return Table('Groups: runs that trained together in one program', columns, rows, 'wrrrrrr')
