"""Reject zip bombs in .npz and .zip inputs."""

import pathlib
import zipfile

from jaxdl.errors import InputError

LARGE = 2**30  # bytes that any archive may unpack to
# Bytes unpacked per byte of a larger archive: weights shrink by less than 2, flat images by 100.
RATIO = 200


def check(path: pathlib.Path, kind: str = '') -> None:
    """Refuse a zip archive that would fill the memory.

    Args:
      path: the archive.
      kind: a word before its name in the message, such as `weights `.

    Raises:
      InputError: it is a zip bomb.
      OSError, zipfile.BadZipFile: it cannot be read, or is no zip archive.
    """
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > max(LARGE, RATIO * size):
        raise InputError(
            f'{kind}{path}: would unpack from {size:,} to {unpacked:,} bytes: save '
            'it without compression'
        )
