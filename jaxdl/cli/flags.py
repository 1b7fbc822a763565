"""Flags of the command line: one table of flags, one of modes and their flags, parsing, help."""

import csv
import dataclasses
import io
import json
import shlex
import textwrap
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from absl import flags as absl

from jaxdl.errors import InputError, unknown

WIDTH = 80  # columns of a terminal
PURPOSE = """jaxdl: theory by execution, ablations with error bars, fine-tuning, inference.

  jaxdl --experiment=pooling               an ablation; runs/pooling/report.html
  jaxdl --experiment=pooling --mode=plan   groups, memory and time of that run
  jaxdl --experiment=pooling --mode=check  checks before training
  jaxdl --experiment=pooling --quick       a smoke run of under a minute
  jaxdl --experiment=backprop              a derivation, checked by running it
  jaxdl --mode=list                        the experiments and their questions
  jaxdl --mode=new my_study                a template for your own study

  jaxdl --mode=predict --checkpoint=runs/finetune --images=DIR --output=FILE.csv
  jaxdl --mode=evaluate --checkpoint=runs/finetune --dataset=folder:DIR
  jaxdl --mode=export --checkpoint=runs/finetune --output=DIR
  jaxdl --mode=serve --checkpoint=runs/finetune

  jaxdl --mode=analyze --results=FILE.csv --baseline=NAME    trained elsewhere
  jaxdl --config=runs/ONE/config.json --workdir=runs/OTHER   repeat a run
  jaxdl --mode=compare runs/ONE runs/OTHER                   differences

`jaxdl` and `python -m jaxdl.main` are the same command. Results go to
runs/NAME, or to --workdir. The same command resumes an unfinished run."""
SHORT = """jaxdl: theory by execution, ablations with error bars, fine-tuning, inference.

  jaxdl --mode=list                       the experiments and their questions
  jaxdl --experiment=pooling              an ablation; runs/pooling/report.html
  jaxdl --experiment=pooling --mode=plan  groups, memory and time of that run
  jaxdl --experiment=backprop             a derivation, checked by running it
  jaxdl --mode=new my_study               a template for your own study
  jaxdl --experiment=probe --dataset=folder:DIR
                                          a pretrained network on your images
  jaxdl --mode=predict --checkpoint=runs/probe --images=DIR --output=FILE.csv
  jaxdl --mode=serve --checkpoint=runs/probe
                                          a web page for trying the network

`jaxdl` and `python -m jaxdl.main` are the same command. --quick makes a smoke
run of under a minute, --set=KEY=VALUE sets a field, --workdir=DIR sets the
output folder. The same command resumes a run.
Exit status: 0 done, 2 wrong input, 3 failed, 130 or 143 interrupted.
All flags: --help. All fields: docs/reference.md."""
EXITS = {
    '0': 'done',
    '1': 'a defect of jaxdl, with its traceback',
    '2': 'wrong input: one line on stderr says what failed, where, and what to use instead',
    '3': 'a claim, check, comparison or training failed, or another process of the run was lost',
    '130, 143': 'interrupted (Ctrl-C, SIGTERM) after saving; the message has the command to resume',
    '141': 'the reader of the output, such as `head`, stopped early',
}
EXPECTED = dict(int='a whole number', bool='true or false')  # by the type that absl gives a flag
EXPERIMENT, IMAGES = 'Experiment', 'Images'
FILES, PROCESSES, HELP = 'Files', 'Several processes', 'Help'


def _flag(group: str, meaning: str, default: Any = None) -> Any:
    return dataclasses.field(default=default, metadata=dict(group=group, meaning=meaning))


