"""Learning rates: the tried grid, the selected rate and its tolerance, per option."""

from jaxdl.report.ablation import finetuning, queries, tuning_figure
from jaxdl.report.ablation.queries import Tuning
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Items, Paragraph, Table

TOLERANCE = (
    'Learning-rate tolerance: widest range of neighbouring tried rates with mean {quantity} within '
    "{near} of the option's best, and the ratio of its ends."
)


def blocks(study: AblationRun, condition: str, figure: str) -> list[Block]:
    """Tuning as a figure named `figure` and a table; without tuning the configured rates."""
    tunings = {option: queries.tuning(study, condition, option) for option in study.options}
    tunings = {option: tuning for option, tuning in tunings.items() if tuning}
    if not tunings and study.base:
        return [Paragraph(finetuning.FIXED)]
    if not tunings:
        return [Paragraph(_untuned(study, condition))]
    design, unit = study.design(condition), study.scale
    seeds = words.count(design['tuning_seeds'], 'tuning seed')
    rule = (
        f'Each option takes the learning rate with the {unit.drawn_best} mean validation '
        f'{unit.drawn_name} at epoch {design["epochs"]}; the smallest of equal ones.'
    )
    edges = [
        _edge(option, tuning)
        for option, tuning in tunings.items()
        if tuning.added or tuning.on_edge
    ]
    value = f'Validation {unit.drawn_label}'
    columns = ('Option', 'Learning rates tried', 'Selected', value, 'Tolerance')
    rows = [_row(option, tuning, study) for option, tuning in tunings.items()]
    quantity = f'validation {unit.drawn_name}'
    return [
        Paragraph(rule),
        *([Items(edges)] if edges else []),
        tuning_figure.figure(figure, tunings, study.data[condition].val, unit),
        Table(
            f'Selected learning rates; {quantity}: mean and range over {seeds}',
            columns,
            rows,
            'lwrrr',
        ),
        Paragraph(TOLERANCE.format(quantity=quantity, near=queries.near_words(study)), 'note'),
    ]


def _untuned(study: AblationRun, condition: str) -> str:
    rates = {
        row['option']: f'{row["learning_rate"]:g}' for row in queries.compared(study, condition)
    }
    if len(set(rates.values())) == 1:
        return f'The learning rate was not tuned: {rates[study.baseline]} for every option.'
    texts = words.listing(f'{rate} for {markup.name(option)}' for option, rate in rates.items())
    return f'The learning rates were not tuned: {texts}.'


def _row(option: str, tuning: Tuning, study: AblationRun) -> list[str]:
    values, unit = tuning.values[tuning.chosen], study.scale
    tried = ', '.join(
        f'{rate:g}' + (' (added)' if rate in tuning.added else '') for rate in tuning.means
    )
    text = unit.drawn_number(tuning.means[tuning.chosen])
    if len(values) > 1:
        ends = (max(values), min(values)) if unit.percent else (min(values), max(values))
        text += f' ({words.span(*ends, unit.drawn_number)})'
    tolerance = _tolerance(queries.tolerance(tuning, study.metric))
    return [markup.name(option), tried, f'{tuning.chosen:g}', text, tolerance]


def _tolerance(ends: tuple[float, float]) -> str:
    low, high = ends
    return f'{low:g} only' if low == high else f'{low:g} to {high:g}, {high / low:.3g}{words.TIMES}'


def _edge(option: str, tuning: Tuning) -> str:
    """Sentence on a best rate at the edge of the grid, and on the extension of the grid."""
    name, chosen = markup.name(option), f'{tuning.chosen:g}'
    beyond = 'A rate beyond the edge may be better'
    if not tuning.added:
        return f'{name}: the best learning rate, {chosen}, is at the edge of the grid. {beyond}.'
    extended = (
        f'{name}: the best learning rate was at the edge of the grid, so the grid was extended to '
        f'{tuning.added_to:g}'
    )
    if tuning.on_edge:
        return f'{extended}. The best rate, {chosen}, is still at the edge. {beyond}.'
    return f'{extended}. The best rate, {chosen}, is inside the grid.'
