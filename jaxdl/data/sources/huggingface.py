"""Images in sets of Hugging Face's `datasets`: saved, in parquet, or on the hub."""

import collections
import logging
import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from jaxdl.data.listing import Listing, Note, Undecoded, note
from jaxdl.data.sources.class_names import join
from jaxdl.data.sources.columns import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    column,
    home,
    listing,
    short,
    there,
)
from jaxdl.data.sources.split_names import WORDS, assign_parts
from jaxdl.data.sources.table_columns import NONE
from jaxdl.errors import InputError, warn


def hf(
    where: str,
    *,
    image_column: str = '',
    label_column: str = '',
    group_column: str = '',
    on_several_labels: str = 'stop',
) -> Listing:
    """List the images of a set of Hugging Face's `datasets`.

    Args:
      where: a folder of `save_to_disk` or of parquet files, or `NAME[:CONFIG][@REVISION]` on the
        hub. The commit of a revision is written to stderr and to the description.
      image_column: name of the column of images.
      label_column: name of the column of classes.
      group_column: name of the column of groups.
      on_several_labels: as `columns.listing` takes it.

    Raises:
      InputError: `datasets` is not installed, or the set cannot be opened.
    """
    if not where:
        raise InputError('--dataset=hf needs a name or a path: --dataset=hf:NAME_OR_PATH')
    try:
        import datasets
    except ImportError:
        raise InputError(
            "--dataset=hf needs the package datasets: pip install 'jaxdl[hf]'"
        ) from None
    name, config, revision = _parsed(where)
    splits, notes = _splits(where, _opened(datasets, where, name, config, revision))
    how = '--set=data.image_column=NAME, --set=data.label_column=NAME'
    rows, classes, ids, parts = list[Any](), list[str](), list[str](), list[str]()
    class_order: Sequence[str] = ()
    groups = list[str]()
    for part, table in splits.items():
        image = _column(
            table,
            image_column,
            IMAGE_COLUMNS,
            datasets.Image,
            f'hf:{where}: the column of images',
            how,
        )
        label = _column(
            table,
            label_column,
            LABEL_COLUMNS,
            datasets.ClassLabel,
            f'hf:{where}: the column of classes',
            how,
        )
        rows.append(_encoded(datasets, where, table, image))
        class_order = class_order or getattr(table.features[label], 'names', ())
        classes += _names(where, table, label)
        ids += (f'{part}/{i}' if len(splits) > 1 else str(i) for i in range(len(table)))
        parts += [part] * len(table)
        if group_column not in ('', NONE):
            header, subject = list(table.features), f'hf:{where}: the column of groups'
            name = header[column(header, group_column, (), subject, '')]
            groups += map(str, table.with_format(None)[name])
    twice = [name for name, count in collections.Counter(class_order).items() if count > 1]
    notes += note('Class names that occur twice, read as one class', twice)
    images = _Images(rows, where, _tops(datasets, where))
    return listing(
        f'hf:{where}',
        images,
        classes,
        ids,
        class_order=class_order,
        parts=parts,
        groups=groups or None,
        note=revision and f'revision {revision}',
        notes=notes,
        on_several_labels=on_several_labels,
    )


class _Images(Sequence[Undecoded]):
    """The encoded images of several tables, read from their memory maps on access.

    Raises:
      InputError: an image is in a file outside of the folders `tops`.
    """

    def __init__(self, tables: Sequence[Any], where: str, tops: Sequence[pathlib.Path]) -> None:
        self.where, self.tops = where, tops
        self.rows = [(table, i) for table in tables for i in range(len(table))]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        table, i = self.rows[index]
        (image,) = table[i].values()
        encoded = image or {}
        if encoded.get('bytes') is None and encoded.get('path'):
            path = pathlib.Path(os.path.realpath(encoded['path']))
            if not any(path.is_relative_to(top) for top in self.tops):
                raise InputError(
                    f'hf:{self.where}: row {i} names {short(encoded["path"])}, which is outside '
                    'of the set: put it there'
                )
            return path
        return encoded.get('bytes') or b''  # the decoder names an empty image


def _tops(datasets: Any, where: str) -> list[pathlib.Path]:
    """Folders of the files of a set: its local, or the caches of the hub."""
    from huggingface_hub import constants

    local = home(where) if there(where) else None
    tops = (
        [local if local.is_dir() else local.parent]
        if local
        else [datasets.config.HF_DATASETS_CACHE, constants.HF_HUB_CACHE]
    )
    return [pathlib.Path(os.path.realpath(top)) for top in tops]


