"""Losses against formulas in NumPy, at extremes; limits of the wrong losses among them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, log_softmax, softmax

from jaxdl.errors import InputError
from jaxdl.train import losses, variant


def cross_entropy(z, t):
    return -(t * log_softmax(z, -1)).sum(-1)


NUMPY = dict(
    softmax_cross_entropy=(lambda z: softmax(z, -1), cross_entropy),
    sigmoid_cross_entropy=(
        expit,
        lambda z, t: -(t * np.log(expit(z)) + (1 - t) * np.log(expit(-z))).sum(-1),
    ),
    softmax_squared_error=(
        lambda z: softmax(z, -1),
        lambda z, t: ((softmax(z, -1) - t) ** 2).sum(-1),
    ),
    sigmoid_squared_error=(expit, lambda z, t: ((expit(z) - t) ** 2).sum(-1)),
    tanh_squared_error=(np.tanh, lambda z, t: ((np.tanh(z) - (2 * t - 1)) ** 2).sum(-1)),
    relu_softmax_cross_entropy=(
        lambda z: softmax(np.maximum(z, 0), -1),
        lambda z, t: cross_entropy(np.maximum(z, 0), t),
    ),
    sigmoid_softmax_cross_entropy=(
        lambda z: softmax(expit(z), -1),
        lambda z, t: cross_entropy(expit(z), t),
    ),
    double_softmax_cross_entropy=(
        lambda z: softmax(softmax(z, -1), -1),
        lambda z, t: cross_entropy(softmax(z, -1), t),
    ),
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def gradient(name, logits, targets):
    return jax.grad(lambda z: losses.LOSSES[name](z, targets).sum())(
        jnp.asarray(logits, jnp.float32)
    )


@pytest.mark.parametrize('smoothing', [0.0, 0.2])
@pytest.mark.parametrize('name', losses.LOSSES)
def test_losses_are_their_formulas(rng, name, smoothing):
    logits, labels = 3 * rng.normal(size=(6, 4)), rng.integers(0, 4, 6)
    targets = np.eye(4)[labels] * (1 - smoothing) + smoothing / 4
    activation, loss = NUMPY[name]
    actual = losses.LOSSES[name](
        jnp.asarray(logits, jnp.float32), losses.targets(labels, 4, smoothing)
    )
    assert actual.shape == (6,)
    np.testing.assert_allclose(actual, loss(logits, targets), rtol=1e-5)
    outputs = losses.LOSSES[name].activation(jnp.asarray(logits, jnp.float32))
    np.testing.assert_allclose(outputs, activation(logits), rtol=1e-5)


@pytest.mark.parametrize('name', losses.LOSSES)
def test_gradients_are_those_of_the_formulas(rng, name):
    logits, targets = 2 * rng.normal(size=(5, 4)), rng.dirichlet(np.ones(4), 5)
    steps = 1e-6 * np.eye(4)
    slopes = [
        (NUMPY[name][1](logits + h, targets) - NUMPY[name][1](logits - h, targets)) / 2e-6
        for h in steps
    ]
    actual = gradient(name, logits, jnp.asarray(targets, jnp.float32))
    np.testing.assert_allclose(actual, np.stack(slopes, -1), atol=2e-5)


@pytest.mark.parametrize('name', losses.LOSSES)
def test_loss_and_gradient_are_finite_at_extreme_logits(name):
    signs = np.stack(np.meshgrid(*[[-1e4, 0.0, 1e4]] * 3), -1).reshape(-1, 3)
    for label in range(3):
        for smoothing in (0.0, 0.1):
            targets = losses.targets(np.full(len(signs), label), 3, smoothing)
            assert np.all(
                np.isfinite(losses.LOSSES[name](jnp.asarray(signs, jnp.float32), targets))
            )
            assert np.all(np.isfinite(gradient(name, signs, targets)))


def test_targets_are_one_hot_at_no_smoothing_and_sum_to_1():
    labels = jnp.array([2, 0, 1])
    np.testing.assert_array_equal(losses.targets(labels, 3), np.eye(3)[[2, 0, 1]])
    np.testing.assert_array_equal(
        jax.jit(losses.targets, static_argnums=1)(labels, 3, 0.0), np.eye(3)[[2, 0, 1]]
    )
    smooth = losses.targets(labels, 3, 0.3)
    np.testing.assert_allclose(smooth, np.eye(3)[[2, 0, 1]] * 0.7 + 0.1, rtol=1e-6)


@pytest.mark.parametrize('name', [name for name in losses.LOSSES if name.endswith('cross_entropy')])
def test_cross_entropies_are_linear_in_soft_targets(rng, name):
    logits = jnp.asarray(rng.normal(size=(3, 5)), jnp.float32)
    ours, theirs = losses.targets(jnp.array([0, 1, 2]), 5), losses.targets(jnp.array([3, 1, 4]), 5)
    mixed = losses.LOSSES[name](logits, 0.3 * ours + 0.7 * theirs)
    apart = 0.3 * losses.LOSSES[name](logits, ours) + 0.7 * losses.LOSSES[name](logits, theirs)
    np.testing.assert_allclose(mixed, apart, rtol=1e-5)


def test_tanh_is_the_sigmoid_at_twice_the_logits_and_four_times_the_error(rng):
    logits, targets = (
        rng.normal(size=(4, 3)).astype(np.float32),
        losses.targets(jnp.array([0, 1, 2, 1]), 3),
    )
    tanh = losses.tanh_squared_error(jnp.asarray(logits), targets)
    np.testing.assert_allclose(
        tanh, 4 * losses.sigmoid_squared_error(2 * logits, targets), rtol=1e-5
    )


@pytest.mark.parametrize(('classes', 'least'), [(10, 1.4612), (61, 3.1387), (81, 3.4155)])
@pytest.mark.parametrize('name', ['sigmoid_softmax_cross_entropy', 'double_softmax_cross_entropy'])
def test_a_second_squashing_bounds_the_loss_from_below(rng, name, classes, least):
    logits = np.concatenate(
        [50 * rng.normal(size=(2000, classes)), np.full((1, classes), -1e4)]
    ).astype(np.float32)
    logits[-1, 0] = 1e4  # surely right: the best there is
    values = losses.LOSSES[name](logits, losses.targets(np.zeros(len(logits), int), classes))
    assert float(values[-1]) == pytest.approx(np.log(1 + (classes - 1) / np.e), rel=1e-5)
    assert float(values[-1]) == pytest.approx(least, abs=1e-4)
    assert np.all(values >= values[-1] * (1 - 1e-6))
    assert (
        losses.LOSSES['softmax_cross_entropy'](
            logits[-1:], losses.targets(np.zeros(1, int), classes)
        )
        == 0
    )


@pytest.mark.parametrize('classes', [10, 61])
def test_the_mistakes_begin_with_smaller_gradients(classes):
    logits, targets = np.zeros((1, classes), np.float32), losses.targets(np.zeros(1, int), classes)
    plain = gradient('softmax_cross_entropy', logits, targets)
    np.testing.assert_allclose(
        gradient('sigmoid_softmax_cross_entropy', logits, targets), plain / 4, rtol=1e-5
    )
    np.testing.assert_allclose(
        gradient('double_softmax_cross_entropy', logits, targets),
        plain / classes,
        rtol=1e-5,
        atol=1e-7,
    )
    assert not np.any(gradient('relu_softmax_cross_entropy', logits - 1, targets))


@pytest.mark.parametrize('name', losses.LOSSES)
def test_scores_have_the_order_of_the_activation(rng, name):
    logits = rng.normal(size=(500, 6)).astype(np.float32)
    logits[:100] -= 9  # all below 0: a tie after a ReLU
    row = losses.LOSSES[name]
    outputs = NUMPY[name][0](logits.astype(np.float64))
    np.testing.assert_array_equal(jnp.argmax(row.scores(logits), -1), outputs.argmax(-1))
    if name.startswith('relu'):
        assert not np.any(jnp.argmax(row.scores(logits[:100]), -1))


@pytest.mark.parametrize('name', [name for name in losses.LOSSES if not name.startswith('relu')])
def test_rounding_makes_no_ties(name):
    assert int(jnp.argmax(losses.LOSSES[name].scores(jnp.array([30.0, 40.0, 20.0])))) == 1


def test_every_row_has_a_formula_here():
    assert set(NUMPY) == set(losses.LOSSES)


def by_class(labels, anchor, same):
    """Other images of a batch, of the anchor's class or not, in the order after the anchor."""
    order = [(anchor + step) % len(labels) for step in range(1, len(labels))]
    return [i for i in order if (labels[i] == labels[anchor]) == same]


