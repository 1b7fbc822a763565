"""Results per image: accuracy of each run, and correctness of each run on each image."""

import collections
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl.ablation.analysis.cells import required_text, to_number
from jaxdl.ablation.analysis.runs import Run, Runs, describe
from jaxdl.ablation.analysis.source import Table, shorten
from jaxdl.ablation.analysis.values import Value
from jaxdl.errors import InputError
from jaxdl.workdir.correct import CorrectTable

Image = tuple[str, str]  # condition, name
TRUTH = {'1': True, 'true': True, '0': False, 'false': False}


def read_per_image(
    table: Table, columns: Mapping[str, str], runs: Runs, rows: Sequence[int]
) -> tuple[list[Value], CorrectTable]:
    """Accuracy of each run, and correctness of each run on each image."""
    if 'image' not in columns:
        raise InputError(
            f'{table.name}: column {columns["correct"]!r} is per image, but no column of images is '
            f'recognised among {shorten(table.columns)}: name it by --set=image_column=COLUMN'
        )
    run_of_row = {row: runs.run(row) for row in rows}
    images = {
        row: (run[0], required_text(table, columns['image'], row))
        for row, run in run_of_row.items()
    }
    groups = _groups(table, columns, images)
    cells: dict[Run, dict[Image, tuple[bool, int]]] = collections.defaultdict(dict)
    for row, image in images.items():
        run = run_of_row[row]
        if image in cells[run]:
            first = table.place(cells[run][image][1])
            raise InputError(
                f'{first} and {table.place(row)} are both image {image[1]!r} of {describe(run)}: '
                'remove one of them'
            )
        cells[run][image] = _truth(table, columns['correct'], row), row
    _check_images(table, cells)
    tested = np.array([[image in of_run for image in groups] for of_run in cells.values()])
    correct = np.array(
        [[of_run.get(image, (False, 0))[0] for image in groups] for of_run in cells.values()]
    )
    values = [
        Value(run, (), sum(truth for truth, _ in of_run.values()) / len(of_run), row)
        for run, of_run in cells.items()
        for row in [next(iter(of_run.values()))[1]]
    ]
    condition, option, seed = (np.array(column) for column in zip(*cells, strict=True))
    return values, CorrectTable(
        correct=correct,
        tested=tested,
        image=np.array([image for _, image in groups]),
        condition=condition.astype(str),
        option=option.astype(str),
        seed=seed.astype(int),
        group=np.array(list(groups.values())),
    )


def _groups(
    table: Table, columns: Mapping[str, str], images: Mapping[int, Image]
) -> dict[Image, str]:
    """Image -> its group; the image itself without a column of groups."""
    if 'group' not in columns:
        return {image: image[1] for image in images.values()}
    groups: dict[Image, str] = {}
    for row, image in images.items():
        group = required_text(table, columns['group'], row)
        if groups.setdefault(image, group) != group:
            raise InputError(
                f'{table.place(row)}: image {image[1]!r} has the group {group!r}, but before '
                f'{groups[image]!r}; an image needs one group'
            )
    return groups


def _check_images(table: Table, cells: Mapping[Run, Mapping[Image, Any]]) -> None:
    """Refuse runs of one condition that were tested on different images."""
    first: dict[str, Run] = {}
    for run, images in cells.items():
        other = first.setdefault(run[0], run)
        different = sorted(name for _, name in set(images) ^ set(cells[other]))
        if different:
            raise InputError(
                f'{table.name}: {describe(run)} and {describe(other)} were tested on different '
                f'images ({shorten(different)}); every run needs a row per image'
            )


def _truth(table: Table, title: str, row: int) -> bool:
    cell = table.columns[title][row]
    number = to_number(cell)
    text = str(cell).lower() if number is None else f'{number:g}'
    if text not in TRUTH:
        raise InputError(f'{table.place(row)}: {title} {cell!r} must be 0 or 1')
    return TRUTH[text]
