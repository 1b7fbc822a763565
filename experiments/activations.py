"""Why did ReLU take the place of the sigmoid, and what does it cost?

Design  MLPs of 32 units a layer on digits, plain gradient descent, each activation at its own best rate for each depth
Run     python -m jaxdl.main --experiment=activations
Takes   83 s on 2 CPU cores that were busy with other work too (2026-11-24)
Found   33 of 33 claims hold. Train accuracy, sigmoid against ReLU: 99.5 and 100.0 % at depth 2, 99.3 and 100.0 % at
        depth 3, 9.3 and 99.7 % at depth 5, 9.2 and 60.2 % at depth 20, where the sigmoid units are not saturated: their
        slopes multiply to nothing. Dead ReLU units at depth 5: 2.25 % at the best rate, 71.25 % at ten times that rate
"""

from jaxdl import Demonstration, theory

EXPERIMENT = Demonstration(
    theory.activations.answer,
    theory.activations.Settings(),
    quick=dict(depths=(5,), learning_rates=(0.1, 1.0, 3.16), tuning_seeds=1, seeds=2, epochs=10, chains=100, repeats=5),
)
