"""Question 1.4, equal initial weights: formulas and checks."""

from jaxdl.theory.answer import Answer, Note, text
from jaxdl.theory.symmetry.formulas import CONSTANT as CONSTANT
from jaxdl.theory.symmetry.formulas import Network as Network
from jaxdl.theory.symmetry.formulas import Settings as Settings
from jaxdl.theory.symmetry.formulas import apart as apart
from jaxdl.theory.symmetry.formulas import constant as constant
from jaxdl.theory.symmetry.formulas import curvature as curvature
from jaxdl.theory.symmetry.formulas import descend as descend
from jaxdl.theory.symmetry.formulas import distinct as distinct
from jaxdl.theory.symmetry.formulas import logits as logits
from jaxdl.theory.symmetry.formulas import nudged as nudged
from jaxdl.theory.symmetry.formulas import residuals as residuals
from jaxdl.theory.symmetry.formulas import unit_gradient as unit_gradient
from jaxdl.theory.symmetry.formulas import units_of as units_of


def answer(settings: Settings, note: Note) -> Answer:
    """Train from equal and random weights, count different units, and follow differences.

    Args:
      settings: sizes of the checks.
      note: receives progress messages.

    Returns:
      Text, claims, figures and tables of the page.
    """
    from jaxdl.theory.symmetry import exact, figures, networks, separation

    data = networks.digits()
    trained, groups = networks.train(settings, data, note)
    note('equal and almost equal units in NumPy')
    measured = separation.measure(settings, data)
    claims = [
        *exact.exact_claims(data, settings),
        *networks.start_claims(trained, settings),
        *networks.source_claims(trained, settings),
        *separation.separation_claims(measured, settings),
    ]
    blocks = [
        figures.changes(trained),
        figures.sources(trained, measured, settings),
        figures.distances(measured),
    ]
    steps = groups[0].steps
    return Answer(
        text('symmetry', **figures.words_of(trained, measured, settings, steps)),
        claims,
        blocks,
        groups,
    )
