"""jaxdl: theory by execution, ablations with error bars, fine-tuning, inference.

  jaxdl --experiment=pooling               an ablation: every option, rate, seed
  jaxdl --experiment=pooling --mode=plan   what that would do, and how long
  jaxdl --experiment=pooling --mode=check  what to check before training
  jaxdl --experiment=pooling --quick       in under a minute; no evidence
  jaxdl --experiment=backprop              a derivation, checked by running it
  jaxdl --mode=list                        the experiments and their questions
  jaxdl --mode=new my_study                a study of your own to begin with

  jaxdl --mode=predict --checkpoint=runs/finetune --images=DIR --output=FILE.csv
  jaxdl --mode=evaluate --checkpoint=runs/finetune --dataset=folder:DIR
  jaxdl --mode=export --checkpoint=runs/finetune --output=DIR
  jaxdl --mode=serve --checkpoint=runs/finetune

  jaxdl --config=runs/ONE/config.json --workdir=runs/OTHER   the same run again
  jaxdl --mode=compare runs/ONE runs/OTHER                   do they agree?

`python -m jaxdl.main` is the same as `jaxdl`. Results go to runs/NAME, or where
--workdir says. The same command again resumes an unfinished run.
"""

import errno
import os
import pathlib
import shlex
import sys
from collections.abc import Callable
from typing import Any

from absl import flags

from jaxdl.errors import InputError, unknown, visible, warn

FLAGS = flags.FlagValues()
NO_ROOM = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
)  # a disk, a share of it, or a file that may grow no further
flags.DEFINE_string(
    'experiment',
    None,
    'a name from --mode=list, or the path of your own .py file',
    flag_values=FLAGS,
)
flags.DEFINE_string(
    'config',
    None,
    'the config.json of a run, to repeat it in place of --experiment',
    flag_values=FLAGS,
)
flags.DEFINE_string(
    'mode', 'run', 'what to do with it: a row of the modes above', flag_values=FLAGS
)
flags.DEFINE_string(
    'workdir',
    None,
    'the folder to write to, resume from and report on (runs/NAME)',
    flag_values=FLAGS,
)
flags.DEFINE_string(
    'dataset',
    None,
    'digits, folder:DIR, csv:FILE, npz:FILE, hf:NAME or foodc:DIR, to train on or evaluate',
    flag_values=FLAGS,
)
flags.DEFINE_string(
    'images',
    None,
    'to predict: a folder or CSV; else the folder of a table whose images are elsewhere',
    flag_values=FLAGS,
)
flags.DEFINE_string(
    'checkpoint', None, 'the workdir whose networks predict, evaluate or export', flag_values=FLAGS
)
flags.DEFINE_string('output', None, 'what predict and export write', flag_values=FLAGS)
flags.DEFINE_string(
    'coordinator', None, 'HOST:PORT of the first of several processes', flag_values=FLAGS
)
flags.DEFINE_integer('processes', None, 'how many processes there are', flag_values=FLAGS)
flags.DEFINE_integer('process', None, 'which of them this one is, from 0', flag_values=FLAGS)
flags.DEFINE_string('seeds', None, 'how many fresh seeds measure each option', flag_values=FLAGS)
flags.DEFINE_list('options', None, 'only these options, and the baseline', flag_values=FLAGS)
flags.DEFINE_multi_string(
    'set',
    [],
    'KEY=VALUE, a field of the experiment or of the mode; may be repeated',
    flag_values=FLAGS,
)
flags.DEFINE_bool(
    'quick', False, 'shrink the experiment to under a minute: no evidence', flag_values=FLAGS
)
flags.DEFINE_bool(
    'overwrite', False, 'start the workdir anew, or replace the output', flag_values=FLAGS
)
flags.DEFINE_bool(
    'help', False, 'show all of this', short_name='h', flag_values=FLAGS, allow_hide_cpp=True
)
flags.DEFINE_bool(
    'helpshort', False, 'the commands most used', flag_values=FLAGS, allow_hide_cpp=True
)


def main(arguments: list[str]) -> int:
    """Runs one command line, without the program's name; gives the exit status."""
    try:
        rest = _parse(arguments)
        if FLAGS.help or FLAGS.helpshort:
            from jaxdl.cli import usage

            say(usage.whole(__doc__ or '', MODES, FLAGS) if FLAGS.help else usage.SHORT)
            return 0
        if FLAGS.mode not in MODES:
            raise unknown('mode', FLAGS.mode, MODES)
        if rest and FLAGS.mode not in ('compare', 'new'):
            raise InputError(
                f'unexpected argument {rest[0]!r}: every argument is --FLAG=VALUE, such as --experiment={rest[0]}'
            )
        return MODES[FLAGS.mode](arguments)
    except InputError as error:
        warn(f'error: {error}')
        return 2
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        what = f'{error.filename or "a file"} cannot be written ({error.strerror})'
        warn(f'error: {what}: make room, and the same command goes on')
        return 2
    except KeyboardInterrupt:
        warn('interrupted')
        return 130


