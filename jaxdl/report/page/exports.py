"""Export figures as SVG and PNG, tables as CSV and LaTeX."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jaxdl.report.page import markup
from jaxdl.report.page.blocks import Page, Table

ASCII = str.maketrans({'\u00a0': ' ', '\u2212': '-', '\u2013': '-', '\u00d7': 'x'})


def files(page: Page) -> Iterator[tuple[str, str | bytes]]:
    """(path in the workdir, content) of each exported file."""
    for figure in page.figures:
        yield f'figures/{figure.name}.svg', figure.drawing.svg
        yield f'figures/{figure.name}.png', figure.drawing.png
    for name, table in page.tables.items():
        yield f'tables/{name}.csv', as_csv(table)
        yield f'tables/{name}.tex', as_latex(table)


def as_csv(table: Table) -> str:
    """A table as CSV with ASCII signs; no cell is a formula to a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerows([_cell(cell) for cell in row] for row in (table.columns, *table.rows))
    return text.getvalue()


def as_latex(table: Table) -> str:
    """A table as LaTeX for `booktabs`, one line per row."""
    letters = ''.join('r' if letter == 'r' else 'l' for letter in table.align)
    lines = [' & '.join(map(markup.latex, row)) + r' \\' for row in (table.columns, *table.rows)]
    head = [
        r'\begin{table}',
        r'\centering',
        rf'\caption{{{markup.latex(table.caption)}}}',
        rf'\begin{{tabular}}{{{letters}}}',
    ]
    tail = [r'\bottomrule', r'\end{tabular}', r'\end{table}']
    return '\n'.join([*head, r'\toprule', lines[0], r'\midrule', *lines[1:], *tail]) + '\n'


def _cell(text: str) -> str:
    return disarm(markup.flat(markup.plain(str(text).replace('\n', ' '))).translate(ASCII))


def disarmed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a table without cells that a spreadsheet reads as a formula."""
    return {k: disarm(v) if isinstance(v, str) else v for k, v in row.items()}


def disarm(text: str) -> str:
    """A cell that no spreadsheet reads as a formula."""
    return f"'{text}" if re.match(r'[=@\t]|[+-](?![\d.])', text) else text
