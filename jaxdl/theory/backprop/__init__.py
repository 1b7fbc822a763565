"""Question 1.3, update rules of a 2-2-1 network: formulas and checks."""

from jaxdl.theory.answer import Answer, Note
from jaxdl.theory.backprop.formulas import Settings as Settings
from jaxdl.theory.backprop.formulas import batch_gradients as batch_gradients
from jaxdl.theory.backprop.formulas import (
    batch_gradients_with_biases as batch_gradients_with_biases,
)
from jaxdl.theory.backprop.formulas import gradients as gradients
from jaxdl.theory.backprop.formulas import gradients_with_biases as gradients_with_biases
from jaxdl.theory.backprop.formulas import update as update


def answer(settings: Settings, note: Note) -> Answer:
    """Derive the update rules, check them in five ways, and learn XOR with them.

    Args:
      settings: sizes of the checks.
      note: receives progress messages.

    Returns:
      Text, claims, figures and tables of the page.
    """
    from jaxdl.theory.backprop import checks  # which imports jax; the rules do not

    return checks.answer(settings, note)
