"""Claims about exploding and vanishing gradients in random networks, and the page."""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import numpy as np

from jaxdl.report.page import words
from jaxdl.theory import answer as answers
from jaxdl.theory.answer import Answer, Note
from jaxdl.theory.vanishing_gradients import exact, figures, networks, remedies
from jaxdl.theory.vanishing_gradients import formulas as theory
from jaxdl.workdir import claims
from jaxdl.workdir.claims import Claim

HEAT_GAINS, HEAT_DEPTH = np.geomspace(0.5, 24, 33), 64
FLOOR = 1e-24  # a variance below it is rounding, with activations of about 1


@dataclasses.dataclass(frozen=True)
class Measurements:
    """Log gradient norms by depth and activation, [seed, gain, layer]."""

    width: int
    gains: Mapping[str, np.ndarray]
    norms: Mapping[int, Mapping[str, np.ndarray]]

    @property
    def depth(self) -> int:
        """Largest depth."""
        return max(self.norms)

    @property
    def deepest(self) -> Mapping[str, np.ndarray]:
        """Norms of the deepest networks."""
        return self.norms[self.depth]

    @property
    def where(self) -> str:
        """Sizes of the measurement, as part of a sentence."""
        seeds, gains, _ = next(iter(self.deepest.values())).shape
        return f'{self.width} units, {gains} gains per activation, mean of {seeds} seeds'


def measure(settings: theory.Settings, note: Note) -> Measurements:
    """Measure random networks of each depth, at gains from half to twice the critical one."""
    around = 2 ** np.linspace(-1, 1, settings.gains)
    gains = {
        activation: theory.critical_gain(activation) * around for activation in theory.ACTIVATIONS
    }
    norms = {}
    for depth in settings.depths:
        note(
            f'gradients of {settings.seeds} random networks of {depth} layers at '
            f'{3 * settings.gains} gains'
        )
        norms[depth] = networks.plain_norms(depth, settings.width, settings.seeds, gains)
    return Measurements(settings.width, gains, norms)


def rates_claim(measured: Measurements, rule: theory.Rate = theory.rate) -> Claim:
    """Claim: every rate of the deepest networks is log(gain x root mean square derivative)."""
    errors = _errors(measured, rule)
    sentence = (
        'Growth of the log gradient norm per layer, compared with log(gain x RMS derivative), '
        f'{measured.depth} layers of {measured.where}: largest error'
    )
    return claims.close(sentence, 0, max(errors.values()), 0.06 * 256 / measured.width)


def corrected_claim(
    measured: Measurements, rule: Callable[[str, float, int], float] = theory.correction
) -> Claim:
    """Claim: the same rates with corrections for finite depth and width."""
    first, depth = measured.depth // 4, measured.depth

    def finite(activation: str, gain: float) -> float:
        return theory.layer_rates(activation, gain, depth)[first:].mean() + rule(
            activation, gain, measured.width
        )

    sentence = (
        f'The same growth, compared with the prediction for finite depth and width, {depth} layers '
        f'of {measured.where}: largest error'
    )
    return claims.close(
        sentence, 0, max(_errors(measured, finite).values()), 0.03 * 256 / measured.width
    )


def depths_claim(
    measured: Measurements, rule: Callable[[str, float, int], np.ndarray] = theory.layer_rates
) -> Claim:
    """Claim: ratio of first to last gradient norm, from the shallowest to the deepest network."""
    depths, errors = np.array(list(measured.norms)), []
    for activation, gains in measured.gains.items():
        for place, gain in enumerate(gains):
            ratios = [
                (n[activation][:, place, 0] - n[activation][:, place, -1]).mean()
                for n in measured.norms.values()
            ]
            predicted = [np.sum(rule(activation, gain, depth)) for depth in depths]
            errors.append(abs(np.polyfit(depths, np.subtract(ratios, predicted), 1)[0]))
    sentence = (
        f'Log ratio of first to last gradient norm, depths {depths.min()} to {depths.max()} '
        f'({measured.where}): largest error of its increase per layer'
    )
    return claims.close(sentence, 0, max(errors), 0.06 * 256 / measured.width)


def crossing(gains: np.ndarray, rates: np.ndarray) -> float:
    """Interpolated gain with rate 0; nan if no rate crosses 0."""
    inside = rates.min() < 0 < rates.max()
    return float(np.exp(np.interp(0, rates, np.log(gains)))) if inside else float('nan')


def critical_claims(
    measured: Measurements, rule: Callable[[str], float] = theory.critical_gain
) -> dict[str, Claim]:
    """Claims on the critical gain; tolerance 15 % for tanh, which reaches its limit slowly."""
    claim_list = {}
    for activation, gains in measured.gains.items():
        measured_gain = crossing(gains, rates(measured, activation))
        tolerance = (0.15 if activation == 'tanh' else 0.05) * 256 / measured.width
        sentence = (
            f'{figures.NAMES[activation]}: gain without vanishing or exploding gradients '
            f'({measured.depth} layers of {measured.where})'
        )
        claim_list[activation] = claims.relatively_close(
            sentence, rule(activation), measured_gain, tolerance
        )
    return claim_list


