"""Set, check and shrink the fields of an experiment."""

import dataclasses
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxdl import fields, workdir
from jaxdl.config import search_space
from jaxdl.config.experiment import (
    SHARED_OF_BASE,
    TUNING,
    UNUSED_OF_BASE,
    WITH_BASE,
    Ablation,
    Assignment,
    Demonstration,
    Experiment,
    FineTune,
    Kind,
    Overrides,
    option_variant,
)
from jaxdl.config.recipe import RECIPES
from jaxdl.errors import InputError, unknown
from jaxdl.models import taken_settings
from jaxdl.statistics import protocol
from jaxdl.statistics.metrics import METRICS
from jaxdl.statistics.search import Search
from jaxdl.train import variant
from jaxdl.train.settings import own_strengths
from jaxdl.train.variant import Variant
from jaxdl.workdir.tables import ALL

UNSET = ('answer',)  # fields that no command line can set
NO_EFFECT = 'has no effect in an ablation of a fine-tuning'
# Fields of an ablation without effect where it has a base -> the field to be set instead.
TO_BASE = {name: name for name in ('variant', 'data', 'checkpoint_seconds', 'trackers', 'conv')}
TO_BASE |= dict(epochs='finetune.epochs')
# Fields of `variant` and `finetune` that a probe alone uses.
OF_PROBE = ('finetune.metric', 'finetune.refit_epochs')
QUICK = {
    'data.subset': 200,
    'data.subset_per_class': 4,  # images in every split, whatever the number of classes
    'data.image_size': 64,
    'probe.probe_size': 64,
    'probe.passes': 10,
    'finetune.epochs': 1,
    'finetune.sizes': (),
    'finetune.train_size': 48,
    'finetune.eval_size': 64,
    'finetune.explain': 2,
}


def base_of(experiment: Experiment) -> FineTune | None:
    """The fine-tuning that the options of an ablation share; None of any other experiment."""
    return experiment.base if isinstance(experiment, Ablation) else None


def parts(experiment: Experiment) -> dict[str, type]:
    """Records within an experiment: field -> class of the record; without the base of a study."""
    if base_of(experiment):
        return {}
    declared: dict[str, Any] = {f.name: f.type for f in dataclasses.fields(experiment)}
    if declared.get('variant') is Variant and isinstance(experiment, Ablation):
        declared['variant'] = variant.variant_class(experiment.variant.model)
    return {
        name: typing.cast(type, declared[name])
        if dataclasses.is_dataclass(declared[name])
        else type(getattr(experiment, name))
        for name in ('variant', 'data', 'settings', 'probe', 'finetune')
        if name in declared
    }


def quick(experiment: Kind) -> Kind:
    """The experiment shrunk to under a minute (an assignment: 20 minutes), which is no evidence."""
    if isinstance(experiment, Demonstration):
        experiment = override(
            experiment, {f'settings.{name}': value for name, value in experiment.quick.items()}
        )
    base = base_of(experiment)
    if base and isinstance(experiment, Ablation):
        base = override(base, {k: v for k, v in QUICK.items() if k not in UNUSED_OF_BASE})
        experiment = dataclasses.replace(experiment, base=base, seeds=2)
    elif isinstance(experiment, Ablation):
        options = {
            option: {**overrides, 'learning_rates': _middle(overrides['learning_rates'])}
            if 'learning_rates' in overrides
            else overrides
            for option, overrides in experiment.options.items()
        }
        experiment = dataclasses.replace(
            experiment,
            options=options,
            learning_rates=_middle(experiment.learning_rates),
            trials=2,
            halving=None,
            tuning_seeds=1,
            seeds=3,
            epochs=3,
        )
    if isinstance(experiment, FineTune):
        experiment = override(experiment, QUICK)
    return dataclasses.replace(experiment, scale='quick')


