"""Residual networks: formulas against counts and samples; claims that fail for wrong rules."""

import dataclasses
import math
import types

import jax
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.models import MLP
from jaxdl.report.page import prose, words
from jaxdl.report.page.blocks import Table
from jaxdl.theory import residual as theory
from jaxdl.theory.residual import checks, networks, training
from jaxdl.theory.residual import random as drawing


def failing(claims):
    return [i for i, claim in enumerate(claims) if not claim.holds]


# Formulas.


@pytest.mark.parametrize('depth', [1, 2, 7])
def test_paths_are_counted_and_add_up_to_the_product_of_the_layers(depth):
    assert theory.path_counts(depth) == [math.comb(depth, k) for k in range(depth + 1)]
    branches = list(np.random.default_rng(depth).normal(size=(depth, 3, 3)))
    whole = np.eye(3)
    for branch in branches:
        whole = (np.eye(3) + branch) @ whole
    np.testing.assert_allclose(theory.path_sum(branches), whole, rtol=1e-10)


@pytest.mark.parametrize('correlation', [0.0, 0.3, 0.9])
def test_moments_of_two_normals_are_those_that_are_drawn(correlation):
    one, other = np.random.default_rng(0).normal(size=(2, 400_000))
    other = correlation * one + math.sqrt(1 - correlation**2) * other
    positive = (one > 0) & (other > 0)
    assert theory.same_side(correlation) == pytest.approx(
        positive.mean() / (one > 0).mean(), abs=4e-3
    )
    product = 2 * np.mean(np.maximum(one, 0) * np.maximum(other, 0))
    assert theory.relu_product(correlation) == pytest.approx(product, abs=8e-3)
    assert pytest.approx(2 * np.maximum(one, 0).var(), abs=8e-3) == theory.SHARE


def test_limits_of_two_normals():
    assert (theory.same_side(0), theory.same_side(1), theory.same_side(1 + 1e-16)) == (0.5, 1, 1)
    assert theory.relu_product(1) == 1
    assert theory.relu_product(1) - theory.relu_product(0) == pytest.approx(theory.SHARE)


@pytest.mark.parametrize('depth', [1, 2, 16])
def test_growth_is_a_power_in_plain_networks_and_nearly_linear_in_residual_ones(depth):
    assert theory.growth('none', depth) == pytest.approx(theory.GROWTH ** (depth - 1))
    # Twice by the first layer, then by 1 + 1 / V with V one SHARE more a layer: a polynomial in the
    # depth.
    by_hand = math.prod(1 + 1 / (1 + layer * theory.SHARE) for layer in range(depth))
    assert theory.growth('identity', depth) == pytest.approx(by_hand)
    assert theory.growth('identity', 10**4) < theory.growth('none', 60)


def test_the_mean_length_of_a_path_is_the_slope_of_the_growth():
    branch, step = theory.strengths('identity', 20), 1e-6
    total = lambda scale: np.sum(np.log(1 + scale**2 * branch))
    assert theory.mean_path_length(20) == pytest.approx(
        (total(1 + step) - total(1 - step)) / (4 * step), rel=1e-6
    )
    assert theory.mean_path_length(1) == 0.5


@pytest.mark.parametrize('skip', theory.CARRIED)
def test_correlations_of_gradients_fall_with_depth_and_not_for_equal_inputs(skip):
    np.testing.assert_allclose(theory.gradient_correlations(skip, 12, 1.0), 1, atol=1e-6)
    correlations = theory.gradient_correlations(skip, 12, 0.9)
    assert correlations[0] == 1
    assert np.all(np.diff(correlations) < 0)
    assert (correlations[-1] < 0.1) == (skip == 'none')


# The chain and the matrices.


def test_the_slope_is_that_of_the_branch_and_no_other():
    assert checks.slope_claim(theory.branch_slope).holds
    assert not checks.slope_claim(lambda x, w, b, out: out * w * (1 - np.tanh(w * x + b))).holds
    assert not checks.slope_claim(lambda *arguments: 1 + theory.branch_slope(*arguments)).holds


WRONG_PATHS = {
    'all of one length': (lambda depth: [0] * depth + [2**depth], theory.path_sum, [0]),
    'without the path past all layers': (
        theory.path_counts,
        lambda branches: theory.path_sum(branches) - np.eye(len(branches[0])),
        [1, 2],
    ),
    'earlier layers to the left': (
        theory.path_counts,
        lambda branches: theory.path_sum(branches[::-1]),
        [2],
    ),
    'only the whole chain': (
        theory.path_counts,
        lambda branches: np.linalg.multi_dot(branches[::-1]),
        [1, 2],
    ),
}


