"""Claims about the formulas on random triplets, and about the networks."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.theory.triplet import formulas as triplet
from jaxdl.theory.triplet.networks import FAST, PIXELS, SLOW, TRIPLETS, ZEROS, Results, active_share
from jaxdl.train import losses
from jaxdl.workdir import claims
from jaxdl.workdir.claims import Claim

DIM = 16
Gradients = Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]


def exact_claims(
    count: int,
    gradients: Gradients = triplet.gradients,
    scale_power: int = 2,
    random: losses.Mining = losses.next_pairs,
) -> list[Claim]:
    """Claims that hold to rounding, on `count` random triplets of 16 numbers in float64.

    About half of the triplets are active.

    Args:
      gradients: the rule under test.
      scale_power: of the factor that the margin gets where embeddings are scaled.
      random: the mining that is to draw active triplets as often as they occur.
    """
    triplets = np.random.default_rng(0).normal(size=(3, count, DIM))
    margin = losses.MARGIN
    anchors, positives, negatives = triplets
    by_hand, by_jax = np.stack(gradients(anchors, positives, negatives, margin)), _by_jax(triplets)
    gap = triplet.gap(anchors, positives, negatives)
    active = gap + margin > 0
    radial = (triplets * by_hand).sum((0, -1))[active]
    once = triplet.loss(anchors, positives, negatives, margin)
    scaled = triplet.loss(3 * anchors, 3 * positives, 3 * negatives, 3**scale_power * margin)
    sample = f'{count:,} random triplets'
    collapsed = _by_jax(np.broadcast_to(triplets[:1], triplets.shape))
    largest = _largest(by_hand - by_jax)
    return [
        claims.close(
            f'Gradient by hand minus jax.grad: largest difference, {sample}', 0, largest, 1e-12
        ),
        claims.close(
            f'jax.grad of inactive triplets: largest element, {sample}',
            0,
            _largest(by_jax[:, ~active]),
            0,
        ),
        claims.close(
            f'Sum of the three gradients: largest element, {sample}',
            0,
            _largest(by_hand.sum(0)),
            1e-12,
        ),
        claims.close(
            'Derivative with respect to the size of an active triplet minus 2 (d_ap - d_an): '
            f'largest, {sample}',
            0,
            _largest(radial - 2 * gap[active]),
            1e-10,
        ),
        claims.close(
            'Loss of triplets scaled by 3 with margin scaled by 9, minus 9 times the loss: '
            f'largest, {sample}',
            0,
            _largest(scaled - 9 * once),
            1e-10,
        ),
        claims.close(
            f'jax.grad at collapsed triplets: largest element, {sample}', 0, _largest(collapsed), 0
        ),
        sampling_claim(random),
    ]


def sampling_claim(mine: losses.Mining, orders: int = 1000) -> Claim:
    """Claim that mining draws active triplets as often as they occur.

    A batch of 64 is shuffled again and again.
    """
    rng = np.random.default_rng(1)
    labels = jnp.asarray(rng.integers(0, 5, 64))
    embeddings = jnp.asarray(
        rng.normal(size=(64, DIM)) + rng.normal(size=(5, DIM))[labels], jnp.float32
    )
    shuffled = jnp.asarray(np.stack([rng.permutation(64) for _ in range(orders)]))

    def draw(order: jax.Array) -> jax.Array:
        return (
            losses.mined_triplet(mine, embeddings[order], jax.nn.one_hot(labels[order], 5)) > 0
        ).mean()

    expected = float(active_share(losses.squared_distances(embeddings), labels))
    sentence = (
        f'Share of active triplets of random mining, {orders:,} orders of a batch of 64; expected: '
        'share of all triplets'
    )
    return claims.close(sentence, expected, float(jax.jit(jax.vmap(draw))(shuffled).mean()), 0.01)


def training_claims(results: Results) -> list[Claim]:
    """Claims on growth and collapse of embeddings, and on mining, over all seeds and halves."""
    runs = f'{len(results.losses(ZEROS, FAST))} networks'
    stuck = results.losses(ZEROS, FAST)
    hard, random = (
        results.losses(method, FAST)[:, -1] for method in ('triplet_hard', 'triplet_random')
    )
    grown = {method: growth(results.recorded(method, SLOW, 'norm')) for method in TRIPLETS}
    collapsed = growth(results.recorded('triplet_hard', FAST, 'norm'))
    share = {method: results.recorded(method, SLOW, 'mined')[:, 1:].mean() for method in TRIPLETS}
    return [
        claims.close(
            f'Loss minus margin of networks with zero weights: largest, {runs}, all epochs',
            0,
            _largest(stuck - losses.MARGIN),
            0,
        ),
        claims.close(
            f'Change of any weight of these networks: largest, {runs}',
            0,
            largest_change(results),
            0,
        ),
        claims.at_most(
            f'Distance of the last loss from the margin, hard mining, learning rate {FAST}, median '
            f'of {runs}',
            0.01,
            float(np.median(abs(hard - losses.MARGIN))),
        ),
        claims.at_most(
            f'Last loss, random mining, learning rate {FAST}, median of {runs}',
            0.5,
            float(np.median(random)),
        ),
        claims.at_most(
            f'Final over initial norm, hard mining, learning rate {FAST}, median of {runs}',
            0.01,
            collapsed,
        ),
        claims.at_most(
            f'Final over initial norm, hard mining, learning rate {SLOW}, median of {runs}',
            1,
            grown['triplet_hard'],
        ),
        claims.at_least(
            f'Final over initial norm, semi-hard mining, learning rate {SLOW}, median of {runs}',
            1,
            grown['triplet_semi_hard'],
        ),
        claims.at_least(
            f'Share of active triplets, hard over random mining, learning rate {SLOW}, {runs}',
            3,
            share['triplet_hard'] / max(share['triplet_random'], 1e-9),
        ),
    ]


def one_shot_claims(results: Results) -> list[Claim]:
    """Claims on one-shot accuracy for digits seen in training, and for others."""
    seeds = f'mean of {results.seeds} seeds'
    mean = {
        (method, task): float(results.accuracy(method, 'embedding', task).mean())
        for method in (*TRIPLETS, PIXELS)
        for task in ('seen', 'unseen', 'all')
    }
    seen_accuracy, unseen_accuracy = (
        [mean[method, task] for method in TRIPLETS] for task in ('seen', 'unseen')
    )
    return [
        claims.at_least(
            f'Accuracy minus that of raw pixels, 5 seen digits, new images, worst mining, {seeds}',
            0.1,
            min(seen_accuracy) - mean[PIXELS, 'seen'],
        ),
        claims.at_least(
            f'Accuracy, 5 unseen digits (chance 0.2), worst mining, {seeds}',
            0.4,
            min(unseen_accuracy),
        ),
        claims.at_most(
            f'Accuracy minus that of raw pixels, 5 unseen digits, best mining, {seeds}',
            0,
            max(unseen_accuracy) - mean[PIXELS, 'unseen'],
        ),
        claims.at_least(
            f'Accuracy minus that of raw pixels, all 10 digits, hard mining, {seeds}',
            0,
            mean['triplet_hard', 'all'] - mean[PIXELS, 'all'],
        ),
    ]


def growth(sizes: np.ndarray) -> float:
    """Median over the networks of the last over the first of [network, time].

    A network that diverged has grown.
    """
    return float(np.median(np.nan_to_num(sizes[:, -1] / sizes[:, 0], nan=np.inf)))


def largest_change(results: Results) -> float:
    """The largest change of any parameter of the networks that start from zeros."""
    ones = [one for half in results.halves for one in half.trained if one.member.option == ZEROS]
    return max(
        _largest(end - start)
        for one in ones
        for start, end in zip(
            jax.tree.leaves(one.start.params), jax.tree.leaves(one.state.params), strict=True
        )
    )


def _by_jax(triplets: np.ndarray) -> np.ndarray:
    """Gradient of the loss that trains, by jax.grad in float64.

    The gradient is by anchor, positive and negative, [3, count, DIM].
    """
    with jax.enable_x64(True):
        return np.stack(
            jax.grad(lambda *each: losses.triplet(*each).sum(), argnums=(0, 1, 2))(
                *jnp.asarray(triplets)
            )
        )


def _largest(values: np.ndarray) -> float:
    return float(np.max(np.abs(values)))
