"""A finished comparison of options in memory: the input of its report."""

import dataclasses
import pathlib
from typing import Any

from jaxdl.report.page import words
from jaxdl.report.page.scale import Scale
from jaxdl.statistics import metrics, protocol
from jaxdl.statistics.metrics import ACCURACY, Metric
from jaxdl.workdir.correct import CorrectTable
from jaxdl.workdir.records import DataPlan, Extension, Plan, RunRecord, SearchPlan
from jaxdl.workdir.tables import Point, Row, hyperparameters

PARTS = ('variant', 'data', 'finetune', 'probe')  # records within a configuration
SPLITS = {'train': 'training', 'val': 'validation', 'test': 'test', '': ''}  # in words


@dataclasses.dataclass(frozen=True)
class Study:
    """Options under conditions, compared with a baseline, wherever they were trained.

    `series` holds the rows of results.csv by (condition, phase, option, split, metric), and
    `summary` the rows of summary.csv with further numbers (`corrected.extend`).
    """

    name: str
    config: dict[str, Any]
    run: RunRecord
    table: list[Row]
    summary: list[Row]
    series: dict[tuple[str, str, str, str, str], list[Row]]

    @property
    def baseline(self) -> str:
        """The option that the others are compared with."""
        return self.config['baseline']

    @property
    def metric(self) -> Metric:
        """The metric that decides."""
        return metrics.named(
            self.config.get('metric', ACCURACY.name), self.config.get('lower_is_better', False)
        )

    @property
    def split(self) -> str:
        """Split of the rows of results.csv that are compared."""
        return 'test'

    @property
    def scale(self) -> Scale:
        """The unit of the metric that decides."""
        return Scale(self.metric)

    @property
    def moment(self) -> str:
        """Moment of training at which the values were measured, after a noun."""
        return ' at the last epoch'

    @property
    def options(self) -> list[str]:
        """All options, the baseline first, then in the order of the study."""
        return sorted(self.config['options'], key=lambda option: option != self.baseline)

    @property
    def conditions(self) -> list[str]:
        """Names of the conditions; a single unnamed condition if the study has none."""
        return list(self.config['conditions'])

    @property
    def repeated(self) -> bool:
        """Whether there is more than one condition."""
        return len(self.conditions) > 1

    @property
    def comparisons(self) -> int:
        """Number of comparisons of a condition, which Holm's method corrects together."""
        return len(self.options) - 1

    def of(self, condition: str) -> str:
        """Suffix of a heading: the name of the condition if there are several."""
        return f': {words.condition(condition)}' if self.repeated else ''

    def suffix(self, condition: str) -> str:
        """End of the names of figures of a condition: `_2` for the second of several."""
        return f'_{self.conditions.index(condition) + 1}' if self.repeated else ''

    def test_train_ratio(self, condition: str) -> float:
        """Size of the test split over the training split if each seed draws a split; else 0."""
        del condition
        return 0.0


@dataclasses.dataclass(frozen=True)
class AnalysisRun(Study):
    """The workdir of results that were trained elsewhere."""

    @property
    def split(self) -> str:
        """Split of the rows of results.csv that are compared."""
        return self.config['split'] or 'test'

    @property
    def scale(self) -> Scale:
        """The unit of the metric that decides."""
        return Scale(self.metric, SPLITS[self.config['split']])

    @property
    def moment(self) -> str:
        """Moment of training, if the table has epochs."""
        return super().moment if any(row['epoch'] is not None for row in self.table) else ''


