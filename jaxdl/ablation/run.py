"""An ablation from its plan to its tables: tune every option, measure on fresh seeds.

Compare with the baseline.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from jaxdl import workdir
from jaxdl.ablation import artifacts, planning, result_rows
from jaxdl.ablation.chunk_files import Outcome
from jaxdl.ablation.chunk_runner import Session, Study, run_groups
from jaxdl.config import registry
from jaxdl.config.experiment import Ablation
from jaxdl.config.load import as_dict, component_names
from jaxdl.config.overrides import check, override
from jaxdl.data import Dataset, Splits, load
from jaxdl.data.on_device import resident
from jaxdl.ensemble import Member, autotune
from jaxdl.errors import InputError, damaged, warn
from jaxdl.models.conv import LOWERINGS
from jaxdl.runtime import distributed, progress, provenance, signals, tracking
from jaxdl.statistics import protocol
from jaxdl.workdir import journal
from jaxdl.workdir import tables as results
from jaxdl.workdir.tables import Results, Row

DAMAGED = ('plan.json is damaged', '--overwrite starts the run anew')
GROWTHS = 2  # how often a grid may grow past an edge that holds the best rate


@dataclasses.dataclass
class Record:
    """What a condition has measured so far."""

    condition: str
    rows: list[Row] = dataclasses.field(default_factory=list)
    entries: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    tested: list[tuple[Member, Outcome]] = dataclasses.field(default_factory=list)
    varied: list[tuple[Member, Outcome]] = dataclasses.field(default_factory=list)
    costs: list[Row] = dataclasses.field(default_factory=list)
    ids: dict[int, list[str]] = dataclasses.field(
        default_factory=dict
    )  # of the test images of each split


def run(
    ablation: Ablation, folder: pathlib.Path, *, overwrite: bool = False, command: str = ''
) -> Results:
    """Runs `ablation` in `folder`, or goes on with it, and writes its tables and its report.

    Raises:
      InputError: the experiment or the workdir is not usable; nothing is written over.
      Interrupted: SIGINT or SIGTERM came; the same call resumes.
    """
    folder, ablation = pathlib.Path(folder), check(ablation)
    tracking.check(ablation.trackers)
    plan = distributed.told(lambda: _frozen_plan(folder, ablation, overwrite))
    if not distributed.told(lambda: workdir.finished(folder)):
        _train(folder, ablation, plan, command)
    if distributed.first():
        from jaxdl import report  # matplotlib takes a second to import

        report.build(folder)
    distributed.wait('reported')
    return read(folder)


def read(folder: pathlib.Path) -> Results:
    """The tables of a finished run."""
    table = results.read_table(folder / 'results.csv', results.RESULTS)
    return Results(table, results.read_table(folder / 'summary.csv', results.SUMMARY), folder)


def _frozen_plan(folder: pathlib.Path, ablation: Ablation, overwrite: bool) -> dict[str, Any]:
    """The plan in the workdir, or a new one.

    Whatever is wrong is found before anything is written or removed.
    """
    config = as_dict(ablation)
    if not overwrite and workdir.resumes(folder, config) and (folder / 'plan.json').exists():
        plan = workdir.read_json(folder / 'plan.json')
        _check_files(folder, plan, ablation)
        _check_data(plan, ablation)
        return plan
    plan = planning.make_plan(ablation)
    if overwrite:
        workdir.clear(folder)
    workdir.begin(folder, config=config, plan=plan)
    return workdir.read_json(folder / 'plan.json')


def _check_data(plan: Mapping[str, Any], ablation: Ablation) -> None:
    with damaged(*DAMAGED):
        held = {condition: plan['data'][condition]['checksum'] for condition in ablation.conditions}
    for condition, overrides in ablation.conditions.items():
        dataset = load(override(ablation, overrides).data)
        if dataset.checksum() != held[condition]:
            raise InputError(
                f'data set {dataset.name} has changed since the run began: --overwrite starts it anew'
            )


def _check_files(folder: pathlib.Path, plan: Mapping[str, Any], ablation: Ablation) -> None:
    """InputError where an unfinished run would go on with another file.

    Of a finished one a line on stderr.
    """
    now, held = registry.files(component_names(ablation)), plan.get('registered', {})
    for name in sorted({*now, *held}):
        if now.get(name) != held.get(name):
            text = f'{name} is not what it was when the run in {folder} began: --overwrite starts it anew'
            if not (folder / 'run.json').exists() or not workdir.read_json(folder / 'run.json').get(
                'finished'
            ):
                raise InputError(text)
            warn(text)


def _check_plan(plan: Mapping[str, Any]) -> None:
    with damaged(*DAMAGED):
        for group in plan['groups']:
            if not {'conv', 'limit', 'cores'} <= set(group) or group['conv'] not in (
                *LOWERINGS,
                autotune.NONE,
            ):
                raise InputError(
                    'plan.json is by another version of jaxdl; --overwrite starts anew'
                )
            why = autotune.refusal(group['conv'], group['members'])
            if why:
                raise InputError(
                    f'plan.json has convolutions by {group["conv"]}, and {why}; --overwrite starts anew'
                )


def _train(folder: pathlib.Path, ablation: Ablation, plan: dict[str, Any], command: str) -> None:
    _check_plan(plan)
    facts, first = provenance.about(command), distributed.first()
    if first:
        workdir.begin(folder, run=facts | dict(finished=False))
    records = []
    trackers = ablation.trackers if first else ()
    with (
        signals.deferred() as interrupted,
        progress.display(plan) as show,
        tracking.begin(folder, trackers) as tell,
    ):
        note = journal.open_journal(folder, show) if first else journal.silent
        note('start')
        session = Session(folder, plan, note, interrupted, ablation.checkpoint_seconds, tell)
        for number, (condition, overrides) in enumerate(ablation.conditions.items()):
            study = override(ablation, overrides)
            dataset = load(study.data)
            splits = planning.splits_of(study, dataset, planning.phases(study, condition))
            records.append(_condition(session, study, dataset, splits, condition, number))
            if first:
                _conclude(records[-1], study, dataset, splits)
                own = folder / 'artifacts' / str(number)
                artifacts.write(
                    own, study, dataset, splits[min(splits)], plan['data'][condition]['findings']
                )
                artifacts.write_probes(own, records[-1].tested)
        note('trained')
    if first:
        _write(folder, ablation, records, plan, facts)


def _conclude(
    record: Record, study: Ablation, dataset: Dataset, splits: Mapping[int, Splits]
) -> None:
    """What a condition cost, and the images that its members were tested on."""
    record.costs = result_rows.cost_rows(study, record.condition, dataset, record.entries)
    record.ids = {own: [dataset.ids[i] for i in parts.test] for own, parts in splits.items()}


def _summary(
    rows: Sequence[Row], ablation: Ablation, record: Record, plan: Mapping[str, Any]
) -> list[Row]:
    """The rows of summary.csv of one condition."""
    study, data = (
        override(ablation, ablation.conditions[record.condition]),
        plan['data'][record.condition],
    )
    ratio = data['test'] / data['train'] if study.data.resample_split else 0.0
    return protocol.summarize(rows, ablation.baseline, [record.condition], ratio)


def _write(
    folder: pathlib.Path,
    ablation: Ablation,
    records: Sequence[Record],
    plan: Mapping[str, Any],
    facts: dict[str, Any],
) -> None:
    """The tables of all conditions, and at last run.json."""
    varied = [
        row
        for record in records
        for row in artifacts.variance_rows(record.condition, record.varied)
    ]
    artifacts.write_variance(folder, varied)
    rows = [row for record in records for row in result_rows.in_order(record.rows, ablation)]
    results.write_table(folder / 'results.csv', results.RESULTS, rows)
    summary = [row for record in records for row in _summary(rows, ablation, record, plan)]
    results.write_table(folder / 'summary.csv', results.SUMMARY, summary)
    results.write_table(
        folder / 'costs.csv', results.COSTS, [row for record in records for row in record.costs]
    )
    tested = [
        (own.condition, member, outcome, own.ids[member.split])
        for own in records
        for member, outcome in own.tested
    ]
    result_rows.write_correct(folder / 'correct.npz', tested)
    workdir.seal(folder)
    entries = [entry for record in records for entry in record.entries]
    workdir.begin(
        folder, run=facts | _spent(folder, entries) | dict(results_rows=len(rows), finished=True)
    )


def _condition(
    session: Session,
    study: Ablation,
    dataset: Dataset,
    splits: Mapping[int, Splits],
    condition: str,
    number: int,
) -> Record:
    """All phases of the protocol under one condition."""
    held = resident(dataset, list(splits.values()))
    data = Study(
        held, tuple(splits), len(dataset.class_names), study.epochs, study.probes, study.metrics
    )
    record = Record(condition)

    def phase(name: str, rates: Mapping[str, Sequence[float]], label: str) -> None:
        found = planning.group(study, condition, name, rates)
        for group, outcomes, entry in run_groups(session, found, data, f'{number}-{label}'):
            record.entries.append(entry)
            done = zip(group.members, outcomes, strict=True)
            if name == 'variance':
                record.varied += done
                continue
            rows = result_rows.result_rows(group, outcomes, data.num_classes)
            record.rows += rows
            tracking.tell_rows(session.tell, rows)
            if name == 'measure':
                record.tested += done

    grids = planning.grids(study)
    best = {option: rates[0] for option, rates in grids.items()}
    growing = grids if len(study.learning_rates) > 1 else {}
    for growth in range(GROWTHS + 1):
        if growing:
            phase('tune', growing, f'tune{growth}')
            means = {
                option: protocol.validation_means(record.rows, option, condition)
                for option in grids
            }
            best = {option: protocol.best_rate(means[option]) for option in grids}
            past = {option: protocol.grow(tuple(means[option]), best[option]) for option in growing}
            growing = {option: (rate,) for option, rate in past.items() if rate}
    phase('measure', {option: (rate,) for option, rate in best.items()}, 'measure')
    if study.variance_study:
        phase('variance', {study.baseline: (best[study.baseline],)}, 'variance')
    return record


def _spent(folder: pathlib.Path, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    seconds = {
        name: round(sum(e[f'{name}_seconds'] for e in entries), 3)
        for name in ('compile', 'train', 'evaluate')
    }
    sessions = journal.sessions(folder)
    return dict(
        seconds=seconds | dict(total=round(sum(sessions), 3)),
        groups=list(entries),
        resumed=len(sessions) - 1,
    )
