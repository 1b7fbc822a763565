"""Modes of the command line, a function each: parsed command line -> exit status.

Imports are inside the functions, so that `list`, `report` and `--help` import no jax.
"""

import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any

from jaxdl.cli import flags
from jaxdl.cli.flags import CommandLine
from jaxdl.errors import InputError, visible, warn


def run(command: CommandLine) -> int:
    """Trains or checks, compares and reports; a finished run is only reported again."""
    from jaxdl.cli import dispatch, summary
    from jaxdl.config.load import as_dict
    from jaxdl.runtime import distributed, signals

    distributed.join(command.coordinator, command.processes, command.process)
    experiment = _experiment(command)
    try:
        with distributed.raise_if_process_lost():
            results = dispatch.run(
                experiment,
                _workdir(command, experiment.name),
                overwrite=command.overwrite,
                command=flags.format_command(command.arguments),
            )
    except signals.Interrupted as stop:
        resume = flags.format_command(flags.format_flags(command, 'overwrite'))
        warn(f'{stop}, everything is saved; to resume: {resume}')
        return 128 + stop.signal
    except signals.TrainingFailed as failure:
        warn(str(failure))
        if isinstance(failure, distributed.ProcessLost):
            os._exit(3)  # the barrier of a normal exit would wait for the lost process
        return 3
    if distributed.is_first():
        summary.write(results, as_dict(experiment), command, print_text)
    failed = sum(row['holds'] != 'true' for row in results.claims)
    if failed:
        warn(f'{failed} of {len(results.claims)} claims failed')
    return 3 if failed else 0


def plan(command: CommandLine) -> int:
    """Groups, memory and time of a run, and the seeds that it needs; trains nothing."""
    from jaxdl.cli import plan_text

    experiment = _experiment(command)
    print_text(plan_text.describe(experiment, _workdir(command, experiment.name)))
    return 0


def check(command: CommandLine) -> int:
    """Checks an ablation before training; exit status 3 where a check fails."""
    from jaxdl.config.experiment import Ablation

    experiment = _experiment(command)
    if not isinstance(experiment, Ablation):
        raise InputError(
            f'--mode=check --experiment={experiment.name}: only ablations have checks before '
            'training; use --mode=run'
        )
    if experiment.base:
        raise InputError(
            f'--mode=check --experiment={experiment.name}: an ablation of a fine-tuning has no '
            'checks before training; use --mode=plan'
        )
    from jaxdl.ablation import checks
    from jaxdl.runtime import progress

    rows = checks.checks(experiment, lambda text: progress.write_line(f'checking {text}'))
    print_text(checks.table(rows))
    return 3 if checks.failed(rows) else 0


def report(command: CommandLine) -> int:
    """Rebuilds the report of a workdir; imports no jax."""
    from jaxdl import report

    print_text(f'report: {report.build(_workdir(command))}')
    return 0


def analyze(command: CommandLine) -> int:
    """Compares results that were trained elsewhere and writes their report; imports no jax."""
    from jaxdl.ablation import analysis
    from jaxdl.cli import summary

    results, baseline = (
        _require(command, 'results', 'FILE.csv'),
        _require(command, 'baseline', 'NAME'),
    )
    summary.write_results(
        analysis.analyze(
            results,
            baseline=baseline,
            workdir=command.workdir,
            overwrite=command.overwrite,
            command=flags.format_command(command.arguments),
            **dict(flags.parse_pairs(command.set)),
        ),
        print_text,
    )
    return 0


