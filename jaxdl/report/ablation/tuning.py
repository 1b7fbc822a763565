"""How each option came to its learning rate."""

from jaxdl.report.ablation import queries, rates
from jaxdl.report.ablation.queries import Tuning
from jaxdl.report.ablation.study import Study
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Items, Paragraph, Table

USABLE = (
    'Usable: the widest run of neighbouring tried rates whose mean validation accuracy is within one point of the '
    "option's best, and the highest of them over the lowest. A wider run forgives a worse guess."
)


def blocks(study: Study, condition: str, figure: str) -> list[Block]:
    """The tuning phase as a figure named `figure` and a table; where there was none.

    Which rate was given.
    """
    tunings = {option: queries.tuning(study, condition, option) for option in study.options}
    tunings = {option: tuning for option, tuning in tunings.items() if tuning}
    if not tunings:
        return [Paragraph(_given(study, condition))]
    design = study.design(condition)
    seeds = words.count(design['tuning_seeds'], 'tuning seed')
    rule = (
        'Each option takes the rate with the best mean validation accuracy at epoch '
        f'{design["epochs"]}; of equal ones the smaller.'
    )
    edges = [
        _edge(option, tuning)
        for option, tuning in tunings.items()
        if tuning.added or tuning.on_edge
    ]
    columns = ('Option', 'Rates tried', 'Chosen', 'Validation accuracy there, %', 'Usable')
    rows = [_row(option, tuning) for option, tuning in tunings.items()]
    return [
        Paragraph(rule),
        *([Items(edges)] if edges else []),
        rates.figure(figure, tunings, study.data[condition]['val']),
        Table(f'The chosen learning rates; mean and range over {seeds}', columns, rows, 'lwrrr'),
        Paragraph(USABLE, 'note'),
    ]


def _given(study: Study, condition: str) -> str:
    given = {
        row['option']: f'{row["learning_rate"]:g}' for row in queries.compared(study, condition)
    }
    if len(set(given.values())) == 1:
        return f'The learning rate was given, not tuned: {given[study.baseline]} for every option.'
    each = words.listing(f'{rate} for {markup.name(option)}' for option, rate in given.items())
    return f'The learning rates were given, not tuned: {each}.'


def _row(option: str, tuning: Tuning) -> list[str]:
    values = tuning.values[tuning.chosen]
    tried = ', '.join(
        f'{rate:g}' + (' (added)' if rate in tuning.added else '') for rate in tuning.means
    )
    accuracy = words.number(tuning.means[tuning.chosen])
    if len(values) > 1:
        accuracy += f' ({words.span(min(values), max(values), words.number)})'
    return [markup.name(option), tried, f'{tuning.chosen:g}', accuracy, _usable(tuning)]


def _usable(tuning: Tuning) -> str:
    low, high = queries.usable(tuning)
    return (
        f'{low:g} alone' if low == high else f'{low:g} to {high:g}, {high / low:.3g}{words.TIMES}'
    )


def _edge(option: str, tuning: Tuning) -> str:
    """Where the best rate lay on the edge of the grid: how far the grid grew.

    And whether that was far enough.
    """
    name, chosen, past = (
        markup.name(option),
        f'{tuning.chosen:g}',
        'a rate past it might be better still',
    )
    if not tuning.added:
        return f'{name}: the best rate, {chosen}, lies on the edge of the grid; {past}.'
    grew = f'{name}: the best rate lay on the edge of the grid, so the grid grew to {tuning.added_to:g}'
    if tuning.on_edge:
        return f'{grew}; the best rate, {chosen}, still lies on the edge, and {past}.'
    return f'{grew}; the best rate is {chosen}, inside it.'
