"""The folder of the food challenge, and its download."""

import pathlib

from jaxdl import workdir
from jaxdl.data.listing import Listing
from jaxdl.data.sources.columns import home, place, there
from jaxdl.data.sources.csv_table import labelled
from jaxdl.errors import InputError

SITE = 'https://datasets.aicrowd.com/default/aicrowd-practice-challenges/public/foodc/v0.1/'
PUBLISHED = {
    'train.csv': 'train.csv',
    'train_images': 'train_images.zip',
    'test.csv': 'test.csv',
    'test_images': 'test_images.zip',
}
RECORD = 'downloads.json'


def foodc(where: str, *, download: bool = False) -> Listing:
    """List the labelled images of the challenge: `train.csv` and `train_images/`.

    `test.csv` and `test_images/` have no labels and are not listed.

    Args:
      where: the folder.
      download: fetch missing files into it.

    Raises:
      InputError: a file is missing.
    """
    top = place(where, 'foodc:DIR') if there(where) or not where else home(where)
    if download:
        _complete(top)
    missing = [name for name in PUBLISHED if not there(str(top / name))]
    if {'train.csv', 'train_images'} & set(missing):
        raise InputError(
            f'--dataset=foodc:{where}: no {", ".join(missing)} there; expected are train.csv '
            '(ImageId,ClassName), train_images/, test.csv and test_images/, published as '
            f'{", ".join(PUBLISHED.values())} under {SITE} or on the page of the challenge; '
            '--set=download=true fetches and unpacks them'
        )
    return labelled(top / 'train.csv', [top / 'train_images'])


def _complete(top: pathlib.Path) -> None:
    """Fetch and unpack what is missing in `top`; a folder of images is complete or absent."""
    from jaxdl.data.download import fetch, read_record, unpack

    for name, file in PUBLISHED.items():
        if there(str(top / name)):
            continue
        entry = fetch(SITE + file, top / file)
        try:
            workdir.write_json(top / RECORD, read_record(top / RECORD) | {file: entry})
            if name != file:
                unpack(top / file, top / f'{name}.part')
                (top / f'{name}.part').rename(top / name)
        except OSError as error:
            raise InputError(
                f'cannot write to {top}: {error.strerror}; make it writable, or name another folder'
            ) from None
