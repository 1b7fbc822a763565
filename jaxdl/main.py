"""Entry point of the command line: `python -m jaxdl.main` and the console script `jaxdl`."""

import errno
import os
import sys
from collections.abc import Sequence

from jaxdl.cli import flags, modes
from jaxdl.errors import InputError, warn

BROKEN_PIPE = 141  # the status of a program that SIGPIPE ends
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a disk, a quota, or the limit of a file


def main(arguments: Sequence[str]) -> int:
    """Run one command line.

    Args:
      arguments: the words after the program's name.

    Returns:
      The exit status, as in `flags.EXITS`.
    """
    try:
        command = flags.parse(arguments)
        if command.help or command.helpshort:
            text = flags.help_text(modes.descriptions()) if command.help else flags.SHORT
            modes.print_text(text)
            sys.stdout.flush()
            return 0
        status = modes.MODES[command.mode](command)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader of a pipe, such as `head`, needs no more lines
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except InputError as error:
        warn(f'error: {error}')
        return 2
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        warn(
            f'error: {error.filename or "a file"} cannot be written ({error.strerror}): '
            'make room, and repeat the command to resume'
        )
        return 2
    except KeyboardInterrupt:
        warn('interrupted')
        return 130


def entry() -> None:
    """Run the command line of this process and exit with its status."""
    sys.exit(main(sys.argv[1:]))


if __name__ == '__main__':
    entry()
