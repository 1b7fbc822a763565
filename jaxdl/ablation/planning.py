"""Members into groups that share a compiled program.

And what is frozen about them before the first step.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.config import registry
from jaxdl.config.experiment import Ablation, option_variant
from jaxdl.config.load import component_names
from jaxdl.config.overrides import override
from jaxdl.data import Dataset, Splits, audit, decode, load, split
from jaxdl.ensemble import Member, autotune, chunks
from jaxdl.errors import InputError
from jaxdl.runtime import machine, provenance
from jaxdl.statistics import protocol, variance
from jaxdl.train import keys, train_step
from jaxdl.train.variant import Variant, program_key

SOURCES = (
    'init_offset',
    'order_offset',
    'noise_offset',
    'split_offset',
)  # of variance, as fields of a Variant


@dataclasses.dataclass(frozen=True)
class Group:
    """The members that share one compiled program in one phase."""

    condition: str
    phase: str
    members: tuple[Member, ...]

    @property
    def options(self) -> list[str]:
        return list(dict.fromkeys(member.option for member in self.members))


def grids(ablation: Ablation) -> dict[str, tuple[float, ...]]:
    """The learning rates that each option is tuned over."""
    scales = {
        option: option_variant(ablation, option).learning_rate_scale for option in ablation.options
    }
    return {
        o: tuple(float(f'{r * s:.12g}') for r in ablation.learning_rates) for o, s in scales.items()
    }


def group(
    ablation: Ablation, condition: str, phase: str, rates: Mapping[str, Sequence[float]]
) -> list[Group]:
    """The groups of a phase in which each option of `rates` trains at its rates.

    Over the seeds of that phase.
    """
    sharing: dict[Any, list[Member]] = {}
    for option, own in rates.items():
        base = option_variant(ablation, option)
        for rate in own:
            variant = dataclasses.replace(base, learning_rate=rate)
            members = _members(ablation, phase, option, variant)
            sharing.setdefault(program_key(variant, ablation.data), []).extend(members)
    return [Group(condition, phase, tuple(members)) for members in sharing.values()]


def splits_of(study: Ablation, dataset: Dataset, found: Sequence[Group]) -> dict[int, Splits]:
    """Every way of splitting the data that members of these groups need, by its number."""
    numbers = sorted({member.split for own in found for member in own.members})
    return {number: split(dataset, study.data, number) for number in numbers}


def make_plan(ablation: Ablation) -> dict[str, Any]:
    """What the run will do, chosen once: data, devices, versions, groups and their chunks."""
    devices = provenance.devices()
    groups, data, timer = [], {}, autotune.Timer()
    for condition, overrides in ablation.conditions.items():
        study = override(ablation, overrides)
        dataset, found = load(study.data), phases(study, condition)
        data[condition] = _data(dataset, list(splits_of(study, dataset, found).values()))
        groups += [_layout(own, data[condition], study, devices['count'], timer) for own in found]
    return dict(
        data=data,
        devices=devices,
        cores=machine.usable_cores(),
        versions=provenance.versions(),
        groups=groups,
        registered=registry.files(component_names(ablation)),
    )


def planned(plan: Mapping[str, Any], found: Group) -> dict[str, Any]:
    """What the plan froze for a group; for a grid that has grown.

    What it froze for the group's phase and options.
    """
    phase = [
        g for g in plan['groups'] if (g['condition'], g['phase']) == (found.condition, found.phase)
    ]
    return next(g for g in phase if found.options[0] in g['options'])


def cut(plan: Mapping[str, Any], found: Group) -> list[np.ndarray]:
    """The chunks of a group, int [row, column] of indices into its members.

    Under the limits that the plan froze.
    """
    entry = planned(plan, found)
    return _cut(found, plan['devices']['count'], entry['limit'], entry['cores'])[1]


def member_bytes(
    variant: Variant, image_shape: tuple[int, ...], num_classes: int, conv: str
) -> int:
    """Memory of one member in training: its state thrice (old, new.

    Gradients) and what backpropagation keeps.
    """
    module = train_step.module_of(variant, num_classes, conv)

    def residuals(params: Any, stats: Any, images: jax.Array) -> Any:
        def forward(params: Any) -> Any:
            variables = dict(params=params, batch_stats=stats)
            return module.apply(
                variables,
                images,
                train=True,
                rngs=dict(dropout=keys.seed_key(0)),
                mutable=['batch_stats'],
            )

        return jax.vjp(forward, params)[1]

    parts = train_step.parts_of([variant])
    state = train_step.init_state(variant, 0, module, image_shape, parts)
    images = jax.ShapeDtypeStruct((variant.batch_size, *image_shape), jnp.float32)
    return 3 * _bytes(state) + _bytes(
        jax.eval_shape(residuals, state.params, state.batch_stats, images)
    )


def phases(study: Ablation, condition: str) -> list[Group]:
    """Every group that a study plans, each option measured at the first of its rates.

    Since none is chosen yet.
    """
    rates = grids(study)
    found = group(study, condition, 'tune', rates) if len(study.learning_rates) > 1 else []
    found += group(study, condition, 'measure', {option: own[:1] for option, own in rates.items()})
    if study.variance_study:
        found += group(study, condition, 'variance', {study.baseline: rates[study.baseline][:1]})
    return found


def _members(study: Ablation, phase: str, option: str, variant: Variant) -> list[Member]:
    """An option's members of a phase: one a seed; to tell sources of variance apart.

    One for each crossing of them.
    """
    if phase == 'variance':
        crossings = variance.orthogonal_array(study.variance_levels, len(SOURCES))
        offsets = [dict(zip(SOURCES, map(int, levels), strict=True)) for levels in crossings]
        variants = [dataclasses.replace(variant, **own) for own in offsets]
        return [
            Member(option, protocol.VARIANCE_SEED, own, split=own.split_offset) for own in variants
        ]
    first, count = dict(
        tune=(protocol.TUNING_SEED, study.tuning_seeds),
        measure=(protocol.MEASURING_SEED, study.seeds),
    )[phase]
    seeds = range(first, first + count)
    return [
        Member(option, s, variant, variant.split_offset + s * study.data.resample_split)
        for s in seeds
    ]


def _with_every_part(members: Sequence[Member]) -> Variant:
    """A variant of the group's program that has the state, and needs the layers, of any member."""
    variants = [member.variant for member in members]
    ema, decay = max(own.ema for own in variants), min(own.layer_decay for own in variants)
    return dataclasses.replace(variants[0], ema=ema, layer_decay=decay)


