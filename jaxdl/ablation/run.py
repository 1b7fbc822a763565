"""Run an ablation: tune every option, measure on evaluation seeds, compare with the baseline."""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl import workdir
from jaxdl.ablation import (
    artifacts,
    extension,
    finetune_plan,
    finetune_runner,
    member_networks,
    planning,
    result_rows,
    tuning,
)
from jaxdl.ablation.chunk_runner import Session, run_groups
from jaxdl.ablation.finetune_plan import FineTuneCondition
from jaxdl.ablation.planning import Condition, Stage, StudyPlan
from jaxdl.ablation.result_rows import ALWAYS
from jaxdl.ablation.tuning import Trainer
from jaxdl.config import registry
from jaxdl.config.experiment import Ablation
from jaxdl.config.load import as_dict, component_names
from jaxdl.config.overrides import check
from jaxdl.data.on_device import place_on_device
from jaxdl.data.splits import image_groups
from jaxdl.ensemble import Member, Result, Workload
from jaxdl.errors import InputError, warn
from jaxdl.runtime import distributed, progress, provenance, signals, tracking
from jaxdl.statistics import jackknife, protocol
from jaxdl.statistics.metrics import ACCURACY, METRICS
from jaxdl.statistics.search import Setting
from jaxdl.workdir import contributions, journal, records, tables
from jaxdl.workdir.contributions import write_contributions
from jaxdl.workdir.correct import CorrectTable, write_correct
from jaxdl.workdir.records import GroupRecord, RunRecord
from jaxdl.workdir.tables import Results, Row


@dataclasses.dataclass
class Measurements:
    """Measurements of one condition.

    Attributes:
      rows: of results.csv.
      groups: entries of run.json.
      tested: measured members and their results.
      varied: members of the variance study and their results.
      costs: rows of costs.csv.
      blocks: block of each test image, for contributions to the metric that decides; None for
        accuracy, or where each seed has a test split of its own.
    """

    condition: Condition
    rows: list[Row] = dataclasses.field(default_factory=list)
    groups: list[GroupRecord] = dataclasses.field(default_factory=list)
    tested: list[tuple[Member, Result]] = dataclasses.field(default_factory=list)
    varied: list[tuple[Member, Result]] = dataclasses.field(default_factory=list)
    costs: list[Row] = dataclasses.field(default_factory=list)
    blocks: np.ndarray | None = None


def run(
    ablation: Ablation, folder: pathlib.Path, *, overwrite: bool = False, command: str = ''
) -> Results:
    """Run an ablation, or resume it, and write its tables and its report.

    Args:
      ablation: the experiment.
      folder: the workdir.
      overwrite: removes the run in the workdir first.
      command: the command line, for run.json.

    Returns:
      The tables of the finished run.

    Raises:
      InputError: the experiment or the workdir cannot be used; nothing is overwritten.
      Interrupted: SIGINT or SIGTERM came; the same call resumes.
    """
    folder, ablation = pathlib.Path(folder), check(ablation)
    tracking.check((ablation.base or ablation).trackers)
    if ablation.base:
        ablation = finetune_plan.pin_revision(ablation, folder, overwrite)
    plan = _share_plan(folder, ablation, overwrite, command)
    if plan is not None:
        _train(folder, plan, command)
    if distributed.is_first():
        from jaxdl import report  # matplotlib takes a second to import

        report.build(folder)
    distributed.wait('reported')
    return read(folder)


def read(folder: pathlib.Path) -> Results:
    """Tables of a finished run."""
    table = tables.read_results(folder / 'results.csv')
    return Results(table, tables.read_table(folder / 'summary.csv', tables.SUMMARY), folder)


def _share_plan(
    folder: pathlib.Path, ablation: Ablation, overwrite: bool, command: str
) -> StudyPlan | None:
    """The plan of the first process, in all processes; None for a finished run."""
    plans = []

    def content() -> dict[str, Any] | None:
        plans.append(_freeze_plan(folder, ablation, overwrite, command))
        return plans[0] and dict(record=records.as_json(plans[0].record), extends=plans[0].extends)

    shared = distributed.share_result(content)
    if plans or shared is None:
        return plans[0] if plans else None
    record = records.parse(records.Plan, shared['record'])
    return _resume_plan(folder, ablation, record, extends=shared['extends'])


