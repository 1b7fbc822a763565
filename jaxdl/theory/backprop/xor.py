"""Gradient descent on XOR by the hand rules, compared with `jax.grad`, and its limits."""

import dataclasses

import numpy as np

from jaxdl.theory.backprop import references
from jaxdl.theory.backprop.formulas import Four, mean_rules
from jaxdl.theory.backprop.references import Rule
from jaxdl.workdir import claims
from jaxdl.workdir.claims import Claim

INPUTS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
TARGETS = np.array([0.0, 1.0, 1.0, 0.0])
LEVELS = (
    1 / 8,
    1 / 6,
    1 / 4,
)  # mean losses of networks with only three, two or one different output
PATH_STEPS, PATH_RATE = (
    500,
    0.5,
)  # of both paths; at a larger rate some initialisations are near a saddle, where rounding decides


@dataclasses.dataclass(frozen=True)
class TrainedNetworks:
    """Losses, outputs and final networks of gradient descent, per initialisation."""

    losses: np.ndarray  # [step + 1, start], mean of the four inputs
    outputs: np.ndarray  # [start, 4], after the last step
    networks: Four  # after the last step, [start, ...]

    @property
    def is_learnt(self) -> np.ndarray:
        """Whether all four outputs are on the correct side of 0.5 at the end, [start]."""
        return np.all((self.outputs > 0.5) == (TARGETS > 0.5), 1)


def draw_networks(seed: int, count: int) -> Four:
    """Networks with biases, all weights from N(0, 1)."""
    w1, b1, w2, b2, _, _ = references.draw(seed, 'xor', count, 1.0, 'normal')
    return w1, b1, w2, b2


def output(
    w1: np.ndarray, b1: np.ndarray, w2: np.ndarray, b2: np.ndarray, x: np.ndarray
) -> np.ndarray:
    """y of every network for every row of `x` [n, 2], [..., n]."""
    h = np.tanh(x @ np.swapaxes(w1, -1, -2) + b1[..., None, :])
    return 0.5 + 0.5 * np.tanh(
        0.5 * (np.sum(h * w2[..., None, :], -1) + b2[..., None])
    )  # a sigmoid without overflow


def slopes(learned: TrainedNetworks) -> np.ndarray:
    """tanh' of both hidden units for the four inputs, after the last step, [start, 4, 2]."""
    w1, b1, _, _ = learned.networks
    return 1 - np.tanh(INPUTS @ np.swapaxes(w1, -1, -2) + b1[:, None, :]) ** 2


def train(
    networks: Four, steps: int, rate: float, rule: Rule = mean_rules, inputs: np.ndarray = INPUTS
) -> TrainedNetworks:
    """Gradient descent on the mean loss of XOR from every start at once."""
    losses, outputs = [], output(*networks, inputs)
    for _ in range(steps):
        losses.append(np.mean((outputs - TARGETS) ** 2, -1))
        networks = descend(networks, rule(*networks, inputs, TARGETS), rate)
        outputs = output(*networks, inputs)
    losses.append(np.mean((outputs - TARGETS) ** 2, -1))
    return TrainedNetworks(np.stack(losses), outputs, networks)


def descend(networks: Four, derivatives: Four, rate: float) -> Four:
    """Every weight after one step, w - rate dL/dw."""
    w1, b1, w2, b2 = (w - rate * d for w, d in zip(networks, derivatives, strict=True))
    return w1, b1, w2, b2


def largest_difference(networks: Four, steps: int, rate: float, rule: Rule = mean_rules) -> float:
    """Largest difference of any weight between `rule` and `jax.grad`, all steps and starts."""
    hand, largest = networks, 0.0
    for _ in range(steps):
        hand = descend(hand, rule(*hand, INPUTS, TARGETS), rate)
        networks = descend(networks, references.mean_by_jax(*networks, INPUTS, TARGETS), rate)
        far = [float(np.max(np.abs(a - b))) for a, b in zip(hand, networks, strict=True)]
        largest = max(largest, *far)
    return largest


def path_claim(networks: Four, rule: Rule = mean_rules) -> Claim:
    """Claim: the hand rules and `jax.grad` follow the same path."""
    sentence = (
        f'{PATH_STEPS} steps of {PATH_RATE} on XOR, {len(networks[0])} initialisations, hand '
        'rules and by jax.grad: the largest difference of any weight at any step'
    )
    return claims.at_most(sentence, 1e-9, largest_difference(networks, PATH_STEPS, PATH_RATE, rule))


def learning_claims(learned: TrainedNetworks) -> list[Claim]:
    """Claims on the share of initialisations that learn XOR, and on the other losses."""
    steps, count = len(learned.losses) - 1, len(learned.is_learnt)
    stuck = learned.losses[-1][~learned.is_learnt]
    level = np.min(np.abs(stuck[:, None] - LEVELS), 1)
    counted = f'{count} initialisations from N(0, 1), {steps:,} steps'
    return [
        claims.at_least(
            f'XOR with biases, {counted}: share that learns it', 1 / 3, learned.is_learnt.mean()
        ),
        claims.at_least(f'XOR with biases, {counted}: number that do not learn it', 1, len(stuck)),
        claims.at_most(
            f'XOR with biases, {counted}: largest distance of the other losses from 1/8, 1/6 or '
            '1/4',
            0.02,
            np.max(level, initial=0.0),
        ),
    ]


def without_biases(*arguments: np.ndarray) -> Four:
    """The hand rules with constant biases."""
    by_w1, by_b1, by_w2, by_b2 = mean_rules(*arguments)
    return by_w1, 0 * by_b1, by_w2, 0 * by_b2


def stationary_claim(rule: Rule = mean_rules) -> Claim:
    """Claim: zero weights and biases are a stationary point."""
    w1, b1, w2, b2 = (np.zeros((1, *shape)) for shape in references.SHAPES[:4])
    slopes = [np.max(np.abs(derivative)) for derivative in rule(w1, b1, w2, b2, INPUTS, TARGETS)]
    return claims.close(
        'XOR from zero weights and biases: largest of the nine derivatives', 0, max(slopes), 0
    )


def bound_claims(seed: int, count: int, rate: float, rule: Rule = without_biases) -> list[Claim]:
    """Claims: lower bounds of the loss without biases."""
    w1, _, w2, _, _, _ = references.draw(seed, 'no biases', count, 1.0)
    networks = (w1, np.zeros((count, 2)), w2, np.zeros(count))
    claim_list = []
    for name, inputs, bound in (
        ('0 and 1', INPUTS, 1 / 16),
        ('-1 and +1', 2 * INPUTS - 1, 1 / 4 - 1e-12),
    ):
        lowest = train(networks, PATH_STEPS, rate, rule, inputs).losses.min()
        sentence = (
            f'XOR without biases, inputs {name}: lowest mean loss of {count} initialisations '
            f'within {PATH_STEPS} steps of gradient descent'
        )
        claim_list.append(claims.at_least(sentence, bound, lowest))
    return claim_list
