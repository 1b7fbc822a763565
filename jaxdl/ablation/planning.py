"""The plan of an ablation: conditions with data and splits, groups with members and layout.

Everything after the plan takes the plan, not the `Ablation`. A resumed run builds the same plan
from plan.json and chooses nothing.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import statistics
from jaxdl.config import registry, search_space
from jaxdl.config.experiment import Ablation, option_variant
from jaxdl.config.load import component_names
from jaxdl.config.overrides import override
from jaxdl.data import Data, Dataset, Splits, audit, decode, load, split
from jaxdl.data.loading import SPLITTING
from jaxdl.data.splits import image_groups
from jaxdl.ensemble import Member, autotune, chunks, group_by_program, scoring
from jaxdl.errors import InputError, visible
from jaxdl.models import taken_settings
from jaxdl.models.conv import LOWERINGS
from jaxdl.runtime import machine, provenance
from jaxdl.statistics import protocol, search, variance
from jaxdl.statistics.metrics import BUILT_IN, METRICS
from jaxdl.statistics.search import Range, Setting
from jaxdl.train import initial_weights, keys, train_step
from jaxdl.train.variant import Variant, program_key
from jaxdl.workdir import records
from jaxdl.workdir.records import (
    FINAL,
    DataPlan,
    Extension,
    GroupPlan,
    MetricPlan,
    SearchPlan,
    SearchRange,
)

# Sources of variance, as fields of a Variant.
SOURCES = ('init_offset', 'order_offset', 'noise_offset', 'split_offset')
RESTART = '--overwrite starts the run again'


@dataclasses.dataclass(frozen=True)
class Group:
    """Members that share one compiled program in one phase.

    Attributes:
      members: (variant, seed) runs, with planned or with chosen hyperparameters.
      plan: its entry in plan.json; of points that were added, the entry of the planned points.
      extension: number of the extension that trains it; 0 for the first run.
    """

    members: tuple[Member, ...]
    plan: GroupPlan
    extension: int = 0

    @property
    def options(self) -> list[str]:
        """Options of the members, each once."""
        return list(dict.fromkeys(member.option for member in self.members))

    def with_settings(self, settings: Mapping[str, Sequence[Setting]]) -> 'Group':
        """The same runs of the options of `settings`, each with the settings of its option."""
        members = [
            member
            for option in self.options
            for setting in settings.get(option, ())
            for member in dict.fromkeys(
                _with_setting(run, setting) for run in self.members if run.option == option
            )
        ]
        return dataclasses.replace(self, members=tuple(members))

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
      groups: of all phases, in the order of plan.json; where nothing is chosen yet, their
        hyperparameters are the first of each option until `phase` sets the chosen ones.
      search: the planned search; None for a grid of learning rates.
    """

    name: str
    study: Ablation
    dataset: Dataset
    splits: Mapping[int, Splits]
    groups: tuple[Group, ...]
    search: SearchPlan | None = None

    def has_phase(self, name: str) -> bool:
        """Whether there are groups of a phase."""
        return any(group.plan.phase == name for group in self.groups)

    def phase(
        self,
        name: str,
        settings: Mapping[str, Sequence[Setting]],
        stage: str = '',
        extension: int = 0,
    ) -> list[Group]:
        """Groups of a phase and stage with the options of `settings`, with these settings."""
        groups = [
            group.with_settings(settings)
            for group in self.groups
            if (group.plan.phase, group.plan.stage, group.extension) == (name, stage, extension)
        ]
        return [group for group in groups if group.members]

    @property
    def extensions(self) -> tuple[int, ...]:
        """Numbers of the extensions that train members of this condition; 0 for the first run."""
        return tuple(sorted({group.extension for group in self.groups}))

    @property
    def measured(self) -> list[tuple[str, int]]:
        """Option and seed of each measured member, in the order of a study without extensions."""
        phases = _phases(self.name, self.study, self.search)
        return [
            (member.option, member.seed)
            for phase in phases
            for member in phase.members
            if phase.name == 'measure'
        ]


