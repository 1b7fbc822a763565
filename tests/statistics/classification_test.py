"""Classification scores against scikit-learn, closed forms, and invariances."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from jaxdl.errors import InputError
from jaxdl.statistics import classification


def drawn(seed, n=60, classes=9, skill=1.5, present=None):
    """Logits that know something of their labels, `present` classes of which occur."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, present or classes, n)
    return rng.normal(0, 1.5, (n, classes)) + skill * np.eye(classes)[labels], labels


CASES = st.tuples(st.integers(0, 10**6), st.integers(1, 80), st.integers(2, 12), st.floats(0, 6))


@settings(deadline=None, max_examples=60)
@given(CASES)
def test_scores_are_those_of_scikit_learn(case):
    logits, labels = drawn(*case)
    scores, predicted, classes = (
        classification.scores(logits, labels),
        logits.argmax(1),
        logits.shape[1],
    )
    probabilities = np.exp(classification.log_softmax(logits))
    with np.errstate(all='ignore'):
        assert scores['loss'] == pytest.approx(
            metrics.log_loss(labels, probabilities, labels=range(classes)), abs=1e-9
        )
    assert scores['accuracy'] == metrics.accuracy_score(labels, predicted)
    for average in ('macro', 'weighted'):
        expected = metrics.f1_score(labels, predicted, average=average, zero_division=0)
        assert scores[f'{average}_f1'] == pytest.approx(expected, abs=1e-12)
    if classes > 5:
        top5 = metrics.top_k_accuracy_score(labels, logits, k=5, labels=range(classes))
        assert scores['top5'] == pytest.approx(top5, abs=1e-12)
    else:
        assert scores['top5'] == 1


@settings(deadline=None, max_examples=30)
@given(CASES)
def test_classes_one_by_one_are_those_of_scikit_learn(case):
    logits, labels = drawn(*case)
    classes = range(logits.shape[1])
    table = classification.confusion(labels, logits.argmax(1), len(classes))
    np.testing.assert_array_equal(
        table, metrics.confusion_matrix(labels, logits.argmax(1), labels=classes)
    )
    each = classification.per_class(table)
    expected = metrics.precision_recall_fscore_support(
        labels, logits.argmax(1), labels=classes, zero_division=0
    )
    for name, values in zip(('precision', 'recall', 'f1', 'support'), expected, strict=True):
        np.testing.assert_allclose(each[name], values, atol=1e-12)


def test_scores_of_uniform_logits():
    labels = np.arange(10)
    scores = classification.scores(np.zeros((10, 10)), labels)
    assert scores['loss'] == pytest.approx(math.log(10))
    assert (scores['accuracy'], scores['top5'], scores['ece']) == (0.1, 0.5, pytest.approx(0))
    assert scores['macro_f1'] == pytest.approx(2 * 0.1 / 1.1 / 10)


def test_the_calibration_error_in_closed_form():
    """Twenty examples at 0.8, half correct, and twenty at 0.6, all correct: (0.3 + 0.4) / 2."""
    confidence, right = np.repeat([0.8, 0.6], 20), np.r_[np.arange(20) < 10, np.ones(20, bool)]
    logits = np.log(np.stack([confidence, 1 - confidence], 1))
    labels = (~right).astype(int)
    assert classification.scores(logits, labels)['ece'] == pytest.approx(0.35)
    _, accuracy, count = classification.reliability(logits, labels, bins=10)
    assert count[[5, 7]].tolist() == [20, 20]  # 0.6 and 0.8 close their bins
    assert accuracy[[5, 7]].tolist() == [1, 0.5]


@settings(deadline=None, max_examples=40)
@given(CASES, st.integers(0, 100))
def test_order_of_examples_and_classes_does_not_matter(case, seed):
    logits, labels = drawn(*case)
    rng = np.random.default_rng(seed)
    examples, classes = rng.permutation(len(labels)), rng.permutation(logits.shape[1])
    mixed = classification.scores(
        logits[examples][:, classes], np.argsort(classes)[labels[examples]]
    )
    assert mixed == pytest.approx(classification.scores(logits, labels), abs=1e-12)
    assert classification.fit_temperature(logits[examples], labels[examples]) == pytest.approx(
        classification.fit_temperature(logits, labels), rel=1e-4
    )


