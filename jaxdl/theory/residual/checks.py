"""Claims about residual networks, and the page."""

import math
from collections.abc import Callable, Sequence

import jax
import numpy as np

from jaxdl.report.page import words
from jaxdl.theory import answer as answers
from jaxdl.theory.answer import Answer, Note
from jaxdl.theory.residual import figures as residual_figures
from jaxdl.theory.residual import formulas as residual_rules
from jaxdl.theory.residual import networks as residual_networks
from jaxdl.theory.residual import random as residual_random
from jaxdl.theory.residual import training as residual_training
from jaxdl.theory.residual.formulas import CARRIED, Settings
from jaxdl.theory.residual.networks import Study
from jaxdl.theory.residual.random import Network
from jaxdl.workdir import claims
from jaxdl.workdir.claims import Claim

CHAIN, MATRICES, SIDE = (
    12,
    8,
    4,
)  # layers of the chain of numbers, layers of the chain of matrices, their side
DEPTHS = (1, 2, 4, 8, 16, 32, 64)  # of random networks
DEEP = DEPTHS[-1]
SHATTERED = 8  # the depth at which the plain network's correlation is held against the prediction

Slope = Callable[[np.ndarray, float, float, float], np.ndarray]
Curves = dict[str, list[tuple[float, float]]]  # skip -> of each of DEPTHS: predicted, measured


def answer(settings: Settings, note: Note) -> Answer:
    """Build claims, figures and text of the page."""
    note('summing over paths')
    claims_made = [
        slope_claim(residual_rules.branch_slope),
        *path_claims(residual_rules.path_counts, residual_rules.path_sum),
    ]
    note(f'drawing random networks of {DEEP} layers')
    networks = {
        s: [residual_random.draw(s, DEEP, i) for i in range(settings.random_networks)]
        for s in CARRIED
    }
    curves = {skip: shattering(drawn, skip) for skip, drawn in networks.items()}
    claims_made += shattering_claims(curves) + growth_claims(
        networks, residual_rules.growth, residual_rules.mean_path_length
    )
    study = residual_networks.train(settings, note)
    norms = {
        skip: residual_networks.gradient_norms(study, settings, DEEP, skip) for skip in CARRIED
    }
    cut = {
        skip: residual_networks.without_layers(study, settings.deleted, skip) for skip in CARRIED
    }
    claims_made += residual_training.claims_of(study, settings, norms, cut)
    blocks = [
        residual_figures.degradation(study, settings),
        residual_figures.gradients(norms, DEPTHS, curves),
        residual_figures.deletion(cut),
        residual_training.table(study),
    ]
    return Answer(
        answers.text('residual', **_numbers(study, settings, curves, cut, norms)),
        claims_made,
        blocks,
        study.groups,
    )


def slope_claim(rule: Slope) -> Claim:
    """Claim: the derivative of x + f(x), by jax.grad in float64, is 1 + `rule`."""
    weight, bias, out = 1.7, -0.4, 0.9
    x = np.linspace(-3, 3, 101)
    with jax.enable_x64(True):
        slopes = jax.vmap(jax.grad(lambda x: x + out * jax.numpy.tanh(weight * x + bias)))(x)
    worst = np.max(np.abs(np.asarray(slopes) - 1 - rule(x, weight, bias, out)))
    sentence = (
        "d(x + f(x))/dx by automatic differentiation and 1 + f'(x): largest difference, 101 values "
        'of x'
    )
    return claims.close(sentence, 0.0, float(worst), 1e-12)


def path_claims(
    counts: Callable[[int], Sequence[int]], total: Callable[[Sequence[np.ndarray]], np.ndarray]
) -> list[Claim]:
    """Claims: the number of paths is binomial, and their products add up to the gradient."""
    rng = np.random.default_rng(0)
    chain = list(rng.normal(size=(CHAIN, 1, 1)))
    matrices = list(rng.normal(size=(MATRICES, SIDE, SIDE)) / math.sqrt(SIDE))
    binomials = [math.comb(CHAIN, length) for length in range(CHAIN + 1)]
    wrong = sum(abs(one - other) for one, other in zip(counts(CHAIN), binomials, strict=True))
    many = f'{2**CHAIN:,}'
    return [
        claims.close(
            f'number of paths through {CHAIN} residual layers by length: total difference from the '
            'binomials',
            0,
            wrong,
            0,
        ),
        claims.close(
            f'gradient of a chain of {CHAIN} layers x + w x and sum over its {many} paths: '
            'relative difference',
            0.0,
            _largest_difference(_jacobian(chain), total(chain)),
            1e-12,
        ),
        claims.close(
            f'Jacobian of {MATRICES} layers x + W x, {SIDE} units, and sum over {2**MATRICES} '
            'paths: relative difference',
            0.0,
            _largest_difference(_jacobian(matrices), total(matrices)),
            1e-12,
        ),
    ]


def shattering(
    networks: Sequence[Network], skip: str, rule: residual_rules.Rule = residual_rules.same_side
) -> list:
    """Predicted and measured correlation of gradients at nearby inputs, for each of DEPTHS."""
    predicted = residual_rules.gradient_correlations(skip, DEEP, residual_random.CORRELATION, rule)
    return [
        (
            float(predicted[depth]),
            float(np.mean([_correlation(network, depth) for network in networks])),
        )
        for depth in DEPTHS
    ]


