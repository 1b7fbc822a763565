"""Triplet loss: gradient, mining, collapse; every claim can fail."""

import dataclasses
import re
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import ensemble
from jaxdl.data import Data, load, split
from jaxdl.ensemble import Member, Workload
from jaxdl.theory import answer, triplet
from jaxdl.theory.triplet import checks, networks, page
from jaxdl.theory.triplet import tasks as triplet_tasks
from jaxdl.train import losses


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def failed(claims):
    return [claim.claim for claim in claims if not claim.holds]


def test_gradients_are_the_slopes_of_the_loss(rng):
    triplets, step = rng.normal(size=(3, 40, 4)), 1e-6
    by_hand = triplet.gradients(*triplets, 1.0)
    for place in range(3):
        for i in range(4):
            up, down = triplets.copy(), triplets.copy()
            up[place, :, i] += step
            down[place, :, i] -= step
            slopes = (triplet.loss(*up, 1.0) - triplet.loss(*down, 1.0)) / (2 * step)
            np.testing.assert_allclose(by_hand[place][:, i], slopes, atol=1e-7)
    assert 0 < (triplet.loss(*triplets, 1.0) > 0).mean() < 1


def test_the_exact_claims_hold():
    assert not failed(checks.exact_claims(300))


def anchor_of_distances(a, p, n, margin):
    da, dp, dn = triplet.gradients(a, p, n, margin)
    return -da, dp, dn


def without_the_factor(a, p, n, margin):
    return tuple(each / 2 for each in triplet.gradients(a, p, n, margin))


def swapped(a, p, n, margin):
    da, dp, dn = triplet.gradients(a, p, n, margin)
    return da, dn, dp


def without_the_hinge(a, p, n, margin):
    return triplet.gradients(a, p, n, 1e9)


@pytest.mark.parametrize(
    'wrong', [anchor_of_distances, without_the_factor, swapped, without_the_hinge]
)
def test_a_wrong_gradient_is_caught(wrong):
    assert any('by hand' in claim for claim in failed(checks.exact_claims(300, gradients=wrong)))


def test_a_wrong_anchor_breaks_the_sum_and_a_wrong_factor_the_slope():
    assert any(
        'Sum of the three' in claim
        for claim in failed(checks.exact_claims(300, anchor_of_distances))
    )
    assert any(
        'Derivative' in claim for claim in failed(checks.exact_claims(300, without_the_factor))
    )


@pytest.mark.parametrize(
    'wrong',
    [dict(scale_power=1), dict(random=losses.hard_pairs), dict(random=losses.semi_hard_pairs)],
)
def test_a_wrong_scale_and_an_unfair_draw_are_caught(wrong):
    assert len(failed(checks.exact_claims(300, **wrong))) == 1


def test_jax_claims_see_a_loss_that_is_not_flat(monkeypatch):
    def root(
        anchors, positives, negatives, margin=1.0
    ):  # distances that are not squared, kept off 0
        far = [
            jnp.sqrt(jnp.square(anchors - other + 1e-3).sum(-1)) for other in (positives, negatives)
        ]
        return 2 * far[0] - far[1] + margin

    monkeypatch.setattr(losses, 'triplet', root)
    failures = failed(checks.exact_claims(300))
    assert any('collapsed' in claim for claim in failures)
    assert any('inactive triplets' in claim for claim in failures)


class Fake:
    """Substitute of `Results`, from numbers."""

    def __init__(
        self,
        *,
        seen=0.9,
        unseen=0.6,
        everything=0.7,
        norms=None,
        last=None,
        mined=None,
        stuck=1.0,
        step=0.0,
    ):
        self.seeds, self.epochs, self.episodes = 2, 1, 10
        self.norms = dict(hard=0.5, semi_hard=1.5, random=1.0, fast=0.0) | (norms or {})
        self.last = dict(triplet_hard=1.0, triplet_random=0.05, triplet_semi_hard=0.0) | (
            last or {}
        )
        self.mined = dict(triplet_hard=0.3, triplet_random=0.01, triplet_semi_hard=0.02) | (
            mined or {}
        )
        self.values, self.stuck = dict(seen=seen, unseen=unseen, all=everything), stuck
        ends = [SimpleNamespace(params=dict(kernel=np.full(3, value))) for value in (0.0, step)]
        one = SimpleNamespace(
            member=Member(networks.ZEROS, 0, networks.NETWORK), start=ends[0], state=ends[1]
        )
        pairs = {
            (m, layer): {}
            for m in (*networks.METHODS, networks.UNTRAINED)
            for layer in networks.LAYERS
        }
        pairs['pixels', 'embedding'] = {}
        rates = dict.fromkeys(networks.METHODS, 0.01)
        self.halves = [SimpleNamespace(trained=[one], accuracy=pairs, rates=rates)]

    def accuracy(self, method, layer, task):
        return np.array([0.0, 0.01]) + (self.values[task] if method in networks.TRIPLETS else 0.65)

    def recorded(self, method, rate, name):
        end = self.norms['fast' if rate == networks.FAST else method.removeprefix('triplet_')]
        share = self.mined[method]
        return np.array([[4.0, 4 * end]] * 2) if name == 'norm' else np.full((2, 2), share)

    def losses(self, method, rate):
        return np.full((2, 3), self.stuck if method == networks.ZEROS else self.last[method])


def test_claims_of_the_networks_hold_on_what_theory_says():
    assert not failed([*checks.training_claims(Fake()), *checks.one_shot_claims(Fake())])


