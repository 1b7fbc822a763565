"""Cells of a table as texts and numbers."""

import re
from typing import Any

from jaxdl.ablation.analysis.source import Table, is_empty
from jaxdl.errors import InputError


def required_text(table: Table, title: str, row: int) -> str:
    """A cell as text; InputError if it is empty."""
    cell = table.columns[title][row]
    if is_empty(cell):
        raise InputError(f'{table.place(row)}: column {title!r} is empty; every row needs it')
    return str(cell)


def is_numeric(table: Table, title: str) -> bool:
    """Whether all cells of a column are numbers, apart from empty ones."""
    cells = [cell for cell in table.columns.get(title, ()) if not is_empty(cell)]
    return bool(cells) and all(to_number(cell) is not None for cell in cells)


def to_whole(text: str) -> int | None:
    """A text such as `3` or `3.0` as a whole number; None if it is none, or very large."""
    number = to_number(text)
    if number is None or not abs(number) < 1e18 or number != int(number):
        return None
    return int(text) if re.fullmatch(r'[+-]?[0-9]+', text) else int(number)


def to_number(cell: Any) -> float | None:
    """A cell as a number; None if it is none. `True` is 1."""
    try:
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        return None
