"""Files below a folder: the images, by suffix or content, and the files that are passed over."""

import collections
import dataclasses
import os
import pathlib
import posixpath
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jaxdl.data import image_headers
from jaxdl.data.listing import NAMED, Note, note
from jaxdl.errors import InputError

# Suffix -> format of Pillow.
SUFFIXES = {
    **dict.fromkeys(('.jpg', '.jpeg', '.jpe', '.jfif', '.mpo'), 'JPEG'),
    **dict.fromkeys(('.png', '.apng'), 'PNG'),
    '.webp': 'WEBP',
    '.bmp': 'BMP',
    '.dib': 'DIB',
    '.gif': 'GIF',
    **dict.fromkeys(('.tif', '.tiff'), 'TIFF'),
    **dict.fromkeys(('.ppm', '.pgm', '.pbm', '.pnm'), 'PPM'),
    **dict.fromkeys(('.avif', '.avifs'), 'AVIF'),
    **dict.fromkeys(('.jp2', '.j2k', '.j2c', '.jpc', '.jpf', '.jpx'), 'JPEG2000'),
    **dict.fromkeys(('.heic', '.heif', '.hif', '.heics', '.heifs'), 'HEIF'),
    '.jxl': 'JXL',
    '.tga': 'TGA',
}
# Suffixes of images that no decoder here reads.
OTHER_IMAGES = frozenset(
    (
        *('.3fr', '.arw', '.cr2', '.cr3', '.dng', '.erf', '.exr', '.hdr', '.ico', '.nef', '.nrw'),
        *('.orf', '.pdf', '.pef', '.psd', '.raf', '.raw', '.rw2', '.sr2', '.srw', '.svg', '.xcf'),
    )
)
NO_READER = 'Passed over: images without an installed reader'
OTHER_KINDS = 'Passed over: images of other kinds (convert them to JPEG or PNG)'
NO_IMAGES = 'Passed over: files that are no images'
# Folders and files that systems and programs put next to images, in lower case.
SYSTEM = frozenset(
    (
        '__macosx',
        '__pycache__',
        '@eadir',
        '@recycle',
        '#recycle',
        '#snapshot',
        '$recycle.bin',
        'lost+found',
        'system volume information',
        'desktop.ini',
        'thumbs.db',
        'ehthumbs.db',
        'icon\r',
    )
)
IMAGE_FOLDERS = frozenset(
    ('image', 'images', 'img', 'imgs', 'photo', 'photos', 'picture', 'pictures', 'jpegimages')
)
# Folders that hold no images to classify where one of IMAGE_FOLDERS is next to them.
SIDE_FOLDERS = frozenset(
    ('annotation', 'annotations', 'label', 'labels', 'mask', 'masks', 'trimaps', 'xml', 'xmls')
)


@dataclasses.dataclass(frozen=True)
class Files:
    """Paths below a folder, relative to it, with `/`, sorted.

    Attributes:
      images: those that a decoder reads, by their suffix; without a suffix, by their content.
      others: all others but hidden and system files.
      side: folders of masks and annotations next to a folder of images, which are left out.
    """

    images: list[str]
    others: list['Other']
    side: list[str]


class Other(NamedTuple):
    """A file that is passed over: its path, and its format if only a reader is missing."""

    path: str
    format: str = ''


def is_image(name: str) -> bool:
    """Whether the suffix of this name is one of images, whether or not a reader is installed."""
    return _suffix(name) in SUFFIXES


def format_of(path: str | os.PathLike[str]) -> str:
    """Format of an image, by its suffix; without one, by its content. Empty for other files."""
    suffix = _suffix(os.fspath(path))
    if suffix and not suffix[1:].isdigit():
        return SUFFIXES.get(suffix, '')
    return image_headers.recognise(pathlib.Path(path))