def shattering_claims(curves: Curves) -> list[Claim]:
    """Claims on the correlation of gradients: lost in a plain network, not in a residual one."""
    plain, carried = (dict(zip(DEPTHS, curves[skip], strict=True)) for skip in CARRIED)
    of = f'at inputs of correlation {residual_random.CORRELATION}, {residual_random.WIDTH} units'
    return [
        claims.close(
            f'plain, {SHATTERED} layers: correlation of gradients {of}', *plain[SHATTERED], 0.05
        ),
        claims.at_most(
            f'plain, {DEEP} layers: absolute correlation of gradients {of}',
            0.1,
            abs(plain[DEEP][1]),
        ),
        claims.close(
            f'residual, {SHATTERED} layers: correlation of gradients {of}',
            *carried[SHATTERED],
            0.05,
        ),
        claims.close(
            f'residual, {DEEP} layers: correlation of gradients {of}', *carried[DEEP], 0.08
        ),
    ]


def growth_claims(
    networks: dict[str, list[Network]],
    growth: Callable[[str, int], float],
    length: Callable[[int], float],
) -> list[Claim]:
    """Claims on the growth of squared gradients and the mean path length."""
    measured = {
        skip: float(np.mean([_log_square(n, DEEP) for n in drawn]))
        for skip, drawn in networks.items()
    }
    growths = {skip: math.exp(log / (DEEP - 1)) for skip, log in measured.items()}
    lengths = [residual_random.mean_path_length(network, DEEP) for network in networks['identity']]
    return [
        claims.relatively_close(
            f'plain, {DEEP} layers: growth of the squared gradient per layer, from the second on',
            growth('none', DEEP) ** (1 / (DEEP - 1)),
            growths['none'],
            0.04,
        ),
        claims.close(
            f'residual, {DEEP} layers: decimal logarithm of the growth of the squared gradient '
            'over all layers',
            math.log10(growth('identity', DEEP)),
            measured['identity'] / math.log(10),
            0.4,
        ),
        claims.relatively_close(
            f'residual, {DEEP} layers: mean number of branches on a path, weighted by squared '
            'gradient',
            length(DEEP),
            float(np.mean(lengths)),
            0.1,
        ),
    ]


def _jacobian(branches: Sequence[np.ndarray]) -> np.ndarray:
    def network(x: jax.Array) -> jax.Array:
        for branch in branches:
            x = x + branch @ x
        return x

    with jax.enable_x64(True):
        return np.asarray(jax.jacrev(network)(np.ones(len(branches[0]))))


def _largest_difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.max(np.abs(one - other)) / np.max(np.abs(one)))


def _correlation(network: Network, depth: int) -> float:
    return residual_random.correlation(residual_random.input_gradients(network, depth))


def _log_square(network: Network, depth: int) -> float:
    return residual_random.log_square(residual_random.input_gradients(network, depth))


def _numbers(
    study: Study,
    settings: Settings,
    curves: Curves,
    cut: dict[str, np.ndarray],
    norms: dict[str, np.ndarray],
) -> dict[str, str]:
    """Numbers of the text."""
    few, many = min(settings.depths), max(settings.depths)
    final = lambda count, skip: words.percent(
        study.final(('mlp', count, skip), 'train_accuracy').mean()
    )
    ratios = {
        s: np.exp(np.mean(np.log(by_layer[:, 0] / by_layer[:, -1])))
        for s, by_layer in norms.items()
    }
    return dict(
        few=str(few),
        many=str(many),
        deleted=str(cut['none'].shape[1]),
        width=str(settings.width),
        seeds=words.count(settings.seeds, 'evaluation seed'),
        epochs=words.count(settings.epochs, 'epoch'),
        cnn=_cnn(study, settings),
        rates=words.listing(f'{rate:g}' for rate in settings.learning_rates),
        plain_few=final(few, 'none'),
        plain_many=final(many, 'none'),
        residual_few=final(few, 'identity'),
        residual_many=final(many, 'identity'),
        plain_ratio=_round(ratios['none']),
        residual_ratio=_round(ratios['identity']),
        plain_whole=words.percent(cut['none'][:, 0].mean()),
        plain_cut=words.percent(cut['none'][:, 1:].mean()),
        residual_whole=words.percent(cut['identity'][:, 0].mean()),
        residual_cut=words.percent(cut['identity'][:, 1:].mean()),
        plain_correlation=f'{curves["none"][DEPTHS.index(SHATTERED)][1]:.2f}',
        residual_correlation=f'{curves["identity"][-1][1]:.2f}',
        path=f'{residual_rules.mean_path_length(DEEP):.1f}',
    )


def _cnn(study: Study, settings: Settings) -> str:
    """One sentence per CNN."""
    after = words.count(settings.cnn_epochs, 'epoch')
    sentences = []
    for count in settings.convolutions:
        plain, carried = (
            words.percent(study.final(('cnn', count, s), 'train_accuracy').mean()) for s in CARRIED
        )
        sentences.append(
            f'After {after}, plain CNNs of {count} convolutions have a training accuracy of '
            f'{plain}, residual ones {carried}.'
        )
    return ' '.join(sentences)


def _round(value: float) -> str:
    """Number with two digits, without an exponent."""
    return f'{float(f"{value:.1e}"):,.10g}'
