import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxdl import InputError
from jaxdl.theory import backprop
from jaxdl.theory.backprop import Settings, checks, formulas, references, xor
from jaxdl.theory.backprop import bugs as backprop_bugs
from jaxdl.theory.backprop.references import six_derivatives

EXAMPLE = dict(w1=[[0.5, -0.3], [0.8, 0.2]], w2=[1.0, -1.5], x=[1.0, 2.0], t=1.0)
BY_W1 = [[-0.25706681720697233, -0.51413363441394467], [0.11879586296550886, 0.23759172593101772]]
BY_W2 = [0.025878402681206963, -0.2164551388686422]
SMALL = Settings(points=1000, exact_points=100, starts=10, steps=500)
STARTS = xor.draw_networks(0, 2)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def wrong(change):
    """The right rules, with `change` applied to each derivative."""
    return lambda *arguments: tuple(map(change, formulas.rules(*arguments)))


def wrong_mean(change):
    return lambda *arguments: tuple(map(change, formulas.mean_rules(*arguments)))


def doubled(derivative):
    return 2 * derivative


def almost(derivative):
    return derivative * (1 + 1e-10)


def test_the_worked_value_of_50_digits():
    by_w1, by_w2 = backprop.gradients(**EXAMPLE)
    assert by_w1.dtype == by_w2.dtype == np.float64
    np.testing.assert_allclose(by_w1, BY_W1, rtol=1e-14)
    np.testing.assert_allclose(by_w2, BY_W2, rtol=1e-14)


@pytest.mark.parametrize(
    'convert', [tuple, np.array, np.float32, jnp.array, lambda v: jnp.array(v, jnp.bfloat16)]
)
def test_arrays_of_any_kind_give_float64(convert):
    exact = dict(w1=[[0.5, -0.25], [0.75, 2]], w2=[1, -1.5], x=[1, 2], t=1)
    for gradient, want in zip(
        backprop.gradients(
            **{name: convert(value) if name != 't' else value for name, value in exact.items()}
        ),
        backprop.gradients(**exact),
        strict=True,
    ):
        assert gradient.dtype == np.float64
        np.testing.assert_array_equal(gradient, want)


