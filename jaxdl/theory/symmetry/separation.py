"""Growth of differences between units of a small network in NumPy, and its prediction."""

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
class Separation:
    """Growth of differences between units of the small network.

    Args:
      distances: of the farthest unit from the first, before each step and after the last, by the
        noise on the initial weights: '0', '1e-8', ...; 'gradients': noise on the gradients;
        'rounding': none, another width.
      accuracy: final training accuracy on the 500 images.
      counts: number of different units at the end.
      predicted: distances for noise 1e-8, by `curvature`, for FOLLOWED steps.
      lone: largest difference of logits from one unit with multiplied output.
      eigenvalue: smallest eigenvalue of the Jacobian at the end of equal units, and its bound.
    """

    distances: Mapping[str, np.ndarray]
    accuracy: Mapping[str, float]
    counts: Mapping[str, int]
    predicted: np.ndarray
    lone: float
    eigenvalue: tuple[float, float]


def measure(settings: Settings, data: Digits) -> Separation:
    """Train the small network from equal weights with noise, and predict the distances."""
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
    return Separation(
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
    """The small network with equal weights."""
    return symmetry.constant(symmetry.CONSTANT, data.images.shape[1], units, data.targets.shape[1])


def run(
    start: symmetry.Network, data: Digits, steps: int, copies: float = 1.0, **noise: Any
) -> list[symmetry.Network]:
    """The small network before the first of `steps` steps and after each step."""
    path = symmetry.descend(start, data.images, data.targets, RATE, copies=copies, **noise)
    return [network for network, _ in zip(path, range(steps + 1), strict=False)]


def accuracy(network: symmetry.Network, data: Digits) -> float:
    """Share of correct predictions on the 500 images."""
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
    """Predicted distances of units along the path of equal ones, by products of (1 - rate J)."""
    gaps = symmetry.units_of(start)
    gaps, distances = gaps - gaps[:, :1], []
    for one in lone:
        distances.append(float(np.linalg.norm(gaps, axis=0).max()))
        errors = symmetry.residuals(symmetry.logits(one, data.images, copies), data.targets)
        gaps = gaps - RATE * curvature(symmetry.units_of(one)[:, 0], data.images, errors) @ gaps
    return np.array(distances)


def eigenvalue(lone: symmetry.Network, data: Digits, copies: float) -> tuple[float, float]:
    """Smallest eigenvalue of the Jacobian (A B; B^T 0), and a bound below 0 unless B is 0.

    On the plane of B's first singular vectors the matrix is (a s; s 0); the smallest eigenvalue is
    at most its smaller one.
    """
    errors = symmetry.residuals(symmetry.logits(lone, data.images, copies), data.targets)
    jacobian = symmetry.curvature(symmetry.units_of(lone)[:, 0], data.images, errors)
    inputs = data.images.shape[1]
    left, singular, _ = np.linalg.svd(jacobian[:inputs, inputs:])
    value = left[:, 0] @ jacobian[:inputs, :inputs] @ left[:, 0]
    return float(np.linalg.eigvalsh(jacobian)[0]), float(
        (value - np.hypot(value, 2 * singular[0])) / 2
    )


def separation_claims(separation: Separation, settings: Settings) -> list[Claim]:
    """Claims: units separate as predicted, equal units act as one, and their points are saddles."""
    early = int(np.flatnonzero(separation.predicted <= 1e-4)[-1])
    smallest, bound = separation.eigenvalue
    width, small = settings.width, 'one hidden layer'
    return [
        claims.close(
            f'noise of {SMALLEST} on the first weights: different units, {small}, {settings.steps} '
            'steps',
            width,
            separation.counts[SMALLEST],
            0,
        ),
        claims.close(
            f'noise of {SMALLEST} on every gradient: different units, {small}, {FOLLOWED} steps',
            width,
            separation.counts[GRADIENTS],
            0,
        ),
        claims.relatively_close(
            f'noise of {SMALLEST} on the first weights: largest distance of two units after '
            f'{early} steps, prediction by the linearisation',
            separation.predicted[early],
            separation.distances[SMALLEST][early],
            0.01,
        ),
        claims.close(
            f'largest difference of logits between {width} equal units and one unit with '
            f'{width}-fold output, {FOLLOWED} steps',
            0,
            separation.lone,
            1e-9,
        ),
        claims.at_most(
            'smallest eigenvalue of the Jacobian at the end of training from equal units, and its '
            'bound',
            bound,
            smallest,
        ),
    ]
