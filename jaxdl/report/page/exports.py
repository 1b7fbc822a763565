"""Export figures as SVG and PNG, tables as CSV and LaTeX."""

import csv
import io
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxdl.report.page import markup
from jaxdl.report.page.blocks import Page, Table

ASCII = str.maketrans({'\u00a0': ' ', '\u2212': '-', '\u2013': '-', '\u00d7': 'x'})

# LaTeX of a table: letters in a line of a heading, a column of long text, and a box that shrinks a
# table that is too wide.
HEAD = 18
WRAPPED = r'p{0.25\linewidth}'
SHRUNK = r'\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%'


def files(page: Page) -> Iterator[tuple[str, str | bytes]]:
    """(path in the workdir, content) of each exported file."""
    for figure in page.figures:
        yield f'figures/{figure.name}.svg', figure.drawing.svg
        yield f'figures/{figure.name}.png', figure.drawing.png
    for name, table in page.tables.items():
        yield f'tables/{name}.csv', as_csv(table)
        yield f'tables/{name}.tex', as_latex(table, name)


def as_csv(table: Table) -> str:
    """A table as CSV with ASCII signs; no cell is a formula to a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerows([_cell(cell) for cell in row] for row in (table.columns, *table.rows))
    return text.getvalue()


def as_latex(table: Table, name: str = '') -> str:
    """A table as LaTeX, one line per row, with the label `tab:NAME`; not wider than a column.

    Needs the packages booktabs and graphicx.
    """
    columns = {'r': 'r', 'l': 'l', 'w': WRAPPED}
    letters = ''.join(columns[letter] for letter in table.align)
    head = ' & '.join(
        _stack(_wrap(column), 'r' if letter == 'r' else 'l')
        for column, letter in zip(table.columns, table.align, strict=True)
    )
    rows = [
        ' & '.join(
            markup.latex(cell) if letter == 'w' else _stack(str(cell).split('\n'), letter)
            for cell, letter in zip(row, table.align, strict=True)
        )
        for row in table.rows
    ]
    lines = [
        r'% \usepackage{booktabs,graphicx}',
        r'\begin{table}',
        r'\centering',
        rf'\caption{{{markup.latex(table.caption)}}}',
        *([rf'\label{{tab:{name}}}'] if name else []),
        SHRUNK,
        rf'\begin{{tabular}}{{{letters}}}',
        r'\toprule',
        rf'{head} \\',
        r'\midrule',
        *(rf'{_guard(row)} \\' for row in rows),
        r'\bottomrule',
        r'\end{tabular}}',
        r'\end{table}',
    ]
    return '\n'.join(lines) + '\n'


def _wrap(head: str) -> list[str]:
    """Lines of a heading; one with marks stays whole."""
    text = ' '.join(str(head).split('\n'))
    has_markup = markup.plain(text) != text
    return [text] if has_markup else textwrap.wrap(text, HEAD, break_long_words=False) or ['']


def _guard(text: str) -> str:
    r"""A line of LaTeX that the `\\` before it does not take as its argument: `\\[1 to 2]`."""
    return '{}' + text if text.startswith(('[', '*')) else text


def _stack(lines: Sequence[str], letter: str) -> str:
    """Lines of a cell in LaTeX, one above the other."""
    texts = [_guard(markup.latex(line)) for line in lines]
    if len(texts) == 1:
        return texts[0]
    return rf'\begin{{tabular}}[t]{{@{{}}{letter}@{{}}}}' + r'\\'.join(texts) + r'\end{tabular}'


def _cell(text: str) -> str:
    return disarm(markup.flat(markup.plain(str(text).replace('\n', ' '))).translate(ASCII))


def disarmed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a table without cells that a spreadsheet reads as a formula."""
    return {k: disarm(v) if isinstance(v, str) else v for k, v in row.items()}


def disarm(text: str) -> str:
    """A cell that no spreadsheet reads as a formula."""
    return f"'{text}" if re.match(r'[=@\t]|[+-](?![\d.]|$)', text) else text
