"""Sigmoid against ReLU: formulas, and the failure of every claim where it is false."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxdl import ensemble
from jaxdl.ensemble import Member, TrainedMember, Workload
from jaxdl.models.layers import ACTIVATIONS
from jaxdl.theory import activations
from jaxdl.theory.activations import checks, networks, outcomes, signs
from jaxdl.theory.activations.networks import COUNTED, DEPTH, Kind, Results
from jaxdl.train import train_step

RATES = (0.1, 1.0, 10.0)
SETTINGS = activations.Settings(depths=(2, 5), learning_rates=RATES, seeds=2)
IMAGES, WIDTH = 10, 4


def failed(claim_list):
    return [claim.claim for claim in claim_list if not claim.holds]


@given(st.floats(-700, 700))
def test_the_slope_is_even_below_its_bounds_and_that_of_the_output(x):
    y, slope = activations.sigmoid(x), activations.sigmoid_slope(x)
    assert 0 <= y <= 1
    assert slope == activations.sigmoid_slope(-x)
    assert slope <= min(activations.slope_bound(1), np.exp(-abs(x))) * (1 + 1e-15)
    assert slope == pytest.approx(float(y * activations.sigmoid(-x)), rel=1e-12)
    assert activations.relu(x) == x * activations.relu_slope(x)


def test_slope_claims_hold_and_fail_for_another_formula_or_another_activation():
    assert not failed(checks.slope_claims(101))
    assert len(failed(checks.slope_claims(101, slope=lambda x: activations.sigmoid(x) * 0.5))) == 1
    doubled = failed(
        checks.slope_claims(101, activation=lambda x: ACTIVATIONS['sigmoid'](2 * x - 1))
    )
    assert len(doubled) == 4  # its slope is another, larger, elsewhere, and falls faster


def test_products_of_slopes_are_those_of_the_units_one_by_one():
    rng = np.random.default_rng(1)
    weights, biases, a = rng.normal(size=(3, 5)), rng.normal(size=(3, 5)), rng.normal(size=3)
    actual = checks.products(ACTIVATIONS['sigmoid'], weights, biases, a)
    expected = np.ones(3)
    for depth in range(5):
        x = weights[:, depth] * a + biases[:, depth]
        a, expected = activations.sigmoid(x), expected * activations.sigmoid_slope(x)
        assert actual[:, depth] == pytest.approx(expected, rel=1e-10)


def test_chain_claims_fail_for_a_wrong_bound_and_for_steeper_or_flatter_units():
    chains = checks.random_chains(50)
    assert not failed(checks.chain_claims(chains))
    assert len(failed(checks.chain_claims(chains, bound=lambda depth: 0.2**depth))) == 2
    steep = checks.random_chains(
        50, lambda x: ACTIVATIONS['sigmoid'](2 * x), lambda x: 0.9 * ACTIVATIONS['relu'](x)
    )
    assert len(failed(checks.chain_claims(steep))) == 3


def test_mean_outputs_and_costs_fail_for_wrong_numbers():
    assert not failed(signs.mean_claims())
    assert len(failed(signs.mean_claims(dict(sigmoid=0.0, relu=0.5, tanh=0.5)))) == 3
    assert not failed(checks.cost_claims())
    assert len(failed(checks.cost_claims(dict(sigmoid=0, relu=1)))) == 2


def test_gradients_share_their_sign_behind_outputs_of_one_sign_only():
    shares = {name: signs.one_sign(name, 1) for name in ('sigmoid', 'tanh')}
    assert not failed(signs.sign_claims(shares, 1))
    assert len(failed(signs.sign_claims(shares, 1, rule=dict(sigmoid=False, tanh=True)))) == 2
    assert 0 < shares['sigmoid'][32] < shares['sigmoid'][4] < 1  # a batch mixes signs


def test_a_share_of_one_sign_leaves_out_units_without_a_gradient():
    gradients = np.array([[[1.0, -1.0, 0.0, 1.0], [2.0, -3.0, 0.0, -1.0]]])  # [n, input, unit]
    assert signs.share_of_one_sign(gradients) == pytest.approx(2 / 3)
    assert signs.batches(np.stack([gradients, -gradients], 1), 2).max() == 0


@pytest.fixture(scope='module')
def trained():
    data, num_classes = networks.digits()
    member = Member('x', 0, networks.variant(Kind('relu', 2), 1.0))
    (one,), _ = ensemble.train_members(
        [member], Workload(data, num_classes, 3), watch=networks.watch, images=data.train.shape[-1]
    )
    return one, data, num_classes


def test_the_watch_counts_the_images_on_which_the_outputs_are_0(trained):
    one, data, num_classes = trained
    module = train_step.module_of(one.member.variant, num_classes)
    images = data.images[data.train[0]]
    batch = train_step.Batch(
        images, data.labels, jnp.ones(len(images), bool), data.mean[0], data.std[0]
    )
    variables = train_step.variables_of(one.state)
    _, collections = module.apply(
        variables, train_step.normalize_batch(batch), mutable=['intermediates']
    )
    layers: dict[str, Any] = dict(collections['intermediates'])
    outputs = np.stack([layers[f'hidden_{i}'][0] for i in range(2)])
    assert (one.watched['flat'][-1] == (outputs == 0).sum(1)).all()
    assert one.watched['saturated'][-1] == pytest.approx((outputs == 0).mean((1, 2)))
    assert one.watched['slope'][-1] == pytest.approx((outputs > 0).mean((1, 2)), rel=1e-5)


def test_dead_units_of_the_first_layer_do_not_change_and_others_do(trained):
    one, data, _ = trained
    settings = dataclasses.replace(SETTINGS, learning_rates=(1.0,))
    results = Results(
        settings, {(COUNTED[0], 1.0): [one]}, {COUNTED[0]: 1.0}, 0.1, data.train.shape[-1]
    )
    assert outcomes.follow_dead_units(results).units > 0
    assert not failed(outcomes.frozen_claims(outcomes.follow_dead_units(results)))
    mostly = outcomes.follow_dead_units(
        results, lambda flat, images: flat > 0.3 * images
    )  # a wrong rule: 0 on many images
    assert failed(outcomes.frozen_claims(mostly))
    none = outcomes.follow_dead_units(results, lambda flat, images: flat > images)
    assert len(failed(outcomes.frozen_claims(none))) == 2


def networks_that(accuracy, saturated=0.01, dead=0.0, slope=0.2, start=0.01):
    """Two seeds: accuracy, final saturated and dead shares, mean slope, first saturated share."""
    watched = dict(
        saturated=np.array([[start], [saturated]]),
        slope=np.full((2, 1), slope),
        finite=np.ones(2, bool),
        flat=np.stack(
            [np.zeros((1, WIDTH)), np.where(np.arange(WIDTH) < WIDTH * dead, IMAGES, 0)[None]]
        ),
        kernel=np.cumsum(np.ones((2, 3, WIDTH)), 0),
    )
    history = dict(train_accuracy=np.array([0.1, accuracy]))
    member = Member('x', 1000, networks.variant(Kind('relu', 2)))
    return [TrainedMember(member, history, watched, None, None)] * 2  # type: ignore[arg-type]


def results_with(**changed):
    """Results that support every claim, except for `changed`, by kind."""
    defaults = {
        Kind('sigmoid', 2): dict(accuracy=1.0, saturated=0.3),
        Kind('sigmoid', 5): dict(accuracy=0.1),
        Kind('relu', 2): dict(accuracy=1.0),
        COUNTED[0]: dict(accuracy=1.0),
        COUNTED[1]: dict(accuracy=1.0),
        COUNTED[2]: dict(accuracy=1.0),
    }
    measured = {}
    for kind, values in defaults.items():
        for rate in RATES:
            at = values | (dict(dead=0.75) if (kind, rate) == (COUNTED[0], 1.0) else {})
            measured[kind, rate] = networks_that(
                **(at | changed.get(f'{kind.activation}_{kind.depth}{kind.norm}', {}))
            )
    return Results(SETTINGS, measured, dict.fromkeys(defaults, 0.1), 0.1, IMAGES)


@pytest.mark.parametrize(
    ('changed', 'count'),
    [
        (dict(), 0),
        (dict(sigmoid_2none=dict(accuracy=0.8)), 1),
        (dict(relu_2none=dict(accuracy=0.8)), 1),
        (dict(sigmoid_5none=dict(accuracy=0.9)), 2),
        (dict(relu_5none=dict(accuracy=0.2)), 1),
    ],
)
def test_training_claims_fail_where_the_networks_do_otherwise(changed, count):
    assert len(failed(outcomes.training_claims(results_with(**changed)))) == count


@pytest.mark.parametrize(
    ('changed', 'count'),
    [
        (dict(), 0),
        (dict(sigmoid_2none=dict(accuracy=1.0, saturated=0.02)), 1),
        (dict(sigmoid_5none=dict(slope=0.3)), 1),
        (dict(sigmoid_5none=dict(start=0.2)), 1),
    ],
)
def test_saturation_claims_fail_where_the_networks_do_otherwise(changed, count):
    assert len(failed(outcomes.saturation_claims(results_with(**changed)))) == count


def test_a_mean_slope_above_a_smaller_bound_is_found():
    assert len(failed(outcomes.saturation_claims(results_with(), bound=0.1))) == 1


@pytest.mark.parametrize(
    ('changed', 'count'),
    [
        (dict(), 0),
        (dict(relu_5none=dict(dead=0.0)), 2),
        (dict(relu_5batch=dict(dead=0.75)), 1),
        (dict(leaky_relu_5none=dict(dead=0.25)), 1),
    ],
)
def test_dead_claims_fail_where_the_networks_do_otherwise(changed, count):
    claim_list = [
        claim
        for claim in outcomes.dead_claims(results_with(**changed))
        if 'first layer' not in claim.claim
    ]
    assert len(failed(claim_list)) == count


def test_the_kinds_are_both_activations_at_every_depth_and_the_remedies_once():
    kinds = networks.kinds(dataclasses.replace(SETTINGS, depths=(20, 2, DEPTH)))
    assert len(kinds) == len(set(kinds)) == 8
    assert set(COUNTED) <= set(kinds)
