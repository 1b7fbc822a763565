"""A study to begin with, as a file of one's own."""

import importlib.util
import keyword
import pathlib
import sys

from jaxdl import workdir
from jaxdl.config import catalogue
from jaxdl.errors import InputError

TEMPLATE = pathlib.Path(__file__).parent / 'templates' / 'study.py.txt'
NEXT = """{path} is a study that runs as it is; its comments say what to change. What to type next:

  python -m jaxdl.main --experiment={path} --mode=plan                     # what it would do, and how long
  python -m jaxdl.main --experiment={path} --mode=check                    # what to check before training
  python -m jaxdl.main --experiment={path} --quick --workdir=runs/quick    # a try in under a minute: no evidence
  python -m jaxdl.main --experiment={path}                                 # the study, and its report"""


def write(name: str, overwrite: bool = False) -> str:
    """Writes NAME.py into the current folder, and gives what to type next.

    Raises:
      InputError: no name for a file of Python, one that stands for something else, or a file that
        is there.
    """
    name = name.removesuffix('.py')
    path = pathlib.Path(f'{name}.py')
    if not name.isidentifier() or not name.isascii() or keyword.iskeyword(name) or len(name) > 60:
        raise InputError(
            f'--mode=new {name!r}: must be a name of letters, digits and _, such as my_study'
        )
    if name in catalogue.questions():
        raise InputError(
            f'--mode=new {name}: jaxdl has an experiment {name}, and its folder is runs/{name}: say my_{name}'
        )
    if _shadows(name, path):
        raise InputError(
            f'--mode=new {name}: {path} would stand in the way of the module {name}: say my_{name}'
        )
    if path.exists() and not overwrite:
        raise InputError(f'{path} is there already: take another name, or --overwrite it')
    workdir.write(path, TEMPLATE.read_text(encoding='utf-8').replace('NAME', name))
    return NEXT.format(path=path)


def _shadows(name: str, path: pathlib.Path) -> bool:
    """Whether Python finds another module by this name.

    A file in the current folder would be found before it.
    """
    module = sys.modules.get(name) or importlib.util.find_spec(name)
    origin = getattr(module, '__file__', None) or getattr(module, 'origin', None)
    return module is not None and (not origin or pathlib.Path(origin).resolve() != path.resolve())
