"""Claims of the question `backprop`, and its page."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from jaxdl.report.page import words
from jaxdl.theory import answer as answers
from jaxdl.theory.answer import Answer, Note
from jaxdl.theory.backprop import bugs, references, xor_figures
from jaxdl.theory.backprop import figures as backprop_figures
from jaxdl.theory.backprop import xor as backprop_xor
from jaxdl.theory.backprop.formulas import Settings, mean_rules, rules
from jaxdl.theory.backprop.references import Arrays, Rule, nine_derivatives, six_derivatives
from jaxdl.workdir import claims
from jaxdl.workdir.claims import Claim

BOUND = 1e-12  # of the largest derivative of the point + 1e-4
SCALES = (1, 2, 3, 6, 12)  # standard deviations of the points that are computed with 50 digits
STEPS = tuple(
    10.0 ** (power / 2) for power in range(0, -29, -1)
)  # of the differences: 1 down to 1e-14
KINDS = (np.float32, np.float64)
TINY = 1e-20  # the complex step that is claimed
BATCH = 64
SHARE = 'relative to (largest derivative + 1e-4)'

Curves = Mapping[
    str, np.ndarray
]  # 'float32', 'float64', 'complex step' -> the median error at each of STEPS


def answer(settings: Settings, note: Note) -> Answer:
    """Run every check and build text, claims, figures and table."""
    note(f'{settings.points:,} points by hand and by jax.grad')
    points = references.draw(settings.seed, 'points', settings.points, 1.0)
    reference = six_derivatives(references.by_jax(*points))
    named = dict(
        program=autodiff_claim(points, reference),
        biases=bias_claim(settings),
        batch=batch_claim(settings.seed),
    )  # in the text, too
    note(f'{len(SCALES)} times {settings.exact_points:,} points with {references.DIGITS} digits')
    worst = measure_by_scale(settings)
    note('differences, planted mistakes')
    curves = differences(tuple(array[:1000] for array in points))
    detected = bugs.measure_detection(points, reference, BOUND)
    note(f'XOR from {settings.starts} initialisations')
    starts = backprop_xor.draw_networks(settings.seed, settings.starts)
    learned = backprop_xor.train(starts, settings.steps, settings.rate)
    named['together'] = backprop_xor.path_claim(starts)
    claim_list = [
        *named.values(),
        *exactness_claims(worst, settings.exact_points),
        *difference_claims(curves),
        complex_step_claim(points),
        *bugs.bug_claims(detected, settings.points),
        *backprop_xor.learning_claims(learned),
        backprop_xor.stationary_claim(),
        *backprop_xor.bound_claims(settings.seed, settings.starts, settings.rate),
    ]
    note('drawing')
    blocks = [
        backprop_figures.network(),
        backprop_figures.precision(STEPS, curves, SCALES, worst, BOUND),
        bugs.table(detected, settings.points, BOUND),
        xor_figures.xor(learned),
    ]
    values = {name: words.scientific(claim.measured) for name, claim in named.items()} | numbers(
        curves, worst, learned
    )
    values |= {name: f'{value:,}' for name, value in dataclasses.asdict(settings).items()}
    return Answer(answers.text('backprop', **values), claim_list, blocks)


def autodiff_claim(points: Arrays, reference: np.ndarray, rule: Rule = rules) -> Claim:
    """Claim: the hand rules equal `jax.grad`."""
    sentence = (
        f'six derivatives, {len(reference):,} points from N(0, 1): largest difference from '
        f'jax.grad, {SHARE}'
    )
    return claims.at_most(
        sentence, BOUND, references.relative_errors(six_derivatives(rule(*points)), reference).max()
    )


def bias_claim(settings: Settings, rule: Rule = rules) -> Claim:
    """Claim: the nine derivatives with biases equal `jax.grad`."""
    points = references.draw(settings.seed, 'points with biases', settings.points, 1.0, 'normal')
    errors = references.relative_errors(
        nine_derivatives(rule(*points)), nine_derivatives(references.by_jax(*points))
    )
    sentence = (
        f'nine derivatives with biases, {settings.points:,} points from N(0, 1): largest '
        f'difference from jax.grad, {SHARE}'
    )
    return claims.at_most(sentence, BOUND, errors.max())


def batch_claim(seed: int, rule: Rule = mean_rules) -> Claim:
    """Claim: the mean over a batch equals `jax.grad` of the mean loss."""
    w1, b1, w2, b2, x, t = references.draw(seed, 'batch', BATCH, 1.0, 'normal')
    network = (w1[:1], b1[:1], w2[:1], b2[:1])
    errors = references.relative_errors(
        nine_derivatives(rule(*network, x, t)),
        nine_derivatives(references.mean_by_jax(*network, x, t)),
    )
    sentence = (
        f'nine derivatives of the mean loss of a batch of {BATCH} from N(0, 1): largest difference '
        f'from jax.grad, {SHARE}'
    )
    return claims.at_most(sentence, BOUND, errors.max())


def measure_by_scale(settings: Settings, rule: Rule = rules) -> dict[str, np.ndarray]:
    """Errors of `hand` and `jax.grad` against 50 digits, and largest derivative, [scale, point]."""
    hand, program, largest = [], [], []
    for scale in SCALES:
        points = references.draw(settings.seed, f'scale {scale}', settings.exact_points, scale)
        digits = six_derivatives(references.by_digits(*points))
        hand.append(references.relative_errors(six_derivatives(rule(*points)), digits))
        program.append(
            references.relative_errors(six_derivatives(references.by_jax(*points)), digits)
        )
        largest.append(np.max(np.abs(digits), 1))
    return {'hand': np.stack(hand), 'jax.grad': np.stack(program), 'largest': np.stack(largest)}


def exactness_claims(worst: Mapping[str, np.ndarray], points: int) -> list[Claim]:
    """Claims: the hand rules are within the bound at every scale; `jax.grad` at the largest not."""
    drawn = [f'{points:,} points from N(0, {scale**2})' for scale in SCALES]
    digits = f'compared with {references.DIGITS} digits, {SHARE}'
    hand = [
        claims.at_most(
            f'six derivatives by hand, {of}: largest error {digits}', BOUND, errors.max()
        )
        for of, errors in zip(drawn, worst['hand'], strict=True)
    ]
    program = worst['jax.grad'][-1].max()
    return [
        *hand,
        claims.at_least(
            f'six derivatives by jax.grad, {drawn[-1]}: largest error {digits}', 10 * BOUND, program
        ),
    ]


def differences(points: Arrays, rule: Rule = rules) -> dict[str, np.ndarray]:
    """Median error of central differences and of the complex step, [step] each."""
    reference = six_derivatives(rule(*points))

    def median(derivatives: np.ndarray) -> float:
        return float(np.median(references.relative_errors(derivatives, reference)))

    curves = {
        kind.__name__: np.array(
            [median(references.by_differences(points, step, kind)) for step in STEPS]
        )
        for kind in KINDS
    }
    return curves | {
        'complex step': np.array(
            [median(references.by_complex_step(points, step)) for step in STEPS]
        )
    }


def difference_claims(curves: Curves) -> list[Claim]:
    """Claims on the two slopes of the V in float64, and on its minimum in both types."""
    logs, claim_list = np.log10(STEPS), []
    for name, low, high, slope, tolerance in (
        ('truncation', -4, -1, 2, 0.1),
        ('rounding', -12, -7, -1, 0.15),
    ):
        arm = (logs > low - 0.1) & (logs < high + 0.1)
        measured = np.polyfit(logs[arm], np.log10(curves['float64'][arm]), 1)[0]
        sentence = (
            f'central differences in float64, steps 1e{low} to 1e{high} ({name}): slope of log '
            'error on log step'
        )
        claim_list.append(claims.close(sentence, slope, measured, tolerance))
    for kind in KINDS:
        errors, epsilon = curves[kind.__name__], float(np.finfo(kind).eps)
        best = f'central differences in {kind.__name__}, log10 of'
        claim_list += [
            claims.close(
                f'{best} the best step; expected: ε^(1/3)',
                np.log10(epsilon) / 3,
                logs[errors.argmin()],
                1.0,
            ),
            claims.close(
                f'{best} the smallest error; expected: ε^(2/3)',
                np.log10(epsilon) * 2 / 3,
                np.log10(errors.min()),
                1.0,
            ),
        ]
    return claim_list


def complex_step_claim(points: Arrays, rule: Rule = rules) -> Claim:
    """Claim on the complex step at a step without any digits left for a difference."""
    errors = references.relative_errors(
        references.by_complex_step(points, TINY), six_derivatives(rule(*points))
    )
    sentence = (
        f'complex step of {TINY:.0e}, {len(errors):,} points: largest difference from the hand '
        f'rules, {SHARE}'
    )
    return claims.at_most(sentence, BOUND, errors.max())


def numbers(
    curves: Curves, worst: Mapping[str, np.ndarray], learned: backprop_xor.TrainedNetworks
) -> dict[str, str]:
    """Numbers of the text on accuracy and XOR."""
    stuck = learned.losses[-1][~learned.is_learnt]
    levels = np.argmin(np.abs(stuck[:, None] - backprop_xor.LEVELS), 1)
    beyond = worst['jax.grad'][-1] > BOUND
    slopes, largest = backprop_xor.slopes(learned), worst['largest'][-1]
    best = {name: int(np.argmin(errors)) for name, errors in curves.items()}
    return dict(
        hand=words.scientific(worst['hand'].max()),
        grad=words.scientific(worst['jax.grad'][-1].max()),
        grad_one=words.scientific(worst['jax.grad'][0].max()),
        beyond=words.percent(float(beyond.mean())),
        tiny=words.scientific(np.median(largest[beyond])),
        other=words.scientific(np.median(largest[~beyond])),
        stuck_slope=f'{np.median(slopes[~learned.is_learnt]):.3f}',
        learnt_slope=f'{np.median(slopes[learned.is_learnt]):.3f}',
        best32=words.scientific(curves['float32'].min()),
        step32=words.scientific(STEPS[best['float32']]),
        best64=words.scientific(curves['float64'].min()),
        step64=words.scientific(STEPS[best['float64']]),
        floor=words.scientific(curves['complex step'].min()),
        mistakes=str(len(bugs.BUGS)),
        learnt=str(int(learned.is_learnt.sum())),
        stuck=str(len(stuck)),
        eighths=str(int(np.sum(levels == 0))),
        sixths=str(int(np.sum(levels == 1))),
        quarters=str(int(np.sum(levels == 2))),
    )
