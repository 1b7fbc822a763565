"""The plan of an ablation of a fine-tuning: images, splits, and the networks of the options.

The splits may keep bursts of photographs together, which the features of the network find. They are
drawn once and written to artifacts/, where a resumed run reads them.
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxdl import workdir
from jaxdl.ablation import planning
from jaxdl.ablation.planning import RESTART, Condition, Group, StudyPlan
from jaxdl.config import registry
from jaxdl.config.experiment import Ablation, FineTune
from jaxdl.config.load import component_names
from jaxdl.config.overrides import option_finetune, override
from jaxdl.config.recipe import Probe, Recipe
from jaxdl.data import Data, Dataset, Splits, bursts
from jaxdl.data.loading import resolve_split
from jaxdl.ensemble import Member
from jaxdl.errors import InputError
from jaxdl.finetune import plan, probe, setup
from jaxdl.finetune.setup import Backbone
from jaxdl.runtime import machine, provenance
from jaxdl.statistics import protocol
from jaxdl.train import masks
from jaxdl.train.settings import TrainSettings
from jaxdl.train.variant import Variant
from jaxdl.workdir import records
from jaxdl.workdir.checksums import checksum
from jaxdl.workdir.records import GroupPlan

PARTS = ('train', 'val', 'test')
# Fields of a fine-tuning that decide on its pretrained network.
OF_NETWORK = ('weights', 'revision', 'architecture', 'network', 'conv')


@dataclasses.dataclass(frozen=True)
class FineTuneCondition(Condition):
    """A condition of an ablation of a fine-tuning; a group is the runs of an option.

    Attributes:
      experiments: option -> its fine-tuning, with all settings.
      networks: option -> its pretrained network.
    """

    experiments: Mapping[str, FineTune] = dataclasses.field(default_factory=dict)
    networks: Mapping[str, Backbone] = dataclasses.field(default_factory=dict)


def pin_revision(ablation: Ablation, folder: pathlib.Path, overwrite: bool) -> Ablation:
    """The study with the commit of the weights of its base on the hub."""
    assert ablation.base is not None
    for overrides in ablation.conditions.values():  # before the hub is asked
        study = override(ablation, overrides)
        for option in study.options:
            setup.check_settings(option_finetune(study, option))
    base = setup.pin_revision(ablation.base, folder, overwrite)
    return dataclasses.replace(ablation, base=base)


def make_plan(ablation: Ablation) -> StudyPlan:
    """Load networks and images, and draw the splits of a study.

    Args:
      ablation: a checked experiment with a base.

    Returns:
      The plan; its record and its splits are to be written before the first step.

    Raises:
      InputError: weights, images or settings cannot be used.
    """
    conditions = []
    for condition in _load_conditions(ablation):
        first = _base_option(condition)
        experiment = condition.experiments[first]
        seeds = protocol.seed_numbers(condition.study.seeds)
        numbers = seeds if experiment.data.resample_split else (0,)
        features = setup.extract_features(experiment, condition.dataset, condition.networks[first])
        dataset, splits = condition.dataset, {}
        for number in numbers:
            dataset, splits[number] = bursts.split(
                condition.dataset, experiment.data, features, number
            )
        planning.check_metrics(condition.study, dataset, splits.values())
        conditions.append(_with_groups(condition, dataset, splits))
    return StudyPlan(ablation, tuple(conditions), _record(ablation, conditions))


def resume_plan(ablation: Ablation, record: records.Plan, folder: pathlib.Path) -> StudyPlan:
    """The plan of a run from its workdir.

    Args:
      ablation: the experiment of the run.
      record: content of plan.json.
      folder: the workdir.

    Raises:
      InputError: images, weights or splits are not those that the run began with.
    """
    conditions = []
    for number, condition in enumerate(_load_unchanged(ablation, record)):
        groups, splits = _read_splits(folder / split_file(number))
        dataset = dataclasses.replace(condition.dataset, groups=groups)
        conditions.append(_with_groups(condition, dataset, splits))
    return StudyPlan(ablation, tuple(conditions), record)


def check_data(ablation: Ablation, record: records.Plan) -> None:
    """Compare images and weights of a finished run with those of plan.json.

    Raises:
      InputError: one of them has changed since the run began.
    """
    _load_unchanged(ablation, record)


def split_file(number: int) -> str:
    """File of the splits of a condition in the workdir."""
    return f'artifacts/{number}/splits.npz'


def write_splits(folder: pathlib.Path, study: StudyPlan) -> None:
    """Write the splits of all conditions."""
    for number, condition in enumerate(study.conditions):
        arrays = dict(groups=np.asarray(condition.dataset.groups or ()))
        for split, indices in condition.splits.items():
            arrays |= {f'{part}_{split}': getattr(indices, part) for part in PARTS}
            arrays[f'drawn_{split}'] = np.asarray(indices.drawn)
        workdir.write_arrays(folder / split_file(number), arrays)
    workdir.record(folder, [split_file(number) for number in range(len(study.conditions))])


def describe(ablation: Ablation) -> str:
    """Describe a study in lines of text, without training or extraction of features."""
    lines = [f'{ablation.name}: {ablation.question}']
    for condition in _load_conditions(ablation):
        experiment = condition.experiments[_base_option(condition)]
        network = condition.networks[_base_option(condition)]
        _, shares = resolve_split(condition.dataset, experiment.data)
        train, _ = bursts.count_train(condition.dataset, experiment.data)
        sizes = ', '.join(
            f'{100 * share:.3g} % {part}' for share, part in zip(shares, PARTS, strict=True)
        )
        model = plan.model_plan(experiment, network)
        lines += [
            '',
            f'{condition.name or "data"}: {condition.dataset.description}; {sizes}',
            f'network: {model.architecture}, {model.parameters:,} parameters without head, '
            f'{model.features:,} features',
            f'probe: {probe.count_heads(experiment)} heads at once, for each seed; features of '
            f'{setup.probe_size(experiment, network)} px, computed once',
            '',
            f'{"option":24}{"runs":>6}{"steps":>8}{"batch":>7}{"trained parameters":>20}  pixels',
        ]
        lines += [
            _option(option, condition, train // fields.variant.batch_size)
            for option, fields in condition.experiments.items()
        ]
    count = len(ablation.options) * len(protocol.seed_numbers(ablation.seeds))
    lines += [
        '',
        f'{count * len(ablation.conditions)} runs, one after another, paired by seed. '
        'Settings are fixed: nothing is tuned per option.',
    ]
    return '\n'.join(lines)


def count_trained(experiment: FineTune, network: Backbone, classes: int) -> int:
    """Number of parameters that learn: those of the head, and of the stages that are not frozen."""
    _, variables = setup.add_head(network, setup.zero_head(network, classes))
    params = variables['params']
    if 'finetune' not in experiment.stages:
        return sum(leaf.size for leaf in jax.tree.leaves(params['head']))
    frozen = masks.mask_frozen(params, experiment.finetune.frozen)
    sizes = jax.tree.map(lambda leaf, fixed: 0 if fixed else leaf.size, params, frozen)
    return sum(jax.tree.leaves(sizes))


def _option(option: str, condition: FineTuneCondition, per_epoch: int) -> str:
    experiment = condition.experiments[option]
    phases = plan.training_phases(experiment, max(1, per_epoch))
    steps = f'{phases[-1].stop:,}' if phases else 'probe'
    sizes = ', '.join(dict.fromkeys(str(phase.size) for phase in phases))
    evaluated = setup.evaluation_size(experiment, condition.networks[option])
    pixels = f'{sizes}; evaluation {evaluated}' if sizes else f'{evaluated}'
    batch = f'{experiment.variant.batch_size:7}' if phases else f'{"":7}'
    learn = count_trained(
        experiment, condition.networks[option], len(condition.dataset.class_names)
    )
    seeds = len(protocol.seed_numbers(condition.study.seeds))
    return f'{option:24}{seeds:6}{steps:>8}{batch}{learn:20,}  {pixels}'


def _base_option(condition: FineTuneCondition) -> str:
    """The option whose network finds the bursts: the baseline."""
    return condition.study.baseline


def _load_conditions(ablation: Ablation) -> list[FineTuneCondition]:
    """Conditions with images and networks, without splits; no file is read twice."""
    datasets: dict[Any, Dataset] = {}
    networks: dict[Any, Backbone] = {}
    conditions = []
    for name, overrides in ablation.conditions.items():
        study = override(ablation, overrides)
        assert study.base is not None
        experiments = {option: option_finetune(study, option) for option in study.options}
        loaded = {}
        for option, experiment in experiments.items():
            setup.check_settings(experiment)
            loaded[option] = _load_network(experiment, networks)
        source = planning.source_of(study.images)
        if source not in datasets:
            datasets[source] = setup.load_images(study.base)
        dataset = datasets[source]
        for option, experiment in experiments.items():
            experiments[option] = setup.set_sizes(experiment, loaded[option], dataset)
        conditions.append(
            FineTuneCondition(
                name, study, dataset, {}, (), experiments=experiments, networks=loaded
            )
        )
    return conditions


def _load_network(experiment: FineTune, loaded: dict[Any, Backbone]) -> Backbone:
    """The network of an option, from `loaded` where another option has the same."""
    key = tuple(getattr(experiment, name) for name in OF_NETWORK), experiment.finetune.remat
    if key not in loaded:
        loaded[key] = setup.load_backbone(experiment)
    setup.check_frozen(experiment, loaded[key].variables)
    setup.check_sizes(experiment, loaded[key].module.architecture)
    return loaded[key]


def _load_unchanged(ablation: Ablation, record: records.Plan) -> list[FineTuneCondition]:
    """`_load_conditions`, compared with the checksums in plan.json."""
    conditions = _load_conditions(ablation)
    for condition in conditions:
        if condition.name not in record.data:
            raise InputError(
                f'plan.json has no data for the condition {condition.name!r}: {RESTART}'
            )
        planned = record.data[condition.name].checksum
        if condition.dataset.checksum() != planned:
            raise InputError(
                f'data set {condition.dataset.name} has changed since the run began: {RESTART}'
            )
        for option, network in condition.networks.items():
            model = (record.models or {}).get(condition.name, {}).get(option)
            if model is None or model.weights_checksum != checksum(network.variables):
                weights = condition.experiments[option].weights
                raise InputError(f'weights {weights} have changed since the run began: {RESTART}')
    return conditions


def _read_splits(path: pathlib.Path) -> tuple[tuple[str, ...] | None, dict[int, Splits]]:
    """Groups of the images and the splits by their numbers.

    Raises:
      InputError: the file is missing or damaged.
    """
    try:
        arrays = workdir.read_arrays(path, RESTART)
    except FileNotFoundError:
        raise InputError(f'{path} is missing: {RESTART}') from None
    numbers = [int(name.removeprefix('train_')) for name in arrays if name.startswith('train_')]
    splits = {
        number: Splits(
            train=arrays[f'train_{number}'],
            val=arrays[f'val_{number}'],
            test=arrays[f'test_{number}'],
            drawn=str(arrays[f'drawn_{number}']),
        )
        for number in numbers
    }
    return tuple(map(str, arrays['groups'])) or None, splits


def _record(ablation: Ablation, conditions: list[FineTuneCondition]) -> records.Plan:
    """Content of plan.json."""
    defaults = dict(variant=TrainSettings(), data=Data(), finetune=Recipe(), probe=Probe())
    models = {
        condition.name: {
            option: plan.model_plan(experiment, condition.networks[option])
            for option, experiment in condition.experiments.items()
        }
        for condition in conditions
    }
    return records.Plan(
        data={
            condition.name: planning.data_plan(condition.dataset, list(condition.splits.values()))
            for condition in conditions
        },
        devices=provenance.describe_devices(),
        cores=machine.usable_cores(),
        versions=provenance.collect_versions(),
        groups=tuple(group.plan for condition in conditions for group in condition.groups),
        registered=registry.find_files(component_names(ablation)),
        sources=registry.find_sources(ablation.name, component_names(ablation)),
        metrics=planning.metric_plans(ablation),
        defaults={name: dataclasses.asdict(record) for name, record in defaults.items()},
        models=models,
    )


def _with_groups(
    condition: FineTuneCondition, dataset: Dataset, splits: Mapping[int, Splits]
) -> FineTuneCondition:
    """The condition with its images in groups, its splits, and the runs of each option."""
    condition = dataclasses.replace(condition, dataset=dataset, splits=splits)
    groups = tuple(_group(condition, option) for option in condition.experiments)
    return dataclasses.replace(condition, groups=groups)


def _group(condition: FineTuneCondition, option: str) -> Group:
    """The runs of an option: one at a time, with one compiled program per phase."""
    experiment, seeds = condition.experiments[option], protocol.seed_numbers(condition.study.seeds)
    splits = condition.splits[min(condition.splits)]
    batch_size = experiment.variant.batch_size
    phases = plan.training_phases(experiment, max(1, len(splits.train) // batch_size))
    variant = Variant(learning_rate=experiment.variant.learning_rate)
    members = tuple(
        Member(option, seed, variant, seed if seed in condition.splits else 0) for seed in seeds
    )
    entry = GroupPlan(
        condition=condition.name,
        phase='measure',
        options=(option,),
        members=len(seeds),
        steps=phases[-1].stop if phases else 0,
        batch_size=batch_size,
        sides=(1, 1),
        chunks=len(seeds),
        limit=1,
        cores=1,
        member_bytes=0,
        conv=condition.networks[option].module.lowering,
    )
    return Group(members, entry)
