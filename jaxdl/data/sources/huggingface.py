"""Images in sets of Hugging Face's `datasets`: saved, in parquet, or on the hub."""

import logging
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from jaxdl.data.listing import Listing, Undecoded
from jaxdl.data.sources.columns import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    PARTS,
    column,
    home,
    listing,
    short,
    there,
)
from jaxdl.errors import InputError, warn


def hf(where: str, *, image_column: str = '', label_column: str = '') -> Listing:
    """A set of Hugging Face's `datasets`: a folder of `save_to_disk`, parquet, or one of the hub.

    That is `NAME[:CONFIG][@REVISION]`; the commit that it stands for is said, and stands in the
    description.
    """
    if not where:
        raise InputError('--dataset=hf names no set: --dataset=hf:NAME_OR_PATH')
    try:
        import datasets
    except ImportError:
        raise InputError(
            "--dataset=hf needs the package datasets: pip install 'jaxdl[hf]'"
        ) from None
    name, config, revision = _asked(where)
    splits, note = _splits(where, _opened(datasets, where, name, config, revision))
    note = '; '.join(own for own in (note, revision and f'revision {revision}') if own)
    how = '--set=data.image_column=NAME, --set=data.label_column=NAME'
    rows, classes, ids, parts = list[Any](), list[str](), list[str](), list[str]()
    known: Sequence[str] = ()
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
        known = known or getattr(table.features[label], 'names', ())
        classes += _names(where, table, label)
        ids += (f'{part}/{i}' if len(splits) > 1 else str(i) for i in range(len(table)))
        parts += [part] * len(table)
    images = _Images(rows, where, _tops(datasets, where))
    return listing(f'hf:{where}', images, classes, ids, known=known, parts=parts, note=note)


class _Images(Sequence[Undecoded]):
    """The encoded images of several tables one after another.

    Read from their memory map when asked for.

    InputError for one that is said to be in a file outside of the folders `tops`.
    """

    def __init__(self, tables: Sequence[Any], where: str, tops: Sequence[pathlib.Path]) -> None:
        self.where, self.tops = where, tops
        self.rows = [(table, i) for table in tables for i in range(len(table))]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        table, i = self.rows[index]
        (image,) = table[i].values()
        found = image or {}
        if found.get('bytes') is None and found.get('path'):
            path = pathlib.Path(os.path.realpath(found['path']))
            if not any(path.is_relative_to(top) for top in self.tops):
                raise InputError(
                    f'hf:{self.where}: row {i} names {short(found["path"])}, which is outside of the set: put it there'
                )
            return path
        return found.get('bytes') or b''  # nothing there: the decoder says so


def _tops(datasets: Any, where: str) -> list[pathlib.Path]:
    """Where the files of a set may be: in its folder, or in the caches of the hub."""
    from huggingface_hub import constants

    own = home(where) if there(where) else None
    tops = (
        [own if own.is_dir() else own.parent]
        if own
        else [datasets.config.HF_DATASETS_CACHE, constants.HF_HUB_CACHE]
    )
    return [pathlib.Path(os.path.realpath(top)) for top in tops]


def _asked(where: str) -> tuple[str, str, str]:
    """The name of a set on the hub, its configuration and its commit.

    All empty for one that is here.
    """
    if there(where):
        return '', '', ''
    where, _, revision = where.partition('@')
    name, _, config = where.partition(':')
    return name, config, _commit(name, revision)


def _commit(name: str, revision: str) -> str:
    """The commit that a branch, a tag or nothing stands for now.

    Without a network what was asked for.
    """
    # What the hub says of every attempt, twice, would hide the one line that says what is wrong.
    logging.getLogger('huggingface_hub').setLevel(logging.CRITICAL)
    from huggingface_hub import HfApi

    try:
        found = HfApi().dataset_info(name, revision=revision or None).sha or revision
    except (
        Exception
    ):  # of the network, the hub and its client: what is in its cache may still serve
        return revision
    warn(f'hf:{name} is of revision {found}')
    return found


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
        what = f'{type(error).__name__}: {short(str(error), str)}'
        raise InputError(
            f'cannot open hf:{where}, which is on this disk or needs the network: {what}'
        ) from None


def _splits(where: str, found: Any) -> tuple[dict[str, Any], str]:
    """The tables of `train`, `val` and `test`, as far as there are any with labels."""
    if not isinstance(found, dict):
        return dict(train=found), ''
    if len(found) == 1:
        return dict(train=next(iter(found.values()))), ''
    parts = {
        PARTS[name]: table
        for name, table in found.items()
        if name in PARTS and not _unlabelled(table)
    }
    if 'train' not in parts:
        raise InputError(f'hf:{where} has the splits {", ".join(found)}; one must be train')
    out = [name for name in found if PARTS.get(name) not in parts]
    return parts, f'left out: {", ".join(out)}' if out else ''


def _unlabelled(table: Any) -> bool:
    """Whether every class label is -1, the hub's way to keep a test set's labels."""
    columns = [name for name, feature in table.features.items() if hasattr(feature, 'names')]
    return bool(columns) and all(set(table.unique(name)) <= {-1, None} for name in columns)


def _column(
    table: Any, asked: str, known: tuple[frozenset[str], ...], kind: type, what: str, how: str
) -> str:
    typed = [name for name, feature in table.features.items() if isinstance(feature, kind)]
    if not asked and len(typed) == 1:
        return typed[0]
    header = typed if typed and not asked else list(table.features)
    return header[column(header, asked, known, what, how)]


def _encoded(datasets: Any, where: str, table: Any, image: str) -> Any:
    try:
        return (
            table.select_columns([image])
            .with_format(None)
            .cast_column(image, datasets.Image(decode=False))
        )
    except Exception as error:  # arrow has no one error for a column of another type
        what = short(str(error), str)
        raise InputError(
            f'hf:{where}: column {short(image)} does not hold encoded images: {what}'
        ) from None


def _names(where: str, table: Any, label: str) -> list[str]:
    names = getattr(table.features[label], 'names', None)
    values = list(table.with_format(None)[label])
    for i, value in enumerate(values):
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, str))
            or (names and not 0 <= int(value) < len(names))
        ):
            raise InputError(
                f'hf:{where}: row {i} of {short(label)} is {short(str(value))}, no class; right is a word or a number'
            )
    return [names[v] for v in values] if names else list(map(str, values))