@pytest.mark.parametrize(
    ('wrong', 'words'),
    [
        (dict(stuck=0.9), 'zero weights'),
        (dict(stuck=np.nan), 'zero weights'),
        (dict(step=1e-6), 'Change of any'),
        (dict(last=dict(triplet_hard=0.2)), 'of the last loss'),
        (dict(last=dict(triplet_hard=np.nan)), 'of the last loss'),
        (dict(last=dict(triplet_random=1.0)), 'random mining, learning rate 0.03'),
        (dict(norms=dict(fast=0.5)), 'learning rate 0.03'),
        (dict(norms=dict(hard=1.2)), 'hard mining, learning rate 0.003'),
        (dict(norms=dict(semi_hard=0.8)), 'semi-hard mining'),
        (dict(norms=dict(hard=np.nan)), 'hard mining, learning rate 0.003'),
        (dict(mined=dict(triplet_hard=0.02)), 'hard over random mining'),
        (dict(seen=0.7), '5 seen'),
        (dict(unseen=0.3), 'chance 0.2'),
        (dict(unseen=0.7), '5 unseen digits, best'),
        (dict(everything=0.6), 'all 10 digits'),
    ],
)
def test_each_claim_of_the_networks_can_fail(wrong, words):
    fake = Fake(**wrong)
    failures = failed([*checks.training_claims(fake), *checks.one_shot_claims(fake)])
    assert len(failures) == 1
    assert words in failures[0]


def test_the_text_has_its_numbers_and_blocks():
    text = answer.text('triplet', **page.words(Fake()))
    assert '<<' not in text
    assert re.findall(r'^!\[(.*)\]$', text, re.MULTILINE) == [
        'training',
        'accuracy',
        'accuracies',
        'embedding',
    ]


def task(supports, queries):
    return triplet_tasks.Task(np.array(supports), np.array(queries))


def test_one_shot_accuracy_counts_each_query_but_the_support_images():
    features = jnp.array([[0.0, 0], [10, 0], [1, 0], [9.5, 0], [8, 0]])
    labels = jnp.array([0, 1, 0, 1, 0])  # the last one lies with the wrong class
    assert float(
        triplet_tasks.accuracy(features, task([[0, 1]], range(5)), labels)
    ) == pytest.approx(2 / 3)
    assert float(
        triplet_tasks.accuracy(features, task([[0, 1], [4, 1]], range(5)), labels)
    ) == pytest.approx(5 / 6)
    assert float(
        triplet_tasks.accuracy(features * np.nan, task([[0, 1]], [2, 3, 4]), labels)
    ) == pytest.approx(2 / 3)


def test_no_task_asks_for_an_image_that_was_trained_on():
    dataset = load(Data(dataset='digits'))
    parts = split(dataset, Data(dataset='digits'))
    tasks = triplet_tasks.draw(dataset.labels, parts.val, parts.test, (0, 1, 2, 3, 4), 7)
    trained = parts.train[dataset.labels[parts.train] < 5]
    for name, images in tasks.items():
        assert images.supports.shape == (7, 10 if name == 'all' else 5)
        assert not np.isin(trained, [*images.supports.flat, *images.queries]).any()
        assert all(len(set(row)) == len(row) for row in dataset.labels[images.supports])
    assert not set(tasks['tune'].queries) & set(
        np.concatenate([tasks['seen'].queries, tasks['all'].queries])
    )
    assert set(dataset.labels[tasks['unseen'].queries]) == {5, 6, 7, 8, 9}


def test_the_share_of_active_triplets_is_that_of_loops(rng):
    points, labels = rng.normal(size=(9, 2)), np.array([0, 0, 0, 1, 1, 1, 1, 2, 2])
    far = ((points[:, None] - points) ** 2).sum(-1)
    shares = []
    for a in range(9):
        positives, other = [np.flatnonzero((labels == labels[a]) == same) for same in (True, False)]
        shares.append(
            np.mean([far[a, p] - far[a, n] + 1 > 0 for p in positives if p != a for n in other])
        )
    assert float(
        networks.active_share(jnp.asarray(far, jnp.float32), jnp.asarray(labels))
    ) == pytest.approx(np.mean(shares))


def test_training_from_zeros_stays_at_the_margin_and_the_usual_start_leaves_it():
    dataset = load(Data(dataset='digits'))
    data = networks._resident(dataset, split(dataset, Data(dataset='digits')), (0, 1, 2, 3, 4))
    variant = dataclasses.replace(networks.NETWORK, loss='triplet_hard', learning_rate=0.003)
    members = [
        Member('zeros', 0, dataclasses.replace(variant, init='zeros')),
        Member('usual', 0, variant),
    ]
    (zeros, usual), _ = ensemble.train_members(
        members, Workload(data, networks.DIM, 2), watch=networks.watch, images=32
    )
    assert np.all(zeros.history['train_loss'] == losses.MARGIN)
    jax.tree.map(np.testing.assert_array_equal, zeros.start.params, zeros.state.params)
    assert np.all(zeros.watched['norm'] == 0)
    assert np.all(zeros.watched['active'] == 1)
    assert usual.history['train_loss'][1] < usual.history['train_loss'][0] != losses.MARGIN
    assert usual.watched['norm'][-1] < usual.watched['norm'][0]  # hard mining shrinks at first
    assert usual.watched['mined'][0] > usual.watched['active'][0]