def _suffix(name: str) -> str:
    return posixpath.splitext(name)[1].lower()


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a file, or a link to one."""
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def folders(top: pathlib.Path) -> list[str]:
    """Names of the folders in a folder, sorted, without hidden, system and side folders.

    Raises:
      InputError: the folder cannot be read.
    """
    names = _folders(top)
    return sorted(set(names) - set(_side(names)))


def side_folders(top: pathlib.Path) -> list[str]:
    """Names of the folders of masks and annotations next to a folder of images, sorted."""
    return sorted(_side(_folders(top)))


def loose_files(top: pathlib.Path, prefix: str = '') -> Files:
    """The files directly in the folder `top / prefix`."""
    entries = (e for e in _scan(top / prefix) if not _hidden(e.name) and is_file(e))
    images, others = _select(prefix, entries)
    return Files(sorted(images), sorted(others), [])


def walk(top: pathlib.Path, starts: Sequence[str] = ('',)) -> Files:
    """List the files below a folder, the same ones for training and for prediction.

    Hidden and system files and folders are left out. Links are followed. Each folder is read once:
    under its path if that lies below `starts`, else under the first link to it.

    Args:
      top: the folder.
      starts: the parts of it to be listed, such as `train/`; the whole by default.

    Raises:
      InputError: a folder cannot be read.
    """
    images, others, side = list[str](), list[Other](), list[str]()
    open_folders, links = list(starts), list[str]()
    entered = set() if '' in starts else {_identity(top)}
    while open_folders or links:
        prefix = open_folders.pop() if open_folders else links.pop(links.index(min(links)))
        identity = _identity(top / prefix)
        if identity in entered:  # links can go in circles
            continue
        entered.add(identity)
        entries = [entry for entry in _scan(top / prefix) if not _hidden(entry.name)]
        inner = {entry.name: entry.is_symlink() for entry in entries if is_folder(entry)}
        beside = _side(inner)
        side += [f'{prefix}{name}/' for name in beside]
        for name, link in inner.items():
            if name not in beside:
                (links if link else open_folders).append(f'{prefix}{name}/')
        of_folder = _select(prefix, filter(is_file, entries))
        images += of_folder[0]
        others += of_folder[1]
    return Files(sorted(images), sorted(others), sorted(side))


def passed_over(others: Iterable[Other], side: Sequence[str] = ()) -> tuple[Note, ...]:
    """Notes of the files that are not read, with their number by suffix, and of side folders.

    For images without an installed reader they have the command that installs it.
    """
    findings = {name: collections.Counter[str]() for name in (NO_READER, OTHER_KINDS, NO_IMAGES)}
    for path, kind in others:
        suffix = _suffix(path)
        if kind:
            name = f'{suffix or kind}: {image_headers.reader_command(kind)}'
            findings[NO_READER][name] += 1
        else:
            finding = OTHER_KINDS if suffix in OTHER_IMAGES else NO_IMAGES
            findings[finding][suffix or 'without suffix'] += 1
    notes = tuple(
        Note(
            finding,
            kinds.total(),
            tuple(f'{count:,} {kind}' for kind, count in kinds.most_common(NAMED)),
        )
        for finding, kinds in findings.items()
        if kinds
    )
    return (*notes, *note('Left out: masks and annotations next to images', side))


def describe_others(others: Iterable[Other]) -> str:
    """The notes of files that are not read, in brackets; empty without such files."""
    notes = passed_over(others)
    return f' ({"; ".join(map(str, notes))})' if notes else ''


def _scan(top: pathlib.Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(top) as entries:
            return list(entries)
    except OSError as error:
        raise InputError(
            f'cannot read the folder {top}: {error.strerror}; make it readable, or name another'
        ) from None


def _select(prefix: str, entries: Iterable[os.DirEntry[str]]) -> tuple[list[str], list[Other]]:
    """The images that are read, and the other files, among the files of a folder."""
    images, others = list[str](), list[Other]()
    for entry in entries:
        kind = format_of(entry)
        if kind in image_headers.formats():
            images.append(prefix + entry.name)
        else:
            others.append(Other(prefix + entry.name, kind))
    return images, others


def _folders(top: pathlib.Path) -> list[str]:
    return [e.name for e in _scan(top) if not _hidden(e.name) and is_folder(e)]


def _side(names: Iterable[str]) -> list[str]:
    """The names of side folders, where there is a folder of images among `names`."""
    names = list(names)
    if not any(name.lower() in IMAGE_FOLDERS for name in names):
        return []
    return [name for name in names if name.lower() in SIDE_FOLDERS]


def _identity(top: pathlib.Path) -> tuple[int, int]:
    status = top.stat()
    return status.st_dev, status.st_ino


def _hidden(name: str) -> bool:
    return name.startswith(('.', '~$')) or name.lower() in SYSTEM