@dataclasses.dataclass(frozen=True)
class StudyPlan:
    """The plan of an ablation.

    Attributes:
      ablation: the experiment, without the overrides of any condition.
      conditions: in the order of the experiment.
      record: content of plan.json.
      extends: whether the run extends a finished one, whose results stay until its end.
    """

    ablation: Ablation
    conditions: tuple[Condition, ...]
    record: records.Plan
    extends: bool = False

    @property
    def files(self) -> dict[str, int]:
        """Condition -> number in the names of its chunks; an extension changes none."""
        order = sorted(self.conditions, key=lambda condition: condition.extensions[0])
        return {condition.name: number for number, condition in enumerate(order)}

    @property
    def groups(self) -> tuple[GroupPlan, ...]:
        """Planned groups of the first run, or of the extension that this run trains."""
        added = self.record.extensions[-1].plan if self.record.extensions else None
        return added.groups if added else self.record.groups

    @property
    def columns(self) -> tuple[str, ...]:
        """Searched hyperparameters next to the learning rate: columns of results.csv."""
        names = (name for c in self.conditions if c.search for name in c.search.fields)
        return tuple(dict.fromkeys(name for name in names if name != search_space.RATE))


def make_plan(ablation: Ablation) -> StudyPlan:
    """Choose splits, lowering and layout of a study.

    Args:
      ablation: a checked experiment.

    Returns:
      The plan; `record` is to be written before the first step.

    Raises:
      InputError: the data cannot be used, or a setting cannot be met.
    """
    conditions, record = _plan_conditions(ablation)
    return StudyPlan(ablation, conditions, record)


def extend_plan(ablation: Ablation, record: records.Plan, extension: Extension) -> StudyPlan:
    """Plan the members that an extension adds to a finished study.

    Args:
      ablation: the grown experiment.
      record: content of plan.json.
      extension: the growth, without a plan.

    Returns:
      The plan of the grown study; its record ends with the extension, and is otherwise `record`.

    Raises:
      InputError: as for `make_plan` and `resume_plan`; or the grown study would train the old
        members in another way.
    """
    conditions, added = _plan_conditions(ablation, record, extension)
    extension = dataclasses.replace(extension, plan=added)
    record = dataclasses.replace(record, extensions=(*record.extensions, extension))
    return StudyPlan(ablation, conditions, record, extends=True)


def _plan_conditions(
    ablation: Ablation, before: records.Plan | None = None, extension: Extension | None = None
) -> tuple[tuple[Condition, ...], records.Plan]:
    """Conditions of a study, and the entries of plan.json that `before` lacks."""
    devices, timer = provenance.describe_devices(), autotune.Timer()
    merged, entries = before.merged() if before else None, _entries(before)
    extensions = (*before.extensions, extension) if before and extension else ()
    conditions, data, searches = [], {}, {}
    if merged:
        _check_weights_unchanged(merged)
    for name, study, dataset in load_conditions(ablation):
        planned_search = plan_search(study)
        if merged and name in merged.data:
            _check_checksum(dataset, merged.data[name])
            old_search = (merged.search or {}).get(name)
            planned_search, added = _extend_search(planned_search, old_search)
            searches |= {name: added} if added else {}
        elif planned_search:
            searches[name] = planned_search
        phases = _phases(name, study, planned_search, extensions)
        splits = _splits(study, dataset, phases)
        if merged and name in merged.data:
            described = merged.data[name]
            _check_splits(name, described, splits.values())
        else:
            described = data[name] = data_plan(dataset, list(splits.values()))
        check_metrics(study, dataset, splits.values())
        groups = []
        for phase in phases:
            if phase.extension < len(extensions):
                groups.append(_resume_group(name, phase, entries))
                continue
            chosen = dataclasses.replace(study, conv=_earlier_lowering(groups, phase) or study.conv)
            plan = _group_plan(name, phase, described, chosen, devices.count, timer)
            groups.append(Group(phase.members, plan, phase.extension))
        conditions.append(Condition(name, study, dataset, splits, tuple(groups), planned_search))
    record = records.Plan(
        data=data,
        devices=devices,
        cores=machine.usable_cores(),
        versions=provenance.collect_versions(),
        groups=tuple(
            group.plan
            for condition in conditions
            for group in condition.groups
            if group.extension == len(extensions)
        ),
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
        metrics=metric_plans(ablation),
        search=searches or None,
        sources=registry.find_sources(ablation.name, component_names(ablation)),
        initial_weights={s: initial_weights.checksum(s) for s in _sources(conditions)} or None,
    )
    return tuple(conditions), record


def _entries(record: records.Plan | None) -> list[list[GroupPlan]]:
    """Planned groups of the first run and of each extension."""
    if record is None:
        return []
    added = (extension.plan.groups for extension in record.extensions if extension.plan)
    return [list(record.groups), *map(list, added)]


