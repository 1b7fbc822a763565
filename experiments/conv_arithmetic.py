"""What is the size of a feature map after a convolution or a pooling?

Run     python -m jaxdl.main --experiment=conv_arithmetic
Takes   13 s on 2 CPU cores (2026-11-24)
Result  2,000 random cases: in all 1,491 with an output XLA gives the size of the formula; 509 have
        no output, an error here and an empty feature map in XLA. In 1,176 of the 1,491 rows or
        columns are unused, so the floor matters
"""

from jaxdl import Demonstration, theory

EXPERIMENT = Demonstration(theory.shapes.answer, theory.shapes.Settings(), quick=dict(cases=400))
