"""The six rules by their factors, with mistakes planted into one factor at a time."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from jaxdl.report.page import words
from jaxdl.report.page.blocks import Table
from jaxdl.theory.backprop.formulas import Four
from jaxdl.theory.backprop.references import Arrays, Rule, relative_errors, six_derivatives
from jaxdl.workdir import claims
from jaxdl.workdir.claims import Claim

Function = Callable[..., np.ndarray]


@dataclasses.dataclass(frozen=True)
class Factors:
    """Factors of the chain rule; the defaults are correct, in textbook form."""

    error: Function = lambda y, t: 2 * (y - t)
    output_slope: Function = lambda z, y: y * (1 - y)
    hidden_slope: Function = lambda a, h: 1 - h**2
    way_back: Function = lambda w2: w2
    source: Function = lambda x: x
    hidden: Function = lambda a, h: h


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


# mistake -> the factors with this mistake
BUGS: Mapping[str, Factors] = {
    'wrong sign of y - t': Factors(error=lambda y, t: 2 * (t - y)),
    'missing factor 2': Factors(error=lambda y, t: y - t),
    "missing sigmoid'(z)": Factors(output_slope=lambda z, y: np.ones_like(y)),
    "sigmoid' at y in place of z": Factors(
        output_slope=lambda z, y: _sigmoid(y) * (1 - _sigmoid(y))
    ),
    "tanh' at h in place of z": Factors(hidden_slope=lambda a, h: 1 - np.tanh(h) ** 2),
    "tanh' as 1 - h": Factors(hidden_slope=lambda a, h: 1 - h),
    'missing weight w²': Factors(way_back=np.ones_like),
    'weights w² exchanged': Factors(way_back=lambda w2: w2[:, ::-1]),
    'x₁ and x₂ exchanged': Factors(source=lambda x: x[:, ::-1]),
    'z in place of h': Factors(hidden=lambda a, h: a),
    'factor 1 + 10⁻⁹': Factors(error=lambda y, t: 2 * (1 + 1e-9) * (y - t)),
}


def rule(factors: Factors) -> Rule:
    """Rules for arrays [n, ...] built from these factors; shapes as in `backprop.rules`."""

    def derivatives(
        w1: np.ndarray, b1: np.ndarray, w2: np.ndarray, b2: np.ndarray, x: np.ndarray, t: np.ndarray
    ) -> Four:
        a = np.sum(w1 * x[:, None, :], -1) + b1
        h = np.tanh(a)
        z = np.sum(w2 * h, -1) + b2
        y = _sigmoid(z)
        by_z = factors.error(y, t) * factors.output_slope(z, y)
        by_a = by_z[:, None] * factors.way_back(w2) * factors.hidden_slope(a, h)
        return (
            by_a[..., None] * factors.source(x)[:, None, :],
            by_a,
            by_z[:, None] * factors.hidden(a, h),
            by_z,
        )

    return derivatives


def measure_detection(
    points: Arrays, reference: np.ndarray, bound: float, bugs: Mapping[str, Factors] = BUGS
) -> dict[str, tuple[float, float]]:
    """Share of points beyond the bound, and median error, of each planted mistake."""
    detected = {}
    for name, factors in bugs.items():
        errors = relative_errors(six_derivatives(rule(factors)(*points)), reference)
        detected[name] = (float((errors > bound).mean()), float(np.median(errors)))
    return detected


def bug_claims(detected: Mapping[str, tuple[float, float]], points: int) -> list[Claim]:
    """Claims: nearly every single point detects each mistake."""
    return [
        claims.at_least(
            f'planted mistake, {name}: share of {points:,} points above the bound', 0.99, share
        )
        for name, (share, _) in detected.items()
    ]


def table(detected: Mapping[str, tuple[float, float]], points: int, bound: float) -> Table:
    """Table of the planted mistakes."""
    rows = [
        [name, words.percent(share), words.scientific(error)]
        for name, (share, error) in detected.items()
    ]
    caption = (
        f'Mistakes planted into one factor of the rules, compared with jax.grad at {points:,} '
        f'points: share of points with an error above the bound of {words.scientific(bound)}, and '
        'median error'
    )
    return Table(
        caption, ('Mistake', 'Points above the bound', 'Median error'), rows, 'wrr', name='mistakes'
    )