@pytest.mark.system
def test_no_jax_is_needed():
    code = (
        'import sys; from jaxdl.theory import backprop; '
        'backprop.gradients([[1, 2], [3, 4]], [1, 2], [1, 2], 0); assert "jax" not in sys.modules'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


@pytest.mark.parametrize('scale', [1, 12, 100])
@pytest.mark.parametrize('target', ['0 or 1', 'normal'])
def test_the_bound_holds_where_units_saturate(scale, target):
    w1, b1, w2, b2, x, t = references.draw(7, 'test', 300, scale)
    t = (t > 0).astype(float) if target == '0 or 1' else t
    points = w1, b1, w2, b2, x, t
    assert (
        references.relative_errors(
            six_derivatives(formulas.rules(*points)), six_derivatives(references.by_digits(*points))
        ).max()
        < 1e-12
    )


def test_sums_that_cancel_keep_their_digits():
    gradients = backprop.gradients([[1e8, -1e8], [1, 1]], [1, 1], [1 + 2**-52, 1], 0)
    points = [[[1e8, -1e8], [1, 1]]], [[0, 0]], [[1, 1]], [0], [[1 + 2**-52, 1]], [0]
    exact = references.by_digits(*(np.array(each, float) for each in points))
    np.testing.assert_allclose(gradients[0], exact[0][0], rtol=1e-14)


@given(numbers=st.lists(FINITE, min_size=12, max_size=12))
def test_finite_numbers_never_give_nan(numbers):
    w1, b1, w2, (b2, *x, t) = numbers[:4], numbers[4:6], numbers[6:8], numbers[8:]
    gradients = backprop.gradients_with_biases([w1[:2], w1[2:]], b1, w2, b2, x, t)
    assert not any(np.isnan(each).any() for each in gradients)


def test_biases_of_0_change_nothing_and_a_bias_is_a_weight_of_1():
    by_w1, by_b1, by_w2, by_b2 = backprop.gradients_with_biases(b1=[0, 0], b2=0, **EXAMPLE)
    for gradient, want in zip((by_w1, by_w2), backprop.gradients(**EXAMPLE), strict=True):
        np.testing.assert_array_equal(gradient, want)
    moved = EXAMPLE | dict(w1=[[0.5, 0.0], [0.8, 0.0]], x=[1.0, 1.0])
    by_w1, by_b1, _, by_b2 = backprop.gradients_with_biases(b1=[-0.3, 0.2], b2=0.1, **moved)
    np.testing.assert_array_equal(by_w1[:, 1], by_b1)
    step = 1e-6

    def loss(b2):
        z = EXAMPLE['w2'] @ np.tanh([0.2, 1.0]) + b2
        return (1 / (1 + np.exp(-z)) - 1) ** 2

    assert by_b2 == pytest.approx((loss(0.1 + step) - loss(0.1 - step)) / (2 * step), rel=1e-8)


def test_a_batch_is_the_mean_of_its_examples():
    w1, b1, w2, b2, x, t = references.draw(3, 'test', 5, 1.0, 'normal')
    batch = backprop.batch_gradients(w1[0], w2[0], x, t)
    biased = backprop.batch_gradients_with_biases(w1[0], b1[0], w2[0], b2[0], x, t)
    one = [backprop.gradients(w1[0], w2[0], *example) for example in zip(x, t, strict=True)]
    biased_one = [
        backprop.gradients_with_biases(w1[0], b1[0], w2[0], b2[0], *example)
        for example in zip(x, t, strict=True)
    ]
    for mean, examples in ((batch, one), (biased, biased_one)):
        for derivative, each in zip(mean, zip(*examples, strict=True), strict=True):
            np.testing.assert_allclose(derivative, np.mean(each, 0), rtol=1e-13)


def test_an_update_goes_against_the_gradient():
    w1, w2 = backprop.update(**EXAMPLE, rate=0.1)
    np.testing.assert_allclose(w1, np.array(EXAMPLE['w1']) - 0.1 * np.array(BY_W1), rtol=1e-14)
    np.testing.assert_allclose(w2, np.array(EXAMPLE['w2']) - 0.1 * np.array(BY_W2), rtol=1e-14)


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (
            dict(x=[1, 2, 3]),
            r'x=\[1, 2, 3\], of shape \[3\]: must be finite real numbers of shape \[2\]',
        ),
        (dict(w1=[1, 2]), r'w1=.*of shape \[2\]: must be .* of shape \[2, 2\]'),
        (dict(w1=[[1, 2], [3]]), r'w1=.*: must be finite real numbers of shape \[2, 2\]'),
        (dict(w2=[[1, 2]]), r'w2=.*shape \[1, 2\]'),
        (dict(t=[1.0]), r't=\[1.0\], of shape \[1\]: must be a finite real number'),
        (dict(x=[1, np.nan]), r'x=\[1.0, nan\]: must be finite'),
        (dict(t=np.inf), 't=inf: must be finite'),
        (dict(w2=[-np.inf, 0]), 'w2=.*must be finite'),
        (dict(x=[1j, 1]), 'x=.*real'),
        (dict(x=['1', '2']), 'x=.*real'),
        (dict(w1=None), 'w1=None'),
        (dict(t=None), 't=None: must be a finite real number'),
    ],
)
def test_bad_input_is_named_in_a_line(arguments, words):
    with pytest.raises(InputError, match=words) as caught:
        backprop.gradients(**EXAMPLE | arguments)
    assert '\n' not in str(caught.value)


def test_bad_batches_and_rates_are_named():
    network = dict(w1=EXAMPLE['w1'], w2=EXAMPLE['w2'])
    with pytest.raises(InputError, match=r'x=.*\[batch, 2\]'):
        backprop.batch_gradients(**network, x=np.zeros((0, 2)), t=[])
    with pytest.raises(InputError, match=r't=.*of shape \[3\]: .* \[2\]'):
        backprop.batch_gradients(**network, x=np.zeros((2, 2)), t=[0, 1, 0])
    with pytest.raises(InputError, match='rate=nan'):
        backprop.update(**EXAMPLE, rate=np.nan)


