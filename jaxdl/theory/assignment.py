"""Run the experiments of an assignment, each in its own workdir, and write one report."""

import dataclasses
import pathlib
import time
from collections.abc import Callable

from jaxdl import workdir
from jaxdl.config.experiment import Assignment, Experiment
from jaxdl.config.load import as_dict, load_experiment
from jaxdl.config.overrides import check, override, quick
from jaxdl.errors import InputError
from jaxdl.runtime import progress, provenance
from jaxdl.theory import submission_zip
from jaxdl.workdir import records
from jaxdl.workdir.records import RunRecord
from jaxdl.workdir.tables import Results


def run(
    assignment: Assignment,
    folder: pathlib.Path,
    run_part: Callable[..., Results],
    *,
    overwrite: bool = False,
    command: str = '',
) -> Results:
    """Run every part in `folder`/parts/NAME, build the report, and pack the submission.

    A finished part is only read, so the same call resumes. The zip needs a roll number.

    Args:
      assignment: the parts and their overrides.
      folder: workdir of the assignment.
      run_part: (experiment, workdir, command) -> results.
      overwrite: clear the workdir first.
      command: the command line, for provenance.

    Returns:
      Summary rows and claims of all parts.

    Raises:
      InputError: a part or the workdir is not usable; nothing is overwritten.
      Interrupted: SIGINT or SIGTERM arrived.
    """
    assignment = check(assignment)
    names, config = parts(assignment), as_dict(assignment)
    if overwrite:
        workdir.clear(folder)
    folders = {name: folder / 'parts' / name for name in names}
    complete = workdir.holds_run(folder, config) and all(
        map(workdir.is_finished, (folder, *folders.values()))
    )
    started, began, results, spent = provenance.collect(command), time.perf_counter(), {}, {}
    if not complete:
        workdir.write_records(folder, config=config, run=records.as_json(started))
    for number, (name, part) in enumerate(names.items(), 1):
        progress.write_line(f'{assignment.name}: {name} ({number} of {len(names)})')
        results[name] = run_part(part, folders[name], command=command)
        run_of_part = records.read(folders[name] / 'run.json', RunRecord)
        spent[name] = (run_of_part.seconds or {}).get('total', 0.0)
    if not complete:
        seconds = dict(
            parts=round(sum(spent.values()), 3), total=round(time.perf_counter() - began, 3)
        )
        run_record = dataclasses.replace(started, seconds=seconds, finished=True)
        workdir.write_records(folder, run=records.as_json(run_record))
    from jaxdl import report  # matplotlib takes a second to import

    report.build(folder)
    archive = folder / f'{assignment.roll_number}.zip'
    if assignment.roll_number and not (complete and archive.exists()):
        submission_zip.pack(folder, assignment.roll_number, list(names))
    summary = [
        dict(row, condition=_of(name, row['condition']))
        for name, part_folder in results.items()
        for row in part_folder.summary
    ]
    claims = [
        dict(row, claim=_of(name, row['claim']))
        for name, part_folder in results.items()
        for row in part_folder.claims
    ]
    return Results([], summary, folder, claims)


def parts(assignment: Assignment) -> dict[str, Experiment]:
    """Load the experiments of an assignment with its overrides and its scale.

    Raises:
      InputError: unknown experiment, or an override without a field in any part.
    """
    experiments = {
        name: load_experiment(name) for names in assignment.parts.values() for name in names
    }
    if assignment.scale == 'quick':
        experiments = {name: quick(part) for name, part in experiments.items()}
    for key, value in assignment.overrides.items():
        taken, refused = {}, InputError('')
        for name, part in experiments.items():
            try:
                taken[name] = override(part, {key: value})
            except InputError as error:
                refused = error
        if not taken:
            raise refused
        experiments |= taken
    return {name: check(part) for name, part in experiments.items()}


def _of(part: str, text: str) -> str:
    return f'{part}: {text}' if text else part
