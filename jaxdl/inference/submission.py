"""Write predictions.csv and submission.csv, and read the test.csv of a challenge. Imports no jax.

Names are written as they are: other programs compare them byte by byte. A spreadsheet runs a cell
as a formula if it begins with `=`, `+`, `-`, `@` (full-width too), a tab or a new line. With
`spreadsheet_safe` such a name gets an apostrophe in front, in predictions.csv only.
"""

import dataclasses
import pathlib
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from jaxdl import workdir
from jaxdl.data.sources import class_names as spelling
from jaxdl.data.sources import columns, csv_table, finder, table_files
from jaxdl.errors import InputError, warn
from jaxdl.workdir import tables as results

TOP = 5  # classes of an image that predictions.csv holds
BLOCK = 4096  # rows in memory at a time
PREDICTIONS = (
    'ImageId',
    'ClassName',
    'probability',
    *(f'{field}_{i}' for i in range(2, TOP + 1) for field in ('class', 'probability')),
)
UNKNOWN = 'unknown'  # class of images whose probabilities are all below the threshold
REASON = 'reason'  # column of images that cannot be read
PROBABILITIES = ('top', 'all')
SUBMISSION = ('ClassName',)
NAMES = 'names'  # in `submission_values`: class names as they are
FORMULA = (
    *'=+-@\t\r\n',
    *'\uff1d\uff0b\uff0d\uff20',
)  # beginnings that a spreadsheet does not take for text
Reasons = Mapping[int, str]


def prediction_columns(
    class_names: Sequence[str], probabilities: str = 'top', with_reasons: bool = False
) -> tuple[str, ...]:
    """Columns of predictions.csv.

    Args:
      class_names: of the networks.
      probabilities: a row of PROBABILITIES: of the likeliest classes, or of all.
      with_reasons: whether a column says why an image cannot be read.

    Raises:
      InputError: a class has the name of another column.
    """
    more = (REASON,) * with_reasons
    if probabilities == 'top':
        return (*PREDICTIONS, *more)
    header = (*PREDICTIONS[:2], *class_names, *more)
    twice = _duplicates(header)
    if twice:
        raise InputError(
            f'probabilities=all: class {columns.short(twice[0])} has the name of another column: '
            'use probabilities=top'
        )
    return header


def write_predictions(
    path: pathlib.Path,
    ids: Sequence[str],
    class_names: Sequence[str],
    probabilities: np.ndarray,
    *,
    columns_of: str = 'top',
    reasons: Reasons | None = None,
    spreadsheet_safe: bool = False,
    threshold: float = 0.0,
) -> None:
    """Write the classes of each image: whole or not at all, some rows in memory at a time.

    Args:
      path: of a CSV with the columns of `prediction_columns`; with fewer than TOP classes some stay
        empty.
      ids: of each image, [n].
      class_names: of each class, [classes].
      probabilities: float [n, classes], written as `repr(float)` of float32.
      columns_of: a row of PROBABILITIES.
      reasons: place -> why the image cannot be read, whose cells stay empty; None: no such column.
      spreadsheet_safe: whether names that a spreadsheet would run get an apostrophe in front.
      threshold: an image whose probabilities are all smaller has the class UNKNOWN, without a
        probability; its likeliest class is the second.
    """
    if probabilities.shape != (len(ids), len(class_names)):
        raise InputError(
            f'probabilities of shape {list(probabilities.shape)}: must be [images, classes], '
            f'here [{len(ids)}, {len(class_names)}]'
        )
    text = _text if spreadsheet_safe else str
    header = prediction_columns(class_names, columns_of, reasons is not None)
    classes = list(map(text, class_names))

    def cells(place: int, row: np.ndarray) -> list[str]:
        if reasons and place in reasons:
            empty = [''] * (len(header) - 2)
            return [text(ids[place]), *empty, text(reasons[place])]
        best = np.argsort(-row, kind='stable')[:TOP].tolist()
        unknown = row[best[0]] < threshold
        if columns_of == 'all':
            filled = [UNKNOWN if unknown else classes[best[0]], *map(str, row)]
        else:
            filled = [cell for c in best for cell in (classes[c], str(row[c]))]
            filled = [UNKNOWN, '', *filled][: 2 * TOP] if unknown else filled
        return [text(ids[place]), *filled]

    titles = [*header[:2], *map(text, header[2:])]
    _write(path, titles, _rows(probabilities, cells))


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
    by_id = dict(zip(ids, names, strict=True))
    _refuse(
        f'{path.name}: not predicted',
        [name for name in test_ids if name not in by_id],
        'predict them too',
    )
    _refuse(
        f'{path.name}: not in test.csv',
        sorted(set(by_id) - set(test_ids)),
        'predict the images of test.csv only',
    )
    _write(path, SUBMISSION, ([by_id[name]] for name in test_ids))


