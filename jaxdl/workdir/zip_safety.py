"""Zip archives that unpack to more than they are worth."""

import pathlib
import zipfile

from jaxdl.errors import InputError

LARGE = 2**30  # bytes that any archive may unpack to
# to one: beyond, a larger one is refused; weights shrink by less than 2, flat images by 100
RATIO = 200


def check(path: pathlib.Path, what: str = '') -> None:
    """InputError where the zip archive `path` would fill the memory (a "zip bomb").

    `what` comes before its name.
    """
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        whole = sum(entry.file_size for entry in archive.infolist())
    if whole > max(LARGE, RATIO * size):
        raise InputError(
            f'{what}{path}: would unpack from {size:,} to {whole:,} bytes: save it without compression'
        )
