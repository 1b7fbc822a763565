"""Costs of each option: parameters, operations, seconds."""

from collections.abc import Callable

from jaxdl.report.ablation import finetuning, queries
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.workdir.tables import Row

COLUMNS = ('Parameters', 'FLOPs, forward pass of one image', 'Training, seconds per run')
WRITERS = dict(parameters=words.exactly, flops=words.amount, seconds_per_member=words.significant)
NOTES = (
    'FLOPs as counted by XLA. Seconds per run: training time of the group divided by its number of '
    'runs. These trained together; a single run would take longer.'
)


def blocks(study: AblationRun, condition: str) -> list[Block]:
    """Costs of every option next to its metric, each with its ratio to the baseline."""
    costs = {option: study.costs.get((condition, option), {}) for option in study.options}
    base = costs[study.baseline]
    means = {
        row['option']: study.scale.number(row['mean']) for row in queries.compared(study, condition)
    }
    rows = [
        [markup.name(option), means[option], *_row(cost, {} if option == study.baseline else base)]
        for option, cost in costs.items()
    ]
    caption = 'Costs; in brackets the ratio to the baseline'
    columns = ('Option', study.scale.head('Test'), *COLUMNS)
    notes = finetuning.COSTS if study.base else NOTES
    return [Table(caption, columns, rows, 'lrrrr'), Paragraph(notes, 'note')]


def _row(cost: Row, base: Row) -> list[str]:
    return [_times(cost.get(key), base.get(key), write) for key, write in WRITERS.items()]


def _times(value: float | None, base: float | None, write: Callable[[float | None], str]) -> str:
    return (
        f'{write(value)} ({words.TIMES} {value / base:.2f})'
        if value is not None and base
        else write(value)
    )
