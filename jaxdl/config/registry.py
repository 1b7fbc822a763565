"""Registry of the components that a study adds to the tables, with the file of each.

A run records the files that it needs to be repeated.
"""

import dataclasses
import hashlib
import pathlib
import re
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from jaxdl.config import sources
from jaxdl.errors import InputError

# a colon, a comma or an equals sign would be read as something else on a command line
NAME = r'[A-Za-z]\w*([.-]\w+)*'
TAKEN = dict(metric=('loss',))  # what every run measures under this name


@dataclasses.dataclass(frozen=True)
class Origin:
    """Origin of a registered name.

    Attributes:
      function: qualified name of the function.
      file: name of its file; empty at a prompt.
      sha256: of the file; empty at a prompt.
      sources: hashes of its code; empty at a prompt.
    """

    function: str
    file: str
    sha256: str
    sources: Mapping[str, str]


ORIGINS: dict[tuple[str, str], Origin] = {}  # (kind, name) -> who registered it, in this process
STUDIES: dict[str, Mapping[str, str]] = {}  # name of a study that a file defines -> its sources


def add(
    kind: str, table: MutableMapping[str, Any], name: str, row: Any, function: str, path: str
) -> bool:
    """Set `table[name]`, also where the same function was registered before.

    A file may run twice in a process.

    Args:
      kind: of the component, such as `model`.
      table: the rows by name.
      name: of the new row.
      row: the new row.
      function: qualified name of the function behind the row.
      path: file of the function.

    Returns:
      Whether the name was there before.

    Raises:
      InputError: the name is malformed, is jaxdl's own, or belongs to another function.
    """
    if not isinstance(name, str) or not re.fullmatch(NAME, name, re.ASCII) or len(name) > 60:
        raise InputError(
            f'{kind} {name!r}: must be a name of letters, digits, _, - and ., a letter first'
        )
    before = ORIGINS.get((kind, name))
    if name == 'none' or name in TAKEN.get(kind, ()) or (name in table and not before):
        raise InputError(f"{kind} {name!r} is jaxdl's own: register yours under another name")
    file = pathlib.Path(path)
    is_file = file.is_file()
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest() if is_file else ''
    # The module has another name where a file is imported, and run as an experiment.
    same = (
        before is not None
        and is_file
        and (before.file, before.sha256) == (file.name, sha256)
        and _last(before.function) == _last(function)
    )
    if before and before.function != function and not same:
        where = f' of {before.file}' if before.file else ''
        raise InputError(
            f'{kind} {name!r} is {before.function}{where} already: '
            f'register {function} under another name'
        )
    hashes = sources.hash_sources(file) if is_file else {}
    ORIGINS[kind, name] = Origin(function, file.name if is_file else '', sha256, hashes)
    table[name] = row
    return before is not None


def _last(function: str) -> str:
    """The name of a function without those around it."""
    return function.rpartition('.')[2]


def find_registered(used: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Registered components among those that an experiment uses.

    Args:
      used: (kind, name) of each.

    Returns:
      `KIND NAME` -> file, in alphabetical order.
    """
    return {
        f'{kind} {name}': ORIGINS[kind, name].file
        for kind, name in sorted(used)
        if (kind, name) in ORIGINS
    }


def find_files(used: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Files of the registered components that an experiment uses.

    Args:
      used: (kind, name) of each.

    Returns:
      File name -> SHA-256.
    """
    origins = [ORIGINS[key] for key in sorted(used) if key in ORIGINS]
    return {origin.file: origin.sha256 for origin in origins if origin.file}


def find_sources(study: str, used: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Hashes of the code of a study and of the registered components that it uses.

    Args:
      study: name of the study.
      used: (kind, name) of each component.

    Returns:
      As by `sources.hash_sources`.
    """
    origins = [ORIGINS[key].sources for key in sorted(used) if key in ORIGINS]
    return sources.merge([STUDIES.get(study, {}), *origins])


def check(components: Mapping[str, Any]) -> None:
    """Check that the components that a config needs are registered.

    Args:
      components: `KIND NAME` -> file, as by `find_registered`.

    Raises:
      InputError: a component is not registered; the message names its file.
    """
    for label, file in components.items():
        kind, _, name = label.partition(' ')
        if (kind, name) not in ORIGINS:
            how = (
                f'which is registered by {file}: give --experiment={file} next to --config'
                if file
                else 'which is not registered: register it before, from Python'
            )
            raise InputError(f'needs the {kind} {name!r}, {how}')