def run(arguments: list[str]) -> int:
    """Trains or checks, compares and reports; a finished run is only reported again."""
    from jaxdl.cli import dispatch
    from jaxdl.config.load import as_dict
    from jaxdl.runtime import distributed, signals

    _join()
    experiment = _experiment()
    workdir = _workdir(experiment.name)
    command = shlex.join(['python', '-m', 'jaxdl.main', *arguments])
    try:
        with distributed.one_fate():
            found = dispatch.run(experiment, workdir, overwrite=FLAGS.overwrite, command=command)
    except signals.Interrupted as stop:
        warn(f'{stop}, everything is saved; this resumes: {_resuming(arguments)}')
        return 128 + stop.signal
    except signals.Failed as failure:
        warn(str(failure))
        if isinstance(failure, distributed.Lost):
            os._exit(3)
        return 3
    if distributed.first():
        from jaxdl.cli import summary

        summary.tell(found, as_dict(experiment), arguments, say)
    failed = sum(row['holds'] != 'true' for row in found.claims)
    if failed:
        warn(f'{failed} of {len(found.claims)} claims failed')
    return 3 if failed else 0


def _resuming(arguments: list[str]) -> str:
    """The command that goes on with a run: as it was given, but for what would begin it anew."""
    kept = [own for own in arguments if own.lstrip('-').partition('=')[0] != 'overwrite']
    return shlex.join(['python', '-m', 'jaxdl.main', *kept])


def plan(arguments: list[str]) -> int:
    """Says what a run would do; trains nothing."""
    from jaxdl.cli import plan_text

    experiment = _experiment()
    say(plan_text.describe(experiment, _workdir(experiment.name)))
    return 0


def check(arguments: list[str]) -> int:
    """What to check before training: a table, and 3 where something fails."""
    from jaxdl.config.experiment import Ablation

    experiment = _experiment()
    if not isinstance(experiment, Ablation):
        raise InputError(
            f'--mode=check is for an ablation; {experiment.name} is none and checks as it goes: run it'
        )
    from jaxdl.ablation import checks as check
    from jaxdl.runtime import progress

    checks = check.checks(experiment, lambda text: progress.say(f'checking {text}'))
    say(check.table(checks))
    return 3 if check.failed(checks) else 0


def report(arguments: list[str]) -> int:
    """Rebuilds the report of a workdir; imports no jax."""
    from jaxdl import report

    say(f'report: {report.build(_workdir())}')
    return 0


def predict(arguments: list[str]) -> int:
    """The classes of new images, as a table."""
    from jaxdl.inference import commands

    (settings,) = commands.chosen([commands.Explaining], _pairs(FLAGS.set), FLAGS.mode)
    checkpoint, images = (
        pathlib.Path(_given('checkpoint', 'WORKDIR')),
        _given('images', 'DIR or a CSV'),
    )
    output, overwrite = (
        pathlib.Path(_given('output', 'FILE')),
        'anything' if FLAGS.overwrite else 'refuse',
    )
    say(commands.predict(checkpoint, images, output, settings, overwrite))
    return 0


def evaluate(arguments: list[str]) -> int:
    """The metrics of a checkpoint on labelled images."""
    from jaxdl.data import Data
    from jaxdl.inference import commands

    checkpoint = pathlib.Path(_given('checkpoint', 'WORKDIR'))
    _given('dataset', 'SPEC')
    data, settings = commands.chosen([Data, commands.Asking], _overrides(), FLAGS.mode)
    say(commands.evaluate(checkpoint, data, settings))
    return 0


def export(arguments: list[str]) -> int:
    """A network of a checkpoint in files that other programs read."""
    from jaxdl.inference import commands

    (settings,) = commands.chosen([commands.Exporting], _pairs(FLAGS.set), FLAGS.mode)
    checkpoint = pathlib.Path(_given('checkpoint', 'WORKDIR'))
    output, overwrite = (
        pathlib.Path(_given('output', 'DIR')),
        'anything' if FLAGS.overwrite else 'refuse',
    )
    say(commands.export(checkpoint, output, settings, overwrite))
    return 0


def serve(arguments: list[str]) -> int:
    """A page on this machine to try a checkpoint on images that are dropped there."""
    from jaxdl.inference import commands, serving

    (settings,) = commands.chosen([serving.Serving], _pairs(FLAGS.set), FLAGS.mode)
    serving.serve(pathlib.Path(_given('checkpoint', 'WORKDIR')), settings, say)
    return 0


