"""Why do networks with equal initial weights fail, and what breaks symmetry?

Design  digits; an MLP of two hidden layers of 16 units, 1,023 steps, in the engine; one hidden
        layer in NumPy, noise of 1e-8, 1e-4 and 1e-2, compared with the linearised growth
Run     python -m jaxdl.main --experiment=symmetry
Takes   33 s on 2 CPU cores (2026-11-24)
Result  from equal weights all units of a layer stay identical to the last bit, and the first
        weights have rank 1 (tanh from zeros: 0, no gradient). Training accuracy 99.94 % from random
        weights, 13.13 % from ones, 36.62 % from 0.05, 10.04 % from zeros. Order, augmentation and
        mixed labels separate no units; dropout separates those of its own layer only; noise of 1e-8
        separates all, the distance doubles every 16 steps. In NumPy rounding alone separates 20
        units, not 16
"""

from jaxdl import Demonstration, theory

EXPERIMENT = Demonstration(
    theory.symmetry.answer, theory.symmetry.Settings(), quick=dict(epochs=6, seeds=2, steps=300)
)
