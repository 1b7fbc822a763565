"""Confident learning: the formulas written as loops, labels flipped on purpose, refusals."""

import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.statistics.confident_learning import find_label_issues


def simulate(n=600, classes=4, flipped=0.1, seed=0):
    """Probabilities of a good model, and labels of which some are flipped."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    logits = rng.normal(0, 1, (n, classes)) + 6 * np.eye(classes)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    wrong = rng.random(n) < flipped
    labels = np.where(wrong, (truth + rng.integers(1, classes, n)) % classes, truth)
    return probabilities, labels, truth


def by_loops(probabilities, labels):
    """Confident joint and issues, example by example, as the paper defines them."""
    n, classes = probabilities.shape
    mean = lambda values: sum(values) / len(values) if values else np.inf
    thresholds = [
        mean([probabilities[i, j] for i in range(n) if labels[i] == j]) for j in range(classes)
    ]
    joint, issues = np.zeros((classes, classes)), []
    for i in range(n):
        reached = [j for j in range(classes) if probabilities[i, j] >= thresholds[j]]
        if not reached:
            continue
        best = max(reached, key=lambda j: probabilities[i, j])
        joint[labels[i], best] += 1
        if best != labels[i]:
            largest = max(p for j, p in enumerate(probabilities[i]) if j != labels[i])
            issues.append((probabilities[i, labels[i]] - largest, i, best))
    issues.sort()
    shares = 0.0
    for j in range(classes):
        if joint[j].sum():
            shares += sum(labels == j) * (1 - joint[j, j] / joint[j].sum())
    return [i for _, i, _ in issues], [best for _, _, best in issues], shares / n


@pytest.mark.parametrize('seed', range(4))
def test_the_formulas(seed):
    probabilities, labels, _ = simulate(80, 3 + seed, seed=seed)
    issues = find_label_issues(probabilities, labels)
    indices, suggested, share = by_loops(probabilities, labels)
    assert issues.indices.tolist() == indices
    assert issues.suggested.tolist() == suggested
    assert issues.share == pytest.approx(share)


def test_flipped_labels_are_found_with_their_class():
    probabilities, labels, truth = simulate()
    issues = find_label_issues(probabilities, labels)
    wrong = np.flatnonzero(labels != truth)
    assert np.isin(wrong, issues.indices).mean() > 0.9
    assert np.isin(issues.indices, wrong).mean() > 0.7
    assert (issues.suggested == truth[issues.indices]).mean() > 0.7
    assert np.isin(issues.indices[:24], wrong).all()  # the first ones are surest
    assert abs(issues.share - len(wrong) / len(labels)) < 0.04


def test_right_labels_have_few_issues():
    probabilities, labels, _ = simulate(flipped=0)
    assert len(find_label_issues(np.eye(4)[labels], labels).indices) == 0
    assert find_label_issues(probabilities, labels).share < 0.04


def test_a_class_without_examples_is_never_suggested():
    probabilities = np.array([[0.6, 0.1, 0.3], [0.3, 0.6, 0.1], [0.1, 0.1, 0.8]])
    issues = find_label_issues(probabilities, np.array([0, 1, 0]))
    assert 2 not in issues.suggested


@pytest.mark.parametrize(
    ('probabilities', 'labels'),
    [
        (np.zeros((0, 2)), np.zeros(0, int)),
        (np.full((3, 2), 0.5), np.array([0, 1])),
        (np.full((3, 2), 0.5), np.array([0, 1, 2])),
        (np.full((3, 2), np.nan), np.array([0, 1, 1])),
    ],
)
def test_arrays_that_do_not_fit(probabilities, labels):
    with pytest.raises(InputError, match='must be'):
        find_label_issues(probabilities, labels)
