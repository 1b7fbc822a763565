"""Plan of a run of any kind of experiment, as text."""

import dataclasses
import pathlib

from jaxdl.ablation import estimate, extension, finetune_plan
from jaxdl.cli import seed_budget
from jaxdl.config import catalogue
from jaxdl.config.experiment import Ablation, Demonstration, Experiment, FineTune
from jaxdl.finetune import plan
from jaxdl.theory import assignment


def describe(experiment: Experiment, workdir: pathlib.Path) -> str:
    """Describe a run without training.

    An ablation gives its groups, and the seeds that it needs if `workdir` holds a finished run; of
    a run that it extends only the new members. A demonstration gives its settings, an assignment
    its parts, both with measured times.

    Args:
      experiment: of any kind.
      workdir: folder of the run.

    Returns:
      Lines of text.
    """
    if isinstance(experiment, Ablation):
        if experiment.base:
            text = finetune_plan.describe(experiment)
        else:
            text = estimate.describe(experiment, extension.preview(workdir, experiment))
        return '\n'.join([text, *seed_budget.describe(experiment, workdir)])
    lines = [f'{experiment.name}: {experiment.question}', '']
    if isinstance(experiment, FineTune):
        return '\n'.join([*lines, *plan.describe(experiment)])
    if isinstance(experiment, Demonstration):
        lines += [
            f'{name:20} {value}' for name, value in dataclasses.asdict(experiment.settings).items()
        ]
        return '\n'.join(
            [*lines, '', f'{_time(experiment)}; what trains is planned as the derivation goes']
        )
    return '\n'.join(
        lines + [f'{name:20} {_time(part)}' for name, part in assignment.parts(experiment).items()]
    )


def _time(experiment: Experiment) -> str:
    if experiment.scale == 'quick':
        return 'under a minute'
    return catalogue.read_measured_time(experiment.name) or 'a time that nobody has measured'
