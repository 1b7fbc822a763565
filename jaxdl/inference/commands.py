"""Modes of the command line that take a checkpoint: settings, predict, export."""

import dataclasses
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, get_type_hints

import jax
import numpy as np

from jaxdl import fields
from jaxdl.config.overrides import parse_value
from jaxdl.config.recipe import VIEWS
from jaxdl.data import Data, decode
from jaxdl.data.listing import note
from jaxdl.data.loading import ON_BAD_IMAGE, SPLITTING
from jaxdl.data.sources import files
from jaxdl.data.sources.columns import check_text
from jaxdl.errors import InputError, unknown, warn
from jaxdl.inference import export as exporting
from jaxdl.inference import submission, unfinished
from jaxdl.inference.batched import Progress
from jaxdl.inference.predictor import Predictor, load_model
from jaxdl.runtime import provenance
from jaxdl.runtime.progress import show_progress
from jaxdl.workdir import tables

CHALLENGE = 'test.csv'  # for a table of this name, a submission is written too
# Fields of Data that the checkpoint determines, or that change nothing here.
FIXED = ('image_size', 'fit', *SPLITTING)


class ImagePredictor(Protocol):
    """Networks that predict image files, as `Predictor` does."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of the columns of probabilities."""
        ...

    def identity(self) -> dict[str, Any]:
        """All that the probabilities depend on, next to the images, as JSON values."""
        ...

    def stream(
        self,
        images: Sequence[Any],
        batch_size: int = 32,
        progress: Progress | None = None,
        on_bad_image: str = 'stop',
    ) -> Iterator[tuple[np.ndarray, dict[int, str]]]:
        """Probabilities of each batch, and the reasons of images that cannot be read."""
        ...


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
      on_bad_image: `stop`, or `skip`: an image that cannot be read has an empty class and a reason.
      probabilities: `top`: of the likeliest classes, or `all`.
      submission: a sample submission, whose form submission.csv gets; empty for none.
      submission_values: its column of classes where the sample leaves it open: `names`, `CLASS` for
        the probability of this class, or `CLASS=VALUE,...`.
      spreadsheet_safe: whether names that a spreadsheet would run get an apostrophe in front.
      unknown: share of validation images that keep their class: an image whose probabilities are
        all below that threshold is `unknown`; 0 for no threshold.
    """

    explain: bool = False
    on_bad_image: str = fields.ruled('stop', fields.one_of(ON_BAD_IMAGE))
    probabilities: str = fields.ruled('top', fields.one_of(submission.PROBABILITIES))
    submission: str = ''
    submission_values: str = ''
    spreadsheet_safe: bool = False
    unknown: float = fields.ruled(0.0, fields.between(0, 1))


@dataclasses.dataclass(frozen=True)
class FormatSettings:
    """Format of an export.

    Attributes:
      format: a row of `export.FORMATS`; empty for safetensors and StableHLO.
    """

    format: str = fields.ruled('', fields.one_of(('', *exporting.FORMATS)))


@dataclasses.dataclass(frozen=True)
class ExportSettings(FormatSettings):
    """Settings of the mode export.

    Attributes:
      image_size: side of the images in pixels; 0: as evaluated.
      member: which of several networks; `format=onnx` averages all without it.
      views: test-time augmentation of `format=onnx`, `none` or `flip`; empty for that of the run.
    """

    image_size: int = fields.ruled(0, fields.at_least(0))
    member: int | None = fields.ruled(None, fields.at_least(0))
    views: str = fields.ruled('', fields.one_of(('', *VIEWS)))


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

    The images are predicted batch by batch, in memory that depends on their number by their names
    alone. An interrupted prediction is resumed by the same call.

    Args:
      checkpoint: a workdir.
      images: a folder; or a table whose first recognised column of images is read, its images in
        <stem>_images/ or next to it.
      output: the file. Next to it come `submission.csv`, where the table is a challenge's test.csv
        or `settings.submission` names a sample, and `<stem>_explained/` with a Grad-CAM picture of
        each image, if `settings.explain`.
      settings: batch size, test-time augmentation, Grad-CAM, form of the files.
      overwrite: `refuse` or `anything`: whether a file that jaxdl did not write is overwritten.

    Returns:
      Lines that name the files.

    Raises:
      InputError: no such checkpoint or image, or a file that cannot be written.
    """
    predictor = Predictor.from_checkpoint(checkpoint, settings.views)
    return predict_by(predictor, images, output, settings, overwrite)