def _extend_search(
    planned: SearchPlan | None, before: SearchPlan | None
) -> tuple[SearchPlan | None, SearchPlan | None]:
    """The search of a grown condition, and the part of it that is new; None where there is none.

    Raises:
      InputError: a new option changes the search of the others.
    """
    if planned is None or before is None:
        return planned, None
    late = tuple(option for option in planned.ranges if option not in before.ranges)
    same = dataclasses.replace(planned, ranges=before.ranges, late=before.late)
    if same != before or any(planned.ranges[o] != before.ranges[o] for o in before.ranges):
        raise InputError(
            f'options {", ".join(late)}: they search other fields ({", ".join(planned.fields)}) '
            f'than the run ({", ".join(before.fields)}): name another --workdir'
        )
    added = dataclasses.replace(planned, ranges={o: planned.ranges[o] for o in late})
    return dataclasses.replace(planned, late=(*before.late, *late)), added if late else None


def _check_splits(condition: str, data: DataPlan, splits: Iterable[Splits]) -> None:
    """InputError if the splits of more seeds shorten the training of the earlier ones."""
    fewest = min(len(indices.train) for indices in splits)
    if fewest != data.train:
        where = f' of condition {condition!r}' if condition else ''
        raise InputError(
            f'the splits{where} of the new seeds have {fewest} training images, those of the run '
            f'{data.train}, and all members train on equally many: name another --workdir'
        )


def _earlier_lowering(groups: Sequence[Group], phase: '_Phase') -> str | None:
    """Lowering of earlier members of the same program, the same phase first; None without any."""
    key, count = program_key(phase.members[0].variant, ()), len(phase.members)
    same = [group for group in groups if program_key(group.members[0].variant, ()) == key]
    ordered = sorted(same, key=lambda group: group.plan.phase != phase.name)
    lowerings = (group.plan.conv for group in ordered if group.plan.conv in LOWERINGS)
    return next((name for name in lowerings if not autotune.refusal(name, count)), None)


def resume_plan(ablation: Ablation, record: records.Plan, *, extends: bool = False) -> StudyPlan:
    """Build the plan of a run from its plan.json, without a choice.

    Args:
      ablation: the experiment of the run.
      record: content of plan.json, with the extensions that led to `ablation`.
      extends: whether the last extension is unfinished.

    Raises:
      InputError: the plan does not fit the experiment or this machine, or a data set has changed.
    """
    entries, merged = _entries(record), record.merged()
    conditions = []
    for name, study, dataset in _load_unchanged(ablation, merged):
        planned_search = (merged.search or {}).get(name)
        _check_search(name, study, planned_search)
        if planned_search:
            ranges = {option: planned_search.ranges[option] for option in study.options}
            planned_search = dataclasses.replace(planned_search, ranges=ranges)
        phases = _phases(name, study, planned_search, record.extensions)
        groups = [_resume_group(name, phase, entries) for phase in phases]
        splits = _splits(study, dataset, phases)
        conditions.append(Condition(name, study, dataset, splits, tuple(groups), planned_search))
    return StudyPlan(ablation, tuple(conditions), record, extends)


def _sources(conditions: Iterable[Condition]) -> list[str]:
    """Files of initial weights that the options of a study name."""
    variants = (option_variant(c.study, option) for c in conditions for option in c.study.options)
    return [source for source in dict.fromkeys(v.init_from for v in variants) if source]


def _check_initial_weights(
    members: Sequence[Member], image_shape: tuple[int, ...], num_classes: int
) -> None:
    """InputError if the initial weights of an option do not fit its network."""
    for member in {member.option: member for member in members}.values():
        if member.variant.init_from:
            module = train_step.module_of(member.variant, num_classes)
            start = functools.partial(train_step.init_state, member.variant, 0, module, image_shape)
            try:
                jax.eval_shape(start)
            except InputError as error:
                raise InputError(f'option {member.option!r}: {error}') from None


def metric_plans(ablation: Ablation) -> dict[str, MetricPlan]:
    """Direction and level of the metrics that a study measures."""
    return {
        name: MetricPlan(METRICS[name].lower_is_better, METRICS[name].over)
        for name in metric_names(ablation)
    }


def metric_names(ablation: Ablation) -> list[str]:
    """All metrics that a study measures: the built-in ones and those that it names."""
    named = (override(ablation, overrides).metrics for overrides in ablation.conditions.values())
    return list(dict.fromkeys((*BUILT_IN, ablation.metric, *itertools.chain(*named))))


