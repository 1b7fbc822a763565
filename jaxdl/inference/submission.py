"""Write predictions.csv and submission.csv, and read the test.csv of a challenge. Imports no jax.

A spreadsheet runs a cell as a formula if it begins with `=`, `+`, `-`, `@` (full-width too), a tab
or a new line. In predictions.csv such a name gets an apostrophe in front. In a submission names are
unchanged, since a challenge compares them byte by byte.
"""

import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from jaxdl import workdir
from jaxdl.data.sources import columns, csv_table, table_files
from jaxdl.data.sources.finder import locate
from jaxdl.errors import InputError, warn
from jaxdl.workdir import tables as results

TOP = 5  # classes of an image that predictions.csv holds
PREDICTIONS = (
    'ImageId',
    'ClassName',
    'probability',
    *(f'{field}_{i}' for i in range(2, TOP + 1) for field in ('class', 'probability')),
)
SUBMISSION = ('ClassName',)
FORMULA = (
    *'=+-@\t\r\n',
    *'\uff1d\uff0b\uff0d\uff20',
)  # beginnings that a spreadsheet does not take for text


def write_predictions(
    path: pathlib.Path, ids: Sequence[str], class_names: Sequence[str], probabilities: np.ndarray
) -> None:
    """Write the likeliest classes of each image, likeliest first: whole or not at all.

    Args:
      path: of a CSV with the columns PREDICTIONS; with fewer than TOP classes some stay empty.
      ids: of each image, [n].
      class_names: of each class, [classes].
      probabilities: float [n, classes], written as `repr(float)` of float32.
    """
    if probabilities.shape != (len(ids), len(class_names)):
        raise InputError(
            f'probabilities of shape {list(probabilities.shape)}: must be [images, classes], '
            f'here [{len(ids)}, {len(class_names)}]'
        )
    best = np.argsort(-probabilities, axis=1, kind='stable')[:, :TOP]
    classes = list(map(_text, class_names))
    rows = (
        [_text(name), *(cell for c in top for cell in (classes[c], str(row[c])))]
        for name, top, row in zip(ids, best, probabilities, strict=True)
    )
    _write(path, PREDICTIONS, rows)


def write_submission(
    path: pathlib.Path, names: Sequence[str], test_ids: Sequence[str], ids: Sequence[str]
) -> None:
    """Write the class name of each test image, in the order of test.csv: whole or not at all.

    Args:
      path: of a CSV with the one column ClassName.
      names: predicted for each of `ids` [n].
      test_ids: as test.csv has them, in its order.
      ids: of the images that were predicted, in any order.

    Raises:
      InputError: a test image is missing or listed twice, or another image is listed.
    """
    if len(names) != len(ids):
        raise InputError(
            f'{path.name}: {len(names):,} class names for {len(ids):,} images: '
            'must be one per image'
        )
    for table, table_ids in (('test.csv', test_ids), ('the predictions', ids)):
        _refuse(f'{path.name}: twice in {table}', _duplicates(table_ids), 'list each image once')
    predicted = dict(zip(ids, names, strict=True))
    missing = [name for name in test_ids if name not in predicted]
    _refuse(f'{path.name}: not predicted', missing, 'predict all images of test.csv')
    expected = set(test_ids)
    others = [name for name in ids if name not in expected]
    _refuse(f'{path.name}: not in test.csv', others, 'predict only images of test.csv')
    _write(path, SUBMISSION, ([predicted[name]] for name in test_ids))


def read_test(where: str | pathlib.Path) -> tuple[list[str], list[pathlib.Path]]:
    """Read the test.csv of a challenge.

    Args:
      where: the challenge's folder, with test.csv and test_images/; or a CSV, its images in
        <stem>_images/ or next to it.

    Returns:
      Ids in the order of the CSV, and the file of each.

    Raises:
      InputError: no such file, no column of images, or images that are missing or listed twice.
    """
    file = pathlib.Path(where)
    file = file / 'test.csv' if file.is_dir() else file
    ids, paths = read_images(file)
    _refuse(f'{file}: twice', _duplicates(ids), 'list each image once')
    return ids, paths


def read_images(file: pathlib.Path, images: str = '') -> tuple[list[str], list[pathlib.Path]]:
    """Read the first recognised column of images of a CSV.

    Args:
      file: the CSV.
      images: folders of the images, as `csv_table.image_tops` takes them.

    Returns:
      Ids in the order of the CSV, and the file of each.

    Raises:
      InputError: no such file, no column of images, an empty cell, or a missing image.
    """
    if not file.is_file():
        raise InputError(f'{file}: no such file: name a CSV, or the folder of test.csv')
    header, rows, notes = table_files.read(file)
    place = _column(file, header)
    empty = [line for line, cells in rows if not cells[place]]
    if empty:
        raise InputError(
            f'{file} line {empty[0]}: {header[place]} is empty; fill it, or remove the line'
        )
    tops = csv_table.image_tops(file, images)
    ids = [cells[place] for _, cells in rows]
    located = locate([(cells[place], f'{file} line {line}') for line, cells in rows], tops)
    _refuse(
        f'{file}: not in {tops[0]}',
        [ids[i] for i in located.missing],
        'add the files, or correct their names',
    )
    for finding in (*notes, *located.notes):
        warn(f'{file}: {finding}')
    return ids, located.paths


def _column(file: pathlib.Path, header: Sequence[str]) -> int:
    """Index of the first recognised column of images; of the only column whatever its name."""
    if len(header) == 1:
        return 0
    for i, name in enumerate(header):
        try:
            columns.column([name], '', columns.IMAGE_COLUMNS, '', '')
        except InputError:
            continue
        return i
    raise InputError(f'{file}: no column of images among {", ".join(header)}: name it ImageId')


def _text(name: str) -> str:
    return f"'{name}" if name.startswith(FORMULA) else name


def _duplicates(names: Iterable[str]) -> list[str]:
    earlier: set[str] = set()
    return [name for name in names if name in earlier or earlier.add(name)]


def _refuse(problem: str, names: Sequence[str], remedy: str) -> None:
    """InputError where there are names: their number, the first three, and the remedy."""
    if names:
        examples = ', '.join(map(columns.short, names[:3])) + ', ...' * (len(names) > 3)
        count = f'{len(names):,} image{"s" * (len(names) > 1)}'
        raise InputError(f'{problem}: {count} ({examples}): {remedy}')


def _write(path: pathlib.Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    workdir.write(
        path,
        results.format_rows([header, *([*row, *[''] * (len(header) - len(row))] for row in rows)]),
    )
