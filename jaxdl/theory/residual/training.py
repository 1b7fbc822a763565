"""Claims about trained plain and residual networks, and their table."""

import numpy as np

from jaxdl.report.page import words
from jaxdl.report.page.blocks import Table
from jaxdl.theory.residual.formulas import CARRIED, Settings
from jaxdl.theory.residual.networks import Study
from jaxdl.workdir import claims
from jaxdl.workdir.claims import Claim

BySkip = dict[str, np.ndarray]


def claims_of(study: Study, settings: Settings, norms: BySkip, cut: BySkip) -> list[Claim]:
    """All claims; `norms` by `gradient_norms`, `cut` by `without_layers`."""
    return training_claims(study, settings) + norm_claims(norms) + deletion_claims(cut)


def training_claims(study: Study, settings: Settings) -> list[Claim]:
    """Claims on training accuracy, worst residual against best plain run."""
    claims_made = []
    few, many = min(settings.depths), max(settings.depths)
    seeds = words.count(settings.seeds, 'seed').replace(words.SPACE, ' ')
    plain, carried = (study.final(('mlp', many, skip), 'train_accuracy') for skip in CARRIED)
    sentence = f'MLP of {many} layers, {seeds}: training accuracy, worst residual minus best plain'
    claims_made.append(claims.at_least(sentence, 0.1, carried.min() - plain.max()))
    for count in settings.convolutions:
        plain, carried = (
            study.final(('cnn', count, skip), 'train_accuracy').mean() for skip in CARRIED
        )
        sentence = (
            f'CNN of {count} convolutions, {settings.cnn_epochs} epochs, {seeds}: mean training '
            'accuracy'
        )
        claims_made.append(
            claims.at_least(f'{sentence}, residual minus plain', 0.0, carried - plain)
        )
    shallow, deep = (study.final(('mlp', count, 'none'), 'train_accuracy') for count in (few, many))
    sentence = (
        f'plain MLP, {seeds}: training accuracy, worst with {few} layers minus best with {many}'
    )
    return [*claims_made, claims.at_least(sentence, 0.1, shallow.min() - deep.max())]


def norm_claims(norms: BySkip) -> list[Claim]:
    """Claim: at initialisation the gradient of plain networks has exploded."""
    layers = norms['none'].shape[1] + 1
    plain, carried = (
        np.exp(np.mean(np.log(norms[skip][:, 0] / norms[skip][:, -1]))) for skip in CARRIED
    )
    sentence = (
        f'MLP of {layers} layers at initialisation: ratio of gradient norms, second over last '
        'kernel, plain'
    )
    return [claims.at_least(f'{sentence} over residual', 2.0, plain / carried)]


def deletion_claims(cut: BySkip) -> list[Claim]:
    """Claims on accuracy after the removal of a layer: small loss if residual, large if plain."""
    depth = cut['none'].shape[1]
    losses = {
        skip: float(np.mean(accuracy[:, :1] - accuracy[:, 1:])) for skip, accuracy in cut.items()
    }
    left = float(np.mean(cut['none'][:, 1:]))
    return [
        claims.at_most(
            f'residual MLP of {depth} layers: mean accuracy lost by removal of one layer',
            0.1,
            losses['identity'],
        ),
        claims.at_most(
            f'plain MLP of {depth} layers: mean accuracy after removal of one layer', 0.3, left
        ),
        claims.at_least(
            f'MLP of {depth} layers: mean accuracy lost by removal of one layer, plain minus '
            'residual',
            0.1,
            losses['none'] - losses['identity'],
        ),
    ]


def table(study: Study) -> Table:
    """Accuracy of every network at its best learning rate."""
    rows = []
    for (model, count, skip), rate in study.rates.items():
        final = [
            study.final((model, count, skip), f'{part}_accuracy').mean()
            for part in ('train', 'val')
        ]
        kind = 'residual' if CARRIED[skip] else 'plain'
        rows.append(
            [f'{model.upper()}, {kind}', str(count), f'{rate:g}', *map(words.number, final)]
        )
    columns = ('Network', 'Layers', 'Learning rate', 'Training, %', 'Validation, %')
    return Table(
        'Accuracy in the last epoch, mean over the evaluation seeds',
        columns,
        rows,
        'lrrrr',
        name='trained',
    )
