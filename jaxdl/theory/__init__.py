"""The course's questions: what is derived, as text, and the functions that check it by running it.

Loaded when first used (PEP 562): the formulas themselves (`backprop.gradients`, `shapes.conv_output_size`) need no jax.
"""

import importlib
from types import ModuleType

QUESTIONS = (
    'activations', 'backprop', 'fc_as_conv', 'residual', 'shapes', 'symmetry', 'triplet', 'vanishing_gradients',
)  # fmt: skip
__all__ = [*QUESTIONS]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> ModuleType:
    if name in QUESTIONS:
        return importlib.import_module(f'jaxdl.theory.{name}')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
