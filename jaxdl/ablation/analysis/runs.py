"""Condition, option and seed of each row, from columns or from the path of its file."""

import re
from collections.abc import Mapping

from jaxdl.ablation.analysis.cells import required_text, to_number, to_whole
from jaxdl.ablation.analysis.columns import AnalysisSettings
from jaxdl.ablation.analysis.source import Table, shorten
from jaxdl.errors import InputError
from jaxdl.workdir.tables import ALL

Run = tuple[str, str, int]  # condition, option, seed


class Runs:
    """Condition, option and seed of each row, from columns or from the path of its file."""

    def __init__(
        self, table: Table, columns: Mapping[str, str], settings: AnalysisSettings
    ) -> None:
        self.table, self.columns, self.settings = table, columns, settings
        self.pattern = re.compile(settings.path_pattern) if settings.path_pattern else None
        self.groups = tuple(self.pattern.groupindex) if self.pattern else ()
        self._matches: dict[str, dict[str, str]] = {}
        for role, noun in dict(seed='seeds', option='options').items():
            if role not in columns and role not in self.groups:
                titles = shorten(table.columns)
                raise InputError(
                    f'{table.name}: no column of {noun} is recognised among {titles}: name it by '
                    f'--set={role}_column=COLUMN, or take it from the path of each file by '
                    f'--set=path_pattern=REGEX with (?P<{role}>...)'
                )

    def run(self, row: int) -> Run:
        """The run that a row belongs to."""
        named = 'condition' in (*self.groups, *self.columns)
        condition = self._text('condition', row) if named else ALL
        return ('' if condition == ALL else condition, self._text('option', row), self._seed(row))

    def learning_rate(self, row: int) -> float | None:
        """The learning rate of a row; None without a number."""
        title = self.columns.get('learning_rate')
        return None if title is None else to_number(self.table.columns[title][row])

    def _text(self, role: str, row: int) -> str:
        if role in self.groups:
            return self._from_path(self.table.paths[row])[role]
        return required_text(self.table, self.columns[role], row)

    def _seed(self, row: int) -> int:
        text = self._text('seed', row)
        number = to_whole(text)
        if number is None:
            raise InputError(
                f'{self.table.place(row)}: seed {text!r} must be a whole number of at most 18 '
                'digits; another column is named by --set=seed_column=COLUMN'
            )
        return number

    def _from_path(self, path: str) -> dict[str, str]:
        if path not in self._matches:
            match = self.pattern.search(path) if self.pattern else None
            groups = match.groupdict() if match else {}
            if not groups or not all(groups.values()):
                raise InputError(
                    f'path_pattern={self.settings.path_pattern}: does not match '
                    f'{path or "a table without files"}; change the pattern or the glob'
                )
            self._matches[path] = groups
        return self._matches[path]


def describe(run: Run) -> str:
    """A run in messages."""
    condition, option, seed = run
    under = f' under {condition!r}' if condition else ''
    return f'option {option!r} with seed {seed}{under}'
