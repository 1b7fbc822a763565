"""How large a map is left after a convolution, and after a pooling?

Run    python -m jaxdl.main --experiment=conv_arithmetic
Takes  13 s on 2 CPU cores (2026-11-24)
Found  2,000 random cases: 1,491 with something left, of the size of the formula in all of them; 509 with nothing left,
       an error here and an empty map by XLA. Rows or columns are left over, so the floor matters, in 1,176 of the 1,491
"""

from jaxdl import Demonstration, theory

EXPERIMENT = Demonstration(theory.shapes.answer, theory.shapes.Settings(), quick=dict(cases=400))
