"""A question with its design: an ablation, a demonstration of theory, a fine-tuning.

Or an assignment of several.
"""

import dataclasses
import importlib.util
import itertools
import pathlib
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxdl import fields
from jaxdl.config import catalogue, registry
from jaxdl.config.names import PICTURES, PROBES, TRACKERS
from jaxdl.config.recipe import RECIPES, Probe, Recipe
from jaxdl.data import Data
from jaxdl.errors import InputError, blamed, unknown
from jaxdl.models import ARCHITECTURES
from jaxdl.models.conv import LOWERINGS
from jaxdl.train import variant
from jaxdl.train.metrics import METRICS
from jaxdl.train.variant import Variant

Overrides = Mapping[str, Any]
SCALES = ('full', 'quick')


def geometric(low: float, high: float, count: int) -> tuple[float, ...]:
    """`count` learning rates from `low` to `high` in equal ratios, to three digits.

    Examples:
      >>> geometric(0.01, 1.0, 5)
      (0.01, 0.0316, 0.1, 0.316, 1.0)
    """
    return tuple(
        float(f'{low * (high / low) ** (i / max(1, count - 1)):.3g}') for i in range(count)
    )


def sweep(**values: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """Options for every combination: `sweep(norm=['none', 'batch'])` -> `{'norm=none': {'norm'.

    'none'}, ...}`.

    Examples:
      >>> sweep(norm=['none', 'batch'], depth=[2])
      {'norm=none, depth=2': {'norm': 'none', 'depth': 2}, 'norm=batch, depth=2': {'norm': 'batch',
      'depth': 2}}
    """
    combinations = (
        dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())
    )
    return {', '.join(f'{k}={v}' for k, v in chosen.items()): chosen for chosen in combinations}


@dataclasses.dataclass(frozen=True)
class Ablation:
    """A factor whose options are compared with a baseline.

    An option is a named dict of overrides of Variant.

    A condition repeats the study under overrides of the experiment (`{'data.dataset': ...,
    'epochs': 5}`). Where a second factor is named, the conditions are its values, the first its
    baseline, and the interaction is reported.
    """

    factor: str  # what the options vary, in a word
    baseline: str  # the option that all others are compared with
    options: Mapping[str, Overrides]  # name -> overrides of `variant`
    why: Mapping[str, str] = dataclasses.field(
        default_factory=dict
    )  # option -> what is expected of it
    conditions: Mapping[str, Overrides] = dataclasses.field(default_factory=lambda: {'': {}})
    second_factor: str = ''  # what the conditions vary
    variant: Variant = Variant()  # what all options share
    data: Data = Data()
    learning_rates: tuple[float, ...] = fields.ruled(
        geometric(0.01, 1.0, 5), fields.each(fields.above(0))
    )
    tuning_seeds: int = fields.ruled(3, fields.at_least(1))  # of each option and rate
    seeds: int = fields.ruled(10, fields.at_least(1))  # fresh ones, that measure
    epochs: int = fields.ruled(20, fields.at_least(1))
    margin: float = fields.ruled(
        0.01, fields.between(1e-6, 1)
    )  # accuracy: options closer than this are equivalent
    variance_study: bool = (
        False  # where the variance of the baseline comes from: weights, order, noise, split
    )
    variance_levels: int = fields.ruled(
        7, fields.prime(5)
    )  # of each of these four, crossed in levels ** 2 members
    metrics: tuple[str, ...] = fields.ruled(
        (), fields.each(fields.one_of(METRICS), least=0)
    )  # beside the accuracy
    probes: tuple[str, ...] = fields.ruled((), fields.each(fields.one_of(PROBES), least=0))
    pictures: tuple[str, ...] = fields.ruled((), fields.each(fields.one_of(PICTURES), least=0))
    checkpoint_seconds: float = fields.ruled(
        30.0, fields.at_least(0)
    )  # the most work that a killed run repeats
    trackers: tuple[str, ...] = fields.ruled(
        (), fields.each(fields.one_of(TRACKERS), least=0)
    )  # told of the numbers
    chunk: int | None = fields.ruled(
        None, fields.at_least(1)
    )  # members at once on a device; null: what memory allows
    conv: str | None = fields.ruled(
        None, fields.one_of(LOWERINGS)
    )  # how convolutions are computed; null: the fastest
    scale: str = fields.ruled('full', fields.one_of(SCALES))
    name: str = fields.ruled('', fields.path_part)
    question: str = ''


