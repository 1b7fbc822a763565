"""Evaluation of a checkpoint on labelled images: lines of metrics, and files."""

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl import data, workdir
from jaxdl.data import Data
from jaxdl.data.listing import Note, note
from jaxdl.data.sources.class_names import canonical
from jaxdl.data.sources.columns import short
from jaxdl.errors import InputError
from jaxdl.inference import tta
from jaxdl.inference.commands import EvaluateSettings
from jaxdl.inference.predictor import load_model
from jaxdl.runtime.progress import show_progress
from jaxdl.statistics import classification
from jaxdl.workdir import tables

FILES = ('metrics.json', 'metrics.csv', 'per_class.csv', 'confusion.csv')


def evaluate(
    checkpoint: pathlib.Path,
    source: Data,
    settings: EvaluateSettings,
    output: pathlib.Path | None = None,
    overwrite: str = 'refuse',
) -> str:
    """Metrics of a checkpoint on labelled images: on the test split, or all without a split.

    Images of classes that the checkpoint lacks are left out, and the lines name them.

    Args:
      checkpoint: a workdir.
      source: the data.
      settings: batch size and test-time augmentation.
      output: folder that gets FILES; None to write nothing.
      overwrite: `refuse` or `anything`: whether existing files of these names are overwritten.

    Returns:
      Lines of metrics, and the names of the files.

    Raises:
      InputError: no such checkpoint or data, no class of the checkpoint in it, or a folder that
        cannot be written.
    """
    if output:
        _check_folder(output, overwrite)
    model = load_model(checkpoint, settings.views)
    card = model.card
    source = dataclasses.replace(source, image_size=card.decoded_size, fit=card.preprocessing.fit)
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
    classes, truth = model.card.class_names, labels[indices]
    scores = classification.scores(logits / model.card.temperature, truth)
    lines = [f'{dataset.name}: {len(indices):,} images ({scope})', *map(str, notes)]
    lines += [f'{name:12} {value:.4f}' for name, value in scores.items()]
    if output:
        matrix = classification.confusion(truth, logits.argmax(1), len(classes))
        about = dict(
            checkpoint=str(checkpoint),
            dataset=source.dataset,
            images=len(indices),
            scope=scope,
            views=model.card.views,
            notes=[str(finding) for finding in (*dataset.notes, *notes)],
        )
        lines += _write_files(output, classes, matrix, scores, about)
    return '\n'.join(lines)


def _check_folder(output: pathlib.Path, overwrite: str) -> None:
    """InputError where files cannot be written, or would be overwritten."""
    existing = [name for name in FILES if (output / name).exists()]
    if existing and overwrite == 'refuse':
        raise InputError(f'{output / existing[0]} exists: name another --output, or --overwrite')
    parent = next(path for path in (output, *output.absolute().parents) if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise InputError(
            f'--output={output}: {parent} is not a writable folder: name another folder'
        )


def _write_files(
    output: pathlib.Path,
    class_names: Sequence[str],
    matrix: np.ndarray,
    scores: Mapping[str, float],
    about: Mapping[str, Any],
) -> list[str]:
    """Write FILES; lines that name them."""
    by_class = classification.per_class(matrix)
    undefined = dict(precision='predicted', recall='support')
    rows = [['class', *by_class]]
    for place, name in enumerate(class_names):
        values = {key: values[place] for key, values in by_class.items()}
        cells = [
            '' if key in undefined and not values[undefined[key]] else str(value)
            for key, value in values.items()
        ]
        rows.append([name, *cells])
    confusions = [['class', *class_names]]
    confusions += [[n, *map(str, row)] for n, row in zip(class_names, matrix.tolist(), strict=True)]
    metrics = {name: None if math.isnan(value) else value for name, value in scores.items()}
    contents = {
        'metrics.json': json.dumps(dict(about, metrics=metrics), indent=2, ensure_ascii=False)
        + '\n',
        'metrics.csv': tables.as_csv(
            dict(metric=str, value=float), [dict(metric=n, value=v) for n, v in scores.items()]
        ),
        'per_class.csv': tables.format_rows(rows),
        'confusion.csv': tables.format_rows(confusions),
    }
    try:
        for name, content in contents.items():
            workdir.write(output / name, content)
    except OSError as error:
        raise InputError(
            f'--output={output} cannot be written ({error.strerror}): name another folder'
        ) from None
    return [f'{name}: {output / name}' for name in FILES]


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
    evaluated = set(labels[indices].tolist())
    absent = [name for i, name in enumerate(classes) if i not in evaluated]
    return labels, (
        *note('Left out: classes that the checkpoint lacks', lacking),
        *note('Left out: images of these classes', left_out),
        *note('Classes of the checkpoint without an image', absent),
    )