@dataclasses.dataclass(frozen=True)
class Sample:
    """Form of a submission.

    Attributes:
      header: names of its columns.
      ids: of the images, in order; empty where the only column is the class.
      values: name of the class that each class is written as; empty for probabilities.
      classes: place of the class whose probability is in each column after the ids.
    """

    header: tuple[str, ...]
    ids: tuple[str, ...]
    values: tuple[str, ...]
    classes: tuple[int, ...]


def read_sample(file: pathlib.Path, class_names: Sequence[str], values: str = '') -> Sample:
    """Read the form of a submission from a sample submission.

    Args:
      file: the sample: one column of classes; ids and classes; or ids and a column per class.
      class_names: of the networks.
      values: form of the column of classes, where the sample leaves it open: `names`, `CLASS` for
        the probability of this class, or `CLASS=VALUE,...`.

    Raises:
      InputError: the sample cannot be read, or its columns or values are not those of the classes.
    """
    header, rows, _ = table_files.read(file)
    if len(header) == 1:
        written = _written_values(file, header[0], rows, class_names, values)
        return Sample(tuple(header), (), *written)
    ids = tuple(cells[0] for _, cells in rows)
    _refuse(f'{file}: twice', _duplicates(ids), 'list each image once')
    if len(header) == 2:
        return Sample(
            tuple(header), ids, *_written_values(file, header[1], rows, class_names, values)
        )
    places = {spelling.canonical(name).casefold(): i for i, name in enumerate(class_names)}
    keys = [spelling.canonical(name).casefold() for name in header[1:]]
    other = [name for name, key in zip(header[1:], keys, strict=True) if key not in places]
    lacking = [name for name in class_names if spelling.canonical(name).casefold() not in keys]
    for names, problem in ((other, 'has columns that are no class'), (lacking, 'has no column of')):
        if names:
            examples = ', '.join(map(columns.short, names[:3])) + ', ...' * (len(names) > 3)
            raise InputError(
                f'{file} {problem}: {examples}: must have ids, and a column per class '
                f'({columns.short(", ".join(class_names), str)})'
            )
    return Sample(tuple(header), ids, (), tuple(places[key] for key in keys))