def compare(arguments: list[str]) -> int:
    """What differs between two runs.

    And 3 where their results differ by more than chance allows.
    """
    from jaxdl.report import compare_runs

    folders = [pathlib.Path(own) for own in _parse(arguments)]
    if len(folders) != 2:
        raise InputError(
            '--mode=compare is for two workdirs: jaxdl --mode=compare runs/ONE runs/OTHER'
        )
    first, second = folders
    found = compare_runs.compare(first, second)
    say('\n'.join(map(visible, compare_runs.describe(first, second, found))))
    return 0 if all(own.agrees for own in found) else 3


def new(arguments: list[str]) -> int:
    """Writes a study to begin with."""
    from jaxdl.cli import new_study

    names = _parse(arguments)
    if len(names) != 1:
        raise InputError('--mode=new is for one name: jaxdl --mode=new my_study')
    say(new_study.write(names[0], FLAGS.overwrite))
    return 0


def show(arguments: list[str]) -> int:
    """Every experiment with its question."""
    from jaxdl.config import catalogue

    for name, question in catalogue.questions().items():
        say(f'{name:20} {question}')
    return 0


MODES: dict[str, Callable[[list[str]], int]] = dict(
    run=run,
    plan=plan,
    check=check,
    report=report,
    predict=predict,
    evaluate=evaluate,
    export=export,
    serve=serve,
    list=show,
    compare=compare,
    new=new,
)


def say(text: str) -> None:
    """To stdout, line by line; a name in it, which may come from anyone's data.

    Is shown and never obeyed.
    """
    encoding = sys.stdout.encoding or 'utf-8'
    for line in text.split('\n'):
        print(visible(line).encode(encoding, 'backslashreplace').decode(encoding))


def _parse(arguments: list[str]) -> list[str]:
    """Sets the flags; gives the arguments that are none."""
    FLAGS.unparse_flags()
    for name in FLAGS:
        FLAGS[name].unparse()
    try:
        rest = FLAGS(['jaxdl', *arguments])[1:]
    except flags.Error as error:
        from jaxdl.cli import usage

        raise usage.refused(error, FLAGS) from None
    return rest


def _experiment() -> Any:
    from jaxdl.config import experiment, load, overrides

    own = (FLAGS.experiment or '').endswith('.py')  # a file may register what the config needs
    if FLAGS.experiment and FLAGS.config and not own:
        raise InputError('--experiment and --config both say what to run: give one of them')
    if not FLAGS.experiment and not FLAGS.config:
        raise InputError('no experiment: give --experiment=NAME; --mode=list shows the names')
    found: Any = load.load_experiment(FLAGS.experiment) if FLAGS.experiment else None
    if FLAGS.config:
        found = load.load_config(pathlib.Path(FLAGS.config))
    if FLAGS.options is not None:
        if not isinstance(found, experiment.Ablation):
            raise InputError(
                f'--options={",".join(FLAGS.options)}: {found.name} is no ablation: leave the flag out'
            )
        found = overrides.keep(found, FLAGS.options)
    if FLAGS.quick:
        found = overrides.quick(found)
    for key, value in sorted(
        _overrides(), key=lambda pair: pair[0] != 'recipe'
    ):  # which any other overrides
        found = overrides.override(found, {key: value})
    return overrides.check(found)


def _overrides() -> list[tuple[str, Any]]:
    given = [
        f'{name}={FLAGS[name].value}'
        for name in ('dataset', 'images', 'seeds')
        if FLAGS[name].value is not None
    ]
    return _pairs(given + FLAGS.set)


def _pairs(texts: list[str]) -> list[tuple[str, Any]]:
    from jaxdl import workdir

    pairs = []
    for text in texts:
        key, equals, value = text.partition('=')
        if not equals:
            raise InputError(f'--set={text}: must be KEY=VALUE, such as --set=epochs=5')
        try:
            pairs.append((key, workdir.parse(value)))
        except ValueError:
            pairs.append((key, value))
    return pairs


def _given(name: str, what: str) -> str:
    """The value of a flag that the mode needs."""
    if not FLAGS[name].value:
        raise InputError(f'--mode={FLAGS.mode} needs --{name}: give --{name}={what}')
    return str(FLAGS[name].value)


def _join() -> None:
    """Joins the other processes of a run, where there are any."""
    from jaxdl.runtime import distributed

    distributed.join(FLAGS.coordinator, FLAGS.processes, FLAGS.process)


def _workdir(name: str = '') -> pathlib.Path:
    """The folder that is given, else that of the experiment.

    `name` where it has no file of its own.
    """
    if FLAGS.workdir:
        return pathlib.Path(FLAGS.workdir)
    if FLAGS.config and name:
        return pathlib.Path('runs') / name
    if not FLAGS.experiment:
        raise InputError('no workdir: give --workdir=DIR, or --experiment=NAME for runs/NAME')
    return pathlib.Path('runs') / pathlib.Path(FLAGS.experiment).stem


def entry() -> None:
    """The console script."""
    sys.exit(main(sys.argv[1:]))


if __name__ == '__main__':
    entry()
