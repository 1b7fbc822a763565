"""What each option costs: parameters, operations, seconds."""

from collections.abc import Callable

from jaxdl.report.ablation import queries
from jaxdl.report.ablation.study import Study
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.workdir.tables import Row

COLUMNS = (
    'Option',
    'Test accuracy, %',
    'Parameters',
    'FLOPs, forward pass of one image',
    'Training, seconds a member',
)
WRITERS = dict(parameters=words.exactly, flops=words.amount, seconds_per_member=words.significant)
HOW_TO_READ = (
    'FLOPs are as XLA counts them. Seconds a member are the training seconds of its group divided by the members of '
    'that group, which trained at once: one member alone would take longer.'
)


def blocks(study: Study, condition: str) -> list[Block]:
    """The costs of every option as a table beside its accuracy.

    Each with how many times the baseline's it is.
    """
    costs = {option: study.costs.get((condition, option), {}) for option in study.options}
    base = costs[study.baseline]
    means = {row['option']: words.number(row['mean']) for row in queries.compared(study, condition)}
    rows = [
        [markup.name(option), means[option], *_row(cost, {} if option == study.baseline else base)]
        for option, cost in costs.items()
    ]
    caption = 'Costs, and in brackets how many times that of the baseline'
    return [Table(caption, COLUMNS, rows, 'lrrrr'), Paragraph(HOW_TO_READ, 'note')]


def _row(cost: Row, base: Row) -> list[str]:
    return [_times(cost.get(key), base.get(key), write) for key, write in WRITERS.items()]


def _times(value: float | None, base: float | None, write: Callable[[float | None], str]) -> str:
    return (
        f'{write(value)} ({words.TIMES} {value / base:.2f})'
        if value is not None and base
        else write(value)
    )
