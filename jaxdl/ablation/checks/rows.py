"""Table of checks with their verdicts."""

import dataclasses
import itertools
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

OK, LOOK, FAILS = 'ok', 'look', 'FAILS'
ALL = 'all'  # in place of an option: of the data, or the same of every option
WIDTH = 120  # of the table, at most
HEADER = ('check', 'option', 'expected', 'measured', 'verdict')


class Row(NamedTuple):
    """Result of one check.

    Attributes:
      check: name of the check.
      expected: expected values, as text.
      measured: measured values, as text.
      verdict: OK, LOOK (unusual: find the reason) or FAILS.
      hint: what to do where the verdict is not OK.
    """

    check: str
    expected: str
    measured: str
    verdict: str
    hint: str


@dataclasses.dataclass(frozen=True)
class Check:
    """A row of the table.

    Attributes:
      condition: of the study; empty in a study without conditions.
      option: the option; `all` for a check of the data.
      result: of the check.
    """

    condition: str
    option: str
    result: Row

    @property
    def check(self) -> str:
        return self.result.check

    @property
    def verdict(self) -> str:
        return self.result.verdict


def failed(checks: Sequence[Check]) -> list[Check]:
    """Checks that fail."""
    return [row for row in checks if row.verdict == FAILS]


def table(checks: Sequence[Check]) -> str:
    """All checks as text of at most WIDTH columns.

    Below the table, one line per hint and a count.
    """
    rows = _merge(checks)
    cells = [_cells(row, before) for row, before in zip(rows, (None, *rows), strict=False)]
    widths = [max(map(len, column)) for column in zip(HEADER, *cells, strict=True)]
    rest = WIDTH - sum(widths) - 2 * (len(widths) - 1)
    widths[1] += min(0, rest)  # the names of options are the user's own
    lines = [_line(HEADER, widths), _line(['-' * width for width in widths], widths)]
    for row, row_cells, before in zip(rows, cells, (None, *rows), strict=False):
        if row.condition and (before is None or before.condition != row.condition):
            lines += ['', f'{row.condition}:']
        lines.append(_line(row_cells, widths))
    return '\n'.join([*lines, '', *_hints(checks), _count(checks)])


def _merge(checks: Sequence[Check]) -> list[Check]:
    """Merge checks with the same result for every option into one row."""
    merged = []
    for _, group in itertools.groupby(checks, key=lambda row: (row.condition, row.check)):
        rows = list(group)
        alike = len(rows) > 1 and len({row.result for row in rows}) == 1
        merged += [dataclasses.replace(rows[0], option=ALL)] if alike else rows
    return merged


def _cells(row: Check, before: Check | None) -> list[str]:
    """Cells of a row; only the first row of a check names the check."""
    again = before is not None and (before.condition, before.check) == (row.condition, row.check)
    return [
        '' if again else row.check,
        row.option,
        row.result.expected,
        row.result.measured,
        row.verdict,
    ]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    cut = [c if len(c) <= w else f'{c[: w - 3]}...' for c, w in zip(cells, widths, strict=True)]
    return '  '.join(f'{c:{w}}' for c, w in zip(cut, widths, strict=True)).rstrip()


def _hints(checks: Sequence[Check]) -> list[str]:
    """One line per hint, with the options that it applies to."""
    options_by_hint: dict[tuple[str, str, str], list[str]] = {}
    for row in checks:
        if row.verdict != OK:
            options_by_hint.setdefault((row.verdict, row.check, row.result.hint), []).append(
                row.option
            )
    order = sorted(options_by_hint, key=lambda key: key[0] != FAILS)
    texts = [
        f'{key[0]:5}  {key[1]} ({"; ".join(dict.fromkeys(options_by_hint[key]))}): {key[2]}'
        for key in order
    ]
    lines = [
        line for text in texts for line in textwrap.wrap(text, WIDTH, subsequent_indent=' ' * 7)
    ]
    return [*lines, ''] if lines else []


def _count(checks: Sequence[Check]) -> str:
    counts = [f'{sum(row.verdict == v for row in checks)} {v}' for v in (OK, LOOK, FAILS)]
    return f'{len(checks)} checks: {", ".join(counts)}'