@pytest.mark.parametrize('wrong', WRONG_PATHS)
def test_claims_on_paths_hold_and_fail_for_wrong_sums(wrong, monkeypatch):
    monkeypatch.setattr(checks, 'CHAIN', 6)
    monkeypatch.setattr(checks, 'MATRICES', 5)
    counts, total, expected = WRONG_PATHS[wrong]
    assert failing(checks.path_claims(theory.path_counts, theory.path_sum)) == []
    assert failing(checks.path_claims(counts, total)) == expected


# Random networks.


@pytest.fixture(scope='module')
def drawn():
    return {skip: [drawing.draw(skip, checks.DEEP, 0)] for skip in theory.CARRIED}


def test_gradients_of_a_random_network_are_those_of_differences():
    network = drawing.draw('identity', 3, 0, width=8)
    first, step = drawing.inputs(np.random.default_rng(0), 8), 1e-6
    direction = np.random.default_rng(0).normal(size=8)

    def answer(x):  # with the statistics and the units that are on as they are
        for weights, std, on, before in zip(
            network.weights, network.stds, network.positive, means, strict=True
        ):
            x = x + ((x - before) / std * on) @ weights
        return x @ direction / np.linalg.norm(direction)

    means, x = [], first
    for weights, std, on in zip(network.weights, network.stds, network.positive, strict=True):
        means.append(x.mean(0))
        x = x + ((x - means[-1]) / std * on) @ weights
    by_unit = [
        (answer(first + step * e) - answer(first - step * e)) / (2 * step) for e in np.eye(8)
    ]
    np.testing.assert_allclose(
        drawing.input_gradients(network, 3), np.transpose(by_unit), atol=1e-6
    )


def test_claims_on_shattering_hold_and_fail_for_a_wrong_rule(drawn):
    curves = {skip: checks.shattering(values, skip) for skip, values in drawn.items()}
    assert failing(checks.shattering_claims(curves)) == []
    # As if units were on independently of one another, and as if every other one were on for both.
    for rule in (lambda _: 0.5, lambda correlation: (1 + theory.same_side(correlation)) / 2):
        wrong = {skip: checks.shattering(values, skip, rule) for skip, values in drawn.items()}
        assert failing(checks.shattering_claims(wrong)) == [0, 2, 3]
    crossed = dict(zip(curves, reversed(curves.values()), strict=True))
    assert failing(checks.shattering_claims(crossed)) == [
        1
    ]  # the others are held against their own prediction
    shifted = {
        skip: [(one + 0.2, other) for one, other in values] for skip, values in curves.items()
    }
    assert failing(checks.shattering_claims(shifted)) == [0, 2, 3]


def test_claims_on_growth_hold_and_fail_for_wrong_rules(drawn):
    claims = lambda growth, length: failing(checks.growth_claims(drawn, growth, length))
    assert claims(theory.growth, theory.mean_path_length) == []
    assert claims(lambda skip, depth: 2.0**depth, theory.mean_path_length) == [0, 1]
    assert claims(lambda skip, depth: theory.growth('none', depth), theory.mean_path_length) == [1]
    assert claims(theory.growth, lambda depth: depth / 2) == [
        2
    ]  # of all paths, if each counted alike


# Trained networks.


@pytest.mark.parametrize('skip', theory.CARRIED)
def test_the_network_without_layers_is_the_one_of_the_models(skip):
    module, images = (
        MLP(10, 4, 4, 'batch', 'relu', skip),
        np.random.default_rng(0).normal(size=(6, 5)).astype('f4'),
    )
    shapes = jax.eval_shape(module.init, jax.random.key(0), images)
    rng = np.random.default_rng(1)
    variables = jax.tree.map(
        lambda leaf: rng.uniform(0.2, 1, leaf.shape).astype('f4') - 0.1, shapes
    )
    params, stats = networks.stack(variables['params']), networks.stack(variables['batch_stats'])
    whole = np.ones(3, bool)
    logits = networks.logits(params, stats, images, skip, whole, 'running')
    np.testing.assert_allclose(logits, module.apply(variables, images), rtol=2e-4, atol=1e-5)
    in_training = module.apply(variables, images, True, mutable=['batch_stats'])[0]
    logits = networks.logits(params, stats, images, skip, whole, 'batch')
    np.testing.assert_allclose(logits, in_training, rtol=2e-4, atol=1e-5)
    cut = networks.logits(params, stats, images, skip, np.array([True, False, True]), 'running')
    fewer = [
        {k: v for k, v in variables[part].items() if k != 'layer_2'}
        for part in ('params', 'batch_stats')
    ]
    short = [
        networks.stack({{'layer_3': 'layer_2'}.get(k, k): v for k, v in part.items()})
        for part in fewer
    ]
    expected = networks.logits(*short, images, skip, np.ones(2, bool), 'running')
    np.testing.assert_allclose(cut, expected, rtol=2e-5)


