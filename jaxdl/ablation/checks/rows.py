"""A check and its verdict, and the table of all."""

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
    """What was found.

    `verdict` is OK, LOOK (unusual: know why) or FAILS; `hint` says what to do where it is not OK.
    """

    check: str
    expected: str
    measured: str
    verdict: str
    hint: str


@dataclasses.dataclass(frozen=True)
class Check:
    """A row of the table: what was found of an option (`all`.

    Of the data) under a condition of the study.
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
    """Those that fail."""
    return [row for row in checks if row.verdict == FAILS]


def table(checks: Sequence[Check]) -> str:
    """All checks as a text of at most WIDTH columns.

    Below it a line for every verdict that is not ok, then a count.
    """
    rows = _merged(checks)
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


def _merged(checks: Sequence[Check]) -> list[Check]:
    """With one row for a check that found the same of every option."""
    merged = []
    for _, group in itertools.groupby(checks, key=lambda row: (row.condition, row.check)):
        rows = list(group)
        alike = len(rows) > 1 and len({row.result for row in rows}) == 1
        merged += [dataclasses.replace(rows[0], option=ALL)] if alike else rows
    return merged


def _cells(row: Check, before: Check | None) -> list[str]:
    """What stands in a row; the name of a check stands where it begins."""
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
    """A line for every hint, with all options that it is given to."""
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
