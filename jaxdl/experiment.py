"""A question with its design: what an ablation varies, against what, and how often."""

import dataclasses
import importlib.util
import itertools
import pathlib
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxdl import catalogue, fields, variant
from jaxdl.data import Data
from jaxdl.errors import InputError, unknown
from jaxdl.models.conv import LOWERINGS
from jaxdl.pictures import PICTURES
from jaxdl.probes import PROBES
from jaxdl.variant import Variant

Overrides = Mapping[str, Any]
SCALES = ('full', 'quick')


def geometric(low: float, high: float, count: int) -> tuple[float, ...]:
    """`count` learning rates from `low` to `high` in equal ratios, to three digits."""
    return tuple(float(f'{low * (high / low) ** (i / max(1, count - 1)):.3g}') for i in range(count))


def sweep(**values: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """Options for every combination: `sweep(norm=['none', 'batch'])` -> `{'norm=none': {'norm': 'none'}, ...}`."""
    combinations = (dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values()))
    return {', '.join(f'{k}={v}' for k, v in chosen.items()): chosen for chosen in combinations}


@dataclasses.dataclass(frozen=True)
class Ablation:
    """A factor whose options are compared with a baseline; an option is a named dict of overrides of Variant.

    A condition repeats the study under overrides of the experiment (`{'data.dataset': ..., 'epochs': 5}`). Where
    a second factor is named, the conditions are its values, the first its baseline, and the interaction is reported.
    """

    factor: str
    baseline: str
    options: Mapping[str, Overrides]
    why: Mapping[str, str] = dataclasses.field(default_factory=dict)
    conditions: Mapping[str, Overrides] = dataclasses.field(default_factory=lambda: {'': {}})
    second_factor: str = ''
    variant: Variant = Variant()
    data: Data = Data()
    learning_rates: tuple[float, ...] = fields.ruled(geometric(0.01, 1.0, 5), fields.each(fields.above(0)))
    tuning_seeds: int = fields.ruled(3, fields.at_least(1))
    seeds: int = fields.ruled(10, fields.at_least(1))
    epochs: int = fields.ruled(20, fields.at_least(1))
    margin: float = fields.ruled(0.01, fields.between(1e-6, 1))  # accuracy: options closer than this are equivalent
    variance_study: bool = False  # where the variance of the baseline comes from: weights, order, noise, split
    variance_levels: int = fields.ruled(7, fields.prime(5))  # of each of these four, crossed in levels ** 2 members
    probes: tuple[str, ...] = fields.ruled((), fields.each(fields.one_of(PROBES), least=0))
    pictures: tuple[str, ...] = fields.ruled((), fields.each(fields.one_of(PICTURES), least=0))
    checkpoint_seconds: float = fields.ruled(30.0, fields.at_least(0))  # the most work that a killed run repeats
    chunk: int | None = fields.ruled(None, fields.at_least(1))  # members at once on a device; null: what memory allows
    conv: str | None = fields.ruled(None, fields.one_of(LOWERINGS))  # how convolutions are computed; null: the fastest
    scale: str = fields.ruled('full', fields.one_of(SCALES))
    name: str = ''
    question: str = ''


@dataclasses.dataclass(frozen=True)
class Demonstration:
    """A question of theory: a function that gives its answer, in text, with every claim measured.

    Args:
      answer: (settings, note) -> `jaxdl.theory.answer.Answer`; `note(text)` tells whoever waits what is being done.
      settings: a frozen dataclass of `fields.ruled` fields, which `--set` reaches by name.
      quick: the settings that `--quick` puts in their place.
    """

    answer: Callable[[Any, Callable[[str], None]], Any]
    settings: Any
    quick: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    scale: str = fields.ruled('full', fields.one_of(SCALES))
    name: str = ''
    question: str = ''


PARTS = {'variant': Variant, 'data': Data}


