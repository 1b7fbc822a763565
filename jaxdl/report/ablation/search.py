"""Search of hyperparameters: budget, chosen points, tolerance, boundaries, isolation plots."""

import itertools
from collections.abc import Mapping

from jaxdl.report.ablation import queries, search_figure
from jaxdl.report.ablation.queries import Searched
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Items, Paragraph, Table
from jaxdl.statistics import protocol
from jaxdl.statistics.search import Range, survivors
from jaxdl.workdir import tables
from jaxdl.workdir.tables import Row

CLOSE = (
    'Share close to the best: points with mean {quantity} within {near} of the best point of the '
    'option. The points cover the ranges evenly, so the share estimates the tolerance: the part of '
    'the searched ranges that is as good. Values close to the best: the smallest and the largest '
    'of these points, and their distance as a share of the searched range.'
)
STOPPED = (
    ' Points that halving stopped count as not close. Their values at the last epoch are not '
    'known, so the expected best for a smaller budget is not estimated.'
)
GREW = 'Every option took the same number of further points over its range.'
# Columns of tables/chosen.csv after condition, option and hyperparameters.
BUDGET = dict(
    trials=int,
    epochs=int,
    metric=str,
    validation=float,
    validation_further_seeds=float,
    share_close=float,
)


def blocks(study: AblationRun, condition: str, figure: str) -> list[Block]:
    """Rule, boundaries, chosen points and tolerance, and a figure per field, named `figure`."""
    searches = queries.searches(study, condition)
    fields = tuple(dict.fromkeys(f for searched in searches.values() for f in searched.planned))
    edges = [text for option, searched in searches.items() if (text := _edges(option, searched))]
    grew = any(searched.ranges != searched.planned for searched in searches.values())
    quantity = f'validation {study.scale.drawn_name}'
    stopped = any(searched.stopped for searched in searches.values())
    note = CLOSE.format(quantity=quantity, near=queries.near_words(study))
    return [
        Paragraph(_rule(study, condition, searches)),
        *([Items([*edges, *([GREW] if grew else [])])] if edges else []),
        _chosen(study, searches, fields),
        _tolerance(searches, fields),
        Paragraph(note + (STOPPED if stopped else ''), 'note'),
        *(
            search_figure.figure(f'{figure}_{field}', field, searches, study, condition)
            for field in fields
        ),
    ]


def as_csv(study: AblationRun) -> str:
    """tables/chosen.csv: the chosen point of every option, and its budget."""
    fields = tuple(dict.fromkeys(('learning_rate', *study.searched)))
    rows: list[Row] = []
    for condition in study.conditions:
        for option, searched in queries.searches(study, condition).items():
            values = zip(searched.tuned.names, searched.chosen, strict=True)
            rows.append(
                dict(
                    condition=condition,
                    option=option,
                    trials=searched.trials,
                    epochs=searched.epochs,
                    metric=study.metric.name,
                    validation=searched.means[searched.chosen],
                    validation_further_seeds=searched.further[searched.chosen],
                    share_close=len(searched.close) / searched.trials,
                    **dict(values),
                )
            )
    head = dict(condition=str, option=str) | dict.fromkeys(fields, float)
    return tables.as_csv(head | BUDGET, rows)


def _rule(study: AblationRun, condition: str, searches: Mapping[str, Searched]) -> str:
    design, first = study.design(condition), searches[study.baseline]
    best, seeds = min(protocol.FINALISTS, first.trials), design['tuning_seeds']
    return (
        f'Every option was searched with {words.count(first.trials, "point")} and '
        f'{words.count(first.epochs, "training epoch")}.{_halving(study, condition)} Each point '
        f'ran on {words.count(seeds, "tuning seed")}, the {best} best points on '
        f'{protocol.FURTHER_SEEDS} further seeds. Of these points, the best mean validation '
        f'{study.scale.name} over the further seeds alone, after epoch {design["epochs"]}, selects '
        'the point of the option.'
    )


