"""What the command line does with a checkpoint: predict, evaluate, export."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_type_hints

import numpy as np

from jaxdl import data, fields
from jaxdl.config.overrides import parse_value
from jaxdl.config.recipe import VIEWS
from jaxdl.data import Data
from jaxdl.data.loading import SPLITTING
from jaxdl.data.sources.columns import IMAGE_SUFFIXES, short
from jaxdl.data.sources.folder import image_files
from jaxdl.errors import InputError, unknown
from jaxdl.inference import model_file, submission, tta
from jaxdl.inference.predictor import Predictor
from jaxdl.runtime.progress import show_progress
from jaxdl.statistics import classification

CHALLENGE = 'test.csv'  # a table of this name asks for a submission
UNASKED = (
    'image_size',
    *SPLITTING,
)  # fields of Data that the checkpoint decides, or that change nothing here


@dataclasses.dataclass(frozen=True)
class Asking:
    """How networks are asked: what `--set` changes in the modes predict and evaluate."""

    batch_size: int = fields.ruled(32, fields.at_least(1))
    views: str = fields.ruled('', fields.one_of(('', *VIEWS)))  # empty: as the run chose


@dataclasses.dataclass(frozen=True)
class Explaining(Asking):
    """And, in predict, whether a picture of each image shows what spoke for its class."""

    explain: bool = False


@dataclasses.dataclass(frozen=True)
class Exporting:
    """What `--set` changes in export: side of the images in pixels (0: as evaluated).

    And which of several networks.
    """

    image_size: int = fields.ruled(0, fields.at_least(0))
    member: int | None = fields.ruled(None, fields.at_least(0))


def chosen(kinds: Sequence[type], given: Iterable[tuple[str, Any]], mode: str) -> list[Any]:
    """A record of each of `kinds` with what `--set` gives, checked; InputError for another key.

    With what was meant.
    """
    skipped = {Data: UNASKED}
    known = {
        f.name: (kind, f)
        for kind in kinds
        for f in dataclasses.fields(kind)
        if f.name not in skipped.get(kind, ())
    }
    found: dict[type, dict[str, Any]] = {kind: {} for kind in kinds}
    for key, value in given:
        name = key.removeprefix('data.')
        if name not in known:
            raise unknown('setting', key, known, f' of --mode={mode}')
        kind, field = known[name]
        annotation = get_type_hints(kind)[name]
        if isinstance(value, str):
            value = parse_value(annotation, value)
        found[kind][name] = fields.check(key, field, annotation, value)
    return [kind(**values) for kind, values in found.items()]


def predict(
    checkpoint: pathlib.Path,
    images: str,
    output: pathlib.Path,
    settings: Explaining,
    overwrite: str = 'refuse',
) -> str:
    """Predicts all images below a folder, or those that a table names.

    And writes predictions.csv's columns.

    Args:
      checkpoint: a workdir.
      images: a folder, or a CSV whose first recognised column of images is taken; images in
        <stem>_images/ or beside.
      output: the file. Beside it come `submission.csv` where the table is a challenge's test.csv,
        and `<stem>_explained/` with a picture of each image where `settings` ask for them.
      overwrite: `refuse` or `anything`: what becomes of a file that jaxdl did not write.

    Returns:
      What was done, in a few lines.
    """
    source = pathlib.Path(images)
    ids, paths = _found(source)
    ending = output.with_name('submission.csv') if source.name == CHALLENGE else None
    if ending == output:
        raise InputError(
            f'--output={output}: the submission goes there: name another file for the predictions'
        )
    _check_output(output, submission.PREDICTIONS, overwrite, source)
    if ending:
        _check_output(ending, submission.SUBMISSION, overwrite, source)
    predictor = Predictor.from_checkpoint(checkpoint, settings.views)
    with show_progress('predicting', len(paths)) as more:
        found = predictor.predict(paths, settings.batch_size, more)
    try:
        submission.write_predictions(output, ids, found.classes, found.probabilities)
        lines = [f'{len(ids):,} predictions: {output}']
        if ending:
            submission.write_submission(ending, found.class_names, ids, ids)
            lines.append(f'submission: {ending}')
        if settings.explain:
            folder = output.with_name(f'{output.stem}_explained')
            _explain(predictor, ids, paths, folder, settings.batch_size)
            lines.append(f'what spoke for each class: {folder}')
    except OSError as error:
        raise InputError(
            f'--output={output} cannot be written ({error.strerror}): name another file'
        ) from None
    return '\n'.join(lines)


def evaluate(checkpoint: pathlib.Path, asked: Data, settings: Asking) -> str:
    """The metrics of a checkpoint on labelled images: on the test part where the source fixes one.

    Else on all.

    Raises:
      InputError: classes that the networks do not know, or that the images lack.
    """
    predictor = Predictor.from_checkpoint(checkpoint, settings.views)
    held = predictor.snapshot
    dataset = data.load(dataclasses.replace(asked, image_size=held.about['decoded_size']))
    labels = _labels(dataset, predictor.class_names)
    part = [i for i, name in enumerate(dataset.parts or ()) if name == 'test'] or range(len(labels))
    where = (
        'its test part'
        if dataset.parts
        else 'all of it, with whatever the networks were trained on'
    )
    indices = np.asarray(part)
    with show_progress('evaluating', len(indices)) as more:
        batches = (
            np.asarray(dataset.images[rows]) for rows in tta.pieces(indices, settings.batch_size)
        )
        ask = lambda batch: tta.log_probabilities(held.module, held.members, held.about, batch)
        logits = np.concatenate(list(tta.in_batches(batches, ask, settings.batch_size, more)))
    found = classification.scores(logits / held.about['temperature'], labels[indices])
    return '\n'.join([f'{dataset.name}: {len(indices):,} images ({where})', *_lines(found)])


def export(
    checkpoint: pathlib.Path, output: pathlib.Path, settings: Exporting, overwrite: str = 'refuse'
) -> str:
    """Writes a network of a checkpoint into a folder, under the original names and as StableHLO.

    Says where.

    overwrite: `refuse` or `anything`: what becomes of files of these names that are there.
    """
    from jaxdl.inference import export as exporting

    there = [name for name in exporting.FILES if (output / name).exists()]
    if there and overwrite == 'refuse':
        raise InputError(f'{output / there[0]} exists: name another --output, or --overwrite')
    held = model_file.load(checkpoint)
    count = len(held.members)
    member = settings.member if settings.member is not None else 0
    if member >= count or (count > 1 and settings.member is None):
        raise InputError(
            f'{checkpoint} holds {count} networks, and one is exported: --set=member=0 to {count - 1}'
        )
    size = settings.image_size or held.about['eval_size']
    paths = exporting.export(held.module, held.members[member], output, size, held.about)
    return '\n'.join(f'exported: {path}' for path in paths)


def _found(source: pathlib.Path) -> tuple[list[str], list[pathlib.Path]]:
    """Ids and files of the images below a folder, sorted, or of those that a table names.

    In its order.
    """
    if not source.exists():
        raise InputError(f'--images={source}: no such folder or CSV')
    if not source.is_dir():
        if source.suffix.lower() in IMAGE_SUFFIXES:
            return [source.name], [source]
        return (
            submission.read_test(source)
            if source.name == CHALLENGE
            else submission.read_images(source)
        )
    names = image_files(source)
    if not names:
        raise InputError(f'--images={source}: no images below it')
    return names, [source / name for name in names]


def _check_output(
    output: pathlib.Path, header: Sequence[str], overwrite: str, source: pathlib.Path
) -> None:
    """InputError where writing would lose a file: one that does not begin as ours do.

    Or what is read.
    """
    if output.is_dir():
        raise InputError(
            f'--output={output} is a folder: name a file, such as {output / "predictions.csv"}'
        )
    parent = next(path for path in output.absolute().parents if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise InputError(
            f'--output={output}: {parent} is no folder that can be written to: name another file'
        )
    if not output.exists():
        return
    if output.samefile(source):
        raise InputError(f'--output={output} is the table of the images: name another file')
    first = ','.join(header).encode()
    with output.open('rb') as file:
        ours = file.read(len(first) + 1).rstrip(b'\r\n') == first
    if not ours and overwrite == 'refuse':
        raise InputError(
            f'{output} exists, and jaxdl did not write it: name another --output, or --overwrite'
        )


def _explain(
    predictor: Predictor,
    ids: Sequence[str],
    paths: Sequence[pathlib.Path],
    folder: pathlib.Path,
    batch_size: int,
) -> None:
    """A picture for each image: NUMBER NAME.png."""
    from PIL import Image

    from jaxdl.inference.gradcam import overlay

    folder.mkdir(parents=True, exist_ok=True)
    place = 0
    with show_progress('explaining', len(paths)) as more:
        for maps, seen in predictor.explained(paths, batch_size):
            for picture in overlay(seen, maps):
                name = re.sub(r'[^\w.-]+', '_', ids[place])[
                    -50:
                ]  # a file's name is of at most 255 bytes
                Image.fromarray(picture).save(folder / f'{place:05} {name}.png')
                place += 1
            more(len(maps))


def _labels(dataset: data.Dataset, classes: Sequence[str]) -> np.ndarray:
    """The labels of a data set as the networks number them; the order of the classes may differ.

    Their names not.
    """
    strange = [name for name in dataset.class_names if name not in classes]
    lacking = [name for name in classes if name not in dataset.class_names]
    problems = {'does not know': strange, 'has no images of': lacking}
    for what, names in ((what, names) for what, names in problems.items() if names):
        who = f'{dataset.name}: the checkpoint' if names is strange else dataset.name
        shown = ', '.join(map(short, names[:3])) + (', ...' if len(names) > 3 else '')
        kinds = 'class' if len(names) == 1 else 'classes'
        raise InputError(
            f'{who} {what} {len(names)} {kinds}: {shown}; its classes must be those of the checkpoint'
        )
    numbers = np.asarray([list(classes).index(name) for name in dataset.class_names], np.int32)
    return numbers[dataset.labels]


def _lines(found: Mapping[str, float]) -> list[str]:
    return [f'{name:12} {value:.4f}' for name, value in found.items()]
