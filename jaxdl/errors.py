"""The user's mistakes, said in one line, with the names that were probably meant."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something that the user gave is wrong: what, where, and what would be right.

    The command line prints it as one line on stderr and exits with status 2. A defect of jaxdl's own is never
    an InputError.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean a or b?` where something known looks like `name`, else the list of what is known."""
    known = list(known)
    lower = {k.lower(): k for k in known}
    close = [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.55)]
    if close:
        return f'did you mean {" or ".join(close)}?'
    return f'known: {", ".join(known)}' if known else 'none is known'


def unknown(kind: str, name: str, known: Iterable[str], where: str = '') -> InputError:
    """The error for a name that stands in no table: `unknown KIND 'NAME'WHERE: did you mean ...?`."""
    return InputError(f'unknown {kind} {name!r}{where}: {nearest(name, known)}')