def tanh_claim(
    measured: Measurements, rule: Callable[[str, float, int], np.ndarray] = theory.layer_rates
) -> Claim:
    """Claim: critical gain of tanh at finite depth and width."""
    gains, first = measured.gains['tanh'], measured.depth // 4
    finite = [
        rule('tanh', gain, measured.depth)[first:].mean()
        + theory.correction('tanh', gain, measured.width)
        for gain in gains
    ]
    expected, measured_gain = (
        crossing(gains, np.array(finite)),
        crossing(gains, rates(measured, 'tanh')),
    )
    sentence = (
        f'tanh: the same gain, prediction for {measured.depth} layers of {measured.width} units'
    )
    return claims.relatively_close(sentence, expected, measured_gain, 0.05)


def variance_claim(variances: Mapping[str, np.ndarray], width: int, power: float = 2.0) -> Claim:
    """Claim: below the edge the variance shrinks by the squared factor of the gradient."""
    errors = []
    for activation in ('sigmoid', 'tanh'):
        edge = theory.critical_gain(activation)
        for gain, by_layer in zip(HEAT_GAINS, variances[activation], strict=True):
            layers = np.flatnonzero(by_layer > FLOOR)
            layers = layers[len(layers) // 4 :]
            if gain < 0.8 * edge:
                growth = np.polyfit(layers, np.log(by_layer[layers]), 1)[0]
                errors.append(abs(growth - power * theory.rate(activation, gain)))
    sentence = (
        'Growth of the log variance over 16 inputs per layer, compared with twice that of the '
        f'gradient: sigmoid and tanh, {len(errors)} gains below the edge, {width} units: largest '
        'error'
    )
    return claims.close(sentence, 0, max(errors), 0.1 * 256 / width)


def rates(measured: Measurements, activation: str) -> np.ndarray:
    """Mean measured rate of the deepest networks, [gain]."""
    return networks.rate(measured.deepest[activation]).mean(0)


def _errors(measured: Measurements, rule: theory.Rate) -> dict[tuple[str, float], float]:
    return {
        (activation, gain): abs(growth - rule(activation, gain))
        for activation, gains in measured.gains.items()
        for gain, growth in zip(gains, rates(measured, activation), strict=True)
    }


def answer(settings: theory.Settings, note: Note) -> Answer:
    """Measure all claims, draw the figures and fill the text."""
    with jax.enable_x64(True):
        measured = measure(settings, note)
        note('activations, remedies and exact cases')
        variances = networks.variances(HEAT_DEPTH, settings.width, HEAT_GAINS)
        norms, predicted = remedies.measure_norms(settings.width), remedies.predictions()
        exact_cases = exact.measure()
    accuracy, groups = remedies.train(settings.training_seeds, settings.epochs, note)
    wide = dict(
        rates=rates_claim(measured),
        corrected=corrected_claim(measured),
        depths=depths_claim(measured),
        **critical_claims(measured),
        finite_tanh=tanh_claim(measured),
        variance=variance_claim(variances, settings.width),
    )
    growth = {activation: rates(measured, activation) for activation in measured.gains}
    claim_list = [
        *exact_cases.claims.values(),
        *wide.values(),
        *remedies.remedy_claims(norms, settings.width, predicted),
        *remedies.training_claims(accuracy, settings.training_seeds, settings.epochs),
    ]
    blocks = [
        figures.norms(measured.gains, measured.deepest),
        figures.rates(measured.gains, growth, measured.depth),
        figures.edge(HEAT_GAINS, variances),
        remedies.table(norms, predicted),
    ]
    numbers = values(measured, exact_cases, wide) | remedies.values(
        accuracy, settings.training_seeds
    )
    return Answer(answers.text('vanishing_gradients', **numbers), claim_list, blocks, groups)


def values(
    measured: Measurements, exact_cases: exact.Exact, wide: Mapping[str, Claim]
) -> dict[str, str]:
    """Numbers of the text."""
    relu = (measured.deepest['relu'][..., 0] - measured.deepest['relu'][..., -1]).mean(0)
    write = words.significant
    return dict(
        depth=str(measured.depth),
        worst=write(wide['rates'].measured),
        corrected=write(wide['corrected'].measured),
        variance_error=write(wide['variance'].measured),
        edge_sigmoid=write(wide['sigmoid'].expected),
        finite_tanh=write(wide['finite_tanh'].expected),
        **{f'critical_{name}': write(wide[name].measured) for name in measured.gains},
        relu_half=remedies.power(relu[0]),
        relu_twice=remedies.power(relu[-1]),
        largest_step=f'{exact_cases.claims["largest_step"].measured:.6f}',
        two_over=f'{2 / exact.DEPTH**2:.6f}',
        overflow=f'{exact_cases.claims["overflow"].measured:.0f}',
        chain_share=words.percent(exact_cases.claims['chains'].measured),
        kernel_ratio=write(exact_cases.kernel_ratio),
    )
