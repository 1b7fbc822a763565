"""The demonstration `symmetry`: its formulas, and what checks them."""

from jaxdl.theory.answer import Answer, Note, text
from jaxdl.theory.symmetry.rules import CONSTANT as CONSTANT
from jaxdl.theory.symmetry.rules import Network as Network
from jaxdl.theory.symmetry.rules import Settings as Settings
from jaxdl.theory.symmetry.rules import apart as apart
from jaxdl.theory.symmetry.rules import constant as constant
from jaxdl.theory.symmetry.rules import curvature as curvature
from jaxdl.theory.symmetry.rules import descend as descend
from jaxdl.theory.symmetry.rules import distinct as distinct
from jaxdl.theory.symmetry.rules import logits as logits
from jaxdl.theory.symmetry.rules import nudged as nudged
from jaxdl.theory.symmetry.rules import residuals as residuals
from jaxdl.theory.symmetry.rules import unit_gradient as unit_gradient
from jaxdl.theory.symmetry.rules import units_of as units_of


def answer(settings: Settings, note: Note) -> Answer:
    """Trains from zeros, ones and random weights, counts the units that differ, and measures how they come apart."""
    from jaxdl.theory.symmetry import exact, figures, networks, parting

    data = networks.digits()
    trained, groups = networks.train(settings, data, note)
    note('units that start equal, and almost equal, in NumPy')
    parted = parting.part(settings, data)
    found = [
        *exact.exact_claims(data, settings),
        *networks.start_claims(trained, settings),
        *networks.source_claims(trained, settings),
        *parting.parting_claims(parted, settings),
    ]
    shown = [figures.changes(trained), figures.sources(trained, parted, settings), figures.distances(parted)]
    steps = groups[0]['steps']
    return Answer(text('symmetry', **figures.words_of(trained, parted, settings, steps)), found, shown, groups)
