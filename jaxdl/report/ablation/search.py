"""Search of hyperparameters: budget, chosen points, tolerance, boundaries, isolation plots."""

from collections.abc import Mapping

from jaxdl.report.ablation import queries, search_figure
from jaxdl.report.ablation.queries import Searched
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Items, Paragraph, Table
from jaxdl.statistics import protocol
from jaxdl.statistics.search import Range, survivors
from jaxdl.workdir import tables
from jaxdl.workdir.records import SearchPlan
from jaxdl.workdir.tables import Row

CLOSE = (
    'Share close to the best: points with mean {quantity} within {near} of the best point of the '
    'option. The points cover the ranges evenly, so the share estimates the tolerance: the part of '
    'the searched ranges that is as good. Values close to the best: the smallest and the largest '
    'of these points, and their distance as a share of the searched range.'
)
STOPPED = ' Points that halving stopped count as not close.'
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
    edges = [text for option, searched in searches.items() for text in _edges(option, searched)]
    quantity = f'validation {study.scale.drawn_name}'
    stopped = any(searched.stopped for searched in searches.values())
    note = CLOSE.format(quantity=quantity, near=queries.near_words(study))
    return [
        Paragraph(_rule(study, condition, searches)),
        *([Items(edges)] if edges else []),
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
    plan, halving = study.search(condition), ''
    if plan and plan.halving:
        stops = words.listing(
            f'{words.count(points, "point")} to epoch {end}' for points, end in _rungs(plan)
        )
        halving = (
            f' Successive halving compared the points of one option after each part: {stops} of '
            'the planned points, under the learning-rate schedule of all epochs.'
        )
    return (
        f'Every option was searched with {words.count(first.trials, "point")} and '
        f'{words.count(first.epochs, "training epoch")}.{halving} Each point ran on '
        f'{words.count(seeds, "tuning seed")}, the {best} best points on {protocol.FURTHER_SEEDS} '
        f'further seeds. Of these points, the best mean validation {study.scale.name} over the '
        f'further seeds alone, after epoch {design["epochs"]}, selects the point of the option.'
    )


def _rungs(plan: SearchPlan) -> list[tuple[int, int]]:
    """Number of planned points, and the epoch to which they train, for each rung."""
    points, rungs = plan.trials, []
    for end in plan.rungs:
        rungs.append((points, end))
        points = survivors(points, plan.halving)
    return rungs


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
        return f'{low:.3g} only'
    return f'{low:.3g} to {high:.3g}, {share:.0f}{words.SPACE}% of {_range(limits)}'


def _edges(option: str, searched: Searched) -> list[str]:
    """Sentences on ranges that grew, and on a best point that still lies at a boundary."""
    name, texts = markup.name(option), []
    for field, limits in searched.ranges.items():
        planned, words_of = searched.planned[field], words.field(field)
        if limits != planned:
            texts.append(
                f'{name}: the best point was at a boundary of the {words_of}, so its range grew '
                f'from {_range(planned)} to {_range(limits)}. Every option took the same number of '
                'further points.'
            )
        if field in searched.edges:
            end = limits.low if searched.edges[field] == 'low' else limits.high
            texts.append(
                f'{name}: the best point is at the boundary of the {words_of}, {end:.4g}. '
                'A value beyond it may be better.'
            )
    return texts


def _range(limits: Range) -> str:
    return f'{limits.low:.3g} to {limits.high:.3g}'
