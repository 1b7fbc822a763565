"""Modes of the command line that take a checkpoint: predict, evaluate, export."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, get_type_hints

import numpy as np

from jaxdl import data, fields
from jaxdl.config.overrides import parse_value
from jaxdl.config.recipe import VIEWS
from jaxdl.data import Data
from jaxdl.data.listing import Note, note
from jaxdl.data.loading import SPLITTING
from jaxdl.data.sources import files
from jaxdl.data.sources.class_names import canonical
from jaxdl.data.sources.columns import short
from jaxdl.errors import InputError, unknown, warn
from jaxdl.inference import model_file, submission, tta
from jaxdl.inference.predictor import Predictor, load_model
from jaxdl.runtime.progress import show_progress
from jaxdl.statistics import classification

CHALLENGE = 'test.csv'  # for a table of this name, a submission is written too
# Fields of Data that the checkpoint determines, or that change nothing here.
FIXED = ('image_size', *SPLITTING)


@dataclasses.dataclass(frozen=True)
class EvaluateSettings:
    """Settings of the mode evaluate.

    Attributes:
      views: test-time augmentation, a row of `recipe.VIEWS`; empty for that of the run.
    """

    batch_size: int = fields.ruled(32, fields.at_least(1))
    views: str = fields.ruled('', fields.one_of(('', *VIEWS)))


@dataclasses.dataclass(frozen=True)
class PredictSettings(EvaluateSettings):
    """Settings of the mode predict.

    Attributes:
      explain: whether a Grad-CAM picture of each image is written.
    """

    explain: bool = False


@dataclasses.dataclass(frozen=True)
class ExportSettings:
    """Settings of the mode export.

    Attributes:
      image_size: side of the images in pixels; 0: as evaluated.
      member: which of several networks.
    """

    image_size: int = fields.ruled(0, fields.at_least(0))
    member: int | None = fields.ruled(None, fields.at_least(0))


def parse_settings(kinds: Sequence[type], pairs: Iterable[tuple[str, Any]], mode: str) -> list[Any]:
    """Settings records from `--set=key=value`.

    Args:
      kinds: dataclasses; the first that has a key's field takes the value.
      pairs: keys and values.
      mode: of the command line, for error messages.

    Returns:
      A record of each of `kinds`.

    Raises:
      InputError: a key is unknown, or a value does not fit its field.
    """
    fields_by_name = {
        field.name: (kind, field)
        for kind in kinds
        for field in dataclasses.fields(kind)
        if kind is not Data or field.name not in FIXED
    }
    values: dict[type, dict[str, Any]] = {kind: {} for kind in kinds}
    for key, value in pairs:
        name = key.removeprefix('data.')
        if name not in fields_by_name:
            raise unknown('setting', key, fields_by_name, f' of --mode={mode}')
        kind, field = fields_by_name[name]
        annotation = get_type_hints(kind)[name]
        if isinstance(value, str):
            value = parse_value(annotation, value)
        values[kind][name] = fields.check(key, field, annotation, value)
    return [kind(**arguments) for kind, arguments in values.items()]


def predict(
    checkpoint: pathlib.Path,
    images: str,
    output: pathlib.Path,
    settings: PredictSettings,
    overwrite: str = 'refuse',
) -> str:
    """Predict images of a folder or a table, and write predictions.csv.

    Args:
      checkpoint: a workdir.
      images: a folder; or a CSV whose first recognised column of images is read, its images in
        <stem>_images/ or next to it.
      output: the file. Next to it come `submission.csv`, where the table is a challenge's test.csv,
        and `<stem>_explained/` with a Grad-CAM picture of each image, if `settings.explain`.
      settings: batch size, test-time augmentation, Grad-CAM.
      overwrite: `refuse` or `anything`: whether a file that jaxdl did not write is overwritten.

    Returns:
      Lines that name the files.

    Raises:
      InputError: no such checkpoint or image, or a file that cannot be written.
    """
    source = pathlib.Path(images)
    ids, paths = _find_images(source)
    submission_path = output.with_name('submission.csv') if source.name == CHALLENGE else None
    if submission_path == output:
        raise InputError(f'--output={output}: is the file of the submission: name another file')
    _check_output(output, submission.PREDICTIONS, overwrite, source)
    if submission_path:
        _check_output(submission_path, submission.SUBMISSION, overwrite, source)
    predictor = Predictor.from_checkpoint(checkpoint, settings.views)
    with show_progress('predicting', len(paths)) as progress:
        result = predictor.predict(paths, settings.batch_size, progress)
    try:
        submission.write_predictions(output, ids, result.classes, result.probabilities)
        lines = [f'{len(ids):,} predictions: {output}']
        if submission_path:
            submission.write_submission(submission_path, result.class_names, ids, ids)
            lines.append(f'submission: {submission_path}')
        if settings.explain:
            folder = output.with_name(f'{output.stem}_explained')
            _write_gradcam(predictor, ids, paths, folder, settings.batch_size)
            lines.append(f'Grad-CAM: {folder}')
    except OSError as error:
        raise InputError(
            f'--output={output} cannot be written ({error.strerror}): name another file'
        ) from None
    return '\n'.join(lines)


def evaluate(checkpoint: pathlib.Path, source: Data, settings: EvaluateSettings) -> str:
    """Metrics of a checkpoint on labelled images: on the test split, or all without a split.

    Images of classes that the checkpoint lacks are left out, and the lines name them.

    Args:
      checkpoint: a workdir.
      source: the data.
      settings: batch size and test-time augmentation.

    Returns:
      Lines of metrics.

    Raises:
      InputError: no such checkpoint or data, or no class of the checkpoint in it.
    """
    model = load_model(checkpoint, settings.views)
    source = dataclasses.replace(source, image_size=model.card.decoded_size)
    dataset = data.load(source, training=False)
    test = [i for i, part in enumerate(dataset.parts or ()) if part == 'test']
    scope = (
        'its test split'
        if dataset.parts
        else 'all of it, including any images that the networks were trained on'
    )
    indices = np.asarray(test or range(len(dataset.labels)))
    labels, notes = _match_classes(dataset, indices, model.card.class_names)
    indices = indices[labels[indices] >= 0]
    with show_progress('evaluating', len(indices)) as progress:
        logits = tta.log_probabilities(
            model.module,
            model.members,
            model.card,
            dataset.images,
            indices,
            settings.batch_size,
            progress,
        )
    scores = classification.scores(logits / model.card.temperature, labels[indices])
    lines = [f'{name:12} {value:.4f}' for name, value in scores.items()]
    heading = f'{dataset.name}: {len(indices):,} images ({scope})'
    return '\n'.join([heading, *map(str, notes), *lines])


def export(
    checkpoint: pathlib.Path,
    output: pathlib.Path,
    settings: ExportSettings,
    overwrite: str = 'refuse',
) -> str:
    """Export a network of a checkpoint: under its original names and as StableHLO.

    Args:
      checkpoint: a workdir.
      output: the folder.
      settings: image size, and which network.
      overwrite: `refuse` or `anything`: whether existing files of these names are overwritten.

    Returns:
      Lines that name the files.

    Raises:
      InputError: no such checkpoint or network, or a folder that cannot be written.
    """
    from jaxdl.inference import export as exporting

    existing = [name for name in exporting.FILES if (output / name).exists()]
    if existing and overwrite == 'refuse':
        raise InputError(f'{output / existing[0]} exists: name another --output, or --overwrite')
    model = model_file.load(checkpoint)
    count, member = len(model.members), settings.member or 0
    if member >= count or (count > 1 and settings.member is None):
        raise InputError(
            f'{checkpoint} holds {count} networks, but one is exported at a time: '
            f'--set=member=0 to {count - 1}'
        )
    size = settings.image_size or model.card.eval_size
    paths = exporting.export(model.module, model.members[member], output, size, model.card)
    return '\n'.join(f'exported: {path}' for path in paths)


def _find_images(source: pathlib.Path) -> tuple[list[str], list[pathlib.Path]]:
    """Ids and files of the images of a folder, sorted, or of a table, in its order."""
    if not source.exists():
        raise InputError(
            f'--images={source}: no such file or folder: name a folder of images, an image or a CSV'
        )
    if not source.is_dir():
        if files.is_image(source.name):
            return [source.name], [source]
        read = submission.read_test if source.name == CHALLENGE else submission.read_images
        return read(source)
    tree = files.walk(source)
    if not tree.images:
        others = files.describe_others(tree.others)
        raise InputError(
            f'--images={source}: the folder holds no images{others}: name another folder'
        )
    for finding in files.passed_over(tree.others, tree.side):
        warn(f'{source}: {finding}')
    return tree.images, [source / name for name in tree.images]


def _check_output(
    output: pathlib.Path, header: Sequence[str], overwrite: str, source: pathlib.Path
) -> None:
    """InputError where writing would overwrite the input, or a file that jaxdl did not write."""
    if output.is_dir():
        raise InputError(
            f'--output={output} is a folder: name a file, such as {output / "predictions.csv"}'
        )
    parent = next(path for path in output.absolute().parents if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise InputError(f'--output={output}: {parent} is not a writable folder: name another file')
    if not output.exists():
        return
    if output.samefile(source):
        raise InputError(f'--output={output} is the file of --images: name another file')
    first = ','.join(header).encode()
    with output.open('rb') as file:
        ours = file.read(len(first) + 1).rstrip(b'\r\n') == first
    if not ours and overwrite == 'refuse':
        raise InputError(
            f'{output} exists, and jaxdl did not write it: name another --output, or --overwrite'
        )


def _write_gradcam(
    predictor: Predictor,
    ids: Sequence[str],
    paths: Sequence[pathlib.Path],
    folder: pathlib.Path,
    batch_size: int,
) -> None:
    """Write a Grad-CAM picture of each image: NUMBER NAME.png."""
    from PIL import Image

    from jaxdl.inference.gradcam import overlay

    folder.mkdir(parents=True, exist_ok=True)
    place = 0
    with show_progress('Grad-CAM', len(paths)) as progress:
        for maps, crops in predictor.gradcam_batches(paths, batch_size):
            for picture in overlay(crops, maps):
                # The name of a file has at most 255 bytes.
                name = re.sub(r'[^\w.-]+', '_', ids[place])[-50:]
                Image.fromarray(picture).save(folder / f'{place:05} {name}.png')
                place += 1
            progress(len(maps))


def _match_classes(
    dataset: data.Dataset, indices: np.ndarray, classes: Sequence[str]
) -> tuple[np.ndarray, tuple[Note, ...]]:
    """Labels in the numbering of the networks.

    Args:
      dataset: labelled images.
      indices: int [k], the images that count.
      classes: names of the networks' classes, which may be spelt in another way.

    Returns:
      int [n], -1 for classes that the networks lack; notes of these and of absent classes.

    Raises:
      InputError: the networks lack all classes.
    """
    places = {name: i for i, name in enumerate(classes)}
    spellings = {canonical(name): i for i, name in enumerate(classes)}
    numbers = [places.get(n, spellings.get(canonical(n), -1)) for n in dataset.class_names]
    labels = np.asarray(numbers, np.int32)[dataset.labels]
    present = dataset.labels[indices]
    lacking = [dataset.class_names[c] for c in np.unique(present) if numbers[c] < 0]
    if all(numbers[label] < 0 for label in np.unique(present)):
        noun = 'class' if len(lacking) == 1 else 'classes'
        examples = ', '.join(map(short, lacking[:3])) + ', ...' * (len(lacking) > 3)
        raise InputError(
            f'{dataset.name}: the checkpoint lacks {len(lacking)} {noun}: {examples}; it has '
            f'{", ".join(map(short, classes[:3]))}{", ..." * (len(classes) > 3)}: '
            'use images of its classes'
        )
    left_out = [dataset.ids[i] for i in indices if labels[i] < 0]
    known = set(labels[indices].tolist())
    absent = [name for i, name in enumerate(classes) if i not in known]
    return labels, (
        *note('Left out: classes that the checkpoint lacks', lacking),
        *note('Left out: images of these classes', left_out),
        *note('Classes of the checkpoint without an image', absent),
    )
