"""Numbers, table and figures of the page on the triplet loss."""

import numpy as np

from jaxdl import statistics
from jaxdl.report.page import words as say
from jaxdl.report.page.blocks import Figure, Table
from jaxdl.theory.triplet import figures as triplet_figures
from jaxdl.theory.triplet.networks import (
    ENTROPY,
    FAST,
    HALVES,
    METHODS,
    PIXELS,
    SLOW,
    TRIPLETS,
    UNTRAINED,
    ZEROS,
    Results,
)

NAMES = dict(
    triplet_random='triplet, random',
    triplet_semi_hard='triplet, semi-hard',
    triplet_hard='triplet, hard',
    softmax_cross_entropy='cross-entropy',
    untrained='untrained',
    pixels='raw pixels',
)
TASKS = dict(seen='5 seen digits', unseen='5 unseen digits', all='all 10 digits')


def words(results: Results) -> dict[str, str]:
    """Numbers of the text."""
    last = results.losses('triplet_hard', FAST)[:, -1]
    values = {
        f'{method.removeprefix("triplet_")}_{task}': say.percent(
            results.accuracy(method, layer, task).mean()
        )
        for method, layer in (
            *((m, 'embedding') for m in (*TRIPLETS, PIXELS, UNTRAINED)),
            (ENTROPY, 'before'),
        )
        for task in TASKS
    }
    norm = {method: np.median(results.recorded(method, SLOW, 'norm'), 0) for method in TRIPLETS}
    mined = {method: results.recorded(method, SLOW, 'mined')[:, 1:].mean() for method in TRIPLETS}
    first = {method: results.recorded(method, SLOW, 'mined')[:, 0].mean() for method in TRIPLETS}
    return values | dict(
        unseen_difference=_difference(results, 'triplet_hard', 'embedding', PIXELS, 'unseen'),
        all_difference=_difference(results, 'triplet_hard', 'embedding', PIXELS, 'all'),
        entropy_difference=_difference(
            results, 'triplet_hard', 'embedding', ENTROPY, 'unseen', 'before'
        ),
        last_difference=_difference(
            results, 'triplet_hard', 'embedding', ENTROPY, 'unseen', 'embedding'
        ),
        before_difference=_difference(results, 'triplet_hard', 'before', PIXELS, 'unseen'),
        norm_start=say.significant(norm['triplet_hard'][0]),
        **{
            f'norm_{method.removeprefix("triplet_")}': say.significant(values[-1])
            for method, values in norm.items()
        },
        **{
            f'mined_{method.removeprefix("triplet_")}': say.percent(each)
            for method, each in mined.items()
        },
        **{
            f'first_{method.removeprefix("triplet_")}': say.percent(each)
            for method, each in first.items()
        },
        stuck=str(int((abs(last - 1) <= 0.01).sum())),
        networks=str(len(results.losses(ZEROS, FAST))),
        seeds=str(results.seeds),
        episodes=str(results.episodes),
        epochs=str(results.epochs),
        trained='; '.join(
            f'{classes[0]} to {classes[-1]}' for classes in HALVES[: len(results.halves)]
        ),
        slow=f'{SLOW:g}',
        fast=f'{FAST:g}',
    )


def blocks(results: Results) -> list[Figure | Table]:
    """Figures and table, by their names in the text."""
    return [
        triplet_figures.accuracy(results, rows(), NAMES, TASKS),
        triplet_figures.training(results, NAMES),
        triplet_figures.embedding(results),
        _table(results),
    ]


def rows() -> list[tuple[str, str]]:
    """(method, layer) in the order of the figure."""
    return [
        (PIXELS, 'embedding'),
        (UNTRAINED, 'embedding'),
        (ENTROPY, 'before'),
        *((m, 'embedding') for m in TRIPLETS),
    ]


def _table(results: Results) -> Table:
    layers = dict(embedding='last layer', before='layer before the last')
    rows = [
        [
            NAMES[method],
            'pixels' if method == PIXELS else layers[layer],
            _rates(results, method),
            *(_cell(results.accuracy(method, layer, task)) for task in TASKS),
        ]
        for method in (PIXELS, UNTRAINED, ENTROPY, *TRIPLETS)
        for layer in layers
        if (method, layer) in results.halves[0].accuracy
    ]
    caption = (
        f'One-shot accuracy in per cent, mean of {results.seeds} seeds with 95 % interval; one '
        'learning rate per half of the digits'
    )
    columns = ('Method', 'Features', 'Learning rate', *TASKS.values())
    return Table(caption, columns, rows, 'lllrrr', name='accuracies')


def _rates(results: Results, method: str) -> str:
    return (
        ', '.join(dict.fromkeys(f'{half.rates[method]:g}' for half in results.halves))
        if method in METHODS
        else say.DASH
    )


def _cell(values: np.ndarray) -> str:
    mean, low, high = (say.number(value) for value in statistics.mean_interval(values))
    return mean if low == high else f'{mean} ({low} to {high})'


def _difference(
    results: Results, method: str, layer: str, other: str, task: str, theirs: str = 'embedding'
) -> str:
    accuracy = results.accuracy(method, layer, task)
    compared = statistics.compare(accuracy, results.accuracy(other, theirs, task))
    return f'{say.points(compared.difference)} percentage points ({say.span(*compared.interval)})'
