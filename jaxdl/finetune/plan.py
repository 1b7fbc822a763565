"""Plan of a fine-tuning: plan.json before the first step, and its outline for --mode=plan."""

import dataclasses

import jax

from jaxdl import workdir
from jaxdl.config.experiment import FineTune
from jaxdl.config.overrides import check
from jaxdl.data import bursts
from jaxdl.finetune import artifacts, estimate, evidence, loop, networks, phases, probe, setup
from jaxdl.finetune.artifacts import Unlabelled
from jaxdl.finetune.phases import Phase
from jaxdl.finetune.records import FineTuneRun
from jaxdl.finetune.setup import Backbone
from jaxdl.runtime import distributed, machine, provenance, speed
from jaxdl.workdir import records
from jaxdl.workdir.checksums import checksum
from jaxdl.workdir.records import FineTunePlan, ModelPlan


def describe(experiment: FineTune) -> list[str]:
    """Describe a run in lines of text, without training or extraction of features."""
    experiment = check(experiment)
    setup.check_settings(experiment)
    network, dataset = setup.load_backbone(experiment), setup.load_images(experiment)
    experiment = setup.set_sizes(experiment, network, dataset)
    recipe, batch_size = experiment.finetune, experiment.variant.batch_size
    train, exact = bursts.count_train(dataset, experiment.data)
    per_epoch, about = max(1, train // batch_size), '' if exact else 'about '
    architecture, unlabelled = network.module.architecture, artifacts.find_unlabelled(experiment)
    to_predict = f'; {len(unlabelled.ids):,} to predict' if unlabelled else ''
    training = training_phases(experiment, per_epoch)
    lines = [
        f'data      {dataset.description}{to_predict}',
        f'network   {architecture.name}, {_parameters(network):,} parameters without head, '
        f'{architecture.features:,} features',
        f'probe     {probe.count_heads(experiment)} heads at once on features of '
        f'{setup.probe_size(experiment, network)} px',
    ]
    lines += [
        f'finetune  steps {phase.start} to {about}{phase.stop} at {phase.size} px, '
        f'{batch_size} images each: {phase.learns} learn'
        for phase in training
    ]
    if training and not exact:
        lines.append(
            '          the features find bursts of photographs, which the split keeps whole'
        )
    runs = recipe.folds * recipe.seeds
    if runs > 1:
        lines.append(f'          {runs} such runs')
    if recipe.refit_epochs and recipe.folds == 1:
        lines.append(
            f'          then {recipe.refit_epochs} epochs of all images, those of validation too'
        )
    images, classes = len(dataset.labels), len(dataset.class_names)
    seconds = estimate.estimate_seconds(experiment, network, images, train, classes, training)
    times = list(map(speed.format_seconds, seconds))
    parts = f'probe {times[0]}' + (f', finetune {times[1]}' if training else '')
    devices = provenance.describe_devices()
    lines.append(
        f'about     {parts} on {devices.count} x {devices.kind} ({machine.usable_cores()} cores), '
        'without decoding and compilation'
    )
    return lines


def write_plan(run: FineTuneRun, unlabelled: Unlabelled | None) -> None:
    """Write plan.json unless an earlier session has."""
    if (run.context.workdir / 'plan.json').exists() or not distributed.is_first():
        return
    experiment, network = run.experiment, run.network
    per_epoch = loop.steps_per_epoch(networks.make_feed(run, run.splits.train, 0))
    plan = training_phases(experiment, per_epoch)
    content = FineTunePlan(
        data=artifacts.data_plan(run, unlabelled),
        model=model_plan(experiment, network),
        steps=dict(per_epoch=per_epoch, total=plan[-1].stop if plan else 0),
        phases=tuple(dataclasses.asdict(phase) for phase in plan),
        heads=probe.count_heads(experiment),
        conv=network.module.lowering,
        devices=provenance.describe_devices(),
        processes=jax.process_count(),
        cores=machine.usable_cores(),
        versions=provenance.collect_versions(),
        defaults=evidence.settings(FineTune()),
    )
    workdir.write_records(run.context.workdir, plan=records.as_json(content))


def model_plan(experiment: FineTune, network: Backbone) -> ModelPlan:
    """The entry of the pretrained network in plan.json."""
    return ModelPlan(
        architecture=network.module.architecture.name,
        weights=experiment.weights,
        revision=network.revision,
        weights_checksum=checksum(network.variables),
        weights_notes=network.notes,
        weights_licence=network.licence,
        train_size=experiment.finetune.train_size if 'finetune' in experiment.stages else 0,
        eval_size=setup.evaluation_size(experiment, network),
        parameters=_parameters(network),
        features=network.module.architecture.features,
        preprocessing=network.module.preprocessing,
    )


def training_phases(experiment: FineTune, per_epoch: int) -> list[Phase]:
    """Phases of the training of a network; none for a probe alone.

    Args:
      experiment: the fine-tuning.
      per_epoch: steps per epoch.
    """
    if 'finetune' not in experiment.stages:
        return []
    return phases.phases(experiment.finetune, per_epoch)


def _parameters(network: Backbone) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(network.variables['params']))