@dataclasses.dataclass(frozen=True)
class CommandLine:
    """A parsed command line: a field per flag, the other arguments, and the words as typed."""

    experiment: str | None = _flag(EXPERIMENT, 'a name of --mode=list, or the path of a .py file')
    config: str | None = _flag(EXPERIMENT, 'config.json of a run to repeat, instead of a name')
    mode: str = _flag(EXPERIMENT, 'what to do: one of the modes above', 'run')
    options: tuple[str, ...] | None = _flag(
        EXPERIMENT, 'only these options and the baseline: avg,l2 or \'["a, b"]\''
    )
    seeds: str | None = _flag(
        EXPERIMENT, 'number of evaluation seeds per option, or a list: [1000,1003]'
    )
    set: tuple[str, ...] = _flag(
        EXPERIMENT, 'KEY=VALUE: a field of the experiment or of the mode; may be repeated', ()
    )
    quick: bool = _flag(EXPERIMENT, 'a smoke run in under a minute: no evidence', False)
    baseline: str | None = _flag(EXPERIMENT, 'analyze: the option to compare the others with')
    dataset: str | None = _flag(
        IMAGES, 'hard_digits, digits, folder:DIR, csv:FILE, npz:FILE, hf:NAME or foodc:DIR'
    )
    images: str | None = _flag(
        IMAGES, 'predict: a folder or CSV file; other modes: the image folder of a CSV file'
    )
    results: str | None = _flag(
        FILES, 'analyze: CSV file of results that were trained elsewhere, or a glob of files'
    )
    workdir: str | None = _flag(FILES, 'output folder, to resume and to report on (runs/NAME)')
    checkpoint: str | None = _flag(
        FILES, 'workdir of a fine-tuning or ablation, or embedded weights: efficientnet_lite0'
    )
    output: str | None = _flag(FILES, 'the file of predict, the folder of export and evaluate')
    overwrite: bool = _flag(FILES, 'clear the workdir first, or replace the output', False)
    coordinator: str | None = _flag(PROCESSES, 'HOST:PORT of the first process')
    processes: int | None = _flag(PROCESSES, 'number of processes')
    process: int | None = _flag(PROCESSES, 'number of this process, from 0')
    help: bool = _flag(HELP, 'all modes, flags and exit statuses', False)
    helpshort: bool = _flag(HELP, 'the most frequent commands', False)
    positional: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


FLAGS = {f.name: f for f in dataclasses.fields(CommandLine) if f.metadata}
ALWAYS = ('mode', 'help', 'helpshort')
DESIGN = ('experiment', 'config', 'options', 'seeds', 'set', 'quick', 'dataset', 'images')
# mode -> the flags that it takes, next to ALWAYS; checks, help and docs read this table
MODE_FLAGS: dict[str, tuple[str, ...]] = dict(
    run=(*DESIGN, 'workdir', 'overwrite', 'coordinator', 'processes', 'process'),
    plan=(*DESIGN, 'workdir'),
    check=DESIGN,
    report=('experiment', 'workdir'),
    analyze=('results', 'baseline', 'set', 'workdir', 'overwrite'),
    predict=('checkpoint', 'images', 'output', 'set', 'overwrite', 'experiment'),
    evaluate=('checkpoint', 'dataset', 'images', 'output', 'set', 'overwrite'),
    export=('checkpoint', 'output', 'set', 'overwrite', 'experiment'),
    serve=('checkpoint', 'set'),
    list=(),
    compare=(),
    new=('overwrite',),
)
POSITIONAL = dict(compare=2, new=1)  # mode -> number of arguments that are not flags


def parse(arguments: Iterable[str]) -> CommandLine:
    """Parse the words of a command line, without the program's name.

    Raises:
      InputError: unknown flag or mode, a value of another type, or a flag that the mode lacks.
    """
    arguments = tuple(arguments)
    values = _definitions()
    try:
        positional = values(['jaxdl', *arguments])[1:]
    except absl.Error as error:
        raise _translate_error(error, values) from None
    parsed: dict[str, Any] = {name: values[name].value for name in FLAGS}
    parsed['set'] = tuple(parsed['set'])
    if parsed['options'] is not None:
        parsed['options'] = tuple(name for text in parsed['options'] for name in _names(text))
    command = CommandLine(**parsed, positional=tuple(positional), arguments=arguments)
    if not (command.help or command.helpshort):
        _check(command, [name for name in FLAGS if values[name].present])
    return command


def format_flags(command: CommandLine, *without: str) -> list[str]:
    """Flags of a command line as words, without the flags in `without`."""
    result = []
    for name, field in FLAGS.items():
        value = getattr(command, name)
        if name in without or value == field.default:
            continue
        if name == 'options':
            row = io.StringIO()
            csv.writer(row, lineterminator='').writerow(value)
            value = row.getvalue()
        items = value if name == 'set' else [value]
        result += [f'--{name}' if item is True else f'--{name}={item}' for item in items]
    return result


def format_command(arguments: Iterable[str]) -> str:
    """A command that a shell takes."""
    return shlex.join(['python', '-m', 'jaxdl.main', *arguments])


