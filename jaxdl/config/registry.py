"""What a study has added to the tables, and from which file.

So that a run can say what it needs to be repeated.
"""

import dataclasses
import hashlib
import pathlib
import re
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from jaxdl.errors import InputError

# a colon, a comma or an equals sign would be read as something else on a command line
NAME = r'[A-Za-z]\w*([.-]\w+)*'
TAKEN = dict(metric=('loss', 'accuracy'))  # what every run measures under these names


@dataclasses.dataclass(frozen=True)
class Origin:
    """What stands behind a registered name: the function.

    And name and SHA-256 of the file (empty at a prompt).
    """

    function: str
    file: str
    sha256: str


ORIGINS: dict[tuple[str, str], Origin] = {}  # (kind, name) -> who registered it, in this process


def add(
    kind: str, table: MutableMapping[str, Any], name: str, row: Any, function: str, path: str
) -> bool:
    """Sets `table[name]`; whether it was there before, by the same function.

    A file may run twice in a process.

    Raises:
      InputError: the name has odd letters, is jaxdl's own, or stands for another function.
    """
    if not isinstance(name, str) or not re.fullmatch(NAME, name, re.ASCII) or len(name) > 60:
        raise InputError(
            f'{kind} {name!r}: must be a name of letters, digits, _, - and ., a letter first'
        )
    before = ORIGINS.get((kind, name))
    if name == 'none' or name in TAKEN.get(kind, ()) or (name in table and not before):
        raise InputError(f"{kind} {name!r} is jaxdl's own: register yours under another name")
    if before and before.function != function:
        where = f' of {before.file}' if before.file else ''
        raise InputError(
            f'{kind} {name!r} is {before.function}{where} already: register {function} under another name'
        )
    file = pathlib.Path(path)
    known = file.is_file()
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest() if known else ''
    ORIGINS[kind, name] = Origin(function, file.name if known else '', sha256)
    table[name] = row
    return before is not None


def needed(used: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Of the (kind, name) that an experiment uses those that are registered: {'KIND NAME': file}.

    In order.
    """
    return {
        f'{kind} {name}': ORIGINS[kind, name].file
        for kind, name in sorted(used)
        if (kind, name) in ORIGINS
    }


def files(used: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The files behind what an experiment uses: {name: SHA-256}."""
    origins = [ORIGINS[key] for key in sorted(used) if key in ORIGINS]
    return {origin.file: origin.sha256 for origin in origins if origin.file}


def check(asked: Mapping[str, Any]) -> None:
    """InputError where something that a config needs is not registered.

    It names the file that registers it.
    """
    for label, file in asked.items():
        kind, _, name = label.partition(' ')
        if (kind, name) not in ORIGINS:
            how = (
                f'give --experiment={file} beside --config'
                if file
                else 'register it before, from Python'
            )
            raise InputError(
                f'needs the {kind} {name!r}, which is registered by {file or "no file"}: {how}'
            )