SETTINGS = theory.Settings(depths=(4, 16), convolutions=(24,), seeds=2)


def study(**accuracies):
    """Results as if trained: final accuracy by name (such as 'mlp_4_none'), 0.9 by default."""
    keys = [('mlp', n, s) for n in (4, 16) for s in theory.CARRIED] + [
        ('cnn', 24, s) for s in theory.CARRIED
    ]

    def run(key):
        values = np.array([0.1, accuracies.get('_'.join(map(str, key)), 0.9)])
        return types.SimpleNamespace(
            history=dict(train_loss=values, train_accuracy=values, val_accuracy=values)
        )

    return networks.Study(
        dict.fromkeys(keys, 0.02), {key: [run(key)] * 2 for key in keys}, None, ()
    )


@pytest.mark.parametrize(
    ('accuracies', 'expected'),
    [
        (dict(mlp_16_none=0.5, cnn_24_none=0.3), []),
        (dict(mlp_16_none=0.85), [0, 2]),  # both as good at depth
        (dict(mlp_16_none=0.5, mlp_16_identity=0.5), [0]),  # both as bad
        (dict(mlp_16_none=0.5, cnn_24_identity=0.3), [1]),
        (dict(mlp_16_none=0.5, mlp_4_none=0.5), [2]),  # no worse for being deep
        (dict(mlp_16_none=0.5, mlp_16_identity=np.nan), [0]),
    ],
)
def test_claims_on_training_fail_where_depth_does_not_harm_or_a_skip_does_not_help(
    accuracies, expected
):
    assert failing(training.training_claims(study(**accuracies), SETTINGS)) == expected


def test_a_network_that_diverged_guesses():
    diverged = study()
    diverged.runs['mlp', 16, 'none'][0].history['train_loss'][0] = np.inf
    np.testing.assert_array_equal(diverged.final(('mlp', 16, 'none'), 'train_accuracy'), 0.1)


def test_claims_on_gradient_norms_and_lost_layers_fail_for_networks_that_are_alike():
    fading, level = (
        np.array([[8.0, 4.0, 2.0], [9.0, 3.0, 1.0]]),
        np.array([[1.0, 1.0, 1.0], [1.2, 1.1, 1.0]]),
    )
    assert failing(training.norm_claims(dict(none=fading, identity=level))) == []
    assert failing(training.norm_claims(dict(none=fading, identity=fading))) == [0]
    guessing, robust = np.array([[0.9, 0.1, 0.2]]), np.array([[0.95, 0.9, 0.92]])
    assert failing(training.deletion_claims(dict(none=guessing, identity=robust))) == []
    assert failing(training.deletion_claims(dict(none=robust, identity=robust))) == [1, 2]
    assert failing(training.deletion_claims(dict(none=guessing, identity=guessing))) == [0, 2]


def test_the_networks_that_lose_a_layer_are_among_those_that_are_trained():
    with pytest.raises(InputError, match=r'settings.deleted=16: must be one of depths, \[3, 4\]'):
        networks.train(theory.Settings(depths=(3, 4)), lambda text: None)


# The page.


def test_every_number_of_the_text_is_put_in_and_every_figure_has_a_place(monkeypatch):
    monkeypatch.setattr(checks, 'DEPTHS', (1, checks.SHATTERED, 16))
    monkeypatch.setattr(checks, 'DEEP', 16)
    rng = np.random.default_rng(0)  # experiments_test trains
    monkeypatch.setattr(networks, 'train', lambda *_: study(mlp_16_none=0.5))
    monkeypatch.setattr(
        networks, 'gradient_norms', lambda *_: rng.uniform(1, 2, (2, checks.DEEP - 1))
    )
    monkeypatch.setattr(networks, 'without_layers', lambda *_: rng.uniform(0, 1, (2, 16)))
    answer = theory.answer(dataclasses.replace(SETTINGS, random_networks=1), lambda text: None)
    assert '<<' not in answer.text
    plain = answer.text.replace(words.SPACE, ' ')
    assert all(
        number in plain
        for number in ('90', '50', '2 evaluation seeds', '10 epochs', '24 convolutions')
    )
    lead, sections = prose.read(answer.text, answer.blocks)
    assert lead
    assert 4 <= len(sections) <= 14
    assert [type(block) for block in answer.blocks].count(Table) == 1
    assert len(answer.claims) == len({claim.claim for claim in answer.claims}) == 18


def test_the_text_mentions_every_cnn():
    sentence = checks._cnn(study(cnn_24_none=0.25), SETTINGS)
    assert '24 convolutions' in sentence
    assert sentence.index('25') < sentence.index('90')
