import math

import jax
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxdl.errors import InputError
from jaxdl.report.page import prose
from jaxdl.report.page.blocks import Table
from jaxdl.theory import answer as answers
from jaxdl.theory import vanishing_gradients as theory
from jaxdl.theory.vanishing_gradients import checks, exact, networks, remedies

WIDTH = 128


@pytest.fixture(scope='module')
def measured():
    settings = theory.Settings(width=WIDTH, depths=(2, 32), gains=5, seeds=6)
    with jax.enable_x64(True):
        return checks.measure(settings, lambda text: None)


@pytest.fixture(scope='module')
def variances():
    with jax.enable_x64(True):
        return networks.variances(32, WIDTH, checks.HEAT_GAINS)


@given(gain=st.floats(0.1, 20), length=st.floats(1e-3, 1e3))
def test_relu_halves_the_squared_norm_whatever_the_length(gain, length):
    assert theory.layer_rate('relu', gain, length) == pytest.approx(
        math.log(gain / math.sqrt(2)), abs=1e-9
    )
    assert theory.next_length('relu', gain, length) == pytest.approx(gain**2 * length / 2, rel=1e-9)


@pytest.mark.parametrize('activation', theory.ACTIVATIONS)
def test_slopes_are_those_of_the_functions(activation):
    function, slope = theory.ACTIVATIONS[activation]
    z = np.linspace(-3, 3, 12)
    assert slope(z) == pytest.approx((function(z + 1e-6) - function(z - 1e-6)) / 2e-6, abs=1e-6)


@given(gain=st.floats(1.1, 20))
def test_the_length_of_saturating_layers_converges_as_predicted(gain):
    for activation in ('sigmoid', 'tanh'):
        length = theory.fixed_length(activation, gain)
        assert theory.next_length(activation, gain, length) == pytest.approx(length, rel=1e-8)


def test_the_mean_is_that_of_the_normal_distribution():
    assert theory.normal_mean(lambda z: z**4, 2.0) == pytest.approx(12, rel=1e-9)


def test_edges_are_where_the_textbooks_have_them():
    assert theory.critical_gain('relu') == pytest.approx(math.sqrt(2))
    assert theory.critical_gain('tanh') == pytest.approx(1, abs=1e-4)
    assert theory.critical_gain('sigmoid') > 4


def test_an_unknown_activation_is_named():
    with pytest.raises(InputError, match='did you mean sigmoid'):
        theory.rate('sigmod', 1.0)


def _wrong_jacobian(gain, kernel, h):
    return gain * kernel.T  # without the slope


WRONG = {
    'product': lambda: exact.product_of_jacobians(_wrong_jacobian),
    'orthogonal': lambda: exact.orthogonal(lambda gain, depth: gain ** (depth - 1)),
    'chains': lambda: exact.sigmoid_chains(slope=0.125),
    'overflow': lambda: exact.overflow(lambda weight: 39),
    'largest_step': lambda: exact.largest_step(lambda depth: 2 / depth),
    'kernels': lambda: exact.kernel_claim('tanh')[0],
    'gain': lambda: exact.normalisation_claim(power=2.0),
    'norm': lambda: exact.clipping_claims(optax.clip_by_global_norm(2.0))[0],
    'share': lambda: exact.clipping_claims(optax.clip(1.0))[1],  # element by element
}


@pytest.fixture(scope='module')
def formulas():
    with jax.enable_x64(True):
        return exact.measure()


def test_each_exact_claim_has_a_rule_that_fails(formulas):
    assert formulas.claims.keys() == WRONG.keys()


@pytest.mark.parametrize('name', WRONG)
def test_an_exact_claim_holds_and_a_wrong_rule_fails_it(formulas, name):
    assert formulas.claims[name].holds
    with jax.enable_x64(True):
        assert not WRONG[name]().holds


WRONG_RATES = {
    'sign': lambda activation, gain: -theory.rate(activation, gain),
    'of the square': lambda activation, gain: 2 * theory.rate(activation, gain),
    'slope at 0': lambda activation, gain: math.log(gain * dict(sigmoid=0.25).get(activation, 1.0)),
}