def _freeze_plan(
    folder: pathlib.Path, ablation: Ablation, overwrite: bool, command: str
) -> StudyPlan | None:
    """The plan in the workdir, or a new one that is written there; None for a finished run.

    Every check comes before the first file is written or removed.
    """
    config, path = as_dict(ablation), folder / 'plan.json'
    if not overwrite and workdir.holds_other(folder, config):
        return extension.extend(folder, ablation, command)
    if not overwrite and workdir.holds_run(folder, config) and path.exists():
        written = workdir.read_json(folder / 'config.json')
        record = records.read(path, records.Plan).of(written)
        finished = workdir.is_finished(folder)
        _check_files(folder, record.merged(), ablation, finished)
        if not finished:
            return _resume_plan(folder, ablation, record)
        (finetune_plan if ablation.base else planning).check_data(ablation, record.merged())
        return None
    plan = (finetune_plan if ablation.base else planning).make_plan(ablation)
    if overwrite:
        workdir.clear(folder)
    if ablation.base:
        finetune_plan.write_splits(folder, plan)
    workdir.write_records(folder, config=config, plan=records.as_json(plan.record))
    return dataclasses.replace(plan, record=records.read(path, records.Plan))


def _resume_plan(
    folder: pathlib.Path, ablation: Ablation, record: records.Plan, *, extends: bool = False
) -> StudyPlan:
    if ablation.base:
        return finetune_plan.resume_plan(ablation, record, folder)
    return planning.resume_plan(ablation, record, extends=extends)


def _check_files(
    folder: pathlib.Path, plan: records.Plan, ablation: Ablation, finished: bool
) -> None:
    """Compare the code of the study with that of the plan.

    Raises:
      InputError: an unfinished run began with other code. For a finished run this is a warning.
    """
    present = registry.find_sources(ablation.name, component_names(ablation))
    planned = plan.sources if present else {}  # a config alone runs no code of the user
    for name in sorted({*present, *planned}):
        if present.get(name) != planned.get(name):
            text = (
                f'{name} is not the file with which the run in {folder} began: {planning.RESTART}'
            )
            if not finished:
                raise InputError(text)
            warn(text)


def _train(folder: pathlib.Path, plan: StudyPlan, command: str) -> None:
    """Train all conditions and write the tables."""
    ablation, first = plan.ablation, distributed.is_first()
    started, target = provenance.collect(command), folder
    number = len(plan.record.extensions)
    if first and plan.extends:
        started = records.read(folder / 'run.json', RunRecord)
        target = extension.stage(folder)
    elif first:
        workdir.write_records(folder, run=records.as_json(started))
    settings = ablation.base or ablation
    trackers = settings.trackers if first else ()
    measured = []
    with (
        signals.defer_signals() as interrupted,
        (
            progress.show_finetuning()
            if ablation.base
            else progress.show_ablation(plan.groups, number)
        ) as show,
        tracking.open_trackers(folder, trackers) as track,
    ):
        earlier = journal.read(folder) if first else []
        note = journal.open_journal(folder, show) if first else journal.ignore_events
        note('start')
        session = Session(
            folder,
            plan.record.devices,
            note,
            interrupted,
            settings.checkpoint_seconds,
            track,
            earlier,
        )
        data = plan.record.merged().data
        for place, condition in enumerate(plan.conditions):
            measurements = (
                _measure_finetunes(session, condition, place)
                if ablation.base
                else _measure(session, condition, plan.files[condition.name], plan.columns)
            )
            if first:
                measurements.costs = _cost_rows(condition, measurements)
                findings = data[condition.name].findings
                artifact_folder = target / 'artifacts' / str(place)
                artifacts.write(artifact_folder, condition, findings)
                artifacts.write_probes(artifact_folder, measurements.tested)
            measured.append(measurements)
        note('trained')
    if first:
        _write(target, plan, measured)
        if plan.extends:
            extension.publish(folder, plan)
        _finish(folder, plan, measured, started)


