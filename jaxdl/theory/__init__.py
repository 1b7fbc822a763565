"""Derivations of the course questions, their checks by execution, and the assignment.

Each question is a package: formulas, checks, figures and text. Questions are imported on first use
(PEP 562); their formulas (`backprop.gradients`, `shapes.conv_output_size`) need no jax. May import
every package but cli. Interface: one package per question, `demonstration` and `assignment`.
"""

import importlib
from types import ModuleType

QUESTIONS = (
    'activations',
    'backprop',
    'fc_as_conv',
    'residual',
    'shapes',
    'symmetry',
    'triplet',
    'vanishing_gradients',
)
__all__ = [*QUESTIONS]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> ModuleType:
    if name in QUESTIONS:
        return importlib.import_module(f'jaxdl.theory.{name}')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