def test_rates_are_as_predicted(measured):
    assert checks.rates_claim(measured).holds
    assert checks.corrected_claim(measured).holds
    assert checks.depths_claim(measured).holds
    assert checks.tanh_claim(measured).holds


@pytest.mark.parametrize('wrong', WRONG_RATES)
def test_a_wrong_rate_fails(measured, wrong):
    rule = WRONG_RATES[wrong]
    assert not checks.rates_claim(measured, rule).holds
    assert not checks.depths_claim(
        measured, lambda a, gain, depth: np.full(depth - 1, rule(a, gain))
    ).holds


def test_a_wrong_correction_fails(measured):
    assert not checks.corrected_claim(
        measured, lambda a, gain, width: -10 * theory.correction(a, gain, width)
    ).holds
    assert not checks.tanh_claim(
        measured, lambda a, gain, depth: theory.layer_rates(a, 1.2 * gain, depth)
    ).holds


def test_a_wrong_edge_fails_for_each_activation(measured):
    assert all(claim.holds for claim in checks.critical_claims(measured).values())
    wrong = dict(relu=1.0, tanh=3.0, sigmoid=4.0)
    assert not any(
        claim.holds for claim in checks.critical_claims(measured, wrong.__getitem__).values()
    )


def test_an_edge_that_was_not_reached_is_no_number():
    assert math.isnan(checks.crossing(np.array([1.0, 2.0]), np.array([-0.5, -0.1])))


def test_activations_vary_with_the_square_of_the_gradient(variances):
    assert checks.variance_claim(variances, WIDTH).holds
    assert not checks.variance_claim(variances, WIDTH, power=1.0).holds


def test_remedies_change_the_rate_as_predicted_and_not_otherwise():
    names = ['ReLU, gain 2', 'ReLU, gain 2, layer norm', 'ReLU, gain √2, skip connections']
    with jax.enable_x64(True):
        norms = remedies.measure_norms(WIDTH, 3, names)
    right = remedies.predictions()
    wrong = {
        'ReLU, gain 2': -right['ReLU, gain 2'],
        'ReLU, gain 2, layer norm': right['ReLU, gain 2'],
        'ReLU, gain √2, skip connections': 0.0,
    }
    assert all(claim.holds for claim in remedies.remedy_claims(norms, WIDTH, right))
    assert not any(claim.holds for claim in remedies.remedy_claims(norms, WIDTH, wrong))


def test_training_must_be_clearly_better_at_the_edge():
    better = dict(zip(remedies.SCALES, (0.1, 0.1, 0.9, 0.7, 0.1), strict=True))
    assert all(claim.holds for claim in remedies.training_claims(better, 3, 15))
    assert not any(
        claim.holds
        for claim in remedies.training_claims(dict.fromkeys(remedies.SCALES, 0.9), 3, 15)
    )


def test_a_norm_makes_the_gradient_by_biases_forget_the_gain():
    with jax.enable_x64(True):
        drawn = networks.draw(0, 'test', 8, 16, 4)
        norms = jax.jit(
            lambda gain: networks.log_norms(networks.normalise('tanh', gain, -1), *drawn)
        )
        one, five = norms(1.0), norms(5.0)
    assert np.asarray(one) == pytest.approx(np.asarray(five), abs=1e-9)


def test_every_number_of_the_text_is_put_in_and_every_figure_has_a_place(
    measured, formulas, variances
):
    wide = dict(
        rates=checks.rates_claim(measured),
        corrected=checks.corrected_claim(measured),
        **checks.critical_claims(measured),
        finite_tanh=checks.tanh_claim(measured),
        variance=checks.variance_claim(variances, WIDTH),
    )
    accuracy = dict.fromkeys(remedies.SCALES, 0.5)
    values = checks.values(measured, formulas, wide) | remedies.values(accuracy, 3)
    text = answers.text('vanishing_gradients', **values)
    tables = [Table('', (), (), '', name=name) for name in ('norms', 'rates', 'edge', 'remedies')]
    lead, sections = prose.read(text, tables)
    assert lead
    assert 4 <= len(sections) <= 14
    assert '<<' not in text
    assert all(value in text for value in values.values())
