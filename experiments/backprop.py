"""Which rule updates each of the six weights of a small network, and is it right?

Run    python -m jaxdl.main --experiment=backprop
Takes  7 s on 2 CPU cores (2026-11-24)
Found  w + rate 2 (t - y) y (1 - y) times the way from the weight to the output; against jax.grad at 10,000 points
       2.2e-13, against 50 digits up to N(0, 144) 8.6e-15, where jax.grad is off by 6.7e-10; XOR learnt from 24 of 40
       starts, the others stuck at a mean loss of 1/8 or 1/6
"""

from jaxdl import Demonstration, theory

EXPERIMENT = Demonstration(
    theory.backprop.answer,
    theory.backprop.Settings(),
    quick=dict(points=2000, exact_points=200, starts=20),
)
