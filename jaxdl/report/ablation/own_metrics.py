"""The metrics that a study registers: mean and paired difference of each, beside the accuracy."""

import math

from jaxdl import statistics
from jaxdl.report.ablation.study import Study
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table

INTERVAL = f'(95{words.SPACE}% interval)'
COLUMNS = ('Option', 'Validation', f'Test {INTERVAL}', f'Difference {INTERVAL}', 'Seeds')
HOW_TO_READ = (
    'Measured at the last epoch, in evaluation mode: means over seeds of the mean over images. Differences are paired, '
    'option less baseline on the same seed; whether more is better, the metric knows. The intervals hold for one '
    'comparison each. The learning rates were chosen, and the verdicts given, by accuracy alone. A diverged run has no '
    'value, and its seed is left out.'
)


def blocks(study: Study, condition: str) -> list[Block]:
    """A table for each metric; nothing where the study names none."""
    names = study.design(condition).get('metrics') or []
    tables: list[Block] = [_table(study, condition, name) for name in names]
    return [*tables, Paragraph(HOW_TO_READ, 'note')] if tables else []


def _table(study: Study, condition: str, metric: str) -> Table:
    rows = []
    for option in study.options:
        own, baseline = (
            _values(study, condition, each, 'test', metric) for each in (option, study.baseline)
        )
        shared = sorted(own.keys() & baseline.keys())
        paired = words.DASH
        if option != study.baseline and len(shared) > 1:
            ratio = study.test_train_ratio(condition)
            found = statistics.compare(
                *([v[s] for s in shared] for v in (own, baseline)), test_train_ratio=ratio
            )
            paired = f'{_signed(found.difference)} ({" to ".join(map(_signed, found.interval))})'
        validation = _mean(list(_values(study, condition, option, 'val', metric).values()))
        rows.append(
            [
                markup.name(option),
                validation,
                _mean(list(own.values()), interval=True),
                paired,
                str(len(own)),
            ]
        )
    return Table(f'{markup.name(metric)}, by option', COLUMNS, rows, 'lrrrr')


def _values(study: Study, condition: str, option: str, split: str, metric: str) -> dict[int, float]:
    """Of each measuring seed whose run did not diverge."""
    rows = study.series.get((condition, 'measure', option, split, metric), [])
    return {row['seed']: row['value'] for row in rows if math.isfinite(row['value'])}


def _mean(values: list[float], interval: bool = False) -> str:
    if len(values) < 2:
        return f'{values[0]:.4g}' if values else words.DASH
    mean, low, high = statistics.mean_interval(values)
    return f'{mean:.4g} ({low:.4g} to {high:.4g})' if interval else f'{mean:.4g}'


def _signed(value: float) -> str:
    return f'{value:+.3g}'.replace('-', words.MINUS) if value else '0'
