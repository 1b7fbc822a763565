"""The demonstration `backprop`: its formulas, and what checks them."""

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
    """Derives the rules, checks them in five ways and learns XOR with them."""
    from jaxdl.theory.backprop import checks  # which imports jax; the rules do not

    return checks.answer(settings, note)
