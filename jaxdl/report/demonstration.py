"""The report of a demonstration: its text, then every claim beside what was measured."""

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
from jaxdl.workdir.tables import Row

CONFIG = ('name', 'scale', 'question', 'settings')
RUN = ('command', 'git', 'date', 'versions', 'device', 'seconds', 'groups', 'finished')
COLUMNS = ('Claim', 'Expected', 'Measured', 'Error', 'Tolerance', 'Holds')


@dataclasses.dataclass(frozen=True)
class Answered:
    """What the workdir of a demonstration holds."""

    name: str
    config: Mapping[str, Any]
    run: Mapping[str, Any]
    claims: list[Row]
    head: list[Block]
    sections: list[Section]

    @property
    def failed(self) -> list[Row]:
        return [row for row in self.claims if row['holds'] != 'true']


def read(workdir: pathlib.Path) -> Answered:
    """Reads the workdir of a demonstration.

    Raises:
      InputError: it holds no finished run, or a file in it is damaged or cut short.
    """
    config, run = reading.record(workdir / 'config.json', CONFIG), reading.finished(workdir, RUN)
    answer = reading.record(workdir / 'artifacts' / 'answer.json', ('text', 'shown'))
    try:
        head, sections = prose.read(
            answer['text'], [_shown(workdir, block) for block in answer['shown']]
        )
    except (OSError, KeyError, TypeError, ValueError):
        where = workdir / 'artifacts'
        raise InputError(f'{where} is damaged: start the run again with --overwrite') from None
    held = tables.read_table(workdir / 'claims.csv', claims.COLUMNS)
    return Answered(workdir.resolve().name, config, run, held, head, sections)


def page(answered: Answered) -> Page:
    """The whole report of a demonstration."""
    sections = [
        *answered.sections,
        Section('Every claim', claimed(answered)),
        Section('Provenance', _provenance(answered)),
    ]
    return Page(markup.flat(answered.config['question']), head(answered), sections)


def head(answered: Answered) -> list[Block]:
    """The answer in short, and what it rests on."""
    quick: list[Block] = (
        [Paragraph(NO_EVIDENCE, 'warning')] if answered.config['scale'] == 'quick' else []
    )
    failed = [
        Paragraph(
            f'{words.count(len(answered.failed), "claim")} failed: {_names(answered.failed)}.',
            'warning',
        )
    ]
    facts = (verdict(answered), markup.flat(answered.run['device']))
    return [
        *quick,
        *(failed if answered.failed else []),
        *answered.head,
        Paragraph(' · '.join(facts), 'note'),
    ]


def verdict(answered: Answered) -> str:
    """How many of the claims hold."""
    total = len(answered.claims)
    return f'{total - len(answered.failed)} of {words.count(total, "claim")} hold'


def claimed(answered: Answered) -> list[Block]:
    """Every claim in a table."""
    rows = [
        [
            markup.flat(row['claim']),
            *(number(row[key]) for key in ('expected', 'measured', 'error', 'tolerance')),
            'yes' if row['holds'] == 'true' else markup.name('NO'),
        ]
        for row in answered.claims
    ]
    caption = f'Every number that the derivation predicts, beside what running it gave: {verdict(answered)}'
    note = (
        'The error is the distance from what is expected; where a bound is expected, what the measurement lacks of it. '
        f'A claim holds where the error is within the tolerance. All digits are in {markup.code("claims.csv")}.'
    )
    return [Table(caption, COLUMNS, rows, 'wrrrrl'), Paragraph(note, 'note')]


def number(value: float | None) -> str:
    """Four significant digits; very small and very large ones with a power of ten: `2.2e-16`."""
    if value is None or not math.isfinite(value):
        return str(value)
    if value == round(value) and abs(value) < 1e6:
        return f'{value:,.0f}'.replace('-', words.MINUS)
    text = f'{value:.4g}' if 1e-3 <= abs(value) < 1e6 else f'{value:.3g}'
    return text.replace('-', words.MINUS)


def _shown(workdir: pathlib.Path, block: dict[str, Any]) -> Figure | Table:
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


def _provenance(answered: Answered) -> list[Block]:
    run = answered.run
    facts = provenance.facts(answered.config['name'], run)
    facts |= {f'Setting {name}': str(value) for name, value in answered.config['settings'].items()}
    rows = [[name, markup.flat(words.local(str(value)))] for name, value in facts.items()]
    return [
        *provenance.command(run['command']),
        Table('The run', ('What', 'Value'), rows, 'lw'),
        *([groups(run)] if run['groups'] else []),
        Paragraph('This report is built again from the workdir alone, without jax, by:'),
        Code(f'python -m jaxdl.main --mode=report --workdir={shlex.quote(answered.name)}'),
    ]


def groups(run: Mapping[str, Any]) -> Table:
    """The networks that trained at once in one program."""
    keys = ('members', 'traces', 'steps', 'batch_size')
    rows = [
        [
            ', '.join(markup.name(o) for o in group['options']),
            *(f'{group[key]:,}' for key in keys),
            *(words.significant(group[key]) for key in ('compile_seconds', 'train_seconds')),
        ]
        for group in run['groups']
    ]
    columns = ('Options', 'Members', 'Programs', 'Steps', 'Batch size', 'Compile, s', 'Train, s')
    return Table(
        'The groups: networks that trained at once in one program', columns, rows, 'wrrrrrr'
    )