def _halving(study: AblationRun, condition: str) -> str:
    """Sentences on the points that halving stopped, and on the epochs that it saved."""
    plan = study.search(condition)
    if plan is None or not plan.halving:
        return ''
    points, parts, trained = plan.trials, [], 0
    for first, end in itertools.pairwise((0, *plan.rungs)):
        parts.append(f'{words.count(points, "point")} to epoch {end}')
        trained += points * (end - first)
        points = survivors(points, plan.halving)
    full_epochs = plan.trials * plan.rungs[-1]
    return (
        ' Successive halving compared the points of one option after each part: '
        f'{words.listing(parts)} of the planned points, under the learning-rate schedule of all '
        f'epochs. The planned points took {trained:,} of {words.count(full_epochs, "epoch")} '
        f'per seed, {100 * (1 - trained / full_epochs):.0f}{words.SPACE}% fewer.'
    )


def _chosen(study: AblationRun, searches: Mapping[str, Searched], fields: tuple[str, ...]) -> Table:
    unit = study.scale
    heads = [words.field(field).capitalize() for field in fields]
    columns = (
        'Option',
        'Points',
        'Epochs',
        *heads,
        f'Validation {unit.drawn_label}, first seeds',
        'Further seeds',
        'Close to the best',
    )
    rows = []
    for option, searched in searches.items():
        point, close = searched.chosen, len(searched.close)
        share = f'{close} of {searched.trials} ({100 * close / searched.trials:.0f}{words.SPACE}%)'
        rows.append(
            [
                markup.name(option),
                str(searched.trials),
                f'{searched.epochs:,}',
                *(_value(searched, field) for field in fields),
                unit.drawn_number(searched.means[point]),
                unit.drawn_number(searched.further[point]),
                share,
            ]
        )
    caption = 'Selected points, their budget, and the share of points close to the best'
    return Table(caption, columns, rows, 'l' + 'r' * (len(columns) - 1))


def _value(searched: Searched, field: str) -> str:
    """Selected value; in brackets a value that the option sets and the search does not vary."""
    number = searched.value(searched.chosen, field)
    if number is None:
        return words.DASH
    value = f'{number:.4g}'
    return value if field in searched.planned else f'({value})'


def _tolerance(searches: Mapping[str, Searched], fields: tuple[str, ...]) -> Table:
    columns = ('Option', *(words.field(field).capitalize() for field in fields))
    rows = [
        [markup.name(option), *(_span(searched, field) for field in fields)]
        for option, searched in searches.items()
    ]
    return Table('Values close to the best', columns, rows, 'l' + 'w' * len(fields))


def _span(searched: Searched, field: str) -> str:
    if field not in searched.planned:
        return words.DASH
    limits = searched.ranges[field]
    values = [searched.value(point, field) for point in searched.close]
    low, high = min(values), max(values)
    share = 100 * (limits.unit(high) - limits.unit(low))
    if low == high:
        return f'{words.decimal(low)} only'
    text = f'{words.decimal(low)} to {words.decimal(high)}'
    return f'{text}, {share:.0f}{words.SPACE}% of {_range(limits)}'


def _edges(option: str, searched: Searched) -> str:
    """Sentences on ranges that grew, and on a best point that is still at a boundary."""
    grew, still = [], []
    for field, limits in searched.ranges.items():
        name, planned = words.field(field), searched.planned[field]
        if limits != planned:
            grew.append(f'{name} {_range(planned)}, now {_range(limits)}')
        if field in searched.edges:
            end = limits.low if searched.edges[field] == 'low' else limits.high
            still.append(f'the {name}, {words.decimal(end)}')
    texts = []
    if grew:
        texts.append(f'the best point was at a boundary. Extended: {"; ".join(grew)}.')
    if still:
        head = 'The' if grew else 'the'
        texts.append(
            f'{head} best point is at the boundary of {words.listing(still)}. '
            'A value beyond it may be better.'
        )
    return f'{markup.name(option)}: {" ".join(texts)}' if texts else ''


def _range(limits: Range) -> str:
    return f'{words.decimal(limits.low)} to {words.decimal(limits.high)}'
