"""Experiment records: ablations, demonstrations, fine-tunings, and assignments of several."""

import dataclasses
import itertools
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxdl import fields
from jaxdl.config.names import PICTURES, PROBES, TRACKERS
from jaxdl.config.recipe import RECIPES, Probe, Recipe
from jaxdl.data import Data
from jaxdl.models import ARCHITECTURES, embedded
from jaxdl.models.conv import LOWERINGS
from jaxdl.statistics.metrics import METRICS
from jaxdl.statistics.protocol import MEASURING_SEED
from jaxdl.statistics.search import Search
from jaxdl.train import variant
from jaxdl.train.settings import TrainSettings
from jaxdl.train.variant import Variant

Overrides = Mapping[str, Any]
LARGEST_SEED = 2**31 - 1  # of a random key
SCALES = ('full', 'quick')
TUNING = ('search', 'learning_rates')  # of an option, next to its overrides of Variant


def evaluation_seeds(value: int | tuple[int, ...]) -> str | None:
    """Check a number of evaluation seeds, or a list of them, none of which is a tuning seed."""
    if isinstance(value, tuple):
        return fields.each(fields.between(MEASURING_SEED, LARGEST_SEED))(value)
    return fields.at_least(1)(value)


def pair_of_options(value: tuple[str, ...]) -> str | None:
    """Check that a comparison is of two different options."""
    two = len(value) == len(set(value)) == 2
    return None if two else 'must be pairs of two options, such as [["avg", "l2"]]'


def geometric(low: float, high: float, count: int) -> tuple[float, ...]:
    """`count` learning rates from `low` to `high` in equal ratios, to three digits.

    Args:
      low: first rate.
      high: last rate.
      count: number of rates.

    Returns:
      The rates, ascending.

    Examples:
      >>> geometric(0.01, 1.0, 5)
      (0.01, 0.0316, 0.1, 0.316, 1.0)
    """
    return tuple(
        float(f'{low * (high / low) ** (i / max(1, count - 1)):.3g}') for i in range(count)
    )


def sweep(**values: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """Options for every combination of values, named after the values.

    Args:
      values: field -> its values.

    Returns:
      Name of the option -> its overrides.

    Examples:
      >>> list(sweep(norm=['none', 'batch'], depth=[2]))
      ['norm=none, depth=2', 'norm=batch, depth=2']
      >>> sweep(norm=['none'], depth=[2])
      {'norm=none, depth=2': {'norm': 'none', 'depth': 2}}
    """
    combinations = (
        dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())
    )
    return {', '.join(f'{k}={v}' for k, v in chosen.items()): chosen for chosen in combinations}


@dataclasses.dataclass(frozen=True)
class FineTune:
    """A pretrained network fitted to new images: a linear probe of its features, then all layers.

    Args:
      stages: `probe` alone, or `probe` and `finetune`.
      weights: a file of weights, weights of a package (`models.embedded.EMBEDDED`), or an id of the
        Hugging Face hub.
      architecture: a row of models.ARCHITECTURES; empty: recognised from the tensors.
      revision: of a hub id.
      network: which of several networks in the file, by a part of the names of its tensors:
        `encoder_q`, `teacher`.
      recipe: the row of RECIPES that was applied last.
      evidence: workdirs of ablations on these images, whose verdicts the report quotes.
    """

    stages: tuple[str, ...] = fields.ruled(
        ('probe', 'finetune'), fields.each(fields.one_of(('probe', 'finetune')))
    )
    weights: str = embedded.DEFAULT
    architecture: str = fields.ruled('', fields.one_of(('', *ARCHITECTURES)))
    revision: str = ''
    network: str = ''
    recipe: str = fields.ruled('', fields.one_of(('', *RECIPES)))
    variant: TrainSettings = TrainSettings()
    data: Data = Data()
    probe: Probe = Probe()
    finetune: Recipe = Recipe()
    evidence: tuple[str, ...] = fields.ruled((), fields.each(lambda _: None, least=0))
    checkpoint_seconds: float = fields.ruled(
        120.0, fields.at_least(0)
    )  # the most work that a killed run repeats
    trackers: tuple[str, ...] = fields.ruled(
        (), fields.each(fields.one_of(TRACKERS), least=0)
    )  # record the numbers of the run
    conv: str | None = fields.ruled(None, fields.one_of(LOWERINGS))
    scale: str = fields.ruled('full', fields.one_of(SCALES))
    name: str = fields.ruled('', fields.path_part)
    question: str = ''


