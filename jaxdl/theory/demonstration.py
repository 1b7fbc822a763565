"""Run a demonstration: compute the answer, write claims and artifacts, build the report."""

import dataclasses
import pathlib
import time
from typing import Any

from jaxdl import workdir
from jaxdl.config.experiment import Demonstration
from jaxdl.config.load import as_dict
from jaxdl.config.overrides import check
from jaxdl.report.page.blocks import Figure
from jaxdl.runtime import machine, progress, provenance, signals
from jaxdl.workdir import claims, records, tables
from jaxdl.workdir.tables import Results


def run(
    demonstration: Demonstration,
    folder: pathlib.Path,
    *,
    overwrite: bool = False,
    command: str = '',
) -> Results:
    """Run `demonstration` in `folder`, and write its claims and its report.

    A finished one only gets a new report.

    Args:
      demonstration: the question and its settings.
      folder: the workdir.
      overwrite: clear the workdir first.
      command: the command line, for provenance.

    Returns:
      The claims.

    Raises:
      InputError: the settings or the workdir are not usable; nothing is overwritten.
      Interrupted: SIGINT or SIGTERM arrived; the same call starts the work again.
    """
    demonstration = check(demonstration)
    config = as_dict(demonstration)
    if overwrite or not workdir.holds_run(folder, config) or not workdir.is_finished(folder):
        if overwrite:
            workdir.clear(folder)
        plan = dict(
            devices=records.as_json(provenance.describe_devices()),
            cores=machine.usable_cores(),
            versions=provenance.collect_versions(),
        )
        workdir.write_records(folder, config=config, plan=plan)
        _answer(demonstration, folder, command)
    from jaxdl import report  # matplotlib takes a second to import

    report.build(folder)
    return read(folder)


def read(folder: pathlib.Path) -> Results:
    """The claims of a finished demonstration."""
    return Results([], [], folder, tables.read_table(folder / 'claims.csv', claims.COLUMNS))


def _answer(demonstration: Demonstration, folder: pathlib.Path, command: str) -> None:
    started, began = provenance.collect(command), time.perf_counter()
    workdir.write_records(folder, run=records.as_json(started))

    def note(text: str) -> None:
        progress.write_line(f'{demonstration.name}: {text}')

    with signals.interrupt_on_signals():
        answer = demonstration.answer(demonstration.settings, note)
    artifacts = folder / 'artifacts'
    for block in answer.blocks:
        if isinstance(block, Figure):
            for name in ('svg', 'svg_narrow', 'png'):
                workdir.write(artifacts / f'{block.name}.{name}', getattr(block.drawing, name))
    blocks = [_plain(block) for block in answer.blocks]
    workdir.write_json(artifacts / 'answer.json', dict(text=answer.text, shown=blocks))
    tables.write_table(folder / 'claims.csv', claims.COLUMNS, claims.rows(answer.claims))
    workdir.seal(folder)
    kinds = ('compile', 'train', 'evaluate') if answer.groups else ()
    seconds = {
        kind: round(sum(getattr(group, f'{kind}_seconds') for group in answer.groups), 3)
        for kind in kinds
    }
    seconds |= dict(total=round(time.perf_counter() - began, 3))
    run = dataclasses.replace(started, seconds=seconds, groups=tuple(answer.groups), finished=True)
    workdir.write_records(folder, run=records.as_json(run))


def _plain(block: Any) -> dict[str, Any]:
    """Fields of a figure or table for JSON; drawings are separate files, except their sizes."""
    fields = dataclasses.asdict(block)
    if isinstance(block, Figure):
        fields['drawing'] = {key: fields['drawing'][key] for key in ('size', 'size_narrow')}
    return fields
