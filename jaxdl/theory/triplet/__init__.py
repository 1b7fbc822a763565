"""Question 2.5, one-shot learning and the triplet loss: formulas and checks."""

from jaxdl.theory.answer import Answer, Note, text
from jaxdl.theory.triplet.formulas import Settings as Settings
from jaxdl.theory.triplet.formulas import gap as gap
from jaxdl.theory.triplet.formulas import gradients as gradients
from jaxdl.theory.triplet.formulas import loss as loss


def answer(settings: Settings, note: Note) -> Answer:
    """Check the derivation, train embeddings, and measure one-shot accuracy.

    Args:
      settings: sizes of the checks.
      note: receives progress messages.

    Returns:
      Text, claims, figures and tables of the page.
    """
    from jaxdl.theory.triplet import checks as triplet_checks
    from jaxdl.theory.triplet import networks, page

    note(f'gradients of {settings.triplets:,} triplets')
    exact = triplet_checks.exact_claims(settings.triplets)
    results = networks.measure(
        settings.seeds, settings.epochs, settings.halves, settings.episodes, note
    )
    claims = [
        *exact,
        *triplet_checks.training_claims(results),
        *triplet_checks.one_shot_claims(results),
    ]
    return Answer(
        text('triplet', **page.words(results)), claims, page.blocks(results), results.groups
    )
