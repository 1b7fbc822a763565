"""Describe a run without training: groups, members, programs, memory and estimated time."""

import dataclasses
import math
from typing import Any

from jaxdl.ablation import planning, result_rows
from jaxdl.ablation.planning import Condition, StudyPlan
from jaxdl.config.experiment import Ablation, option_variant
from jaxdl.runtime import speed
from jaxdl.statistics import protocol, search
from jaxdl.statistics.metrics import METRICS
from jaxdl.train.variant import Variant, program_key
from jaxdl.workdir.records import FINAL, DataPlan, GroupPlan

# Fitted on 2 cores (BUILD_NOTES.md, "Estimates of time"), by lowering: passes over what
# backpropagation keeps, in copies of as many bytes; multiplications of a step, in those of a large
# matrix product; seconds to compile a group's two programs. Those of other lowerings were not
# fitted: they count as patches, which on a CPU are faster.
COSTS = dict(onednn=(1.3, 1.2, 1.2), patches=(3.2, 1.5, 2.8))
FIXED_SECONDS = 12.0  # imports, starting values, the choice of a lowering, the report
INITIAL = [
    f.name for f in dataclasses.fields(Variant) if f.metadata.get('initial')
]  # they share a program
LARGE = 2**26  # bytes of logits that are worth a line
EVALUATION = 0.4  # seconds per image of validation, in those per image of training


def describe(ablation: Ablation, extension: StudyPlan | None = None) -> str:
    """Describe the plan of an ablation, in lines of text.

    Args:
      ablation: the study.
      extension: plan of the extension of a finished run, whose new members are described alone.
    """
    plan = extension or planning.make_plan(ablation)
    record, groups = plan.record.merged(), plan.groups
    lines = [f'{ablation.name}: {ablation.question}', *map(_data, record.data.items()), '']
    if extension:
        growth = plan.record.extensions[-1].growth
        lines += [f'Extension of a finished run by {growth}; only new members are listed.', '']
    width = max(10, *(len(_label(group)) + 1 for group in groups))
    lines.append(f'{"phase":{width}}{"members":>8}{"chunks":>8}{"memory":>10}  {"conv":8}  options')
    lines += [_group(group, width) for group in groups]
    lines += list_differing_fields(ablation)
    lines += [line for condition in plan.conditions for line in _search(condition)]
    members = sum(group.members for group in groups)
    memory = max(_memory(group) * record.devices.count for group in groups)
    lines += [
        '',
        f'{members} members in {len(groups)} compiled programs; '
        f'at most {memory / 2**20:,.0f} MiB at once',
    ]
    tuned = {group.condition for group in groups if group.phase == 'tune'}
    searches = [c.search for c in plan.conditions if c.name in tuned]
    if None in searches:
        lines.append('A grid with its best learning rate at an edge grows, at most twice.')
    lines += [
        f'A best point at a boundary adds {number} points to every option, at most '
        f'{search.GROWTHS} times.'
        for number in sorted(
            {each.further for each in searches if each and each.trials >= search.FEWEST}
        )
    ]
    lines += _evaluation(plan)
    devices, seconds = record.devices, estimate_seconds(plan)
    where = f'on {devices.count} x {devices.kind} ({record.cores} cores)'
    grown = f', {speed.format_seconds(seconds[1])} if all of them grow' if tuned else ''
    lines.append(f'about {speed.format_seconds(seconds[0])}{grown}, {where}')
    return '\n'.join(lines)


def list_differing_fields(ablation: Ablation) -> list[str]:
    """Static fields in which the options differ, in lines; none if they share one program."""
    variants = {option: option_variant(ablation, option) for option in ablation.options}
    every = (f for variant in variants.values() for f in dataclasses.fields(variant))
    static = dict.fromkeys(f.name for f in every if not f.metadata.get('pytree_node', True))
    static = [name for name in static if name not in INITIAL]
    if len({program_key(variant, ()) for variant in variants.values()}) < 2:
        return []
    lines = [
        '',
        'Options that differ only in numbers or initial values share a program. '
        'These options differ in:',
    ]
    for name in static:
        having: dict[Any, list[str]] = {}
        for option, variant in variants.items():
            having.setdefault(getattr(variant, name, None), []).append(option)
        if len(having) > 1:
            words = (_format_value(value, options) for value, options in having.items())
            lines.append(f'  {name:18}{" | ".join(words)}')
    return lines


def _format_value(value: Any, options: list[str]) -> str:
    return str(value) if options == [str(value)] else f'{value} ({"; ".join(options)})'


