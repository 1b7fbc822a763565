"""Why layers that add to what they were given train at depths where plain ones do not.

The formulas, and the answer.
"""

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
    """Trains plain and residual networks, deletes layers, measures gradients.

    And writes the page.
    """
    from jaxdl.theory.residual import checks as residual_checks  # which imports jax

    return residual_checks.answer(settings, note)