def predict_by(
    predictor: ImagePredictor,
    images: str,
    output: pathlib.Path,
    settings: PredictSettings,
    overwrite: str = 'refuse',
) -> str:
    """`predict` by networks that are loaded already."""
    source = pathlib.Path(images)
    ids, paths = _find_images(source, settings.on_bad_image)
    threshold = 0.0
    if settings.unknown:
        assert isinstance(predictor, Predictor)
        threshold = predictor.find_threshold(settings.unknown)
    sample = _read_sample(settings, source, predictor.class_names)
    submitted = sample is not None or source.name == CHALLENGE
    submission_path = output.with_name('submission.csv') if submitted else None
    if submission_path == output:
        raise InputError(f'--output={output}: is the file of the submission: name another file')
    skip = settings.on_bad_image == 'skip'
    header = submission.prediction_columns(predictor.class_names, settings.probabilities, skip)
    inputs = [source, *([pathlib.Path(settings.submission)] if sample else [])]
    _check_output(output, [submission.PREDICTIONS, header], overwrite, inputs)
    if submission_path:
        form = sample.header if sample else submission.SUBMISSION
        _check_output(submission_path, [form], overwrite, inputs)
    try:
        with unfinished.open_unfinished(
            output,
            _prediction_key(predictor, ids, paths, settings),
            len(predictor.class_names),
            settings.batch_size,
        ) as saved:
            _predict_rest(predictor, paths, settings, saved)
            probabilities, reasons = saved.read()
            lines = _write_predictions(
                predictor.class_names,
                output,
                submission_path,
                sample,
                ids,
                probabilities,
                reasons,
                settings,
                threshold,
            )
            lines += _describe_unknown(probabilities, threshold, settings, submission_path)
            if settings.explain:
                assert isinstance(predictor, Predictor)
                folder = output.with_name(f'{output.stem}_explained')
                _write_gradcam(predictor, ids, paths, reasons, folder, settings.batch_size)
                lines.append(f'Grad-CAM: {folder}')
            del probabilities  # a mapped file, which is removed now
    except OSError as error:
        raise InputError(
            f'--output={output} cannot be written ({error.strerror}): name another file'
        ) from None
    return '\n'.join(lines)


def _read_sample(
    settings: PredictSettings, source: pathlib.Path, class_names: Sequence[str]
) -> submission.Sample | None:
    if not settings.submission:
        return None
    sample = submission.read_sample(
        pathlib.Path(settings.submission), class_names, settings.submission_values
    )
    if not sample.ids and source.is_dir():
        raise InputError(
            f'submission={settings.submission}: it has no ids, and the folder {source} has no '
            'order: predict a table of the images, --images=FILE.csv'
        )
    return sample


def _prediction_key(
    predictor: ImagePredictor, ids: Sequence[str], paths: Sequence[str], settings: PredictSettings
) -> str:
    """Everything that the probabilities of images depend on, as JSON."""
    digest = hashlib.sha256()
    for name, path in zip(ids, paths, strict=True):
        try:
            status = os.stat(path)  # noqa: PTH116 - half the time of pathlib's
            state = (status.st_size, status.st_mtime_ns)
        except OSError:
            state = ()
        digest.update(json.dumps((name, path, state)).encode())
    return json.dumps(
        predictor.identity()
        | dict(
            images=digest.hexdigest(),
            decoder=decode.describe_decoder(),
            batch_size=settings.batch_size,
            versions=provenance.collect_versions(),
            device=jax.devices()[0].device_kind,
        )
    )


