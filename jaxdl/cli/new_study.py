"""Template for a user's own study, written to the current folder."""

import importlib.util
import keyword
import pathlib
import sys

from jaxdl import workdir
from jaxdl.config import catalogue
from jaxdl.errors import InputError

TEMPLATE = pathlib.Path(__file__).parent / 'templates' / 'study.py.txt'
COMMANDS = {
    '--mode=plan': 'what it would do, and how long',
    '--mode=check': 'what to check before training',
    '--quick --workdir=runs/quick': 'a try in under a minute: no evidence',
    '': 'the study, and its report',
}
NEXT = (
    '{path} is a study that runs as it is; its comments say what to change. What to type next:\n\n'
) + '\n'.join(
    f'  python -m jaxdl.main --experiment={{path}} {arguments:31} # {comment}'
    for arguments, comment in COMMANDS.items()
)


def write(name: str, overwrite: bool = False) -> str:
    """Write NAME.py into the current folder.

    Args:
      name: of the study, with or without `.py`.
      overwrite: whether an existing file is replaced.

    Returns:
      The commands to type next, as lines of text.

    Raises:
      InputError: the name is no module name, is taken by another module, or the file exists.
    """
    name = name.removesuffix('.py')
    path = pathlib.Path(f'{name}.py')
    if not name.isidentifier() or not name.isascii() or keyword.iskeyword(name) or len(name) > 60:
        raise InputError(
            f'--mode=new {name!r}: must be a name of letters, digits and _, such as my_study'
        )
    if name in catalogue.read_questions():
        raise InputError(
            f'--mode=new {name}: jaxdl has an experiment of this name, '
            f'with the workdir runs/{name}: use another name, such as my_{name}'
        )
    if _shadows(name, path):
        raise InputError(
            f'--mode=new {name}: {path} would hide the Python module {name}: '
            f'use another name, such as my_{name}'
        )
    if path.exists() and not overwrite:
        raise InputError(f'{path} exists: use another name, or --overwrite')
    workdir.write(path, TEMPLATE.read_text(encoding='utf-8').replace('NAME', name))
    return NEXT.format(path=path)


def _shadows(name: str, path: pathlib.Path) -> bool:
    """Whether a file of this name in the current folder would hide another Python module."""
    module = sys.modules.get(name) or importlib.util.find_spec(name)
    origin = getattr(module, '__file__', None) or getattr(module, 'origin', None)
    return module is not None and (not origin or pathlib.Path(origin).resolve() != path.resolve())
