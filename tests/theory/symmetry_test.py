"""Equal units: claims hold on small runs, and fail for a wrong rule, count or weight."""

import dataclasses

import numpy as np
import pytest

from jaxdl import ensemble
from jaxdl.ensemble import Member, Workload
from jaxdl.theory import symmetry
from jaxdl.theory.symmetry import exact, figures, networks, separation
from jaxdl.train.variant import Variant

SETTINGS = symmetry.Settings(width=8, epochs=2, seeds=2, steps=300, rounding_width=9)


@pytest.fixture(scope='module')
def data():
    return networks.digits()


@pytest.fixture(scope='module')
def measured(data):
    return separation.measure(SETTINGS, data)


@pytest.fixture(scope='module')
def trained(data):
    """Training from equal weights with and without dropout on layer 2, from zeros, at random."""
    # 16: with AVX2 rounding alone parts 8 equal units.
    base = Variant(
        model='mlp', width=16, depth=2, norm='none', activation='tanh', learning_rate=0.05
    )
    equal = dataclasses.replace(base, **networks.STARTS['0.05'])
    variants = dict(
        equal=equal,
        dropout=dataclasses.replace(equal, dropout=0.2),
        zeros=dataclasses.replace(base, init='zeros'),
        random=base,
    )
    members = [
        Member(name, seed, variant) for name, variant in variants.items() for seed in range(2)
    ]
    workload = Workload(data.resident_data, 10, 2)
    members_trained, _ = ensemble.train_members(members, workload, watch=networks.largest_gradient)
    return {
        name: [one for one in members_trained if one.member.option == name] for name in variants
    }


def planted(one, change=1e-3):
    """Copy of a trained member with one weight of the first layer changed."""
    kernel = np.array(one.state.params['layer_0']['dense']['kernel'])
    kernel[3, 5] += change
    layer = one.state.params['layer_0'] | dict(dense=dict(kernel=kernel))
    return dataclasses.replace(
        one, state=dataclasses.replace(one.state, params=one.state.params | dict(layer_0=layer))
    )


@pytest.mark.parametrize(
    ('name', 'units', 'rank'), [('equal', 1, 1), ('zeros', 1, 0), ('random', 16, 16)]
)
def test_distinct_units_and_rank_are_as_predicted(trained, name, units, rank):
    assert all(claim.holds for claim in networks.unit_claims(name, trained[name], units, rank))
    assert not any(
        claim.holds for claim in networks.unit_claims(name, trained[name], 17 - units, 17 - rank)
    )


@pytest.mark.parametrize('name', ['equal', 'zeros'])
def test_a_planted_difference_of_one_weight_is_found(trained, name):
    first, *others = trained[name]
    rank = int(name == 'equal')
    units, ranks = networks.unit_claims(name, [planted(first), *others], 1, rank)
    assert not units.holds
    assert units.measured == 2
    assert not ranks.holds
    smallest = np.spacing(
        np.float32(np.abs(first.state.params['layer_0']['dense']['kernel'][3, 5]))
    )
    assert not networks.unit_claims(name, [planted(first, smallest), *others], 1, rank)[0].holds


def test_only_zeros_never_have_a_gradient(trained):
    assert networks.bias_claim(trained['zeros']).holds
    for name in ('equal', 'random', 'dropout'):
        assert not networks.bias_claim([*trained['zeros'], *trained[name]]).holds


def test_dropout_breaks_the_symmetry_of_its_layer_only(trained):
    settings = dataclasses.replace(SETTINGS, width=16)
    claims = networks.source_claims(
        trained, settings, dict(equal=(False, False), dropout=(False, True))
    )
    assert [claim.holds for claim in claims] == [True] * 4
    wrong = networks.source_claims(
        trained, settings, dict(equal=(True, True), dropout=(True, False))
    )
    assert [claim.holds for claim in wrong] == [False] * 4


def test_random_weights_learn_more(trained):
    names = {
        f'tanh, {start}': 'random' if start == 'random' else 'equal' for start in networks.STARTS
    }
    names |= {f'sigmoid, {start}': 'equal' for start in networks.STARTS} | {
        networks.DROPPED_ZEROS: 'zeros'
    }
    right = {name: trained[source] for name, source in names.items()}
    assert networks.start_claims(right, SETTINGS)[-1].holds
    assert not networks.start_claims(right | {'tanh, random': trained['equal']}, SETTINGS)[-1].holds