def _predict_rest(
    predictor: ImagePredictor,
    paths: Sequence[str],
    settings: PredictSettings,
    saved: unfinished.Unfinished,
) -> None:
    """Predict the images that are not predicted yet."""
    rest = paths[saved.count :]
    if saved.count:
        warn(f'{saved.count:,} of {len(paths):,} predictions are resumed')
    with show_progress('predicting', len(rest)) as progress:
        stream = predictor.stream(rest, settings.batch_size, progress, settings.on_bad_image)
        for rows, reasons in stream:
            saved.append(rows, {saved.count + i: why for i, why in reasons.items()})


def _write_predictions(
    class_names: Sequence[str],
    output: pathlib.Path,
    submission_path: pathlib.Path | None,
    sample: submission.Sample | None,
    ids: Sequence[str],
    probabilities: np.ndarray,
    reasons: Mapping[int, str],
    settings: PredictSettings,
    threshold: float,
) -> list[str]:
    """Write predictions.csv and submission.csv; lines that name them and images not read."""
    submission.write_predictions(
        output,
        ids,
        class_names,
        probabilities,
        columns_of=settings.probabilities,
        reasons=reasons if settings.on_bad_image == 'skip' else None,
        spreadsheet_safe=settings.spreadsheet_safe,
        threshold=threshold,
    )
    lines = [f'{len(ids) - len(reasons):,} predictions: {output}']
    unread = note('Images that cannot be read', (f'{ids[i]} {why}' for i, why in reasons.items()))
    lines += map(str, unread)
    if submission_path:
        frequent, _ = submission.most_frequent(probabilities)
        if sample:
            submission.write_sampled(submission_path, sample, ids, probabilities, reasons)
        else:
            names = submission.name_classes(class_names, probabilities, reasons)
            submission.write_submission(submission_path, names, ids, ids)
        lines.append(f'submission: {submission_path}')
        if reasons:
            lines.append(
                f'the submission has the most frequent class, {class_names[frequent]}, for images '
                'that cannot be read'
            )
    return lines


def _describe_unknown(
    probabilities: np.ndarray,
    threshold: float,
    settings: PredictSettings,
    submission_path: pathlib.Path | None,
) -> list[str]:
    """Number of images of no known class, and the threshold."""
    if not threshold:
        return []
    count = sum(
        int((probabilities[start : start + submission.BLOCK].max(1) < threshold).sum())
        for start in range(0, len(probabilities), submission.BLOCK)
    )
    line = (
        f'{count:,} images are {submission.UNKNOWN}: all probabilities are below {threshold:.4g}, '
        f'which {100 * settings.unknown:g} % of the validation images reach'
    )
    more = 'the submission has the likeliest class for images that are unknown'
    return [line, *([more] if submission_path and count else [])]


def export(
    checkpoint: pathlib.Path,
    output: pathlib.Path,
    settings: ExportSettings,
    overwrite: str = 'refuse',
) -> str:
    """Export a network of a checkpoint: under its original names and as StableHLO, or as ONNX.

    Args:
      checkpoint: a workdir.
      output: the folder.
      settings: format, image size, and which network.
      overwrite: `refuse` or `anything`: whether existing files of these names are overwritten.

    Returns:
      Lines that name the files, and checks of them.

    Raises:
      InputError: no such checkpoint or network, an operation that the format does not have, or a
        folder that cannot be written.
    """
    formats = exporting.formats_of(settings.format)
    check_folder(output, formats, overwrite)
    if settings.views and 'onnx' not in formats:
        raise InputError(
            f'views={settings.views}: only an ONNX file has test-time augmentation: leave out '
            'views, or set format=onnx'
        )
    model = load_model(checkpoint, settings.views)
    count, member = len(model.members), settings.member
    if (member or 0) >= count or (count > 1 and member is None and 'onnx' not in formats):
        raise InputError(
            f'{checkpoint} holds {count} networks, but one is exported at a time: '
            f'--set=member=0 to {count - 1}; format=onnx averages all'
        )
    if member is not None:
        model = dataclasses.replace(model, members=(model.members[member],))
    size = settings.image_size or model.card.eval_size
    return describe_export(*exporting.export(model, output, size, formats))


