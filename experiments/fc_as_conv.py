"""Can a fully connected layer be a convolution?

Run     python -m jaxdl.main --experiment=fc_as_conv
Takes   16 s on 2 CPU cores (2026-11-24)
Result  yes: outputs and gradients agree to 2.8e-14 in float64, in both directions. A digit
        classifier as a convolutional network processes a scene with 2.36 times fewer operations
        than its 784 windows need, 3.5 times as fast as all windows in one batch and 24 times as
        fast as one by one
"""

from jaxdl import Demonstration, theory

EXPERIMENT = Demonstration(
    theory.fc_as_conv.answer, theory.fc_as_conv.Settings(), quick=dict(epochs=3, rounds=5)
)
