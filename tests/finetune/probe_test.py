"""Probe: heads in one group, against logistic regression, chosen on validation images."""

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from jaxdl.config.experiment import FineTune
from jaxdl.config.recipe import Probe, Recipe
from jaxdl.data import Data, Splits, bursts, load
from jaxdl.finetune import probe
from jaxdl.finetune.probe import choosing
from jaxdl.runtime.signals import Interrupted
from jaxdl.statistics import classification
from jaxdl.workdir import tables

SMALL = Probe(
    learning_rates=(0.1, 0.3),
    weight_decays=(0.0, 0.003, 0.1),
    logit_adjustments=(0.0, 1.0),
    repeats=2,
    passes=8,
)
EXPERIMENT = FineTune(probe=SMALL, data=Data(fractions=(0.7, 0.3, 0.0)))


@pytest.fixture(scope='module')
def digits():
    """Every third image, its classes uneven; the second view is the image moved by a pixel."""
    dataset = load(Data())
    chosen = np.flatnonzero(
        (np.arange(len(dataset.labels)) % 3 == 0)
        & ~((dataset.labels > 5) & (np.arange(len(dataset.labels)) % 2 == 0))
    )
    images = dataset.images[chosen]
    dataset = dataclasses.replace(
        dataset,
        images=images,
        labels=dataset.labels[chosen],
        ids=tuple(dataset.ids[i] for i in chosen),
    )
    views = np.stack([images, np.roll(images, 1, axis=2)], 1)
    return (
        dataset,
        bursts.stratified(dataset, EXPERIMENT.data),
        views.reshape(len(chosen), 2, -1).astype(np.float32),
    )


@pytest.fixture(scope='module')
def result(digits):
    return probe.run(EXPERIMENT, *digits)


def test_every_head_of_the_grid_has_a_row(result, tmp_path):
    cells = {(row['learning_rate'], row['weight_decay']) for row in result.rows}
    assert {
        (rate, decay) for rate in SMALL.learning_rates for decay in SMALL.weight_decays
    } <= cells
    assert len(result.rows) == len(cells) * 2 * 2
    tables.write_table(tmp_path / 'probe.csv', probe.COLUMNS, result.rows)
    assert tables.read_table(tmp_path / 'probe.csv', probe.COLUMNS) == result.rows


def test_the_chosen_cell_is_the_best_mean_over_seeds(result):
    means = {}
    for row in result.rows:
        means.setdefault(
            (row['learning_rate'], row['weight_decay'], row['logit_adjustment']), []
        ).append(row['macro_f1'])
    chosen = means[result.learning_rate, result.weight_decay, result.adjustment]
    assert np.mean(chosen) == pytest.approx(
        max(np.mean(scores) for scores in means.values()), abs=1e-12
    )


def test_one_group_trains_the_grid_at_once(result):
    assert result.groups[0].members == probe.count_heads(EXPERIMENT) == 12
    assert all(group.traces == 1 and group.train_seconds > 0 for group in result.groups)


def test_scores_are_those_of_the_head_of_the_training_images(digits, result):
    dataset, splits, features = digits
    logits = (
        features[splits.val] @ result.head_train_only['kernel'] + result.head_train_only['bias']
    )
    expected = classification.log_softmax(logits).mean(1)
    np.testing.assert_allclose(result.val_logits, expected, rtol=1e-4, atol=1e-4)
    shares = np.bincount(dataset.labels[splits.train]) / len(splits.train)
    np.testing.assert_allclose(
        result.adjustments, result.adjustment * np.log(shares), rtol=1e-5, atol=1e-7
    )
    scores = classification.scores(
        result.val_logits - result.adjustments[None], dataset.labels[splits.val]
    )
    assert scores == pytest.approx(result.scores, abs=1e-4)
    assert result.scores['accuracy'] > 0.85
    assert result.train_scores['loss'] < result.scores['loss']


def test_the_final_head_is_trained_on_validation_images_too(digits, result):
    dataset, splits, features = digits
    assert result.head['kernel'].shape == (64, 10)
    whole = probe.log_probabilities(result.head, features[splits.val])
    assert classification.loss(whole, dataset.labels[splits.val]) < classification.loss(
        result.val_logits, dataset.labels[splits.val]
    )


def test_as_good_as_a_converged_logistic_regression(digits):
    """The least regularised loss that there is, to a hundredth."""
    dataset, splits, features = digits
    column, decay = features[:, :1], 0.03
    cell = Probe(
        learning_rates=(0.3,),
        weight_decays=(decay,),
        logit_adjustments=(0.0,),
        repeats=1,
        passes=40,
    )
    head = probe.run(
        dataclasses.replace(EXPERIMENT, probe=cell), dataset, splits, column
    ).head_train_only
    mean, matrix = probe.compute_whitening(column[splits.train, 0])
    normal, labels = (column[splits.train, 0] - mean) @ matrix, dataset.labels[splits.train]
    fitted = LogisticRegression(C=1 / (decay * len(labels)), max_iter=1000, tol=1e-8).fit(
        normal, labels
    )

    def objective(kernel, bias):
        return (
            classification.loss(normal @ kernel + bias, labels)
            + decay / 2 * np.square(kernel).sum()
        )

    least = objective(fitted.coef_.T, fitted.intercept_)
    reached = objective(
        np.linalg.solve(matrix, head['kernel']), head['bias'] + mean @ head['kernel']
    )
    assert least * (1 - 1e-4) <= reached <= 1.01 * least