@pytest.mark.parametrize(
    ('measure', 'right', 'bad'),
    [
        (lambda rule: checks.bias_claim(SMALL, rule), formulas.rules, wrong(almost)),
        (lambda rule: checks.batch_claim(0, rule), formulas.mean_rules, wrong_mean(almost)),
        (lambda rule: xor.path_claim(STARTS, rule), formulas.mean_rules, wrong_mean(almost)),
        (xor.stationary_claim, formulas.mean_rules, wrong_mean(lambda d: d + 1)),
    ],
    ids=['biases', 'batch', 'together', 'motionless'],
)
def test_a_claim_fails_with_wrong_rules(measure, right, bad):
    assert measure(right).holds
    assert not measure(bad).holds


@pytest.fixture(scope='module')
def points():
    drawn = references.draw(0, 'points', 500, 1.0)
    return drawn, six_derivatives(references.by_jax(*drawn))


def test_a_share_too_much_fails_against_jax_and_the_complex_step(points):
    drawn, reference = points
    for measure in (
        lambda rule: checks.autodiff_claim(drawn, reference, rule),
        lambda rule: checks.complex_step_claim(drawn, rule),
    ):
        assert measure(formulas.rules).holds
        assert not measure(wrong(almost)).holds


def test_the_claims_of_50_digits_can_fail():
    textbook = backprop_bugs.rule(backprop_bugs.Factors())
    assert all(
        claim.holds for claim in checks.exactness_claims(checks.measure_by_scale(SMALL), 100)
    )
    *hand, program = checks.exactness_claims(checks.measure_by_scale(SMALL, textbook), 100)
    assert hand[0].holds
    assert not any(claim.holds for claim in hand[-2:])
    careful = checks.measure_by_scale(SMALL)
    assert program.holds
    assert not checks.exactness_claims(careful | {'jax.grad': careful['hand']}, 100)[-1].holds


def test_the_claims_of_the_v_can_fail(points):
    drawn, _ = points
    assert all(claim.holds for claim in checks.difference_claims(checks.differences(drawn)))
    curves = checks.differences(drawn, wrong(doubled))  # every curve ends in a floor
    assert not any(claim.holds for claim in checks.difference_claims(curves)[:2])
    flat = {name: np.full(len(checks.STEPS), 1e-15) for name in curves}
    assert not any(claim.holds for claim in checks.difference_claims(flat))


def test_every_planted_mistake_is_caught_and_no_rule_without_one(points):
    bugs = {**backprop_bugs.BUGS, 'none': backprop_bugs.Factors()}
    caught = backprop_bugs.measure_detection(*points, checks.BOUND, bugs)
    holds = {
        name: claim.holds
        for name, claim in zip(bugs, backprop_bugs.bug_claims(caught, 500), strict=True)
    }
    assert holds == {name: name != 'none' for name in bugs}


def test_xor_is_not_learnt_uphill():
    starts = xor.draw_networks(0, 10)
    assert all(claim.holds for claim in xor.learning_claims(xor.train(starts, 500, 2.0)))
    uphill = xor.learning_claims(xor.train(starts, 500, 2.0, wrong_mean(np.negative)))
    assert [claim.holds for claim in uphill] == [False, True, False]
    solved = xor.TrainedNetworks(np.zeros((1, 3)), np.tile(xor.TARGETS, (3, 1)), starts)
    assert not xor.learning_claims(solved)[1].holds


def test_biases_break_the_limits():
    assert all(claim.holds for claim in xor.bound_claims(0, 10, 2.0))
    assert not any(claim.holds for claim in xor.bound_claims(0, 10, 2.0, formulas.mean_rules))


def test_the_demonstration_holds_at_its_smallest():
    answer = backprop.answer(SMALL, lambda text: None)
    assert [claim.claim for claim in answer.claims if not claim.holds] == []
    assert len({claim.claim for claim in answer.claims}) == len(answer.claims)
    assert '<<' not in answer.text
