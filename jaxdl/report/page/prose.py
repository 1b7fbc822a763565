"""The text of a derivation, from a strict subset of Markdown to blocks.

Blank lines separate blocks: `## ` a heading, `- ` or `1. ` the items of a list, a fence of three
backticks code, `$$` around a formula, `![NAME]` the figure or table of that name, anything else a
paragraph. Within a line `$TEX$` is a formula, `` `code` `` code, `**text**` strong. What stands
before the first heading is the answer in short.
"""

import re
from collections.abc import Mapping, Sequence

from jaxdl.report.page import markup
from jaxdl.report.page.blocks import Block, Code, Figure, Formula, Items, Paragraph, Section, Table

_MARKS = re.compile(r'\$([^$]+)\$|`([^`]+)`|\*\*([^*]+)\*\*')
_ITEM = re.compile(r'(?:-|\d+\.) ')


def read(text: str, shown: Sequence[Figure | Table]) -> tuple[list[Block], list[Section]]:
    """The answer in short, and the sections.

    Raises:
      ValueError: the text names a figure or table that is not in `shown`, or leaves one out.
    """
    named: dict[str, Figure | Table] = {block.name: block for block in shown}
    unused = named.keys() - set(re.findall(r'^!\[(.*)\]$', text, re.MULTILINE))
    if unused:
        raise ValueError(f'the text has no place for {", ".join(sorted(unused))}')
    head, *rest = re.split(r'^## (.*)$', text, flags=re.MULTILINE)
    sections = [
        Section(inline(title), [_block(part, named) for part in _parts(body)])
        for title, body in zip(rest[::2], rest[1::2], strict=True)
    ]
    return [Paragraph(inline(part), 'lead') for part in _parts(head)], sections


def inline(text: str) -> str:
    """The text of a paragraph with its formulas.

    Code and strong words marked as `markup` has them.
    """

    def marked(found: re.Match[str]) -> str:
        formula, code, strong = found.groups()
        return (
            markup.math(formula) if formula else markup.code(code) if code else markup.name(strong)
        )

    return _MARKS.sub(marked, re.sub(r'[ \t\n]+', ' ', text).strip(' '))  # no-break spaces stay


def _parts(text: str) -> list[str]:
    """Cut at blank lines, but for those within a fence."""
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
                f'the text shows {part[2:-1]!r}, which is not among {", ".join(named)}'
            )
        return named[part[2:-1]]
    if _ITEM.match(part):
        items = re.split(r'^(?:-|\d+\.) ', part, flags=re.MULTILINE)[1:]
        return Items([inline(item) for item in items], ordered=part[0] != '-')
    return Paragraph(inline(part))
