"""The report of an assignment: every part in its order, with what a reader needs of each.

The rest is in its own.
"""

import dataclasses
import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from jaxdl import fields
from jaxdl.errors import InputError
from jaxdl.report import demonstration, provenance
from jaxdl.report.ablation import page as ablation
from jaxdl.report.ablation import reading, verdicts
from jaxdl.report.ablation.queries import compared
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Figure, Page, Paragraph, Section, Table

CONFIG = ('name', 'scale', 'question', 'parts', 'roll_number')
RUN = ('command', 'git', 'date', 'versions', 'device', 'seconds', 'finished')
# Of an ablation's own report these stay there: who wants to check a number opens it.
LEFT_OUT = (
    'By the number of rates tried',
    'Costs',
    'The protocol',
    'Every run',
    'Provenance',
    'How sure the differences are',
    'Learning rates',
)


@dataclasses.dataclass(frozen=True)
class Part:
    """One experiment: its page, and its answer in a line."""

    name: str
    page: Page
    answer: str
    seconds: float


def page(workdir: pathlib.Path) -> Page:
    """The whole report of a finished assignment.

    Raises:
      InputError: it is not finished, or a file in it is damaged.
    """
    config, run = reading.record(workdir / 'config.json', CONFIG), reading.finished(workdir, RUN)
    headings: Mapping[str, Sequence[str]] = config['parts']
    for name in itertools.chain(*headings.values()):
        if not name or fields.file_name(name):  # each is a folder in parts/
            raise InputError(
                f'{workdir / "config.json"}: part {name!r} is no name of an experiment'
            )
    found = {name: _part(workdir / 'parts' / name) for names in headings.values() for name in names}
    sections = [Section('The answers in short', [_overview(headings, found)])]
    for heading, names in headings.items():
        alone = len(names) == 1
        blocks = _opening(found[names[0]]) if alone else []
        sections.append(Section(markup.flat(heading), blocks))
        for name in names:
            sections += _sections(found[name], alone)
    sections.append(Section('Provenance', _provenance(config, run, found)))
    return Page(markup.flat(config['question']), _head(config, run, found), sections)


def _part(workdir: pathlib.Path) -> Part:
    if reading.kind(workdir) == 'Ablation':
        study = reading.read(workdir)
        lines = [
            f'{words.condition(c)}: {verdicts.sentence(compared(study, c))}'
            if study.repeated
            else verdicts.sentence(compared(study, c))
            for c in study.conditions
        ]
        return Part(
            workdir.name, ablation.page(study), ' '.join(lines), study.run['seconds']['total']
        )
    answered = demonstration.read(workdir)
    short = ' '.join(block.text for block in answered.head if isinstance(block, Paragraph))
    answer = f'{short} {demonstration.verdict(answered)}.'
    return Part(
        workdir.name, demonstration.page(answered), answer, answered.run['seconds']['total']
    )


def _head(
    config: Mapping[str, Any], run: Mapping[str, Any], found: Mapping[str, Part]
) -> list[Block]:
    quick: list[Block] = (
        [Paragraph(ablation.NO_EVIDENCE, 'warning')] if config['scale'] == 'quick' else []
    )
    facts = [words.count(len(found), 'experiment'), markup.flat(run['device'])]
    if config['roll_number']:
        facts.insert(0, f'roll number {markup.flat(config["roll_number"])}')
    return [*quick, Paragraph(' · '.join(facts), 'note')]


def _overview(headings: Mapping[str, Sequence[str]], found: Mapping[str, Part]) -> Table:
    rows = [
        ['' if i else markup.flat(heading), found[name].page.title, found[name].answer]
        for heading, names in headings.items()
        for i, name in enumerate(names)
    ]
    return Table(
        'Every question, and what running it gave', ('Part', 'Question', 'Answer'), rows, 'www'
    )


def _opening(part: Part) -> list[Block]:
    where = markup.code(f'parts/{part.name}/report.html')
    head = [
        block for block in part.page.head if block != Paragraph(ablation.NO_EVIDENCE, 'warning')
    ]  # said once
    return [Paragraph(part.page.title, 'question'), *head, Paragraph(f'In full: {where}', 'note')]


def _sections(part: Part, alone: bool) -> list[Section]:
    """The sections of a part one level down; where it shares a heading.

    Its question is a heading of its own.
    """
    kept = [section for section in part.page.sections if not section.title.startswith(LEFT_OUT)]
    inner = [Section(section.title, _renamed(part.name, section.blocks), 3) for section in kept]
    if alone:
        return inner
    blocks = [
        block
        for section in inner
        for block in (Paragraph(markup.name(section.title)), *section.blocks)
    ]
    return [Section(part.page.title, [*_opening(part)[1:], *blocks], 3)]


def _renamed(part: str, blocks: Sequence[Block]) -> list[Block]:
    """Figures under names that no other part has."""
    return [
        dataclasses.replace(block, name=f'{part}_{block.name}')
        if isinstance(block, Figure)
        else block
        for block in blocks
    ]


def _provenance(
    config: Mapping[str, Any], run: Mapping[str, Any], found: Mapping[str, Part]
) -> list[Block]:
    facts = provenance.facts(config['name'], run)
    rows = [[name, markup.flat(words.local(str(value)))] for name, value in facts.items()]
    parts = [[markup.code(name), words.seconds(part.seconds)] for name, part in found.items()]
    return [
        *provenance.command(run['command']),
        Table('The run', ('What', 'Value'), rows, 'lw'),
        Table(
            'Its parts, each with a report of its own in parts/',
            ('Experiment', 'Time'),
            parts,
            'lr',
        ),
    ]
