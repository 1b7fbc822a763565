"""Report of an assignment: the parts in order, each abridged from its own report."""

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
from jaxdl.workdir.records import RunRecord

CONFIG = ('name', 'scale', 'question', 'parts', 'roll_number')
LEFT_OUT = 'Provenance'  # section of a part's own report that is left out here


@dataclasses.dataclass(frozen=True)
class PartReport:
    """Report of one experiment of an assignment: its page, and its answer in a sentence."""

    name: str
    page: Page
    answer: str
    seconds: float


def page(workdir: pathlib.Path) -> Page:
    """All sections of the report of a finished assignment.

    Args:
      workdir: workdir of the assignment; its parts are in `parts/`.

    Returns:
      The page.

    Raises:
      InputError: the run is not finished, or a file is damaged.
    """
    config, run = reading.record(workdir / 'config.json', CONFIG), reading.read_finished(workdir)
    headings: Mapping[str, Sequence[str]] = config['parts']
    for name in itertools.chain(*headings.values()):
        if not name or fields.file_name(name):  # each is a folder in parts/
            raise InputError(
                f'{workdir / "config.json"}: part {name!r} is not the name of an experiment: '
                'start the run again with --overwrite'
            )
    parts = {name: _part(workdir / 'parts' / name) for names in headings.values() for name in names}
    sections = [Section('Answers', [_overview(headings, parts)])]
    for heading, names in headings.items():
        alone = len(names) == 1
        blocks = _opening(parts[names[0]]) if alone else []
        sections.append(Section(markup.flat(heading), blocks))
        for name in names:
            sections += _sections(parts[name], alone)
    sections.append(Section('Provenance', _provenance(config, run, parts)))
    return Page(markup.flat(config['question']), _head(config, run, parts), sections)


def _part(workdir: pathlib.Path) -> PartReport:
    if reading.kind(workdir) == 'Ablation':
        study = reading.read(workdir)
        lines = [
            f'{words.condition(c)}: {verdicts.sentence(compared(study, c))}'
            if study.repeated
            else verdicts.sentence(compared(study, c))
            for c in study.conditions
        ]
        return PartReport(workdir.name, ablation.page(study), ' '.join(lines), _seconds(study.run))
    answered = demonstration.read(workdir)
    short = ' '.join(block.text for block in answered.head if isinstance(block, Paragraph))
    answer = f'{short} {demonstration.verdict(answered)}.'
    return PartReport(workdir.name, demonstration.page(answered), answer, _seconds(answered.run))


def _seconds(run: RunRecord) -> float:
    return (run.seconds or {}).get('total', 0.0)


def _head(
    config: Mapping[str, Any], run: RunRecord, parts: Mapping[str, PartReport]
) -> list[Block]:
    quick: list[Block] = (
        [Paragraph(ablation.NO_EVIDENCE, 'warning')] if config['scale'] == 'quick' else []
    )
    facts = [words.count(len(parts), 'experiment'), markup.flat(run.device)]
    if config['roll_number']:
        facts.insert(0, f'roll number {markup.flat(config["roll_number"])}')
    return [*quick, Paragraph(' · '.join(facts), 'note')]


def _overview(headings: Mapping[str, Sequence[str]], parts: Mapping[str, PartReport]) -> Table:
    rows = [
        ['' if i else markup.flat(heading), parts[name].page.title, parts[name].answer]
        for heading, names in headings.items()
        for i, name in enumerate(names)
    ]
    return Table('Questions and answers', ('Part', 'Question', 'Answer'), rows, 'www')


def _opening(part: PartReport) -> list[Block]:
    path = markup.code(f'parts/{part.name}/report.html')
    head = [
        block for block in part.page.head if block != Paragraph(ablation.NO_EVIDENCE, 'warning')
    ]  # the head of the assignment has this warning
    return [
        Paragraph(part.page.title, 'question'),
        *_rename_figures(part.name, head),
        Paragraph(f'Full report: {path}', 'note'),
    ]


def _sections(part: PartReport, alone: bool) -> list[Section]:
    """Sections of a part, one level down; a single section if the heading has several parts.

    The appendix of a part is left out.
    """
    sections = [section for section in part.page.sections if section.title != LEFT_OUT]
    inner = [
        Section(section.title, _rename_figures(part.name, section.blocks), 3)
        for section in sections
    ]
    if alone:
        return inner
    blocks = [
        block
        for section in inner
        for block in (Paragraph(markup.name(section.title)), *section.blocks)
    ]
    return [Section(part.page.title, [*_opening(part)[1:], *blocks], 3)]


def _rename_figures(part: str, blocks: Sequence[Block]) -> list[Block]:
    """Blocks with the name of the part before the name of each figure."""
    return [
        dataclasses.replace(block, name=f'{part}_{block.name}')
        if isinstance(block, Figure)
        else block
        for block in blocks
    ]


def _provenance(
    config: Mapping[str, Any], run: RunRecord, parts: Mapping[str, PartReport]
) -> list[Block]:
    facts = provenance.facts(config['name'], run)
    rows = [[name, markup.flat(words.local(str(value)))] for name, value in facts.items()]
    times = [[markup.code(name), words.seconds(part.seconds)] for name, part in parts.items()]
    return [
        *provenance.command(run.command),
        Table('Run', ('Item', 'Value'), rows, 'lw'),
        Table('Parts; the full report of each is in parts/', ('Experiment', 'Time'), times, 'lr'),
    ]
