"""What `--help` and `--helpshort` say: commands, modes, flags by purpose, exit statuses."""

from collections.abc import Callable, Mapping
from typing import Any

EXITS = {
    '0': 'done',
    '1': 'a defect of jaxdl, with its traceback',
    '2': 'the input is wrong: one line says what, where, and what would be right; nothing is lost',
    '3': 'a claim, a check, a comparison or a training failed',
    '130, 143': 'interrupted by Ctrl-C or SIGTERM, everything saved; the same command goes on',
}
GROUPS = {
    'What to run': ('experiment', 'config', 'mode', 'options', 'seeds', 'set', 'quick'),
    'On which images': ('dataset', 'images'),
    'Where': ('workdir', 'checkpoint', 'output', 'overwrite'),
    'Several processes': ('coordinator', 'processes', 'process'),
    'Help': ('help', 'helpshort'),
}
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
    """The whole help. `purpose` stands first; `modes` say what they do in the first lines of their docstrings."""
    parts = [purpose.strip(), '', 'Modes', *(f'  --mode={name:10} {_first(run)}' for name, run in modes.items())]
    for title, names in GROUPS.items():
        parts += ['', title, *(f'  --{name:12} {flags[name].help.partition(REPEATED)[0]}' for name in names)]
    return '\n'.join([*parts, '', 'Exit status', *(f'  {status:10} {meaning}' for status, meaning in EXITS.items())])


def _first(run: Callable[..., Any]) -> str:
    return (run.__doc__ or '').partition('\n')[0].rstrip('.')