def estimate_seconds(plan: StudyPlan) -> tuple[float, float]:
    """Estimate the seconds of a whole run, or of an extension.

    Two timings of this device enter: a copy in memory and a matrix product.

    Returns:
      Seconds if no grid and no range of a search grows, and if all grow as often as they may.
    """
    per_byte, per_flop = speed.copy_seconds(), speed.product_seconds()
    fixed = grown = FIXED_SECONDS
    number, every = len(plan.record.extensions), plan.record.merged()
    for condition in plan.conditions:
        flops = result_rows.forward_flops(condition)
        data = every.data[condition.name]
        for group in (each.plan for each in condition.groups if each.extension == number):
            multiplied = 3 * group.batch_size * max(flops[option] for option in group.options)
            passes, products, compiling = COSTS.get(group.conv, COSTS['patches'])
            step = passes * group.member_bytes * per_byte + products * multiplied * per_flop
            member = (1 + EVALUATION * data.val / data.train) * step * group.steps
            member /= every.devices.count
            fixed += group.members * member + compiling
            rounds, added = _growth(condition, group)
            grown += (group.members + added) * member + (1 + rounds) * compiling
    return fixed, grown


def _growth(condition: Condition, group: GroupPlan) -> tuple[int, int]:
    """Most rounds of further points of a group, and their members."""
    plan, study = condition.search, condition.study
    few = plan is not None and plan.trials < search.FEWEST
    if group.phase != 'tune' or group.stage == FINAL or few:
        return 0, 0
    points = plan.further if plan else 1
    for part in planning.stages(study, plan):
        if part.name == group.stage:
            break
        points = search.survivors(points, plan.halving) if plan else points
    members = search.GROWTHS * points * study.tuning_seeds * len(group.options)
    return search.GROWTHS, members


def _evaluation(plan: StudyPlan) -> list[str]:
    """The metric that decides, and the memory of the logits that it needs where this is large."""
    metric = METRICS[plan.ablation.metric]
    direction = 'lower' if metric.lower_is_better else 'higher'
    lines = [f'options are compared by {metric.words} ({direction} is better)']
    data, devices = plan.record.merged().data, plan.record.devices.count
    most = max(
        math.prod(group.sides)
        * devices
        * max(data[group.condition].val, data[group.condition].test)
        * len(data[group.condition].classes)
        for group in plan.groups
    )
    if 4 * most >= LARGE:
        lines.append(f'logits of an evaluation: at most {4 * most / 2**20:,.0f} MiB more')
    return lines


def _data(item: tuple[str, DataPlan]) -> str:
    condition, data = item
    shape = ' x '.join(map(str, data.image_shape))
    sizes = f'{data.train:,} train, {data.val:,} val, {data.test:,} test'
    return f'{condition or "data"}: {data.name}, {shape}, {len(data.classes)} classes; {sizes}'


def _search(condition: Condition) -> list[str]:
    """Cost of a search, in lines; none without a search."""
    plan, study = condition.search, condition.study
    if plan is None:
        return []
    best = min(protocol.FINALISTS, plan.trials)
    runs = plan.trials * study.tuning_seeds + best * protocol.FURTHER_SEEDS
    first, points, parts = 0, plan.trials, []
    for stage in planning.stages(study, plan):
        first += points * study.tuning_seeds * (stage.until - stage.first)
        parts.append(f'{points} to epoch {stage.until}')
        points = search.survivors(points, plan.halving or 1)
    full_epochs = plan.trials * study.tuning_seeds * study.epochs
    epochs = first + best * protocol.FURTHER_SEEDS * study.epochs
    where = f'{condition.name}: ' if condition.name else ''
    lines = [
        '',
        f'{where}search of every option: {plan.trials} points x {study.tuning_seeds} tuning '
        f'seed{"s" * (study.tuning_seeds > 1)}, '
        f'then {best} points x {protocol.FURTHER_SEEDS} further seeds: {runs} runs, '
        f'{epochs:,} epochs',
    ]
    if plan.halving:
        saved = (
            f'{first:,} epochs of {full_epochs:,}, {100 * (1 - first / full_epochs):.0f} % fewer'
        )
        lines.append(f'  halving={plan.halving}: {", ".join(parts)} of every option: {saved}')
    for option, ranges in plan.ranges.items():
        texts = (f'{name} {r.low:g} to {r.high:g} ({r.scale})' for name, r in ranges.items())
        lines.append(f'  {option:18}{", ".join(texts)}')
    return lines


def _label(group: GroupPlan) -> str:
    label = ' '.join(word for word in (group.condition, group.phase) if word)
    return f'{label} ({group.stage})' if group.stage else label


def _group(group: GroupPlan, width: int) -> str:
    memory = f'{_memory(group) / 2**20:,.0f} MiB'
    sizes = f'{group.members:8}{group.chunks:8}{memory:>10}'
    return f'{_label(group):{width}}{sizes}  {group.conv:8}  {", ".join(group.options)}'


def _memory(group: GroupPlan) -> float:
    rows, columns = group.sides
    return rows * columns * group.member_bytes