def predict(command: CommandLine) -> int:
    """Predicts the classes of images and writes a table."""
    from jaxdl.inference import commands

    pairs = flags.parse_pairs(command.set)
    checkpoint, images = _checkpoint(command), _require(command, 'images', 'DIR or a CSV')
    output = pathlib.Path(_require(command, 'output', 'FILE'))
    if _holds_members(command, checkpoint):
        from jaxdl.ablation import member_commands

        member, settings = commands.parse_settings(
            [member_commands.MemberSettings, commands.PredictSettings], pairs, command.mode
        )
        overwrite = _overwrite(command)
        print_text(member_commands.predict(checkpoint, member, images, output, settings, overwrite))
        return 0
    (settings,) = commands.parse_settings([commands.PredictSettings], pairs, command.mode)
    print_text(commands.predict(checkpoint, images, output, settings, _overwrite(command)))
    return 0


def evaluate(command: CommandLine) -> int:
    """Metrics of a checkpoint on labelled images, with --output also as files."""
    from jaxdl.data import Data
    from jaxdl.inference import commands, evaluation

    checkpoint = _checkpoint(command)
    _require(command, 'dataset', 'SPEC')
    output = pathlib.Path(command.output) if command.output else None
    data, settings = commands.parse_settings(
        [Data, commands.EvaluateSettings], _settings(command), command.mode
    )
    print_text(evaluation.evaluate(checkpoint, data, settings, output, _overwrite(command)))
    return 0


def export(command: CommandLine) -> int:
    """Writes a network of a checkpoint in formats that other programs read."""
    from jaxdl.inference import commands

    pairs = flags.parse_pairs(command.set)
    checkpoint, output = _checkpoint(command), pathlib.Path(_require(command, 'output', 'DIR'))
    if _holds_members(command, checkpoint):
        from jaxdl.ablation import member_commands, member_export

        kinds = [member_commands.MemberSettings, commands.FormatSettings]
        member, form = commands.parse_settings(kinds, pairs, command.mode)
        print_text(member_export.export(checkpoint, member, form, output, _overwrite(command)))
        return 0
    (settings,) = commands.parse_settings([commands.ExportSettings], pairs, command.mode)
    print_text(commands.export(checkpoint, output, settings, _overwrite(command)))
    return 0


def serve(command: CommandLine) -> int:
    """Serves a web page on this machine that predicts images dropped on it."""
    from jaxdl.inference import commands, serving

    (settings,) = commands.parse_settings(
        [serving.ServeSettings], flags.parse_pairs(command.set), command.mode
    )
    serving.serve(_checkpoint(command), settings, print_text)
    return 0


def compare(command: CommandLine) -> int:
    """Lists the differences of two runs; exit status 3 where results differ beyond chance."""
    from jaxdl.report import compare_runs

    if len(command.positional) != 2:
        raise InputError(
            '--mode=compare needs two workdirs: '
            'python -m jaxdl.main --mode=compare runs/ONE runs/OTHER'
        )
    first, second = map(pathlib.Path, command.positional)
    rows = compare_runs.compare(first, second)
    print_text('\n'.join(map(visible, compare_runs.describe(first, second, rows))))
    return 3 if any(row.differs for row in rows) else 0


def new(command: CommandLine) -> int:
    """Writes a template for a study into the current folder."""
    from jaxdl.cli import new_study

    if len(command.positional) != 1:
        raise InputError('--mode=new needs one name: python -m jaxdl.main --mode=new my_study')
    print_text(new_study.write(command.positional[0], command.overwrite))
    return 0


def show(command: CommandLine) -> int:
    """Lists all experiments by kind, with their questions."""
    from jaxdl.config import catalogue

    for kind, questions in catalogue.by_kind().items():
        print_text(catalogue.KINDS[kind])
        for name, question in questions.items():
            print_text(f'  {name:20} {question}')
    return 0


MODES: dict[str, Callable[[CommandLine], int]] = dict(
    run=run,
    plan=plan,
    check=check,
    report=report,
    analyze=analyze,
    predict=predict,
    evaluate=evaluate,
    export=export,
    serve=serve,
    list=show,
    compare=compare,
    new=new,
)


def descriptions() -> dict[str, str]:
    """Mode -> the first line of its docstring."""
    return {
        name: (mode.__doc__ or '').partition('\n')[0].rstrip('.') for name, mode in MODES.items()
    }