def _written_values(
    file: pathlib.Path, column: str, rows: table_files.Rows, class_names: Sequence[str], values: str
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """`values` and `classes` of a Sample whose last column is the class."""
    parts = [pair.rpartition('=') for pair in values.split(',') if '=' in pair]
    pairs = {name: value for name, _, value in parts}
    if values in class_names:
        return (), (list(class_names).index(values),)
    if pairs:
        odd = [name for name in pairs if name not in class_names]
        lacking = [name for name in class_names if name not in pairs]
        if odd or lacking:
            problem = f'has no class {odd[0]!r}' if odd else f'lacks the class {lacking[0]!r}'
            raise InputError(f'submission_values={values}: {problem}; {_advice(class_names)}')
        return tuple(pairs[name] for name in class_names), ()
    present = {cells[-1] for _, cells in rows}
    by_spelling = {spelling.canonical(name): name for name in class_names}
    if values == NAMES or {spelling.canonical(value) for value in present} <= by_spelling.keys():
        # In the spelling of the sample, where it has one.
        spelt = {spelling.canonical(value): value for value in sorted(present)}
        return tuple(spelt.get(spelling.canonical(name), name) for name in class_names), ()
    odd = next(value for value in sorted(present) if spelling.canonical(value) not in by_spelling)
    raise InputError(
        f'{file}: column {columns.short(column)} has {columns.short(odd)}, which is no class of '
        f'the checkpoint; {_advice(class_names)}'
    )


def _advice(class_names: Sequence[str]) -> str:
    numbers = ','.join(f'{name}={i}' for i, name in enumerate(class_names))
    flags = [shlex.quote(f'--set=submission_values={v}') for v in (NAMES, numbers, class_names[-1])]
    return (
        f'say what to write: {flags[0]} (class names), {columns.short(flags[1], str)} (values), or '
        f'{flags[2]} (the probability of that class)'
    )


def write_sampled(
    path: pathlib.Path,
    sample: Sample,
    ids: Sequence[str],
    probabilities: np.ndarray,
    reasons: Reasons,
) -> None:
    """Write a submission in the form of a sample: whole or not at all.

    An image that cannot be read gets the class that most of the others have, and the mean of their
    probabilities.

    Args:
      path: the CSV.
      sample: its form.
      ids: of the predicted images, [n]; they may have folders and extensions that the sample lacks.
      probabilities: float [n, classes].
      reasons: place -> why the image cannot be read.

    Raises:
      InputError: the images of the sample are not those that were predicted.
    """
    places = _match_ids(path, sample.ids, ids) if sample.ids else list(range(len(ids)))
    frequent, mean = most_frequent(probabilities)

    def cells(place: int) -> list[str]:
        row = mean if place in reasons else probabilities[place]
        predicted = frequent if place in reasons else int(row.argmax())
        return [str(row[c]) for c in sample.classes] or [sample.values[predicted]]

    if sample.ids:
        rows = ([name, *cells(i)] for name, i in zip(sample.ids, places, strict=True))
    else:
        rows = (cells(i) for i in places)
    _write(path, sample.header, rows)


def name_classes(
    class_names: Sequence[str], probabilities: np.ndarray, reasons: Reasons
) -> list[str]:
    """Name of the likeliest class of each image; of those not read the most frequent class.

    Args:
      class_names: of the networks.
      probabilities: float [n, classes].
      reasons: place -> why the image cannot be read.
    """
    frequent, _ = most_frequent(probabilities)
    places = (
        frequent if i in reasons else int(row.argmax()) for i, row in enumerate(probabilities)
    )
    return [class_names[place] for place in places]


def most_frequent(probabilities: np.ndarray) -> tuple[int, np.ndarray]:
    """The most frequent predicted class, and the mean of the probabilities, float32 [classes].

    Args:
      probabilities: float [n, classes]; rows of NaN do not count.
    """
    classes = probabilities.shape[1]
    counts, sums = np.zeros(classes, int), np.zeros(classes)
    for start in range(0, len(probabilities), BLOCK):
        rows = np.asarray(probabilities[start : start + BLOCK])
        rows = rows[~np.isnan(rows).any(1)]
        counts += np.bincount(rows.argmax(1), minlength=classes) if len(rows) else 0
        sums += rows.sum(0, dtype=np.float64)
    if not counts.sum():
        return 0, np.full(classes, 1 / classes, np.float32)
    return int(counts.argmax()), (sums / counts.sum()).astype(np.float32)


def _match_ids(path: pathlib.Path, sample_ids: Sequence[str], ids: Sequence[str]) -> list[int]:
    """Place of the predicted image of each id of a sample.

    Raises:
      InputError: an image is missing or ambiguous, or images are not in the sample.
    """
    by_form: dict[str, list[int]] = {}
    for place, name in enumerate(ids):
        for form in dict.fromkeys((name, *finder.forms_of(name))):
            by_form.setdefault(form, []).append(place)
    places, missing = list[int](), list[str]()
    for name in sample_ids:
        forms = (name, *finder.forms_of(name))
        matches = next((by_form[form] for form in forms if form in by_form), [])
        if len(matches) > 1:
            raise InputError(
                f'{path.name}: {columns.short(name)} could be {columns.short(ids[matches[0]])} or '
                f'{columns.short(ids[matches[1]])}: predict the images of the sample only'
            )
        places += matches or [-1]
        missing += [] if matches else [name]
    _refuse(f'{path.name}: not predicted', missing, 'predict them too')
    others = sorted(set(range(len(ids))) - set(places))
    _refuse(
        f'{path.name}: not in the sample submission',
        [ids[i] for i in others],
        'predict the images of the sample only',
    )
    return places


def read_test(
    where: str | pathlib.Path, on_bad_image: str = 'stop'
) -> tuple[list[str], list[pathlib.Path]]:
    """Read the test.csv of a challenge.

    Args:
      where: the challenge's folder, with test.csv and test_images/; or a CSV, its images in
        <stem>_images/ or next to it.
      on_bad_image: as in `read_images`.

    Returns:
      Ids in the order of the CSV, and the file of each.

    Raises:
      InputError: no such file, no column of images, or images that are missing or listed twice.
    """
    file = pathlib.Path(where)
    file = file / 'test.csv' if file.is_dir() else file
    ids, paths = read_images(file, on_bad_image=on_bad_image)
    _refuse(f'{file}: twice', _duplicates(ids), 'list each image once')
    return ids, paths


def read_images(
    file: pathlib.Path, images: str = '', on_bad_image: str = 'stop'
) -> tuple[list[str], list[pathlib.Path]]:
    """Read the first recognised column of images of a CSV.

    Args:
      file: the CSV.
      images: folders of the images, as `csv_table.image_tops` takes them.
      on_bad_image: `stop`, or `skip` for paths of files that do not exist.

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
    located = finder.locate([(cells[place], f'{file} line {line}') for line, cells in rows], tops)
    _refuse(
        f'{file}: not in {tops[0]}',
        [ids[i] for i in located.missing] if on_bad_image == 'stop' else [],
        'add the files, correct their names, or use --set=on_bad_image=skip',
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


def _rows(
    probabilities: np.ndarray, cells: Callable[[int, np.ndarray], list[str]]
) -> Iterator[list[str]]:
    """The cells of each row of an array that may be on disk."""
    for start in range(0, len(probabilities), BLOCK):
        block = np.asarray(probabilities[start : start + BLOCK])
        for place, row in enumerate(block, start):
            yield cells(place, row)


def _write(path: pathlib.Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a CSV, whole or not at all; missing cells at the end of a row stay empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with workdir.temporary_file(path.parent) as temporary:
        with temporary.open('w', encoding='utf-8', newline='') as file:
            block = [header]
            for row in rows:
                block.append([*row, *[''] * (len(header) - len(row))])
                if len(block) > BLOCK:
                    file.write(results.format_rows(block))
                    block = []
            file.write(results.format_rows(block) if block else '')
        workdir.publish(temporary, path)
