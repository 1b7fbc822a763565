"""Reports: from a workdir to report.html, report.md, figures/ and tables/, without jax.

May import statistics, workdir, fields and errors. Interface: `build` and `compare_runs`.
"""

import pathlib
import shutil
from collections.abc import Iterable

from jaxdl import errors
from jaxdl import workdir as folder
from jaxdl.errors import InputError, warn
from jaxdl.report import analysis, assignment, demonstration
from jaxdl.report.ablation import interaction, main_effects, other_metrics, reading, result, search
from jaxdl.report.ablation import page as ablation
from jaxdl.report.finetune import page as finetune
from jaxdl.report.finetune import reading as finetune_reading
from jaxdl.report.page import exports, render
from jaxdl.report.page.blocks import Page
from jaxdl.workdir import tables
from jaxdl.workdir.tables import Row

RAW = (
    'results.csv',
    'summary.csv',
    'costs.csv',
    'claims.csv',
    'config.json',
    'plan.json',
    'run.json',
)


def build(workdir: pathlib.Path) -> pathlib.Path:
    """Build the report of a finished workdir: figures/, tables/, report.md and report.html.

    The same workdir gives the same bytes. summary.csv is rewritten only if it is missing or
    differs. Nothing is written before all content is complete.

    Args:
      workdir: workdir of a finished run of any kind.

    Returns:
      Path of report.html.

    Raises:
      InputError: the run is not finished, a file is damaged, or the workdir is not writable.
    """
    kind = reading.kind(workdir)
    if kind not in PAGES:
        raise errors.unknown('kind of experiment', kind, PAGES, f' in {workdir / "config.json"}')
    folder.check_inside(workdir)
    with errors.damaged(
        f'{workdir}: the report cannot be built', 'start the run again with --overwrite'
    ):
        page, summary, more = PAGES[kind](workdir)
        raw = [
            name for name in RAW if (workdir / name).exists() or (summary and name == 'summary.csv')
        ]
        html, markdown = render.html(page, [*raw, *more]), render.markdown(page)
    try:
        return _write(workdir, summary, [*exports.files(page), *more.items()], html, markdown)
    except OSError as error:
        raise InputError(
            f'{workdir} is not writable ({error.strerror}): make it writable'
        ) from None


# The page of a run, the rows of summary.csv (or none), and further files: path -> content.
Content = tuple[Page, list[Row], dict[str, str]]


def _ablation(workdir: pathlib.Path) -> Content:
    study = reading.read(workdir)
    files = {'tables/metrics.csv': other_metrics.as_csv(study)}
    if study.pairs:
        files['tables/comparisons.csv'] = result.pairs_as_csv(study)
    if interaction.has_second_factor(study):
        files['tables/main_effects.csv'] = main_effects.as_csv(study)
        files['tables/interaction.csv'] = interaction.as_csv(study)
    if study.searched:
        files['tables/chosen.csv'] = search.as_csv(study)
    return ablation.page(study), study.summary, files


def _analysis(workdir: pathlib.Path) -> Content:
    study = analysis.read(workdir)
    return analysis.page(study), study.summary, {}


def _demonstration(workdir: pathlib.Path) -> Content:
    return demonstration.page(demonstration.read(workdir)), [], {}


def _assignment(workdir: pathlib.Path) -> Content:
    return assignment.page(workdir), [], {}


def _finetune(workdir: pathlib.Path) -> Content:
    return finetune.page(finetune_reading.read(workdir)), [], {}


# kind of experiment -> function that returns its content
PAGES = dict(
    Ablation=_ablation,
    Analysis=_analysis,
    Demonstration=_demonstration,
    Assignment=_assignment,
    FineTune=_finetune,
)


def _write(
    workdir: pathlib.Path,
    summary: list[Row],
    files: Iterable[tuple[str, str | bytes]],
    html: str,
    markdown: str,
) -> pathlib.Path:
    for name in folder.find_damaged(workdir, folder.MADE_AGAIN):
        warn(f'{workdir / name} {folder.NOT_AS_WRITTEN}: it is written again')
    shutil.rmtree(
        workdir / 'tables', ignore_errors=True
    )  # their names contain titles of sections, which may have changed
    for name, content in files:
        folder.write(workdir / name, content)
    table, path = tables.as_csv(tables.SUMMARY, summary).encode(), workdir / 'summary.csv'
    if summary and not (path.is_file() and path.read_bytes() == table):
        folder.write(path, table)
    folder.write(workdir / 'report.md', markdown)
    folder.write(workdir / 'report.html', html)
    if (workdir / folder.SUMS).exists():  # without sums there is nothing to update
        folder.record(workdir, [name for name in folder.MADE_AGAIN if (workdir / name).exists()])
    return workdir / 'report.html'