@pytest.mark.parametrize(
    ('values', 'best', 'more'),
    [
        ([0.1, 1.0], 1.0, [10.0]),
        ([0.1, 1.0], 0.1, [0.01]),
        ([0.1, 0.3, 1.0], 0.3, []),
        ([0.1], 0.1, []),
        ([0.0, 0.1, 1.0], 0.0, []),
        ([0.0, 0.1, 1.0], 0.1, []),
        ([0.0, 0.1, 1.0], 1.0, [10.0]),
        ([0.0, 0.1], 0.1, []),
    ],
)
def test_the_grid_grows_past_an_edge_that_holds_the_best(values, best, more):
    assert choosing._extend_grid(values, best) == values + more


def test_a_grid_too_low_grows_twice(digits):
    low = dataclasses.replace(
        SMALL, learning_rates=(1e-3, 2e-3), weight_decays=(0.0,), repeats=1, passes=2
    )
    by_loss = dataclasses.replace(EXPERIMENT, probe=low, finetune=Recipe(metric='loss'))
    result = probe.run(by_loss, *digits)
    assert sorted({row['learning_rate'] for row in result.rows}) == [1e-3, 2e-3, 4e-3, 8e-3]


def test_equal_scores_go_to_the_smallest_validation_loss():
    """Easy images: every head is correct on all of them, and the smallest is the least certain."""
    rows = [
        dict(
            learning_rate=rate,
            weight_decay=0.0,
            logit_adjustment=0.0,
            seed=0,
            accuracy=1.0,
            macro_f1=1.0,
            loss=loss,
        )
        for rate, loss in ((0.01, 1.2), (0.1, 0.05), (1.0, 0.07))
    ]
    assert choosing._best(rows, 'macro_f1') == ((0.1, 0.0), 0.0)


def test_ties_go_to_the_smaller_decay_and_the_smaller_adjustment():
    rows = [
        dict(
            learning_rate=0.1,
            weight_decay=d,
            logit_adjustment=t,
            seed=s,
            macro_f1=0.5,
            loss=1.0 + d,
        )
        for d in (0.1, 0.0)
        for t in (1.0, 0.5)
        for s in (0, 1)
    ]
    assert choosing._best(rows, 'macro_f1') == ((0.1, 0.0), 0.5)
    better = [
        *rows,
        dict(
            learning_rate=3.0,
            weight_decay=0.2,
            logit_adjustment=0.5,
            seed=0,
            macro_f1=0.4,
            loss=0.1,
        ),
    ]
    assert choosing._best(better, 'loss') == ((3.0, 0.2), 0.5)
    worse = dict(
        learning_rate=9.0,
        weight_decay=0.0,
        logit_adjustment=0.0,
        seed=0,
        macro_f1=0.9,
        loss=float('nan'),
    )
    assert choosing._best([*better, worse], 'loss') == ((3.0, 0.2), 0.5)


def test_the_same_call_gives_the_same_head(digits):
    once = dataclasses.replace(
        EXPERIMENT,
        probe=dataclasses.replace(SMALL, learning_rates=(0.1,), weight_decays=(0.0,)),
        finetune=Recipe(metric='accuracy'),
    )
    one, other = (probe.run(once, *digits) for _ in range(2))
    np.testing.assert_array_equal(one.head['kernel'], other.head['kernel'])


def test_the_random_split_estimate_uses_the_chosen_cell(digits, result):
    dataset, splits, features = digits
    random = probe.score_random_split(EXPERIMENT, dataset, splits, features, result)
    assert [row['split'] for row in random] == ['at random']
    groups = np.arange(len(dataset.labels)) // 8
    named = dataclasses.replace(dataset, groups=tuple(map(str, groups)))
    grouped = Splits(
        *(getattr(splits, part) for part in ('train', 'val', 'test')),
        'in whole groups that the source names',
    )
    drawn, unsplit = probe.score_random_split(EXPERIMENT, named, grouped, features, result)
    assert (drawn['split'], unsplit['split']) == ('at random', 'in whole groups')
    assert unsplit['accuracy'] == result.scores['accuracy']
    assert drawn['accuracy'] > 0.85
    assert (drawn['train'], drawn['val']) == (len(splits.train), len(splits.val))


def test_a_signal_stops_the_grid_after_an_epoch(digits):
    events = []
    with pytest.raises(Interrupted):
        probe.run(
            EXPERIMENT,
            *digits,
            note=lambda name, **facts: events.append((name, facts)),
            interrupted=lambda: 2 if events[-1][0] == 'epoch' else None,
        )
    assert [name for name, _ in events] == ['compile', 'epoch']
    assert events[-1][1] == dict(
        condition='', phase='probe', options=['probe'], members=12, epoch=1, epochs=8, diverged=0
    )
