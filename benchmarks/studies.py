"""Run the built-in ablations in order, and print their results as text for the documentation.

    python -m benchmarks.studies [--runs=build/studies] [NAME ...]

Every study runs in a process of its own; a finished one is not repeated. Prints the line `Takes`
and the paragraph `Result` of the file of each study, then the tables of docs/studies.md.
"""

import argparse
import datetime
import json
import pathlib
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterable

from jaxdl.config import catalogue
from jaxdl.report.ablation import verdicts
from jaxdl.report.page import words
from jaxdl.workdir import tables
from jaxdl.workdir.tables import Row

MINUS = '\u2212'


def run(name: str, workdir: pathlib.Path) -> float:
    """Run a study unless it is finished; its seconds, from the start of the process."""
    timing = workdir.parent / f'{name}.json'
    if not timing.exists():
        start = time.monotonic()
        command = ['-m', 'jaxdl.main', f'--experiment={name}', f'--workdir={workdir}']
        subprocess.run([sys.executable, *command], check=True)
        timing.write_text(json.dumps(dict(seconds=time.monotonic() - start)))
    return json.loads(timing.read_text())['seconds']


def read(workdir: pathlib.Path) -> dict[str, list[Row]]:
    """Condition -> rows of the summary, in the order of the study.

    A condition without a name has that of the data set.
    """
    rows = tables.read_table(workdir / 'summary.csv', tables.SUMMARY)
    data = json.loads((workdir / 'config.json').read_text())['data']['dataset'].replace('_', ' ')
    names = dict.fromkeys(row['condition'] for row in rows)
    return {name or data: [row for row in rows if row['condition'] == name] for name in names}


def points(row: Row, minus: str = '-') -> tuple[str, str, str]:
    """Difference of a row, its interval over seeds, and the one over seeds and images."""
    keys = ('difference', 'difference_low', 'difference_high')
    keys += ('difference_low_images', 'difference_high_images')
    value, *ends = (f'{100 * row[key]:+.2f}'.replace('-', minus) for key in keys)
    return value, f'{ends[0]} to {ends[1]}', f'{ends[2]} to {ends[3]}'


def result(conditions: dict[str, list[Row]]) -> str:
    """The results of a study as text of its docstring."""
    first = next(iter(conditions.values()))[0]
    head = (
        f'against {first["baseline"]}, percentage points of test accuracy, 95 % intervals over '
        f'{first["seeds"]} seeds and '
    )
    parts = []
    for name, rows in conditions.items():
        groups: dict[str, list[str]] = {verdict: [] for verdict in verdicts.HEADS}
        for row in rows:
            if row['option'] != row['baseline']:
                value, _, images = points(row)
                open_ = verdicts.combined(row) == verdicts.NONE
                text = row['option'] if open_ else f'{row["option"]} {value} ({images})'
                groups[verdicts.combined(row)].append(text)
        text = '; '.join(f'{key}: {", ".join(names)}' for key, names in groups.items() if names)
        title = f'{name[:1].upper()}{name[1:]}: ' if len(conditions) > 1 else ''
        parts.append(f'{title}{text}.')
    images = words.listing(dict.fromkeys(f'{r[0]["images"]:,}' for r in conditions.values()))
    stop = '.' if len(conditions) > 1 else ':'
    return f'{head}{images} test images{stop} {" ".join(parts)}'


def table(name: str, conditions: dict[str, list[Row]]) -> Iterable[str]:
    """Rows of the table of differences."""
    for condition, rows in conditions.items():
        for row in rows:
            if row['option'] != row['baseline'] and verdicts.combined(row) != verdicts.NONE:
                value, seeds, images = points(row, MINUS)
                title = f'`{name}`' + (f', {condition}' if len(conditions) > 1 else '')
                cells = [title, row['option'], f'{value} ({seeds})', images]
                yield f'| {" | ".join([*cells, row["verdict"], row["verdict_images"]])} |'


def unchanged(name: str, conditions: dict[str, list[Row]]) -> Iterable[str]:
    """Item on the options without a difference at either level."""
    for condition, rows in conditions.items():
        compared = [row for row in rows if row['option'] != row['baseline']]
        names = [row['option'] for row in compared if verdicts.combined(row) == verdicts.NONE]
        if names:
            title = f'`{name}`' + (f', {condition}' if len(conditions) > 1 else '')
            yield f'- {title}: {", ".join(names)}'


def _paragraph(key: str, text: str) -> str:
    return textwrap.fill(
        text, 100, initial_indent=f'{key:8}', subsequent_indent=' ' * 8, break_on_hyphens=False
    )


def main() -> None:
    """Run, and print."""
    # Those of a fine-tuning need weights and images.
    default = [n for n in catalogue.by_kind()['Ablation'] if not n.startswith('finetune_')]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--runs', type=pathlib.Path, default=pathlib.Path('build/studies'))
    parser.add_argument('names', nargs='*', default=default)
    arguments = parser.parse_args()
    arguments.runs.mkdir(parents=True, exist_ok=True)
    seconds = {name: run(name, arguments.runs / name) for name in arguments.names}
    studies = {name: read(arguments.runs / name) for name in arguments.names}
    today = datetime.datetime.now(tz=datetime.UTC).date()
    for name, conditions in studies.items():
        print(f'\n{name}')
        print(_paragraph('Takes', f'{seconds[name]:.0f} s on 2 CPU cores ({today})'))
        print(_paragraph('Result', result(conditions)))
    print('\n| study | option | difference (95 % interval: seeds) | seeds and images | verdict, ')
    for function in (table, unchanged):
        print()
        for name, conditions in studies.items():
            print('\n'.join(function(name, conditions)))
    for name in studies:
        print(f'| `{name}` | {catalogue.read_questions()[name]} | {seconds[name]:.0f} s |')


if __name__ == '__main__':
    main()