@dataclasses.dataclass(frozen=True)
class Ablation:
    """A factor whose options are compared with a baseline.

    An option is a named dict of overrides of Variant. It may have a `search` or `learning_rates` of
    its own. With `base`, the study is one of a fine-tuning: an option is a dict of overrides of
    `base`, and only the fields of WITH_BASE may be set, since everything else is a setting of
    `base`.

    A condition repeats the study under overrides of the experiment (`{'data.dataset': ...,
    'epochs': 5}`). Where a second factor is named, the conditions are its values, the first its
    baseline, and the interaction is reported. Another `data.dataset` from the command line leaves
    out the conditions that name a data set.
    """

    factor: str  # what the options vary, in a word
    baseline: str  # the option that all others are compared with
    options: Mapping[str, Overrides]  # name -> overrides of `variant`, or of `base`
    why: Mapping[str, str] = dataclasses.field(
        default_factory=dict
    )  # option -> what is expected of it
    conditions: Mapping[str, Overrides] = dataclasses.field(default_factory=lambda: {'': {}})
    second_factor: str = ''  # what the conditions vary
    # pairs of options that are compared next to those with the baseline: [["avg", "l2"]]
    comparisons: tuple[tuple[str, ...], ...] = fields.ruled(
        (), fields.each(pair_of_options, least=0)
    )
    base: FineTune | None = None  # the fine-tuning that all options share; null: a new network
    variant: Variant = Variant()  # what all options share
    data: Data = Data(dataset='hard_digits')
    learning_rates: tuple[float, ...] = fields.ruled(
        geometric(0.01, 1.0, 5), fields.each(fields.above(0))
    )
    # field -> range (log_uniform, uniform) that every option is searched over, in place of
    # learning_rates; empty: none
    search: Search = dataclasses.field(default_factory=dict)
    trials: int = fields.ruled(16, fields.at_least(2))  # points of a search, of each option
    # successive halving of a search: one of so many points continues after a rung; null: all train
    # to the last epoch
    halving: int | None = fields.ruled(None, fields.at_least(2))
    # of each option and learning rate or point
    tuning_seeds: int = fields.ruled(3, fields.between(1, MEASURING_SEED))
    # evaluation seeds: their number, from 1000 on, or a list of them
    seeds: int | tuple[int, ...] = fields.ruled(10, evaluation_seeds)
    epochs: int = fields.ruled(20, fields.at_least(1))
    # the metric that decides: selects learning rates, gives the verdicts
    metric: str = fields.ruled('accuracy', fields.one_of(METRICS))
    # Options closer than this in the metric are equivalent. null: a fifth of the baseline's
    # validation error in the tuning phase.
    margin: float | None = fields.ruled(None, fields.at_least(1e-6))
    variance_study: bool = (
        False  # where the variance of the baseline comes from: weights, order, noise, split
    )
    variance_levels: int = fields.ruled(
        7, fields.prime(5)
    )  # of each of these four, crossed in levels ** 2 members
    metrics: tuple[str, ...] = fields.ruled(
        (), fields.each(fields.one_of(METRICS), least=0)
    )  # in addition to the metric that decides, in results.csv
    probes: tuple[str, ...] = fields.ruled((), fields.each(fields.one_of(PROBES), least=0))
    pictures: tuple[str, ...] = fields.ruled((), fields.each(fields.one_of(PICTURES), least=0))
    keep_networks: bool = False  # the measured networks, for `jaxdl.load_member`
    checkpoint_seconds: float = fields.ruled(
        30.0, fields.at_least(0)
    )  # the most work that a killed run repeats
    trackers: tuple[str, ...] = fields.ruled(
        (), fields.each(fields.one_of(TRACKERS), least=0)
    )  # record the numbers of the run
    chunk: int | None = fields.ruled(
        None, fields.at_least(1)
    )  # members at once on a device; null: what memory allows
    conv: str | None = fields.ruled(
        None, fields.one_of(LOWERINGS)
    )  # how convolutions are computed; null: the fastest
    scale: str = fields.ruled('full', fields.one_of(SCALES))
    name: str = fields.ruled('', fields.path_part)
    question: str = ''

    @property
    def images(self) -> Data:
        """Data of the runs: those of the base where there is one."""
        return self.base.data if self.base else self.data


# Fields of an Ablation that an ablation of a fine-tuning uses.
WITH_BASE = (
    'factor',
    'baseline',
    'options',
    'why',
    'conditions',
    'second_factor',
    'comparisons',
    'base',
    'seeds',
    'margin',
    'metric',
    'metrics',
    'scale',
    'name',
    'question',
)
# Fields of its `base` without effect: the study has such a field of its own, or no use for it.
UNUSED_OF_BASE = ('name', 'question', 'scale', 'evidence', 'finetune.explain', 'probe.label_folds')
# Fields of its `base` that no option can set: the images, and what concerns all runs together.
SHARED_OF_BASE = ('data', 'checkpoint_seconds', 'trackers')


@dataclasses.dataclass(frozen=True)
class Demonstration:
    """A question of theory: a function that gives its answer, in text, with every claim measured.

    Args:
      answer: (settings, note) -> `jaxdl.theory.answer.Answer`; `note(text)` writes a line of
        progress.
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
    """Several experiments, run in the order of `parts` and answered in one report.

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


Experiment = Ablation | Demonstration | Assignment | FineTune
Kind = typing.TypeVar('Kind', bound=Experiment)


def option_variant(ablation: Ablation, option: str) -> Variant:
    """Full setting of an option of new networks, at the learning rate of the base variant.

    Args:
      ablation: the study.
      option: name of the option.

    Returns:
      The base variant with the overrides of the option.

    Raises:
      InputError: an override that Variant cannot have.

    Examples:
      >>> study = Ablation('pooling', 'max', options=dict(max={}, avg=dict(pooling='avg')))
      >>> option_variant(study, 'avg').pooling
      'avg'
    """
    overrides = {k: v for k, v in ablation.options[option].items() if k not in TUNING}
    return variant.replace(ablation.variant, overrides, f' in option {option!r}')