def _layout(
    found: Group, data: Mapping[str, Any], study: Ablation, devices: int, timer: autotune.Timer
) -> dict[str, Any]:
    variant = found.members[0].variant
    steps = data['train'] // variant.batch_size
    if steps == 0:
        raise InputError(
            f'variant.batch_size={variant.batch_size}: must be at most the {data["train"]} training images'
        )
    shape, classes = tuple(data['image_shape']), len(data['classes'])
    convolutions = autotune.convolutions(
        train_step.module_of(variant, classes), (variant.batch_size, *shape)
    )
    count = len(found.members)
    conv = autotune.forced(study.conv, count) or timer.fastest(convolutions, count)
    size = member_bytes(_with_every_part(found.members), shape, classes, conv)
    # No more than the group has: where memory does not bind, what is free just now does not show in
    # the plan.
    limit = min(count, study.chunk or chunks.at_once(size))
    cores = chunks.cores_of_a_device()
    sides, cut = _cut(found, devices, limit, cores)
    return dict(
        condition=found.condition,
        phase=found.phase,
        options=found.options,
        members=count,
        steps=steps * study.epochs,
        batch_size=variant.batch_size,
        sides=sides,
        chunks=len(cut),
        limit=limit,
        cores=cores,
        member_bytes=size,
        conv=conv,
    )


def _cut(
    found: Group, devices: int, limit: int, cores: int
) -> tuple[tuple[int, int], list[np.ndarray]]:
    members, sides = chunks.layout(
        [member.stream for member in found.members], devices, limit, cores
    )
    return sides, chunks.cut(members, sides, devices)


def _data(dataset: Dataset, splits: Sequence[Splits]) -> dict[str, Any]:
    """What the plan says of the data; of several splits the first.

    Which all train on as many images as the fewest.
    """
    return dict(
        name=dataset.name,
        description=dataset.description,
        classes=list(dataset.class_names),
        image_shape=list(dataset.images.shape[1:]),
        train=min(len(own.train) for own in splits),
        val=len(splits[0].val),
        test=len(splits[0].test),
        checksum=dataset.checksum(),
        decoder=decode.decoder() if dataset.digests else '',
        findings=audit.examine(dataset, splits[0]),
    )


def _bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
