"""Question 1.1, exploding and vanishing gradients: formulas and checks."""

from jaxdl.theory.answer import Answer, Note
from jaxdl.theory.vanishing_gradients.formulas import ACTIVATIONS as ACTIVATIONS
from jaxdl.theory.vanishing_gradients.formulas import SMALL as SMALL
from jaxdl.theory.vanishing_gradients.formulas import Function as Function
from jaxdl.theory.vanishing_gradients.formulas import Rate as Rate
from jaxdl.theory.vanishing_gradients.formulas import Settings as Settings
from jaxdl.theory.vanishing_gradients.formulas import batch_norm_rate as batch_norm_rate
from jaxdl.theory.vanishing_gradients.formulas import correction as correction
from jaxdl.theory.vanishing_gradients.formulas import critical_gain as critical_gain
from jaxdl.theory.vanishing_gradients.formulas import fixed_length as fixed_length
from jaxdl.theory.vanishing_gradients.formulas import layer_rate as layer_rate
from jaxdl.theory.vanishing_gradients.formulas import layer_rates as layer_rates
from jaxdl.theory.vanishing_gradients.formulas import next_length as next_length
from jaxdl.theory.vanishing_gradients.formulas import normal_mean as normal_mean
from jaxdl.theory.vanishing_gradients.formulas import normalised_rate as normalised_rate
from jaxdl.theory.vanishing_gradients.formulas import rate as rate
from jaxdl.theory.vanishing_gradients.formulas import skip_rate as skip_rate


def answer(settings: Settings, note: Note) -> Answer:
    """Measure gradients in random and trained networks, and compare them with theory.

    Args:
      settings: sizes of the checks.
      note: receives progress messages.

    Returns:
      Text, claims, figures and tables of the page.
    """
    from jaxdl.theory.vanishing_gradients import checks  # which imports jax

    return checks.answer(settings, note)
