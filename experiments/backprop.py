"""Which rule updates each weight of a 2-2-1 network, and is the rule correct?

Run     python -m jaxdl.main --experiment=backprop
Takes   7 s on 2 CPU cores (2026-11-24)
Result  w + 2 rate (t - y) y (1 - y) times the path from the weight to the output. Largest error
        2.2e-13 against jax.grad at 10,000 points, 8.6e-15 against 50 digits up to N(0, 144), where
        jax.grad has 6.7e-10. XOR: 24 of 40 initialisations succeed, the others stay at 1/8 or 1/6
"""

from jaxdl import Demonstration, theory

EXPERIMENT = Demonstration(
    theory.backprop.answer,
    theory.backprop.Settings(),
    quick=dict(points=2000, exact_points=200, starts=20),
)
