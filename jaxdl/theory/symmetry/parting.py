"""How equal units come apart: the small network in NumPy.

And what the slope of the rule for a unit predicts.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl.theory.symmetry import formulas as symmetry
from jaxdl.theory.symmetry.formulas import Settings
from jaxdl.theory.symmetry.networks import Digits
from jaxdl.workdir import claims
from jaxdl.workdir.claims import Claim

SIZES = {'1e-8': 1e-8, '1e-4': 1e-4, '1e-2': 1e-2}  # of the noise on the weights
SMALLEST, GRADIENTS, ROUNDING = '1e-8', 'gradients', 'rounding'
RATE = 0.1  # of the small network
FOLLOWED = 300  # steps for which the small network is predicted


@dataclasses.dataclass(frozen=True)
class Parting:
    """How units of the small network come apart.

    Args:
      distances: of the farthest unit from the first, before each step and after the last, by the
        noise on the weights at the start: '0', '1e-8', ...; 'gradients': on the gradients instead;
        'rounding': none, another width.
      accuracy: in the end, of the 500 images.
      counts: units that differ in the end.
      predicted: the distances of size 1e-8, by `curvature`, for FOLLOWED steps.
      lone: the largest difference of logits from one unit counted as often as there are units.
      eigenvalue: the smallest one of the curvature at the end of equal units, and what it cannot
        exceed.
    """

    distances: Mapping[str, np.ndarray]
    accuracy: Mapping[str, float]
    counts: Mapping[str, int]
    predicted: np.ndarray
    lone: float
    eigenvalue: tuple[float, float]


def part(settings: Settings, data: Digits) -> Parting:
    """The small network from equal weights, with noise of several sizes.

    And what the curvature predicts of it.
    """
    start, rounded, alone = (
        equal(data, units) for units in (settings.width, settings.rounding_width, 1)
    )
    starts = {'0': start, ROUNDING: rounded}
    starts |= {
        name: symmetry.nudged(start, size, np.random.default_rng(1)) for name, size in SIZES.items()
    }
    paths = {name: run(network, data, settings.steps) for name, network in starts.items()}
    paths[GRADIENTS] = run(
        start, data, FOLLOWED, noise=SIZES[SMALLEST], rng=np.random.default_rng(2)
    )
    lone = run(alone, data, settings.steps, settings.width)
    return Parting(
        {
            name: np.array([symmetry.apart(symmetry.units_of(network)) for network in path])
            for name, path in paths.items()
        },
        {name: accuracy(path[-1], data) for name, path in paths.items()},
        {name: symmetry.distinct(symmetry.units_of(path[-1])) for name, path in paths.items()},
        predicted(starts[SMALLEST], lone[:FOLLOWED], data, settings.width),
        difference(paths['0'][:FOLLOWED], lone[:FOLLOWED], data, settings.width),
        eigenvalue(lone[-1], data, settings.width),
    )


def equal(data: Digits, units: int) -> symmetry.Network:
    """The small network, all of its weights alike."""
    return symmetry.constant(symmetry.CONSTANT, data.images.shape[1], units, data.targets.shape[1])


def run(
    start: symmetry.Network, data: Digits, steps: int, copies: float = 1.0, **noise: Any
) -> list[symmetry.Network]:
    """The small network before the first of `steps` steps and after each."""
    path = symmetry.descend(start, data.images, data.targets, RATE, copies=copies, **noise)
    return [network for network, _ in zip(path, range(steps + 1), strict=False)]


def accuracy(network: symmetry.Network, data: Digits) -> float:
    """Share of the 500 images that the small network gets right."""
    return float(np.mean(symmetry.logits(network, data.images).argmax(1) == data.targets.argmax(1)))


def difference(
    many: Sequence[symmetry.Network], lone: Sequence[symmetry.Network], data: Digits, copies: float
) -> float:
    """Largest difference of logits from networks with one unit counted `copies` times."""
    pairs = zip(many, lone, strict=True)
    gaps = (
        symmetry.logits(a, data.images) - symmetry.logits(b, data.images, copies) for a, b in pairs
    )
    return max(float(np.abs(gap).max()) for gap in gaps)


def predicted(
    start: symmetry.Network,
    lone: Sequence[symmetry.Network],
    data: Digits,
    copies: float,
    curvature: Callable[..., np.ndarray] = symmetry.curvature,
) -> np.ndarray:
    """The distances that units of `start` must have on the way of equal ones.

    By products of (1 - rate curvature).
    """
    gaps = symmetry.units_of(start)
    gaps, distances = gaps - gaps[:, :1], []
    for one in lone:
        distances.append(float(np.linalg.norm(gaps, axis=0).max()))
        errors = symmetry.residuals(symmetry.logits(one, data.images, copies), data.targets)
        gaps = gaps - RATE * curvature(symmetry.units_of(one)[:, 0], data.images, errors) @ gaps
    return np.array(distances)


def eigenvalue(lone: symmetry.Network, data: Digits, copies: float) -> tuple[float, float]:
    """The smallest eigenvalue of the curvature (A B; B^T 0).

    And a bound that is below 0 unless B is 0.

    On the plane of B's first singular vectors the matrix is (a s; s 0), whose smaller eigenvalue no
    plane undercuts.
    """
    errors = symmetry.residuals(symmetry.logits(lone, data.images, copies), data.targets)
    whole = symmetry.curvature(symmetry.units_of(lone)[:, 0], data.images, errors)
    inputs = data.images.shape[1]
    left, singular, _ = np.linalg.svd(whole[:inputs, inputs:])
    value = left[:, 0] @ whole[:inputs, :inputs] @ left[:, 0]
    return float(np.linalg.eigvalsh(whole)[0]), float(
        (value - np.hypot(value, 2 * singular[0])) / 2
    )


def parting_claims(parting: Parting, settings: Settings) -> list[Claim]:
    """That units part as the curvature says, that equal ones are one.

    And that no such place is stable.
    """
    early = int(np.flatnonzero(parting.predicted <= 1e-4)[-1])
    smallest, bound = parting.eigenvalue
    width, small = settings.width, 'one hidden layer'
    return [
        claims.close(
            f'noise of {SMALLEST} on the first weights: different units, {small}, {settings.steps} '
            'steps',
            width,
            parting.counts[SMALLEST],
            0,
        ),
        claims.close(
            f'noise of {SMALLEST} on every gradient: different units, {small}, {FOLLOWED} steps',
            width,
            parting.counts[GRADIENTS],
            0,
        ),
        claims.relatively_close(
            f'noise of {SMALLEST} on the first weights: largest distance of two units after '
            f'{early} steps, prediction by the linearisation',
            parting.predicted[early],
            parting.distances[SMALLEST][early],
            0.01,
        ),
        claims.close(
            f'largest difference of logits between {width} equal units and one unit with '
            f'{width}-fold output, {FOLLOWED} steps',
            0,
            parting.lone,
            1e-9,
        ),
        claims.at_most(
            'smallest eigenvalue of the Jacobian at the end of training from equal units, and its '
            'bound',
            bound,
            smallest,
        ),
    ]
