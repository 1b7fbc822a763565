"""Parse the text of a derivation, in a strict subset of Markdown, into blocks.

Blank lines separate blocks: `## ` is a heading, `- ` or `1. ` the items of a list, a fence of three
backticks code, `$$` a displayed formula, `![NAME]` a figure or table, anything else a paragraph.
Within a line `$TEX$` is a formula, `` `code` `` code and `**text**` strong. Text before the first
heading is the short answer.
"""

import re
from collections.abc import Mapping, Sequence

from jaxdl.report.page import markup
from jaxdl.report.page.blocks import Block, Code, Figure, Formula, Items, Paragraph, Section, Table

_MARKS = re.compile(r'\$([^$]+)\$|`([^`]+)`|\*\*([^*]+)\*\*')
_ITEM = re.compile(r'(?:-|\d+\.) ')


def read(text: str, figures: Sequence[Figure | Table]) -> tuple[list[Block], list[Section]]:
    """Parse a derivation.

    Args:
      text: the text.
      figures: figures and tables, each used exactly once.

    Returns:
      Blocks of the short answer, and the sections.

    Raises:
      ValueError: the text names an unknown figure or table, or leaves one out.
    """
    named: dict[str, Figure | Table] = {block.name: block for block in figures}
    unused = named.keys() - set(re.findall(r'^!\[(.*)\]$', text, re.MULTILINE))
    if unused:
        raise ValueError(f'the text does not use {", ".join(sorted(unused))}')
    head, *rest = re.split(r'^## (.*)$', text, flags=re.MULTILINE)
    sections = [
        Section(inline(title), [_block(part, named) for part in _parts(body)])
        for title, body in zip(rest[::2], rest[1::2], strict=True)
    ]
    return [Paragraph(inline(part), 'lead') for part in _parts(head)], sections


def inline(text: str) -> str:
    """A paragraph with formulas, code and strong words marked as in `markup`."""

    def mark(match: re.Match[str]) -> str:
        formula, code, strong = match.groups()
        return (
            markup.math(formula) if formula else markup.code(code) if code else markup.name(strong)
        )

    return _MARKS.sub(mark, re.sub(r'[ \t\n]+', ' ', text).strip(' '))  # keeps no-break spaces


def _parts(text: str) -> list[str]:
    """Split at blank lines outside of code fences."""
    pieces = re.findall(
        r'^```.*?^```$|(?:^(?!```)[^\n]*\S[^\n]*\n?)+', text, re.MULTILINE | re.DOTALL
    )
    return [piece.strip() for piece in pieces]


def _block(part: str, named: Mapping[str, Figure | Table]) -> Block:
    if part.startswith('```'):
        return Code('\n'.join(part.splitlines()[1:-1]))
    if part.startswith('$$'):
        return Formula(' '.join(part.strip('$').split()))
    if part.startswith('!['):
        if part[2:-1] not in named:
            raise ValueError(
                f'the text uses {part[2:-1]!r}, which is not one of {", ".join(named)}'
            )
        return named[part[2:-1]]
    if _ITEM.match(part):
        items = re.split(r'^(?:-|\d+\.) ', part, flags=re.MULTILINE)[1:]
        return Items([inline(item) for item in items], ordered=part[0] != '-')
    return Paragraph(inline(part))
