"""Registered metrics of a study: mean and paired difference of each."""

import math

from jaxdl import statistics
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table

INTERVAL = f'(95{words.SPACE}% interval)'
COLUMNS = ('Option', 'Validation', f'Test {INTERVAL}', f'Difference {INTERVAL}', 'Seeds')
NOTES = (
    'Last epoch, evaluation mode: means over seeds of the mean over images. Differences are '
    f'paired: option {words.MINUS} baseline on the same seed. Intervals are not corrected for '
    'several comparisons. Learning rates and verdicts depend on accuracy only. Seeds of diverged '
    'runs are left out.'
)


def blocks(study: AblationRun, condition: str) -> list[Block]:
    """One table per metric; empty if the study names none."""
    names = study.design(condition).get('metrics') or []
    tables: list[Block] = [_table(study, condition, name) for name in names]
    return [*tables, Paragraph(NOTES, 'note')] if tables else []


def _table(study: AblationRun, condition: str, metric: str) -> Table:
    rows = []
    for option in study.options:
        values, baseline = (
            _values(study, condition, name, 'test', metric) for name in (option, study.baseline)
        )
        shared = sorted(values.keys() & baseline.keys())
        paired = words.DASH
        if option != study.baseline and len(shared) > 1:
            ratio = study.test_train_ratio(condition)
            comparison = statistics.compare(
                *([v[s] for s in shared] for v in (values, baseline)), test_train_ratio=ratio
            )
            interval = ' to '.join(map(_signed, comparison.interval))
            paired = f'{_signed(comparison.difference)} ({interval})'
        validation = _mean(list(_values(study, condition, option, 'val', metric).values()))
        rows.append(
            [
                markup.name(option),
                validation,
                _mean(list(values.values()), interval=True),
                paired,
                str(len(values)),
            ]
        )
    return Table(f'{markup.name(metric)} per option', COLUMNS, rows, 'lrrrr')


def _values(
    study: AblationRun, condition: str, option: str, split: str, metric: str
) -> dict[int, float]:
    """Evaluation seed -> value, without diverged runs."""
    rows = study.series.get((condition, 'measure', option, split, metric), [])
    return {row['seed']: row['value'] for row in rows if math.isfinite(row['value'])}


def _mean(values: list[float], interval: bool = False) -> str:
    if len(values) < 2:
        return f'{values[0]:.4g}' if values else words.DASH
    mean, low, high = statistics.mean_interval(values)
    return f'{mean:.4g} ({low:.4g} to {high:.4g})' if interval else f'{mean:.4g}'


def _signed(value: float) -> str:
    return f'{value:+.3g}'.replace('-', words.MINUS) if value else '0'
