"""Why may a network not start from equal weights: zeros, ones or random?

Design  digits; an MLP of two hidden layers of 16 units, 1,023 steps, in the engine; one hidden layer in NumPy, where
        the distance between units is followed from noise of 1e-8, 1e-4 and 1e-2 and compared with its linearisation
Run     python -m jaxdl.main --experiment=symmetry
Takes   33 s on 2 CPU cores (2026-11-24)
Found   from equal weights all units of a layer are identical to the last bit in the end, and the first weights have
        rank 1 (tanh from zeros: 0, no gradient ever); train accuracy 99.94 % from random weights, 13.13 % from ones,
        36.62 % from 0.05, 10.04 % from zeros. Order, augmentation and mixed labels part no units; dropout parts those
        of its own layer only; noise of 1e-8 parts all, its distance doubling every 16 steps. In NumPy rounding alone
        did with 20 units, not with 16
"""

from jaxdl import Demonstration, theory

EXPERIMENT = Demonstration(theory.symmetry.answer, theory.symmetry.Settings(), quick=dict(epochs=6, seeds=2, steps=300))