def check_data(ablation: Ablation, record: records.Plan) -> None:
    """Compare the data sets of an experiment with those of its plan.json.

    Raises:
      InputError: a data set has changed since the plan was made.
    """
    _load_unchanged(ablation, record)


def plan_search(study: Ablation) -> SearchPlan | None:
    """Points of a search and the ranges of every option; None for a grid of learning rates.

    The unit points are those of one scrambled Sobol sequence, the same for every option.
    """
    names = search_space.searched_fields(study)
    if not names:
        return None
    further = -(-study.trials // 2)
    number = study.trials + search.GROWTHS * further
    key = keys.fold(keys.seed_key(protocol.TUNING_SEED), 'search')
    scramble = int(jax.random.bits(key, dtype=jnp.uint32))
    points = search.unit_points(number, len(names), scramble)
    return SearchPlan(
        fields=names,
        trials=study.trials,
        further=further,
        scramble=scramble,
        points=tuple(map(tuple, points.tolist())),
        rungs=search_space.rungs(study),
        halving=study.halving or 0,
        ranges={
            option: {
                name: _search_range(option_variant(study, option), name, limits)
                for name, limits in search_space.ranges(study, option).items()
            }
            for option in study.options
        },
    )


@dataclasses.dataclass(frozen=True)
class Stage:
    """Part of the training of the points of a search.

    Attributes:
      name: empty, or `rung 1`, ... with halving.
      first: epochs that are done before.
      until: epoch after which it ends.
    """

    name: str
    first: int
    until: int


def stages(study: Ablation, plan: SearchPlan | None) -> list[Stage]:
    """Parts of the training of the planned points, in order: one without halving."""
    ends = plan.rungs if plan and plan.rungs else (study.epochs,)
    names = [f'rung {number}' for number in range(1, len(ends) + 1)] if len(ends) > 1 else ['']
    return [Stage(*part) for part in zip(names, (0, *ends), ends, strict=False)]


def _search_range(variant: Variant, name: str, limits: Range) -> SearchRange:
    """A range, and how far it may grow: values beyond are ones that the field cannot have.

    The range of a field without limits does not grow: a probability may not become negative.
    """
    ends = dict(low=limits.low, high=limits.high)
    grows = search_space.has_limits(variant, name)
    for end in ends if grows else ():
        for step in range(1, search.GROWTHS + 1):
            value = limits.moved(end, step * search.EXTENSION)
            if not search_space.allows(variant, name, value):
                break
            ends[end] = value
    return SearchRange(*limits, lowest=ends['low'], highest=ends['high'])


def planned_settings(study: Ablation, plan: SearchPlan | None) -> dict[str, list[Setting]]:
    """Hyperparameters that each option is tuned over at first: points of a search, or a grid."""
    if plan:
        return {
            option: [_fixed_rate(study, option, plan) | dict(s) for s in points.settings]
            for option, points in search.first_round(plan).items()
        }
    return {
        option: [dict(learning_rate=rate) for rate in search_space.learning_rates(study, option)]
        for option in study.options
    }


def with_condition(ablation: Ablation, condition: str) -> Ablation:
    """The ablation with the overrides of one of its conditions."""
    return override(ablation, ablation.conditions[condition])


def _fixed_rate(study: Ablation, option: str, plan: SearchPlan) -> dict[str, float]:
    """The learning rate of an option if the search leaves it out."""
    if search_space.RATE in plan.ranges[option]:
        return {}
    return {search_space.RATE: search_space.learning_rates(study, option)[0]}


def load_conditions(ablation: Ablation) -> list[tuple[str, Ablation, Dataset]]:
    """Name, experiment with overrides and data set of each condition; no data set is read twice."""
    datasets: dict[Data, Dataset] = {}
    conditions = []
    for name, overrides in ablation.conditions.items():
        study = override(ablation, overrides)
        source = source_of(study.data)
        if source not in datasets:
            datasets[source] = load(source)
        conditions.append((name, study, datasets[source]))
    return conditions


def source_of(data: Data) -> Data:
    """`data` without the fields that do not change the images that are loaded."""
    return dataclasses.replace(data, **{name: getattr(Data, name) for name in SPLITTING})


def _load_unchanged(
    ablation: Ablation, record: records.Plan
) -> list[tuple[str, Ablation, Dataset]]:
    """`load_conditions`, compared with the checksums in plan.json, as are initial weights."""
    _check_weights_unchanged(record)
    conditions = load_conditions(ablation)
    for name, _, dataset in conditions:
        if name not in record.data:
            raise InputError(f'plan.json has no data for the condition {name!r}: {RESTART}')
        _check_checksum(dataset, record.data[name])
    return conditions


def _check_weights_unchanged(record: records.Plan) -> None:
    for source, planned in (record.initial_weights or {}).items():
        if initial_weights.checksum(source) != planned:
            raise InputError(f'init_from={source}: has changed since the run began: {RESTART}')


def _check_checksum(dataset: Dataset, plan: DataPlan) -> None:
    if dataset.checksum() != plan.checksum:
        raise InputError(f'data set {dataset.name} has changed since the run began: {RESTART}')


@dataclasses.dataclass(frozen=True)
class _Phase:
    """Members of one program in a phase and a stage, of the first run or of an extension.

    Attributes:
      name: `tune`, `measure` or `variance`.
      stage: as in plan.json.
      members: runs that share the program.
      epochs: that they train.
      extension: number of the extension; 0 for the first run.
    """

    name: str
    stage: str
    members: tuple[Member, ...]
    epochs: int
    extension: int = 0


def _phases(
    condition: str, study: Ablation, plan: SearchPlan | None, extensions: Sequence[Extension] = ()
) -> list[_Phase]:
    """Members of each group, with the first hyperparameters where none are chosen yet."""
    planned = planned_settings(study, plan)
    first = {option: settings[:1] for option, settings in planned.items()}
    phases: dict[tuple[str, str], Mapping[str, Sequence[Setting]]] = {}
    parts: dict[tuple[str, str], Stage] = {}
    if any(len(settings) > 1 for settings in planned.values()):
        training = planned
        for stage in stages(study, plan):
            phases['tune', stage.name] = training
            parts['tune', stage.name] = stage
            if plan and plan.halving:
                count = search.survivors(len(training[study.baseline]), plan.halving)
                training = {option: settings[:count] for option, settings in training.items()}
    if plan:
        phases['tune', FINAL] = {o: s[: protocol.FINALISTS] for o, s in planned.items()}
    phases['measure', ''] = first
    if study.variance_study:
        phases['variance', ''] = {study.baseline: first[study.baseline]}
    groups, full_stage = [], Stage('', 0, study.epochs)
    for number in range(len(extensions) + 1):
        for (name, stage), options in phases.items():
            members = [
                member
                for member in _members(study, name, stage, options)
                if _extension_of(condition, name, member, extensions) == number
            ]
            part = parts.get((name, stage), full_stage)
            groups += [
                _Phase(
                    name, stage, tuple(members[i] for i in places), part.until - part.first, number
                )
                for places in group_by_program(members)
            ]
    return groups


def _extension_of(
    condition: str, phase: str, member: Member, extensions: Sequence[Extension]
) -> int:
    """Number of the extension that adds a member; 0 for a member of the first run."""
    seed = member.seed if phase == 'measure' else None
    adding = (
        number
        for number, extension in enumerate(extensions, 1)
        if extension.adds(condition, member.option, seed)
    )
    return max(adding, default=0)


def _members(
    study: Ablation, phase: str, stage: str, settings: Mapping[str, Sequence[Setting]]
) -> list[Member]:
    """Members of a phase: options x settings x seeds, or levels of variance sources."""
    members = []
    for option, of_option in settings.items():
        base = option_variant(study, option)
        for setting in of_option:
            variant = dataclasses.replace(base, **setting)
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
                for seed in _seeds(study, phase, stage)
            ]
    return members