@dataclasses.dataclass(frozen=True)
class Demonstration:
    """A question of theory: a function that gives its answer, in text, with every claim measured.

    Args:
      answer: (settings, note) -> `jaxdl.theory.answer.Answer`; `note(text)` tells whoever waits
        what is being done.
      settings: a frozen dataclass of `fields.ruled` fields, which `--set` reaches by name.
      quick: the settings that `--quick` puts in their place.
    """

    answer: Callable[[Any, Callable[[str], None]], Any]
    settings: Any
    quick: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    scale: str = fields.ruled('full', fields.one_of(SCALES))
    name: str = fields.ruled('', fields.path_part)
    question: str = ''


@dataclasses.dataclass(frozen=True)
class Assignment:
    """Several experiments, run one after another and answered in one report.

    In the order of `parts`.

    Args:
      parts: heading -> names of experiments.
      overrides: of every part that has such a field.
      roll_number: with one, the report, its answers and the code are also packed into
        `<roll_number>.zip`.
    """

    parts: Mapping[str, Sequence[str]]
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    roll_number: str = fields.ruled('', fields.file_name)
    scale: str = fields.ruled('full', fields.one_of(SCALES))
    name: str = fields.ruled('', fields.path_part)
    question: str = ''


@dataclasses.dataclass(frozen=True)
class FineTune:
    """A pretrained network fitted to new images: a linear probe of its features.

    Then all of its layers.

    Args:
      stages: `probe` alone, or `probe` and `finetune`.
      weights: a file of weights, or an id of the Hugging Face hub.
      architecture: a row of models.ARCHITECTURES; empty: what the tensors look like.
      revision: of a hub id.
      recipe: the row of RECIPES that was applied last.
      evidence: workdirs of ablations on these images, whose verdicts the report quotes.
    """

    stages: tuple[str, ...] = fields.ruled(
        ('probe', 'finetune'), fields.each(fields.one_of(('probe', 'finetune')))
    )
    weights: str = ''
    architecture: str = fields.ruled('', fields.one_of(('', *ARCHITECTURES)))
    revision: str = ''
    recipe: str = fields.ruled('', fields.one_of(('', *RECIPES)))
    variant: Variant = Variant()
    data: Data = Data()
    probe: Probe = Probe()
    finetune: Recipe = Recipe()
    evidence: tuple[str, ...] = fields.ruled((), fields.each(lambda _: None, least=0))
    checkpoint_seconds: float = fields.ruled(
        120.0, fields.at_least(0)
    )  # the most work that a killed run repeats
    trackers: tuple[str, ...] = fields.ruled(
        (), fields.each(fields.one_of(TRACKERS), least=0)
    )  # told of the numbers
    conv: str | None = fields.ruled(None, fields.one_of(LOWERINGS))
    scale: str = fields.ruled('full', fields.one_of(SCALES))
    name: str = fields.ruled('', fields.path_part)
    question: str = ''


Experiment = Ablation | Demonstration | Assignment | FineTune
Kind = typing.TypeVar('Kind', bound=Experiment)
UNSET = ('answer',)  # fields that no command line can set
QUICK = {
    'data.subset': 200,
    'data.image_size': 64,
    'probe.probe_size': 64,
    'probe.passes': 10,
    'finetune.epochs': 1,
    'finetune.sizes': (),
    'finetune.train_size': 48,
    'finetune.eval_size': 64,
    'finetune.explain': 2,
}


def parts(experiment: Experiment) -> dict[str, type]:
    """The fields of an experiment that are records with fields of their own."""
    return {
        name: type(getattr(experiment, name))
        for name in ('variant', 'data', 'settings', 'probe', 'finetune')
        if hasattr(experiment, name)
    }


