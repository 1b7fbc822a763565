"""The plan of an ablation: conditions with data and splits, groups with members and layout.

Everything after the plan takes the plan, not the `Ablation`. A resumed run builds the same plan
from plan.json and chooses nothing.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from jaxdl import statistics
from jaxdl.config import registry
from jaxdl.config.experiment import Ablation, option_variant
from jaxdl.config.load import component_names
from jaxdl.config.overrides import override
from jaxdl.data import Data, Dataset, Splits, audit, decode, load, split
from jaxdl.data.loading import SPLITTING
from jaxdl.data.splits import image_groups
from jaxdl.ensemble import Member, autotune, chunks, group_by_program
from jaxdl.errors import InputError, visible
from jaxdl.models import taken_settings
from jaxdl.models.conv import LOWERINGS
from jaxdl.runtime import machine, provenance
from jaxdl.statistics import protocol, variance
from jaxdl.train import train_step
from jaxdl.workdir import records
from jaxdl.workdir.records import DataPlan, GroupPlan

# Sources of variance, as fields of a Variant.
SOURCES = ('init_offset', 'order_offset', 'noise_offset', 'split_offset')
RESTART = '--overwrite starts the run again'


@dataclasses.dataclass(frozen=True)
class Group:
    """Members that share one compiled program in one phase.

    Attributes:
      members: (variant, seed) runs, at planned or at chosen learning rates.
      plan: its entry in plan.json; of a grid that grew, the entry of the group that it belongs to.
    """

    members: tuple[Member, ...]
    plan: GroupPlan

    @property
    def options(self) -> list[str]:
        """Options of the members, each once."""
        return list(dict.fromkeys(member.option for member in self.members))

    def with_rates(self, rates: Mapping[str, Sequence[float]]) -> 'Group':
        """The same runs of the options of `rates`, each at the learning rates of its option."""
        runs = dict.fromkeys(_with_rate(member, 1.0) for member in self.members)
        members = [
            _with_rate(run, rate)
            for option in self.options
            for rate in rates.get(option, ())
            for run in runs
            if run.option == option
        ]
        return Group(tuple(members), self.plan)

    def chunks(self, devices: int) -> list[np.ndarray]:
        """Chunks of the members, int [row, column] each, within the planned limits."""
        return _lay_out(self.members, devices, self.plan.limit, self.plan.cores)[1]


@dataclasses.dataclass(frozen=True)
class Condition:
    """A condition of a study.

    Attributes:
      name: empty for a study without conditions.
      study: the ablation with the overrides of this condition.
      dataset: its images and labels.
      splits: number of a split -> indices of the images.
      groups: of all phases, in the order of plan.json; the learning rates of the phases `measure`
        and `variance` are the first of each grid until `at` sets the chosen ones.
    """

    name: str
    study: Ablation
    dataset: Dataset
    splits: Mapping[int, Splits]
    groups: tuple[Group, ...]

    def phase(self, name: str, rates: Mapping[str, Sequence[float]]) -> list[Group]:
        """Groups of a phase with the options of `rates`, at these learning rates."""
        groups = [group.with_rates(rates) for group in self.groups if group.plan.phase == name]
        return [group for group in groups if group.members]


@dataclasses.dataclass(frozen=True)
class StudyPlan:
    """The plan of an ablation.

    Attributes:
      ablation: the experiment, without the overrides of any condition.
      conditions: in the order of the experiment.
      record: content of plan.json.
    """

    ablation: Ablation
    conditions: tuple[Condition, ...]
    record: records.Plan


def make_plan(ablation: Ablation) -> StudyPlan:
    """Choose splits, lowering and layout of a study.

    Args:
      ablation: a checked experiment.

    Returns:
      The plan; `record` is to be written before the first step.

    Raises:
      InputError: the data cannot be used, or a setting cannot be met.
    """
    devices, timer = provenance.describe_devices(), autotune.Timer()
    conditions, data = [], {}
    for name, study, dataset in load_conditions(ablation):
        phases = _phases(study)
        splits = _splits(study, dataset, phases)
        data[name] = _data_plan(dataset, list(splits.values()))
        groups = [
            Group(
                members, _group_plan(name, phase, members, data[name], study, devices.count, timer)
            )
            for phase, members in phases
        ]
        conditions.append(Condition(name, study, dataset, splits, tuple(groups)))
    record = records.Plan(
        data=data,
        devices=devices,
        cores=machine.usable_cores(),
        versions=provenance.collect_versions(),
        groups=tuple(group.plan for condition in conditions for group in condition.groups),
        registered=registry.find_files(component_names(ablation)),
        defaults=dict(
            variant=dataclasses.asdict(type(ablation.variant)()), data=dataclasses.asdict(Data())
        ),
        networks={
            name: taken_settings(name)
            for kind, name in sorted(component_names(ablation))
            if (kind, name) in registry.ORIGINS and kind == 'model'
        }
        or None,
    )
    return StudyPlan(ablation, tuple(conditions), record)


def resume_plan(ablation: Ablation, record: records.Plan) -> StudyPlan:
    """Build the plan of a run from its plan.json, without a choice.

    Args:
      ablation: the experiment of the run.
      record: content of plan.json.

    Raises:
      InputError: the plan does not fit the experiment or this machine, or a data set has changed.
    """
    entries = list(record.groups)
    conditions = []
    for name, study, dataset in _load_unchanged(ablation, record):
        phases = _phases(study)
        groups = [_resume_group(name, phase, members, entries) for phase, members in phases]
        splits = _splits(study, dataset, phases)
        conditions.append(Condition(name, study, dataset, splits, tuple(groups)))
    return StudyPlan(ablation, tuple(conditions), record)


def check_data(ablation: Ablation, record: records.Plan) -> None:
    """Compare the data sets of an experiment with those of its plan.json.

    Raises:
      InputError: a data set has changed since the plan was made.
    """
    _load_unchanged(ablation, record)


def grids(study: Ablation) -> dict[str, tuple[float, ...]]:
    """Learning rates that each option is tuned over: option -> grid."""
    scales = {option: option_variant(study, option).learning_rate_scale for option in study.options}
    return {
        option: tuple(float(f'{rate * scale:.12g}') for rate in study.learning_rates)
        for option, scale in scales.items()
    }


def with_condition(ablation: Ablation, condition: str) -> Ablation:
    """The ablation with the overrides of one of its conditions."""
    return override(ablation, ablation.conditions[condition])


def evaluation_seeds(ablation: Ablation) -> range:
    """Seeds of the phase `measure`."""
    return _seeds(ablation, 'measure')


def load_conditions(ablation: Ablation) -> list[tuple[str, Ablation, Dataset]]:
    """Name, experiment with overrides and data set of each condition; no data set is read twice."""
    defaults = {name: getattr(Data, name) for name in SPLITTING}
    datasets: dict[Data, Dataset] = {}
    conditions = []
    for name, overrides in ablation.conditions.items():
        study = override(ablation, overrides)
        source = dataclasses.replace(study.data, **defaults)
        if source not in datasets:
            datasets[source] = load(source)
        conditions.append((name, study, datasets[source]))
    return conditions


def _load_unchanged(
    ablation: Ablation, record: records.Plan
) -> list[tuple[str, Ablation, Dataset]]:
    """`load_conditions`, compared with the checksums in plan.json."""
    conditions = load_conditions(ablation)
    for name, _, dataset in conditions:
        if name not in record.data:
            raise InputError(f'plan.json has no data for the condition {name!r}: {RESTART}')
        if dataset.checksum() != record.data[name].checksum:
            raise InputError(f'data set {dataset.name} has changed since the run began: {RESTART}')
    return conditions


def _phases(study: Ablation) -> list[tuple[str, tuple[Member, ...]]]:
    """Phase and members of each group, with the first learning rates where none is chosen yet."""
    rates = grids(study)
    first = {option: grid[:1] for option, grid in rates.items()}
    phases: dict[str, Mapping[str, Sequence[float]]] = {}
    if len(study.learning_rates) > 1:
        phases['tune'] = rates
    phases['measure'] = first
    if study.variance_study:
        phases['variance'] = {study.baseline: first[study.baseline]}
    groups = []
    for phase, options in phases.items():
        members = _members(study, phase, options)
        groups += [
            (phase, tuple(members[i] for i in places)) for places in group_by_program(members)
        ]
    return groups


def _members(study: Ablation, phase: str, rates: Mapping[str, Sequence[float]]) -> list[Member]:
    """Members of a phase: options x learning rates x seeds, or levels of variance sources."""
    members = []
    for option, grid in rates.items():
        base = option_variant(study, option)
        for rate in grid:
            variant = dataclasses.replace(base, learning_rate=rate)
            if phase == 'variance':
                members += [
                    Member(
                        option,
                        protocol.VARIANCE_SEED,
                        dataclasses.replace(variant, **offsets),
                        split=offsets['split_offset'],
                    )
                    for offsets in _crossings(study.variance_levels)
                ]
                continue
            members += [
                Member(
                    option, seed, variant, variant.split_offset + seed * study.data.resample_split
                )
                for seed in _seeds(study, phase)
            ]
    return members


def _seeds(study: Ablation, phase: str) -> range:
    first, count = dict(
        tune=(protocol.TUNING_SEED, study.tuning_seeds),
        measure=(protocol.MEASURING_SEED, study.seeds),
    )[phase]
    return range(first, first + count)


def _crossings(levels: int) -> list[dict[str, int]]:
    """Level of every source of variance, for each run of the orthogonal array."""
    runs = variance.orthogonal_array(levels, len(SOURCES))
    return [dict(zip(SOURCES, map(int, run), strict=True)) for run in runs]


def _with_rate(member: Member, rate: float) -> Member:
    return dataclasses.replace(
        member, variant=dataclasses.replace(member.variant, learning_rate=rate)
    )


def _splits(
    study: Ablation, dataset: Dataset, phases: Sequence[tuple[str, Sequence[Member]]]
) -> dict[int, Splits]:
    """Every split that a member needs, by its number."""
    numbers = sorted({member.split for _, members in phases for member in members})
    return {number: split(dataset, study.data, number) for number in numbers}


def _resume_group(
    condition: str, phase: str, members: tuple[Member, ...], entries: list[GroupPlan]
) -> Group:
    """The group with the next entry of plan.json, which is taken from `entries`."""
    options = tuple(dict.fromkeys(member.option for member in members))
    expected = (condition, phase, options, len(members))
    plan = entries.pop(0) if entries else None
    if plan is None or (plan.condition, plan.phase, plan.options, plan.members) != expected:
        raise InputError(f'plan.json has other groups than this version of jaxdl: {RESTART}')
    if plan.conv not in (*LOWERINGS, autotune.NONE) or plan.limit < 1 or plan.cores < 1:
        raise InputError(
            f'plan.json has conv={plan.conv!r}, limit={plan.limit}, cores={plan.cores}, which this '
            f'version of jaxdl does not have: {RESTART}'
        )
    why = autotune.refusal(plan.conv, plan.members)
    if why:
        raise InputError(f'plan.json has conv={plan.conv}: {why}: {RESTART}')
    return Group(members, plan)


def _group_plan(
    condition: str,
    phase: str,
    members: Sequence[Member],
    data: DataPlan,
    study: Ablation,
    devices: int,
    timer: autotune.Timer,
) -> GroupPlan:
    variant, count = members[0].variant, len(members)
    variants = [member.variant for member in members]
    steps = data.train // variant.batch_size
    if steps == 0:
        raise InputError(
            f'variant.batch_size={variant.batch_size}: must be at most the {data.train} training '
            'images'
        )
    classes = len(data.classes)
    module = train_step.module_of(variant, classes)
    convolutions = autotune.convolutions(module, (variant.batch_size, *data.image_shape))
    conv = autotune.find_forced_lowering(study.conv, count) or timer.fastest(convolutions, count)
    member_bytes = chunks.member_bytes(variants, data.image_shape, classes, conv)
    # At most the members of the group: where memory does not bind, the plan does not depend on the
    # memory that is free at the moment.
    limit = min(count, study.chunk or chunks.most_members(member_bytes))
    cores = chunks.cores_of_a_device()
    sides, cut = _lay_out(members, devices, limit, cores)
    return GroupPlan(
        condition=condition,
        phase=phase,
        options=tuple(dict.fromkeys(member.option for member in members)),
        members=count,
        steps=steps * study.epochs,
        batch_size=variant.batch_size,
        sides=sides,
        chunks=len(cut),
        limit=limit,
        cores=cores,
        member_bytes=member_bytes,
        conv=conv,
    )


def _lay_out(
    members: Sequence[Member], devices: int, limit: int, cores: int
) -> tuple[tuple[int, int], list[np.ndarray]]:
    rows, sides = chunks.layout([member.stream for member in members], devices, limit, cores)
    return sides, chunks.cut_chunks(rows, sides, devices)


def _data_plan(dataset: Dataset, splits: Sequence[Splits]) -> DataPlan:
    """Facts of the data; of several splits those of the first and the smallest training split.

    Raises:
      InputError: all images of a test split are in one group: no interval for new images.
    """
    groups = np.array(image_groups(dataset))
    for indices in splits:
        names = np.unique(groups[indices.test])
        if len(names) < 2:
            raise InputError(
                f'data.dataset={dataset.name}: all {len(indices.test)} test images are in one '
                f'group ({visible(str(names[0]))}); must be at least 2 groups, '
                f'{statistics.FEWEST_GROUPS} for a verdict on new images'
            )
    return DataPlan(
        name=dataset.name,
        description=dataset.description,
        classes=tuple(dataset.class_names),
        image_shape=tuple(dataset.images.shape[1:]),
        train=min(len(indices.train) for indices in splits),
        val=len(splits[0].val),
        test=len(splits[0].test),
        checksum=dataset.checksum(),
        decoder=decode.describe_decoder() if dataset.digests else '',
        findings=audit.examine(dataset, splits[0]),
    )
