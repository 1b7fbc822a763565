"""A fine-tuning from pretrained weights to predictions: probe, training, final steps, report."""

import pathlib
from typing import Any

from jaxdl import workdir
from jaxdl.config.experiment import FineTune
from jaxdl.config.load import as_dict
from jaxdl.config.overrides import check
from jaxdl.data import Dataset, bursts
from jaxdl.errors import warn
from jaxdl.finetune import artifacts, finish, label_issues, networks, plan, probe, setup
from jaxdl.finetune.artifacts import Unlabelled
from jaxdl.finetune.loop import RunContext
from jaxdl.finetune.probe import ProbeResult
from jaxdl.finetune.records import FineTuneRun
from jaxdl.finetune.setup import Backbone
from jaxdl.inference import model_file
from jaxdl.runtime import distributed, progress, provenance, sharding, signals, tracking
from jaxdl.workdir import journal, records, tables
from jaxdl.workdir.records import RunRecord
from jaxdl.workdir.tables import Results

PROBE_FILES = ('artifacts/probe.csv', 'artifacts/split.json')


def run(
    experiment: FineTune, folder: pathlib.Path, *, overwrite: bool = False, command: str = ''
) -> Results:
    """Run an experiment in a workdir, or resume it, and write its report.

    Args:
      experiment: its settings.
      folder: the workdir.
      overwrite: remove an earlier run first.
      command: the command line, for run.json.

    Returns:
      The table of the run and its scores.

    Raises:
      InputError: the experiment, the images, the weights or the workdir are not usable; nothing is
        overwritten.
      Interrupted: SIGINT or SIGTERM came; the same call resumes.
      NotFinite: the loss is not finite any more; checkpoints from before stay.
    """
    experiment = check(experiment)
    complete = not overwrite and is_finished(folder)
    if not complete:
        setup.check_settings(experiment)
    experiment = setup.pin_revision(experiment, folder, overwrite)
    config = as_dict(experiment)
    resumes = not overwrite and workdir.holds_run(folder, config)
    if not resumes or not complete:
        network, dataset = setup.load_backbone(experiment), setup.load_images(experiment)
        experiment = setup.set_sizes(experiment, network, dataset)
        unlabelled = artifacts.find_unlabelled(experiment)
        if distributed.is_first():
            setup.warn_of_upscaling(experiment, network, dataset)
        if overwrite and distributed.is_first():
            workdir.clear(folder)
        distributed.wait('cleared')
        if distributed.is_first():
            workdir.write_records(folder, config=config)
        _run_stages(experiment, folder, network, dataset, unlabelled, command)
    if distributed.is_first():
        from jaxdl import report  # matplotlib takes a second to import

        report.build(folder)
    distributed.wait('reported')
    return read(folder)


def is_finished(folder: pathlib.Path) -> bool:
    """Whether the run in a workdir is finished, and its files and networks are undamaged."""
    if not workdir.is_finished(folder):
        return False
    damaged = workdir.find_damaged(folder / model_file.FINAL)
    if damaged:
        warn(f'{folder / model_file.FINAL / damaged[0]} {workdir.NOT_AS_WRITTEN}: it is made again')
    return not damaged


def read(folder: pathlib.Path) -> Results:
    """The table and the scores of a finished run."""
    record = records.read(folder / 'run.json', RunRecord)
    entries = dict(record.scores or {})
    # The probe is compared on the images of the final network.
    entries['probe'] = entries.pop('probe_compared', entries.get('probe'))
    scores = [dict(values, stage=stage) for stage, values in entries.items() if values]
    notes, submission = [], record.submission
    if submission:
        notes = [f'submission: {folder / submission["file"]}, {submission["rows"]:,} images']
        if submission.get('unread'):
            notes.append(
                f'the submission has the most frequent class, {submission["unread_as"]}, for '
                f'{submission["unread"]:,} images that cannot be read'
            )
    table = tables.read_table(folder / 'results.csv', tables.RESULTS)
    return Results(table, [], folder, notes=notes, scores=scores)


def _run_stages(
    experiment: FineTune,
    folder: pathlib.Path,
    network: Backbone,
    dataset: Dataset,
    unlabelled: Unlabelled | None,
    command: str,
) -> None:
    started, first = provenance.collect(command), distributed.is_first()
    with (
        signals.defer_signals() as interrupted,
        progress.show_finetuning() as show,
        tracking.open_trackers(folder, experiment.trackers if first else ()) as tell,
    ):
        note = journal.open_journal(folder, show) if first else journal.ignore_events
        note = tracking.track_journal(note, tell)
        note('start')
        with (
            signals.interrupt_on_signals()
        ):  # extracted features are cached: nothing else could be lost
            setup.check_unchanged(dataset, network, folder)
            # Before the training: an image that cannot be read ends the run.
            unlabelled = artifacts.decode_unlabelled(unlabelled, dataset, experiment.data)
            dataset, splits, features = setup.split_images(experiment, dataset, network, folder)
        card = setup.model_card(experiment, dataset, splits, network)
        seconds, mesh = experiment.checkpoint_seconds, sharding.data_mesh()
        context = RunContext(folder, note, interrupted, seconds, card, mesh)
        run = FineTuneRun(experiment, context, network, dataset, splits, features, card)
        plan.write_plan(run, unlabelled)
        if first:
            workdir.write_records(folder, run=records.as_json(started))
        probe_result = _run_probe(run)
        if 'finetune' in experiment.stages:
            trained = networks.train_networks(run, probe_result)
            final = networks.combine_networks(run, probe_result, trained)
        else:
            trained, final = [], networks.probe_network(run, probe_result)
        finish.finish(run, final, probe_result, trained, unlabelled, started)


def _run_probe(run: FineTuneRun) -> ProbeResult:
    """Fit the linear heads, or read them where an earlier session has."""
    top = run.context.workdir
    folder = top / 'checkpoints' / 'done' / 'probe'
    examines = run.experiment.probe.label_folds > 0
    files = (*PROBE_FILES, *(label_issues.FILES if examines else ()))
    damaged = workdir.find_damaged(top, files)
    if damaged:
        warn(f'{top / damaged[0]} {workdir.NOT_AS_WRITTEN}: the probe is fitted again')
    elif result := artifacts.read_probe(folder):
        return result
    hooks: dict[str, Any] = dict(
        note=run.context.note, interrupted=distributed.make_maximum(run.context.interrupted)
    )
    data = run.dataset, run.splits, run.features
    result = distributed.broadcast_record(probe.run(run.experiment, *data, **hooks))
    uncertainty = probe.score_random_split(run.experiment, *data, result, **hooks)
    issues = label_issues.predict_out_of_fold(run, result, **hooks) if examines else None
    if distributed.is_first():
        tables.write_table(top / PROBE_FILES[0], probe.COLUMNS, result.rows)
        facts = bursts.describe_groups(run.dataset, run.splits) | dict(doubt=uncertainty)
        workdir.write_json(top / PROBE_FILES[1], facts)
        if issues:
            label_issues.write(run, issues)
        workdir.record(top, files)
    artifacts.write_probe(folder, result)
    return result