def test_exchanged_units_have_exchanged_gradients(data):
    def half(params, layer, order):
        kernel = params[f'layer_{layer}']['dense']['kernel']
        return params | {
            f'layer_{layer}': params[f'layer_{layer}'] | dict(dense=dict(kernel=kernel[:, order]))
        }

    assert exact.equivariance_claim(data, 2, 4).holds
    assert not exact.equivariance_claim(data, 2, 4, half).holds


def without_slope(units, images, errors):
    into, out = np.split(units, [images.shape[1]])
    return np.concatenate([images.T @ (errors @ out), errors.T @ np.tanh(images @ into)])


def test_the_rule_for_a_unit_is_its_gradient(data):
    assert exact.rule_claim(data, 4).holds
    for wrong in (without_slope, lambda *arguments: -symmetry.unit_gradient(*arguments)):
        assert not exact.rule_claim(data, 4, wrong).holds


@pytest.mark.parametrize(('depth', 'start', 'step'), [(2, 'zeros', 3), (2, 'he_normal', 1)])
def test_from_zeros_a_layer_more_moves_in_every_step(data, depth, start, step):
    assert exact.first_change(data, depth, start) == step


def test_units_part_as_the_curvature_says(data, measured):
    assert all(claim.holds for claim in separation.separation_claims(measured, SETTINGS))
    start = symmetry.nudged(separation.equal(data, 8), 1e-8, np.random.default_rng(1))
    lone = separation.run(separation.equal(data, 1), data, 120, 8)

    def holds(curvature):
        wrong = separation.predicted(start, lone, data, 8, curvature)
        return separation.separation_claims(
            dataclasses.replace(measured, predicted=wrong), SETTINGS
        )[2].holds

    def blocks_alone(*arguments):
        matrix = symmetry.curvature(*arguments)
        matrix[:65, :65] = 0
        return matrix

    assert holds(symmetry.curvature)
    assert not holds(lambda *arguments: -symmetry.curvature(*arguments))
    assert not holds(blocks_alone)


@pytest.mark.parametrize(
    ('place', 'wrong'),
    [
        (0, dict(counts={'1e-8': 7, 'gradients': 8})),
        (1, dict(counts={'1e-8': 8, 'gradients': 1})),
        (3, dict(lone=1e-6)),
        (4, dict(eigenvalue=(-0.1, -0.2))),
        (4, dict(eigenvalue=(np.nan, -0.2))),
    ],
)
def test_a_wrong_measurement_of_parting_is_no_claim(measured, place, wrong):
    claims = separation.separation_claims(dataclasses.replace(measured, **wrong), SETTINGS)
    assert not claims[place].holds


def test_one_unit_represents_its_number_of_copies(data):
    many = separation.run(separation.equal(data, 8), data, 20)
    alone = [separation.run(separation.equal(data, 1), data, 20, copies) for copies in (8, 7)]
    right, wrong = (
        separation.difference(many, lone, data, copies)
        for lone, copies in zip(alone, (8, 7), strict=True)
    )
    assert right < 1e-12
    assert wrong > 1e-3


def test_the_curvature_is_the_slope_of_the_rule(data):
    rng = np.random.default_rng(0)
    unit, errors = 0.1 * rng.normal(size=75), rng.normal(size=(500, 10)) / 500
    step = 1e-6 * np.eye(75)
    ends = [
        symmetry.unit_gradient(unit[:, None] + sign * step, data.images, errors) for sign in (1, -1)
    ]
    np.testing.assert_allclose(
        symmetry.curvature(unit, data.images, errors), (ends[0] - ends[1]) / 2e-6, atol=1e-8
    )


def test_numbers_of_the_text(measured):
    assert figures.tex(0) == '0'
    assert figures.tex(8.4e-15) == r'8 \times 10^{-15}'
    still = dataclasses.replace(measured, counts=measured.counts | dict(rounding=1))
    assert 'stayed equal' in figures.rounding(still, SETTINGS)
    path = np.r_[0.0, 0.0, 1e-20, 0.5]
    apart = dataclasses.replace(
        measured,
        counts=measured.counts | dict(rounding=3),
        distances=measured.distances | dict(rounding=path),
    )
    assert 'differed in step 2' in figures.rounding(apart, SETTINGS)
