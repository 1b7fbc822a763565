"""Dispatch of an experiment to the runner of its kind."""

import contextlib
import pathlib
from collections.abc import Callable
from typing import Any

from jaxdl.ablation import run as ablation
from jaxdl.config.experiment import Ablation, Assignment, Demonstration, Experiment, FineTune
from jaxdl.config.load import name_by_module
from jaxdl.errors import InputError
from jaxdl.finetune import run as finetune
from jaxdl.runtime import distributed
from jaxdl.theory import assignment, demonstration
from jaxdl.workdir.lock import lock_workdir
from jaxdl.workdir.tables import Results


def run(
    experiment: Experiment,
    workdir: str | pathlib.Path,
    *,
    overwrite: bool = False,
    command: str = '',
) -> Results:
    """Run or resume an experiment, and write its tables and its report.

    Args:
      experiment: of any kind.
      workdir: folder of the run; an unfinished run in it is resumed.
      overwrite: clear the workdir first.
      command: the command line, for provenance.

    Returns:
      The tables of the finished run.

    Raises:
      InputError: the experiment or the workdir is not usable; nothing is written over.
      Interrupted: SIGINT or SIGTERM came; the same call resumes.
    """
    folder, experiment = pathlib.Path(workdir), name_by_module(experiment)
    if distributed.has_several() and type(experiment) not in (Ablation, FineTune):
        raise InputError(
            f'experiment {experiment.name} runs in one process only: start it without '
            '--coordinator and --processes; ablations and fine-tunings run in several processes'
        )
    with lock_workdir(folder) if distributed.is_first() else contextlib.nullcontext():
        return RUNNERS[type(experiment)](experiment, folder, overwrite=overwrite, command=command)


def _assignment(experiment: Assignment, folder: pathlib.Path, **settings: Any) -> Results:
    return assignment.run(experiment, folder, run, **settings)


RUNNERS: dict[type, Callable[..., Results]] = {
    Ablation: ablation.run,
    Demonstration: demonstration.run,
    Assignment: _assignment,
    FineTune: finetune.run,
}