def quick(ablation: Ablation) -> Ablation:
    """The same study shrunk to under a minute, which is no evidence."""
    middle = ablation.learning_rates[len(ablation.learning_rates) // 2]
    return dataclasses.replace(ablation, scale='quick', learning_rates=(middle,), tuning_seeds=1, seeds=3, epochs=3)


def override(ablation: Ablation, overrides: Overrides) -> Ablation:
    """`ablation` with fields set by dotted name (`variant.width`), or by bare name where only one field has it."""
    for key, value in overrides.items():
        path = _path(key)
        if path == ('variant', 'learning_rate'):
            raise InputError(f'{key}={value!r}: the rate is tuned over learning_rates: set learning_rates=[{value}]')
        if len(path) == 1:
            ablation = dataclasses.replace(ablation, **{path[0]: _checked(Ablation, key, path[0], value)})
        elif path[0] == 'variant':
            ablation = dataclasses.replace(ablation, variant=variant.replace(ablation.variant, {path[1]: value}))
        else:
            data = dataclasses.replace(ablation.data, **{path[1]: _checked(Data, key, path[1], value)})
            ablation = dataclasses.replace(ablation, data=data)
    return ablation


def check(ablation: Ablation) -> Ablation:
    """`ablation` with every field converted and checked, the overrides of its options and conditions included."""
    own = {f.name: getattr(ablation, f.name) for f in dataclasses.fields(Ablation) if f.name not in PARTS}
    ablation = dataclasses.replace(ablation, **{k: _checked(Ablation, k, k, v) for k, v in own.items()})
    data = {k: _checked(Data, f'data.{k}', k, v) for k, v in dataclasses.asdict(ablation.data).items()}
    ablation = dataclasses.replace(ablation, data=Data(**data), variant=variant.check(ablation.variant))
    if ablation.baseline not in ablation.options:
        raise unknown('baseline', ablation.baseline, ablation.options)
    for option, overrides in ablation.options.items():
        if not isinstance(overrides, Mapping):
            raise InputError(f'option {option!r} is {overrides!r}: must be a dict of overrides, such as dict(width=8)')
        if 'learning_rate' in overrides:
            raise InputError(f'option {option!r} sets learning_rate, which is tuned: set learning_rate_scale')
        option_variant(ablation, option)
    for overrides in ablation.conditions.values():
        override(ablation, overrides)
    if len(ablation.options) > 1 and ablation.seeds < 2:
        raise InputError(f'seeds={ablation.seeds}: two options are compared over at least 2 seeds')
    return ablation


def keep(ablation: Ablation, options: Sequence[str]) -> Ablation:
    """`ablation` with these options and the baseline only, in its own order."""
    for name in options:
        if name not in ablation.options:
            raise unknown('option', name, ablation.options, f' of {ablation.name}' if ablation.name else '')
    kept = {k: v for k, v in ablation.options.items() if k in (*options, ablation.baseline)}
    why = {k: v for k, v in ablation.why.items() if k in kept}
    return dataclasses.replace(ablation, options=kept, why=why)


def option_variant(ablation: Ablation, option: str) -> Variant:
    """The full setting of an option, at the learning rate of the base variant."""
    return variant.replace(ablation.variant, ablation.options[option], f' in option {option!r}')


def as_dict(ablation: Ablation) -> dict[str, Any]:
    """Every field of the resolved experiment: what config.json holds."""
    return dict(kind='Ablation') | dataclasses.asdict(ablation)


def load_experiment(name: str) -> Ablation:
    """The `EXPERIMENT` of a file in experiments/, by name, or of the user's own file, by path."""
    path = pathlib.Path(name) if name.endswith('.py') else catalogue.folder() / f'{name}.py'
    if not path.is_file():
        raise unknown('experiment', name, catalogue.questions())
    spec = importlib.util.spec_from_file_location(f'jaxdl_experiment_{path.stem}', path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except InputError:
        raise
    except Exception as error:  # the file is the user's own: whatever is wrong in it is said, not traced
        raise InputError(f'{path}: {type(error).__name__}: {error}') from error
    experiment = getattr(module, 'EXPERIMENT', None)
    if not isinstance(experiment, Ablation):
        raise InputError(f'{path}: sets no EXPERIMENT = Ablation(...)')
    question = experiment.question or (module.__doc__ or '').strip().partition('\n')[0]
    return check(dataclasses.replace(experiment, name=experiment.name or path.stem, question=question))


def _path(key: str) -> tuple[str, ...]:
    known = field_paths()
    if key in known:
        return tuple(key.split('.'))
    bare = [k for k in known if k.endswith(f'.{key}')]
    if len(bare) == 1:
        return tuple(bare[0].split('.'))
    if bare:
        raise InputError(f'override {key!r} could be {" or ".join(bare)}: write one of them')
    raise unknown('override', key, known if '.' in key else [k.rpartition('.')[2] for k in known])


def field_paths() -> list[str]:
    """Every field that an override reaches, by dotted name."""
    own = [
        f.name for f in dataclasses.fields(Ablation) if f.name not in PARTS and typing.get_origin(f.type) is not Mapping
    ]
    return own + [f'{part}.{f.name}' for part, kind in PARTS.items() for f in dataclasses.fields(kind)]


def _checked(kind: type, key: str, name: str, value: Any) -> Any:
    field = next(f for f in dataclasses.fields(kind) if f.name == name)
    return fields.check(key, field, kind.__annotations__[name], value)
