"""Metrics against scikit-learn and other formulas; the value of a guess; contributions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from sklearn import metrics as scikit

from jaxdl.errors import InputError
from jaxdl.statistics import jackknife, metrics
from jaxdl.statistics.metrics import METRICS, Metric

CASES = st.tuples(st.integers(0, 10**6), st.integers(12, 80), st.integers(2, 6), st.floats(0, 3))


def drawn(seed, n=60, classes=5, skill=1.5):
    """Logits that know something of their labels; every class occurs, some of them rarely."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, classes + 1) ** 2
    labels = rng.permutation(
        np.r_[np.arange(classes), rng.choice(classes, n - classes, p=shares / shares.sum())]
    )
    logits = rng.normal(0, 1.5, (n, classes)) + skill * np.eye(classes)[labels]
    return logits.astype(np.float32), labels


def binned(probabilities, labels):
    """Expected calibration error, image by image."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    total = 0.0
    for low, high in zip(np.arange(15) / 15, np.arange(1, 16) / 15, strict=True):
        inside = (confidence > low) & (confidence <= high)
        total += abs(np.sum(confidence[inside] - right[inside]))
    return total / len(labels)


def one_against_rest(probabilities, labels):
    """AUROC by all pairs of an image of the class and another image."""
    areas = []
    for c in np.unique(labels):
        own, others = probabilities[labels == c, c], probabilities[labels != c, c]
        above, equal = (f(own[:, None], others[None]) for f in (np.greater, np.equal))
        areas.append(np.mean(above + 0.5 * equal))
    return np.mean(areas)


# metric -> the same of probabilities and labels by another program or formula
OTHERS = dict(
    accuracy=lambda p, y: scikit.accuracy_score(y, p.argmax(1)),
    macro_f1=lambda p, y: scikit.f1_score(y, p.argmax(1), average='macro', zero_division=0),
    balanced_accuracy=lambda p, y: scikit.balanced_accuracy_score(y, p.argmax(1)),
    auroc=lambda p, y: scikit.roc_auc_score(
        y, p if p.shape[1] > 2 else p[:, 1], multi_class='ovr', average='macro'
    ),
    log_loss=lambda p, y: scikit.log_loss(y, p, labels=range(p.shape[1])),
    ece=binned,
)


@pytest.mark.parametrize('name', metrics.BUILT_IN)
@settings(deadline=None, max_examples=40)
@given(case=CASES)
def test_a_metric_is_that_of_another_program(name, case):
    logits, labels = drawn(*case)
    probabilities = special.softmax(logits.astype(float), 1)
    expected = OTHERS[name](probabilities, labels)
    assert METRICS[name].value(logits, labels) == pytest.approx(expected, abs=1e-9)
    if name == 'auroc':
        assert expected == pytest.approx(one_against_rest(probabilities, labels), abs=1e-12)


def test_saturated_probabilities_are_no_ties():
    logits = np.array([[0.0, 50.0], [0.0, 40.0], [0.0, 60.0]])
    assert METRICS['auroc'].value(logits, np.array([0, 0, 1])) == 1.0


@pytest.mark.parametrize('name', metrics.BUILT_IN)
def test_a_perfect_classifier_has_the_perfect_value(name):
    metric, labels = METRICS[name], np.arange(12) % 3
    best = metric.value(100 * np.eye(3)[labels], labels)
    assert best == pytest.approx(metric.perfect, abs=1e-9)
    worst = metric.value(-100 * np.eye(3)[labels], labels)
    assert metric.improvement(worst - best) < 0
    assert metric.error(worst) > metric.error(best) == pytest.approx(0, abs=1e-9)


# metric -> logits of a guess: equal for all classes, of one class, or certain of a random class
GUESSES = dict(
    accuracy=lambda labels, k: np.eye(k)[np.random.default_rng(0).permutation(labels)],
    macro_f1=lambda labels, k: np.tile(np.eye(k)[np.bincount(labels).argmax()], (len(labels), 1)),
    balanced_accuracy=lambda labels, k: np.tile(np.eye(k)[0], (len(labels), 1)),
    auroc=lambda labels, k: np.zeros((len(labels), k)),
    log_loss=lambda labels, k: np.zeros((len(labels), k)),
    ece=lambda labels, k: 100 * np.tile(np.eye(k)[0], (len(labels), 1)),
)


@pytest.mark.parametrize('name', metrics.BUILT_IN)
def test_a_diverged_run_counts_as_a_guess(name):
    labels = np.repeat(np.arange(4), 500)
    guess = METRICS[name].guess(labels, 4)
    assert METRICS[name].value(GUESSES[name](labels, 4), labels) == pytest.approx(guess, abs=0.03)
    assert METRICS[name].error(guess) > 0


def test_the_guess_of_macro_f1_knows_the_shares():
    labels = np.repeat([0, 1, 2], [80, 15, 5])
    constant = np.tile([1.0, 0.0, 0.0], (100, 1))
    expected = METRICS['macro_f1'].value(constant, labels)
    assert METRICS['macro_f1'].guess(labels, 3) == pytest.approx(expected)


def test_without_two_classes_the_auroc_is_not_defined():
    assert math.isnan(METRICS['auroc'].value(np.eye(3), np.zeros(3, int)))


def test_a_metric_known_by_name_only_has_no_values():
    metric = metrics.named('top_3', lower_is_better=True)
    assert (metric.words, metric.lower_is_better, metric.unit) == ('top 3', True, '')
    with pytest.raises(InputError, match='no definition'):
        metric.value(np.eye(2), np.arange(2))
    assert metrics.named('auroc') is METRICS['auroc']


@pytest.mark.parametrize('name', metrics.BUILT_IN)
def test_contributions_have_the_value_as_their_mean(name):
    logits, labels = drawn(1, 90)
    blocks = np.random.default_rng(2).integers(0, 20, 90)
    values = jackknife.contributions(METRICS[name], logits, labels, blocks)
    assert values.shape == (90,)
    assert values.mean() == pytest.approx(METRICS[name].value(logits, labels), abs=1e-12)


def test_the_jackknife_of_a_mean_is_the_mean_of_each_block():
    logits, labels = drawn(3, 70)
    blocks = np.random.default_rng(4).integers(0, 9, 70)
    over_split = Metric('mean', 'mean', compute=lambda z, y: metrics.log_loss(z, y).mean())
    values = jackknife.contributions(over_split, logits, labels, blocks)
    each = metrics.log_loss(logits, labels)
    for block in range(9):
        np.testing.assert_allclose(values[blocks == block], each[blocks == block].mean())


def test_a_metric_that_fails_without_a_block_has_no_contributions():
    logits, labels = drawn(5, 40, classes=3)
    labels[:] = np.r_[np.zeros(39, int), 1]

    def strict(logits, labels):
        return scikit.log_loss(labels, np.full((len(labels), 2), 0.5))  # needs both classes

    values = jackknife.contributions(
        Metric('strict', 'strict', compute=strict), logits, labels, np.arange(40)
    )
    assert np.isnan(values).all()


def test_many_groups_are_merged_into_blocks_of_similar_size():
    groups = np.repeat(np.arange(1001), 3).astype(str)
    blocks = jackknife.merge_groups(groups)
    assert len(np.unique(blocks)) == jackknife.BLOCKS
    sizes = np.bincount(blocks)
    assert sizes.max() - sizes.min() <= 3
    assert all(len(set(blocks[groups == group])) == 1 for group in ('0', '500', '1000'))
    few = jackknife.merge_groups(groups[:60])
    assert len(np.unique(few)) == 20
    np.testing.assert_array_equal(blocks, jackknife.merge_groups(groups))


@pytest.mark.parametrize('name', ['macro_f1', 'balanced_accuracy', 'auroc', 'ece'])
def test_the_jackknife_has_the_standard_error_of_new_images(name):
    """The standard error by the jackknife is that over 300 draws of 400 new images."""
    metric, rng = METRICS[name], np.random.default_rng(6)
    draws = [drawn(seed, 400, classes=3) for seed in rng.integers(0, 10**6, 300)]
    spread = np.std([metric.value(*draw) for draw in draws])
    errors = []
    for logits, labels in draws[:25]:
        values = jackknife.contributions(metric, logits, labels, np.arange(400) % 200)
        errors.append(np.sqrt(np.mean((values - values.mean()) ** 2) / 199))
    assert np.mean(errors) == pytest.approx(spread, rel=0.25)
