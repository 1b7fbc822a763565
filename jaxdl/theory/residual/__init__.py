"""Question 2.4, residual connections: formulas and checks."""

from jaxdl.theory.answer import Answer, Note
from jaxdl.theory.residual.formulas import (
    CARRIED,
    GROWTH,
    SHARE,
    Settings,
    branch_slope,
    gradient_correlations,
    growth,
    mean_path_length,
    path_counts,
    path_sum,
    relu_product,
    same_side,
    strengths,
)

__all__ = [
    'CARRIED',
    'GROWTH',
    'SHARE',
    'Settings',
    'answer',
    'branch_slope',
    'gradient_correlations',
    'growth',
    'mean_path_length',
    'path_counts',
    'path_sum',
    'relu_product',
    'same_side',
    'strengths',
]


def answer(settings: Settings, note: Note) -> Answer:
    """Train plain and residual networks, remove layers, and measure gradients.

    Args:
      settings: sizes of the checks.
      note: receives progress messages.

    Returns:
      Text, claims, figures and tables of the page.
    """
    from jaxdl.theory.residual import checks as residual_checks  # which imports jax

    return residual_checks.answer(settings, note)
