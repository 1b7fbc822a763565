"""Claims about learning, saturation and dead units of trained networks."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxdl.report.page import words
from jaxdl.report.page.blocks import Table
from jaxdl.theory.activations import formulas as activations
from jaxdl.theory.activations.networks import COUNTED, DEPTH, NAMES, Kind, Results
from jaxdl.workdir import claims
from jaxdl.workdir.claims import Claim

SHALLOW = 3  # up to here both activations learn
ABOVE_CHANCE = 0.1  # train accuracy this close to chance is no learning
LEARNT, APART = 0.9, 0.2  # train accuracy of what learns; what it is ahead of what does not
KILLED = 0.25  # share of units

Rule = Callable[
    [np.ndarray, int], np.ndarray
]  # (images without a slope [...], images) -> whether a unit is dead


class DeadUnits(NamedTuple):
    """Later state of first-layer units that were dead after an epoch."""

    units: int
    still: float  # share whose incoming weights had not changed by one bit an epoch later
    dead: float  # share that were dead in the end


def training_claims(results: Results, first: str = 'sigmoid', second: str = 'relu') -> list[Claim]:
    """Claims: both learn up to depth `SHALLOW`; from `DEPTH` on `first` stays at chance."""
    claim_list = []
    for depth in results.depths:
        where = (
            f'at depth {depth}, mean of {results.settings.seeds} seeds after '
            f'{results.settings.epochs} epochs'
        )
        ends = {name: _ends(results, Kind(name, depth)) for name in (first, second)}
        best = {name: accuracy[results.best[Kind(name, depth)]] for name, accuracy in ends.items()}
        if depth <= SHALLOW:
            claim_list += [
                claims.at_least(
                    f'Training accuracy of {NAMES[name]} {where}, at its best learning rate',
                    LEARNT,
                    value,
                )
                for name, value in best.items()
            ]
        if depth >= DEPTH:
            highest, gain = max(ends[first].values()), best[second] - best[first]
            ahead = (
                f'Training accuracy of {NAMES[second]} minus {NAMES[first]}, each at its best '
                f'learning rate, {where}'
            )
            none = f'Highest training accuracy of {NAMES[first]} at any learning rate {where}'
            claim_list += [
                claims.at_most(none, results.chance + ABOVE_CHANCE, highest),
                claims.at_least(ahead, APART, gain),
            ]
    return claim_list


def saturation_claims(
    results: Results, activation: str = 'sigmoid', bound: float | None = None
) -> list[Claim]:
    """Claims on the mean derivative and on saturation before and after training."""
    bound = activations.slope_bound(1) if bound is None else bound
    measured = [(kind, rate) for kind, rate in results.measured if kind.activation == activation]
    most = max(results.recorded(kind, 'slope', rate).max() for kind, rate in measured)
    name, seeds = NAMES[activation], results.settings.seeds
    claim_list = [
        claims.at_most(
            f'Largest mean derivative of a layer of {name} units, all depths, learning rates, '
            f'epochs and {seeds} seeds',
            bound,
            most,
        )
    ]
    for depth in results.depths:
        share = results.recorded(Kind(activation, depth), 'saturated').mean((0, 2))
        if depth <= SHALLOW:
            text = (
                f'Increase of the share of saturated derivatives in training, {name} networks of '
                f'depth {depth}'
            )
            claim_list.append(
                claims.at_least(f'{text}, mean of {seeds} seeds', 0.05, share[-1] - share[0])
            )
        if depth >= DEPTH:
            text = (
                f'Share of saturated derivatives at initialisation, {name} networks of depth '
                f'{depth}'
            )
            claim_list.append(claims.at_most(f'{text}, mean of {seeds} seeds', 0.05, share[0]))
    return claim_list


def dead_claims(results: Results) -> list[Claim]:
    """Claims: a large learning rate causes dead ReLU units, and the remedies prevent them."""
    relu, leaky, normed = COUNTED
    best, rate = results.best[relu], results.deadliest
    killed = results.dead(relu, rate).mean()
    at = f'depth {DEPTH}, finite networks of {results.settings.seeds} seeds'
    leaking = np.concatenate([results.dead(leaky, rate) for rate in results.rates])
    return [
        claims.at_least(
            'Share of dead ReLU units after training, learning rate with most dead units minus '
            f'best one, {at}',
            KILLED,
            killed - results.dead(relu, best).mean(),
        ),
        claims.at_least(
            f'Share of dead ReLU units at that learning rate, without minus with batch norm, {at}',
            KILLED,
            killed - results.dead(normed, rate).mean(),
        ),
        claims.close(
            f'Share of dead leaky ReLU units, worst network at any learning rate, {at}',
            0,
            leaking.max(),
            0,
        ),
        *frozen_claims(follow_dead_units(results)),
    ]


def frozen_claims(counts: DeadUnits) -> list[Claim]:
    """Claims: dead units of the first layer do not change.

    The tolerance allows for pre-activations that are 0 up to rounding.
    """
    units = 'units of the first layer that were dead after an epoch, all learning rates'
    return [
        claims.close(
            f'Share with unchanged incoming weights in the next epoch, of {units}',
            1,
            counts.still,
            0.01,
        ),
        claims.close(f'Share still dead after the last epoch, of {units}', 1, counts.dead, 0.01),
    ]


def is_dead(flat: np.ndarray, images: int) -> np.ndarray:
    """Whether a unit has derivative 0 on every training image."""
    return flat == images


def follow_dead_units(results: Results, rule: Rule = is_dead) -> DeadUnits:
    """Follow the dead first-layer units of all finite ReLU networks of depth `DEPTH`."""
    still, ended = [], []
    for rate in results.rates:
        finite = results.finite(COUNTED[0], rate)
        dead = rule(
            results.recorded(COUNTED[0], 'flat', rate)[finite, :, 0], results.images
        )  # [network, epoch, unit]
        kernel = results.recorded(COUNTED[0], 'kernel', rate)[finite]
        stood = (np.diff(kernel, axis=1) == 0).all(2)
        still.append(stood[dead[:, :-1]])
        ended.append(np.broadcast_to(dead[:, -1:], dead[:, :-1].shape)[dead[:, :-1]])
    stood, last = np.concatenate(still), np.concatenate(ended)
    return DeadUnits(
        len(stood), stood.mean() if len(stood) else np.nan, last.mean() if len(last) else np.nan
    )


def share_revived(results: Results) -> float:
    """Share of dead units behind the first layer that are active at the end."""
    again = []
    for rate in results.rates:
        finite = results.finite(COUNTED[0], rate)
        dead = is_dead(results.recorded(COUNTED[0], 'flat', rate)[finite, :, 1:], results.images)
        again.append(~np.broadcast_to(dead[:, -1:], dead[:, :-1].shape)[dead[:, :-1]])
    return float(np.concatenate(again).mean())


def table(results: Results) -> Table:
    """Best learning rate and training accuracy of each activation at each depth."""
    rows = []
    for depth in results.depths:
        both = [Kind(name, depth) for name in ('sigmoid', 'relu')]
        cells = [
            (f'{results.best[kind]:g}', _spread(results.accuracy(kind)[:, -1])) for kind in both
        ]
        rows.append([f'{depth}', *(cell for pair in cells for cell in pair)])
    caption = (
        'Training accuracy in the last epoch, per cent: mean and range of '
        f'{results.settings.seeds} seeds, each activation at the learning rate chosen on the '
        f'tuning seeds. Chance: {words.number(results.chance)}'
    )
    columns = ('Depth', 'Sigmoid: learning rate', 'accuracy', 'ReLU: learning rate', 'accuracy')
    return Table(caption, columns, rows, 'lrrrr', name='accuracy')


def values(results: Results) -> dict[str, str]:
    """Numbers of the text on the trained networks."""
    relu, rate, dead_units = COUNTED[0], results.deadliest, follow_dead_units(results)
    shares = [
        results.recorded(Kind('sigmoid', depth), 'saturated').mean((0, 2))
        for depth in results.depths
    ]
    return dict(
        seeds=words.count(results.settings.seeds, 'seed'),
        epochs=words.count(results.settings.epochs, 'epoch'),
        tuning_seeds=words.count(results.settings.tuning_seeds, 'seed'),
        images=words.exactly(results.images),
        rates=words.listing(f'{rate:g}' for rate in results.rates),
        chance=words.percent(results.chance),
        accuracies=words.listing(_against(results, depth) for depth in results.depths),
        saturations=words.listing(
            f'from {words.percent(share[0])} to {words.percent(share[-1])} at depth {depth}'
            for depth, share in zip(results.depths, shares, strict=True)
        ),
        dead_start=words.percent(results.dead(relu, rate, 0).mean()),
        relu_best=f'{results.best[relu]:g}',
        dead_best=words.percent(results.dead(relu).mean()),
        deadliest=f'{rate:g}',
        flat=words.percent(results.recorded(relu, 'saturated')[:, -1].mean()),
        dead_lowest=words.percent(results.dead(relu, results.rates[0]).mean()),
        lowest=f'{results.rates[0]:g}',
        dead_deadliest=words.percent(results.dead(relu, rate).mean()),
        remedies='; '.join(_at(results, kind, rate) for kind in COUNTED),
        frozen=words.exactly(dead_units.units),
        frozen_still=words.percent(dead_units.still),
        revived=words.percent(share_revived(results)),
    )


def _ends(results: Results, kind: Kind) -> dict[float, float]:
    """Mean training accuracy in the last epoch, by learning rate."""
    return {rate: float(results.accuracy(kind, rate)[:, -1].mean()) for rate in results.rates}


def _against(results: Results, depth: int) -> str:
    sigmoid, relu = (
        results.accuracy(Kind(name, depth))[:, -1].mean() for name in ('sigmoid', 'relu')
    )
    return f'{100 * sigmoid:.1f} against {100 * relu:.1f}{words.SPACE}% at depth {depth}'


def _at(results: Results, kind: Kind, rate: float) -> str:
    dead, finite = results.dead(kind, rate), results.finite(kind, rate)
    share = f'{words.percent(dead.mean())} dead' if len(dead) else 'no finite network'
    accuracy = words.percent(results.accuracy(kind, rate)[:, -1].mean())
    return (
        f'{kind.name} {share}, {finite.sum()} of {len(finite)} networks finite, training accuracy '
        f'{accuracy}'
    )


def _spread(accuracies: np.ndarray) -> str:
    return (
        f'{100 * accuracies.mean():.1f} '
        f'({100 * accuracies.min():.1f} to {100 * accuracies.max():.1f})'
    )
