"""The user's mistakes as errors of one line, with suggestions for misspelt names."""

import contextlib
import difflib
import pathlib
import re
import sys
import traceback
from collections.abc import Iterable, Iterator

LONGEST = 1600  # characters of a message; the middle of a longer one is left out
# Control characters and those that change the direction of writing: invisible, but they change the
# output of a terminal.
UNSEEN = r'\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff'
# What code raises that meets other things than it was written for.
BREAKS = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RecursionError,
    StopIteration,
)


class InputError(ValueError):
    """A mistake in the user's input: what is wrong, where, and what would be right.

    The command line prints it as one line on stderr and exits with status 2. A defect of jaxdl's
    own is never an InputError.
    """

    def __init__(self, text: str) -> None:
        line = visible(text)
        half = LONGEST // 2
        super().__init__(line if len(line) <= LONGEST else f'{line[:half]} ... {line[-half:]}')


def visible(text: str) -> str:
    r"""`text` on one line, with escapes for control characters."""
    return re.sub(f'[{UNSEEN}]', lambda match: match[0].encode('unicode_escape').decode(), text)


def warn(text: str) -> None:
    """Write `jaxdl: TEXT` to stderr as one line."""
    sys.stderr.write(f'jaxdl: {visible(text)}\n')
    sys.stderr.flush()


@contextlib.contextmanager
def damaged(subject: str, right: str) -> Iterator[None]:
    """Turn an error while reading a file into an InputError, `SUBJECT (ERROR): RIGHT`.

    For files that anyone may have changed. The original error stays its cause.

    Args:
      subject: file or folder, as the message names it.
      right: what the user can do.

    Raises:
      InputError: for any of BREAKS.
    """
    try:
        yield
    except InputError:
        raise
    except BREAKS as error:
        raise InputError(f'{subject} ({type(error).__name__}: {error}): {right}') from error


@contextlib.contextmanager
def blamed(subject: str, right: str = '') -> Iterator[None]:
    """Turn any error in a user's own code into an InputError with file and line.

    The message is `SUBJECT: ERROR (FILE line N): RIGHT`.

    Args:
      subject: the code, as the message names it.
      right: description of right code; empty for none.

    Raises:
      InputError: for any exception.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        why = error.msg if isinstance(error, SyntaxError) else str(error).strip().partition('\n')[0]
        why += _suggestion(error)
        raise InputError(
            f'{subject}: {type(error).__name__}: {why} ({_place(error)}){right and f": {right}"}'
        ) from error


def _suggestion(error: Exception) -> str:
    """`: did you mean ...?` for a wrong keyword of one of jaxdl's records; empty otherwise."""
    pattern = r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'"
    match = re.fullmatch(pattern, str(error)) if isinstance(error, TypeError) else None
    record = match and getattr(sys.modules.get('jaxdl'), match[1], None)
    fields = getattr(record, '__dataclass_fields__', None)
    return f': {nearest(match[2], fields)}' if match and fields else ''


def _place(error: Exception) -> str:
    """`FILE line N`: the last line of the user's own code in the traceback."""
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append((error.filename, error.lineno))
    file, line = next((place for place in reversed(frames) if not _installed(place[0])), frames[-1])
    return f'{pathlib.Path(file).name} line {line}'


def _installed(file: str) -> bool:
    """Whether a file of code is jaxdl's own, Python's, or that of a package that is installed."""
    return (
        file.startswith('<')
        or pathlib.Path(file).is_relative_to(pathlib.Path(__file__).parent)
        or 'site-packages' in file
    )


def nearest(name: str, names: Iterable[str]) -> str:
    """Suggest known names that are similar to `name`; without one, list the known names.

    Args:
      name: as the user wrote it.
      names: the right names.

    Returns:
      `did you mean a or b?`, `known: a, b`, or `none is known`.

    Examples:
      >>> nearest('poling', ['pooling', 'depth'])
      'did you mean pooling?'
      >>> nearest('x', ['pooling', 'depth'])
      'known: pooling, depth'
      >>> nearest('lr', ['learning_rate', 'depth'])
      'did you mean learning_rate?'
    """
    names = list(names)
    lower = {k.lower(): k for k in names}
    close = [
        lower[match]
        for match in difflib.get_close_matches(name[:100].lower(), lower, n=3, cutoff=0.55)
    ]
    close = close or [k for k in names if _initials(k) == name][:3]
    if close:
        return f'did you mean {" or ".join(close)}?'
    return f'known: {", ".join(names)}' if names else 'none is known'


def _initials(name: str) -> str:
    """Initials of a field's words, such as `lr` of learning_rate."""
    return ''.join(word[:1] for word in name.rpartition('.')[2].split('_'))


def unknown(kind: str, name: str, names: Iterable[str], where: str = '') -> InputError:
    """Make the error for a name that is in no table: `unknown KIND 'NAME'WHERE: did you mean ...?`.

    Args:
      kind: such as `option`.
      name: as the user wrote it.
      names: the right names.
      where: addition such as ` of pooling`.

    Returns:
      The error, to be raised.

    Examples:
      >>> str(unknown('option', 'mx', ['max', 'avg'], ' of pooling'))
      "unknown option 'mx' of pooling: did you mean max?"
    """
    return InputError(f'unknown {kind} {name!r}{where}: {nearest(name, names)}')