def print_text(text: str) -> None:
    """Print to stdout; control characters, which may come from a data set's names, are escaped."""
    encoding = sys.stdout.encoding or 'utf-8'
    for line in text.split('\n'):
        escaped = visible(line).encode(encoding, 'backslashreplace').decode(encoding)
        sys.stdout.write(f'{escaped}\n')


def _experiment(command: CommandLine) -> Any:
    """The experiment with all flags of the command line applied, checked."""
    from jaxdl.config import overrides
    from jaxdl.config.experiment import Ablation, Assignment
    from jaxdl.config.load import load_config, load_experiment

    registers = (command.experiment or '').endswith('.py')  # components that the config needs
    if command.experiment and command.config and not registers:
        raise InputError('--experiment and --config both name an experiment: use only one of them')
    if not command.experiment and not command.config:
        raise InputError(
            'no experiment is named: use --experiment=NAME; --mode=list shows the names'
        )
    experiment: Any = load_experiment(command.experiment) if command.experiment else None
    if command.config:
        experiment = load_config(pathlib.Path(command.config))
    if command.options is not None:
        if not isinstance(experiment, Ablation):
            raise InputError(
                f'--options={",".join(command.options)}: {experiment.name} is not an ablation: '
                'leave the flag out'
            )
        experiment = overrides.select_options(experiment, command.options)
    if command.quick:
        experiment = overrides.quick(experiment)
    settings, parts = _settings(command), list[Any]()
    if settings and isinstance(experiment, Assignment):
        from jaxdl.theory import assignment

        parts = list(assignment.parts(overrides.check(experiment)).values())
    # a recipe first, since other settings override it; a network before its own fields
    first = ('recipe', 'model', 'variant.model')
    for key, text in sorted(settings, key=lambda pair: pair[0] not in first):
        value = overrides.parse([experiment, *parts], key, text)
        left_out = overrides.naming_data_sets(getattr(experiment, 'conditions', {}))
        experiment = overrides.override(experiment, {key: value})
        if left_out and key in ('dataset', 'data.dataset'):
            warn(
                f'{key}={text}: without the conditions {", ".join(left_out)}, which are other data '
                'sets'
            )
    return overrides.check(experiment)


def _settings(command: CommandLine) -> list[tuple[str, str]]:
    """KEY and VALUE of the flags that set a field, then of every --set."""
    values = [(name, getattr(command, name)) for name in ('dataset', 'images', 'seeds')]
    return [pair for pair in values if pair[1] is not None] + flags.parse_pairs(command.set)


def _require(command: CommandLine, name: str, form: str) -> str:
    """The value of a flag that the mode needs."""
    value = getattr(command, name)
    if not value:
        raise InputError(f'--mode={command.mode} needs --{name}: give --{name}={form}')
    return str(value)


def _checkpoint(command: CommandLine) -> pathlib.Path:
    return pathlib.Path(_require(command, 'checkpoint', 'WORKDIR'))


def _holds_members(command: CommandLine, checkpoint: pathlib.Path) -> bool:
    """Whether a checkpoint is an ablation; registers the components of a study file first."""
    from jaxdl.ablation import member_commands
    from jaxdl.config.load import load_experiment

    if command.experiment:
        load_experiment(command.experiment)
    return member_commands.is_ablation(checkpoint)


def _overwrite(command: CommandLine) -> str:
    return 'anything' if command.overwrite else 'refuse'


def _workdir(command: CommandLine, name: str = '') -> pathlib.Path:
    """The workdir of the flags; without one runs/ and the name of the experiment."""
    if command.workdir:
        return pathlib.Path(command.workdir)
    if command.config and name:
        return pathlib.Path('runs') / name
    if not command.experiment:
        raise InputError(
            'no workdir is named: use --workdir=DIR, or --experiment=NAME for runs/NAME'
        )
    return pathlib.Path('runs') / pathlib.Path(command.experiment).stem