def _middle(rates: Sequence[float]) -> tuple[float, ...]:
    """The middle one of a grid of learning rates, alone."""
    return (rates[len(rates) // 2],)


def override(experiment: Kind, overrides: Overrides) -> Kind:
    """Set fields by dotted name (`variant.width`), or by bare name where only one field has it.

    Args:
      experiment: of any kind; an assignment keeps unknown names for its parts.
      overrides: name -> value.

    Returns:
      The changed copy.

    Raises:
      InputError: an unknown or ambiguous name, or a value that the field cannot have.

    Examples:
      >>> study = Ablation('pooling', 'max', options=dict(max={}, avg=dict(pooling='avg')))
      >>> override(study, {'variant.width': 8, 'epochs': 40}).epochs
      40
      >>> override(study, {'widht': 8})
      Traceback (most recent call last):
      jaxdl.errors.InputError: unknown override 'widht': did you mean width?
    """
    searched = overrides.get('search')
    both = isinstance(searched, Mapping) and search_space.RATE in searched
    if both and 'learning_rates' in overrides:
        raise InputError(
            f'learning_rates={overrides["learning_rates"]!r} and a search of learning_rate: both '
            'tune the learning rate; leave one of them out'
        )
    for key, value in sorted(overrides.items(), key=_precedence):
        if isinstance(experiment, Assignment) and key not in field_paths(experiment):
            experiment = dataclasses.replace(
                experiment, overrides={**experiment.overrides, key: value}
            )
            continue
        path = _path(experiment, key)
        if path[-2:] == ('data', 'dataset') and isinstance(experiment, Ablation):
            experiment = _leave_out(experiment, naming_data_sets(experiment.conditions))
        base = base_of(experiment)
        if base and path[0] == 'base':
            base = override(base, {'.'.join(path[1:]): value})
            experiment = dataclasses.replace(experiment, **{'base': base})
            continue
        if path == ('recipe',) and isinstance(value, str):
            experiment = override(experiment, RECIPES.get(value, {}))
        if path == ('variant', 'learning_rate') and isinstance(experiment, Ablation):
            raise InputError(
                f'{key}={value!r}: the learning rate is tuned over learning_rates: '
                f'set learning_rates=[{value}]'
            )
        if (
            isinstance(experiment, Ablation)
            and path[0] == 'variant'
            and path[1] in experiment.search
        ):
            raise InputError(
                f'{key}={value!r}: {path[1]} is searched: leave {path[1]} out of search, '
                f'or set learning_rates=[...] for no search'
            )
        if (
            path == ('trials',)
            and isinstance(experiment, Ablation)
            and not experiment.search
            and value != experiment.trials
        ):
            raise InputError(
                f'trials={value!r}: only a search has trials, and {experiment.name or "the study"} '
                'has learning_rates: set search={"learning_rate": ["log", 0.003, 1.0]} too'
            )
        if path == ('learning_rates',) and isinstance(experiment, Ablation):
            # They replace a search of the rate. A search of other fields needs a list of one.
            experiment = search_space.without_search(experiment)
        if len(path) == 1:
            experiment = dataclasses.replace(
                experiment, **{path[0]: _check_value(type(experiment), key, path[0], value)}
            )
        else:
            part = getattr(experiment, path[0])
            if isinstance(part, Variant):
                part = variant.with_own_fields(part)
            part = dataclasses.replace(
                part, **{path[1]: _check_value(type(part), '.'.join(path), path[1], value)}
            )
            if isinstance(part, Variant):
                part = variant.with_own_fields(part)
            experiment = dataclasses.replace(experiment, **{path[0]: part})
    return experiment


def _precedence(item: tuple[str, Any]) -> int:
    """A search comes first, and learning rates that replace one before values of its fields."""
    return {'search': 0, 'learning_rates': 1}.get(item[0], 2)


def naming_data_sets(conditions: Mapping[str, Overrides]) -> list[str]:
    """Names of the conditions that name a data set, which another data set leaves out.

    Args:
      conditions: of an ablation.
    """
    keys = {'dataset', 'data.dataset'}
    return [
        name
        for name, overrides in conditions.items()
        if isinstance(overrides, Mapping) and keys & set(overrides)
    ]


def _leave_out(ablation: Ablation, names: Sequence[str]) -> Ablation:
    """The ablation without some conditions; a single remaining one has no name."""
    conditions = {k: v for k, v in ablation.conditions.items() if k not in names}
    if not names or len(conditions) > 1:
        return dataclasses.replace(ablation, conditions=conditions)
    overrides = next(iter(conditions.values()), {})
    return dataclasses.replace(ablation, conditions={'': overrides}, second_factor='')


def parse(experiments: Iterable[Experiment], key: str, text: str) -> Any:
    """Read a value from the command line by the type of the first field that `key` names.

    Args:
      experiments: an experiment; of an assignment its parts too, which share its overrides.
      key: dotted or bare name of a field.
      text: the value as typed.

    Returns:
      `text` where the field is a string or no experiment has the field and it is no JSON; the
      value of the JSON otherwise.

    Raises:
      InputError: no single experiment has such a field.
    """
    first, *parts = experiments
    for experiment in (first, *parts):
        try:
            path = _path(experiment, key)
        except InputError:
            continue
        return parse_value(_annotation(experiment, path), text)
    if not parts:
        _path(first, key)  # raises, with the names that were probably meant
    return parse_value(None, text)


def parse_value(annotation: Any, text: str) -> Any:
    """Read a value by the type of its field: text for a field of strings, else JSON.

    Args:
      annotation: type of the field; None where it is not known.
      text: the value as typed.

    Returns:
      The value; `text` itself where it is no JSON.

    Examples:
      >>> parse_value(str, '21042'), parse_value(int, '21042'), parse_value(str | None, 'null')
      ('21042', 21042, None)
      >>> [parse_value(str | tuple[str, ...], text) for text in ('noise', '["noise", "shift"]')]
      ['noise', ['noise', 'shift']]
    """
    kinds = typing.get_args(annotation) or (annotation,)
    several = any(typing.get_origin(kind) is tuple for kind in kinds)
    listed = several and text.startswith('[')
    if str in kinds and typing.get_origin(annotation) not in (tuple, Mapping) and not listed:
        return None if text == 'null' and type(None) in kinds else text
    try:
        return workdir.parse(text)
    except ValueError:
        return text


def _annotation(experiment: Experiment, path: tuple[str, ...]) -> Any:
    record: Any = experiment
    for name in path[:-1]:
        record = getattr(record, name)
    return typing.get_type_hints(type(record))[path[-1]]


def check(experiment: Kind) -> Kind:
    """Convert and check every field, with the overrides of options and conditions.

    Args:
      experiment: of any kind.

    Returns:
      The experiment with converted values.

    Raises:
      InputError: a value that a field cannot have, or fields that contradict each other.
    """
    if isinstance(experiment, Ablation) and isinstance(experiment.variant, Variant):
        own = variant.with_own_fields(experiment.variant)
        experiment = dataclasses.replace(experiment, variant=own)
    inner = parts(experiment)
    if isinstance(experiment, Ablation) and experiment.base is not None:
        experiment = _check_base(experiment, experiment.base)
    names = [
        f.name for f in dataclasses.fields(experiment) if f.name not in (*inner, 'base', *UNSET)
    ]
    checked = {
        name: _check_value(type(experiment), name, name, getattr(experiment, name))
        for name in names
    }
    for name, kind in inner.items():
        values = _values(name, kind, getattr(experiment, name))
        checked[name] = kind(
            **{k: _check_value(kind, f'{name}.{k}', k, v) for k, v in values.items()}
        )
    experiment = dataclasses.replace(experiment, **checked)
    if isinstance(experiment, Assignment):
        _check_parts(experiment)
    if isinstance(experiment, FineTune):
        own_strengths(experiment.variant)
    return _check_options(experiment) if isinstance(experiment, Ablation) else experiment


def _check_base(study: Any, base: FineTune) -> Any:
    """An ablation of a fine-tuning with its checked base.

    Raises:
      InputError: a field is set that such an ablation does not use, or a field of its base.
    """
    if not isinstance(base, FineTune):
        raise InputError(f'base={base!r}: must be a FineTune')
    for field in dataclasses.fields(study):
        value = getattr(study, field.name)
        factory = field.default_factory
        default = field.default if factory is dataclasses.MISSING else factory()
        if field.name not in WITH_BASE and value != default:
            value_text = '' if dataclasses.is_dataclass(value) else f'={value!r}'
            instead = TO_BASE.get(field.name)
            use = f'set base.{instead}' if instead else 'leave it out'
            raise InputError(f'{field.name}{value_text}: {NO_EFFECT}: {use}')
    base = check(base)
    for name in UNUSED_OF_BASE:
        value, default = (_value_of(record, name.split('.')) for record in (base, FineTune()))
        if value != default:
            raise InputError(f'base.{name}={value!r}: {NO_EFFECT}: leave it out')
    return dataclasses.replace(study, base=base)


def _value_of(record: Any, path: Sequence[str]) -> Any:
    for name in path:
        record = getattr(record, name)
    return record


def _values(name: str, kind: type, record: Any) -> dict[str, Any]:
    """Values of the fields of a record within an experiment.

    Raises:
      InputError: the record is of another kind, or sets a field that `kind` does not have.
    """
    if not isinstance(record, kind):
        raise InputError(f'{name}={record!r}: must be a {kind.__name__}')
    names = [f.name for f in dataclasses.fields(kind)]
    for f in dataclasses.fields(record):
        if f.name not in names and getattr(record, f.name) != f.default:
            raise unknown('field', f'{name}.{f.name}', [f'{name}.{field}' for field in names])
    return {field: getattr(record, field) for field in names}


def _check_parts(assignment: Assignment) -> None:
    """InputError unless every part is a list of names that folders within the workdir can have."""
    for heading, names in assignment.parts.items():
        listed = (
            isinstance(names, list | tuple)
            and names
            and all(isinstance(name, str) and name for name in names)
        )
        if not listed or any(fields.file_name(name) for name in names):
            raise InputError(
                f'parts: {heading!r} is {names!r}: must be a list of names of experiments, '
                'such as ["pooling"]'
            )


def _check_options(ablation: Ablation) -> Ablation:
    if ablation.baseline not in ablation.options:
        raise unknown('baseline', ablation.baseline, ablation.options)
    for option, overrides in ablation.options.items():
        if not isinstance(overrides, Mapping):
            raise InputError(
                f'option {option!r} is {overrides!r}: '
                'must be a dict of overrides, such as dict(width=8)'
            )
        if ablation.base is not None:  # its options are checked under each condition
            continue
        if 'learning_rate' in overrides:
            raise InputError(
                f'option {option!r} sets learning_rate, which is tuned: set learning_rate_scale, '
                'learning_rates or search'
            )
        settings = option_variant(ablation, option)
        _check_taken(option, overrides, settings.model)
        if overrides.get('strength') and settings.augmentation in ('none', ('none',)):
            raise InputError(
                f'option {option!r} sets strength={overrides["strength"]!r}, which has no effect '
                'without a registered augmentation: set augmentation'
            )
    _check_comparisons(ablation)
    ablation = _convert_options(ablation) if ablation.base else search_space.check(ablation)
    _check_different(ablation)
    for condition, overrides in ablation.conditions.items():
        if len(ablation.conditions) > 1 and condition in ('', ALL):
            raise InputError(
                f'condition {condition!r}: in files {ALL!r} is the only condition of a study: '
                'give each of several conditions a name of its own'
            )
        if not isinstance(overrides, Mapping):
            raise InputError(
                f'condition {condition!r} is {overrides!r}: must be a dict of overrides'
            )
        if 'comparisons' in overrides:
            raise InputError(
                f'condition {condition!r} sets comparisons, which are those of all conditions: set '
                'comparisons of the study'
            )
        if 'metric' in overrides:
            raise InputError(
                f'condition {condition!r} sets metric={overrides["metric"]!r}: all conditions are '
                'compared by one metric; set metric of the study'
            )
        study = override(ablation, overrides)
        if len(study.options) > 1 and len(protocol.seed_numbers(study.seeds)) < 2:
            raise InputError(f'seeds={study.seeds!r}: must be at least 2 seeds, to compare options')
        if study.base:
            for option in study.options:
                option_finetune(study, option)
        else:
            search_space.check(study)
        fractions = study.images.fractions
        if fractions is not None and not all(fractions):
            raise InputError(
                f'data.fractions={list(fractions)}: an ablation needs training, validation and '
                'test images: must be three shares above 0'
            )
    largest = METRICS[ablation.metric].largest
    if ablation.margin is not None and ablation.margin > largest:
        raise InputError(f'margin={ablation.margin}: must be from 1e-06 to {largest:g}')
    return ablation


def _convert_options(ablation: Ablation) -> Ablation:
    """The study with the values of its overrides of a base converted, such as lists to tuples."""
    assert ablation.base is not None
    options = {}
    for option, overrides in ablation.options.items():
        experiment = option_finetune(ablation, option)
        options[option] = {
            key: _value_of(experiment, _path(ablation.base, key)) for key in overrides
        }
    return dataclasses.replace(ablation, options=options)


def _check_taken(option: str, overrides: Overrides, model: str) -> None:
    """InputError if an option sets a field of networks that its network does not take."""
    taken = taken_settings(model)
    for name in overrides:
        if name in variant.NETWORK and name not in taken:
            raise InputError(
                f'option {option!r} sets {name}, which the network {model!r} does not take: '
                f'it takes {", ".join(taken) or "no settings"}'
            )


def _check_comparisons(ablation: Ablation) -> None:
    """InputError unless every pair is of two options, not the baseline, and is there once."""
    pairs = set()
    for pair in ablation.comparisons:
        text = f'comparisons={[list(pair) for pair in ablation.comparisons]}'
        for option in pair:
            if option not in ablation.options:
                raise unknown('option', option, ablation.options, f' in {text}')
        if ablation.baseline in pair:
            raise InputError(
                f'{text}: every option is compared with the baseline {ablation.baseline!r} anyway: '
                f'leave out {list(pair)}'
            )
        if frozenset(pair) in pairs:
            raise InputError(f'{text}: {list(pair)} is there twice: leave one out')
        pairs.add(frozenset(pair))


def _check_different(ablation: Ablation) -> None:
    """InputError if two options are the same run."""
    names: dict[Any, str] = {}
    for option in ablation.options:
        if ablation.base:
            key = option_finetune(ablation, option)
        else:
            ranges = str(search_space.ranges(ablation, option))
            tuning = {k: v for k, v in ablation.options[option].items() if k in TUNING}
            key = (variant.identity(option_variant(ablation, option)), ranges, str(tuning))
        if key in names:
            same = f'options {names[key]!r} and {option!r} are the same'
            if ablation.base:
                raise InputError(f'{same} fine-tuning with the same settings: leave one out')
            raise InputError(
                f'{same} network with the same settings and seeds: '
                'leave one out; for a comparison of seeds set seed_offset'
            )
        names[key] = option


def option_finetune(study: Ablation, option: str) -> FineTune:
    """Full settings of an option of an ablation of a fine-tuning.

    Args:
      study: with a base.
      option: name of the option.

    Raises:
      InputError: an override that the base cannot have, that concerns all options together, or that
        a probe alone does not use.

    Examples:
      >>> study = Ablation(
      ...     'recipe', 'plain', dict(plain={}, decay=dict(layer_decay=0.75)), base=FineTune()
      ... )
      >>> option_finetune(study, 'decay').finetune.layer_decay
      0.75
    """
    assert study.base is not None
    overrides = study.options[option]
    try:
        paths = {key: _path(study.base, key) for key in overrides}
        experiment = check(override(study.base, overrides))
    except InputError as error:
        raise InputError(f'option {option!r}: {error}') from None
    for key, path in paths.items():
        dotted, setting = '.'.join(path), f'option {option!r}: {key}={overrides[key]!r}'
        if dotted in UNUSED_OF_BASE:
            raise InputError(f'{setting}: {NO_EFFECT}: leave it out')
        if path[0] in SHARED_OF_BASE:
            use = 'a condition may set it' if path[0] == 'data' else 'set it in the base'
            raise InputError(f'{setting}: must be common to all options: {use}')
        trains = path[0] in ('variant', 'finetune') and dotted not in OF_PROBE
        if trains and 'finetune' not in experiment.stages:
            raise InputError(
                f'{setting}: has no effect on a probe alone: '
                'add the stage finetune, or leave it out'
            )
    return experiment


def select_options(ablation: Ablation, options: Sequence[str]) -> Ablation:
    """Reduce an ablation to some of its options and the baseline, in its own order.

    Comparisons of pairs with another option are left out.

    Args:
      ablation: the study.
      options: names of the options.

    Returns:
      The reduced copy.

    Raises:
      InputError: an unknown option.
    """
    for name in options:
        if name not in ablation.options:
            raise unknown(
                'option', name, ablation.options, f' of {ablation.name}' if ablation.name else ''
            )
    remaining = {k: v for k, v in ablation.options.items() if k in (*options, ablation.baseline)}
    why = {k: v for k, v in ablation.why.items() if k in remaining}
    pairs = tuple(pair for pair in ablation.comparisons if set(pair) <= set(remaining))
    return dataclasses.replace(ablation, options=remaining, why=why, comparisons=pairs)


def _path(experiment: Experiment, key: str) -> tuple[str, ...]:
    paths = field_paths(experiment)
    if key in paths:
        return tuple(key.split('.'))
    bare = [k for k in paths if k.endswith(f'.{key}')]
    if len(bare) == 1:
        return tuple(bare[0].split('.'))
    if bare:
        raise InputError(f'override {key!r} is ambiguous: use {" or ".join(bare)}')
    if key in ('tensorboard', 'finetune.tensorboard'):
        raise InputError(f'override {key!r} is now trackers: --set=trackers=["tensorboard"]')
    raise unknown('override', key, paths if '.' in key else [k.rpartition('.')[2] for k in paths])


def field_paths(experiment: Experiment) -> list[str]:
    """Dotted names of all fields that an override reaches."""
    inner, base = parts(experiment), base_of(experiment)
    within = [path for path in field_paths(base) if path not in UNUSED_OF_BASE] if base else []
    skipped = (*inner, *UNSET, 'base')
    direct = [
        f.name
        for f in dataclasses.fields(experiment)
        if f.name not in skipped
        and (typing.get_origin(f.type) is not Mapping or f.type == Search)
        and (base is None or f.name in WITH_BASE)
    ]
    nested = [f'{part}.{f.name}' for part, kind in inner.items() for f in dataclasses.fields(kind)]
    return direct + nested + [f'base.{path}' for path in within]


def _check_value(kind: type, key: str, name: str, value: Any) -> Any:
    field = next(f for f in dataclasses.fields(kind) if f.name == name)
    return fields.check(key, field, field.type, value)