def _parsed(where: str) -> tuple[str, str, str]:
    """Name, configuration and commit of a set on the hub; empty for a set on this disk."""
    if there(where):
        return '', '', ''
    where, _, revision = where.partition('@')
    name, _, config = where.partition(':')
    return name, config, _commit(name, revision)


def _commit(name: str, revision: str) -> str:
    """Current commit of a branch, a tag or the default; without a network the revision itself."""
    # Its messages about every attempt would hide the one line of the error.
    logging.getLogger('huggingface_hub').setLevel(logging.CRITICAL)
    from huggingface_hub import HfApi

    try:
        commit = HfApi().dataset_info(name, revision=revision or None).sha or revision
    except Exception:  # of the network, the hub or its client: the cache may have the set
        return revision
    warn(f'hf:{name} is of revision {commit}')
    return commit


def _opened(datasets: Any, where: str, name: str, config: str, revision: str) -> Any:
    try:
        if name:
            return datasets.load_dataset(name, config or None, revision=revision or None)
        path = home(where)
        if path.is_file():
            return datasets.load_dataset('parquet', data_files=str(path))
        if any((path / name).is_file() for name in ('dataset_dict.json', 'state.json')):
            return datasets.load_from_disk(str(path))
        return datasets.load_dataset(str(path))
    except Exception as error:  # of the network, the hub, arrow and the set itself
        reason = f'{type(error).__name__}: {short(str(error), str)}'
        raise InputError(
            f'cannot open hf:{where}, which is on this disk or needs the network: {reason}'
        ) from None


def _splits(where: str, tables: Any) -> tuple[dict[str, Any], tuple[Note, ...]]:
    """Select the labelled tables of `train`, `val` and `test`, and name those that are left out."""
    if not isinstance(tables, dict):
        return dict(train=tables), ()
    if len(tables) == 1:
        return dict(train=next(iter(tables.values()))), ()
    chosen: dict[str, str] = {}
    names = assign_parts(name for name, table in tables.items() if not _unlabelled(table))
    for name in sorted(names, key=lambda name: name not in WORDS):  # the plain names first
        chosen.setdefault(names[name], name)
    if 'train' not in chosen:
        raise InputError(f'hf:{where} has the splits {", ".join(tables)}; one must be train')
    left_out = [name for name in tables if name not in chosen.values()]
    guesses = [f'{name} as {part}' for part, name in chosen.items() if name not in WORDS]
    order = [part for part in ('train', 'val', 'test') if part in chosen]
    return {part: tables[chosen[part]] for part in order}, (
        *note('Left out: splits', left_out),
        *note('Splits recognised by their names', guesses),
    )


def _unlabelled(table: Any) -> bool:
    """Whether every class label is -1, the hub's way to keep a test set's labels."""
    columns = [name for name, feature in table.features.items() if hasattr(feature, 'names')]
    return bool(columns) and all(set(table.unique(name)) <= {-1, None} for name in columns)


def _column(
    table: Any, name: str, usual: tuple[frozenset[str], ...], kind: type, subject: str, how: str
) -> str:
    typed = [title for title, feature in table.features.items() if isinstance(feature, kind)]
    if not name and len(typed) == 1:
        return typed[0]
    header = typed if typed and not name else list(table.features)
    return header[column(header, name, usual, subject, how)]


def _encoded(datasets: Any, where: str, table: Any, image: str) -> Any:
    try:
        return (
            table.select_columns([image])
            .with_format(None)
            .cast_column(image, datasets.Image(decode=False))
        )
    except Exception as error:  # arrow has no one error for a column of another type
        reason = short(str(error), str)
        raise InputError(
            f'hf:{where}: column {short(image)} does not hold encoded images: {reason}'
        ) from None


def _names(where: str, table: Any, label: str) -> list[str]:
    """Class of each row as text; a list where a row has several."""
    feature = table.features[label]
    names = getattr(getattr(feature, 'feature', feature), 'names', None)

    def name(value: Any, row: int) -> str:
        absent = value is None or (isinstance(value, float) and not math.isfinite(value))
        if absent or not isinstance(value, (bool, int, float, str)) or value == '':
            right = False
        else:
            right = not names or (isinstance(value, int) and 0 <= value < len(names))
        if not right:
            raise InputError(
                f'hf:{where}: row {row} of {short(label)} is {short(str(value))}, no class; '
                'must be a word or a number'
            )
        return names[value] if names else str(value)

    classes = list[str]()
    for row, value in enumerate(table.with_format(None)[label]):
        labels = value if isinstance(value, list) and value else [value]
        classes.append(join([name(label, row) for label in labels]))
    return classes
