"""Load a data set: sources by the form of `--dataset`, decoding and splitting."""

import dataclasses
import inspect
import pathlib
from collections.abc import Callable

import numpy as np

from jaxdl import fields
from jaxdl.data import splits as parts
from jaxdl.data.cache import images as cache
from jaxdl.data.cropping import note_cropped
from jaxdl.data.decode import FITS
from jaxdl.data.listing import Dataset, Listing, drop_empty_classes, note
from jaxdl.data.sources import (
    builtin,
    class_names,
    columns,
    csv_table,
    folder,
    foodc,
    huggingface,
    layout,
    npz,
)
from jaxdl.data.splits import SPLITS, Splits
from jaxdl.errors import InputError, unknown, warn
from jaxdl.runtime import distributed

# name -> (what follows the colon, the fields of Data that it has parameters for) -> the images that
# there are.
SOURCES: dict[str, Callable[..., Listing]] = {
    **builtin.SOURCES,
    'folder': folder.folder,
    'csv': csv_table.csv,
    'npz': npz.npz,
    'hf': huggingface.hf,
    'foodc': foodc.foodc,
}
ON_BAD_IMAGE = ('stop', 'skip')
FRACTIONS = (0.6, 0.2, 0.2)  # train, val and test of a data set without its own


def _dataset(spec: str) -> str | None:
    return fields.one_of(SOURCES)(spec.split(':', 1)[0])


def _fractions(values: tuple[float, ...]) -> str | None:
    right = len(values) == 3 and min(values[:2]) > 0 <= values[2] and abs(sum(values) - 1) < 1e-9
    return (
        None
        if right
        else 'must be three numbers with the sum 1: train and val above 0, test 0 or more'
    )


@dataclasses.dataclass(frozen=True)
class Data:
    """Data of an experiment: source, size and number of images, and their split."""

    dataset: str = fields.ruled('digits', _dataset)
    images: str = ''  # folders of a table's images, separated by commas, if not next to the table
    image_column: str = ''  # of a table or a set of `hf`; empty: recognised
    label_column: str = ''
    group_column: str = ''  # names what belongs on one side of a split, such as the shop
    split_column: str = ''  # of a table, train, val or test; empty: recognised; none: not used
    test_table: str = ''  # a second table, of the test images
    # of a folder: classes, groups, or train=A,val=B,test=C; empty: recognised
    split_folders: str = fields.ruled('', layout.check_split_folders)
    # regular expression whose group `label` is the class in the name of a file
    label_pattern: str = fields.ruled('', folder.check_label_pattern)
    # names that are several labels: refused, left out, or a class each
    on_several_labels: str = fields.ruled('stop', fields.one_of(class_names.SEVERAL))
    image_size: int = fields.ruled(
        64, fields.at_least(1)
    )  # side in pixels of what comes from files
    # how an image becomes a square: its centre, the whole on a background, or distorted
    fit: str = fields.ruled('crop', fields.one_of(FITS))
    classes: int | None = fields.ruled(None, fields.at_least(2))  # only the largest ones
    subset: int | None = fields.ruled(
        None, fields.at_least(2)
    )  # only so many images, each class with its share
    subset_per_class: int = fields.ruled(
        0, fields.at_least(0)
    )  # a smaller subset grows to so many images per class
    train_share: float = fields.ruled(1.0, fields.between(1e-6, 1))  # of the training images
    # null: grouped where the source names groups, else stratified
    split: str | None = fields.ruled(None, fields.one_of(SPLITS))
    # null: those of the data set, else 0.6, 0.2, 0.2
    fractions: tuple[float, ...] | None = fields.ruled(None, _fractions)
    split_seed: int = fields.ruled(0, fields.at_least(0))
    resample_split: bool = (
        False  # every seed has its own split, so that intervals cover the split too
    )
    on_bad_image: str = fields.ruled('stop', fields.one_of(ON_BAD_IMAGE))
    download: bool = False  # what a source can fetch and does not find


SPLITTING = (
    'train_share',
    'split',
    'fractions',
    'resample_split',
)  # fields that do not change what is loaded


# Fields that only sources use: other fields have an effect on the images of every source.
_OF_SOURCES = frozenset(Data.__dataclass_fields__).intersection(
    name for source in SOURCES.values() for name in inspect.signature(source).parameters
)


SUFFIXES = dict.fromkeys(('.csv', '.tsv', '.parquet', '.xlsx'), 'csv') | {'.npz': 'npz'}


def read_listing(data: Data) -> Listing:
    """List all images of the source `data.dataset`, now.

    A source is called with the text after the colon and with the fields of `data` that it has
    parameters for.

    Raises:
      InputError: there is no such source, or it cannot be read.
    """
    kind, _, where = data.dataset.partition(':')
    if kind not in SOURCES:
        source = 'folder' if pathlib.Path(data.dataset).is_dir() else ''
        source = source or SUFFIXES.get(pathlib.Path(data.dataset).suffix.lower(), '')
        if source:
            raise InputError(f'dataset={data.dataset}: must be --dataset={source}:{data.dataset}')
        raise unknown('dataset', kind, SOURCES)
    values = {name: getattr(data, name) for name in Data.__dataclass_fields__}
    taken = values.keys() & inspect.signature(SOURCES[kind]).parameters
    listing = SOURCES[kind](where, **{name: values[name] for name in taken})
    unused = _OF_SOURCES - taken
    idle = [name for name in values if name in unused and values[name] != getattr(Data, name)]
    notes = note(f'Settings without effect on --dataset={kind}', idle)
    return dataclasses.replace(listing, notes=(*listing.notes, *notes))