def mined(name, embeddings, labels, anchor):
    """The triplet's loss by loops."""

    def far(i):
        return float(((embeddings[anchor] - embeddings[i]) ** 2).sum())

    same, other = by_class(labels, anchor, True), by_class(labels, anchor, False)
    if not same or not other:
        return 0.0
    positive, negative = same[0], other[0]
    if name == 'triplet_hard':
        positive, negative = max(same, key=far), min(other, key=far)
    if name == 'triplet_semi_hard':
        farther = [i for i in other if far(i) > far(positive)]
        negative = min(farther, key=far) if farther else max(other, key=far)
    return max(0.0, far(positive) - far(negative) + losses.MARGIN)


@pytest.mark.parametrize('name', losses.METRIC_LOSSES)
def test_mining_picks_what_loops_pick(rng, name):
    for labels in (rng.integers(0, 3, 12), np.array([0, 0, 1, 2]), np.array([1, 1, 1])):
        embeddings = rng.normal(size=(len(labels), 5))
        expected = [mined(name, embeddings, labels, anchor) for anchor in range(len(labels))]
        actual = losses.METRIC_LOSSES[name](
            jnp.asarray(embeddings, jnp.float32), losses.targets(jnp.asarray(labels), 5)
        )
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', losses.METRIC_LOSSES)
def test_a_collapsed_embedding_has_the_margin_for_a_loss_and_no_gradient(name):
    targets = losses.targets(jnp.array([0, 0, 1, 1, 2, 2]), 4)
    embeddings = jnp.broadcast_to(jnp.array([0.3, -1.7, 2.2, 0.1]), (6, 4))
    loss, slope = jax.value_and_grad(lambda e: losses.find(name)(e, targets).sum())(embeddings)
    assert float(loss) == 6 * losses.MARGIN
    assert not np.any(slope)


@pytest.mark.parametrize('name', losses.METRIC_LOSSES)
def test_metric_losses_are_finite_on_padding_and_not_for_a_study(name):
    targets = losses.targets(jnp.zeros(8, int), 4)  # one image over and over
    assert np.all(losses.find(name)(jnp.ones((8, 4)), targets) == 0)
    with pytest.raises(InputError, match='loss'):
        variant.replace(variant.Variant(), dict(loss=name))


def test_find_knows_both_tables():
    rows = losses.LOSSES | losses.METRIC_LOSSES
    assert len(rows) == len(losses.LOSSES) + len(losses.METRIC_LOSSES)
    assert all(losses.find(name) is row for name, row in rows.items())
