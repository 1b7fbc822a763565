"""Elements of a report: a page has sections, a section has blocks.

The templates render these elements only. Text is plain, with the marks of `markup.name`,
`markup.code` and `markup.math`; the renderer escapes it.
"""

import dataclasses
import re
from collections.abc import Sequence

from jaxdl.report.page import markup

WORDS, LONGEST = 7, 80  # of a caption, letters: in the name of the file of a table


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A figure as files: for a page, and with fewer panels per row for a phone."""

    svg: bytes
    svg_narrow: bytes
    png: bytes
    size: tuple[int, int]  # width, height in CSS pixels
    size_narrow: tuple[int, int]

    @property
    def photograph(self) -> bool:
        """Whether it has photographs, whose colours no theme may change."""
        return b'<image' in self.svg


@dataclasses.dataclass(frozen=True)
class Axis:
    """A vertical axis of a chart.

    Attributes:
      name: label.
      unit: unit of the label.
      decimals: decimals of the values in tables.
      floor: lower end of a logarithmic axis; 0 for a linear axis.
    """

    name: str
    unit: str
    decimals: int = 2
    floor: float = 0.0


@dataclasses.dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Attributes:
      name: determines colour and marker, by its place among the names of the chart.
      part: `training` or `validation`; determines the dashes.
      x: values of the horizontal axis.
      mean: values of the vertical axis, as many as `x`.
      low: lower ends of the intervals; empty without intervals.
      high: upper ends of the intervals; empty without intervals.
      axis: index of the axis in the chart.
      mark: x of the value with a ring.
    """

    name: str
    part: str
    x: Sequence[float]
    mean: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    axis: int = 0
    mark: float | None = None


@dataclasses.dataclass(frozen=True)
class Chart:
    """Numbers of a figure for the interactive chart of a page, which shows one axis at a time.

    Attributes:
      x: label of the horizontal axis.
      axes: vertical axes.
      curves: lines.
      interval: meaning of `low` to `high`.
      marked: meaning of a ring.
      logarithmic: whether x is logarithmic.
      hidden: parts that are invisible at first.
      n: sample size, for the vertical axis.
    """

    x: str
    axes: Sequence[Axis]
    curves: Sequence[Curve]
    interval: str
    marked: str = ''
    logarithmic: bool = False
    hidden: Sequence[str] = ()
    n: str = ''


@dataclasses.dataclass(frozen=True)
class Paragraph:
    """Running text; role `text`, `lead` (the answer), `note` (small print) or `warning`."""

    text: str
    role: str = 'text'
    kind: str = 'paragraph'


@dataclasses.dataclass(frozen=True)
class Items:
    """A list, numbered if `ordered`."""

    items: Sequence[str]
    ordered: bool = False
    kind: str = 'items'


@dataclasses.dataclass(frozen=True)
class Code:
    """Lines of code."""

    text: str
    kind: str = 'code'


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of text; the first column names the row.

    Attributes:
      caption: title.
      columns: headings.
      rows: cells.
      align: one letter per column: `l` left, `r` right, `w` left and wrapped.
      elsewhere: for long tables a sentence on where the numbers are; the page folds such a table,
        and Markdown has the sentence instead of the table.
      name: name in a derivation.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    align: str
    elsewhere: str = ''
    name: str = ''
    kind: str = 'table'


@dataclasses.dataclass(frozen=True)
class Figure:
    """A drawing with text alternative and caption.

    Attributes:
      name: file name.
      drawing: the files.
      alt: the numbers of the drawing in words.
      caption: quantities, axes, n.
      chart: if given, pages with scripts show this interactive chart first.
    """

    name: str
    drawing: Drawing
    alt: str
    caption: str
    chart: Chart | None = None
    kind: str = 'figure'


@dataclasses.dataclass(frozen=True)
class Formula:
    """A displayed formula in TeX."""

    tex: str
    kind: str = 'formula'


Block = Paragraph | Items | Code | Table | Figure | Formula


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading and its blocks.

    Attributes:
      title: the heading, without its number.
      blocks: in order.
      level: 2 for a section, 3 for a subsection.
      folded: whether the page folds this section together with all that follow.
    """

    title: str
    blocks: Sequence[Block]
    level: int = 2
    folded: bool = False


@dataclasses.dataclass(frozen=True)
class Page:
    """A report.

    Attributes:
      title: the question.
      head: the answer.
      sections: numbered in order.
      appendix: content of the last section, which is folded.
    """

    title: str
    head: Sequence[Block]
    sections: Sequence[Section]
    appendix: Sequence[Section] = ()

    @property
    def numbered(self) -> list[tuple[str, Section]]:
        """All sections with numbers: `3`, and `3.1` for subsections."""
        numbered, outer, inner = [], 0, 0
        for section in (*self.sections, *self._folded()):
            outer, inner = (outer, inner + 1) if section.level == 3 else (outer + 1, 0)
            numbered.append((f'{outer}.{inner}' if inner else f'{outer}', section))
        return numbered

    def _folded(self) -> list[Section]:
        """The appendix: a section that lists its content, then the content as subsections."""
        if not self.appendix:
            return []
        titles = '; '.join(section.title for section in self.appendix)
        inner = [dataclasses.replace(section, level=3) for section in self.appendix]
        return [Section('Appendix', [Paragraph(titles, 'note')], folded=True), *inner]

    @property
    def tables(self) -> dict[str, Table]:
        """All tables by file name: title of the section and words of the caption.

        A name has no numbers of sections or counts, so it stays if sections or seeds are added.
        """
        tables: dict[str, Table] = {}
        outer = ''
        for _, section in self.numbered:
            title = _slug(section.title)
            outer = ('' if section.folded else title) if section.level == 2 else outer
            within = f'{outer}-{title}' if section.level == 3 and outer else title
            for block in section.blocks:
                if isinstance(block, Table):
                    name = f'{within}-{_slug(_first_words(block.caption))}'.strip('-')
                    name = name[:LONGEST].strip('-') or 'table'
                    number = sum(
                        re.fullmatch(rf'{name}(-\d+)?', other) is not None for other in tables
                    )
                    tables[f'{name}-{number + 1}' if number else name] = block
        return tables

    @property
    def figures(self) -> list[Figure]:
        """All figures of the page, in order."""
        groups = [self.head, *(section.blocks for _, section in self.numbered)]
        return [block for blocks in groups for block in blocks if isinstance(block, Figure)]


def _slug(text: str) -> str:
    """Lower-case words of a text, with hyphens, without words that have digits."""
    words = re.findall(r'[a-z0-9]+', markup.plain(text).lower())
    return '-'.join(word for word in words if not re.search(r'\d', word))


def _first_words(caption: str) -> str:
    """The first words of a caption, up to the first sign or number of seeds."""
    return ' '.join(re.split(r'[,;:(]', markup.plain(caption))[0].split()[:WORDS])