def parse_pairs(texts: Iterable[str]) -> list[tuple[str, str]]:
    """Split texts of the form KEY=VALUE.

    Raises:
      InputError: a text of another form.
    """
    result = []
    for text in texts:
        key, equals, value = text.partition('=')
        if not equals:
            raise InputError(f'--set={text}: must be KEY=VALUE, such as --set=epochs=5')
        result.append((key, value))
    return result


def help_text(descriptions: Mapping[str, str]) -> str:
    """Text of --help.

    Args:
      descriptions: mode -> its description in one line.
    """
    rows = []
    for mode, description in descriptions.items():
        names = ' '.join(f'--{name}' for name in MODE_FLAGS[mode]) or 'no other flags'
        rows.append((f'--mode={mode}', f'{description}. Flags: {names}'))
    parts = [PURPOSE, '', 'Modes', *_rows(rows)]
    for group in dict.fromkeys(field.metadata['group'] for field in FLAGS.values()):
        in_group = [f for f in FLAGS.values() if f.metadata['group'] == group]
        parts += ['', group, *_rows((f'--{f.name}', f.metadata['meaning']) for f in in_group)]
    return '\n'.join([*parts, '', 'Exit status', *_rows(EXITS.items())])


def _names(text: str) -> list[str]:
    """Names of options: a JSON list, or separated by commas, in double quotes where needed.

    Raises:
      InputError: a JSON list of other than strings.
    """
    if not text.startswith('['):
        return next(csv.reader([text], strict=True, skipinitialspace=True), [])
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f'--options={text}: must be names, such as \'["avg", "a, b"]\' or avg,l2')
    return names


def _definitions() -> absl.FlagValues:
    values = absl.FlagValues()
    kinds = typing.get_type_hints(CommandLine)
    for name, field in FLAGS.items():
        meaning, options = field.metadata['meaning'], dict[str, Any](flag_values=values)
        if name == 'set':
            absl.DEFINE_multi_string(name, [], meaning, **options)
        elif name == 'options':
            absl.DEFINE_multi_string(name, None, meaning, **options)
        elif kinds[name] is bool:
            options |= dict(short_name='h') if name == 'help' else {}
            absl.DEFINE_bool(name, False, meaning, allow_hide_cpp=True, **options)
        elif kinds[name] == int | None:
            absl.DEFINE_integer(name, None, meaning, **options)
        else:
            default: Any = field.default
            absl.DEFINE_string(name, default, meaning, **options)
    return values


def _check(command: CommandLine, present: Iterable[str]) -> None:
    mode = command.mode
    if mode not in MODE_FLAGS:
        raise unknown('mode', mode, MODE_FLAGS)
    if command.positional and mode not in POSITIONAL:
        first = command.positional[0]
        raise InputError(
            f'unexpected argument {first!r}: every argument is --FLAG=VALUE, such as '
            f'--experiment={first}'
        )
    for name in present:
        if name not in (*ALWAYS, *MODE_FLAGS[mode]):
            modes = ', '.join(other for other, taken in MODE_FLAGS.items() if name in taken)
            raise InputError(
                f'--{name} has no effect in --mode={mode}: leave it out; it applies to {modes}'
            )


def _translate_error(error: absl.Error, values: Any) -> InputError:
    """The InputError for a command line that absl refuses."""
    text = str(error).splitlines()[0].removeprefix('ERROR:: ')
    if isinstance(error, absl.UnrecognizedFlagError):
        return unknown('flag', f'--{error.flagname}', [f'--{name}' for name in FLAGS])
    if isinstance(error, absl.IllegalFlagValueError):
        argument = text.partition(':')[0].removeprefix('flag ')
        name = argument.lstrip('-').partition('=')[0]
        kind = values[name].flag_type() if name in values else ''
        return InputError(f'{argument}: must be {EXPECTED.get(kind, "as --help says")}')
    return InputError(f'{text}: every argument is --FLAG=VALUE; --help has all of them')


def _rows(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Name and meaning, wrapped at the width of a terminal."""
    wrapper = textwrap.TextWrapper(
        WIDTH, subsequent_indent=' ' * 19, break_long_words=False, break_on_hyphens=False
    )
    return [line for name, meaning in pairs for line in wrapper.wrap(f'  {name:15}  {meaning}')]
