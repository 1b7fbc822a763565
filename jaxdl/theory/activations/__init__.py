"""Question 1.2, sigmoid against ReLU: formulas and checks."""

from jaxdl.theory.activations.formulas import SMALL_OUTPUT as SMALL_OUTPUT
from jaxdl.theory.activations.formulas import Settings as Settings
from jaxdl.theory.activations.formulas import relu as relu
from jaxdl.theory.activations.formulas import relu_slope as relu_slope
from jaxdl.theory.activations.formulas import saturated_slope as saturated_slope
from jaxdl.theory.activations.formulas import sigmoid as sigmoid
from jaxdl.theory.activations.formulas import sigmoid_slope as sigmoid_slope
from jaxdl.theory.activations.formulas import slope_bound as slope_bound
from jaxdl.theory.answer import Answer, Note, text


def answer(settings: Settings, note: Note) -> Answer:
    """Derive and measure the effect of the derivatives of sigmoid and ReLU on training.

    Args:
      settings: sizes of the checks.
      note: receives progress messages.

    Returns:
      Text, claims, figures and tables of the page.
    """
    from jaxdl.theory.activations import checks, figures, networks, outcomes, signs

    note('derivatives, chains of units, signs of gradients')
    chains = checks.random_chains(settings.chains)
    shares = {name: signs.one_sign(name, settings.seeds) for name in signs.ONE_SIGN}
    costs = checks.costs(settings.repeats)
    results = networks.train(settings, note)
    claims = [
        *checks.slope_claims(settings.points),
        *checks.chain_claims(chains),
        *signs.mean_claims(),
        *signs.sign_claims(shares, settings.seeds),
        *checks.cost_claims(),
        *outcomes.training_claims(results),
        *outcomes.saturation_claims(results),
        *outcomes.dead_claims(results),
    ]
    note('drawing')
    blocks = [
        figures.slopes(chains, results),
        figures.curves(results),
        figures.shares(results),
        signs.table(shares),
        outcomes.table(results),
    ]
    values = costs | outcomes.values(results) | checks.values(chains)
    return Answer(text('activations', **values), claims, blocks, results.groups)
