"""Values and differences of a metric as text: in per cent and percentage points, or plain."""

import dataclasses
import math

import numpy as np

from jaxdl.report.page import words
from jaxdl.report.page.blocks import Axis
from jaxdl.statistics import metrics
from jaxdl.statistics.metrics import ACCURACY, Metric
from jaxdl.workdir.tables import Row

POINTS = 'percentage points'


@dataclasses.dataclass(frozen=True)
class Scale:
    """Unit of a metric in texts, tables and figures.

    Figures of a metric in per cent show the error, 1 - value. Other metrics have their own axis.

    Attributes:
      metric: the metric.
      split: split of the values that are compared, in words; empty if it is not known.
    """

    metric: Metric
    split: str = 'test'

    @property
    def percent(self) -> bool:
        """Whether values are written in per cent, and differences in percentage points."""
        return self.metric.unit == metrics.PERCENT

    @property
    def name(self) -> str:
        """Name of the metric in sentences."""
        return self.metric.words

    @property
    def compared(self) -> str:
        """Name of the values that are compared: `test accuracy`; `accuracy` on an unknown split."""
        return f'{self.split} {self.name}'.strip()

    @property
    def chance(self) -> str:
        """Value that a diverged run counts as, in words."""
        return self.metric.guess_words.replace(' - ', f' {words.MINUS} ')

    @property
    def factor(self) -> int:
        """Factor of a value and of a difference in figures."""
        return 100 if self.percent else 1

    def number(self, value: float) -> str:
        """A value without its unit: `97.42`, `0.9876`."""
        return words.number(value) if self.percent else f'{value:.4g}'.replace('-', words.MINUS)

    def value(self, value: float) -> str:
        """A value with its unit: `97.42 %`, `0.9876`."""
        return words.percent(value) if self.percent else self.number(value)

    def size(self, difference: float) -> str:
        """A difference without sign and unit: `0.52`, `0.0123`."""
        return words.number(difference) if self.percent else f'{abs(difference):.3g}'

    def points(self, difference: float) -> str:
        """A signed difference without unit: `+0.52`, `+0.0123`."""
        if self.percent:
            return words.points(difference)
        sign = '+' if difference > 0 else words.MINUS if difference < 0 else ''
        return f'{sign}{self.size(difference)}'

    def span(self, low: float | None, high: float | None) -> str:
        """An interval of a difference: `+0.10 to +0.94`; a dash without one."""
        return words.span(low, high, self.points)

    def values(self, low: float | None, high: float | None) -> str:
        """An interval of a value: `97.10 to 97.94`; a dash without one."""
        return words.span(low, high, self.number)

    def estimable(self, interval: tuple[float, float]) -> bool:
        """Whether an interval of a difference is narrower than the range of all differences."""
        largest = max(map(abs, interval))
        return math.isfinite(largest) and largest < self.metric.largest

    def in_points(self, text: str) -> str:
        """A written difference with its unit: `+0.52 percentage points`, `+0.0123`."""
        return f'{text} {POINTS}' if self.percent else text

    def head(self, split: str | None = None) -> str:
        """Head of a column of values: `Test accuracy, %`; None for the values that are compared."""
        name = self.compared if split is None else f'{split} {self.name}'
        return words.capital(name) + (', %' if self.percent else '')

    def difference_head(self, noun: str = 'Difference') -> str:
        """Head of a column of differences: `Difference, percentage points`."""
        return f'{noun}, {POINTS}' if self.percent else noun

    @property
    def in_unit(self) -> str:
        """Unit of differences after a noun: ` in percentage points`; empty for plain numbers."""
        return f' in {POINTS}' if self.percent else ''

    @property
    def drawn_name(self) -> str:
        """Quantity that figures show: `error`, `error (1 - macro F1)` or the metric."""
        if not self.percent:
            return self.name
        return 'error' if self.metric is ACCURACY else f'error (1 {words.MINUS} {self.name})'

    @property
    def drawn_unit(self) -> str:
        """Unit of the quantity that figures show: `%` or empty."""
        return self.metric.unit

    @property
    def drawn_label(self) -> str:
        """Quantity that figures show, with its unit: `error, %`."""
        return self.drawn_name + (', %' if self.percent else '')

    @property
    def drawn_best(self) -> str:
        """Direction of the quantity that figures show: `lowest` or `highest`."""
        return 'lowest' if self.percent or self.metric.lower_is_better else 'highest'

    def axis(self, floor: float, split: str = '') -> Axis:
        """Axis of a chart; `floor` is the lower end of a logarithmic one."""
        name = f'{split} {self.drawn_name}'.strip()
        return Axis(name, self.drawn_unit, decimals=2 if self.percent else 4, floor=floor)

    @property
    def drawn_form(self) -> str:
        """Format of numbers that `drawn` returned."""
        return '.2f' if self.percent else '.4g'

    def drawn(self, values: float | np.ndarray) -> np.ndarray:
        """Values as figures show them: errors in per cent, or the metric itself."""
        return 100 * (1 - np.asarray(values)) if self.percent else np.asarray(values)

    def drawn_number(self, value: float) -> str:
        """A value as figures show it, without unit."""
        return words.number(1 - value) if self.percent else self.number(value)

    def drawn_value(self, value: float) -> str:
        """A value as figures show it, with its unit."""
        return words.percent(1 - value) if self.percent else self.number(value)


def of(row: Row) -> Scale:
    """Scale of a row of a summary: that in the row, otherwise that of its metric by name."""
    return row.get('scale') or Scale(metrics.named(row.get('metric') or ACCURACY.name))


DEFAULT = Scale(ACCURACY)
