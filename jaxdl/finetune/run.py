"""A fine-tuning from its weights to its submission: probe, then all layers.

Then what they say of new images.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxdl import workdir
from jaxdl.config.experiment import FineTune
from jaxdl.config.load import as_dict
from jaxdl.config.overrides import check
from jaxdl.data import Dataset, Splits, bursts
from jaxdl.data.batches import Feed
from jaxdl.errors import warn
from jaxdl.finetune import artifacts, finish, loop, phases, probe, setup
from jaxdl.finetune.loop import RunContext, TrainedNetwork, TrainingJob
from jaxdl.finetune.probe import ProbeResult
from jaxdl.finetune.records import Final, Work
from jaxdl.finetune.setup import Backbone
from jaxdl.inference import model_file
from jaxdl.models.resnet import ResNet
from jaxdl.runtime import distributed, machine, progress, sharding, signals, tracking
from jaxdl.runtime import provenance as facts_of
from jaxdl.statistics import classification
from jaxdl.train import averaging
from jaxdl.workdir import journal, tables
from jaxdl.workdir.checksums import checksum
from jaxdl.workdir.tables import Results


def run(
    experiment: FineTune, folder: pathlib.Path, *, overwrite: bool = False, command: str = ''
) -> Results:
    """Runs `experiment` in `folder`, or goes on with it; ends in a checkpoint.

    Predictions and a report.

    Raises:
      InputError: the experiment, the images, the weights or the workdir are not usable; nothing is
        written over.
      Interrupted: SIGINT or SIGTERM came; the same call resumes.
      NotFinite: the loss is no number any more; what was saved before stays.
    """
    experiment = check(experiment)
    whole = not overwrite and finished(folder)
    if not whole:
        setup.check(experiment)
    experiment = setup.pin_revision(experiment, folder, overwrite)
    config = as_dict(experiment)
    resumes = not overwrite and workdir.resumes(folder, config)
    if not resumes or not whole:
        network, dataset = setup.backbone(experiment), setup.images_of(experiment)
        unlabelled = artifacts.unlabelled(experiment)
        if overwrite and distributed.first():
            workdir.clear(folder)
        distributed.wait('cleared')
        if distributed.first():
            workdir.begin(folder, config=config)
        _train(experiment, folder, network, dataset, unlabelled, command)
    if distributed.first():
        from jaxdl import report  # matplotlib takes a second to import

        report.build(folder)
    distributed.wait('reported')
    return read(folder)


def outline(experiment: FineTune) -> list[str]:
    """What a run would do, in lines; nothing is trained, and no image goes through the network."""
    experiment = check(experiment)
    setup.check(experiment)
    network, dataset = setup.backbone(experiment), setup.images_of(experiment)
    recipe, own = experiment.finetune, experiment.variant
    share = sum(experiment.data.fractions[:2]) - experiment.data.fractions[1]
    per_epoch = max(1, int(share * len(dataset.labels)) // own.batch_size)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(network.variables['params']))
    row, unlabelled = network.module.architecture, artifacts.unlabelled(experiment)
    lines = [
        f'data      {dataset.description}'
        + (f'; {len(unlabelled.ids):,} to predict' if unlabelled else ''),
        f'network   {row.name}, {parameters:,} parameters without head, {row.features:,} features',
        f'probe     {probe.members(experiment)} heads at once on features of {_probe_size(experiment, network)} px',
    ]
    if 'finetune' in experiment.stages:
        words = 'finetune  steps {0.start} to {0.stop} at {0.size} px, {1} images each: {0.learns} learn'
        lines += [words.format(phase, own.batch_size) for phase in phases.phases(recipe, per_epoch)]
    runs, again = recipe.folds * recipe.seeds, recipe.refit_epochs * (recipe.folds == 1)
    lines += [f'          {runs} such runs'] * (runs > 1)
    return [
        *lines,
        *[f'          then {again} epochs of all images, those of validation too'] * (again > 0),
    ]


def finished(folder: pathlib.Path) -> bool:
    """Whether the run in a workdir has come to its end.

    And its files and its networks are what it wrote.
    """
    if not workdir.finished(folder):
        return False
    lost = workdir.damaged(folder / model_file.FINAL)
    if lost:
        warn(f'{folder / model_file.FINAL / lost[0]} {workdir.NOT_AS_WRITTEN}: it is made anew')
    return not lost


def read(folder: pathlib.Path) -> Results:
    """The table of a finished run, and what it reached."""
    held = workdir.read_json(folder / 'run.json')
    reached, notes = [dict(own, stage=stage) for stage, own in held['scores'].items()], []
    if 'submission' in held:
        notes.append(
            f'submission: {folder / held["submission"]["file"]}, {held["submission"]["rows"]:,} images'
        )
    table = tables.read_table(folder / 'results.csv', tables.RESULTS)
    return Results(table, [], folder, notes=notes, scores=reached)


def _train(
    experiment: FineTune,
    folder: pathlib.Path,
    network: Backbone,
    dataset: Dataset,
    unlabelled: artifacts.Unlabelled | None,
    command: str,
) -> None:
    facts, first = facts_of.about(command), distributed.first()
    trackers = experiment.trackers if first else ()
    with (
        signals.deferred() as interrupted,
        progress.fine() as show,
        tracking.begin(folder, trackers) as tell,
    ):
        note = tracking.tracked(
            journal.open_journal(folder, show) if first else journal.silent, tell
        )
        note('start')
        with signals.at_once():  # pieces of features are kept, and nothing else is there to be lost
            setup.check_unchanged(dataset, network, folder)
            unlabelled = artifacts.decoded(
                unlabelled, dataset
            )  # before hours are spent: a bad one ends the run
            dataset, parts, features = setup.split(experiment, dataset, network, folder)
        size = (
            experiment.finetune.eval_size
            if 'finetune' in experiment.stages
            else _probe_size(experiment, network)
        )
        said = setup.about(experiment, dataset, parts, network, size)
        session = RunContext(
            folder, note, interrupted, experiment.checkpoint_seconds, said, sharding.data_mesh()
        )
        work = Work(experiment, session, network, dataset, parts, features, said)
        _plan(work, unlabelled)
        if first:
            workdir.begin(folder, run=facts | dict(finished=False))
        found = _probe(work)
        fitted = _fit(work, found) if 'finetune' in experiment.stages else []
        final = _tuned(work, fitted) if fitted else _probed(work, found)
        finish.close(work, final, found, fitted, unlabelled, facts)


def _probe_size(experiment: FineTune, network: Backbone) -> int:
    return experiment.probe.probe_size or network.module.preprocessing.size


def _plan(work: Work, unlabelled: artifacts.Unlabelled | None) -> None:
    """plan.json, written once: what is chosen stands before the first step."""
    if (work.session.workdir / 'plan.json').exists() or not distributed.first():
        return
    experiment, parts, dataset, network = work.experiment, work.parts, work.dataset, work.network
    feed = _feed(work, parts.train, 0)
    per_epoch, devices = loop.steps_per_epoch(feed), facts_of.devices()
    counts = {part: len(getattr(parts, part)) for part in ('train', 'val', 'test')}
    model = dict(
        architecture=network.module.architecture.name,
        weights=experiment.weights,
        revision=network.revision,
        weights_checksum=checksum(network.variables),
        eval_size=work.said['eval_size'],
        parameters=sum(leaf.size for leaf in jax.tree.leaves(network.variables['params'])),
        features=network.module.architecture.features,
        preprocessing=work.said['preprocessing'],
    )
    data = (
        artifacts.data(dataset, parts)
        | counts
        | dict(unlabelled=len(unlabelled.ids) if unlabelled else 0)
    )
    plan = phases.phases(experiment.finetune, per_epoch) if 'finetune' in experiment.stages else []
    workdir.begin(
        work.session.workdir,
        plan=dict(
            data=data,
            model=model,
            steps=dict(per_epoch=per_epoch, total=plan[-1].stop if plan else 0),
            phases=[dataclasses.asdict(phase) for phase in plan],
            heads=probe.members(experiment),
            conv=network.module.lowering,
            devices=devices,
            processes=jax.process_count(),
            cores=machine.usable_cores(),
            versions=facts_of.versions(),
        ),
    )


def _probe(work: Work) -> ProbeResult:
    """The linear heads: fitted, or read where an earlier session had them."""
    top = work.session.workdir
    folder, shown_of = (
        top / 'checkpoints' / 'done' / 'probe',
        ('artifacts/probe.csv', 'artifacts/split.json'),
    )
    lost = workdir.damaged(
        top, shown_of
    )  # by an earlier session, which a later one would take as it is
    held = None if lost else artifacts.read_probe(folder)
    if held:
        return held
    if lost:
        warn(f'{top / lost[0]} {workdir.NOT_AS_WRITTEN}: the probe is fitted again')
    hooks: dict[str, Any] = dict(
        note=work.session.note, interrupted=distributed.together(work.session.interrupted)
    )
    found = probe.run(work.experiment, work.dataset, work.parts, work.features, **hooks)
    found = distributed.agreed_record(found)
    doubt = probe.doubt(work.experiment, work.dataset, work.parts, work.features, found, **hooks)
    if distributed.first():
        tables.write_table(top / shown_of[0], probe.COLUMNS, found.rows)
        workdir.write_json(
            top / shown_of[1], bursts.facts(work.dataset, work.parts) | dict(doubt=doubt)
        )
        workdir.record(top, shown_of)
    artifacts.write_probe(folder, found)
    return found


def _feed(work: Work, indices: np.ndarray, seed: int) -> Feed:
    own, recipe = work.experiment.variant, work.experiment.finetune
    return Feed(
        work.dataset.images,
        work.dataset.labels,
        indices,
        own.batch_size,
        seed,
        recipe.imbalance == 'balanced',
    )


def _tasks(work: Work) -> list[tuple[TrainingJob, np.ndarray]]:
    """Every run, folds then seeds, with the images that it is validated on."""
    recipe, parts, labels = work.experiment.finetune, work.parts, work.dataset.labels
    known = np.union1d(parts.train, parts.val)
    held = [parts.val]
    if recipe.folds > 1:
        groups = np.asarray(work.dataset.groups or np.arange(len(labels)))[known]
        held = [
            known[own]
            for own in bursts.folds(
                labels[known], groups, recipe.folds, work.experiment.data.split_seed
            )
        ]
    found = []
    for fold, val in enumerate(held):
        train = np.setdiff1d(known, val)
        for seed in range(recipe.seeds):
            named = [f'fold {fold + 1}'] * (recipe.folds > 1) + [f'seed {seed}'] * (
                recipe.seeds > 1
            )
            name = ', '.join(['finetune', *named])
            found.append(
                (
                    TrainingJob(
                        name,
                        _feed(work, train, seed),
                        artifacts.class_shares(work, train),
                        None,
                        labels[val],
                    ),
                    val,
                )
            )
    return found


def _fit(work: Work, found: ProbeResult) -> list[tuple[TrainedNetwork, np.ndarray]]:
    """Every run of the fine-tuning, with the images that it was validated on."""
    recipe = work.experiment.finetune
    said, fitted = work.said | dict(views='none'), []
    for task, val in _tasks(work):
        head = _start(work, found, task.feed.indices, val)
        network, head = setup.scaled(work.network, head, work.features[task.feed.indices])
        module, variables = setup.with_head(network, head)

        def evaluate(
            own: Mapping[str, Any], val: np.ndarray = val, module: ResNet = module
        ) -> np.ndarray:
            own = jax.tree.map(np.asarray, own)
            return setup.answers(module, [own], said, work.dataset.images, val)

        task = dataclasses.replace(task, evaluate=evaluate)
        fitted.append(
            (
                loop.train_network(
                    work.session, task, module, variables, work.experiment.variant, recipe
                ),
                val,
            )
        )
    return fitted


def _start(
    work: Work, found: ProbeResult, train: np.ndarray, val: np.ndarray
) -> dict[str, np.ndarray]:
    """The head that a run begins with.

    It has seen none of the images that the run is validated on.
    """
    recipe = work.experiment.finetune
    if recipe.start != 'probe':
        return setup.zeros(work.network, len(work.dataset.class_names))
    if recipe.folds == 1:
        return found.head_train_only
    return distributed.agreed(
        probe.head_of(
            work.experiment,
            work.dataset,
            Splits(np.sort(train), val, val[:0]),
            work.features,
            found,
        )
    )


def _probed(work: Work, found: ProbeResult) -> Final:
    """The probe as a network: the head of all images is kept.

    That of the training images was validated.
    """
    _, variables = setup.with_head(work.network, found.head)
    adjustment = found.adjustments.tolist() if found.adjustment else []
    said = work.said | dict(
        adjustment=adjustment, views='flip' if work.experiment.probe.flips else 'none'
    )
    indices, logits, part = work.parts.val, found.val_logits - found.adjustments, 'val'
    if len(work.parts.test):
        said |= dict(
            temperature=classification.fit_temperature(
                classification.log_softmax(logits), work.dataset.labels[indices]
            )
        )
        indices, part = work.parts.test, 'test'
        logits = probe.log_probabilities(found.head, work.features[indices]) - found.adjustments
    return Final(
        [variables], said, np.asarray(classification.log_softmax(logits), np.float32), indices, part
    )


def _tuned(work: Work, fitted: Sequence[tuple[TrainedNetwork, np.ndarray]]) -> Final:
    """The networks of all runs: averaged by what they say, or as a soup of their weights."""
    experiment, images = work.experiment, work.dataset.images
    module = work.network.module.clone(num_classes=len(work.dataset.class_names))
    members = [run.variables for run, _ in fitted]
    if experiment.finetune.average == 'soup' and len(members) > 1:
        members = [_soup(work, module, members)]
    indices, part = work.parts.val, 'val'
    if experiment.finetune.folds > 1:  # each image by the network that has not seen it
        folds = [
            fitted[i : i + experiment.finetune.seeds]
            for i in range(0, len(fitted), experiment.finetune.seeds)
        ]
        indices, part = np.concatenate([runs[0][1] for runs in folds]), 'folds'
        each = [
            setup.answers(module, [own.variables for own, _ in runs], work.said, images, runs[0][1])
            for runs in folds
        ]
        logits = np.concatenate(each)
    else:
        logits = setup.answers(module, members, work.said, images, indices)
    if len(work.parts.test):
        temperature = classification.fit_temperature(logits, work.dataset.labels[indices])
        indices, part, members = work.parts.test, 'test', _refitted(work, module, members)
        logits = setup.answers(module, members, work.said, images, indices)
        return Final(members, work.said | dict(temperature=temperature), logits, indices, part)
    return Final(_refitted(work, module, members), work.said, logits, indices, part)


def _refitted(work: Work, module: ResNet, members: list[Any]) -> list[Any]:
    """The networks after a few epochs more, of the images too that have judged them.

    By the schedule, from its start.

    Of folds each image has been learnt from by some network.
    """
    recipe, known = work.experiment.finetune, np.union1d(work.parts.train, work.parts.val)
    if not recipe.refit_epochs or recipe.folds > 1:
        return members
    short = dataclasses.replace(
        recipe, epochs=recipe.refit_epochs, sizes=(), fix_epochs=0, unfreeze_epochs=0.0, patience=0
    )
    found = []
    for number, member in enumerate(members):
        name = 'finetune, all images' + f', network {number + 1}' * (len(members) > 1)
        feed = _feed(work, known, recipe.seeds + number)  # an order that no run before has had
        task = TrainingJob(name, feed, artifacts.class_shares(work, known), None, None)
        found.append(
            loop.train_network(
                work.session, task, module, member, work.experiment.variant, short
            ).variables
        )
    return found


def _soup(work: Work, module: Any, members: Sequence[Any]) -> Any:
    labels = work.dataset.labels[work.parts.val]

    def score(variables: Any) -> float:
        own = jax.tree.map(np.asarray, variables)
        logits = setup.answers(
            module, [own], work.said | dict(views='none'), work.dataset.images, work.parts.val
        )
        return loop.metric_of(classification.scores(logits, labels), work.experiment.finetune)

    variables, chosen = averaging.soup(list(members), score)
    work.session.note('soup', chosen=[int(i) for i in chosen])
    return jax.tree.map(np.asarray, variables)