def _seeds(study: Ablation, phase: str, stage: str) -> Sequence[int]:
    if stage == FINAL:
        return protocol.further_seeds(study.tuning_seeds)
    if phase == 'measure':
        return protocol.seed_numbers(study.seeds)
    return range(protocol.TUNING_SEED, protocol.TUNING_SEED + study.tuning_seeds)


def _crossings(levels: int) -> list[dict[str, int]]:
    """Level of every source of variance, for each run of the orthogonal array."""
    runs = variance.orthogonal_array(levels, len(SOURCES))
    return [dict(zip(SOURCES, map(int, run), strict=True)) for run in runs]


def _with_setting(member: Member, setting: Setting) -> Member:
    return dataclasses.replace(member, variant=dataclasses.replace(member.variant, **setting))


def _splits(study: Ablation, dataset: Dataset, phases: Sequence[_Phase]) -> dict[int, Splits]:
    """Every split that a member needs, by its number."""
    numbers = sorted({member.split for phase in phases for member in phase.members})
    return {number: split(dataset, study.data, number) for number in numbers}


def _check_search(condition: str, study: Ablation, plan: SearchPlan | None) -> None:
    """InputError unless plan.json has the search of this condition, or none where there is none."""
    fields = search_space.searched_fields(study)
    valid = plan is None and not fields
    if plan is not None and plan.fields == fields:
        number = study.trials + search.GROWTHS * plan.further
        ranges = {o: tuple(search_space.ranges(study, o)) for o in study.options}
        valid = (
            plan.trials == study.trials
            and (plan.rungs, plan.halving) == (search_space.rungs(study), study.halving or 0)
            and len(plan.points) == number
            and all(len(point) == len(fields) for point in plan.points)
            and all(0 <= unit <= 1 for point in plan.points for unit in point)
            and ranges == {option: tuple(limits) for option, limits in plan.ranges.items()}
        )
    if not valid:
        where = f' of condition {condition!r}' if condition else ''
        raise InputError(f'plan.json has another search{where}: {RESTART}')


