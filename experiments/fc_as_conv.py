"""Can a fully connected layer be a convolution?

Run    python -m jaxdl.main --experiment=fc_as_conv
Takes  16 s on 2 CPU cores (2026-11-24)
Found  yes: outputs and gradients agree to 2.8e-14 in float64, both ways. A classifier of digits as a convolutional
       network slides over a scene with 2.36 times fewer operations than on each of its 784 windows, and 3.5 times as
       fast as on all of them in a batch (24 times as fast as one by one)
"""

from jaxdl import Demonstration, theory

EXPERIMENT = Demonstration(theory.fc_as_conv.answer, theory.fc_as_conv.Settings(), quick=dict(epochs=3, rounds=5))