@dataclasses.dataclass(frozen=True)
class AblationRun(Study):
    """An ablation's workdir.

    `pairs` holds comparisons of options with other options than the baseline, rows as of `summary`,
    `correct` holds the content of correct.npz, `metrics` all metrics of the evaluation runs
    (columns METRICS), `artifacts` is the folder of further files of a report, and `extensions` are
    those of the finished run.
    """

    pairs: list[Row]
    plan: Plan
    costs: dict[tuple[str, str], Row]
    correct: CorrectTable
    metrics: list[Row]
    artifacts: pathlib.Path
    extensions: tuple[Extension, ...] = ()

    @property
    def comparisons(self) -> int:
        """Number of comparisons of a condition, which Holm's method corrects together."""
        return super().comparisons + len(self.config.get('comparisons', ()))

    @property
    def metric(self) -> Metric:
        """The metric that decides."""
        return self.metric_of(self.config.get('metric', ACCURACY.name))

    def metric_of(self, name: str) -> Metric:
        """A metric that the run measured, by its name."""
        facts = (self.plan.metrics or {}).get(name)
        return (
            metrics.named(name, facts.lower_is_better, facts.over) if facts else metrics.named(name)
        )

    @property
    def base(self) -> dict[str, Any] | None:
        """Settings of the fine-tuning that all options share; None for new networks."""
        return self.config.get('base')

    @property
    def moment(self) -> str:
        """Moment of training at which the values were measured, after a noun."""
        return ' at the selected epoch' if self.base else super().moment

    @property
    def validation_error(self) -> str:
        """Distance of the metric on the validation split from a perfect value, in words."""
        if self.metric is ACCURACY:
            return 'validation error'
        if self.metric.lower_is_better:
            return f'validation {self.metric.words}'
        return f'validation error (1 {words.MINUS} {self.metric.words})'

    def design(self, condition: str) -> dict[str, Any]:
        """The configuration with the overrides of a condition applied.

        That of a fine-tuning has the settings of its base, the overrides among them.
        """
        settings = self.config | (self.base or {})
        parts = {part: dict(settings[part]) for part in PARTS if part in settings}
        design = settings | parts | {name: self.config[name] for name in ('name', 'scale')}
        for key, value in self.config['conditions'][condition].items():
            *part, field = key.removeprefix('base.').split('.')
            homes = [parts[part[0]]] if part else [design, *parts.values()]
            next((home for home in homes if field in home), design)[field] = value
        if self.base:
            design |= dict(epochs=parts['finetune']['epochs'], learning_rates=(), tuning_seeds=0)
        return design

    def folder(self, condition: str) -> pathlib.Path:
        """Folder of the artifacts of a condition."""
        return self.artifacts / str(self.conditions.index(condition))

    def margin(self, condition: str) -> float | None:
        """Options closer than this in the metric count as equivalent; None without a margin."""
        margin = self.design(condition)['margin']
        return protocol.equivalence_margin(
            margin,
            self.table,
            self.baseline,
            condition,
            self.metric,
            self.design(condition)['tuning_seeds'] if self.search(condition) else None,
        )

    def search(self, condition: str) -> SearchPlan | None:
        """The planned search of hyperparameters; None for a grid of learning rates."""
        return (self.plan.search or {}).get(condition)

    @property
    def searched(self) -> tuple[str, ...]:
        """Hyperparameters that a search varies; empty without a search."""
        names = (name for search in (self.plan.search or {}).values() for name in search.fields)
        return tuple(dict.fromkeys(names))

    @property
    def point_head(self) -> str:
        """Head of a column of `point_text`: `Learning rate, weight decay`."""
        return ', '.join(map(words.field, hyperparameters(self.table[0]))).capitalize()

    def point_text(self, point: Point) -> str:
        """Hyperparameters of a run, in the order of `point_head`: `0.1, 0.0001`."""
        return ', '.join(words.DASH if value is None else f'{value:g}' for value in point)

    def test_train_ratio(self, condition: str) -> float:
        """Size of the test split over the training split if each seed draws a split; else 0."""
        data = self.data[condition]
        return (
            data.test / data.train if self.design(condition)['data'].get('resample_split') else 0.0
        )

    def varying(self, field: str) -> str:
        """Value of a field of the design; all values if conditions differ: `20 and 40`."""
        return words.listing(
            dict.fromkeys(str(self.design(condition)[field]) for condition in self.conditions)
        )

    @property
    def seed_counts(self) -> str:
        """Number of evaluation seeds; all numbers if conditions differ."""
        numbers = (protocol.seed_numbers(self.design(c)['seeds']) for c in self.conditions)
        return words.listing(dict.fromkeys(str(len(seeds)) for seeds in numbers))

    @property
    def seed_words(self) -> str:
        """Evaluation seeds of all conditions: `10 (1000 to 1009)`."""
        every = (protocol.seed_numbers(self.design(c)['seeds']) for c in self.conditions)
        texts = (f'{len(seeds)} ({protocol.seed_words(seeds)})' for seeds in every)
        return '; '.join(dict.fromkeys(texts))

    @property
    def varied(self) -> set[str]:
        """Names of all settings that an option, a condition or a search sets."""
        overrides = [*self.config['options'].values(), *self.config['conditions'].values()]
        names = {name.rpartition('.')[2] for settings in overrides for name in settings}
        return names | {*self.searched}

    @property
    def data(self) -> dict[str, DataPlan]:
        """Condition -> its data."""
        return {condition: self.plan.data[condition] for condition in self.conditions}