def _resume_group(condition: str, phase: _Phase, entries: Sequence[list[GroupPlan]]) -> Group:
    """The group with the next entry of its extension, which is taken from `entries`."""
    members, waiting = phase.members, entries[phase.extension]
    options = tuple(dict.fromkeys(member.option for member in members))
    expected = (condition, phase.name, phase.stage, options, len(members))
    plan = waiting.pop(0) if waiting else None
    if (
        plan is None
        or (plan.condition, plan.phase, plan.stage, plan.options, plan.members) != expected
    ):
        raise InputError(f'plan.json has other groups than this version of jaxdl: {RESTART}')
    if plan.conv not in (*LOWERINGS, autotune.NONE) or plan.limit < 1 or plan.cores < 1:
        raise InputError(
            f'plan.json has conv={plan.conv!r}, limit={plan.limit}, cores={plan.cores}, which this '
            f'version of jaxdl does not have: {RESTART}'
        )
    why = autotune.refusal(plan.conv, plan.members)
    if why:
        raise InputError(f'plan.json has conv={plan.conv}: {why}: {RESTART}')
    return Group(members, plan, phase.extension)


def _group_plan(
    condition: str,
    phase: _Phase,
    data: DataPlan,
    study: Ablation,
    devices: int,
    timer: autotune.Timer,
) -> GroupPlan:
    members = phase.members
    variant, count = members[0].variant, len(members)
    variants = [member.variant for member in members]
    steps = data.train // variant.batch_size
    if steps == 0:
        raise InputError(
            f'variant.batch_size={variant.batch_size}: must be at most the {data.train} training '
            'images'
        )
    classes = len(data.classes)
    _check_initial_weights(members, data.image_shape, classes)
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
        phase=phase.name,
        options=tuple(dict.fromkeys(member.option for member in members)),
        members=count,
        steps=steps * phase.epochs,
        batch_size=variant.batch_size,
        sides=sides,
        chunks=len(cut),
        limit=limit,
        cores=cores,
        member_bytes=member_bytes,
        conv=conv,
        stage=phase.stage,
    )


def _lay_out(
    members: Sequence[Member], devices: int, limit: int, cores: int
) -> tuple[tuple[int, int], list[np.ndarray]]:
    rows, sides = chunks.layout([member.stream for member in members], devices, limit, cores)
    return sides, chunks.cut_chunks(rows, sides, devices)


def check_metrics(study: Ablation, dataset: Dataset, splits: Iterable[Splits]) -> None:
    """Try the metrics of a study on logits of the size of its splits.

    Raises:
      InputError: a metric fails, or is not defined for the labels of a split.
    """
    names = dict.fromkeys((study.metric, *study.metrics))
    rng, num_classes = np.random.default_rng(0), len(dataset.class_names)
    for indices, name in itertools.product(splits, names):
        for part in ('val', 'test'):
            labels = dataset.labels[getattr(indices, part)].astype(np.int32)
            logits = rng.normal(size=(len(labels), num_classes)).astype(np.float32)
            metric = METRICS[name]
            value = scoring.compute(metric, logits, labels)
            if not np.isfinite([value, metric.guess(labels, num_classes)]).all():
                classes = len(np.unique(labels))
                raise InputError(
                    f'metric={name}: is not defined for the {len(labels)} {part} images, which '
                    f'have {classes} class{"es" * (classes > 1)}: use accuracy, or larger splits'
                )


def data_plan(dataset: Dataset, splits: Sequence[Splits]) -> DataPlan:
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
        fit=dataset.fit,
        findings=audit.examine(dataset, splits[0]),
    )