@settings(deadline=None, max_examples=40)
@given(CASES, st.floats(-2, 2))
def test_a_temperature_calibrates_and_changes_no_prediction(case, sharper):
    logits, labels = drawn(*case)
    logits = logits * math.exp(sharper)
    temperature = classification.fit_temperature(logits, labels)
    before, after = (
        classification.scores(logits, labels),
        classification.scores(logits / temperature, labels),
    )
    assert math.exp(-3) <= temperature <= math.exp(3)
    assert after['loss'] <= before['loss']
    for name in ('accuracy', 'top5', 'macro_f1', 'weighted_f1'):
        assert after[name] == before[name]


@pytest.mark.parametrize('true', [0.4, 1.0, 2.5])
def test_the_temperature_that_labels_were_drawn_at_is_found(true):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (20_000, 6))
    noise = rng.gumbel(size=logits.shape)
    assert classification.fit_temperature(
        logits, np.argmax(logits / true + noise, 1)
    ) == pytest.approx(true, rel=0.05)


@pytest.mark.parametrize('n', [1, 2, 5])
@pytest.mark.parametrize('right', [True, False])
def test_a_few_images_that_are_all_right_or_all_wrong(n, right):
    logits = 9 * np.eye(4)[np.zeros(n, int)]
    labels = np.full(n, 0 if right else 3)
    temperature = classification.fit_temperature(logits, labels)
    assert temperature == 1 if right else temperature == pytest.approx(math.exp(3), rel=1e-3)
    assert np.all(np.isfinite(list(classification.scores(logits, labels).values())))
    assert classification.scores(logits, labels)['macro_f1'] == right


def test_classes_without_images_give_numbers():
    logits, labels = drawn(3, n=20, classes=81, present=2)
    assert np.all(np.isfinite(list(classification.scores(logits, labels).values())))
    each = classification.per_class(classification.confusion(labels, logits.argmax(1), 81))
    assert all(np.all(np.isfinite(values)) for values in each.values())


def test_only_diverged_logits_give_nan_scores():
    logits, labels = drawn(0)
    certain = np.where(np.arange(9) == (labels[:, None] + 1) % 9, -np.inf, logits)
    assert all(map(np.isfinite, classification.scores(certain, labels).values()))
    logits[3] = np.nan
    scores = classification.scores(logits, labels)
    assert [name for name, value in scores.items() if math.isnan(value)] == ['loss', 'ece']
    assert classification.fit_temperature(logits, labels) == 1
    assert math.isnan(classification.scores(np.full((2, 3), np.inf), np.array([0, 1]))['loss'])


def test_adjusting_undoes_the_priors():
    """Posteriors under skewed priors, adjusted, are those under equal ones (Bayes)."""
    rng = np.random.default_rng(0)
    likelihood, priors = rng.normal(size=(50, 6)), np.array([0.5, 0.2, 0.1, 0.1, 0.05, 0.05])
    skewed = classification.log_softmax(likelihood + np.log(priors))
    np.testing.assert_allclose(
        classification.log_softmax(classification.adjust(skewed, priors, 1)),
        classification.log_softmax(likelihood),
        atol=1e-12,
    )
    np.testing.assert_array_equal(classification.adjust(skewed, priors, 0), skewed)
    assert np.all(np.isfinite(classification.adjust(skewed, np.array([0.5, 0.5, 0, 0, 0, 0]), 1)))
    with pytest.raises(InputError, match='priors'):
        classification.adjust(skewed, np.zeros(6), 1)


@pytest.mark.parametrize(
    ('logits', 'labels', 'message'),
    [
        (np.zeros((0, 3)), np.zeros(0, int), 'n at least 1'),
        (np.zeros((2, 3)), np.zeros(3, int), r'\(2, 3\) and labels \(3,\)'),
        (np.zeros(3), np.zeros(3, int), 'classes'),
        (np.zeros((2, 3)), np.array([0, 3]), 'from 0 to 2'),
        (np.zeros((2, 3)), np.array([0, -1]), 'from 0 to 2'),
        (np.zeros((2, 3)), np.array([0.0, 1.0]), 'must be integers'),
    ],
)
def test_misfitting_input_is_reported_in_one_line(logits, labels, message):
    for judge in (
        classification.scores,
        classification.reliability,
        classification.fit_temperature,
    ):
        with pytest.raises(InputError, match=message) as caught:
            judge(logits, labels)
        assert '\n' not in str(caught.value)
