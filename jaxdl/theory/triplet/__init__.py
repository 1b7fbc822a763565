"""The demonstration `triplet`: its formulas, and what checks them."""

from jaxdl.theory.answer import Answer, Note, text
from jaxdl.theory.triplet.formulas import Settings as Settings
from jaxdl.theory.triplet.formulas import gap as gap
from jaxdl.theory.triplet.formulas import gradients as gradients
from jaxdl.theory.triplet.formulas import loss as loss


def answer(settings: Settings, note: Note) -> Answer:
    """Check the derivation, train embeddings, and measure one-shot accuracy.

    And measured on digits that no network was trained on.
    """
    from jaxdl.theory.triplet import checks as triplet_checks
    from jaxdl.theory.triplet import networks, shown

    note(f'gradients of {settings.triplets:,} triplets')
    exact = triplet_checks.exact(settings.triplets)
    results = networks.measure(
        settings.seeds, settings.epochs, settings.halves, settings.episodes, note
    )
    claims = [*exact, *triplet_checks.training(results), *triplet_checks.one_shot(results)]
    return Answer(
        text('triplet', **shown.words(results)), claims, shown.blocks(results), results.groups
    )