def _measure(
    session: Session, condition: Condition, number: int, columns: Sequence[str]
) -> Measurements:
    """All phases of the protocol in one condition; `columns` follow `value` in results.csv."""
    study, splits = condition.study, condition.splits
    data = place_on_device(condition.dataset, list(splits.values()))
    num_classes = len(condition.dataset.class_names)
    metric = METRICS[study.metric]
    workload = Workload(data, num_classes, study.epochs, tuple(splits), metric)
    measurements = Measurements(condition, blocks=_blocks(condition))
    names, chance = _further_metrics(study), result_rows.chance_of(condition)

    full_stage = Stage('', 0, study.epochs)

    def train(
        name: str,
        settings: Mapping[str, Sequence[Setting]],
        label: str,
        part: Stage,
        start: Mapping[Member, Result] | None = None,
    ) -> Iterator[list[tuple[Member, Result]]]:
        partly = dataclasses.replace(workload, first=part.first, until=part.until)
        for extended in condition.extensions:
            groups = condition.phase(name, settings, part.name, extended)
            job = f'{number}-extension{extended}-{label}' if extended else f'{number}-{label}'
            for group, results, record in run_groups(
                session, groups, partly, study, job, measurements.blocks, start
            ):
                measurements.groups.append(record)
                yield list(zip(group.members, results, strict=True))

    def rows_of(name: str, members: Sequence[tuple[Member, Result]], until: int) -> list[Row]:
        cut = [(member, result_rows.cut(result, until)) for member, result in members]
        return result_rows.result_rows(
            condition.name, name, cut, num_classes, columns, names, chance
        )

    def add(rows: Sequence[Row]) -> None:
        measurements.rows += rows
        tracking.track_rows(session.track, rows)

    trainer = Trainer(
        train=lambda settings, part, label, start: train('tune', settings, label, part, start),
        rows_of=lambda members, until: rows_of('tune', members, until),
        add=add,
        rows=measurements.rows,
        session=session,
        metric=metric,
    )
    best = tuning.tune(condition, trainer)
    margin = protocol.equivalence_margin(
        study.margin,
        measurements.rows,
        study.baseline,
        condition.name,
        metric,
        searched_seeds=study.tuning_seeds if condition.search else None,
    )
    session.note('margin', condition=condition.name, margin=margin)
    chosen = {option: [setting] for option, setting in best.items()}
    for members in train('measure', chosen, 'measure', full_stage):
        measurements.tested += members
        add(rows_of('measure', members, study.epochs))
    if study.variance_study:
        varied = {study.baseline: chosen[study.baseline]}
        for members in train('variance', varied, 'variance', full_stage):
            measurements.varied += members
    order = {member: place for place, member in enumerate(condition.measured)}
    measurements.tested.sort(key=lambda pair: order[pair[0].option, pair[0].seed])
    return measurements


def _measure_finetunes(session: Session, condition: Condition, number: int) -> Measurements:
    """The evaluation runs of an ablation of a fine-tuning; nothing is tuned."""
    assert isinstance(condition, FineTuneCondition)
    measurements = Measurements(condition, blocks=_blocks(condition))
    num_classes = len(condition.dataset.class_names)
    names, chance = _further_metrics(condition.study), result_rows.chance_of(condition)
    for group, results, record in finetune_runner.run_options(
        session, condition, number, measurements.blocks
    ):
        measurements.groups.append(record)
        members = list(zip(group.members, results, strict=True))
        rows = result_rows.result_rows(
            condition.name, 'measure', members, num_classes, metrics=names, chance=chance
        )
        measurements.rows += rows
        tracking.track_rows(session.track, rows)
        measurements.tested += members
    return measurements


def _further_metrics(study: Ablation) -> list[str]:
    """Metrics in results.csv next to loss and accuracy."""
    return [name for name in dict.fromkeys((study.metric, *study.metrics)) if name not in ALWAYS]


def _cost_rows(condition: Condition, measurements: Measurements) -> list[Row]:
    if isinstance(condition, FineTuneCondition):
        return finetune_runner.cost_rows(condition, measurements.tested)
    return result_rows.cost_rows(condition, measurements.groups)