def describe_export(paths: Sequence[pathlib.Path], notes: Sequence[str]) -> str:
    """Lines that name the files of an export, and checks of them."""
    lines = [f'exported: {path}' for path in paths]
    return '\n'.join([*lines, *(f'{paths[0].name}: {note}' for note in notes)])


def check_folder(output: pathlib.Path, formats: Sequence[str], overwrite: str) -> None:
    """InputError where an export would overwrite a file, and `overwrite` is `refuse`."""
    existing = [name for name in exporting.files_of(formats) if (output / name).exists()]
    if existing and overwrite == 'refuse':
        raise InputError(f'{output / existing[0]} exists: name another --output, or --overwrite')


def _find_images(source: pathlib.Path, on_bad_image: str) -> tuple[list[str], list[str]]:
    """Ids and files of the images of a folder, sorted, or of a table, in its order."""
    if not source.exists():
        raise InputError(
            f'--images={source}: no such file or folder: name a folder of images, an image or a CSV'
        )
    if not source.is_dir():
        if files.format_of(source):
            return [source.name], [str(source)]
        if source.name == CHALLENGE:
            ids, paths = submission.read_test(source, on_bad_image)
        else:
            ids, paths = submission.read_images(source, on_bad_image=on_bad_image)
        return ids, [str(path) for path in paths]
    tree = files.walk(source)
    if not tree.images:
        others = files.describe_others(tree.others)
        raise InputError(
            f'--images={source}: the folder holds no images{others}: name another folder'
        )
    for finding in files.passed_over(tree.others, tree.side):
        warn(f'{source}: {finding}')
    check_text(str(source), tree.images)
    return tree.images, [str(source / name) for name in tree.images]


def _check_output(
    output: pathlib.Path,
    headers: Sequence[Sequence[str]],
    overwrite: str,
    inputs: Sequence[pathlib.Path],
) -> None:
    """InputError where writing would overwrite an input, or a file that jaxdl did not write."""
    if output.is_dir():
        raise InputError(
            f'--output={output} is a folder: name a file, such as {output / "predictions.csv"}'
        )
    parent = next(path for path in output.absolute().parents if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise InputError(f'--output={output}: {parent} is not a writable folder: name another file')
    if not output.exists():
        return
    for path in inputs:
        if output.samefile(path):
            flag = '--images' if path == inputs[0] else '--set=submission'
            raise InputError(f'--output={output} is the file of {flag}: name another file')
    with output.open('rb') as file:
        first = file.readline(1_000_000).rstrip(b'\r\n')
    written = [tables.format_rows([header]).rstrip('\n').encode() for header in headers]
    if first not in written and overwrite == 'refuse':
        raise InputError(
            f'{output} exists, and jaxdl did not write it: name another --output, or --overwrite'
        )


def _write_gradcam(
    predictor: Predictor,
    ids: Sequence[str],
    paths: Sequence[str],
    reasons: Mapping[int, str],
    folder: pathlib.Path,
    batch_size: int,
) -> None:
    """Write a Grad-CAM picture of each image that can be read: NUMBER NAME.png."""
    from PIL import Image

    from jaxdl.inference.gradcam import overlay

    folder.mkdir(parents=True, exist_ok=True)
    places = iter([i for i in range(len(paths)) if i not in reasons])
    readable = [path for i, path in enumerate(paths) if i not in reasons]
    with show_progress('Grad-CAM', len(readable)) as progress:
        for maps, crops in predictor.gradcam_batches(readable, batch_size):
            for picture, place in zip(overlay(crops, maps), places, strict=False):
                # The name of a file has at most 255 bytes.
                name = re.sub(r'[^\w.-]+', '_', ids[place])[-50:]
                Image.fromarray(picture).save(folder / f'{place:05} {name}.png')
            progress(len(maps))
