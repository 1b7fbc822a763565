"""What `--help` and `--helpshort` say, and what a flag that is none is answered with."""

import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from absl import flags as absl

from jaxdl.errors import InputError, unknown

WIDTH = 80  # columns of a terminal
EXITS = {
    '0': 'done',
    '1': "a defect of jaxdl's own, with its traceback",
    '2': 'the input is wrong: one line on stderr says what, where, and what would be right; nothing is written over',
    '3': 'a claim, a check, a comparison or a training failed, or another process of the run was lost',
    '130, 143': 'interrupted (Ctrl-C, SIGTERM), after saving; the message gives the command that resumes',
}
GROUPS = {
    'What to run': ('experiment', 'config', 'mode', 'options', 'seeds', 'set', 'quick'),
    'On which images': ('dataset', 'images'),
    'Where': ('workdir', 'checkpoint', 'output', 'overwrite'),
    'Several processes': ('coordinator', 'processes', 'process'),
    'Help': ('help', 'helpshort'),
}
RIGHT = dict(int='a whole number', bool='true or false')  # by the type that absl gives a flag
REPEATED = ';\n'  # what absl adds to the help of a flag that may be repeated
SHORT = """jaxdl: theory by execution, ablations with error bars, fine-tuning, inference.

  jaxdl --mode=list                       the experiments and their questions
  jaxdl --experiment=pooling              an ablation; runs/pooling/report.html
  jaxdl --experiment=pooling --mode=plan  what that would do, and how long
  jaxdl --experiment=backprop             a derivation, checked by running it
  jaxdl --mode=new my_study               a study of your own, to be filled in
  jaxdl --experiment=probe --dataset=folder:DIR --set=weights=FILE
                                          a pretrained network on your images
  jaxdl --mode=predict --checkpoint=runs/probe --images=DIR --output=FILE.csv
  jaxdl --mode=serve --checkpoint=runs/probe
                                          a page to drop images on

--quick shrinks any of them to a minute, --set=KEY=VALUE sets a field,
--workdir=DIR says where to. The same command again goes on where it stopped.
Exit status: 0 done, 2 wrong input, 3 failed, 130 or 143 interrupted.
All of it: --help. What each field means: docs/reference.md.
"""


def whole(purpose: str, modes: Mapping[str, Callable[..., Any]], flags: Any) -> str:
    """The whole help.

    `purpose` stands first; `modes` say what they do in the first lines of their docstrings.
    """
    parts = [
        purpose.strip(),
        '',
        'Modes',
        *_rows((f'--mode={name}', _first(run)) for name, run in modes.items()),
    ]
    for title, names in GROUPS.items():
        told = ((f'--{name}', flags[name].help.partition(REPEATED)[0]) for name in names)
        parts += ['', title, *_rows(told)]
    return '\n'.join([*parts, '', 'Exit status', *_rows(EXITS.items())])


def _rows(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """A line each, or more where the meaning is long: all of them as wide as a terminal at most."""
    wrapper = textwrap.TextWrapper(
        WIDTH, subsequent_indent=' ' * 19, break_long_words=False, break_on_hyphens=False
    )
    return [line for name, meaning in pairs for line in wrapper.wrap(f'  {name:15}  {meaning}')]


def refused(error: absl.Error, flags: Any) -> InputError:
    """What a command line that absl does not take is answered with, in our own words."""
    text = str(error).splitlines()[0].removeprefix('ERROR:: ')
    if isinstance(error, absl.UnrecognizedFlagError):
        return unknown(
            'flag', f'--{error.flagname}', [f'--{name}' for name in flags if len(name) > 1]
        )
    if isinstance(error, absl.IllegalFlagValueError):
        given = text.partition(':')[0].removeprefix('flag ')
        name = given.lstrip('-').partition('=')[0]
        kind = flags[name].flag_type() if name in flags else ''
        return InputError(f'{given}: must be {RIGHT.get(kind, "as --help says")}')
    return InputError(f'{text}: every argument is --FLAG=VALUE; --help has all of them')


def _first(run: Callable[..., Any]) -> str:
    return (run.__doc__ or '').partition('\n')[0].rstrip('.')