def _blocks(condition: Condition) -> np.ndarray | None:
    """Block of each test image, if the metric needs contributions and all seeds share the split."""
    measured = {
        member.split
        for group in condition.groups
        if group.plan.phase == 'measure'
        for member in group.members
    }
    if condition.study.metric == ACCURACY.name or len(measured) > 1:
        return None
    groups = np.asarray(image_groups(condition.dataset))
    return jackknife.merge_groups(groups[condition.splits[measured.pop()].test])


def _write(folder: pathlib.Path, plan: StudyPlan, measured: Sequence[Measurements]) -> None:
    """Write the tables of all conditions."""
    varied = [
        row
        for measurements in measured
        for row in artifacts.variance_rows(measurements.condition, measurements.varied)
    ]
    artifacts.write_variance(folder, varied, plan.ablation.metric)
    scored = [
        row for each in measured for row in result_rows.metric_rows(each.condition, each.tested)
    ]
    tables.write_table(folder / 'artifacts' / 'metrics.csv', tables.METRICS, scored)
    rows = _rows(plan, measured)
    columns = tables.RESULTS | dict.fromkeys(plan.columns, float)
    tables.write_table(folder / 'results.csv', columns, rows)
    costs = [row for each in measured for row in each.costs]
    tables.write_table(folder / 'costs.csv', tables.COSTS, costs)
    tested = [
        (each.condition, member, result) for each in measured for member, result in each.tested
    ]
    correct = result_rows.correct_table(tested)
    write_correct(folder / 'correct.npz', correct)
    summary, merged = [], plan.record.merged()
    for number, each in enumerate(measured):
        by_image = _correctness(rows, correct, each.condition)
        artifact_folder = folder / 'artifacts' / str(number)
        artifacts.write_differing(artifact_folder, each.condition, correct, by_image)
        table, metric = None, METRICS[each.condition.study.metric]
        if each.blocks is not None:
            table = result_rows.contribution_table(each.condition, each.tested, each.blocks)
            write_contributions(artifact_folder / contributions.FILE, table)
        values = protocol.image_values(table, metric, by_image)
        summary += _summary(rows, values, each.condition, merged)
    if plan.ablation.keep_networks:
        member_networks.write(folder, tested, plan.columns)
    tables.write_table(folder / 'summary.csv', tables.SUMMARY, summary)


def _rows(plan: StudyPlan, measured: Sequence[Measurements]) -> list[Row]:
    """Rows of results.csv."""
    return [row for each in measured for row in result_rows.sort_rows(each.rows, plan.ablation)]


def _finish(
    folder: pathlib.Path, plan: StudyPlan, measured: Sequence[Measurements], started: RunRecord
) -> None:
    """Write the checksums, and run.json last."""
    workdir.seal(folder)
    groups = tuple(record for each in measured for record in each.groups)
    sessions = journal.session_seconds(folder)
    run = dataclasses.replace(
        started,
        seconds=_seconds(groups) | dict(total=round(sum(sessions), 3)),
        groups=groups,
        resumed=max(0, len(sessions) - 1 - len(plan.record.extensions)),
        results_rows=len(_rows(plan, measured)),
        finished=True,
    )
    workdir.write_records(folder, run=records.as_json(run))


def _correctness(
    rows: Sequence[Row], correct: CorrectTable, condition: Condition
) -> protocol.ImageValues:
    classes = len(condition.dataset.class_names)
    return protocol.correctness(rows, correct, condition.name, classes)


def _summary(
    rows: Sequence[Row],
    by_image: protocol.ImageValues | None,
    condition: Condition,
    plan: records.Plan,
) -> list[Row]:
    """Rows of summary.csv of one condition."""
    study, data = condition.study, plan.data[condition.name]
    ratio = data.test / data.train if study.images.resample_split else 0.0
    metric = METRICS[study.metric]
    summary = protocol.summarize(
        rows, study.baseline, condition.name, ratio, by_image, metric, pairs=study.comparisons
    )
    return [row for row in summary if row['baseline'] == study.baseline]


def _seconds(groups: Sequence[GroupRecord]) -> dict[str, float]:
    return dict(
        compile=round(sum(group.compile_seconds for group in groups), 3),
        train=round(sum(group.train_seconds for group in groups), 3),
        evaluate=round(sum(group.evaluate_seconds for group in groups), 3),
    )
