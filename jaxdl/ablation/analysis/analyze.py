"""Analyse results that were trained elsewhere: from a table to a workdir and its report."""

import dataclasses
import pathlib
import platform
import re
import time
from typing import Any

import jaxdl
from jaxdl import workdir as files
from jaxdl.ablation.analysis import columns, measurements, source
from jaxdl.ablation.analysis.columns import AnalysisSettings
from jaxdl.ablation.analysis.measurements import Measurements
from jaxdl.ablation.analysis.source import Table
from jaxdl.errors import InputError
from jaxdl.runtime import versions
from jaxdl.workdir import records, tables
from jaxdl.workdir.correct import write_correct
from jaxdl.workdir.lock import lock_workdir
from jaxdl.workdir.records import RunRecord
from jaxdl.workdir.tables import Results

KIND = 'Analysis'
PACKAGES = ('numpy', 'scipy', 'matplotlib', 'narwhals')


def analyze(
    table: Any,
    *,
    baseline: str,
    workdir: str | pathlib.Path | None = None,
    overwrite: bool = False,
    command: str = '',
    **settings: Any,
) -> Results:
    """Compare options whose results are in a table, and write the report of an ablation.

    Imports no jax. An earlier analysis in the same workdir is replaced.

    Args:
      table: a path or a glob of CSV files, a mapping of columns, a list of rows, or a dataframe
        that narwhals knows. A row has an option, a seed and a value; or an option, a seed, an image
        and whether the image is classified correctly.
      baseline: the option that the others are compared with.
      workdir: folder of the report; by default `runs/analysis-` and the name of the file, and
        `runs/analysis` for a glob or a table in memory.
      overwrite: clear the workdir first, whatever run is in it.
      command: the command line, for provenance.
      **settings: fields of `AnalysisSettings`, such as `metric`, `option_column`.

    Returns:
      Measurements and comparison; `.workdir` has the report.

    Raises:
      InputError: the table cannot be compared; the message names the row or the column. Nothing is
        written then.

    Examples:
      >>> import tempfile
      >>> table = dict(
      ...     model=['small', 'small', 'large', 'large'],
      ...     seed=[0, 1, 0, 1],
      ...     accuracy=[0.90, 0.91, 0.93, 0.95],
      ... )
      >>> results = analyze(table, baseline='small', workdir=tempfile.mkdtemp())
      >>> round(results.summary[1]['difference'], 3), results.summary[1]['verdict']
      (0.035, 'no difference found')
    """
    chosen = columns.make_settings(settings.items())
    data = source.read(table)
    measured = measurements.measure(data, str(baseline), chosen)
    folder = pathlib.Path(workdir) if workdir else _default_workdir(table, data)
    _check_place(folder, data, overwrite)
    config = _config(folder, data, measured, chosen)
    with lock_workdir(folder):
        _write(folder, config, measured, command)
        from jaxdl import report  # matplotlib takes a second to import

        report.build(folder)
    return read(folder)


def read(folder: pathlib.Path) -> Results:
    """The tables of a finished analysis."""
    return Results(
        tables.read_table(folder / 'results.csv', tables.RESULTS),
        tables.read_table(folder / 'summary.csv', tables.SUMMARY),
        folder,
    )


def _default_workdir(table: Any, data: Table) -> pathlib.Path:
    if len(data.files) != 1 or not isinstance(table, str | pathlib.Path):
        return pathlib.Path('runs') / 'analysis'
    stem = re.sub(r'[^\w.-]+', '_', pathlib.Path(data.files[0].name).stem)
    return pathlib.Path('runs') / f'analysis-{stem}'


def _check_place(folder: pathlib.Path, data: Table, overwrite: bool) -> None:
    """Refuse a workdir with another run, and one that holds the table itself."""
    paths = [pathlib.Path(path).resolve() for path in dict.fromkeys(data.paths) if path]
    if any(path.is_relative_to(folder.resolve()) for path in paths):
        raise InputError(
            f'workdir={folder}: holds {data.name}, which the analysis would replace; name another '
            '--workdir'
        )
    if overwrite:
        return
    if (folder / 'config.json').exists():
        kind = files.read_json(folder / 'config.json').get('kind')
        if kind != KIND:
            raise InputError(
                f'workdir={folder}: holds another run ({kind}); name another --workdir, or '
                '--overwrite'
            )
    else:
        files.holds_run(folder, {})


def _config(
    folder: pathlib.Path, data: Table, measured: Measurements, settings: AnalysisSettings
) -> dict[str, Any]:
    """config.json: the design of the comparison, the table and its columns."""
    words = f'{measured.split} {measured.metric.words}'.strip().replace('val ', 'validation ')
    option = measured.columns['option']
    which = 'any option' if len(measured.options) > 2 else measured.options[-1]
    question = f'Does {which} differ from {measured.baseline} in {words}?'
    return dict(
        kind=KIND,
        name=folder.resolve().name,
        scale='full',
        question=settings.question or question,
        factor='' if option == 'path' or columns.plain(option) == 'option' else option,
        baseline=measured.baseline,
        options={name: {} for name in measured.options},
        conditions={name: {} for name in measured.conditions},
        metric=measured.metric.name,
        lower_is_better=measured.metric.lower_is_better,
        split=measured.split,
        unit=measured.unit,
        columns=dict(measured.columns),
        path_pattern=settings.path_pattern,
        files=[dataclasses.asdict(file) for file in data.files],
        rows=len(data.lines),
    )


def _write(
    folder: pathlib.Path, config: dict[str, Any], measured: Measurements, command: str
) -> None:
    """Write all files but the report, run.json last."""
    files.clear(folder)
    files.write_records(folder, config=config)
    tables.write_table(folder / 'results.csv', tables.RESULTS, measured.rows)
    if measured.correct is not None:
        write_correct(folder / 'correct.npz', measured.correct)
    files.seal(folder)
    run = RunRecord(
        command=command,
        git=versions.name_revision(pathlib.Path(jaxdl.__file__).parents[1]),
        date=time.strftime('%Y-%m-%d'),
        versions=dict(python=platform.python_version(), jaxdl=jaxdl.__version__)
        | versions.find_packages(PACKAGES),
        device='',
        finished=True,
        machine=dict(system=platform.platform()),
        results_rows=len(measured.rows),
    )
    files.write_records(folder, run=records.as_json(run))