def quick(experiment: Kind) -> Kind:
    """The same shrunk to under a minute (an assignment: 20), which is no evidence."""
    if isinstance(experiment, Demonstration):
        experiment = override(
            experiment, {f'settings.{name}': value for name, value in experiment.quick.items()}
        )
    if isinstance(experiment, Ablation):
        middle = experiment.learning_rates[len(experiment.learning_rates) // 2]
        shrunk = dict(learning_rates=(middle,), tuning_seeds=1, seeds=3, epochs=3)
        experiment = dataclasses.replace(experiment, **shrunk)
    if isinstance(experiment, FineTune):
        experiment = override(experiment, QUICK)
    return dataclasses.replace(experiment, scale='quick')


def override(experiment: Kind, overrides: Overrides) -> Kind:
    """`experiment` with fields set by dotted name (`variant.width`).

    Or by bare name where only one field has it.

    Examples:
      >>> study = Ablation('pooling', 'max', options=dict(max={}, avg=dict(pooling='avg')))
      >>> override(study, {'variant.width': 8, 'epochs': 40}).epochs
      40
      >>> override(study, {'widht': 8})
      Traceback (most recent call last):
      jaxdl.errors.InputError: unknown override 'widht': did you mean width?
    """
    for key, value in overrides.items():
        if isinstance(experiment, Assignment) and key not in field_paths(experiment):
            experiment = dataclasses.replace(
                experiment, overrides={**experiment.overrides, key: value}
            )
            continue
        path = _path(experiment, key)
        if path == ('recipe',) and isinstance(value, str):
            experiment = override(experiment, RECIPES.get(value, {}))
        if path == ('variant', 'learning_rate') and isinstance(experiment, Ablation):
            raise InputError(
                f'{key}={value!r}: the rate is tuned over learning_rates: set learning_rates=[{value}]'
            )
        if len(path) == 1:
            experiment = dataclasses.replace(
                experiment, **{path[0]: _checked(type(experiment), key, path[0], value)}
            )
        else:
            part = getattr(experiment, path[0])
            part = dataclasses.replace(
                part, **{path[1]: _checked(type(part), '.'.join(path), path[1], value)}
            )
            experiment = dataclasses.replace(experiment, **{path[0]: part})
    return experiment


def check(experiment: Kind) -> Kind:
    """`experiment` with every field converted and checked.

    The overrides of its options and conditions included.
    """
    inner = parts(experiment)
    own = [f.name for f in dataclasses.fields(experiment) if f.name not in (*inner, *UNSET)]
    checked = {
        name: _checked(type(experiment), name, name, getattr(experiment, name)) for name in own
    }
    for name, kind in inner.items():
        values = {
            f.name: getattr(getattr(experiment, name), f.name) for f in dataclasses.fields(kind)
        }
        checked[name] = kind(**{k: _checked(kind, f'{name}.{k}', k, v) for k, v in values.items()})
    experiment = dataclasses.replace(experiment, **checked)
    if isinstance(experiment, Assignment):
        _check_parts(experiment)
    return _check_options(experiment) if isinstance(experiment, Ablation) else experiment


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
                f'parts: {heading!r} is {names!r}: must be a list of names of experiments'
            )


def _check_options(ablation: Ablation) -> Ablation:
    if ablation.baseline not in ablation.options:
        raise unknown('baseline', ablation.baseline, ablation.options)
    for option, overrides in ablation.options.items():
        if not isinstance(overrides, Mapping):
            raise InputError(
                f'option {option!r} is {overrides!r}: must be a dict of overrides, such as dict(width=8)'
            )
        if 'learning_rate' in overrides:
            raise InputError(
                f'option {option!r} sets learning_rate, which is tuned: set learning_rate_scale'
            )
        option_variant(ablation, option)
    for condition, overrides in ablation.conditions.items():
        if not isinstance(overrides, Mapping):
            raise InputError(
                f'condition {condition!r} is {overrides!r}: must be a dict of overrides'
            )
        fractions = override(ablation, overrides).data.fractions
        if not all(fractions):
            raise InputError(
                f'data.fractions={list(fractions)}: an ablation measures on a test part: its share must be above 0'
            )
    if len(ablation.options) > 1 and ablation.seeds < 2:
        raise InputError(f'seeds={ablation.seeds}: two options are compared over at least 2 seeds')
    return ablation


def keep(ablation: Ablation, options: Sequence[str]) -> Ablation:
    """`ablation` with these options and the baseline only, in its own order."""
    for name in options:
        if name not in ablation.options:
            raise unknown(
                'option', name, ablation.options, f' of {ablation.name}' if ablation.name else ''
            )
    kept = {k: v for k, v in ablation.options.items() if k in (*options, ablation.baseline)}
    why = {k: v for k, v in ablation.why.items() if k in kept}
    return dataclasses.replace(ablation, options=kept, why=why)


