"""Claims about the sliding classifier: equal scores, fewer operations, less time.

Fewer operations, less time.
"""

from collections.abc import Callable, Mapping

import numpy as np

from jaxdl.report.page import words
from jaxdl.theory.fc_as_conv.checks import EXACT, scientific
from jaxdl.theory.fc_as_conv.sliding import (
    POOLED,
    SIDE,
    STEP,
    WINDOW,
    Classifier,
    Scene,
    Sides,
    SlidingOutputs,
)
from jaxdl.workdir import claims
from jaxdl.workdir.claims import Claim

SizeRule = Callable[..., Sides]


def measure(
    classifier: Classifier,
    scene: Scene,
    slid: SlidingOutputs,
    conv_size: SizeRule,
    pool_size: SizeRule,
) -> list[Claim]:
    """The claims on the trained classifier."""
    (rows, columns), layers = slid.scores.shape[:2], maps(SIDE, conv_size, pool_size)
    predicted = slid.scores[tuple(scene.places.T)].argmax(1)
    agree = int(np.sum(predicted == classifier.logits[scene.chosen].argmax(1)))
    alone, windows = (
        np.max(np.abs(slid.alone - classifier.logits)),
        np.max(np.abs(slid.scores - slid.windows)),
    )
    once, every = expected_operations(classifier, rows * columns, conv_size, pool_size)
    cut, tests = words.product(rows, columns), len(classifier.images)
    return [
        claims.close(
            f'Classifier and its fully convolutional form, {tests} test images: largest difference',
            0,
            alone,
            EXACT,
        ),
        claims.close('Rows of the score map', layers['head'][0], rows, 0),
        claims.close('Columns of the score map', layers['head'][1], columns, 0),
        claims.close(
            f'Score map and {cut} windows classified one by one: largest difference',
            0,
            windows,
            EXACT,
        ),
        claims.close(
            'Digits of the scene with the same class in the score map and alone',
            len(predicted),
            agree,
            0,
        ),
        claims.relatively_close(
            'Operations for the whole scene, counted by XLA', once, slid.operations[0], 0.01
        ),
        claims.relatively_close(
            'Operations for all windows, counted by XLA', every, slid.operations[1], 0.01
        ),
    ]


def maps(side: int, conv_size: SizeRule, pool_size: SizeRule) -> dict[str, Sides]:
    """Rows and columns after each layer of the fully convolutional network, for a square image."""
    conv = conv_size((side, side), (3, 3), 1, 0)
    pool = pool_size(conv, 2, STEP)
    hidden = conv_size(pool, (POOLED, POOLED), 1, 0)
    return dict(conv=conv, pool=pool, hidden=hidden, head=hidden)


def expected_operations(
    classifier: Classifier, windows: int, conv_size: SizeRule, pool_size: SizeRule
) -> tuple[int, int]:
    """Of the scene as a whole, and of all its windows."""
    scene, window = (
        operations(classifier, maps(side, conv_size, pool_size)) for side in (SIDE, WINDOW)
    )
    return scene, windows * window


def operations(classifier: Classifier, layers: Mapping[str, Sides]) -> int:
    """Two for a product that is added up, one for a bias, one for a ReLU.

    Three for the maximum of four.
    """
    weights, pixels = (
        classifier.weights,
        {name: rows * columns for name, (rows, columns) in layers.items()},
    )
    products = sum(2 * pixels[name] * weights[name][0].size for name in weights)
    biases = sum(pixels[name] * weights[name][1].size for name in weights)
    relus = sum(pixels[name] * weights[name][1].size for name in ('conv', 'hidden'))
    return products + biases + relus + 3 * pixels['pool'] * weights['conv'][1].size


def speed_claims(seconds: Mapping[str, float]) -> list[Claim]:
    """The claim on time, far below what is usual, since other programs may run beside this one."""
    sentence = 'Time of the windows one by one over time of the whole scene'
    return [claims.at_least(sentence, 2, seconds['one_by_one'] / seconds['whole'])]


def numbers(
    classifier: Classifier, scene: Scene, slid: SlidingOutputs, seconds: Mapping[str, float]
) -> dict[str, str]:
    """Numbers of the text on the classifier and its scene."""
    rows, columns = slid.scores.shape[:2]
    predicted = slid.map[tuple(scene.places.T)].argmax(1)
    return dict(
        accuracy=words.percent(classifier.accuracy),
        tests=str(len(classifier.images)),
        digits=str(len(predicted)),
        right=str(int(np.sum(predicted == scene.labels))),
        windows=f'{rows * columns:,}',
        map=rf'{rows} \times {columns}',
        slid_apart=scientific(float(np.max(np.abs(slid.scores - slid.windows)))),
        operations=words.amount(slid.operations[0]),
        operations_windows=words.amount(slid.operations[1]),
        fewer=f'{slid.operations[1] / slid.operations[0]:.2f}',
        faster=f'{seconds["windows"] / seconds["whole"]:.1f}',
        faster_than_one_by_one=f'{seconds["one_by_one"] / seconds["whole"]:.0f}',
        milliseconds=f'{1e3 * seconds["whole"]:.2g}',
        milliseconds_windows=f'{1e3 * seconds["windows"]:.2g}',
        milliseconds_one_by_one=f'{1e3 * seconds["one_by_one"]:.2g}',
    )
