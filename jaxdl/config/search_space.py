"""Hyperparameters that an ablation searches: checks, and the ranges or learning rates per option.

An option is a dict of overrides of Variant. It may also have a `search` or `learning_rates` of its
own, and a searched field that it sets is not searched for it.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from jaxdl import fields
from jaxdl.config.experiment import TUNING, Ablation, option_variant
from jaxdl.errors import InputError, unknown
from jaxdl.statistics import protocol, search
from jaxdl.statistics.search import SCALES, Range, Search
from jaxdl.train.variant import Variant

RATE = 'learning_rate'
EXAMPLE = '["log", 0.003, 1.0] or ["linear", 0, 0.5]'


def check(ablation: Ablation) -> Ablation:
    """Check `search` and `learning_rates` of the study and of its options.

    Args:
      ablation: an experiment with checked fields.

    Returns:
      The experiment with converted ranges.

    Raises:
      InputError: a field that cannot be searched, a range without width, or unequal budgets.
    """
    variants = {option: option_variant(ablation, option) for option in ablation.options}
    searched = _check_ranges(ablation.search, 'search', list(variants.values()))
    options = {
        option: _check_option(ablation, option, variants[option], searched)
        for option in ablation.options
    }
    ablation = dataclasses.replace(ablation, search=searched, options=options)
    _check_halving(ablation)
    if not searched:
        return ablation
    if ablation.tuning_seeds + protocol.FURTHER_SEEDS > protocol.MEASURING_SEED:
        raise InputError(
            f'tuning_seeds={ablation.tuning_seeds}: a search has {protocol.FURTHER_SEEDS} further '
            f'tuning seeds below {protocol.MEASURING_SEED}: must be at most '
            f'{protocol.MEASURING_SEED - protocol.FURTHER_SEEDS}'
        )
    if RATE not in searched and len(ablation.learning_rates) > 1:
        raise InputError(
            f'search={_text(searched)}: lacks {RATE}, and learning_rates has '
            f'{len(ablation.learning_rates)} values: add "{RATE}": ["log", 0.003, 1.0], or set '
            'learning_rates to a list of one'
        )
    for option in options:
        if not ranges(ablation, option):
            raise InputError(
                f'option {option!r} sets all searched fields, {", ".join(searched)}: nothing is '
                'left to search for it; leave a field to the search'
            )
    return ablation


def rungs(ablation: Ablation) -> tuple[int, ...]:
    """Epochs after which points of a search stop, then the last epoch; empty without halving."""
    if ablation.halving is None:
        return ()
    return search.rungs(ablation.trials, ablation.epochs, ablation.halving, protocol.FINALISTS)


def ranges(ablation: Ablation, option: str) -> dict[str, Range]:
    """Ranges that an option is searched over: those of the study, then its own.

    A field that the option sets, or that its network does not have, is left out.
    `learning_rate_scale` multiplies the range of the learning rate.

    Args:
      ablation: a checked experiment with a search.
      option: name of the option.

    Returns:
      field -> range, the learning rate first; empty without a search.
    """
    overrides, variant = ablation.options[option], option_variant(ablation, option)
    merged = {**ablation.search, **overrides.get('search', {})}
    merged = {
        name: limits
        for name, limits in merged.items()
        if name not in overrides and name in searchable(variant)
    }
    if RATE in merged:
        scale = variant.learning_rate_scale
        kind, *ends = merged[RATE]
        merged = {RATE: Range(kind, *(float(f'{end * scale:.12g}') for end in ends))} | {
            name: limits for name, limits in merged.items() if name != RATE
        }
    return merged


def learning_rates(ablation: Ablation, option: str) -> tuple[float, ...]:
    """Grid of learning rates of an option: its own or that of the study, times its scale."""
    scale = option_variant(ablation, option).learning_rate_scale
    grid = ablation.options[option].get('learning_rates', ablation.learning_rates)
    return tuple(float(f'{rate * scale:.12g}') for rate in grid)


def typical_rates(ablation: Ablation, option: str) -> tuple[float, ...]:
    """Learning rates of an option in ascending order: its grid, or five over its range."""
    limits = ranges(ablation, option).get(RATE) if ablation.search else None
    if limits is None:
        return learning_rates(ablation, option)
    return tuple(limits.value(i / 4) for i in range(5))


def searched_fields(ablation: Ablation) -> tuple[str, ...]:
    """Fields that at least one option searches, in order; empty without a search."""
    names = (name for option in ablation.options for name in ranges(ablation, option))
    return tuple(dict.fromkeys(names)) if ablation.search else ()


def searchable(variant: Variant) -> dict[str, dataclasses.Field[Any]]:
    """Fields that are traced numbers: another value runs in the same program."""
    return {f.name: f for f in dataclasses.fields(variant) if f.metadata.get('pytree_node', True)}


def allows(variant: Variant, name: str, value: float) -> bool:
    """Whether a field of a variant can have this value."""
    return searchable(variant)[name].metadata['rule'](value) is None


def has_limits(variant: Variant, name: str) -> bool:
    """Whether a field has a rule on its values; an own field of a network may have none."""
    return searchable(variant)[name].metadata['rule'] is not fields.finite


def without_search(ablation: Ablation) -> Ablation:
    """The experiment with one grid of learning rates for all options.

    A search without the learning rate stays.
    """
    if ablation.search and RATE not in ablation.search:
        return ablation
    options = {
        option: {name: value for name, value in overrides.items() if name not in TUNING}
        for option, overrides in ablation.options.items()
        if isinstance(overrides, Mapping)
    }
    changes = dict(search={}, halving=None, options={**ablation.options, **options})
    return dataclasses.replace(ablation, **changes)


def _check_halving(ablation: Ablation) -> None:
    """InputError if points are to stop early and none can."""
    halving, trials, epochs = ablation.halving, ablation.trials, ablation.epochs
    if halving is None:
        return
    if not ablation.search:
        raise InputError(f'halving={halving}: only a search stops points: set search={{...}}')
    if len(rungs(ablation)) < 2:
        least = halving * (protocol.FINALISTS - 1) + 1
        raise InputError(
            f'halving={halving}: no point can stop early with trials={trials} and '
            f'epochs={epochs}, since the {protocol.FINALISTS} best points of every option train to '
            f'the last epoch: must be at least {least} trials and 2 epochs, or halving=null'
        )


def _check_option(
    ablation: Ablation, option: str, variant: Variant, searched: Search
) -> dict[str, Any]:
    """The overrides with converted ranges and learning rates."""
    overrides = ablation.options[option]
    where, checked = f'option {option!r}', dict(overrides)
    if 'learning_rates' in overrides:
        grid = fields.check(
            f'{where}: learning_rates',
            ABLATION['learning_rates'],
            tuple[float, ...],
            overrides['learning_rates'],
        )
        if searched:
            raise InputError(
                f'{where} has learning_rates, and the study has a search: give the option '
                f'search={{"{RATE}": ["log", {min(grid):g}, {10 * max(grid):g}]}}'
            )
        if len(grid) != len(ablation.learning_rates):
            raise InputError(
                f'{where} has {len(grid)} learning_rates, the study has '
                f'{len(ablation.learning_rates)}: all options need the same number'
            )
        checked['learning_rates'] = grid
    if 'search' in overrides:
        checked['search'] = _check_ranges(overrides['search'], f'{where}: search', [variant])
        if not searched:
            raise InputError(f'{where} has a search, and the study has none: set search={{...}}')
        both = [name for name in checked['search'] if name in overrides]
        if both:
            raise InputError(f'{where} sets and searches {both[0]}: remove one of them')
    return checked


def _check_ranges(value: Any, where: str, variants: Sequence[Variant]) -> dict[str, Range]:
    if not isinstance(value, Mapping):
        raise InputError(
            f'{where}={value!r}: must be an object of fields and ranges, '
            f'such as {{"{RATE}": ["log", 0.003, 1.0]}}'
        )
    traced = {name: f for variant in variants for name, f in searchable(variant).items()}
    every = {f.name for variant in variants for f in dataclasses.fields(variant)}
    for name in value:
        if name not in every:
            raise unknown('field', name, traced, f' in {where}')
        if name not in traced:
            raise InputError(
                f'{where}.{name}: not a number that is an input of the program: search one of '
                f'{", ".join(traced)}; compare values of {name} as options'
            )
    return {
        name: _check_range(traced[name], limits, f'{where}.{name}')
        for name, limits in value.items()
    }


def _check_range(field: dataclasses.Field[Any], value: Any, where: str) -> Range:
    text = f'{where}={_text(value)}'
    if not (isinstance(value, list | tuple) and len(value) == 3 and value[0] in SCALES):
        raise InputError(f'{text}: must be {EXAMPLE}')
    low, high = (fields.check(where, field, float, end) for end in value[1:])
    if value[0] == 'log' and low <= 0:
        raise InputError(f'{text}: the low end of a log range must be above 0')
    if low >= high:
        raise InputError(f'{text}: the low end must be below the high end, such as {EXAMPLE}')
    limits = Range(value[0], low, high)
    if limits.value(0.5) in (limits.value(0.49), limits.value(0.51)):
        raise InputError(f'{text}: too narrow for values of six digits: fix the value instead')
    return limits


def _text(value: Any) -> str:
    try:
        return json.dumps(value)
    except TypeError:
        return repr(value)


ABLATION = {f.name: f for f in dataclasses.fields(Ablation)}