def option_variant(ablation: Ablation, option: str) -> Variant:
    """The full setting of an option, at the learning rate of the base variant.

    Examples:
      >>> study = Ablation('pooling', 'max', options=dict(max={}, avg=dict(pooling='avg')))
      >>> option_variant(study, 'avg').pooling
      'avg'
    """
    return variant.replace(ablation.variant, ablation.options[option], f' in option {option!r}')


def as_dict(experiment: Experiment) -> dict[str, Any]:
    """Every field of the resolved experiment: what config.json holds."""
    found = dict(kind=type(experiment).__name__) | dataclasses.asdict(experiment)
    if isinstance(experiment, Demonstration):
        found['answer'] = f'{experiment.answer.__module__}.{experiment.answer.__qualname__}'
    own = registry.needed(used(experiment))
    return found | (dict(registered=own) if own else {})


def used(experiment: Experiment) -> set[tuple[str, str]]:
    """Whatever has a name in a table, of every option and condition: (kind or field, name)."""
    if not isinstance(experiment, Ablation | FineTune):
        return set()
    studies, variants = [experiment], [experiment.variant]
    if isinstance(experiment, Ablation):
        studies = [override(experiment, overrides) for overrides in experiment.conditions.values()]
        variants = [option_variant(study, option) for study in studies for option in study.options]
    found = {('dataset', study.data.dataset.partition(':')[0]) for study in studies}
    found |= {
        ('metric', name)
        for study in studies
        if isinstance(study, Ablation)
        for name in study.metrics
    }
    values = [
        (f.name, getattr(own, f.name)) for own in variants for f in dataclasses.fields(Variant)
    ]
    return found | {(field, value) for field, value in values if isinstance(value, str)}


def load_experiment(name: str) -> Experiment:
    """The `EXPERIMENT` of a file in experiments/, by name, or of the user's own file, by path."""
    path = pathlib.Path(name) if name.endswith('.py') else catalogue.folder() / f'{name}.py'
    if not path.is_file():
        raise unknown('experiment', name, catalogue.questions())
    spec = importlib.util.spec_from_file_location(f'jaxdl_experiment_{path.stem}', path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with blamed(
        str(path)
    ):  # the file is the user's own: whatever is wrong in it is said, not traced
        spec.loader.exec_module(module)
    experiment = getattr(module, 'EXPERIMENT', None)
    if not isinstance(experiment, Experiment):
        raise InputError(
            f'{path}: sets no EXPERIMENT = Ablation(...), Demonstration(...) or FineTune(...)'
        )
    question = experiment.question or (module.__doc__ or '').strip().partition('\n')[0]
    return check(
        dataclasses.replace(experiment, name=experiment.name or path.stem, question=question)
    )


def _path(experiment: Experiment, key: str) -> tuple[str, ...]:
    known = field_paths(experiment)
    if key in known:
        return tuple(key.split('.'))
    bare = [k for k in known if k.endswith(f'.{key}')]
    if len(bare) == 1:
        return tuple(bare[0].split('.'))
    if bare:
        raise InputError(f'override {key!r} could be {" or ".join(bare)}: write one of them')
    if key in ('tensorboard', 'finetune.tensorboard'):
        raise InputError(f'override {key!r} is now trackers: --set=trackers=["tensorboard"]')
    raise unknown('override', key, known if '.' in key else [k.rpartition('.')[2] for k in known])


def field_paths(experiment: Experiment) -> list[str]:
    """Every field that an override reaches, by dotted name."""
    inner = parts(experiment)
    skipped = (*inner, *UNSET)
    own = [
        f.name
        for f in dataclasses.fields(experiment)
        if f.name not in skipped and typing.get_origin(f.type) is not Mapping
    ]
    return own + [
        f'{part}.{f.name}' for part, kind in inner.items() for f in dataclasses.fields(kind)
    ]


def _checked(kind: type, key: str, name: str, value: Any) -> Any:
    field = next(f for f in dataclasses.fields(kind) if f.name == name)
    return fields.check(key, field, kind.__annotations__[name], value)