def load(data: Data, *, training: bool = True) -> Dataset:
    """Read a data set and decode its images.

    Every call reads the source, since files may have changed; decoded images are cached on disk.
    Things that are left out, guessed or renamed are named on stderr.

    Args:
      data: source, size and number of images; the fields of SPLITTING do not matter.
      training: whether the classes must be those of training images, at least two.

    Returns:
      The data set; images that cannot be decoded are in `skipped`.

    Raises:
      InputError: there is no such source, or it cannot be read.
    """
    listing = read_listing(data)
    if training:
        listing, _ = _select_trained(listing)
    if data.classes or data.subset:
        listing = parts.narrow(
            listing,
            subset=data.subset,
            classes=data.classes,
            seed=data.split_seed,
            per_class=data.subset_per_class,
        )
    dataset = decode_listing(listing, data, training=training)
    if distributed.is_first():
        broken = note('Left out: cannot be decoded', map(' '.join, dataset.skipped))
        for finding in (*dataset.notes, *broken):
            warn(f'{dataset.name}: {finding}')
    return dataset


def _select_trained(listing: Listing) -> tuple[Listing, np.ndarray]:
    """Leave out the classes that have no training images.

    Returns:
      The rest, and the indices of its images, int [n].

    Raises:
      InputError: fewer than two classes are left.
    """
    names, splits = listing.class_names, np.array(listing.parts or ['train'] * len(listing.labels))
    trained = set(listing.labels[splits == 'train'].tolist())
    if len(trained) < 2:
        which = 'training images' if listing.parts else 'images'
        alone = f'of one class, {columns.short(names[min(trained)])}' if trained else 'left out'
        raise InputError(f'{listing.name}: all {which} are {alone}; two classes are needed')
    chosen = np.isin(listing.labels, list(trained))
    if len(trained) == len(names):
        return listing, np.flatnonzero(chosen)
    absent = [name for label, name in enumerate(names) if label not in trained]
    notes = (
        *note('Left out: classes without training images', absent),
        *note(
            'Left out: images of classes without training images',
            (listing.ids[i] for i in np.flatnonzero(~chosen)),
        ),
    )
    rest = parts.describe(drop_empty_classes(listing.take(np.flatnonzero(chosen))))
    rest = dataclasses.replace(rest, notes=(*rest.notes, *notes))
    return rest, np.flatnonzero(chosen)


def decode_listing(listing: Listing, data: Data, *, training: bool = True) -> Dataset:
    """Decode the images of a listing into memory, or into the cache on disk.

    Images that cannot be decoded are left out.

    Args:
      listing: images or their files.
      data: size of the images, and what happens to unreadable files.
      training: as in `load`; classes without a readable image are left out.

    Returns:
      The data set.

    Raises:
      InputError: an unreadable image, with `on_bad_image='stop'`.
    """
    if isinstance(listing.images, np.ndarray):
        images, digests, skipped = listing.images, (), ()
    else:
        decoding = cache.decode_images(
            listing.images, listing.ids, data.image_size, data.on_bad_image, data.fit
        )
        notes = note_cropped(listing.images, listing.ids) if data.fit == 'crop' else ()
        listing = dataclasses.replace(listing, notes=(*listing.notes, *notes))
        skipped = tuple((listing.ids[i], reason) for i, reason in decoding.bad.items())
        indices = np.array([i for i in range(len(listing.ids)) if i not in decoding.bad], int)
        if skipped:
            listing = listing.take(indices)
            if training:
                listing, chosen = _select_trained(listing)
                indices = indices[chosen]
        digests = tuple(decoding.digests[i] for i in indices)
        images = decoding.images if not skipped else decoding.images[indices]
    return Dataset(
        listing.name,
        listing.description,
        images,
        listing.labels,
        listing.ids,
        listing.class_names,
        listing.parts,
        listing.groups,
        digests,
        skipped,
        listing.fractions,
        listing.roles,
        listing.notes,
        fit=data.fit,
    )


def resolve_split(dataset: Dataset, data: Data) -> tuple[str, tuple[float, ...]]:
    """Kind and fractions of the split, with those of the data set where `data` has none.

    Args:
      dataset: its groups make `grouped` the default kind, and its fractions are the default ones.
      data: kind and fractions that the user sets.

    Returns:
      Row of SPLITS, and the shares of train, val and test.
    """
    own = 'stratified' if dataset.groups is None else 'grouped'
    return data.split or own, data.fractions or dataset.fractions or FRACTIONS


def split(dataset: Dataset, data: Data, number: int = 0) -> Splits:
    """Split a data set as `data` says.

    Args:
      dataset: the images and labels.
      data: kind of split, fractions and seed.
      number: 0, or 1, 2, ... for other splits of the same kind.

    Returns:
      Indices of the three parts.

    Raises:
      InputError: the groups or the classes do not allow such a split.
    """
    kind, fractions = resolve_split(dataset, data)
    parts.check_groups(
        dataset, f'data.group_column={data.group_column}' if data.group_column else dataset.name
    )
    seed = data.split_seed + number
    splits = SPLITS[kind](dataset, fractions, seed)
    train = parts.thin(splits.train, dataset.labels, data.train_share, seed)
    return dataclasses.replace(splits, train=train)
