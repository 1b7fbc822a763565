"""What a report is made of: a page of sections, a section of blocks.

Both templates walk these and nothing else. Text is plain, with what `markup.name` and `markup.code`
mark in it; escaping is the renderer's.
"""

import dataclasses
import re
from collections.abc import Sequence

from jaxdl.report.page import markup


@dataclasses.dataclass(frozen=True)
class Drawing:
    """One figure as files: for a page, and again for a phone.

    With fewer panels a row and type of the same size.
    """

    svg: bytes
    svg_narrow: bytes
    png: bytes
    size: tuple[int, int]  # width, height in CSS pixels
    size_narrow: tuple[int, int]

    @property
    def photograph(self) -> bool:
        """Whether pictures are in it, whose colours no theme may change."""
        return b'<image' in self.svg


@dataclasses.dataclass(frozen=True)
class Axis:
    """A vertical axis of a chart: what it shows, in which unit.

    And with how many decimals the tables write it.

    With a `floor` it is logarithmic, and what is smaller shows at its edge; with a `top` as well
    (100 for an accuracy in %) it is spaced by the logarithm of what is left to that.
    """

    name: str
    unit: str
    decimals: int = 2
    floor: float = 0.0
    top: float = 0.0


@dataclasses.dataclass(frozen=True)
class Curve:
    """One line of a chart: `name` gives its colour and markers, `part` (training.

    Validation) its dashes.

    `x`, `mean`, `low` and `high` are of one length; without an interval the last two are empty.
    `axis` counts the chart's; `mark` is the x of a value that a ring tells from the others.
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
    """The numbers of a figure, for a page to draw them again and have them read.

    One of its axes is shown at a time.

    `interval` says what `low` to `high` is, `marked` what a ring means; `logarithmic` is of x; the
    parts in `hidden` are off at the start.
    """

    x: str
    axes: Sequence[Axis]
    curves: Sequence[Curve]
    interval: str
    marked: str = ''
    logarithmic: bool = False
    hidden: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Paragraph:
    """Running text; role: `text`, `lead` (the answer), `note` (small print under a table).

    `warning`.
    """

    text: str
    role: str = 'text'
    kind: str = 'paragraph'


@dataclasses.dataclass(frozen=True)
class Items:
    """A list; `ordered` numbers it."""

    items: Sequence[str]
    ordered: bool = False
    kind: str = 'items'


@dataclasses.dataclass(frozen=True)
class Code:
    """Lines to be typed as they are."""

    text: str
    kind: str = 'code'


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of text; the first column names the row.

    `align`: a letter a column, left, right, or left and wrapped.

    A table too long to be read has in `elsewhere` a sentence that says where its numbers are: the
    page folds it away, and Markdown has that sentence in its place. `name` is what a text that
    shows it calls it.
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
    """A drawing, what it says in numbers for who cannot see it (`alt`).

    And how to read it (`caption`).

    With a `chart` a page whose scripts run draws that in place of the drawing, which stays within
    reach.
    """

    name: str
    drawing: Drawing
    alt: str
    caption: str
    chart: Chart | None = None
    kind: str = 'figure'


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What came out for one option: in a word, in a number, and as an interval for the eye.

    In the unit of the list.
    """

    name: str
    verdict: str
    number: str
    interval: tuple[float, float, float]  # low, mean, high


@dataclasses.dataclass(frozen=True)
class Verdicts:
    """The verdicts of a study, before all else."""

    caption: str
    rows: Sequence[Verdict]
    kind: str = 'verdicts'

    def place(self, value: float) -> float:
        """Where a value stands between the ends of all intervals and 0.

        In per cent of the width.
        """
        ends = [0.0, *(end for row in self.rows for end in row.interval)]
        low, width = min(ends), (max(ends) - min(ends)) or 1.0
        return round(3 + 94 * (value - low) / width, 2)


@dataclasses.dataclass(frozen=True)
class Formula:
    """A formula on a line of its own, in TeX."""

    tex: str
    kind: str = 'formula'


Block = Paragraph | Items | Code | Table | Figure | Formula | Verdicts


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading and what stands under it; level 2 is a section, 3 one within it."""

    title: str
    blocks: Sequence[Block]
    level: int = 2


@dataclasses.dataclass(frozen=True)
class Page:
    """A whole report: the question, the answer, and the sections that hold it up."""

    title: str
    head: Sequence[Block]
    sections: Sequence[Section]

    @property
    def numbered(self) -> list[tuple[str, Section]]:
        """Every section with its number: `3`, and within it `3.1`."""
        found, outer, inner = [], 0, 0
        for section in self.sections:
            outer, inner = (outer, inner + 1) if section.level == 3 else (outer + 1, 0)
            found.append((f'{outer}.{inner}' if inner else f'{outer}', section))
        return found

    @property
    def tables(self) -> dict[str, Table]:
        """Every table by a name for its file, in order: the section's number.

        And how its caption begins.
        """
        found: dict[str, Table] = {}
        for number, section in self.numbered:
            for block in section.blocks:
                if isinstance(block, Table):
                    words = (
                        '-'.join(re.findall(r'[a-z0-9]+', markup.plain(block.caption).lower())[:6])
                        or 'table'
                    )
                    name = f'{number.replace(".", "-")}-{words}'[:60]
                    found[name if name not in found else f'{name}-{len(found)}'] = block
        return found

    @property
    def figures(self) -> list[Figure]:
        """Every figure of the page, in order."""
        return [
            block
            for section in self.sections
            for block in section.blocks
            if isinstance(block, Figure)
        ]
